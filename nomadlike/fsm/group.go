package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// GroupWrite makes or changes a group.
var GroupWrite = registerOnce(71, "group-write", func(tx *state.Txn, r *structs.GroupWriteRequest) (*structs.Group, error) {
	g := &r.Group
	old := tx.Group(g.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return nil, err
	}
	if tx.Domain(g.DomainID) == nil {
		return nil, noSuch("domain", g.DomainID)
	}
	if other := tx.GroupByName(g.DomainID, g.Name); other != nil && other.ID != g.ID {
		return nil, duplicate("group", g.Name)
	}
	tx.PutGroup(g)
	return g, nil
})

// GroupDelete removes a group.
var GroupDelete = registerOnce(72, "group-delete", func(tx *state.Txn, r *structs.GroupDeleteRequest) (None, error) {
	if tx.Group(r.ID) == nil {
		return None{}, noSuch("group", r.ID)
	}
	dropGroup(tx, r.ID)
	return None{}, nil
})

func dropGroup(tx *state.Txn, id structs.GroupID) {
	for _, g := range slices.Collect(tx.GrantsOfGroup(id)) {
		tx.DeleteGrant(g)
	}
	for _, m := range slices.Collect(tx.MembershipsOfGroup(id)) {
		tx.DeleteMembership(m.UserID, id)
	}
	tx.DeleteGroup(id)
}

// MembershipWrite puts a user into a group, or takes it out. To be in it already is no error, as in Keystone.
var MembershipWrite = registerOnce(73, "membership-write", func(tx *state.Txn, r *structs.MembershipWriteRequest) (None, error) {
	m := &r.Membership
	switch {
	case tx.User(m.UserID) == nil:
		return None{}, noSuch("user", m.UserID)
	case tx.Group(m.GroupID) == nil:
		return None{}, noSuch("group", m.GroupID)
	case r.Remove && tx.DeleteMembership(m.UserID, m.GroupID) == nil:
		return None{}, structs.Errorf(structs.KindNotFound, "User '%s' not found in group '%s'.", m.UserID, m.GroupID)
	case !r.Remove && tx.Membership(m.UserID, m.GroupID) == nil:
		tx.PutMembership(m)
	}
	return None{}, nil
})
