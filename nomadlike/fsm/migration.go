package fsm

import (
	"cmp"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// prepareMove makes the record of a migration that begins, and takes what its flavor needs more of the quota. ins is a copy that it may change.
func prepareMove(tx *state.Txn, ins *structs.Instance, t *operation.Table, r *structs.OperationCreateRequest) error {
	op := &r.Operation
	m := &structs.Migration{ID: r.Migration, InstanceID: ins.ID, ProjectID: ins.ProjectID, UserID: op.UserID, OperationID: op.ID, Type: t.Moves,
		Status: structs.MigrationAccepted, SourceID: ins.HostID, Source: ins.Host, OldFlavor: ins.Flavor, NewFlavor: ins.Flavor, PriorVM: ins.VM,
		CreatedAt: r.Now, UpdatedAt: r.Now}
	if m.ID == "" {
		m.ID = structs.MigrationID(op.ID)
	}
	if f := op.Args.NewFlavor; f != nil {
		m.NewFlavor = *f
		if err := upsizeAllowed(tx, ins, f); err != nil {
			return err
		}
	}
	op.SourceID, op.MigrationID = ins.HostID, m.ID
	ins.MigrationID = m.ID
	if r.DiskConfig != "" {
		ins.DiskConfig = r.DiskConfig
	}
	tx.PutMigration(m)
	return nil
}

// upsizeAllowed refuses a flavor for which the project's quota has no room, in Nova's words: asked is what it needs more.
func upsizeAllowed(tx *state.Txn, ins *structs.Instance, f *structs.Flavor) error {
	cores, memory := max(0, int64(f.VCPUs)-int64(ins.Flavor.VCPUs)), max(0, f.MemoryMiB-ins.Flavor.MemoryMiB)
	limits, used := tx.QuotaRoom(ins.ProjectID, ins.UserID)
	limits.Instances = -1
	if cores == 0 {
		limits.Cores = -1
	}
	if memory == 0 {
		limits.MemoryMiB = -1
	}
	return quotaError(limits, used, 1, cores, memory)
}

// prepareEnd points an operation that confirms or reverts at the migration that waits for it.
func prepareEnd(tx *state.Txn, ins *structs.Instance, op *structs.Operation) error {
	m := tx.OpenMigration(ins)
	if m == nil || m.Status != structs.MigrationFinished {
		return structs.Errorf(structs.KindInvalid, "Instance has not been resized.")
	}
	op.SourceID, op.DestID, op.MigrationID = m.SourceID, m.DestID, m.ID
	if op.Kind == structs.OpRevertResize {
		old := m.OldFlavor
		op.Args.NewFlavor = &old
		ins.Generation++
	}
	return nil
}

// otherHost is where an instance has a claim besides where it is; "" is nowhere.
func otherHost(tx *state.Txn, ins *structs.Instance) structs.HostID {
	for c := range tx.Claims(ins.ID) {
		if c.HostID != ins.HostID {
			return c.HostID
		}
	}
	return ""
}

// own makes the instance its new host's, with the flavor that it has there.
func own(tx *state.Txn, ins *structs.Instance, op *structs.Operation) {
	ins.HostID = op.OwnerID
	if h := tx.Host(op.OwnerID); h != nil {
		ins.Host, ins.Zone = h.Name, h.Zone
	}
	if f := op.Args.NewFlavor; f != nil {
		ins.Flavor = *f
	}
}

// trackMigration writes what the operation's progress means to its migration.
func trackMigration(tx *state.Txn, op *structs.Operation, now structs.Time) {
	old := tx.Migration(op.MigrationID)
	if old == nil || old.Status.Final() {
		return
	}
	m := old.Copy()
	switch t := operation.Of(op.Kind); op.Status {
	case structs.OpSucceeded:
		m.Status = t.MigrationDone
		if m.Status == structs.MigrationDone && !slices.Contains(op.Lost, op.SourceID) {
			m.Status = structs.MigrationCompleted
		}
	case structs.OpFailed:
		m.Status = operation.MigrationFailed(op)
	case structs.OpCancelled:
		m.Status = structs.MigrationError
	case structs.OpRunning:
		if s, ok := operation.Lookup(op); ok && s.Migration != "" {
			m.Status = s.Migration
		}
	}
	m.OperationID = op.ID
	if operation.Moves(op.Kind) && m.DestID != op.DestID {
		m.DestID, m.Dest, m.DestAddr = op.DestID, "", ""
		if h := tx.Host(op.DestID); h != nil {
			m.Dest, m.DestAddr = h.Name, addressOf(h)
		}
	}
	if m.Status != old.Status || m.DestID != old.DestID || m.OperationID != old.OperationID {
		m.UpdatedAt = now
		tx.PutMigration(m)
	}
}

// endMigration closes the open migration of an instance that an administrator's word, or its end, takes out of it.
func endMigration(tx *state.Txn, ins *structs.Instance, now structs.Time) {
	m := tx.OpenMigration(ins)
	ins.MigrationID = ""
	if !m.Open() {
		return
	}
	m = m.Copy()
	if m.Status == structs.MigrationFinished && (ins.VM == structs.VMDeleted || ins.VM == structs.VMSoftDeleted) {
		m.Status = structs.MigrationConfirmed // as Nova, which confirms before it deletes
	} else {
		m.Status = structs.MigrationError
	}
	m.UpdatedAt = now
	tx.PutMigration(m)
}

// balance makes the claims of an instance what they should be: the room of its flavor where it is, and while its migration is open that of either flavor on
// the hosts of the migration, the larger of both where that is one host. The quota follows; before is what the instance held of it.
func balance(tx *state.Txn, ins *structs.Instance, before quotaHold) {
	if m := tx.OpenMigration(ins); m != nil && !m.Open() {
		ins.MigrationID = ""
	}
	want := map[structs.HostID]structs.Resources{}
	need := func(h structs.HostID, f *structs.Flavor) {
		if h != "" {
			want[h] = larger(want[h], scheduler.ResourcesOf(f))
		}
	}
	need(ins.HostID, &ins.Flavor)
	if m := tx.OpenMigration(ins); m.Open() {
		need(m.SourceID, &m.OldFlavor)
		need(m.DestID, &m.NewFlavor)
	}
	for _, c := range slices.Collect(tx.Claims(ins.ID)) { // in their order, as everything that is written
		r, ok := want[c.HostID]
		switch {
		case !ok:
			tx.DeleteClaim(ins.ID, c.HostID)
		case r != c.Resources:
			changed := *c
			changed.Resources = r
			tx.PutClaim(&changed)
		}
	}
	settleQuota(tx, ins, before)
}

func larger(a, b structs.Resources) structs.Resources {
	return structs.Resources{VCPUs: max(a.VCPUs, b.VCPUs), MemoryMiB: max(a.MemoryMiB, b.MemoryMiB), DiskGiB: max(a.DiskGiB, b.DiskGiB)}
}

// quotaHold is what an instance holds of its project's quota.
type quotaHold struct{ instances, cores, memoryMiB int64 }

func holds(tx *state.Txn, ins *structs.Instance) quotaHold {
	n, cores, memory := tx.Holds(ins)
	return quotaHold{n, cores, memory}
}

// settleQuota books the difference between what the instance held and what it holds now.
func settleQuota(tx *state.Txn, ins *structs.Instance, before quotaHold) {
	if after := holds(tx, ins); after != before {
		tx.AddQuotaUsage(ins.ProjectID, after.instances-before.instances, after.cores-before.cores, after.memoryMiB-before.memoryMiB)
	}
}

// signalWords are Nova's words for the signals, in its refusals.
var signalWords = map[structs.MigrationSignal]string{structs.SignalAbort: "abort live migration", structs.SignalForceComplete: "force_complete"}

// MigrationSignal aborts a live migration, or has it completed at once.
var MigrationSignal = register(28, "migration-signal", func(tx *state.Txn, r *structs.MigrationSignalRequest) (None, error) {
	if tx.Operation(r.Action.ID) != nil {
		return None{}, nil
	}
	ins, m := tx.Instance(r.InstanceID), tx.Migration(r.MigrationID)
	if ins == nil || ins.Deleted() {
		return None{}, notFound(r.InstanceID)
	}
	if ins.Locked && !r.Admin {
		return None{}, locked(ins)
	}
	word := signalWords[r.Signal]
	if r.Signal == structs.SignalForceComplete && ins.VM != structs.VMActive {
		return None{}, structs.Errorf(structs.KindConflict, "Cannot '%s' instance %s while it is in vm_state %s", r.Signal, ins.ID, ins.VM)
	}
	if ins.Task != structs.TaskMigrating {
		return None{}, structs.Errorf(structs.KindConflict, "Cannot '%s' instance %s while it is in task_state %s", word, ins.ID, cmp.Or(ins.Task, "None"))
	}
	if m == nil || m.InstanceID != ins.ID {
		return None{}, structs.Errorf(structs.KindNotFound, "Migration %s not found for instance %s", r.MigrationID, ins.ID)
	}
	op := tx.Operation(m.OperationID)
	if op == nil || op.Status.Final() || !slices.Contains(r.Statuses, m.Status) {
		return None{}, structs.Errorf(structs.KindInvalid, "Migration %d state of instance %s is %s. Cannot %s while the migration is in this state.",
			m.Num, ins.ID, m.Status, word)
	}
	recordAction(tx, r.Action, r.Now)
	if op.Status == structs.OpUndoing || op.Signal == structs.SignalAbort {
		return None{}, nil // it ends without the guest having moved already
	}
	op = op.Copy()
	op.Signal, op.UpdatedAt = r.Signal, r.Now
	tx.PutOperation(op)
	if r.Signal == structs.SignalAbort && op.Step == structs.StepPlace {
		advance(tx, structs.Outcome{OperationID: op.ID, Step: op.Step, Attempt: op.Attempt, Generation: op.Generation, Error: "it was aborted",
			ErrorKind: structs.KindConflict}, r.Now)
	}
	return None{}, nil
})
