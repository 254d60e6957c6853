package directory

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// asked reports whether a query has a flag: all but 0 is on.
func asked(r *httpapi.Request, name string) bool {
	q := r.Query()
	return q.Has(name) && q.Get(name) != "0"
}

// family adds to a project's view what lies above and below it, as the query asks for: as lists, which have only what the caller has a role on, or as ids.
func family(r *httpapi.Request, st state.Reader, p place, v base.View) error {
	for _, what := range []string{"parents", "subtree"} {
		if asked(r, what+"_as_list") && asked(r, what+"_as_ids") {
			return httpapi.BadRequest("Cannot use %s_as_list and %s_as_ids query params at the same time.", what, what)
		}
	}
	switch {
	case asked(r, "parents_as_list"):
		v["parents"] = mine(r, st, above(st, p))
	case asked(r, "parents_as_ids"):
		v["parents"] = nil
		if p.project != nil {
			line := map[string]any{string(p.project.DomainID): nil}
			over := above(st, p)
			for i := len(over) - 1; i >= 0; i-- {
				line = map[string]any{string(over[i].ID): line}
			}
			v["parents"] = line
		}
	}
	switch {
	case asked(r, "subtree_as_list"):
		v["subtree"] = mine(r, st, subtree(st, children(st, p)))
	case asked(r, "subtree_as_ids"):
		v["subtree"] = nil
		if ids := idTree(st, children(st, p)); ids != nil {
			v["subtree"] = ids
		}
	}
	return nil
}

// above is the line of projects over one, nearest first, without the domain.
func above(st state.Reader, p place) (out []*structs.Project) {
	if p.project == nil {
		return nil
	}
	for id := p.project.ParentID; id != ""; {
		over := st.Project(id)
		if over == nil {
			break
		}
		out = append(out, over)
		id = over.ParentID
	}
	return out
}

// children are the projects right below one, or below the domain itself.
func children(st state.Reader, p place) (out []*structs.Project) {
	if p.project != nil {
		for c := range st.ProjectsBelow(p.project.ID) {
			out = append(out, c)
		}
		return out
	}
	for c := range st.ProjectsOfDomain(p.domain.ID) {
		if c.ParentID == "" {
			out = append(out, c)
		}
	}
	return out
}

// subtree is projects with all below them, level by level.
func subtree(st state.Reader, level []*structs.Project) (out []*structs.Project) {
	for len(level) > 0 {
		out = append(out, level...)
		var next []*structs.Project
		for _, p := range level {
			next = append(next, children(st, place{project: p})...)
		}
		level = next
	}
	return out
}

func idTree(st state.Reader, level []*structs.Project) map[string]any {
	if len(level) == 0 {
		return nil
	}
	out := map[string]any{}
	for _, p := range level {
		out[string(p.ID)] = nil
		if below := idTree(st, children(st, place{project: p})); below != nil {
			out[string(p.ID)] = below
		}
	}
	return out
}

// mine are those of some projects that the caller has a role on, each in the form of an answer of its own.
func mine(r *httpapi.Request, st state.Reader, list []*structs.Project) []any {
	out := []any{}
	for _, p := range list {
		if len(access.OnProject(st, r.Token.UserID, p)) == 0 {
			continue
		}
		v := base.ViewProject(r, p)
		if asked(r, "include_limits") {
			v["limits"] = limits(st, p)
		}
		out = append(out, map[string]any{"project": v})
	}
	return out
}

func limits(st state.Reader, p *structs.Project) []any {
	out := []any{}
	for l := range st.LimitsOfProject(p.ID) {
		v := map[string]any{"id": l.ID, "project_id": string(p.ID), "domain_id": nil, "resource_limit": l.Value, "description": base.OrNull(l.Description)}
		if of := st.RegisteredLimit(l.RegisteredID); of != nil {
			v["service_id"], v["region_id"], v["resource_name"] = of.ServiceID, base.OrNull(of.RegionID), of.Resource
		}
		out = append(out, v)
	}
	return out
}
