package directory

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func (s *service) projectRoutes() []httpapi.Route {
	const list, one = "/projects", "/projects/{id}"
	return append(append(
		reads(list, httpapi.Judged("identity:list_projects", systemReader+" or (role:reader and domain_id:%(target.domain_id)s)"), projectQuery, 0, s.listProjects),
		reads(one, httpapi.Judged("identity:get_project", projectReader), nil, 0, s.showProject)...),
		httpapi.Route{Method: http.MethodPost, Path: list, Rule: httpapi.Judged("identity:create_project", projectManager), Body: projectNew, Status: http.StatusCreated, Handler: s.createProject},
		httpapi.Route{Method: http.MethodPatch, Path: one, Rule: httpapi.Judged("identity:update_project", projectManager), Body: projectChange, Handler: s.updateProject},
		httpapi.Route{Method: http.MethodDelete, Path: one, Rule: httpapi.Judged("identity:delete_project", projectManager), Status: http.StatusNoContent, Handler: s.deleteProject})
}

// place is what a project's URL names: a project, or the one that a domain is, too.
type place struct {
	project *structs.Project
	domain  *structs.Domain
}

func (p place) tags() []string {
	if p.domain != nil {
		return p.domain.Tags
	}
	return p.project.Tags
}

func (p place) immutable() bool {
	return p.domain != nil && p.domain.Immutable == structs.Yes || p.project != nil && p.project.Immutable == structs.Yes
}

func (p place) view(r *httpapi.Request) base.View {
	if p.domain != nil {
		return base.ViewDomainProject(r, p.domain)
	}
	return base.ViewProject(r, p.project)
}

// find finds the place of a request, judges the row's rule for it, and answers 404 for what is not there.
func find(r *httpapi.Request, st state.Reader) (place, error) {
	id := r.Vars["id"]
	p := place{st.Project(structs.ProjectID(id)), st.Domain(structs.DomainID(id))}
	what := policy.Target{}
	switch {
	case p.project != nil:
		what = target("target.project.id", id, "target.project.domain_id", string(p.project.DomainID))
	case p.domain != nil:
		what = target("target.project.id", id, "target.project.domain_id", "")
	}
	if err := r.Judge(what); err != nil {
		return p, err
	}
	if p.project == nil && p.domain == nil {
		return p, base.NotFound("project", id)
	}
	return p, nil
}

var projectFilters = []string{"domain_id", "enabled", "name", "parent_id"}

func (s *service) listProjects(r *httpapi.Request) (any, error) {
	if err := r.Judge(scoped(r, "target.domain_id")); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	var out []base.View
	add := func(v base.View, tags []string) {
		if base.Matches(r, v, projectFilters...) && tagged(r, tags) {
			out = append(out, v)
		}
	}
	if base.Flag(r, "is_domain") {
		for d := range st.Domains() {
			if r.Token.DomainID == "" { // a domain is in none
				add(base.ViewDomainProject(r, d), d.Tags)
			}
		}
		return page(r, "projects", out)
	}
	for p := range st.Projects() {
		if !outside(r, p.DomainID) {
			add(base.ViewProject(r, p), p.Tags)
		}
	}
	return page(r, "projects", out)
}

// tagged compares tags with the filters of tags, each a list with commas.
func tagged(r *httpapi.Request, tags []string) bool {
	q := r.Query()
	has := func(t string) bool { return slices.Contains(tags, t) }
	hasNot := func(t string) bool { return !has(t) }
	for name, misses := range map[string]func([]string) bool{
		"tags":         func(want []string) bool { return slices.ContainsFunc(want, hasNot) },
		"tags-any":     func(want []string) bool { return !slices.ContainsFunc(want, has) },
		"not-tags":     func(want []string) bool { return !slices.ContainsFunc(want, hasNot) },
		"not-tags-any": func(want []string) bool { return slices.ContainsFunc(want, has) },
	} {
		if q.Has(name) && misses(strings.Split(q.Get(name), ",")) {
			return false
		}
	}
	return true
}

func (s *service) showProject(r *httpapi.Request) (any, error) {
	st, p, err := found(r, find)
	if err != nil {
		return nil, err
	}
	v := p.view(r)
	if err := family(r, st, p, v); err != nil {
		return nil, err
	}
	return map[string]any{"project": v}, nil
}

