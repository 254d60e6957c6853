package fsm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// OperationCreate starts an operation on an instance; it answers the id of the operation that now does what was asked.
var OperationCreate = register(14, "operation-create", applyOperationCreate)

func applyOperationCreate(tx *state.Txn, r *structs.OperationCreateRequest) (structs.OperationID, error) {
	if again := tx.Operation(r.Operation.ID); again != nil {
		return again.ID, nil // proposed again by someone who did not learn that it was applied
	}
	ins := tx.Instance(r.Operation.InstanceID)
	if ins == nil || ins.Deleted() {
		return "", notFound(r.Operation.InstanceID)
	}
	if r.Operation.Kind == structs.OpUnshelve && ins.VM == structs.VMShelved && r.Operation.Args.Pin == nil {
		r.Operation.Kind = structs.OpUnshelveHere
	}
	t := operation.Of(r.Operation.Kind)
	if t == nil || r.Operation.Kind == structs.OpBuild {
		return "", structs.Errorf(structs.KindInvalid, "there is no operation %q on an existing instance", r.Operation.Kind)
	}
	if ins.Locked && !r.Admin && !t.Allow.NoLock {
		return "", locked(ins)
	}
	if r.Operation.Kind == structs.OpDelete {
		return beginDelete(tx, ins, r)
	}
	if err := checkReady(tx, ins, t); err != nil {
		return "", err
	}
	if r.Operation.Kind == structs.OpRestore { // it counts again when it is restored
		limits, used := tx.QuotaRoom(ins.ProjectID, ins.UserID)
		if err := quotaError(limits, used, 1, int64(ins.Flavor.VCPUs), ins.Flavor.MemoryMiB); err != nil {
			return "", err
		}
	}
	if r.Operation.Kind == structs.OpUnshelve {
		r.Operation.Args.ImageID = ins.ShelvedImageID
		if pin := r.Operation.Args.Pin; pin != nil {
			ins = ins.Copy()
			ins.RequestedHost = pin.Host
			if pin.SetZone {
				ins.PinnedZone = pin.Zone
			}
		}
	}
	if err := notBusy(tx, ins, t); err != nil {
		return "", err
	}
	supersede(tx, ins, fmt.Sprintf("superseded by %s %s", r.Operation.Kind, r.Operation.ID), r.Now)
	if r.Operation.Kind == structs.OpSoftDelete { // as a delete, it ends a migration that waits
		r.Operation.SourceID = otherHost(tx, ins)
	}
	before := holds(tx, ins)
	ins, err := prepareTwo(tx, ins, t, r)
	if err != nil {
		return "", err
	}
	settleQuota(tx, ins, before)
	r.Operation.Args.PriorVM = ins.VM
	if r.Rebuild != nil {
		ins = rebuilt(ins, r.Rebuild)
	}
	if r.Image != nil {
		if tx.Image(r.Image.ID) != nil {
			return "", structs.Errorf(structs.KindConflict, "Image ID %s already exists!", r.Image.ID)
		}
		if err := withinImageLimits(r.Image.ProjectID, tx.ImageUsage(r.Image.ProjectID), r.ImageLimits, made); err != nil && !r.Image.External {
			return "", err
		}
		tx.PutImage(r.Image)
	}
	return begin(tx, ins, r.Operation, r.Now)
}

// prepareTwo readies the request of an operation with two hosts. It returns a changed copy of the instance, or the instance where there is nothing to change.
func prepareTwo(tx *state.Txn, old *structs.Instance, t *operation.Table, r *structs.OperationCreateRequest) (*structs.Instance, error) {
	if t.Moves == "" && !t.Ends {
		return old, nil
	}
	ins := old.Copy()
	if t.Ends {
		return ins, prepareEnd(tx, ins, &r.Operation)
	}
	return ins, prepareMove(tx, ins, t, r)
}

// notBusy refuses to cut off what runs without a task that the table of states would see, e.g. the confirmation of a resize.
func notBusy(tx *state.Txn, ins *structs.Instance, t *operation.Table) error {
	running := tx.Operation(ins.OperationID)
	if running == nil || running.Status.Final() || ins.Task != structs.TaskNone || t.Allow.AnyTask || t.Ends { // what ends a migration finds that it no longer waits
		return nil
	}
	return structs.Errorf(structs.KindConflict, "Cannot '%s' instance %s while its %s is being done", t.Action, ins.ID, running.Kind)
}

