package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// A grant's key begins with who has it, so that what a token's verification reads is one range. Users have their bare id there, as in the first format of
// the state; what follows is what the grant is on, its role, and whether it is inherited.
var grantTable = newTable("grants", grantKey,
	index[structs.Grant]{"target", func(v *structs.Grant) []string { return []string{grantTarget(v.ProjectID, v.DomainID)} }},
	index[structs.Grant]{"role", func(v *structs.Grant) []string { return []string{string(v.RoleID)} }})

const ofGroup, ofDomain, ofSystem = "group/", "domain/", "system/"

func grantKey(v *structs.Grant) []string {
	who := string(v.UserID)
	if v.GroupID != "" {
		who = ofGroup + string(v.GroupID)
	}
	key := []string{who, grantTarget(v.ProjectID, v.DomainID), string(v.RoleID)}
	if v.Inherited {
		key = append(key, "inherited")
	}
	return key
}

// grantTarget is a project, a domain, or neither: the system.
func grantTarget(p structs.ProjectID, d structs.DomainID) string {
	switch {
	case p != "":
		return string(p)
	case d != "":
		return ofDomain + string(d)
	}
	return ofSystem
}

// Grant returns the grant that equals another in who, where, which role and whether inherited, or nil.
func (r Reader) Grant(g *structs.Grant) *structs.Grant { return first(r, grantTable, grantKey(g)...) }

// Grants iterates over all grants by user and project.
func (r Reader) Grants() iter.Seq[*structs.Grant] { return all(r, grantTable) }

// GrantsOfUser iterates over a user's own grants by project.
func (r Reader) GrantsOfUser(u structs.UserID) iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "id", string(u))
}

// GrantsOfGroup iterates over a group's grants by project.
func (r Reader) GrantsOfGroup(g structs.GroupID) iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "id", ofGroup+string(g))
}

// GrantsOnProject iterates over the grants on a project itself.
func (r Reader) GrantsOnProject(p structs.ProjectID) iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "target", grantTarget(p, ""))
}

// GrantsOnDomain iterates over the grants on a domain itself.
func (r Reader) GrantsOnDomain(d structs.DomainID) iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "target", grantTarget("", d))
}

// GrantsOnSystem iterates over the grants on the system.
func (r Reader) GrantsOnSystem() iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "target", ofSystem)
}

// GrantsOfRole iterates over the grants of a role.
func (r Reader) GrantsOfRole(id structs.RoleID) iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "role", string(id))
}

// PutGrant writes a grant.
func (t *Txn) PutGrant(v *structs.Grant) { put(t, grantTable, v) }

// DeleteGrant removes the grant that equals another, and returns it, or nil.
func (t *Txn) DeleteGrant(v *structs.Grant) *structs.Grant {
	return remove(t, grantTable, grantKey(v)...)
}
