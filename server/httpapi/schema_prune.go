package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// decodeJSON decodes exactly one value, numbers as they were written.
func decodeJSON(text []byte) (any, error) {
	if err := checkUTF8(text); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the value")
	}
	if mayHaveExponent(text) && hugeNumber(v) {
		return nil, errors.New("a number is beyond every use")
	}
	return v, nil
}

// mayHaveExponent tells cheaply most texts in which no number has an exponent.
func mayHaveExponent(text []byte) bool {
	for i := 1; i+1 < len(text); i++ {
		if c := text[i]; (c == 'e' || c == 'E') && text[i-1] >= '0' && text[i-1] <= '9' {
			return true
		}
	}
	return false
}

// hugeNumber finds numbers that no float holds. Judging one exactly takes time and memory in proportion to its value, not to its text.
func hugeNumber(v any) bool {
	switch n := v.(type) {
	case json.Number:
		i := strings.IndexAny(n.String(), "eE")
		if i < 0 {
			return false
		}
		exp, err := strconv.Atoi(n.String()[i+1:])
		return err != nil || exp > 400 || exp < -400
	case []any:
		return slices.ContainsFunc(n, hugeNumber)
	case map[string]any:
		for _, e := range n {
			if hugeNumber(e) {
				return true
			}
		}
	}
	return false
}

// literal keywords hold values, not schemas: what is in them is left alone.
var literal = map[string]bool{"enum": true, "const": true, "default": true, "examples": true}

func bound(v any) (Microversion, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(n.String())
	return Microversion(i), err == nil
}

// bounds reads a pair of bounds from a node under either spelling; 0 is none.
func bounds(node map[string]any) (lo, hi Microversion) {
	for _, k := range []string{"x-min", "min"} {
		if b, ok := bound(node[k]); ok {
			lo = b
		}
	}
	for _, k := range []string{"x-max", "max"} {
		if b, ok := bound(node[k]); ok {
			hi = b
		}
	}
	return lo, hi
}

func within(v, lo, hi Microversion) bool { return v >= lo && (hi == 0 || v <= hi) }

// findCuts collects the versions at which a document changes.
func findCuts(v any, cuts map[Microversion]bool) {
	add := func(node map[string]any) {
		lo, hi := bounds(node)
		if lo > 0 {
			cuts[lo] = true
		}
		if hi > 0 {
			cuts[hi+1] = true
		}
	}
	switch n := v.(type) {
	case []any:
		for _, e := range n {
			findCuts(e, cuts)
		}
	case map[string]any:
		_, lo := n["x-min"]
		_, hi := n["x-max"]
		if lo || hi {
			add(map[string]any{"x-min": n["x-min"], "x-max": n["x-max"]})
		}
		if b, ok := bound(n["x-closed-from"]); ok {
			cuts[b] = true
		}
		for _, e := range asMap(n["x-required"]) {
			add(asMap(e))
		}
		for _, e := range asList(n["x-when"]) {
			add(asMap(e))
		}
		for k, e := range n {
			if !literal[k] {
				findCuts(e, cuts)
			}
		}
	}
}

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }
func asList(v any) []any         { l, _ := v.([]any); return l }

// prune returns the document as it holds at a version; ok is false when it does not hold at all.
func prune(v any, at Microversion) (out any, ok bool) {
	switch n := v.(type) {
	case []any:
		list := make([]any, 0, len(n))
		for _, e := range n {
			if p, ok := prune(e, at); ok {
				list = append(list, p)
			}
		}
		return list, true
	case map[string]any:
		return pruneNode(n, at)
	}
	return v, true
}

func pruneNode(n map[string]any, at Microversion) (any, bool) {
	lo, _ := bound(n["x-min"])
	hi, _ := bound(n["x-max"])
	if !within(at, lo, hi) {
		return nil, false
	}
	n = whenMerged(n, at)
	m := make(map[string]any, len(n))
	for k, e := range n {
		switch k {
		case "x-min", "x-max", "x-required", "x-closed-from", "x-when":
			continue
		}
		if literal[k] {
			m[k] = e
		} else if p, ok := prune(e, at); ok && !emptyAlternative(k, p) {
			m[k] = p
		}
	}
	required := slices.Clone(asList(m["required"]))
	conditional := asMap(n["x-required"])
	for _, name := range slices.Sorted(maps.Keys(conditional)) {
		if lo, hi := bounds(asMap(conditional[name])); within(at, lo, hi) && !slices.Contains(required, any(name)) {
			required = append(required, name)
		}
	}
	if len(required) > 0 {
		m["required"] = required
	}
	if b, ok := bound(n["x-closed-from"]); ok {
		m["additionalProperties"] = at < b
	}
	return m, true
}

// whenMerged merges the first part of x-when that holds into a copy of the node.
func whenMerged(n map[string]any, at Microversion) map[string]any {
	for _, w := range asList(n["x-when"]) {
		part := asMap(w)
		if lo, hi := bounds(part); !within(at, lo, hi) {
			continue
		}
		n = maps.Clone(n)
		maps.Copy(n, asMap(part["schema"]))
		return n
	}
	return n
}

// emptyAlternative tells a list of alternatives of which none is left: it says nothing any more.
func emptyAlternative(keyword string, v any) bool {
	l, ok := v.([]any)
	return ok && len(l) == 0 && (keyword == "anyOf" || keyword == "oneOf" || keyword == "allOf")
}

// listed turns a query's schema of single values into one of lists, as the values of a query are.
func listed(doc map[string]any) map[string]any {
	lists := func(props map[string]any) map[string]any {
		out := make(map[string]any, len(props))
		for k, p := range props {
			node := asMap(p)
			if node == nil || node["type"] == "array" || len(node) == 0 {
				out[k] = p
			} else {
				out[k] = map[string]any{"type": "array", "items": p}
			}
		}
		return out
	}
	doc = maps.Clone(doc)
	for _, k := range []string{"properties", "patternProperties"} {
		if props := asMap(doc[k]); props != nil {
			doc[k] = lists(props)
		}
	}
	return doc
}

const schemaURL = "kilonova:///schema"

// compile makes the variant of a document that holds at a version.
func compile(doc any, at Microversion, u use) (*variant, error) {
	pruned, ok := prune(doc, at)
	if !ok {
		pruned = map[string]any{}
	}
	root := asMap(pruned)
	if u == useQuery {
		if root == nil {
			return nil, errors.New("a query schema is an object schema")
		}
		root = listed(root)
		pruned = root
	}
	if err := knownFormats(pruned); err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	c.RegisterVocabulary(numbersVocabulary)
	c.AssertVocabs()
	for _, f := range formats {
		c.RegisterFormat(f)
	}
	if err := c.AddResource(schemaURL, pruned); err != nil {
		return nil, fmt.Errorf("schema at microversion %d: %w", at, err)
	}
	s, err := c.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("schema at microversion %d: %w", at, err)
	}
	v := &variant{doc: pruned, schema: s, open: root["additionalProperties"] != false}
	v.known = slices.Sorted(maps.Keys(asMap(root["properties"])))
	return v, nil
}

// knownFormats refuses a format that nothing checks.
func knownFormats(v any) error {
	switch n := v.(type) {
	case []any:
		for _, e := range n {
			if err := knownFormats(e); err != nil {
				return err
			}
		}
	case map[string]any:
		if f, ok := n["format"].(string); ok && f != "regex" && formats[f] == nil {
			return fmt.Errorf("schema has the unknown format %q", f)
		}
		for k, e := range n {
			if literal[k] {
				continue
			}
			if err := knownFormats(e); err != nil {
				return err
			}
		}
	}
	return nil
}
