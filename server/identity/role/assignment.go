package role

import (
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

var ruleListTree = httpapi.Judged("identity:list_role_assignments_for_tree", listAssignments)

// filterOf reads what a list of assignments is asked for, and refuses what would always be empty, in Keystone's words.
func filterOf(r *httpapi.Request) (access.Filter, error) {
	q := r.Query()
	f := access.Filter{User: structs.UserID(q.Get("user.id")), Group: structs.GroupID(q.Get("group.id")), Role: structs.RoleID(q.Get("role.id")),
		Project: structs.ProjectID(q.Get("scope.project.id")), Domain: structs.DomainID(q.Get("scope.domain.id")), System: q.Get("scope.system") != "",
		Effective: base.Flag(r, "effective"), Subtree: base.Flag(r, "include_subtree")}
	if q.Has("scope.OS-INHERIT:inherited_to") {
		inherited := q.Get("scope.OS-INHERIT:inherited_to") == "projects"
		f.Inherited = &inherited
	}
	for _, c := range []struct {
		wrong bool
		words string
	}{
		{f.Domain != "" && f.Project != "", "Specify a domain or project, not both"},
		{f.Domain != "" && f.System, "Specify system or domain, not both"},
		{f.Project != "" && f.System, "Specify system or project, not both"},
		{f.User != "" && f.Group != "", "Specify a user or group, not both"},
		{f.Effective && f.Group != "", "Combining effective and group filter will always result in an empty list."},
		{f.Effective && f.Domain != "" && f.Inherited != nil && *f.Inherited, "Combining effective, domain and inherited filters will always result in an empty list."},
	} {
		if c.wrong {
			return f, httpapi.BadRequest("%s", c.words)
		}
	}
	return f, nil
}

// listAssignments is GET /role_assignments. Who sees one domain alone sees what is on it and on its projects.
func (s *service) listAssignments(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if err := judgeAssignments(r, st); err != nil {
		return nil, err
	}
	f, err := filterOf(r)
	if err != nil {
		return nil, err
	}
	if f.Subtree && f.Project == "" {
		return nil, httpapi.BadRequest("scope.project.id must be specified if include_subtree is also specified")
	}
	names := base.Flag(r, "include_names")
	out := []base.View{}
	for _, a := range access.Assignments(st, f) {
		if r.Token.DomainID == "" || within(st, r.Token.DomainID, &a) {
			out = append(out, view(r, st, &a, names))
		}
	}
	return base.Collection(r, "role_assignments", out), nil
}

// judgeAssignments judges the list's rule, for a subtree another.
func judgeAssignments(r *httpapi.Request, st state.Reader) error {
	what := policy.Target{More: map[string]string{}}
	if base.Flag(r, "include_subtree") {
		if p := st.Project(structs.ProjectID(r.Query().Get("scope.project.id"))); p != nil {
			what.More["target.domain_id"] = string(p.DomainID)
		}
		r.Judged()
		return r.AllowTarget(ruleListTree, what)
	}
	if r.Token.DomainID != "" {
		what.More["target.domain_id"] = string(r.Token.DomainID)
	}
	return r.Judge(what)
}

func within(st state.Reader, d structs.DomainID, a *access.Assignment) bool {
	if p := st.Project(a.ProjectID); p != nil {
		return p.DomainID == d
	}
	return a.DomainID == d
}

type ref = map[string]any

// view shows an assignment with links to what it comes from (keystone/api/role_assignments.py).
func view(r *httpapi.Request, st state.Reader, a *access.Assignment, names bool) base.View {
	scope, links := ref{}, ref{}
	var path []string
	switch {
	case a.System:
		scope["system"], path = ref{"all": true}, []string{"system"}
	case a.ProjectID != "":
		scope["project"] = projectRef(st, a.ProjectID, names)
	default:
		scope["domain"] = domainRef(st, a.DomainID, names)
	}
	switch {
	case a.From.ProjectID != "":
		path = []string{"projects", string(a.From.ProjectID)}
	case a.From.DomainID != "":
		path = []string{"domains", string(a.From.DomainID)}
	}
	v := base.View{"scope": scope, "links": links, "role": roleRef(st, a.RoleID, names)}
	if a.UserID != "" {
		v["user"] = userRef(st, a.UserID, names)
	} else {
		v["group"] = groupRef(st, a.GroupID, names)
	}
	if a.From.GroupID != "" {
		path = append(path, "groups", string(a.From.GroupID))
		if a.UserID != "" {
			links["membership"] = r.Self("groups", string(a.From.GroupID), "users", string(a.UserID))
		}
	} else {
		path = append(path, "users", string(a.From.UserID))
	}
	if a.Prior != "" {
		links["prior_role"] = r.Self("prior_role", string(a.RoleID), "implies", string(a.Prior))
		path = append(path, "roles", string(a.Prior))
	} else {
		path = append(path, "roles", string(a.RoleID))
	}
	if a.Inherited {
		scope["OS-INHERIT:inherited_to"] = "projects"
		path = append(append([]string{"OS-INHERIT"}, path...), "inherited_to_projects")
	}
	links["assignment"] = r.Self(strings.Join(path, "/"))
	return v
}

func domainRef(st state.Reader, id structs.DomainID, names bool) ref {
	v := ref{"id": string(id)}
	if d := st.Domain(id); names && d != nil {
		v["name"] = d.Name
	}
	return v
}

func projectRef(st state.Reader, id structs.ProjectID, names bool) ref {
	v := ref{"id": string(id)}
	if p := st.Project(id); names && p != nil {
		v["name"], v["domain"] = p.Name, domainRef(st, p.DomainID, true)
	}
	return v
}

func userRef(st state.Reader, id structs.UserID, names bool) ref {
	v := ref{"id": string(id)}
	if u := st.User(id); names && u != nil {
		v["name"], v["domain"] = u.Name, domainRef(st, u.DomainID, true)
	}
	return v
}

func groupRef(st state.Reader, id structs.GroupID, names bool) ref {
	v := ref{"id": string(id)}
	if g := st.Group(id); names && g != nil {
		v["name"], v["domain"] = g.Name, domainRef(st, g.DomainID, true)
	}
	return v
}

func roleRef(st state.Reader, id structs.RoleID, names bool) ref {
	v := ref{"id": string(id)}
	if x := st.Role(id); names && x != nil {
		v["name"] = x.Name
		if x.DomainID != "" {
			v["domain"] = domainRef(st, x.DomainID, true)
		}
	}
	return v
}