func locked(ins *structs.Instance) error {
	return structs.Errorf(structs.KindConflict, "Instance %s is locked", ins.ID)
}

// checkReady refuses, in Nova's order, an instance without a host that could do it or in a state that does not allow it.
func checkReady(tx *state.Txn, ins *structs.Instance, t *operation.Table) error {
	if operation.Places(t.Kind) && !operation.Moves(t.Kind) { // it has no host yet
		return t.Check(ins)
	}
	if ins.HostID == "" || ins.VM == structs.VMBuilding { // a state that does not allow it says more than a host that is missing
		if err := t.Check(ins); err != nil {
			return err
		}
	}
	if ins.HostID == "" {
		return structs.Errorf(structs.KindConflict, "Instance %s is not ready: it has no host", ins.ID)
	}
	h := tx.Host(ins.HostID)
	switch down := h == nil || h.Status == structs.HostDown || t.FromDown && h.ForcedDown; {
	case down && !t.FromDown:
		return structs.Errorf(structs.KindConflict, "Instance %s is not ready: its host %s is down", ins.ID, ins.Host)
	case t.FromDown && !down:
		if err := t.Check(ins); err != nil {
			return err
		}
		return structs.Errorf(structs.KindInvalid, "Compute service of %s is still in use.", ins.Host)
	}
	if err := t.Check(ins); err != nil {
		return err
	}
	if !t.FromDown && t.Lacks(h.Methods) != "" {
		return structs.Errorf(structs.KindNotSupported, "The driver %s of the instance's host cannot %s.", h.Driver, t.Action)
	}
	return nil
}

// rebuilt is the instance as a rebuild that begins changes it.
func rebuilt(old *structs.Instance, r *structs.InstanceRebuild) *structs.Instance {
	ins := old.Copy()
	ins.ImageID, ins.ImageSHA512, ins.ImageProps, ins.ImageMinDisk = r.ImageID, r.ImageSHA512, r.ImageProps, r.ImageMinDisk
	ins.Files = r.Files
	set(&ins.Name, r.Name)
	set(&ins.Metadata, r.Metadata)
	set(&ins.Hostname, r.Hostname)
	set(&ins.DiskConfig, r.DiskConfig)
	set(&ins.AccessIPv4, r.AccessIPv4)
	set(&ins.AccessIPv6, r.AccessIPv6)
	if r.SetDescription {
		ins.Description = r.Description
	}
	if r.SetKey {
		ins.KeyName, ins.PublicKeys = r.KeyName, r.PublicKeys
	}
	if r.SetUserData {
		ins.UserData = r.UserData
	}
	if r.SetTrusted {
		ins.TrustedCerts = r.TrustedCerts
	}
	return ins
}

// set changes dst when there is a new value.
func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

func begin(tx *state.Txn, old *structs.Instance, op structs.Operation, now structs.Time) (structs.OperationID, error) {
	op, err := operation.Begin(op, old.HostID, old.Generation, now)
	if err != nil {
		return "", err
	}
	step, _ := operation.Lookup(&op)
	ins := old.Copy()
	ins.OperationID, ins.Task, ins.UpdatedAt = op.ID, step.Task, now
	tx.PutOperation(&op)
	tx.PutInstance(ins)
	trackMigration(tx, &op, now)
	hostIsLost(tx, &op, now)
	if operation.Places(op.Kind) {
		tx.PutEvaluation(&structs.Evaluation{ID: derivedEvaluation(&op), InstanceID: ins.ID, OperationID: op.ID, Status: structs.EvalPending, CreatedAt: now, UpdatedAt: now})
	}
	return op.ID, nil
}

// supersede cancels what runs on the instance.
func supersede(tx *state.Txn, ins *structs.Instance, why string, now structs.Time) {
	if running := tx.Operation(ins.OperationID); running != nil && !running.Status.Final() {
		before, cancelled := holds(tx, ins), operation.Cancel(running, why, now)
		tx.PutOperation(cancelled)
		trackMigration(tx, cancelled, now) // its hosts keep their claims until the instance's next end
		settleQuota(tx, ins, before)
		dropUnfinished(tx, running)
		if h := buildsOn(running); h != "" {
			tx.AddHostBuilding(h, -1)
		}
	}
	for e := range tx.EvaluationsOfInstance(ins.ID) {
		if e.Status == structs.EvalPending {
			done := *e
			done.Status, done.UpdatedAt = structs.EvalFailed, now
			tx.PutEvaluation(&done)
		}
	}
}

