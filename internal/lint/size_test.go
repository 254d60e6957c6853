package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"testing"
)

// What is larger than this is more than one thing.
const (
	maxFile     = 1000
	maxFunction = 100
	maxPackage  = 8000
)

func TestNothingGrowsTooLarge(t *testing.T) {
	var files, functions, packages []string
	lines := map[string]int{}
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		n := bytes.Count(s.text, []byte("\n"))
		lines[s.dir()] += n
		if n > maxFile {
			files = append(files, fmt.Sprintf("%s: %d lines", s.path, n))
		}
		for _, declaration := range s.file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := fileSet.Position(f.End()).Line - fileSet.Position(f.Pos()).Line + 1; n > maxFunction {
				functions = append(functions, fmt.Sprintf("%s: %s has %d lines", at(f), f.Name.Name, n))
			}
		}
	}
	for dir, n := range lines {
		if n > maxPackage {
			packages = append(packages, fmt.Sprintf("%s: %d lines", dir, n))
		}
	}
	report(t, files, fmt.Sprintf("Files have at most %d lines. Split by noun, one file each:", maxFile))
	report(t, functions, fmt.Sprintf("Functions have at most %d lines. Name their parts and move them out:", maxFunction))
	report(t, packages, fmt.Sprintf("Packages have at most %d lines. Find the part that can stand alone, and give it a folder:", maxPackage))
}
