package fsm

import (
	"fmt"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// PlanApply commits placements, each checked against the newest state: two schedulers may propose the same room, one is
// told no here and tries again.
var PlanApply = register(15, "plan-apply", func(tx *state.Txn, r *structs.PlanApplyRequest) ([]structs.PlacementResult, error) {
	results := make([]structs.PlacementResult, len(r.Placements))
	settings := tx.ClusterSettings()
	for i := range r.Placements {
		results[i] = applyPlacement(tx, settings, &r.Placements[i], r.Now)
	}
	return results, nil
})

func applyPlacement(tx *state.Txn, settings *structs.ClusterSettings, p *structs.Placement, now structs.Time) structs.PlacementResult {
	op, ins := tx.Operation(p.OperationID), tx.Instance(p.InstanceID)
	if op == nil || ins == nil || ins.OperationID != op.ID || op.Status != structs.OpRunning || op.Step != structs.StepPlace {
		endEvaluation(tx, p, structs.EvalFailed, now)
		return structs.PlacementResult{Stale: true, Reason: "the operation no longer wants a place"}
	}
	if p.HostID == "" {
		endEvaluation(tx, p, structs.EvalFailed, now)
		noValidHost(tx, ins, op, p.Explanation, now)
		return structs.PlacementResult{Applied: true}
	}
	h := tx.Host(p.HostID)
	if h == nil {
		return structs.PlacementResult{Reason: "host is gone"}
	}
	if ok, why := h.Schedulable(); !ok {
		return structs.PlacementResult{Reason: why}
	}
	if why := moveRefuses(tx, op, h); why != "" {
		return structs.PlacementResult{Reason: why}
	}
	if ins.PinnedZone != "" && ins.PinnedZone != h.Zone && (ins.RequestedHost == "" || operation.Moves(op.Kind)) {
		return structs.PlacementResult{Reason: "the host is no longer in zone " + ins.PinnedZone}
	}
	if why := groupRefuses(tx, ins, h); why != "" {
		return structs.PlacementResult{Reason: why}
	}
	want, used := scheduler.ResourcesOf(&ins.Flavor), tx.HostUsage(h.ID).Used
	if op.Args.NewFlavor != nil {
		want = scheduler.ResourcesOf(op.Args.NewFlavor)
	}
	if h.ID == ins.HostID { // a resize where it is
		had := scheduler.ResourcesOf(&ins.Flavor)
		want, used = larger(want, had), used.Sub(had)
	}
	if !used.Add(want).Fits(h.Capacity(settings)) {
		return structs.PlacementResult{Reason: "another placement took the room"}
	}
	place(tx, ins.Copy(), op, h, want, now)
	endEvaluation(tx, p, structs.EvalComplete, now)
	return structs.PlacementResult{Applied: true}
}

func place(tx *state.Txn, ins *structs.Instance, op *structs.Operation, h *structs.Host, want structs.Resources, now structs.Time) {
	ins.Generation++
	op = operation.Placed(op, h.ID, ins.Generation, now)
	step, _ := operation.Lookup(op)
	ins.Task, ins.UpdatedAt = step.Task, now
	if !operation.Moves(op.Kind) {
		ins.HostID, ins.Host, ins.Zone = h.ID, h.Name, h.Zone
	}
	tx.PutInstance(ins)
	tx.PutOperation(op)
	trackMigration(tx, op, now)
	tx.PutClaim(&structs.Claim{InstanceID: ins.ID, HostID: h.ID, ProjectID: ins.ProjectID, UserID: ins.UserID, Resources: want,
		Generation: ins.Generation, OperationID: op.ID})
	tx.AddHostBuilding(h.ID, 1)
	hostIsLost(tx, op, now)
}

// moveRefuses says why an instance that has a host may not go to h: the state may have changed since that was planned. It is scheduler's rule.
func moveRefuses(tx *state.Txn, op *structs.Operation, h *structs.Host) string {
	if !operation.Moves(op.Kind) {
		return ""
	}
	return scheduler.MoveRefuses(scheduler.MoveOf(tx.Reader, op), h)
}

// endEvaluation finishes an evaluation. One that has nothing to tell is dropped at once.
func endEvaluation(tx *state.Txn, p *structs.Placement, st structs.EvaluationStatus, now structs.Time) {
	old := tx.Evaluation(p.EvaluationID)
	if old == nil {
		return
	}
	if st == structs.EvalComplete && (p.Explanation == nil || len(p.Explanation.Refused) == 0) {
		tx.DeleteEvaluation(old.ID)
		return
	}
	e := *old
	e.Status, e.UpdatedAt, e.Result = st, now, p.Explanation
	tx.PutEvaluation(&e)
}

func noValidHost(tx *state.Txn, ins *structs.Instance, op *structs.Operation, x *structs.Explanation, now structs.Time) {
	why, public := NoValidHost(x), refusals(x, false)
	o := structs.Outcome{OperationID: op.ID, Step: op.Step, Attempt: op.Attempt, Generation: op.Generation, Error: why, ErrorKind: structs.KindNoCapacity}
	if n := len(op.AvoidHosts); n > 0 && op.Error != "" {
		o.Error = fmt.Sprintf("%s (after the build failed on %d of them: %s)", why, n, op.Error)
		public = fmt.Sprintf("%s (After the build failed on %d of them: %s.)", public, n, publicCause(op))
	}
	advance(tx, o, now)
	if got := tx.Instance(ins.ID); got != nil && got.VM == structs.VMError && got.Fault != nil {
		failed, fault := got.Copy(), *got.Fault
		fault.Public = public
		failed.Fault = &fault
		tx.PutInstance(failed)
	}
}

// noHostPublic is Nova's sentence, all that users are told where nothing is known of who refused.
const noHostPublic = "No valid host was found. There are not enough hosts available."

// NoValidHost words why no host was found: Nova's sentence, then how many hosts each filter refused and an example.
func NoValidHost(x *structs.Explanation) string {
	if x == nil || x.Hosts == 0 {
		return "No valid host was found. There are no hosts: start a client, and see `kilonova host status`."
	}
	return refusals(x, true)
}

// refusals says how many hosts each filter refused; the examples name hosts and what they have free, which is for administrators.
func refusals(x *structs.Explanation, examples bool) string {
	if x == nil || len(x.Refused) == 0 {
		return noHostPublic
	}
	parts := make([]string, len(x.Refused))
	for i, f := range x.Refused {
		parts[i] = fmt.Sprintf("%s refused %d", f.Filter, f.Count)
		if examples {
			parts[i] += " (" + f.Example + ")"
		}
	}
	return fmt.Sprintf("%s Of %d hosts, %s.", noHostPublic, x.Hosts, strings.Join(parts, "; "))
}

// Reap removes finished records.
var Reap = register(17, "reap", func(tx *state.Txn, r *structs.ReapRequest) (None, error) {
	for _, id := range r.Operations {
		if op := tx.Operation(id); op != nil && op.Status.Final() {
			tx.DeleteOperation(id)
		}
	}
	for _, id := range r.Evaluations {
		if e := tx.Evaluation(id); e != nil && e.Status != structs.EvalPending {
			tx.DeleteEvaluation(id)
		}
	}
	for _, id := range r.Instances {
		if ins := tx.Instance(id); ins != nil && ins.Deleted() && !ins.Cleanup {
			tx.DeleteInstance(id)
		}
	}
	for _, id := range r.Migrations {
		if m := tx.Migration(id); m != nil && !m.Open() {
			tx.DeleteMigration(id)
		}
	}
	for _, id := range r.Revocations {
		tx.DeleteRevocation(id)
	}
	return None{}, nil
})
