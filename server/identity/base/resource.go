package base

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// View is a resource as the API shows it.
type View map[string]any

// NewView returns a view with what a thing's maker said beyond what the API knows; the API's own keys are set after.
func NewView(extra structs.Extra) View {
	v := View{}
	if len(extra) > 0 {
		_ = json.Unmarshal(extra, &v) // it was made by ExtraOf
	}
	return v
}

// Link sets the resource's link to itself.
func (v View) Link(r *httpapi.Request, parts ...string) View {
	v["links"] = map[string]any{"self": r.Self(parts...)}
	return v
}

// Body returns the object under a request body's one key, which the schema has demanded.
func Body(r *httpapi.Request, key string) (map[string]json.RawMessage, error) {
	var body map[string]map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &body); err != nil || body[key] == nil {
		return nil, httpapi.BadRequest("Expecting to find %s in request body.", key)
	}
	return body[key], nil
}

// Decode reads a request body's object into a struct.
func Decode(r *httpapi.Request, key string, into any) error {
	fields, err := Body(r, key)
	if err != nil {
		return err
	}
	text, _ := json.Marshal(fields)
	if err := json.Unmarshal(text, into); err != nil {
		return httpapi.BadRequest("a field of %s has the wrong type", key)
	}
	return nil
}

// MaxExtra bounds what is kept of a thing without being known, in bytes.
const MaxExtra = 16 << 10

// ExtraOf returns what a thing has (old) with those of a body's fields that are not known. null takes a field away from a thing that has it, and is kept of one
// that has not, as in Keystone. KindTooLarge: more than MaxExtra.
func ExtraOf(old structs.Extra, fields map[string]json.RawMessage, known ...string) (structs.Extra, error) {
	all := map[string]json.RawMessage{}
	if len(old) > 0 {
		_ = json.Unmarshal(old, &all)
	}
	for k, v := range fields {
		if !slices.Contains(known, k) && k != "links" {
			all[k] = v
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(all) // of a map: sorted by key
	if err != nil {
		return nil, httpapi.BadRequest("the fields that the service does not know are no JSON")
	}
	if len(text) > MaxExtra {
		return nil, structs.Errorf(structs.KindTooLarge, "what the service does not know has %d bytes; at most %d are kept", len(text), MaxExtra)
	}
	return text, nil
}

// Collection is a list's body: Keystone's lists are whole, their next and previous null.
func Collection[T any](r *httpapi.Request, key string, items []T) any {
	self := r.RootURL() + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		self += "?" + r.URL.RawQuery
	}
	if items == nil {
		items = []T{}
	}
	return map[string]any{key: items, "links": map[string]any{"self": self, "previous": nil, "next": nil}}
}

// Flag reads a query flag: there without value it is on.
func Flag(r *httpapi.Request, name string) bool {
	q := r.Query()
	return q.Has(name) && !off(q.Get(name))
}

func off(s string) bool {
	return slices.Contains([]string{"0", "false", "no", "off"}, strings.ToLower(s))
}

// comparisons are what a filter's name may end with (keystone/common/driver_hints.py).
var comparisons = map[string]func(value, with string) bool{
	"contains": strings.Contains, "startswith": strings.HasPrefix, "endswith": strings.HasSuffix, "equals": func(v, w string) bool { return v == w },
	"icontains":   func(v, w string) bool { return strings.Contains(strings.ToLower(v), strings.ToLower(w)) },
	"istartswith": func(v, w string) bool { return strings.HasPrefix(strings.ToLower(v), strings.ToLower(w)) },
	"iendswith":   func(v, w string) bool { return strings.HasSuffix(strings.ToLower(v), strings.ToLower(w)) },
	"iequals":     strings.EqualFold,
}

// Matches compares a view with those of a request's query parameters that are filters: a name alone asks for equality, names with letter case ignored as
// databases do, NAME__contains and its like for a part. What is no filter of this list is ignored, as in Keystone.
func Matches(r *httpapi.Request, v View, filters ...string) bool {
	q := r.Query()
	for param := range maps.Keys(q) {
		name, how, _ := strings.Cut(param, "__")
		if !slices.Contains(filters, name) {
			continue
		}
		want := q.Get(param)
		switch value := v[name].(type) {
		case bool:
			if how == "" && value == off(want) {
				return false
			}
		case nil:
			if how == "" && want != "" && want != "null" && want != "None" {
				return false
			}
		default:
			compare := comparisons[how]
			if how == "" {
				compare = strings.EqualFold
			}
			if compare != nil && !compare(text(value), want) {
				return false
			}
		}
	}
	return true
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return strings.Trim(string(b), `"`)
}

// Read is a read that sees everything that was acknowledged.
func Read(r *httpapi.Request) (state.Reader, error) { return r.Core.Read(r.Context()) }

// changes bounds how often a change is tried again.
const changes = 20

// Change makes a change from what the state says, again when somebody else's came between the reading and the writing.
func Change[T any](r *httpapi.Request, f func(st state.Reader) (T, error)) (T, error) {
	for i := 0; ; i++ {
		st, err := Read(r)
		if err != nil {
			var zero T
			return zero, err
		}
		v, err := f(st)
		var e *structs.Error
		if i < changes && errors.As(err, &e) && e.Kind == structs.KindConflict && e.Message == structs.ErrChanged.Message {
			continue
		}
		return v, err
	}
}

// NotFound is Keystone's 404: NotFound("user", id).
func NotFound(kind string, id any) error { return httpapi.NotFound("Could not find %s: %v.", kind, id) }

// Immutable is Keystone's refusal to change or remove what has the option immutable.
func Immutable(kind, id string, remove bool) error {
	if remove {
		return httpapi.Forbidden("Unable to delete immutable %s resource: `%s. Set resource option \"immutable\" to false first.", kind, id)
	}
	return httpapi.Forbidden("Unable to update immutable %s resource: `%s`. Set resource option \"immutable\" to false first.", kind, id)
}
