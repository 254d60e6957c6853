package agent

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Where string // file:line,column; a flag; $VARIABLE
	What  string // what is wrong and what would be right
}

func (p Problem) String() string { return p.Where + ": " + p.What }

// Problems is every thing that is wrong with a configuration: the operator mends them in one go.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(where, format string, args ...any) {
	*p = append(*p, Problem{Where: where, What: fmt.Sprintf(format, args...)})
}

// sources says where each thing of a configuration was said, by its path: "server.bootstrap_expect".
type sources map[string]string

// of returns where path, or the nearest block around it, was said.
func (s sources) of(path string) string {
	for p := path; p != ""; p = parentPath(p) {
		if where, ok := s[p]; ok {
			return where
		}
	}
	return "configuration"
}

func parentPath(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

func joinPath(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

func position(r hcl.Range) string {
	return fmt.Sprintf("%s:%d,%d", r.Filename, r.Start.Line, r.Start.Column)
}
