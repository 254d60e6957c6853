package lint

import (
	"go/ast"
	"regexp"
	"testing"
)

// waits are helpers that look again and again until a deadline; they may pause between two looks.
var waits = regexp.MustCompile(`^(eventually|Eventually|waitFor|WaitFor|poll)`)

func TestTestsDoNotSleep(t *testing.T) {
	var findings []string
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		names := importNames(s)
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && waits.MatchString(f.Name.Name) {
				return false
			}
			if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Sleep" {
				if x, ok := call.X.(*ast.Ident); ok && names[x.Name] == "time" {
					findings = append(findings, at(call))
				}
			}
			return true
		})
	}
	report(t, findings, "A test that sleeps is slow on fast machines and wrong on slow ones. Wait for the state that is meant, with a deadline "+
		"(require.Eventually, a channel, a blocking query), or use testing/synctest. A helper that looks again until a deadline is named eventually..., waitFor... or poll...:")
}