// buildsOn is the host among whose disk-heavy operations an operation that needs a place is counted; "" while it has none.
func buildsOn(op *structs.Operation) structs.HostID {
	switch {
	case operation.Moves(op.Kind):
		return op.DestID
	case operation.Places(op.Kind):
		return op.HostID
	}
	return ""
}

// hostIsLost tells an operation whose turn is a host's that is down already.
func hostIsLost(tx *state.Txn, op *structs.Operation, now structs.Time) {
	if op.Status.Final() || op.HostID == "" || op.Step == structs.StepPlace {
		return
	}
	h := tx.Host(op.HostID)
	switch {
	case h == nil:
		advance(tx, structs.Outcome{OperationID: op.ID, Generation: op.Generation, HostLost: true, ErrorKind: structs.KindUnavailable, Error: "its host is gone"}, now)
	case h.Status == structs.HostDown:
		advance(tx, lost(op, h), now)
	}
}

// beginDelete starts a deletion, or does it at once when no living host holds the guest. A delete of what is being
// deleted is that deletion.
func beginDelete(tx *state.Txn, ins *structs.Instance, r *structs.OperationCreateRequest) (structs.OperationID, error) {
	if running := tx.Operation(ins.OperationID); running != nil && running.Kind == structs.OpDelete && !running.Status.Final() {
		return running.ID, nil
	}
	supersede(tx, ins, "superseded by delete "+string(r.Operation.ID), r.Now)
	r.Operation.Args.PriorVM, r.Operation.SourceID = ins.VM, otherHost(tx, ins)
	if ins.HostID != "" && tx.Host(ins.HostID) != nil {
		return begin(tx, ins, r.Operation, r.Now)
	}
	op, err := operation.Begin(r.Operation, ins.HostID, ins.Generation, r.Now)
	if err != nil {
		return "", err
	}
	op.Status, op.FinishedAt = structs.OpSucceeded, r.Now
	tx.PutOperation(&op)
	deleteInstance(tx, ins, nil, r.Now)
	return op.ID, nil
}

// OperationReport takes in outcomes of steps.
var OperationReport = register(16, "operation-report", func(tx *state.Txn, r *structs.OperationReportRequest) (None, error) {
	if r.HostID != "" {
		if err := checkSession(tx, r.HostID, r.Epoch); err != nil {
			return None{}, err
		}
	}
	for _, o := range r.Outcomes {
		if op := tx.Operation(o.OperationID); op != nil && (r.HostID == "" || op.HostID == r.HostID) {
			advance(tx, o, r.Now)
		}
	}
	return None{}, nil
})

// advance applies one outcome to its operation and does to the instance, its claim and its quota what was decided.
func advance(tx *state.Txn, o structs.Outcome, now structs.Time) {
	prior := tx.Operation(o.OperationID)
	if prior == nil {
		return
	}
	op, decision := operation.Next(prior, o, now)
	if decision == operation.Stale {
		return
	}
	tx.PutOperation(op)
	ins := tx.Instance(op.InstanceID)
	if ins == nil || ins.OperationID != op.ID {
		return
	}
	settle(tx, ins.Copy(), prior, op, decision, o, now)
	ended(tx, op)
	hostIsLost(tx, op, now)
}

