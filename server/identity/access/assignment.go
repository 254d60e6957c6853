package access

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Assignment is a role that somebody has somewhere.
type Assignment struct {
	structs.Grant                // who, where, which role; of an effective one a user, and a project in the place of what it is inherited from
	From          *structs.Grant // the grant that it comes from
	Prior         structs.RoleID // the role that implies it, "" when it was granted itself
}

// Filter chooses assignments. What is zero chooses nothing.
type Filter struct {
	User      structs.UserID
	Group     structs.GroupID
	Role      structs.RoleID
	Project   structs.ProjectID
	Subtree   bool // with the projects below Project
	Domain    structs.DomainID
	System    bool
	Inherited *bool
	Effective bool // groups are spelt out as their members, what is inherited as the projects below, roles with what they imply
}

// Assignments returns the assignments that a filter chooses (keystone/assignment/core.py).
func Assignments(r state.Reader, f Filter) []Assignment {
	var out []Assignment
	for g := range r.Grants() {
		if f.Inherited != nil && *f.Inherited != g.Inherited {
			continue
		}
		if !f.Effective {
			if a := (Assignment{Grant: *g, From: g}); f.takes(r, &a) {
				out = append(out, a)
			}
			continue
		}
		for _, a := range spread(r, g) {
			for _, x := range implied(r, a) {
				if f.takes(r, &x) {
					out = append(out, x)
				}
			}
		}
	}
	return out
}

func (f *Filter) takes(r state.Reader, a *Assignment) bool {
	switch {
	case f.User != "" && a.UserID != f.User, f.Group != "" && a.GroupID != f.Group, f.Role != "" && a.RoleID != f.Role,
		f.Domain != "" && a.DomainID != f.Domain, f.System && !a.System:
		return false
	case f.Project == "":
		return true
	case a.ProjectID == f.Project:
		return true
	case !f.Subtree || a.ProjectID == "":
		return false
	}
	p := r.Project(a.ProjectID)
	return p != nil && slices.Contains(above(r, p), f.Project)
}

// spread returns the assignments of users on places that a grant comes to.
func spread(r state.Reader, g *structs.Grant) []Assignment {
	users := []structs.UserID{g.UserID}
	if g.GroupID != "" {
		users = nil
		for m := range r.MembershipsOfGroup(g.GroupID) {
			users = append(users, m.UserID)
		}
	}
	places := []structs.Grant{*g}
	if g.Inherited {
		places = nil
		heir := func(p *structs.Project) {
			c := *g
			c.ProjectID, c.DomainID = p.ID, ""
			places = append(places, c)
		}
		if g.DomainID != "" {
			for p := range r.ProjectsOfDomain(g.DomainID) {
				heir(p)
			}
		} else {
			Below(r, g.ProjectID, heir)
		}
	}
	var out []Assignment
	for _, u := range users {
		for _, p := range places {
			p.UserID, p.GroupID = u, ""
			out = append(out, Assignment{Grant: p, From: g})
		}
	}
	return out
}

// Below calls f for every project below one.
func Below(r state.Reader, id structs.ProjectID, f func(*structs.Project)) {
	for p := range r.ProjectsBelow(id) {
		f(p)
		Below(r, p.ID, f)
	}
}

// implied returns an assignment with those of the roles that its role implies in turn. Roles of a domain's own are left out: no token has them.
func implied(r state.Reader, a Assignment) []Assignment {
	all := []Assignment{a}
	for i := 0; i < len(all); i++ {
		for x := range r.ImpliedRolesOf(all[i].RoleID) {
			if slices.ContainsFunc(all, func(b Assignment) bool { return b.RoleID == x.ImpliedID }) {
				continue
			}
			b := a
			b.Prior, b.RoleID = all[i].RoleID, x.ImpliedID
			all = append(all, b)
		}
	}
	return slices.DeleteFunc(all, func(b Assignment) bool {
		role := r.Role(b.RoleID)
		return role == nil || role.DomainID != ""
	})
}
