package fsm

import (
	"maps"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// settledStates are the vm_states in which metadata and tags may be changed.
var settledStates = []structs.VMState{structs.VMActive, structs.VMPaused, structs.VMSuspended, structs.VMStopped}

// checkSettled refuses an instance that is in none of them.
func checkSettled(ins *structs.Instance, action string) error {
	if !slices.Contains(settledStates, ins.VM) {
		return structs.Errorf(structs.KindConflict, "Cannot '%s' instance %s while it is in vm_state %s", action, ins.ID, ins.VM)
	}
	return nil
}

// InstanceMetadata changes an instance's metadata; lock, state and quota are judged in the transaction that writes.
var InstanceMetadata = register(30, "instance-metadata", func(tx *state.Txn, r *structs.InstanceMetadataRequest) (structs.InstanceMetadata, error) {
	none := structs.InstanceMetadata{}
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return none, notFound(r.ID)
	}
	action := "update metadata"
	if r.Remove != "" {
		action = "delete metadata"
		if _, ok := old.Metadata[r.Remove]; !ok {
			return none, structs.Errorf(structs.KindNotFound, "Metadata item was not found")
		}
	}
	if old.Locked && !r.Admin {
		return none, structs.Errorf(structs.KindConflict, "Instance %s is locked", old.ID)
	}
	if err := checkSettled(old, action); err != nil {
		return none, err
	}
	ins := old.Copy()
	if r.Replace || ins.Metadata == nil {
		ins.Metadata = map[string]string{}
	}
	maps.Copy(ins.Metadata, r.Set)
	delete(ins.Metadata, r.Remove)
	if r.Remove == "" {
		if limit := tx.UserQuotaLimits(ins.ProjectID, ins.UserID).MetadataItems; limit >= 0 && int64(len(ins.Metadata)) > limit {
			return none, structs.Errorf(structs.KindQuota, "Maximum number of metadata items exceeds %d", limit)
		}
	}
	ins.UpdatedAt = r.Now
	tx.PutInstance(ins)
	return structs.InstanceMetadata{Items: ins.Metadata}, nil
})

// InstanceTags changes an instance's tags.
var InstanceTags = register(31, "instance-tags", func(tx *state.Txn, r *structs.InstanceTagsRequest) (structs.InstanceTags, error) {
	none := structs.InstanceTags{}
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return none, notFound(r.ID)
	}
	if err := checkSettled(old, r.Action); err != nil {
		return none, err
	}
	tags := slices.Sorted(slices.Values(r.Tags))
	if r.Change != structs.TagsReplace {
		if len(r.Tags) != 1 {
			return none, structs.Errorf(structs.KindInternal, "instance-tags: one tag is added or removed at a time, not %d", len(r.Tags))
		}
		at, found := slices.BinarySearch(old.Tags, r.Tags[0])
		tags = slices.Clone(old.Tags)
		switch {
		case r.Change == structs.TagRemove && !found:
			return none, structs.Errorf(structs.KindNotFound, "Server %s has no tag '%s'", old.ID, r.Tags[0])
		case r.Change == structs.TagRemove:
			tags = slices.Delete(tags, at, at+1)
		case len(tags) >= structs.MaxInstanceTags: // also for a tag that is there, as in Nova
			return none, structs.Errorf(structs.KindInvalid, "The number of tags exceeded the per-server limit %d", structs.MaxInstanceTags)
		case !found:
			tags = slices.Insert(tags, at, r.Tags[0])
		}
	}
	ins := old.Copy()
	ins.Tags = slices.Compact(tags)
	if len(ins.Tags) > structs.MaxInstanceTags {
		return none, structs.Errorf(structs.KindInvalid, "The number of tags exceeded the per-server limit %d", structs.MaxInstanceTags)
	}
	changed := !slices.Equal(ins.Tags, old.Tags)
	if changed {
		tx.PutInstance(ins)
	}
	return structs.InstanceTags{Tags: ins.Tags, Changed: changed}, nil
})
