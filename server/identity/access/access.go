// Package access says who has which roles where: Keystone's effective role assignments, as a pure function of the state. A user has what was granted to it and
// to the groups that it is in, on the place itself or inherited from above, with all that these roles imply in turn.
package access

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// grants calls f for every grant of a user and of its groups.
func grants(r state.Reader, u structs.UserID, f func(*structs.Grant)) {
	for g := range r.GrantsOfUser(u) {
		f(g)
	}
	for m := range r.MembershipsOfUser(u) {
		for g := range r.GrantsOfGroup(m.GroupID) {
			f(g)
		}
	}
}

// above is the line of projects over one, nearest first. A parent that is not there ends it.
func above(r state.Reader, p *structs.Project) []structs.ProjectID {
	var line []structs.ProjectID
	for id := p.ParentID; id != "" && !slices.Contains(line, id); {
		parent := r.Project(id)
		if parent == nil {
			break
		}
		line = append(line, id)
		id = parent.ParentID
	}
	return line
}

// reaches reports whether a grant holds on a project, given the projects above it.
func reaches(g *structs.Grant, p *structs.Project, over []structs.ProjectID) bool {
	switch {
	case !g.Inherited:
		return g.ProjectID == p.ID
	case g.DomainID != "":
		return g.DomainID == p.DomainID
	}
	return slices.Contains(over, g.ProjectID)
}

// onProject returns a user's roles on a project, those of a domain's own among them, without what they imply.
func onProject(r state.Reader, u structs.UserID, p *structs.Project) []structs.RoleID {
	var out []structs.RoleID
	over := above(r, p)
	grants(r, u, func(g *structs.Grant) {
		if reaches(g, p, over) {
			out = append(out, g.RoleID)
		}
	})
	return out
}

// OnProject returns the roles that a user's token on a project has, sorted by name.
func OnProject(r state.Reader, u structs.UserID, p *structs.Project) []*structs.Role {
	return Expand(r, onProject(r, u, p))
}

// OnDomain returns the roles that a user's token on a domain has, sorted by name.
func OnDomain(r state.Reader, u structs.UserID, d structs.DomainID) []*structs.Role {
	var ids []structs.RoleID
	grants(r, u, func(g *structs.Grant) {
		if g.DomainID == d && !g.Inherited {
			ids = append(ids, g.RoleID)
		}
	})
	return Expand(r, ids)
}

// OnSystem returns the roles that a user's token on the system has, sorted by name.
func OnSystem(r state.Reader, u structs.UserID) []*structs.Role {
	var ids []structs.RoleID
	grants(r, u, func(g *structs.Grant) {
		if g.System {
			ids = append(ids, g.RoleID)
		}
	})
	return Expand(r, ids)
}

// Implied returns roles with all that they imply in turn.
func Implied(r state.Reader, ids []structs.RoleID) []structs.RoleID {
	out := slices.Clone(ids)
	slices.Sort(out)
	out = slices.Compact(out)
	for i := 0; i < len(out); i++ {
		for x := range r.ImpliedRolesOf(out[i]) {
			if !slices.Contains(out, x.ImpliedID) {
				out = append(out, x.ImpliedID)
			}
		}
	}
	return out
}

// Expand returns roles with all that they imply in turn, as tokens have them: by name, and without those of a domain's own, which stand for what they imply.
func Expand(r state.Reader, ids []structs.RoleID) []*structs.Role {
	var out []*structs.Role
	for _, id := range Implied(r, ids) {
		if role := r.Role(id); role != nil && role.DomainID == "" {
			out = append(out, role)
		}
	}
	slices.SortFunc(out, func(a, b *structs.Role) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.ID), string(b.ID)))
	})
	return out
}

// EnabledDomain reports whether a domain is there and enabled.
func EnabledDomain(r state.Reader, id structs.DomainID) bool {
	d := r.Domain(id)
	return d != nil && d.Enabled
}

// EnabledProject returns a project when it and its domain are enabled, else nil.
func EnabledProject(r state.Reader, id structs.ProjectID) *structs.Project {
	p := r.Project(id)
	if p == nil || !p.Enabled || !EnabledDomain(r, p.DomainID) {
		return nil
	}
	return p
}

// EnabledUser returns a user when it and its domain are enabled, else nil.
func EnabledUser(r state.Reader, id structs.UserID) *structs.User {
	u := r.User(id)
	if u == nil || !u.Enabled || !EnabledDomain(r, u.DomainID) {
		return nil
	}
	return u
}

// Projects returns the enabled projects that a user has a role on, by id.
func Projects(r state.Reader, u structs.UserID) []*structs.Project {
	found := map[structs.ProjectID]*structs.Project{}
	add := func(p *structs.Project) {
		if p != nil && p.Enabled && EnabledDomain(r, p.DomainID) {
			found[p.ID] = p
		}
	}
	grants(r, u, func(g *structs.Grant) {
		switch {
		case g.ProjectID != "" && !g.Inherited:
			add(r.Project(g.ProjectID))
		case g.ProjectID != "":
			Below(r, g.ProjectID, add)
		case g.DomainID != "" && g.Inherited:
			for p := range r.ProjectsOfDomain(g.DomainID) {
				add(p)
			}
		}
	})
	out := make([]*structs.Project, 0, len(found))
	for _, p := range found {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *structs.Project) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}

// Domains returns the enabled domains that a user has a role on, by id.
func Domains(r state.Reader, u structs.UserID) []*structs.Domain {
	found := map[structs.DomainID]*structs.Domain{}
	grants(r, u, func(g *structs.Grant) {
		if g.DomainID != "" && !g.Inherited && EnabledDomain(r, g.DomainID) {
			found[g.DomainID] = r.Domain(g.DomainID)
		}
	})
	out := make([]*structs.Domain, 0, len(found))
	for _, d := range found {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *structs.Domain) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out
}
