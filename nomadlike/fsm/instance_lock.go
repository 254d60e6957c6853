package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// InstanceLock locks or unlocks an instance. Who locks again what the owner locked changes nothing but the reason, as in Nova.
var InstanceLock = register(25, "instance-lock", func(tx *state.Txn, r *structs.InstanceLockRequest) (None, error) {
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return None{}, notFound(r.ID)
	}
	ins := old.Copy()
	ins.UpdatedAt = r.Now
	if r.Lock {
		ins.Locked, ins.LockedReason = true, r.Reason
		if !old.Locked {
			ins.LockedBy = r.By
		}
	} else {
		ins.Locked, ins.LockedBy, ins.LockedReason = false, "", nil
	}
	tx.PutInstance(ins)
	recordAction(tx, r.Action, r.Now)
	return None{}, nil
})

// InstanceReset sets an instance's state by an administrator's word, and cancels what runs on it.
var InstanceReset = register(26, "instance-reset", func(tx *state.Txn, r *structs.InstanceResetRequest) (None, error) {
	old := tx.Instance(r.ID)
	if old == nil || old.Deleted() {
		return None{}, notFound(r.ID)
	}
	if r.VM != structs.VMActive && r.VM != structs.VMError {
		return None{}, structs.Errorf(structs.KindInvalid, "an instance is reset to %s or %s, not to %q", structs.VMActive, structs.VMError, r.VM)
	}
	supersede(tx, old, "an administrator reset the instance's state", r.Now)
	ins, before := tx.Instance(r.ID).Copy(), holds(tx, old)
	if other := otherHost(tx, ins); other != "" {
		lookOver(tx, other)
	}
	endMigration(tx, ins, r.Now)
	balance(tx, ins, before)
	ins.VM, ins.Task, ins.OperationID, ins.UpdatedAt = r.VM, structs.TaskNone, "", r.Now
	if r.VM == structs.VMError && ins.Fault == nil {
		ins.Fault = &structs.Fault{Code: 500, Message: "An administrator set the instance to error.", At: r.Now}
	}
	tx.PutInstance(ins)
	recordAction(tx, r.Action, r.Now)
	return None{}, nil
})

// recordAction keeps an action that was done at once, for the list of the instance's actions.
func recordAction(tx *state.Txn, op structs.Operation, now structs.Time) {
	if op.ID == "" || tx.Operation(op.ID) != nil {
		return
	}
	op.Status, op.CreatedAt, op.UpdatedAt, op.StartedAt, op.FinishedAt = structs.OpSucceeded, now, now, now, now
	tx.PutOperation(&op)
}
