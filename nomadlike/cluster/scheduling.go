package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// enqueueCommitted wakes the scheduler when an evaluation was committed.
func (s *Server) enqueueCommitted(_ uint64, changes []state.Change) {
	for _, c := range changes {
		if e, ok := c.After.(*structs.Evaluation); ok && c.Before == nil && e.Status == structs.EvalPending {
			s.duties.wake("scheduler")
			return
		}
	}
}

// schedule places everything that is pending.
func (s *Server) schedule(ctx context.Context) error {
	for {
		r := s.store.Snapshot()
		var reqs []scheduler.Request
		for e := range r.PendingEvaluations() {
			if q, ok := scheduler.RequestOf(r, e); ok {
				reqs = append(reqs, q)
			}
			if len(reqs) == 256 {
				break
			}
		}
		if len(reqs) == 0 {
			return nil
		}
		sch, err := scheduler.New(r, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)), s.cache)
		if err != nil {
			return err
		}
		if _, err := fsm.PlanApply.Propose(ctx, s, &structs.PlanApplyRequest{SnapshotIndex: r.Index(), Placements: sch.Place(reqs), Now: now()}); err != nil {
			return err
		}
	}
}
