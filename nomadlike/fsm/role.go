package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// RoleWrite makes or changes a role. It stays in its domain.
var RoleWrite = registerOnce(74, "role-write", func(tx *state.Txn, r *structs.RoleWriteRequest) (*structs.Role, error) {
	x := &r.Role
	old := tx.Role(x.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return nil, err
	}
	if x.DomainID != "" && tx.Domain(x.DomainID) == nil {
		return nil, noSuch("domain", x.DomainID)
	}
	if other := tx.RoleByName(x.DomainID, x.Name); other != nil && other.ID != x.ID {
		return nil, duplicate("role", x.Name)
	}
	tx.PutRole(x)
	return x, nil
})

// RoleDelete removes a role.
var RoleDelete = registerOnce(75, "role-delete", func(tx *state.Txn, r *structs.RoleDeleteRequest) (None, error) {
	if tx.Role(r.ID) == nil {
		return None{}, noSuch("role", r.ID)
	}
	dropRole(tx, r.ID)
	return None{}, nil
})

// dropRole removes a role and what stands on it. A trust or an application credential that has it loses it; one that is left without roles is of no use and
// goes too.
func dropRole(tx *state.Txn, id structs.RoleID) {
	for _, g := range slices.Collect(tx.GrantsOfRole(id)) {
		tx.DeleteGrant(g)
	}
	for _, i := range slices.Collect(tx.ImpliedRoles()) {
		if i.PriorID == id || i.ImpliedID == id {
			tx.DeleteImpliedRole(i.PriorID, i.ImpliedID)
		}
	}
	for _, old := range slices.Collect(tx.Trusts()) {
		if left, has := without(old.RoleIDs, id); has {
			t := *old
			t.RoleIDs = left
			if tx.PutTrust(&t); len(left) == 0 {
				dropTrust(tx, t.ID)
			}
		}
	}
	for _, old := range slices.Collect(tx.ApplicationCredentials()) {
		if left, has := without(old.RoleIDs, id); has {
			c := *old
			c.RoleIDs = left
			if tx.PutApplicationCredential(&c); len(left) == 0 {
				tx.DeleteApplicationCredential(c.ID)
			}
		}
	}
	tx.DeleteRole(id)
}

func without(list []structs.RoleID, id structs.RoleID) ([]structs.RoleID, bool) {
	i := slices.Index(list, id)
	if i < 0 {
		return nil, false
	}
	return slices.Delete(slices.Clone(list), i, i+1), true
}

// ImpliedRoleWrite makes an implication or takes it away. Roles of a domain can be implied by nothing; admin neither, for whoever could make it be implied
// could make anybody an administrator (Keystone's prohibited_implied_role).
var ImpliedRoleWrite = registerOnce(76, "implied-role-write", func(tx *state.Txn, r *structs.ImpliedRoleWriteRequest) (None, error) {
	i := &r.ImpliedRole
	prior, implied := tx.Role(i.PriorID), tx.Role(i.ImpliedID)
	switch {
	case prior == nil:
		return None{}, noSuch("role", i.PriorID)
	case implied == nil:
		return None{}, noSuch("role", i.ImpliedID)
	case r.Remove:
		if tx.DeleteImpliedRole(i.PriorID, i.ImpliedID) == nil {
			return None{}, structs.Errorf(structs.KindNotFound, "%s does not imply %s.", i.PriorID, i.ImpliedID)
		}
		return None{}, nil
	case implied.Name == "admin" && implied.DomainID == "":
		return None{}, structs.Errorf(structs.KindForbidden, "%s cannot be an implied roles.", i.ImpliedID)
	case implied.DomainID != "" && implied.DomainID != prior.DomainID:
		return None{}, structs.Errorf(structs.KindForbidden, "Global role cannot imply a domain-specific role: role %s is not of the domain of %s.", i.ImpliedID, i.PriorID)
	case impliesInTurn(tx, i.ImpliedID, i.PriorID):
		return None{}, structs.Errorf(structs.KindInvalid, "%s implies %s already: roles cannot imply each other.", i.ImpliedID, i.PriorID)
	}
	if tx.ImpliedRole(i.PriorID, i.ImpliedID) == nil {
		tx.PutImpliedRole(i)
	}
	return None{}, nil
})

// impliesInTurn reports whether a role is, or comes to imply, another.
func impliesInTurn(tx *state.Txn, from, to structs.RoleID) bool {
	seen := []structs.RoleID{from}
	for k := 0; k < len(seen); k++ {
		if seen[k] == to {
			return true
		}
		for i := range tx.ImpliedRolesOf(seen[k]) {
			if !slices.Contains(seen, i.ImpliedID) {
				seen = append(seen, i.ImpliedID)
			}
		}
	}
	return false
}