func settle(tx *state.Txn, ins *structs.Instance, prior, op *structs.Operation, d operation.Decision, o structs.Outcome, now structs.Time) {
	ins.UpdatedAt = now
	before := holds(tx, ins)
	trackMigration(tx, op, now)
	if op.OwnerID != "" && prior.OwnerID == "" {
		own(tx, ins, op)
	}
	if op.MigrationID != "" || op.Status.Final() && ins.MigrationID != "" { // its own, or one that it has cut off
		balance(tx, ins, before)
	}
	switch d {
	case operation.Proceeds:
		if step, ok := operation.Lookup(op); ok {
			ins.Task = step.Task
		}
		tx.PutInstance(ins)
	case operation.Undoes:
		tx.PutInstance(ins) // its task is what it was: the operation goes on
	case operation.Replaces:
		tx.AddHostBuilding(buildsOn(prior), -1)
		if operation.Moves(op.Kind) {
			step, _ := operation.Lookup(op)
			ins.Task = step.Task
		} else {
			tx.DeleteClaim(ins.ID, prior.HostID)
			ins.HostID, ins.Host, ins.Task = "", "", structs.TaskScheduling
		}
		tx.PutInstance(ins)
		tx.PutEvaluation(&structs.Evaluation{ID: derivedEvaluation(op), InstanceID: ins.ID, OperationID: op.ID, Status: structs.EvalPending,
			Attempt: len(op.AvoidHosts) + 1, CreatedAt: now, UpdatedAt: now})
	case operation.Succeeded:
		succeeded(tx, ins, op, o, now)
	case operation.Failed:
		failed(tx, ins, prior, op, false, o, now)
	case operation.Abandoned:
		if op.Kind == structs.OpDelete && op.Status == structs.OpSucceeded {
			deleteInstance(tx, ins, op.Lost, now)
			return
		}
		failed(tx, ins, prior, op, true, o, now)
	}
}

// ended has hosts look for what an operation with two of them may have left.
func ended(tx *state.Txn, op *structs.Operation) {
	if ins := tx.Instance(op.InstanceID); ins != nil && op.SourceID != "" && op.Status.Final() {
		tellLeftovers(tx, ins, op)
	}
}

// derivedEvaluation names the evaluation of a further placement. It derives from the operation, because the state machine may not make up an id.
func derivedEvaluation(op *structs.Operation) structs.EvaluationID {
	return structs.EvaluationID(uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s/%d", op.ID, len(op.AvoidHosts))).String())
}

func succeeded(tx *state.Txn, ins *structs.Instance, op *structs.Operation, o structs.Outcome, now structs.Time) {
	if op.Kind == structs.OpDelete {
		deleteInstance(tx, ins, op.Lost, now)
		return
	}
	t := operation.Of(op.Kind)
	if h := buildsOn(op); h != "" {
		tx.AddHostBuilding(h, -1)
	}
	ins.OperationID, ins.Task, ins.Fault = "", structs.TaskNone, nil
	before := holds(tx, ins)
	t.Done(ins, op, o, now)
	if op.Kind == structs.OpSoftDelete && ins.MigrationID != "" {
		endMigration(tx, ins, now)
		balance(tx, ins, before)
	} else {
		settleQuota(tx, ins, before)
	}
	if t.Releases {
		tx.DeleteClaim(ins.ID, ins.HostID)
		ins.HostID, ins.Host, ins.Zone = "", "", ""
	}
	if op.Kind == structs.OpUnshelve || op.Kind == structs.OpUnshelveHere {
		dropImage(tx, ins.ShelvedImageID)
		ins.ShelvedImageID = ""
	}
	switch op.Kind {
	case structs.OpShelve:
		ins.ShelvedAt = 0
		if op.Args.OffloadAfter != 0 {
			ins.ShelvedAt = now
		}
	case structs.OpShelveOffload, structs.OpUnshelveHere:
		ins.ShelvedAt = 0
	}
	rotate(tx, op)
	tx.PutInstance(ins)
	if op.Kind == structs.OpShelve && op.Args.OffloadAfter == 0 {
		offload(tx, ins, op, now)
	}
}

// offload takes a shelved instance off its host at once. Else the leader does when its time has come, or an administrator.
func offload(tx *state.Txn, ins *structs.Instance, shelve *structs.Operation, now structs.Time) {
	id := structs.OperationID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(shelve.ID+"/offload")).String())
	next := structs.Operation{ID: id, InstanceID: ins.ID, ProjectID: shelve.ProjectID, UserID: shelve.UserID, RequestID: shelve.RequestID, Kind: structs.OpShelveOffload}
	next.Args.PriorVM = ins.VM
	_, _ = begin(tx, ins, next, now) // the kind has a table
}

