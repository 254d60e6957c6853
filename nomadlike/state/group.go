package state

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	groupTable = newTable("groups", func(v *structs.Group) []string { return []string{string(v.ID)} },
		index[structs.Group]{"name", func(v *structs.Group) []string { return []string{string(v.DomainID), strings.ToLower(v.Name)} }})
	membershipTable = newTable("memberships", func(v *structs.Membership) []string { return []string{string(v.UserID), string(v.GroupID)} },
		index[structs.Membership]{"group", func(v *structs.Membership) []string { return []string{string(v.GroupID)} }})
)

// Group returns a group by id, or nil.
func (r Reader) Group(id structs.GroupID) *structs.Group { return first(r, groupTable, string(id)) }

// GroupByName returns a group by name, letter case ignored, or nil.
func (r Reader) GroupByName(d structs.DomainID, name string) *structs.Group {
	return one(prefix(r, groupTable, "name", string(d), strings.ToLower(name)))
}

// Groups iterates over all groups by id.
func (r Reader) Groups() iter.Seq[*structs.Group] { return all(r, groupTable) }

// GroupsOfDomain iterates over a domain's groups by name.
func (r Reader) GroupsOfDomain(d structs.DomainID) iter.Seq[*structs.Group] {
	return prefix(r, groupTable, "name", string(d))
}

// Membership returns a user's membership in a group, or nil.
func (r Reader) Membership(u structs.UserID, g structs.GroupID) *structs.Membership {
	return first(r, membershipTable, string(u), string(g))
}

// MembershipsOfUser iterates over the groups that a user is in, by id.
func (r Reader) MembershipsOfUser(u structs.UserID) iter.Seq[*structs.Membership] {
	return prefix(r, membershipTable, "id", string(u))
}

// MembershipsOfGroup iterates over a group's members, by id.
func (r Reader) MembershipsOfGroup(g structs.GroupID) iter.Seq[*structs.Membership] {
	return prefix(r, membershipTable, "group", string(g))
}

// PutGroup writes a group.
func (t *Txn) PutGroup(v *structs.Group) { put(t, groupTable, v) }

// DeleteGroup removes a group and returns it, or nil.
func (t *Txn) DeleteGroup(id structs.GroupID) *structs.Group {
	return remove(t, groupTable, string(id))
}

// PutMembership writes a membership.
func (t *Txn) PutMembership(v *structs.Membership) { put(t, membershipTable, v) }

// DeleteMembership removes a membership and returns it, or nil.
func (t *Txn) DeleteMembership(u structs.UserID, g structs.GroupID) *structs.Membership {
	return remove(t, membershipTable, string(u), string(g))
}
