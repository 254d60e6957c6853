package identity

import (
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type named struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Domain *named `json:"domain,omitempty"`
}

type assignmentScope struct {
	Project *named          `json:"project,omitempty"`
	System  map[string]bool `json:"system,omitempty"`
}

type assignmentLinks struct {
	Assignment string `json:"assignment"`
}

type assignment struct {
	Role  named           `json:"role"`
	Scope assignmentScope `json:"scope"`
	User  named           `json:"user"`
	Links assignmentLinks `json:"links"`
}

func domainNamed(st state.Reader, id structs.DomainID) named {
	d := named{ID: string(id)}
	if dom := st.Domain(id); dom != nil {
		d.Name = dom.Name
	}
	return d
}

// flag reads a query flag: there without value it is on.
func flag(r *httpapi.Request, name string) bool {
	q := r.Query()
	return q.Has(name) && !slices.Contains([]string{"0", "false", "no", "off"}, strings.ToLower(q.Get(name)))
}

// listAssignments is GET /role_assignments: all grants for an administrator, its own for everybody else.
func listAssignments(r *httpapi.Request) (any, error) {
	q := r.Query()
	if q.Get("user.id") != string(r.Token.UserID) {
		if err := allowed(r, httpapi.Admin("identity:list_role_assignments")); err != nil {
			return nil, err
		}
	}
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	names := flag(r, "include_names")
	out := []assignment{}
	if q.Has("group.id") || q.Has("scope.domain.id") || q.Has("scope.system") {
		return collection(r, "role_assignments", out), nil // of which there are none
	}
	for g := range st.Grants() {
		if differs(q.Get("user.id"), string(g.UserID)) || differs(q.Get("scope.project.id"), string(g.ProjectID)) || differs(q.Get("role.id"), string(g.RoleID)) {
			continue
		}
		out = append(out, viewAssignment(r, st, g, names))
	}
	return collection(r, "role_assignments", out), nil
}

func differs(filter, value string) bool { return filter != "" && filter != value }

func viewAssignment(r *httpapi.Request, st state.Reader, g *structs.Grant, names bool) assignment {
	a := assignment{Role: named{ID: string(g.RoleID)}, User: named{ID: string(g.UserID)}, Scope: assignmentScope{Project: &named{ID: string(g.ProjectID)}},
		Links: assignmentLinks{r.Self("projects", string(g.ProjectID), "users", string(g.UserID), "roles", string(g.RoleID))}}
	if g.System {
		a.Scope = assignmentScope{System: map[string]bool{"all": true}}
		a.Links.Assignment = r.Self("system", "users", string(g.UserID), "roles", string(g.RoleID))
	}
	if !names {
		return a
	}
	if x := st.Role(g.RoleID); x != nil {
		a.Role.Name = x.Name
	}
	if u := st.User(g.UserID); u != nil {
		d := domainNamed(st, u.DomainID)
		a.User.Name, a.User.Domain = u.Name, &d
	}
	if p := st.Project(g.ProjectID); p != nil {
		d := domainNamed(st, p.DomainID)
		a.Scope.Project.Name, a.Scope.Project.Domain = p.Name, &d
	}
	return a
}
