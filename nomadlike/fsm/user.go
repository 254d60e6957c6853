package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// UserWrite makes or changes a user.
var UserWrite = registerOnce(68, "user-write", func(tx *state.Txn, r *structs.UserWriteRequest) (*structs.User, error) {
	u := &r.User
	old := tx.User(u.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return nil, err
	}
	if tx.Domain(u.DomainID) == nil {
		return nil, noSuch("domain", u.DomainID)
	}
	if other := tx.UserByName(u.DomainID, u.Name); other != nil && other.ID != u.ID {
		return nil, duplicate("user", u.Name)
	}
	tx.PutUser(u)
	return u, nil
})

// UserDelete removes a user.
var UserDelete = registerOnce(69, "user-delete", func(tx *state.Txn, r *structs.UserDeleteRequest) (None, error) {
	if tx.User(r.ID) == nil {
		return None{}, noSuch("user", r.ID)
	}
	dropUser(tx, r.ID)
	return None{}, nil
})

// dropUser removes a user and what is said of it in other identities.
func dropUser(tx *state.Txn, id structs.UserID) {
	for _, g := range slices.Collect(tx.GrantsOfUser(id)) {
		tx.DeleteGrant(g)
	}
	for _, m := range slices.Collect(tx.MembershipsOfUser(id)) {
		tx.DeleteMembership(id, m.GroupID)
	}
	for _, c := range slices.Collect(tx.CredentialsOfUser(id)) {
		tx.DeleteCredential(c.ID)
	}
	for _, c := range slices.Collect(tx.ApplicationCredentialsOfUser(id)) {
		tx.DeleteApplicationCredential(c.ID)
	}
	for _, a := range slices.Collect(tx.AccessRulesOfUser(id)) {
		tx.DeleteAccessRule(a.ID)
	}
	for _, t := range slices.Concat(slices.Collect(tx.TrustsOfTrustor(id)), slices.Collect(tx.TrustsOfTrustee(id))) {
		dropTrust(tx, t.ID)
	}
	tx.DeleteUser(id)
}

// UserLogin counts a wrong password or clears the count. Who changes the user at the same time reads it again.
var UserLogin = registerOnce(70, "user-login", func(tx *state.Txn, r *structs.UserLoginRequest) (None, error) {
	old := tx.User(r.ID)
	if old == nil {
		return None{}, nil
	}
	u := *old
	switch {
	case r.Wrong && r.Anew:
		u.Failures, u.FailedAt = 1, r.At
	case r.Wrong:
		u.Failures, u.FailedAt = u.Failures+1, r.At
	default:
		u.Failures, u.FailedAt, u.ActiveAt = 0, 0, r.At
	}
	tx.PutUser(&u)
	return None{}, nil
})
