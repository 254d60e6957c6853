package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// InstancePassword keeps or forgets the encrypted password that a guest reported (/servers/{id}/os-server-password).
var InstancePassword = register(60, "instance-password", func(tx *state.Txn, r *structs.InstancePasswordRequest) (None, error) {
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return None{}, notFound(r.ID)
	}
	if old.Password == r.Password {
		return None{}, nil
	}
	ins := old.Copy()
	ins.Password, ins.UpdatedAt = r.Password, r.Now
	tx.PutInstance(ins)
	return None{}, nil
})
