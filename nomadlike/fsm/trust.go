package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TrustCreate makes a trust. That the trustor has the roles is for the proposer to see and for every token to see again.
var TrustCreate = registerOnce(93, "trust-create", func(tx *state.Txn, r *structs.TrustCreateRequest) (*structs.Trust, error) {
	t := &r.Trust
	switch {
	case tx.Trust(t.ID) != nil:
		return nil, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store trust - Duplicate entry found with ID %s.", t.ID)
	case tx.User(t.TrustorID) == nil:
		return nil, noSuch("user", t.TrustorID)
	case tx.User(t.TrusteeID) == nil:
		return nil, noSuch("user", t.TrusteeID)
	case t.ProjectID != "" && tx.Project(t.ProjectID) == nil:
		return nil, noSuch("project", t.ProjectID)
	}
	for _, id := range t.RoleIDs {
		if tx.Role(id) == nil {
			return nil, noSuch("role", id)
		}
	}
	if t.RedelegatedID != "" {
		from := tx.Trust(t.RedelegatedID)
		if from == nil {
			return nil, noSuch("trust", t.RedelegatedID)
		}
		if !HandsOn(from, t) {
			return nil, structs.Errorf(structs.KindForbidden, "You are not authorized to perform the requested action.")
		}
	}
	tx.PutTrust(t)
	return t, nil
})

// HandsOn reports whether a trust may be made with another: on its project, by whom that stands for, for no longer, with no more roles, to be handed on less
// often, and impersonating only when the other does.
func HandsOn(from, t *structs.Trust) bool {
	by := from.TrusteeID
	if from.Impersonation {
		by = from.TrustorID
	}
	if from.Redelegations <= 0 || t.Redelegations >= from.Redelegations || from.RemainingUses != nil || t.RemainingUses != nil {
		return false
	}
	if t.ProjectID != from.ProjectID || t.TrustorID != by || t.Impersonation && !from.Impersonation {
		return false
	}
	if !from.ExpiresAt.IsZero() && (t.ExpiresAt.IsZero() || t.ExpiresAt > from.ExpiresAt) {
		return false
	}
	return !slices.ContainsFunc(t.RoleIDs, func(id structs.RoleID) bool { return !slices.Contains(from.RoleIDs, id) })
}

// TrustDelete removes a trust.
var TrustDelete = registerOnce(94, "trust-delete", func(tx *state.Txn, r *structs.TrustDeleteRequest) (None, error) {
	if tx.Trust(r.ID) == nil {
		return None{}, noSuch("trust", r.ID)
	}
	dropTrust(tx, r.ID)
	return None{}, nil
})

// dropTrust removes a trust with all that were made with it in turn. A chain is as long as its first trust allows, so it ends.
func dropTrust(tx *state.Txn, id string) {
	if tx.DeleteTrust(id) == nil {
		return
	}
	for _, t := range slices.Collect(tx.TrustsOfTrust(id)) {
		dropTrust(tx, t.ID)
	}
}

// TrustUse takes one of a trust's uses. Of two logins at once one takes the last.
var TrustUse = registerOnce(95, "trust-use", func(tx *state.Txn, r *structs.TrustUseRequest) (None, error) {
	old := tx.Trust(r.ID)
	switch {
	case old == nil || !old.ExpiresAt.IsZero() && old.ExpiresAt <= r.At:
		return None{}, noSuch("trust", r.ID)
	case old.RemainingUses == nil:
		return None{}, nil
	case *old.RemainingUses <= 0:
		return None{}, structs.Errorf(structs.KindForbidden, "No remaining uses for trust: %s.", r.ID)
	}
	t, left := *old, *old.RemainingUses-1
	t.RemainingUses = &left
	tx.PutTrust(&t)
	return None{}, nil
})
