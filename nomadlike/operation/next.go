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

// Begin returns a new operation at its first step. The caller fills in ids, those of the hosts of an operation with two among them; hostID is where the
// instance is ("" for a build).
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

// enter begins an attempt at a step; the turn is its host's.
func enter(op *structs.Operation, s Step, attempt int, now structs.Time, backoff time.Duration) {
	op.Step, op.Attempt = s.Name, attempt
	if s.On == OnSource || s.On == OnDest {
		op.HostID = HostOf(op, s)
	}
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
		return succeed(op, s, o, undo, now)
	}
	return fail(op, s, o, undo, now)
}

// Placed moves an operation that the scheduler found a host for to its first host step.
func Placed(prior *structs.Operation, host structs.HostID, generation uint64, now structs.Time) *structs.Operation {
	op := prior.Copy()
	op.UpdatedAt = now
	record(op, structs.Outcome{Step: op.Step, Attempt: op.Attempt, StartedAt: op.StartedAt, FinishedAt: now}, false, now)
	op.History[len(op.History)-1].HostID = host
	op.Generation = generation
	if Moves(op.Kind) {
		op.DestID = host
	} else {
		op.HostID = host
	}
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

func succeed(op *structs.Operation, s Step, o structs.Outcome, undo bool, now structs.Time) (*structs.Operation, Decision) {
	if undo && o.Done {
		return foundDone(op, now)
	}
	if undo {
		return undoFrom(op, undone(op)-1, now)
	}
	if o.Data != nil {
		op.Data = o.Data
	}
	return proceed(op, position(op), s, now)
}

// proceed goes on behind step i, which is done.
func proceed(op *structs.Operation, i int, s Step, now structs.Time) (*structs.Operation, Decision) {
	if s.Owns != OnServer {
		op.OwnerID = HostOf(op, Step{On: s.Owns})
	}
	for _, next := range Steps(op.Kind)[i+1:] {
		if next.On == OnSource && op.SourceID == "" {
			continue
		}
		if op.Signal == structs.SignalAbort && op.OwnerID == "" {
			op.Error, op.ErrorKind = "it was aborted", structs.KindConflict
			return undoFrom(op, i, now)
		}
		enter(op, next, 1, now, 0)
		return op, Proceeds
	}
	op.Error, op.ErrorKind = "", 0
	return finish(op, structs.OpSucceeded, now), Succeeded
}

// foundDone goes on with an operation whose undoing found that the step which decides, after which the instance is on another host, had come to its good end.
func foundDone(op *structs.Operation, now structs.Time) (*structs.Operation, Decision) {
	i := slices.IndexFunc(Steps(op.Kind), func(s Step) bool { return s.Owns != OnServer })
	if i < 0 {
		return undoFrom(op, undone(op)-1, now)
	}
	op.Status, op.Error, op.ErrorKind = structs.OpRunning, "", 0
	return proceed(op, i, Steps(op.Kind)[i], now)
}

func fail(op *structs.Operation, s Step, o structs.Outcome, undo bool, now structs.Time) (*structs.Operation, Decision) {
	if op.Attempt <= s.Retries && (o.Retryable || undo) && !(op.Signal == structs.SignalAbort && !undo) {
		enter(op, s, op.Attempt+1, now, s.Backoff*time.Duration(op.Attempt))
		return op, Retries
	}
	if undo {
		op.Error = fmt.Sprintf("%s; and undoing it failed: %s", op.Error, o.Error)
		if Moves(op.Kind) { // the other host may still be undone, and reconciliation removes what is left on this one
			return undoFrom(op, undone(op)-1, now)
		}
		return finish(op, structs.OpFailed, now), Abandoned
	}
	if s.Spare {
		return proceed(op, position(op), s, now)
	}
	op.Error, op.ErrorKind = o.Error, o.ErrorKind
	if op.Kind == structs.OpDelete {
		return finish(op, structs.OpFailed, now), Abandoned
	}
	return undoFrom(op, position(op), now)
}

// undone is the position of the step whose undo the operation is at.
func undone(op *structs.Operation) int {
	return slices.IndexFunc(Steps(op.Kind), func(s Step) bool { return s.Undo == op.Step })
}

// undoFrom undoes step i and those before it, the last one first. What was on a host that is lost is not undone there, and nothing is once the instance is on
// another host.
func undoFrom(op *structs.Operation, i int, now structs.Time) (*structs.Operation, Decision) {
	for ; i >= 0 && op.OwnerID == ""; i-- {
		s, ok := undoSteps[Steps(op.Kind)[i].Undo]
		if host := HostOf(op, s); !ok || host == "" || slices.Contains(op.Lost, host) {
			continue
		}
		op.Status = structs.OpUndoing
		enter(op, s, 1, now, 0)
		return op, Undoes
	}
	return afterUndo(op, now)
}

// afterUndo decides what follows when all is undone that can be: another host, or the end.
func afterUndo(op *structs.Operation, now structs.Time) (*structs.Operation, Decision) {
	if Places(op.Kind) && op.OwnerID == "" && op.Step != structs.StepPlace && elsewhere(op) {
		return replace(op, now), Replaces
	}
	op = finish(op, structs.OpFailed, now)
	if len(op.Lost) > 0 && !Moves(op.Kind) {
		return op, Abandoned
	}
	return op, Failed
}

// elsewhere reports whether the step that failed last allows another host, and hosts are left to try. An invalid request
// fails the same everywhere.
func elsewhere(op *structs.Operation) bool {
	if op.ErrorKind == structs.KindInvalid || len(op.AvoidHosts)+1 >= MaxPlacements || op.Signal == structs.SignalAbort {
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
	if Moves(op.Kind) {
		op.AvoidHosts, op.DestID, op.HostID = append(op.AvoidHosts, op.DestID), "", op.SourceID
	} else {
		op.AvoidHosts, op.HostID = append(op.AvoidHosts, op.HostID), ""
	}
	op.Status, op.Lost, op.Data = structs.OpRunning, nil, nil
	enter(op, Steps(op.Kind)[0], 1, now, 0)
	return op
}

func finish(op *structs.Operation, st structs.OperationStatus, now structs.Time) *structs.Operation {
	op.Status, op.FinishedAt, op.UpdatedAt = st, now, now
	op.Args.Secret, op.Data = "", nil
	return op
}

// Cancel ends an operation that another supersedes.
func Cancel(prior *structs.Operation, why string, now structs.Time) *structs.Operation {
	op := prior.Copy()
	op.Error = why
	return finish(op, structs.OpCancelled, now)
}

// hostLost is what the end of a host's lease means to an operation whose turn is that host's. The host may still be running what it was
// told; a higher generation fences it off, and its client cleans up when it is back.
func hostLost(prior *structs.Operation, o structs.Outcome, now structs.Time) (*structs.Operation, Decision) {
	s, ok := Lookup(prior)
	if !ok || s.On == OnServer || prior.Generation != o.Generation {
		return prior, Stale
	}
	op, undo := prior.Copy(), prior.Status == structs.OpUndoing
	op.UpdatedAt = now
	record(op, o, undo, now)
	op.Lost = append(op.Lost, op.HostID)
	switch {
	case undo:
		return undoFrom(op, undone(op)-1, now)
	case s.LostOK && op.Kind == structs.OpDelete:
		op, decision := proceed(op, position(op), s, now)
		if decision == Succeeded {
			decision = Abandoned
		}
		return op, decision
	case s.LostOK:
		return proceed(op, position(op), s, now)
	}
	op.Error, op.ErrorKind = o.Error, structs.KindUnavailable
	return undoFrom(op, position(op), now)
}
