package directory

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// maxTags bounds a project's tags, maxTag the characters of one.
const maxTags, maxTag = 80, 255

func (s *service) tagRoutes() []httpapi.Route {
	const all, one = "/projects/{id}/tags", "/projects/{id}/tags/{tag}"
	manager := func(name string) httpapi.Rule { return httpapi.Judged("identity:"+name, projectManager) }
	return append(append(
		reads(all, httpapi.Judged("identity:list_project_tags", projectReader), nil, 0, s.listTags),
		reads(one, httpapi.Judged("identity:get_project_tag", projectReader), nil, http.StatusNoContent, s.checkTag)...),
		httpapi.Route{Method: http.MethodPut, Path: all, Rule: manager("update_project_tags"), Body: tagsBody, Handler: s.setTags},
		httpapi.Route{Method: http.MethodDelete, Path: all, Rule: manager("delete_project_tags"), Status: http.StatusNoContent, Handler: s.deleteTags},
		httpapi.Route{Method: http.MethodPut, Path: one, Rule: manager("create_project_tag"), Status: http.StatusCreated, Handler: s.addTag},
		httpapi.Route{Method: http.MethodDelete, Path: one, Rule: manager("delete_project_tag"), Status: http.StatusNoContent, Handler: s.deleteTag})
}

func viewTags(r *httpapi.Request, tags []string) any {
	if tags == nil {
		tags = []string{}
	}
	return map[string]any{"tags": tags, "links": map[string]any{"self": r.RootURL() + r.URL.EscapedPath()}}
}

func (s *service) listTags(r *httpapi.Request) (any, error) {
	_, p, err := found(r, find)
	if err != nil {
		return nil, err
	}
	return viewTags(r, p.tags()), nil
}

func noTag(tag string) error { return base.NotFound("project tag", tag) }

func (s *service) checkTag(r *httpapi.Request) (any, error) {
	_, p, err := found(r, find)
	if err == nil && !slices.Contains(p.tags(), r.Vars["tag"]) {
		err = noTag(r.Vars["tag"])
	}
	return nil, err
}

// retag writes a project's tags as f makes them of those that it has. doing is the word for it in a refusal.
func (s *service) retag(r *httpapi.Request, doing string, f func(has []string) ([]string, error)) error {
	_, err := base.Change(r, func(st state.Reader) (place, error) {
		p, err := find(r, st)
		if err != nil {
			return p, err
		}
		if p.immutable() {
			return p, httpapi.Forbidden("Cannot %s project tags for %s, project is immutable. Set \"immutable\" option to false before creating project tags.", doing, r.Vars["id"])
		}
		tags, err := f(slices.Clone(p.tags()))
		if err != nil {
			return p, err
		}
		text, _ := json.Marshal(tags)
		return s.changePlace(r, p, fields{"tags": text})
	})
	return err
}

func (s *service) setTags(r *httpapi.Request) (any, error) {
	var in struct {
		Tags []string `json:"tags"`
	}
	_ = json.Unmarshal(r.Body, &in) // the schema has let it through
	for i, t := range in.Tags {
		in.Tags[i] = strings.TrimSpace(t)
	}
	if err := s.retag(r, "update", func([]string) ([]string, error) { return in.Tags, nil }); err != nil {
		return nil, err
	}
	return viewTags(r, in.Tags), nil
}

func (s *service) deleteTags(r *httpapi.Request) (any, error) {
	return nil, s.retag(r, "update", func([]string) ([]string, error) { return []string{}, nil })
}

// addTag adds one that is not there yet: one that is would be there twice, which Keystone refuses.
func (s *service) addTag(r *httpapi.Request) (any, error) {
	tag := r.Vars["tag"]
	err := s.retag(r, "create", func(has []string) ([]string, error) {
		switch {
		case strings.ContainsAny(tag, ",/") || utf8.RuneCountInString(tag) > maxTag || strings.TrimSpace(tag) == "":
			return nil, httpapi.BadRequest("'%s' is no tag: 1 to %d characters without a comma and a slash are right", tag, maxTag)
		case slices.Contains(has, tag):
			return nil, httpapi.BadRequest("['%s'] has non-unique elements", strings.Join(append(has, tag), "', '"))
		case len(has) >= maxTags:
			return nil, httpapi.BadRequest("the project has %d tags; at most %d are right", len(has), maxTags)
		}
		return append(has, tag), nil
	})
	if err != nil {
		return nil, err
	}
	r.Writer.Header().Set("Location", r.RootURL()+r.URL.EscapedPath())
	return nil, nil
}

func (s *service) deleteTag(r *httpapi.Request) (any, error) {
	return nil, s.retag(r, "delete", func(has []string) ([]string, error) {
		i := slices.Index(has, r.Vars["tag"])
		if i < 0 {
			return nil, noTag(r.Vars["tag"])
		}
		return slices.Delete(has, i, i+1), nil
	})
}
