package directory

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// fields are a body's, as its schema has let them through.
type fields map[string]json.RawMessage

func body(r *httpapi.Request, key string) (fields, error) {
	f, err := base.Body(r, key)
	return f, err
}

// has reports whether a field is there with a value.
func (f fields) has(key string) bool { return len(f[key]) > 0 && string(f[key]) != "null" }

// text is a field that is a text, "" of null and of what is not there.
func (f fields) text(key string) string {
	var s string
	_ = json.Unmarshal(f[key], &s)
	return s
}

// name is a field without the space around it.
func (f fields) name(key string) string { return strings.TrimSpace(f.text(key)) }

// flag is a field that is a boolean or a word for one; without it, it is what it was.
func (f fields) flag(key string, was bool) bool {
	if !f.has(key) {
		return was
	}
	var v any
	_ = json.Unmarshal(f[key], &v)
	if s, ok := v.(string); ok {
		return !slices.Contains([]string{"", "0", "n", "no", "off", "false"}, strings.ToLower(s))
	}
	return v == true
}

// tags are a field's texts without the space around them, sorted, each once.
func (f fields) tags(key string) []string {
	var list []string
	_ = json.Unmarshal(f[key], &list)
	return tidy(list)
}

func tidy(tags []string) []string {
	out := make([]string, 0, len(tags))
	for _, t := range tags {
		out = append(out, strings.TrimSpace(t))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// immutable is the option of the name: what it was, unless the body says something of it.
func (f fields) immutable(was structs.Option) structs.Option {
	var o map[string]json.RawMessage
	_ = json.Unmarshal(f["options"], &o) // the schema has seen to it
	if v, there := o["immutable"]; there {
		return base.OptionOf(v)
	}
	return was
}

// thaws reports whether a body makes an immutable thing mutable and nothing else, which is the one change that it takes.
func (f fields) thaws() bool { return len(f) == 1 && f.immutable(structs.Yes) != structs.Yes }

// stays refuses a change of what is for good.
func (f fields) stays(key, value, message string) error {
	if _, there := f[key]; there && f.text(key) != value {
		return httpapi.BadRequest("%s", message)
	}
	return nil
}

// same refuses a change of who a thing is.
func (f fields) same(id string, domain structs.DomainID) error {
	if f.has("id") && f.text("id") != id {
		return httpapi.BadRequest("Cannot change ID")
	}
	return f.stays("domain_id", string(domain), "Cannot change Domain ID")
}

// home is the domain that a new thing belongs to: the one that is named, else the one that the token is on, else the default one.
func (f fields) home(r *httpapi.Request) structs.DomainID {
	switch d := structs.DomainID(f.text("domain_id")); {
	case d != "":
		return d
	case r.Token.DomainID != "":
		return r.Token.DomainID
	}
	return base.DefaultDomain
}

// of has what is found for a request found in a state.
func of[T any](r *httpapi.Request, find func(*httpapi.Request, state.Reader) (T, error)) func(state.Reader) (T, error) {
	return func(st state.Reader) (T, error) { return find(r, st) }
}

// found finds what a request is about in the state of now.
func found[T any](r *httpapi.Request, find func(*httpapi.Request, state.Reader) (T, error)) (state.Reader, T, error) {
	st, err := base.Read(r)
	if err != nil {
		var zero T
		return st, zero, err
	}
	v, err := find(r, st)
	return st, v, err
}

// target is what a rule asks about, by attribute and value in turn.
func target(pairs ...string) policy.Target {
	t := policy.Target{More: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		t.More[pairs[i]] = pairs[i+1]
	}
	return t
}

// scoped is the target of a list: the domain of a token on one, which sees what is in it and nothing else.
func scoped(r *httpapi.Request, attribute string) policy.Target {
	if r.Token.DomainID == "" {
		return policy.Target{}
	}
	return target(attribute, string(r.Token.DomainID))
}

// outside reports whether a token on a domain does not see what is in another.
func outside(r *httpapi.Request, d structs.DomainID) bool {
	return r.Token.DomainID != "" && r.Token.DomainID != d
}

// maxPage bounds a page as Keystone's max_db_limit.
const maxPage = 1000

// page is a list by id from its marker on, with a link to the next one when limit has cut it or just fitted. Without limit it is whole.
func page(r *httpapi.Request, key string, items []base.View) (any, error) {
	id := func(v base.View) string { s, _ := v["id"].(string); return s }
	slices.SortFunc(items, func(a, b base.View) int { return strings.Compare(id(a), id(b)) })
	q := r.Query()
	if marker := q.Get("marker"); marker != "" {
		i := slices.IndexFunc(items, func(v base.View) bool { return id(v) == marker })
		if i < 0 {
			return nil, httpapi.NotFound("Marker %s could not be found.", marker)
		}
		items = items[i+1:]
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	limit = min(limit, maxPage)
	if err != nil || limit < 1 || len(items) < limit {
		return base.Collection(r, key, items), nil
	}
	items = items[:limit]
	list := base.Collection(r, key, items).(map[string]any)
	next := url.Values(maps.Clone(q))
	next.Set("marker", id(items[limit-1]))
	next.Set("limit", strconv.Itoa(limit))
	list["links"].(map[string]any)["next"] = r.RootURL() + r.URL.EscapedPath() + "?" + next.Encode()
	list["truncated"] = true
	return list, nil
}
