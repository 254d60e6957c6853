package lint

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says, for each first folder (the root's main package is "."), which of ours its code may use. Tests may use more. Imports
// point one way: command → server, client → nomadlike; client → plugins ← drivers.
var mayImport = map[string][]string{
	".":         {"command"},
	"command":   {"command", "server", "client", "nomadlike", "drivers", "plugins", "api", "version"},
	"server":    {"server", "nomadlike", "version"},
	"client":    {"client", "nomadlike", "plugins", "version"},
	"nomadlike": {"nomadlike", "version"},
	"drivers":   {"drivers", "plugins", "version"},
	"plugins":   {"plugins"},
	"api":       {"api"},
	"version":   {},
	"internal":  {},
	"website":   {"website"},
	"e2e":       {"api", "e2e"},
	"bench":     {"api", "bench"},
	"scripts":   {},
}

func TestImportsPointOneWay(t *testing.T) {
	var findings, unknown []string
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		folder := firstFolder(s.dir())
		allowed, known := mayImport[folder]
		if !known {
			unknown = append(unknown, folder)
			continue
		}
		for _, imported := range ours(s) {
			if !slices.Contains(allowed, firstFolder(imported)) {
				findings = append(findings, s.path+" imports "+imported)
			}
		}
	}
	report(t, findings, "Imports point one way (design.md, section 2). Move what is shared to the lower folder, or declare the small interface that is "+
		"needed and let command/agent supply it:")
	report(t, unknown, "These folders are new: say in mayImport what their code may import:")
}

// ours returns the imports of this module, below its root.
func ours(s *source) (paths []string) {
	for _, i := range s.file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if rest, ok := strings.CutPrefix(path, module+"/"); err == nil && ok {
			paths = append(paths, rest)
		}
	}
	return paths
}

func firstFolder(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}
