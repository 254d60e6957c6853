package operation

import (
	"fmt"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Decision is what Next decided, for the state machine to act on.
type Decision uint8

// Decisions.
const (
	Stale     Decision = iota // the outcome speaks of an attempt that is not the present one: nothing changed
	Proceeds                  // on to the next step
	Retries                   // the same step again, not before NotBefore
	Undoes                    // what was done is being undone on the host
	Replaces                  // the host's part is undone (or the host is lost): place again
	Succeeded                 // all steps are done
	Failed                    // given up; everything that could be undone is
	Abandoned                 // as Failed, but the host may still hold something: claim and host stay with the instance
)

// Begin returns a new operation at its first step. The caller fills in ids; hostID is where host steps run ("" for a build).
func Begin(op structs.Operation, hostID structs.HostID, generation uint64, now structs.Time) (structs.Operation, error) {
	steps := Steps(op.Kind)
	if steps == nil {
		return op, structs.Errorf(structs.KindInvalid, "there is no operation %q", op.Kind)
	}
	op.Status, op.HostID, op.Generation = structs.OpRunning, hostID, generation
	op.CreatedAt, op.UpdatedAt = now, now
	enter(&op, steps[0], 1, now, 0)
	return op, nil
}

func enter(op *structs.Operation, s Step, attempt int, now structs.Time, backoff time.Duration) {
	op.Step, op.Attempt = s.Name, attempt
	op.NotBefore = 0
	if backoff > 0 {
		op.NotBefore = now.Add(backoff)
	}
	op.StartedAt = now.Add(backoff)
	op.Deadline = op.StartedAt.Add(Limit(op, s))
}

// Next applies an outcome to the operation that it belongs to.
func Next(prior *structs.Operation, o structs.Outcome, now structs.Time) (*structs.Operation, Decision) {
	if prior.Status.Final() {
		return prior, Stale
	}
	if o.HostLost {
		return hostLost(prior, o, now)
	}
	undo := prior.Status == structs.OpUndoing
	if o.Step != prior.Step || o.Attempt != prior.Attempt || o.Undo != undo || o.Generation != prior.Generation {
		return prior, Stale
	}
	s, ok := Lookup(prior)
	if !ok {
		return prior, Stale
	}
	op := prior.Copy()
	op.UpdatedAt = now
	record(op, o, undo, now)
	if o.Error == "" {
		return succeed(op, s, undo, now)
	}
	return fail(op, s, o, undo, now)
}

// Placed moves a build that the scheduler found a host for to its first host step.
func Placed(prior *structs.Operation, host structs.HostID, generation uint64, now structs.Time) *structs.Operation {
	op := prior.Copy()
	op.UpdatedAt = now
	record(op, structs.Outcome{Step: op.Step, Attempt: op.Attempt, StartedAt: op.StartedAt, FinishedAt: now}, false, now)
	op.HostID, op.Generation = host, generation
	op.History[len(op.History)-1].HostID = host
	enter(op, Steps(op.Kind)[position(op)+1], 1, now, 0)
	return op
}

func record(op *structs.Operation, o structs.Outcome, undo bool, now structs.Time) {
	begun, ended := o.StartedAt, o.FinishedAt
	if begun.IsZero() {
		begun = op.StartedAt
	}
	if ended.IsZero() {
		ended = now
	}
	op.History = append(op.History, structs.StepRecord{Step: op.Step, Attempt: op.Attempt, Undo: undo, HostID: op.HostID,
		StartedAt: begun, FinishedAt: ended, Error: o.Error})
}

func succeed(op *structs.Operation, s Step, undo bool, now structs.Time) (*structs.Operation, Decision) {
	if undo {
		return afterUndo(op, now)
	}
	steps := Steps(op.Kind)
	i := position(op) + 1
	if i == len(steps) {
		op.Error, op.ErrorKind = "", 0
		return finish(op, structs.OpSucceeded, now), Succeeded
	}
	enter(op, steps[i], 1, now, 0)
	return op, Proceeds
}

func fail(op *structs.Operation, s Step, o structs.Outcome, undo bool, now structs.Time) (*structs.Operation, Decision) {
	if op.Attempt <= s.Retries && (o.Retryable || undo) {
		enter(op, s, op.Attempt+1, now, s.Backoff*time.Duration(op.Attempt))
		return op, Retries
	}
	if undo {
		op.Error = fmt.Sprintf("%s; and undoing it failed: %s", op.Error, o.Error)
		return finish(op, structs.OpFailed, now), Abandoned
	}
	op.Error, op.ErrorKind = o.Error, o.ErrorKind
	if s.Undo != "" {
		op.Status = structs.OpUndoing
		enter(op, undoSteps[s.Undo], 1, now, 0)
		return op, Undoes
	}
	if op.Kind == structs.OpDelete {
		return finish(op, structs.OpFailed, now), Abandoned
	}
	return afterUndo(op, now)
}

// afterUndo decides what follows when nothing is left on the host of a failed build: another host, or the end. Other
// kinds have nothing to place.
func afterUndo(op *structs.Operation, now structs.Time) (*structs.Operation, Decision) {
	if Places(op.Kind) && op.HostID != "" && elsewhere(op) {
		return replace(op, now), Replaces
	}
	return finish(op, structs.OpFailed, now), Failed
}

// elsewhere reports whether the step that failed last allows another host, and hosts are left to try. An invalid request
// fails the same everywhere.
func elsewhere(op *structs.Operation) bool {
	if op.ErrorKind == structs.KindInvalid || len(op.AvoidHosts)+1 >= MaxPlacements {
		return false
	}
	for _, r := range slices.Backward(op.History) {
		if r.Undo || r.Error == "" {
			continue
		}
		for _, s := range Steps(op.Kind) {
			if s.Name == r.Step {
				return s.Elsewhere
			}
		}
	}
	return false
}

func replace(op *structs.Operation, now structs.Time) *structs.Operation {
	op.AvoidHosts = append(op.AvoidHosts, op.HostID)
	op.HostID, op.Status = "", structs.OpRunning
	enter(op, Steps(op.Kind)[0], 1, now, 0)
	return op
}

func finish(op *structs.Operation, st structs.OperationStatus, now structs.Time) *structs.Operation {
	op.Status, op.FinishedAt, op.UpdatedAt = st, now, now
	op.Args.Secret = ""
	return op
}

// Cancel ends an operation that another supersedes.
func Cancel(prior *structs.Operation, why string, now structs.Time) *structs.Operation {
	op := prior.Copy()
	op.Error = why
	return finish(op, structs.OpCancelled, now)
}

// hostLost is what the end of a host's lease means to an operation on it. The host may still be running what it was
// told; a higher generation fences it off, and its client cleans up when it is back.
func hostLost(prior *structs.Operation, o structs.Outcome, now structs.Time) (*structs.Operation, Decision) {
	if s, ok := Lookup(prior); !ok || s.On != OnHost || prior.Generation != o.Generation {
		return prior, Stale
	}
	op := prior.Copy()
	op.UpdatedAt = now
	record(op, o, op.Status == structs.OpUndoing, now)
	if op.Status != structs.OpUndoing {
		op.Error, op.ErrorKind = o.Error, structs.KindUnavailable
	}
	switch {
	case op.Kind == structs.OpDelete:
		return finish(op, structs.OpSucceeded, now), Abandoned
	case Places(op.Kind) && len(op.AvoidHosts)+1 < MaxPlacements:
		return replace(op, now), Replaces
	}
	return finish(op, structs.OpFailed, now), Abandoned
}
