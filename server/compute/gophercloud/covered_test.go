package gophercloud_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// uncalled are the requests of gophercloud's compute packages that the tests here do not make, and why. The list can only get shorter: a
// request that is made may not be on it, and one that is not made must be.
var uncalled = map[string]string{}

const computeModule = "github.com/gophercloud/gophercloud/v2/openstack/compute/"

// importsOf are a file's imports of gophercloud's compute packages, by the name that the file calls them.
func importsOf(t *testing.T, file *ast.File) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, i := range file.Imports {
		p := must[string](t)(strconv.Unquote(i.Path.Value))
		rest, ok := strings.CutPrefix(p, computeModule)
		if !ok {
			continue
		}
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = rest
	}
	return names
}

// requestsOf are the requests that the module's source exports: functions that take a service client.
func requestsOf(t *testing.T) map[string]bool {
	t.Helper()
	root := must[*build.Package](t)(build.Import(computeModule+"v2/servers", ".", build.FindOnly)).Dir
	root = filepath.Dir(filepath.Dir(root))
	all := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "testing" {
			return or(err, filepath.SkipDir)
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		in := must[string](t)(filepath.Rel(root, filepath.Dir(name)))
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() && takesClient(f) {
				all[in+"."+f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func takesClient(f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		if star, ok := p.Type.(*ast.StarExpr); ok {
			if s, ok := star.X.(*ast.SelectorExpr); ok && s.Sel.Name == "ServiceClient" {
				return true
			}
		}
	}
	return false
}

// callsHere are the functions of gophercloud's compute packages that the tests of this directory call.
func callsHere(t *testing.T) map[string]bool {
	t.Helper()
	called := map[string]bool{}
	for _, name := range must[[]string](t)(filepath.Glob("*_test.go")) {
		file := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), name, nil, 0))
		names := importsOf(t, file)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && names[x.Name] != "" {
					called[names[x.Name]+"."+s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return called
}

// Every request that gophercloud has for compute is made by a test here, or is listed with a reason.
func TestEveryRequestIsMade(t *testing.T) {
	t.Parallel()
	exported, called := requestsOf(t), callsHere(t)
	if len(exported) < 120 {
		t.Fatalf("only %d requests found in the module's source", len(exported))
	}
	for name := range exported {
		why, listed := uncalled[name]
		switch {
		case called[name] && listed:
			t.Errorf("%s is called: take it out of uncalled", name)
		case !called[name] && !listed:
			t.Errorf("%s is called by no test and not in uncalled", name)
		case listed && why == "":
			t.Errorf("%s is in uncalled without a reason", name)
		}
	}
	for name := range uncalled {
		if !exported[name] {
			t.Errorf("%s is in uncalled, but the module has no such request", name)
		}
	}
	t.Logf("%d requests", len(exported))
}
