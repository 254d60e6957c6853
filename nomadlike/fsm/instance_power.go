package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// InstancePower records that others switched an instance on or off (the external event power-update). It answers whether that changed anything; when
// applied again, it changes nothing.
var InstancePower = register(61, "instance-power", func(tx *state.Txn, r *structs.InstancePowerRequest) (bool, error) {
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return false, notFound(r.ID)
	}
	if tx.Operation(r.Action.ID) != nil {
		return true, nil
	}
	from, to := structs.VMActive, structs.VMStopped
	was, is := structs.PowerRunning, structs.PowerShutdown
	if r.On {
		from, to, was, is = to, from, is, was
	}
	if old.OperationID != "" || old.Task != structs.TaskNone || old.VM != from || old.Power != was {
		return false, nil
	}
	ins := old.Copy()
	ins.VM, ins.Power, ins.UpdatedAt = to, is, r.Now
	tx.PutInstance(ins)
	recordAction(tx, r.Action, r.Now)
	return true, nil
})
