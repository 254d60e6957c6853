package state

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	roleTable = newTable("roles", func(v *structs.Role) []string { return []string{string(v.ID)} },
		index[structs.Role]{"name", func(v *structs.Role) []string { return []string{string(v.DomainID), strings.ToLower(v.Name)} }})
	impliedRoleTable = newTable("implied_roles", func(v *structs.ImpliedRole) []string { return []string{string(v.PriorID), string(v.ImpliedID)} })
)

// Role returns a role by id, or nil.
func (r Reader) Role(id structs.RoleID) *structs.Role { return first(r, roleTable, string(id)) }

// RoleByName returns a role by name, letter case ignored, or nil: one of a domain, or of all when that is "".
func (r Reader) RoleByName(d structs.DomainID, name string) *structs.Role {
	return one(prefix(r, roleTable, "name", string(d), strings.ToLower(name)))
}

// Roles iterates over all roles by id.
func (r Reader) Roles() iter.Seq[*structs.Role] { return all(r, roleTable) }

// RolesOfDomain iterates over the roles of a domain by name, or of all domains when that is "".
func (r Reader) RolesOfDomain(d structs.DomainID) iter.Seq[*structs.Role] {
	return prefix(r, roleTable, "name", string(d))
}

// ImpliedRole returns an implication, or nil.
func (r Reader) ImpliedRole(prior, implied structs.RoleID) *structs.ImpliedRole {
	return first(r, impliedRoleTable, string(prior), string(implied))
}

// ImpliedRoles iterates over all implications by the prior role.
func (r Reader) ImpliedRoles() iter.Seq[*structs.ImpliedRole] { return all(r, impliedRoleTable) }

// ImpliedRolesOf iterates over what a role implies at once.
func (r Reader) ImpliedRolesOf(prior structs.RoleID) iter.Seq[*structs.ImpliedRole] {
	return prefix(r, impliedRoleTable, "id", string(prior))
}

// PutRole writes a role.
func (t *Txn) PutRole(v *structs.Role) { put(t, roleTable, v) }

// DeleteRole removes a role and returns it, or nil.
func (t *Txn) DeleteRole(id structs.RoleID) *structs.Role { return remove(t, roleTable, string(id)) }

// PutImpliedRole writes an implication.
func (t *Txn) PutImpliedRole(v *structs.ImpliedRole) { put(t, impliedRoleTable, v) }

// DeleteImpliedRole removes an implication and returns it, or nil.
func (t *Txn) DeleteImpliedRole(prior, implied structs.RoleID) *structs.ImpliedRole {
	return remove(t, impliedRoleTable, string(prior), string(implied))
}
