package identity

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// implies is Keystone's default chain of implied roles: admin → manager → member → reader.
var implies = map[string]string{"admin": "manager", "manager": "member", "member": "reader"}

// withImplied adds what roles imply. The result is sorted.
func withImplied(names []string) []string {
	for i := 0; i < len(names); i++ {
		if next := implies[names[i]]; next != "" && !slices.Contains(names, next) {
			names = append(names, next)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// rolesOf returns the names of a user's roles on a project, with what they imply; empty when it has none there.
func rolesOf(r state.Reader, u structs.UserID, p structs.ProjectID) []string {
	var names []string
	for g := range r.GrantsOfUser(u) {
		if g.ProjectID != p {
			continue
		}
		if role := r.Role(g.RoleID); role != nil {
			names = append(names, role.Name)
		}
	}
	return withImplied(names)
}

// roleRefs returns roles as tokens show them. A name that no role has (an implied one that was never made) is left out.
func roleRefs(r state.Reader, names []string) []roleRef {
	out := []roleRef{}
	for role := range r.Roles() {
		if slices.Contains(names, role.Name) {
			out = append(out, roleRef{ID: string(role.ID), Name: role.Name})
		}
	}
	return out
}

// enabledProject returns the project when it and its domain are enabled, else nil.
func enabledProject(r state.Reader, id structs.ProjectID) *structs.Project {
	p := r.Project(id)
	if p == nil || !p.Enabled || !enabledDomain(r, p.DomainID) {
		return nil
	}
	return p
}

// enabledUser returns the user when it and its domain are enabled, else nil.
func enabledUser(r state.Reader, id structs.UserID) *structs.User {
	u := r.User(id)
	if u == nil || !u.Enabled || !enabledDomain(r, u.DomainID) {
		return nil
	}
	return u
}

func enabledDomain(r state.Reader, id structs.DomainID) bool {
	d := r.Domain(id)
	return d != nil && d.Enabled
}

// projectsOf returns the enabled projects on which a user has a role, by id.
func projectsOf(r state.Reader, u structs.UserID) []*structs.Project {
	out := []*structs.Project{}
	last := structs.ProjectID("")
	for g := range r.GrantsOfUser(u) {
		if g.ProjectID == last {
			continue
		}
		last = g.ProjectID
		if p := enabledProject(r, g.ProjectID); p != nil {
			out = append(out, p)
		}
	}
	return out
}
