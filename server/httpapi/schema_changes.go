package httpapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Change is one way in which a schema differs at a microversion from how it was just before.
type Change struct {
	At   Microversion
	Path string // of the key, with [] for a list's elements: "server.networks[].tag"; "" is the whole
	Kind ChangeKind
}

// ChangeKind says what became different.
type ChangeKind string

// What can become different. A key that comes or goes takes those within it along: they are not named again.
const (
	KeyAdded    ChangeKind = "added"
	KeyRemoved  ChangeKind = "removed"
	KeyRequired ChangeKind = "required"
	KeyOptional ChangeKind = "optional"
	KeyValues   ChangeKind = "values" // other values are accepted
	KeysClosed  ChangeKind = "closed" // unknown keys are refused
	KeysOpen    ChangeKind = "open"   // unknown keys are let through
)

// Changes returns what the schema changes after microversion lo and until hi (0: without end), by microversion and path: the documentation is made of
// it. nil has none.
func (s *Schema) Changes(lo, hi Microversion) []Change {
	if s == nil {
		return nil
	}
	var all []Change
	before := s.keysAt(lo)
	for _, at := range s.cuts {
		if at <= lo || hi != 0 && at > hi {
			continue
		}
		now := s.keysAt(at)
		all = append(all, changed(at, before, now)...)
		before = now
	}
	return all
}

// schemaKey is what a schema says of one key, in all alternatives together.
type schemaKey struct {
	required, object, closed bool
	rest                     string // what else is said of it
}

func (s *Schema) keysAt(at Microversion) map[string]schemaKey {
	doc, _ := prune(s.doc, at)
	keys := map[string]schemaKey{}
	collectKeys(keys, "", asMap(doc), false)
	return keys
}

func collectKeys(keys map[string]schemaKey, path string, node map[string]any, required bool) {
	k := keys[path]
	k.required = k.required || required
	rest := map[string]any{}
	for word, v := range node {
		switch word {
		case "properties", "items", "required", "additionalProperties", "anyOf", "oneOf", "allOf":
		default:
			rest[word] = v
		}
	}
	if len(rest) > 0 {
		text, _ := json.Marshal(rest) // sorts keys; what was decoded can be encoded
		k.rest += string(text)
	}
	if props, ok := node["properties"].(map[string]any); ok {
		k.object, k.closed = true, node["additionalProperties"] == false
		for _, name := range slices.Sorted(maps.Keys(props)) {
			collectKeys(keys, strings.TrimPrefix(path+"."+name, "."), asMap(props[name]), slices.Contains(asList(node["required"]), any(name)))
		}
	}
	keys[path] = k
	if items := asMap(node["items"]); items != nil {
		collectKeys(keys, path+"[]", items, false)
	}
	for _, word := range []string{"anyOf", "oneOf", "allOf"} {
		for _, alternative := range asList(node[word]) {
			collectKeys(keys, path, asMap(alternative), false)
		}
	}
}

// changed compares two sets of keys.
func changed(at Microversion, before, now map[string]schemaKey) (all []Change) {
	add := func(path string, kind ChangeKind) { all = append(all, Change{at, path, kind}) }
	both := maps.Clone(before)
	maps.Copy(both, now)
	whole := map[string]bool{} // paths that came or went
	for _, path := range slices.Sorted(maps.Keys(both)) {
		old, was := before[path]
		k, is := now[path]
		switch {
		case belowAny(path, whole):
		case !was:
			whole[path] = true
			add(path, KeyAdded)
		case !is:
			whole[path] = true
			add(path, KeyRemoved)
		default:
			if k.required != old.required {
				add(path, pickKind(k.required, KeyRequired, KeyOptional))
			}
			if k.object && old.object && k.closed != old.closed {
				add(path, pickKind(k.closed, KeysClosed, KeysOpen))
			}
			if k.rest != old.rest || k.object != old.object {
				add(path, KeyValues)
			}
		}
	}
	return all
}

func pickKind(yes bool, this, other ChangeKind) ChangeKind {
	if yes {
		return this
	}
	return other
}

// belowAny reports whether a path is below one that came or went.
func belowAny(path string, whole map[string]bool) bool {
	for i, c := range path {
		if (c == '.' || c == '[') && whole[path[:i]] {
			return true
		}
	}
	return false
}
