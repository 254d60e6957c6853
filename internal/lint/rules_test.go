package lint

import (
	"go/parser"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rules are tried on code that breaks them: a rule that finds nothing may have gone blind.

func plant(t *testing.T, path, text string) *source {
	t.Helper()
	file, err := parser.ParseFile(fileSet, path, text, parser.ParseComments)
	require.NoError(t, err)
	return &source{path: path, text: []byte(text), file: file}
}

func TestPlantedNondeterminism(t *testing.T) {
	s := plant(t, "nomadlike/fsm/planted.go", `package fsm

import (
	"math/rand"
	clock "time"

	"github.com/google/uuid"
)

func f() {
	_ = clock.Now()
	_ = clock.Second
	_ = uuid.NewString()
	_ = uuid.NewSHA1(uuid.NameSpaceDNS, nil)
	go f()
	_ = rand.Int()
}
`)
	require.True(t, isDeterministic(s))
	require.ElementsMatch(t, []string{"nomadlike/fsm/planted.go imports math/rand", "nomadlike/fsm/planted.go:11:6 uses clock.Now",
		"nomadlike/fsm/planted.go:13:6 uses uuid.NewString", "nomadlike/fsm/planted.go:15:2 starts a goroutine"}, nondeterministic(s))
}

func TestPlantedMapRanges(t *testing.T) {
	found := mapRangesOf(t, "./internal/lint/testdata/maps")
	require.Equal(t, []string{"internal/lint/testdata/maps/maps.go:13:2", "internal/lint/testdata/maps/maps.go:16:2", "internal/lint/testdata/maps/maps.go:19:2"}, found)
}

func TestPlantedImports(t *testing.T) {
	s := plant(t, "client/planted.go", "package client\n\nimport (\n\t\"fmt\"\n\t_ \""+module+"/server/native\"\n)\n")
	require.Equal(t, []string{"server/native"}, ours(s))
	require.NotContains(t, mayImport[firstFolder(s.dir())], firstFolder("server/native"))
}

func TestPlantedUndocumented(t *testing.T) {
	s := plant(t, "api/planted.go", `package api

func Exported() {}

func hidden() {}

type T struct{}

type hiddenType[K any] struct{}

func (t *T) Method() {}

func (t *T) String() string { return "" }

func (h *hiddenType[K]) Method() {}

// Kind is a kind.
type Kind int

const (
	A Kind = iota
	B
)

const C = 1

// Both are documented.
var D, E = 1, 2
`)
	var found []string
	for _, d := range s.file.Decls {
		found = append(found, undocumented(d)...)
	}
	require.Equal(t, []string{"api/planted.go:3:1: Exported", "api/planted.go:7:6: T", "api/planted.go:11:1: Method", "api/planted.go:25:7: C"}, found)
}

func TestPlantedPaths(t *testing.T) {
	for _, line := range []string{`x = "/work/tree"`, "cd /root/go", "(/home/anna/x)", `"C:\Users\x"`, "/Users/Anna/x"} {
		require.True(t, machinePath.MatchString(line), line)
	}
	for _, line := range []string{"/var/lib/kilonova", "$root/root/.ssh", "https://example.org/home/x", "network/", "/workers"} {
		require.False(t, machinePath.MatchString(line), line)
	}
}
