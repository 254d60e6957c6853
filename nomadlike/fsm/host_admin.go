package fsm

import (
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
