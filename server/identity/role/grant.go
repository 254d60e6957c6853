package role

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// grantOf is the grant that a path names; without a role where it names none.
func grantOf(r *httpapi.Request) structs.Grant {
	return structs.Grant{UserID: structs.UserID(r.Vars["user"]), GroupID: structs.GroupID(r.Vars["group"]), ProjectID: structs.ProjectID(r.Vars["project"]),
		DomainID: structs.DomainID(r.Vars["domain"]), System: strings.HasPrefix(r.Route.Path, "/system/"), RoleID: structs.RoleID(r.Vars["role"]),
		Inherited: strings.HasPrefix(r.Route.Path, "/OS-INHERIT/")}
}

// missing says what a grant names that is not there, nil when all is.
func missing(st state.Reader, g *structs.Grant) error {
	switch {
	case g.RoleID != "" && st.Role(g.RoleID) == nil:
		return base.NotFound("role", g.RoleID)
	case g.UserID != "" && st.User(g.UserID) == nil:
		return base.NotFound("user", g.UserID)
	case g.GroupID != "" && st.Group(g.GroupID) == nil:
		return base.NotFound("group", g.GroupID)
	case g.DomainID != "" && st.Domain(g.DomainID) == nil:
		return base.NotFound("domain", g.DomainID)
	case g.ProjectID != "" && st.Project(g.ProjectID) == nil:
		return base.NotFound("project", g.ProjectID)
	}
	return nil
}

// grantTarget is what the rules of grants ask about.
func grantTarget(st state.Reader, g *structs.Grant) policy.Target {
	t := target(st.Role(g.RoleID))
	if t.More == nil {
		t.More = map[string]string{}
	}
	if u := st.User(g.UserID); u != nil {
		t.More["target.user.id"], t.More["target.user.domain_id"] = string(u.ID), string(u.DomainID)
	}
	if x := st.Group(g.GroupID); x != nil {
		t.More["target.group.id"], t.More["target.group.domain_id"] = string(x.ID), string(x.DomainID)
	}
	if p := st.Project(g.ProjectID); p != nil {
		t.More["target.project.id"], t.More["target.project.domain_id"] = string(p.ID), string(p.DomainID)
	}
	if d := st.Domain(g.DomainID); d != nil {
		t.More["target.domain.id"] = string(d.ID)
	}
	return t
}

// named reads the path's grant and judges the rule for it. What is not there is told to those alone who may know.
func named(r *httpapi.Request) (state.Reader, structs.Grant, error) {
	g := grantOf(r)
	st, err := base.Read(r)
	if err != nil {
		return st, g, err
	}
	gone, what := missing(st, &g), policy.Target{}
	if gone == nil {
		what = grantTarget(st, &g)
	}
	if !g.System {
		if err := r.Judge(what); err != nil {
			return st, g, err
		}
	}
	return st, g, gone
}

// on iterates over the grants of who a grant names, where it names.
func on(st state.Reader, like *structs.Grant) iter.Seq[*structs.Grant] {
	return func(yield func(*structs.Grant) bool) {
		all := st.GrantsOfUser(like.UserID)
		if like.GroupID != "" {
			all = st.GrantsOfGroup(like.GroupID)
		}
		for g := range all {
			if g.ProjectID == like.ProjectID && g.DomainID == like.DomainID && g.System == like.System && g.Inherited == like.Inherited && !yield(g) {
				return
			}
		}
	}
}

func listGrantsOf(r *httpapi.Request) (any, error) {
	st, like, err := named(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for g := range on(st, &like) {
		out = append(out, base.ViewRole(r, st.Role(g.RoleID)))
	}
	return base.Collection(r, "roles", out), nil
}

func checkGrantOf(r *httpapi.Request) (any, error) {
	st, g, err := named(r)
	if err != nil {
		return nil, err
	}
	if st.Grant(&g) == nil {
		return nil, httpapi.NotFound("Could not find role assignment with role: %s, user or group: %s%s, project, domain, or system: %s.", g.RoleID, g.UserID, g.GroupID, place(&g))
	}
	return nil, nil
}

func place(g *structs.Grant) string {
	if g.System {
		return "system"
	}
	return string(g.ProjectID) + string(g.DomainID)
}

func createGrant(r *httpapi.Request) (any, error) { return nil, writeGrant(r, false) }

func revokeGrant(r *httpapi.Request) (any, error) { return nil, writeGrant(r, true) }

func writeGrant(r *httpapi.Request, remove bool) error {
	_, g, err := named(r)
	if err != nil {
		return err
	}
	_, err = fsm.GrantWrite.Propose(r.Context(), r.Core, &structs.GrantWriteRequest{Grant: g, Remove: remove})
	return err
}
