package state

import (
	"encoding/binary"
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var serverGroupTable = newTable("server_groups", func(v *structs.ServerGroup) []string { return []string{string(v.ID)} },
	index[structs.ServerGroup]{"project", func(v *structs.ServerGroup) []string {
		return []string{string(v.ProjectID), ascending(v.Num)}
	}})

// ascending turns a number from 0 on into a key component that sorts as the number does.
func ascending(n int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// ServerGroup returns a group by id, or nil.
func (r Reader) ServerGroup(id structs.ServerGroupID) *structs.ServerGroup {
	return first(r, serverGroupTable, string(id))
}

// ServerGroups iterates over a project's groups in the order of their making.
func (r Reader) ServerGroups(p structs.ProjectID) iter.Seq[*structs.ServerGroup] {
	return prefix(r, serverGroupTable, "project", string(p))
}

// AllServerGroups iterates over all projects' groups, by id.
func (r Reader) AllServerGroups() iter.Seq[*structs.ServerGroup] { return all(r, serverGroupTable) }

// GroupMembers iterates over the instances of a group that are not deleted, in the order of their making.
func (r Reader) GroupMembers(id structs.ServerGroupID) iter.Seq[*structs.Instance] {
	return prefix(r, instanceTable, "group", string(id))
}

// PutServerGroup writes a group. A new one gets its number.
func (t *Txn) PutServerGroup(v *structs.ServerGroup) {
	if v.Num == 0 {
		v.Num = t.NextNum("server_groups")
	}
	put(t, serverGroupTable, v)
}

// DeleteServerGroup removes a group and returns it, or nil.
func (t *Txn) DeleteServerGroup(id structs.ServerGroupID) *structs.ServerGroup {
	return remove(t, serverGroupTable, string(id))
}
