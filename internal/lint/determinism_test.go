package lint

import (
	"go/ast"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// deterministic are the packages whose results depend on their input alone: the same log gives the same state on every server.
var deterministic = []string{"nomadlike/fsm", "nomadlike/state", "nomadlike/operation"}

// forbiddenImports give what differs between servers.
var forbiddenImports = []string{"math/rand", "math/rand/v2", "crypto/rand", "os", "net", "net/http", "os/exec", "runtime", "syscall"}

// forbiddenCalls are functions that do, of packages that are else allowed.
var forbiddenCalls = map[string][]string{
	"time":                   {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
	"github.com/google/uuid": {"New", "NewString", "NewRandom", "NewUUID", "NewV6", "NewV7", "NewRandomFromReader", "Must"},
}

func isDeterministic(s *source) bool { return !s.test && slices.Contains(deterministic, s.dir()) }

func TestStateDependsOnItsInputAlone(t *testing.T) {
	var findings []string
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if !isDeterministic(s) {
			continue
		}
		seen[s.dir()] = true
		findings = append(findings, nondeterministic(s)...)
	}
	require.Len(t, seen, len(deterministic), "a package that this rule is about has moved")
	report(t, findings, "What the state machine does depends on the entry and the state alone. Let the proposer put times, ids and random choices into "+
		"the entry (Now, Seed), and keep goroutines in the shells around:")
}

// nondeterministic finds what may differ between two servers, but for the order of maps.
func nondeterministic(s *source) (findings []string) {
	names := importNames(s)
	for _, path := range names {
		if slices.Contains(forbiddenImports, path) {
			findings = append(findings, s.path+" imports "+path)
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(forbiddenCalls[names[x.Name]], n.Sel.Name) {
				findings = append(findings, at(n)+" uses "+x.Name+"."+n.Sel.Name)
			}
		case *ast.GoStmt:
			findings = append(findings, at(n)+" starts a goroutine")
		}
		return true
	})
	return findings
}

// importNames maps the names that a file uses to import paths.
func importNames(s *source) map[string]string {
	names := map[string]string{}
	for _, i := range s.file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = path
	}
	return names
}

// orderFree in a comment on the line of a range over a map, or above it, says why the order does not matter.
const orderFree = "order-free:"

func TestMapsAreNotRangedInTheirOrder(t *testing.T) {
	var patterns []string
	for _, dir := range deterministic {
		patterns = append(patterns, "./"+dir)
	}
	findings := mapRangesOf(t, patterns...)
	report(t, findings, "A map's order differs from run to run and must not reach the state. Range over slices.Sorted(maps.Keys(m)), or say on the line "+
		"above why the order does not matter: // order-free: ...")
}

func mapRangesOf(t *testing.T, patterns ...string) (findings []string) {
	t.Helper()
	config := &packages.Config{Dir: root, Fset: fileSet, Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports}
	loaded, err := packages.Load(config, patterns...)
	require.NoError(t, err)
	require.Len(t, loaded, len(patterns))
	for _, p := range loaded {
		require.Empty(t, p.Errors)
		for _, file := range p.Syntax {
			findings = append(findings, mapRanges(p, file)...)
		}
	}
	return findings
}

func mapRanges(p *packages.Package, file *ast.File) (findings []string) {
	excused := map[int]bool{}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if strings.Contains(comment.Text, orderFree) {
				line := p.Fset.Position(comment.Pos()).Line
				excused[line], excused[line+1] = true, true
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		loop, ok := n.(*ast.RangeStmt)
		if !ok {
			return true
		}
		position := p.Fset.Position(loop.Pos())
		if !excused[position.Line] && rangesOverMap(p, loop) {
			below, err := filepath.Rel(absolute(root), position.Filename)
			if err == nil {
				position.Filename = filepath.ToSlash(below)
			}
			findings = append(findings, position.String())
		}
		return true
	})
	return findings
}

// rangesOverMap also sees maps.Keys, maps.Values and maps.All.
func rangesOverMap(p *packages.Package, loop *ast.RangeStmt) bool {
	if _, ok := p.TypesInfo.TypeOf(loop.X).Underlying().(*types.Map); ok {
		return true
	}
	call, ok := loop.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	object := p.TypesInfo.Uses[selector.Sel]
	return object != nil && object.Pkg() != nil && object.Pkg().Path() == "maps"
}

func absolute(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return full
}
