package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var instanceTable = newTable("instances", func(v *structs.Instance) []string { return []string{string(v.ID)} },
	index[structs.Instance]{"live", func(v *structs.Instance) []string {
		if v.Deleted() {
			return nil
		}
		return []string{string(v.ProjectID), newestFirst(v.CreatedAt)}
	}},
	index[structs.Instance]{"dead", func(v *structs.Instance) []string {
		if !v.Deleted() {
			return nil
		}
		return []string{string(v.ProjectID), newestFirst(v.CreatedAt)}
	}},
	index[structs.Instance]{"host", func(v *structs.Instance) []string {
		if v.HostID == "" || v.Deleted() && !v.Cleanup {
			return nil
		}
		return []string{string(v.HostID)}
	}},
	index[structs.Instance]{"group", func(v *structs.Instance) []string {
		if v.ServerGroupID == "" || v.Deleted() {
			return nil
		}
		return []string{string(v.ServerGroupID), ascending(v.Num)}
	}})

// Instance returns an instance by id, deleted ones too while their record stays, or nil.
func (r Reader) Instance(id structs.InstanceID) *structs.Instance {
	return first(r, instanceTable, string(id))
}

// Instances iterates over a project's instances that are not deleted, newest first (created, then id descending is
// Nova's order; ids of one nanosecond come ascending).
func (r Reader) Instances(p structs.ProjectID) iter.Seq[*structs.Instance] {
	return prefix(r, instanceTable, "live", string(p))
}

// InstancesFrom is Instances without those that are newer than t: it finds its beginning in the index, however many those are.
func (r Reader) InstancesFrom(p structs.ProjectID, t structs.Time) iter.Seq[*structs.Instance] {
	return instancesFrom(r, "live", p, t)
}

// DeletedInstances iterates over a project's deleted instances, newest first.
func (r Reader) DeletedInstances(p structs.ProjectID) iter.Seq[*structs.Instance] {
	return prefix(r, instanceTable, "dead", string(p))
}

// DeletedInstancesFrom is DeletedInstances without those that are newer than t.
func (r Reader) DeletedInstancesFrom(p structs.ProjectID, t structs.Time) iter.Seq[*structs.Instance] {
	return instancesFrom(r, "dead", p, t)
}

func instancesFrom(r Reader, index string, p structs.ProjectID, t structs.Time) iter.Seq[*structs.Instance] {
	return func(yield func(*structs.Instance) bool) {
		if r.watch != nil { // a lower bound has no channel of its own: the whole project is watched
			it, err := r.tx.Get(instanceTable.name, index+"_prefix", []string{string(p)})
			if err != nil {
				panic("state: " + err.Error())
			}
			r.add(it.WatchCh())
		}
		it, err := r.tx.LowerBound(instanceTable.name, index, []string{string(p), newestFirst(t)})
		if err != nil {
			panic("state: " + err.Error())
		}
		for raw := it.Next(); raw != nil; raw = it.Next() {
			v := raw.(*structs.Instance)
			if v.ProjectID != p || !yield(v) { // after the project's last one comes the next project's first
				return
			}
		}
	}
}

// AllInstances iterates over all projects' instances that are not deleted, by project, newest first in each.
func (r Reader) AllInstances() iter.Seq[*structs.Instance] { return prefix(r, instanceTable, "live") }

// AllDeletedInstances iterates over all projects' deleted instances.
func (r Reader) AllDeletedInstances() iter.Seq[*structs.Instance] {
	return prefix(r, instanceTable, "dead")
}

// InstancesOnHost iterates over what should be on a host: instances placed there, and deleted ones whose guest is still
// to be cleaned up there.
func (r Reader) InstancesOnHost(h structs.HostID) iter.Seq[*structs.Instance] {
	return prefix(r, instanceTable, "host", string(h))
}

// PutInstance writes an instance. A new one gets its small number; one that is deleted or leaves its host loses the tokens of its consoles.
func (t *Txn) PutInstance(v *structs.Instance) {
	if v.Num == 0 {
		v.Num = t.NextNum("instances")
	}
	t.closeConsoles(v)
	put(t, instanceTable, v)
}

// DeleteInstance removes an instance's record; an unknown one is no error.
func (t *Txn) DeleteInstance(id structs.InstanceID) { remove(t, instanceTable, string(id)) }