// failed ends an operation that did not do what it was to: a build or a delete leaves the instance in error with a fault
// that says what, where and what to do; of a power change the instance keeps its state, unless its guest is known to be off. With
// abandoned the host may still hold something, so claim and host stay until a delete.
func failed(tx *state.Txn, ins *structs.Instance, prior, op *structs.Operation, abandoned bool, o structs.Outcome, now structs.Time) {
	ins.OperationID, ins.Task = "", structs.TaskNone
	if h := buildsOn(prior); h != "" {
		tx.AddHostBuilding(h, -1)
		if !abandoned && !operation.Moves(op.Kind) {
			tx.DeleteClaim(ins.ID, prior.HostID)
			ins.HostID, ins.Host = "", ""
		}
	}
	dropUnfinished(tx, op)
	if operation.Of(op.Kind).Breaks(prior, o) {
		ins.VM, ins.Fault = structs.VMError, fault(tx, prior, op, now)
	}
	tx.PutInstance(ins)
}

// fault says what failed. Administrators read all of it; users what failed, of which kind the cause is and what they can do, without hosts' names and
// without what a driver says of its host's paths, sockets and processes.
func fault(tx *state.Txn, prior, op *structs.Operation, now structs.Time) *structs.Fault {
	f := &structs.Fault{Code: 500, At: now}
	if op.ErrorKind == structs.KindNoCapacity {
		f.Message, f.Public = op.Error, noHostPublic
		return f
	}
	where := ""
	if h := tx.Host(prior.HostID); h != nil {
		where = " on host " + h.Name
	}
	advice := "Delete the instance, or see the host's driver and log."
	if op.Kind == structs.OpBuild {
		advice = "Delete the instance and create it again once the cause is cured."
	}
	step := failedStep(prior)
	f.Message = fmt.Sprintf("%s failed at step %s%s: %s", op.Kind, step, where, op.Error)
	f.Public = fmt.Sprintf("%s failed at step %s: %s. %s", op.Kind, step, publicCause(op), operation.Of(op.Kind).Advice)
	f.Details = fmt.Sprintf("operation %s, attempt %d. %s", op.ID, prior.Attempt, advice)
	return f
}

// publicCause words an error for who asked for the operation. What the request itself made impossible is told whole: only its author can put it right.
func publicCause(op *structs.Operation) string {
	switch op.ErrorKind {
	case structs.KindInvalid, structs.KindNotSupported:
		return strings.TrimRight(op.Error, ". ")
	case structs.KindTimeout:
		return "it took longer than it may"
	case structs.KindUnavailable:
		return "the host or its hypervisor was not available"
	case structs.KindNotFound:
		return "the host misses something that it needs"
	}
	return "the host's hypervisor refused"
}

// failedStep is the step that made the operation fail: while it undoes, not the step that undoes.
func failedStep(op *structs.Operation) structs.StepName {
	if op.Status == structs.OpUndoing {
		for _, r := range slices.Backward(op.History) {
			if !r.Undo {
				return r.Step
			}
		}
	}
	return op.Step
}

// deleteInstance makes the instance deleted and gives back what it held. Its guest may still be on hosts that were lost; the record then stays on those
// hosts' lists until their clients say that the guest is gone.
func deleteInstance(tx *state.Txn, old *structs.Instance, left []structs.HostID, now structs.Time) {
	ins, before := old.Copy(), holds(tx, old)
	var hosts []structs.HostID
	for c := range tx.Claims(ins.ID) {
		hosts = append(hosts, c.HostID)
	}
	for _, h := range hosts {
		tx.DeleteClaim(ins.ID, h)
	}
	ins.VM, ins.Task, ins.Power, ins.OperationID, ins.Cleanup = structs.VMDeleted, structs.TaskNone, structs.PowerNoState, "", len(left) > 0
	if len(left) > 0 && left[0] != ins.HostID {
		ins.HostID, ins.Host = left[0], ""
		if h := tx.Host(left[0]); h != nil {
			ins.Host = h.Name
		}
	}
	if len(left) > 1 {
		ins.AlsoOn = left[1]
	}
	endMigration(tx, ins, now)
	settleQuota(tx, ins, before)
	ins.TerminatedAt, ins.DeletedAt, ins.UpdatedAt = now, now, now
	ins.UserData, ins.Files = nil, nil
	if ins.ShelvedImageID != "" {
		dropImage(tx, ins.ShelvedImageID)
	}
	tx.PutInstance(ins)
}
