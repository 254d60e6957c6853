package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// InstancePin pins an instance to its availability zone or unpins it (PUT /servers/{id} from microversion 2.104 on).
var InstancePin = register(22, "instance-pin", func(tx *state.Txn, r *structs.InstancePinRequest) (None, error) {
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return None{}, notFound(r.ID)
	}
	if r.Zone == old.PinnedZone {
		return None{}, nil
	}
	if r.Zone != "" {
		if old.PinnedZone != "" {
			return None{}, structs.Errorf(structs.KindConflict,
				"Cannot change pinned availability zone directly. Unpin first by setting pinned_availability_zone to null.")
		}
		if r.Zone != old.Zone {
			return None{}, structs.Errorf(structs.KindConflict,
				"Server can only be pinned to its current availability zone '%s', but '%s' was requested.", old.Zone, r.Zone)
		}
	}
	ins := old.Copy()
	ins.PinnedZone, ins.UpdatedAt = r.Zone, r.Now
	tx.PutInstance(ins)
	return None{}, nil
})
