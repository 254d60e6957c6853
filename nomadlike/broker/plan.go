package broker

import (
	"context"
	"slices"
	"sync"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// MaxPlanBatch is how many placements the applier is given at once, so that one log entry stays well below
// fsm.MaxEntryBytes: an explanation is below 4 KiB at worst and a few hundred bytes in practice.
const MaxPlanBatch = 256

// PlanResult is what became of a plan.
type PlanResult struct {
	Index   uint64                    `codec:"i"` // of the log entry: a state at least as new knows why a placement was refused
	Results []structs.PlacementResult `codec:"r"` // one for each placement, in their order
}

// PlanQueue collects the plans of many workers for one applier. While one batch is being committed, the next one gathers.
// The zero PlanQueue is ready for use.
type PlanQueue struct {
	mu      sync.Mutex
	running bool
	pending []*submission
	arrived chan struct{} // of capacity 1; made by the first Run
}

// submission is one worker's plan. Its answer is written before done is closed.
type submission struct {
	placements []structs.Placement
	done       chan struct{}
	result     PlanResult
	err        error
}

var errNotApplying = structs.Errorf(structs.KindNotLeader, "plans are applied on the leader; this server is not it")

// Submit hands in a plan and waits for its result. An error says nothing of whether the plan was applied, except KindNotLeader
// from a queue whose Run is not running. The placements are not to be changed before Submit returns, and not after an error.
func (q *PlanQueue) Submit(ctx context.Context, placements []structs.Placement) (PlanResult, error) {
	if len(placements) == 0 {
		return PlanResult{}, nil
	}
	s := &submission{placements: placements, done: make(chan struct{})}
	q.mu.Lock()
	if !q.running {
		q.mu.Unlock()
		return PlanResult{}, errNotApplying
	}
	q.pending = append(q.pending, s)
	q.signal()
	q.mu.Unlock()
	select {
	case <-s.done:
		return s.result, s.err
	case <-ctx.Done():
		q.withdraw(s)
		return PlanResult{}, ctx.Err()
	}
}

// signal tells the applier that plans wait. Callers hold mu.
func (q *PlanQueue) signal() {
	select {
	case q.arrived <- struct{}{}:
	default: // it was told already
	}
}

// withdraw takes back a plan that the applier has not begun with.
func (q *PlanQueue) withdraw(s *submission) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.pending, s); i >= 0 {
		q.pending = slices.Delete(q.pending, i, i+1)
	}
}

// Run gives plans to apply, one batch at a time, until ctx ends; then every plan that waits gets KindNotLeader. Apply
// commits the placements in one log entry (fsm.PlanApply) and returns one result for each. Its error goes to all plans of
// the batch. A plan is never split; one above MaxPlanBatch goes alone. Only one Run may run.
func (q *PlanQueue) Run(ctx context.Context, apply func(context.Context, []structs.Placement) (PlanResult, error)) error {
	q.mu.Lock()
	if q.running {
		q.mu.Unlock()
		return structs.Errorf(structs.KindConflict, "plans are being applied already")
	}
	q.running, q.arrived = true, make(chan struct{}, 1)
	arrived := q.arrived
	q.mu.Unlock()
	defer q.stop()
	for {
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
		for ctx.Err() == nil {
			batch := q.next()
			if len(batch) == 0 {
				break
			}
			applyBatch(ctx, batch, apply)
		}
	}
}

func (q *PlanQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.pending {
		s.err = errNotApplying
		close(s.done)
	}
	q.running, q.pending = false, nil
}

// next takes the plans of one batch, in the order in which they came.
func (q *PlanQueue) next() []*submission {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, count := 0, 0
	for n < len(q.pending) && (n == 0 || count+len(q.pending[n].placements) <= MaxPlanBatch) {
		count += len(q.pending[n].placements)
		n++
	}
	batch := slices.Clone(q.pending[:n])
	q.pending = slices.Delete(q.pending, 0, n)
	return batch
}

func applyBatch(ctx context.Context, batch []*submission, apply func(context.Context, []structs.Placement) (PlanResult, error)) {
	var all []structs.Placement
	for _, s := range batch {
		all = append(all, s.placements...)
	}
	result, err := apply(ctx, all)
	if err == nil && len(result.Results) != len(all) {
		err = structs.Errorf(structs.KindInternal, "the applier answered %d of %d placements", len(result.Results), len(all))
	}
	for _, s := range batch {
		if s.err = err; err == nil {
			n := len(s.placements)
			s.result = PlanResult{result.Index, result.Results[:n:n]}
			result.Results = result.Results[n:]
		}
		close(s.done)
	}
}

// Waiting is how many placements wait for the applier.
func (q *PlanQueue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, s := range q.pending {
		n += len(s.placements)
	}
	return n
}
