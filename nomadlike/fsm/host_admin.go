package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// HostAdmin changes what an operator says of a host. What runs on the host goes on.
var HostAdmin = register(21, "host-admin", func(tx *state.Txn, r *structs.HostAdminRequest) (*structs.Host, error) {
	old := tx.Host(r.HostID)
	if old == nil {
		return nil, structs.Errorf(structs.KindNotFound, "Service %s could not be found.", r.HostID)
	}
	h := old.Copy()
	if r.Disabled != nil {
		h.Disabled, h.DisabledReason = *r.Disabled, ""
		if h.Disabled {
			h.DisabledReason = r.DisabledReason
		}
	}
	if r.ForcedDown != nil {
		h.ForcedDown = *r.ForcedDown
	}
	h.UpdatedAt = r.Now
	tx.PutHost(h)
	return h, nil
})

// HostDelete removes the record of a host that is gone; another one may have its name then. Its client may still come back: it registers as a new host, at an
// epoch above those that it had (state.Txn.FirstHostEpoch), and destroys the guests of deleted instances that the cluster still has a record of.
var HostDelete = register(24, "host-delete", func(tx *state.Txn, r *structs.HostDeleteRequest) (None, error) {
	h := tx.Host(r.HostID)
	if h == nil {
		return None{}, structs.Errorf(structs.KindNotFound, "Service %s not found.", r.HostID)
	}
	left, err := checkUnused(tx, h)
	if err != nil {
		return None{}, err
	}
	if len(left) > 0 && !r.Force {
		return None{}, structs.Errorf(structs.KindConflict, "Host %s may still have the guests of %d deleted instances: start its client once more, so that it removes them, "+
			"or delete the host by force when its disks are gone (`kilonova host delete -force`).", h.Name, len(left))
	}
	for _, old := range left {
		cleanedUp(tx, old)
	}
	for _, old := range slices.Collect(tx.AllDeletedInstances()) {
		if old.AlsoOn == h.ID {
			ins := old.Copy()
			ins.AlsoOn = ""
			tx.PutInstance(ins)
		}
	}
	leaveAggregates(tx, h.ID)
	tx.DeleteHost(h.ID)
	return None{}, nil
})

// checkUnused refuses a host that lives or is in use, and returns the deleted instances whose guest may be left on it.
func checkUnused(tx *state.Txn, h *structs.Host) (left []*structs.Instance, err error) {
	used := false
	for ins := range tx.InstancesOnHost(h.ID) {
		if ins.Deleted() {
			left = append(left, ins)
		} else {
			used = true
		}
	}
	for range tx.ClaimsOnHost(h.ID) {
		used = true
	}
	if used {
		return nil, structs.Errorf(structs.KindConflict, "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
	}
	if h.Status != structs.HostDown && !h.ForcedDown {
		return nil, structs.Errorf(structs.KindConflict, "Host %s is %s: stop its client first, and wait until the host is down.", h.Name, h.Status)
	}
	for op := range tx.OperationsOnHost(h.ID) {
		return nil, structs.Errorf(structs.KindConflict, "Operation %s (%s of instance %s) still runs on host %s: wait until it has ended.", op.ID, op.Kind, op.InstanceID, h.Name)
	}
	return left, nil
}
