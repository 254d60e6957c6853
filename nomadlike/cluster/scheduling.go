package cluster

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/broker"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// enqueueCommitted hands evaluations that were committed to the broker, which takes them only while this server leads.
func (s *Server) enqueueCommitted(_ uint64, changes []state.Change) {
	var pending []*structs.Evaluation
	for _, c := range changes {
		if e, ok := c.After.(*structs.Evaluation); ok && e.Status == structs.EvalPending {
			pending = append(pending, e)
		}
	}
	if len(pending) > 0 {
		s.broker.Enqueue(pending...)
	}
}

// startBroker rebuilds the broker from the state. What is committed while it does is enqueued by the commit's notice; twice is once.
func (s *Server) startBroker(context.Context) (func(), error) {
	s.broker.SetEnabled(true)
	s.broker.Enqueue(slices.Collect(s.store.Snapshot().PendingEvaluations())...)
	return func() { s.broker.SetEnabled(false) }, nil
}

// startPlanApplier runs the one applier of plans.
func (s *Server) startPlanApplier(parent context.Context) (func(), error) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.plans.Run(ctx, s.applyPlan); err != nil && ctx.Err() == nil {
			s.logger.Error("the plan applier stopped", "error", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

func (s *Server) applyPlan(ctx context.Context, placements []structs.Placement) (broker.PlanResult, error) {
	results, index, err := fsm.PlanApply.ProposeIndex(ctx, asLeader{s}, &structs.PlanApplyRequest{Placements: placements, Now: now()})
	return broker.PlanResult{Index: index, Results: results}, err
}

// evaluationFailed ends, without a host, an evaluation that no worker could end. When that fails too its operation's deadline ends it.
func (s *Server) evaluationFailed(f broker.Failure) {
	hosts := 0
	for range s.store.Snapshot().Hosts() {
		hosts++
	}
	s.logger.Warn("an evaluation could not be ended by any worker", "evaluation_id", f.EvaluationID, "reason", f.Reason)
	ctx, cancel := context.WithTimeout(s.ctx, proposeTimeout)
	defer cancel()
	if _, err := s.applyPlan(ctx, []structs.Placement{f.Placement(hosts)}); err != nil {
		s.logger.Error("cannot record that an evaluation failed", "evaluation_id", f.EvaluationID, "error", err)
	}
}

// reviveEvaluations is a duty: it enqueues again what is pending in the state, in case that an entry of the broker was lost. The broker knows what it has.
func (s *Server) reviveEvaluations(context.Context) error {
	s.broker.Enqueue(slices.Collect(s.store.Snapshot().PendingEvaluations())...)
	return nil
}

func (s *Server) runWorker(ctx context.Context, n int) {
	broker.RunWorker(ctx, workerDeps{s}, broker.WorkerConfig{Logger: s.logger.Named("worker"), Pause: 100 * time.Millisecond,
		Rand: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(n)))})
}

// workerDeps connects a worker to the leader's broker, in this process or over RPC.
type workerDeps struct{ s *Server }

// dequeueWait is how long a worker's question stays open at the leader before it is asked again. A worker whose leader is gone without a word
// waits that long and dequeueMargin.
const (
	dequeueWait   = 5 * time.Second
	dequeueMargin = 2 * time.Second
)

// leader returns the leader's address; "" when it is this server.
func (d workerDeps) leader() (string, error) {
	if d.s.node.IsLeader() {
		return "", nil
	}
	addr, ok := d.s.otherLeader()
	if !ok {
		return "", structs.Errorf(structs.KindNotLeader, "there is no leader now")
	}
	return addr, nil
}

func (d workerDeps) Dequeue(ctx context.Context, most int) ([]broker.Lease, error) {
	addr, err := d.leader()
	if err != nil {
		return nil, err
	}
	if addr == "" {
		return d.s.broker.Dequeue(ctx, most)
	}
	ctx, cancel := context.WithTimeout(ctx, dequeueWait+dequeueMargin)
	defer cancel()
	r, err := rpc.Call[dequeueResponse](ctx, d.s.pool, addr, "Evaluation.Dequeue", &dequeueRequest{most})
	if err != nil {
		return nil, err
	}
	return r.Leases, nil
}

func (d workerDeps) settle(ctx context.Context, req *settleRequest) error {
	addr, err := d.leader()
	if err != nil {
		return err
	}
	if addr == "" {
		_, err = d.s.rpcSettle(ctx, req)
		return err
	}
	_, err = rpc.Call[structs.Ack](ctx, d.s.pool, addr, "Evaluation.Settle", req)
	return err
}

func (d workerDeps) Ack(ctx context.Context, tokens []string) error {
	return d.settle(ctx, &settleRequest{Ack: true, Tokens: tokens})
}

func (d workerDeps) Nack(ctx context.Context, reason string, tokens []string) error {
	return d.settle(ctx, &settleRequest{Reason: reason, Tokens: tokens})
}

func (d workerDeps) Snapshot(ctx context.Context, index uint64) (state.Reader, error) {
	if err := d.s.store.Wait(ctx, index); err != nil {
		return state.Reader{}, err
	}
	return d.s.store.Snapshot(), nil
}

func (d workerDeps) SubmitPlan(ctx context.Context, placements []structs.Placement) (broker.PlanResult, error) {
	addr, err := d.leader()
	if err != nil {
		return broker.PlanResult{}, err
	}
	if addr == "" {
		return d.s.plans.Submit(ctx, placements)
	}
	r, err := rpc.Call[broker.PlanResult](ctx, d.s.pool, addr, "Plan.Submit", &planRequest{placements})
	if err != nil {
		return broker.PlanResult{}, err
	}
	return *r, nil
}

// The messages between a worker and the leader.
type (
	dequeueRequest struct {
		Most int `codec:"n"`
	}
	dequeueResponse struct {
		Leases []broker.Lease `codec:"l"`
	}
	settleRequest struct {
		Ack    bool     `codec:"a"` // false is a nack
		Reason string   `codec:"r"`
		Tokens []string `codec:"t"`
	}
	planRequest struct {
		Placements []structs.Placement `codec:"p"`
	}
)

// rpcDequeue waits for evaluations; after dequeueWait it answers that there are none.
func (s *Server) rpcDequeue(ctx context.Context, req *dequeueRequest) (*dequeueResponse, error) {
	wait, cancel := context.WithTimeout(ctx, dequeueWait)
	defer cancel()
	leases, err := s.broker.Dequeue(wait, req.Most)
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		err = nil
	}
	return &dequeueResponse{leases}, err
}

func (s *Server) rpcSettle(_ context.Context, req *settleRequest) (*structs.Ack, error) {
	if req.Ack {
		return &structs.Ack{}, s.broker.Ack(req.Tokens...)
	}
	return &structs.Ack{}, s.broker.Nack(req.Reason, req.Tokens...)
}

func (s *Server) rpcPlanSubmit(ctx context.Context, req *planRequest) (*broker.PlanResult, error) {
	r, err := s.plans.Submit(ctx, req.Placements)
	return &r, err
}
