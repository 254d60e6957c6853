package lint

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/kilonova-cloud/kilonova"

// root is the checkout, seen from this package.
var root = filepath.Join("..", "..")

// source is one parsed Go file.
type source struct {
	path      string // below root, with slashes
	text      []byte
	file      *ast.File
	test      bool
	generated bool
}

// dir is the folder of the file, "." for the root.
func (s *source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

var fileSet = token.NewFileSet()

// skipped are folders that are no source: what was built, what tools keep.
func skipped(name string) bool {
	return name == "bin" || name == "build" || name == "node_modules" || name == "vendor" || name == "testdata" ||
		strings.HasPrefix(name, ".") && name != "." && name != ".." && name != ".ci" || strings.HasPrefix(name, "_")
}

// walk calls visit with every file of the checkout.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && skipped(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			visit(path)
		}
		return nil
	}))
}

var parsed = sync.OnceValues(parseAll)

// sources returns every Go file of the checkout, whatever its build tags.
func sources(t *testing.T) []*source {
	t.Helper()
	all, err := parsed()
	require.NoError(t, err)
	require.Greater(t, len(all), 100, "the checkout was not found")
	return all
}

func parseAll() (all []*source, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && skipped(entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		one, err := parseOne(path)
		all = append(all, one)
		return err
	})
	return all, err
}

func parseOne(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	below, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	below = filepath.ToSlash(below)
	file, err := parser.ParseFile(fileSet, below, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{path: below, text: text, file: file, test: strings.HasSuffix(path, "_test.go"),
		generated: bytes.Contains(text[:min(len(text), 2000)], []byte("DO NOT EDIT"))}, err
}

// report fails the test with every finding, sorted, and what to do about them.
func report(t *testing.T, findings []string, advice string) {
	t.Helper()
	if len(findings) == 0 {
		return
	}
	slices.Sort(findings)
	t.Errorf("%s\n  %s", advice, strings.Join(slices.Compact(findings), "\n  "))
}

func at(node ast.Node) string {
	p := fileSet.Position(node.Pos())
	return p.String()
}
