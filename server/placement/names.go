package placement

import (
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

var traitsQuery = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "properties": {
	"name": {"type": "string", "minLength": 1},
	"associated": {"type": "string", "enum": ["true", "false", "True", "False", "1", "0", "yes", "no"]}}}`)

type classView struct {
	Name  string         `json:"name"`
	Links []providerLink `json:"links"`
}

func viewClass(r *httpapi.Request, name string) classView {
	return classView{name, []providerLink{{"self", r.Service.Prefix + "/resource_classes/" + name}}}
}

func listClasses(r *httpapi.Request) (any, error) {
	modified(r, 0)
	out := []classView{}
	for _, c := range classes {
		out = append(out, viewClass(r, c.name))
	}
	return map[string]any{"resource_classes": out}, nil
}

func showClass(r *httpapi.Request) (any, error) {
	name := r.Vars["name"]
	if classNamed(name) == nil {
		return nil, httpapi.NotFound("No such resource class %s.", name)
	}
	modified(r, 0)
	return viewClass(r, name), nil
}

// hostTraits returns the traits that some host has, sorted. Others are not kept anywhere.
func hostTraits(st state.Reader) []string {
	seen := map[string]bool{}
	out := []string{}
	for h := range st.Hosts() {
		for _, t := range h.Traits {
			if !seen[t] {
				seen[t] = true
				out = append(out, t)
			}
		}
	}
	slices.Sort(out)
	return out
}

// listTraits filters by ?name=in:A,B or ?name=startswith:PREFIX, and by ?associated.
func listTraits(r *httpapi.Request) (any, error) {
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	q := r.Query()
	keep := func(string) bool { return true }
	if q.Has("name") {
		name := q.Get("name")
		if list, ok := strings.CutPrefix(name, "in:"); ok {
			names := strings.Split(list, ",")
			keep = func(t string) bool { return slices.Contains(names, t) }
		} else if p, ok := strings.CutPrefix(name, "startswith:"); ok {
			keep = func(t string) bool { return strings.HasPrefix(t, p) }
		} else {
			return nil, httpapi.BadRequest("Badly formatted name parameter. Expected name query string parameter in form: ?name=[in|startswith]:[name1,name2|prefix]. Got: %q", name)
		}
	}
	if slices.Contains([]string{"false", "False", "0", "no"}, q.Get("associated")) {
		keep = func(string) bool { return false } // every trait here is some host's
	}
	modified(r, 0)
	out := slices.DeleteFunc(hostTraits(st), func(t string) bool { return !keep(t) })
	return map[string]any{"traits": out}, nil
}

// showTrait answers 204: the trait exists.
func showTrait(r *httpapi.Request) (any, error) {
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if !slices.Contains(hostTraits(st), r.Vars["name"]) {
		return nil, httpapi.NotFound("No such trait(s): %s.", r.Vars["name"])
	}
	modified(r, 0)
	return httpapi.Reply{Status: 204}, nil
}