func (s *service) createProject(r *httpapi.Request) (any, error) {
	f, err := body(r, "project")
	if err != nil {
		return nil, err
	}
	what := policy.Target{}
	if _, there := f["domain_id"]; there {
		what = target("target.project.domain_id", f.text("domain_id"))
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	if f.flag("is_domain", false) {
		if f.has("parent_id") || f.has("domain_id") {
			return nil, httpapi.BadRequest("only root projects are allowed to act as domains.")
		}
		d, err := s.makeDomain(r, structs.DomainID(nomadlike.NewHexID()), f)
		if err != nil {
			return nil, err
		}
		return map[string]any{"project": base.ViewDomainProject(r, d)}, nil
	}
	p := structs.Project{ID: structs.ProjectID(nomadlike.NewHexID()), DomainID: f.home(r), Enabled: true, ParentID: structs.ProjectID(f.text("parent_id"))}
	if err := fillProject(&p, f); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if d := structs.DomainID(p.ParentID); d != "" && st.Domain(d) != nil {
		if d != p.DomainID {
			return nil, httpapi.BadRequest("Cannot create project, the parent (%s) is acting as a domain, but this project's domain id (%s) does not match the parent's id.", d, p.DomainID)
		}
		p.ParentID = ""
	}
	made, err := fsm.ProjectWrite.Propose(r.Context(), r.Core, &structs.ProjectWriteRequest{Project: p, MaxDepth: s.o.MaxProjectDepth})
	if structs.KindOf(err) == structs.KindNotFound { // what the body names, not what the URL does
		var e *structs.Error
		if errors.As(err, &e) {
			return nil, httpapi.BadRequest("%s", e.Message)
		}
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"project": base.ViewProject(r, made)}, nil
}

// fillProject takes over what a body says.
func fillProject(p *structs.Project, f fields) error {
	var err error
	if f.has("name") {
		p.Name = f.name("name")
	}
	if _, there := f["description"]; there {
		p.Description = f.text("description")
	}
	if f.has("tags") {
		p.Tags = f.tags("tags")
	}
	p.Enabled, p.Immutable = f.flag("enabled", p.Enabled), f.immutable(p.Immutable)
	p.Extra, err = base.ExtraOf(p.Extra, f, "id", "name", "description", "enabled", "tags", "options", "domain_id", "parent_id", "is_domain")
	return err
}

func (s *service) updateProject(r *httpapi.Request) (any, error) {
	f, err := body(r, "project")
	if err != nil {
		return nil, err
	}
	p, err := base.Change(r, func(st state.Reader) (place, error) {
		p, err := find(r, st)
		if err != nil {
			return p, err
		}
		if f.has("id") && f.text("id") != r.Vars["id"] {
			return p, httpapi.BadRequest("Cannot change ID")
		}
		return s.changePlace(r, p, f)
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"project": p.view(r)}, nil
}

// changePlace writes a project, or a domain as one, with what a body says.
func (s *service) changePlace(r *httpapi.Request, p place, f fields) (place, error) {
	domain, parent := "", ""
	if p.project != nil {
		domain, parent = string(p.project.DomainID), string(p.project.ParentID)
		if parent == "" {
			parent = domain
		}
	}
	if err := f.stays("domain_id", domain, "Cannot change Domain ID"); err != nil {
		return p, err
	}
	if p.project != nil && p.project.Immutable == structs.Yes && !f.thaws() {
		return p, base.Immutable("project", string(p.project.ID), false)
	}
	if f.stays("parent_id", parent, "") != nil {
		return p, httpapi.Forbidden("Update of `parent_id` is not allowed.")
	}
	if f.flag("is_domain", p.domain != nil) != (p.domain != nil) {
		return p, httpapi.BadRequest("Update of `is_domain` is not allowed.")
	}
	if p.domain == nil {
		changed, err := s.changeProject(r, p.project, f)
		return place{project: changed}, err
	}
	d := *p.domain
	if err := s.changeDomain(&d, f); err != nil {
		return p, err
	}
	return place{domain: &d}, writeDomain(r)(d, p.domain.ModifyIndex)
}

// changeProject writes a project with what a body says. Disabling it ends the tokens on it.
func (s *service) changeProject(r *httpapi.Request, old *structs.Project, f fields) (*structs.Project, error) {
	p := *old
	if err := fillProject(&p, f); err != nil {
		return nil, err
	}
	if old.Enabled && !p.Enabled {
		p.TokensFrom = s.o.Time()
	}
	return fsm.ProjectWrite.Propose(r.Context(), r.Core, &structs.ProjectWriteRequest{Project: p, Index: old.ModifyIndex, MaxDepth: s.o.MaxProjectDepth})
}

func (s *service) deleteProject(r *httpapi.Request) (any, error) {
	_, p, err := found(r, find)
	switch {
	case err != nil:
		return nil, err
	case p.domain != nil:
		return nil, dropDomain(r, p.domain)
	case p.project.Immutable == structs.Yes:
		return nil, base.Immutable("project", string(p.project.ID), true)
	}
	_, err = fsm.ProjectDelete.Propose(r.Context(), r.Core, &structs.ProjectDeleteRequest{ID: p.project.ID})
	return nil, err
}
