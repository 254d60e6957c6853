package proxy

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Legacy turns the service's rows into those of the API before 2.1: the same at 2.1, without microversions, and with keys of bodies dropped that the
// row does not know.
func Legacy(rows []httpapi.Route) []httpapi.Route {
	var old []httpapi.Route
	for _, r := range LegacyExtensions(rows) {
		if r.Min > 1 {
			continue
		}
		r.Min, r.Max = 0, 0
		r.Handler = asFirst(r.Body, r.Handler)
		r.Body = nil
		old = append(old, r)
	}
	return old
}

// asFirst answers at 2.1, after the body was judged by the row's schema.
func asFirst(schema *httpapi.Schema, h httpapi.Handler) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		r.Version = 1
		if schema != nil {
			body, err := relax(schema, r.Body)
			if err != nil {
				return nil, err
			}
			r.Body = body
		}
		return h(r)
	}
}

// unknownKeys are the refusals of keys that a schema does not know, as Nova words them: the key of the object that they are in, nothing at the top,
// and the list of them.
var unknownKeys = regexp.MustCompile(`(?s)^(?:Invalid input for field/attribute (\S+)\. Value: .*\. )?` +
	`(?:Additional properties are not allowed \((.+) (?:was|were) unexpected\)|(.+) (?:does|do) not match any of the regexes: .*)$`)

var quotedKey = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"`)

// maxRelaxed bounds how many objects of a body may have unknown keys.
const maxRelaxed = 100

// relax judges a body and drops the keys that are refused for being unknown. Any other refusal stands.
func relax(schema *httpapi.Schema, body []byte) ([]byte, error) {
	if len(body) == 0 {
		body = []byte("null")
	}
	for range maxRelaxed {
		err := schema.Validate(body, 1)
		if err == nil {
			return body, nil
		}
		m := unknownKeys.FindStringSubmatch(err.Error())
		if m == nil {
			return nil, err
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return nil, err
		}
		var keys []string
		for _, k := range quotedKey.FindAllStringSubmatch(m[2]+m[3], -1) {
			keys = append(keys, k[1]+k[2])
		}
		if !dropKeys(v, m[1], keys) {
			return nil, err
		}
		if body, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	return nil, schema.Validate(body, 1)
}

// dropKeys removes keys from the object named in that is nearest to the top and has them all; false when there is none. Of several as near the first
// by path counts, as it does for the refusal.
func dropKeys(v any, in string, keys []string) bool {
	type place struct {
		value any
		name  string
	}
	level := []place{{v, ""}}
	for len(level) > 0 && len(keys) > 0 {
		var below []place
		for _, p := range level {
			switch n := p.value.(type) {
			case map[string]any:
				if p.name == in && !slices.ContainsFunc(keys, func(k string) bool { _, ok := n[k]; return !ok }) {
					for _, k := range keys {
						delete(n, k)
					}
					return true
				}
				for _, k := range slices.Sorted(maps.Keys(n)) {
					below = append(below, place{n[k], k})
				}
			case []any:
				for i, e := range n {
					below = append(below, place{e, strconv.Itoa(i)})
				}
			}
		}
		level = below
	}
	return false
}
