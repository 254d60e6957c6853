package compute_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// field is one line of testdata/answers.tsv.
type field struct {
	path     []string // with "[]" and "{any}" as elements
	required bool
	types    string
	lo, hi   int
}

type answers map[string][]field // by "METHOD path"

func loadAnswers(tb testing.TB) answers {
	tb.Helper()
	text, err := os.ReadFile("testdata/answers.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	all := answers{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(f) != 7 {
			continue
		}
		lo, _ := strconv.Atoi(f[2])
		hi, err := strconv.Atoi(f[3])
		if err != nil {
			hi = 1 << 30
		}
		all[f[0]+" "+f[1]] = append(all[f[0]+" "+f[1]], field{splitField(f[4]), f[5] == "R", f[6], lo, hi})
	}
	return all
}

// splitField parts a field at its dots; keys such as OS-EXT-STS:vm_state have none.
func splitField(s string) []string {
	var path []string
	for part := range strings.SplitSeq(s, ".") {
		n := strings.Count(part, "[]")
		path = append(path, strings.TrimSuffix(part, strings.Repeat("[]", n)))
		for range n {
			path = append(path, "[]")
		}
	}
	return path
}

// check compares a body with what its route may and must answer at a microversion.
func (a answers) check(route string, version int, body []byte) error {
	var fields []field
	for _, f := range a[route] {
		if version >= f.lo && version <= f.hi {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		return fmt.Errorf("no fields of %s at 2.%d", route, version)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return checkNode(v, nil, fields)
}

func same(path, at []string) bool {
	if len(path) != len(at) {
		return false
	}
	for i := range path {
		if path[i] != at[i] && path[i] != "{any}" {
			return false
		}
	}
	return true
}

func checkNode(v any, at []string, fields []field) error {
	here := strings.Join(at, ".")
	known := len(at) == 0
	for _, f := range fields {
		if same(f.path, at) {
			known = true
			if f.types == "open" {
				return nil
			}
			if !typeIs(v, f.types) {
				return fmt.Errorf("%s is %T, not %s", here, v, f.types)
			}
		}
	}
	if !known {
		return fmt.Errorf("%s may not be there", here)
	}
	switch n := v.(type) {
	case []any:
		for _, e := range n {
			if err := checkNode(e, append(at[:len(at):len(at)], "[]"), fields); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, f := range fields {
			if k := f.path[len(f.path)-1]; f.required && k != "{any}" && k != "[]" && same(f.path[:len(f.path)-1], at) {
				if _, ok := n[k]; !ok {
					return fmt.Errorf("%s lacks %s", here, k)
				}
			}
		}
		for k, e := range n {
			if err := checkNode(e, append(at[:len(at):len(at)], k), fields); err != nil {
				return err
			}
		}
	}
	return nil
}

func typeIs(v any, types string) bool {
	for t := range strings.SplitSeq(types, "|") {
		ok := false
		switch v := v.(type) {
		case nil:
			ok = t == "null"
		case string:
			ok = t == "string"
		case bool:
			ok = t == "boolean"
		case float64:
			ok = t == "number" || t == "integer" && v == float64(int64(v))
		case []any:
			ok = t == "array"
		case map[string]any:
			ok = t == "object"
		}
		if ok || t == "any" {
			return true
		}
	}
	return false
}
