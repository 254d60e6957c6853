package broker

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Deps is what a worker needs of its server. On the leader these are calls of Broker, PlanQueue and state.Store; on
// another server all but Snapshot are RPCs to the leader.
type Deps interface {
	// Dequeue is Broker.Dequeue.
	Dequeue(ctx context.Context, most int) ([]Lease, error)
	// Ack is Broker.Ack.
	Ack(ctx context.Context, tokens []string) error
	// Nack is Broker.Nack.
	Nack(ctx context.Context, reason string, tokens []string) error
	// Snapshot returns this server's own state once it has reached minIndex.
	Snapshot(ctx context.Context, minIndex uint64) (state.Reader, error)
	// SubmitPlan is PlanQueue.Submit.
	SubmitPlan(ctx context.Context, placements []structs.Placement) (PlanResult, error)
}

// WorkerConfig sets up a worker; zero fields take the defaults that they name.
type WorkerConfig struct {
	Clock  Clock        // SystemClock
	Logger hclog.Logger // none
	// Rand breaks ties between hosts; each worker has its own. Seeded at random.
	Rand *rand.Rand
	// Batch is how many evaluations are taken at once. 64.
	Batch int
	// Rounds is how often a batch is planned, each time on a newer state, before what is left is nacked. 5.
	Rounds int
	// BatchTimeout bounds the work on one batch by the computer's clock; less than Config.AckTimeout. 30 s.
	BatchTimeout time.Duration
	// Pause is how long a worker rests after Dequeue failed. 1 s.
	Pause time.Duration
}

func (c WorkerConfig) withDefaults() WorkerConfig {
	if c.Clock == nil {
		c.Clock = SystemClock{}
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	c.Batch, c.Rounds = cmp.Or(c.Batch, 64), cmp.Or(c.Rounds, 5)
	c.BatchTimeout, c.Pause = cmp.Or(c.BatchTimeout, 30*time.Second), cmp.Or(c.Pause, time.Second)
	return c
}

type worker struct {
	WorkerConfig
	deps  Deps
	cache *scheduler.Cache
}

func newWorker(deps Deps, cfg WorkerConfig) *worker {
	return &worker{cfg.withDefaults(), deps, scheduler.NewCache()}
}

// RunWorker takes evaluations, plans them and submits the plans, until ctx ends. Errors are never final: what a worker
// cannot end it nacks, and what it cannot nack times out.
func RunWorker(ctx context.Context, deps Deps, cfg WorkerConfig) {
	w := newWorker(deps, cfg)
	for ctx.Err() == nil {
		leases, err := deps.Dequeue(ctx, w.Batch)
		if err != nil {
			w.Logger.Debug("no evaluations to be had", "error", err)
			w.pause(ctx)
			continue
		}
		w.work(ctx, leases)
	}
}

func (w *worker) pause(ctx context.Context) {
	over := make(chan struct{})
	timer := w.Clock.AfterFunc(w.Pause, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// batch is what a worker holds between Dequeue and the last Ack.
type batch struct {
	left  []Lease // not ended yet
	index uint64  // the next round's moment must be at least as new
	why   string  // the last reason that some are left
}

// work ends a batch: every lease is acked or nacked, unless the leader cannot be told.
func (w *worker) work(parent context.Context, leases []Lease) {
	ctx, cancel := context.WithTimeout(parent, w.BatchTimeout)
	defer cancel()
	b := &batch{left: leases}
	for _, l := range leases {
		b.index = max(b.index, l.Index)
	}
	for range w.Rounds {
		if len(b.left) == 0 {
			return
		}
		if err := w.round(ctx, b); err != nil {
			b.why = err.Error()
			break
		}
	}
	if len(b.left) > 0 {
		w.Logger.Debug("evaluations given back", "count", len(b.left), "reason", b.why)
		w.nack(parent, b.left, b.why)
	}
}

// round plans what is left on one moment and submits the plan. After an error another round is useless for now.
func (w *worker) round(ctx context.Context, b *batch) error {
	r, err := w.deps.Snapshot(ctx, b.index)
	if err != nil {
		return fmt.Errorf("the state did not reach index %d: %w", b.index, err)
	}
	p, err := w.plan(r, b.left)
	if err != nil {
		return err
	}
	w.ack(ctx, p.over)
	b.left, b.why = p.later, "the room was planned for others"
	if len(p.placements) == 0 {
		return nil
	}
	res, err := w.deps.SubmitPlan(ctx, p.placements)
	if err == nil && len(res.Results) != len(p.placements) {
		err = structs.Errorf(structs.KindInternal, "%d results for %d placements", len(res.Results), len(p.placements))
	}
	if err != nil {
		b.left = append(b.left, p.leases...)
		return fmt.Errorf("the plan was not taken: %w", err)
	}
	b.index = max(b.index, res.Index)
	var done []Lease
	for i, x := range res.Results {
		if x.Applied || x.Stale {
			done = append(done, p.leases[i])
			continue
		}
		b.left, b.why = append(b.left, p.leases[i]), "the placement was refused: "+x.Reason
	}
	w.ack(ctx, done)
	return nil
}

// plan is one round's plan. Leases that are over need nothing; those for later wait for the next round.
type plan struct {
	placements  []structs.Placement
	leases      []Lease // of each placement
	over, later []Lease
}

// plan schedules the leases on a moment.
//
// An evaluation whose operation does not want a place any more is submitted without a host: that ends it in the state, as
// stale. It is pending only when the operation ended without it, and an operation does not come back from there.
//
// A placement that found no host fails its operation for good, so it must not be for want of room that only this plan has
// taken: what the plan proposes may yet be refused. Such a verdict is submitted only from a round that places nothing.
func (w *worker) plan(r state.Reader, leases []Lease) (*plan, error) {
	p := &plan{}
	var requests []scheduler.Request
	var wanted []Lease
	for _, l := range leases {
		e := r.Evaluation(l.EvaluationID)
		if e == nil || e.Status != structs.EvalPending {
			p.over = append(p.over, l)
			continue
		}
		if req, ok := scheduler.RequestOf(r, e); ok {
			requests, wanted = append(requests, req), append(wanted, l)
			continue
		}
		p.add(l, structs.Placement{EvaluationID: e.ID, InstanceID: e.InstanceID, OperationID: e.OperationID})
	}
	s, err := scheduler.New(r, w.Rand, w.cache)
	if err != nil {
		return nil, err
	}
	placed := s.Place(requests)
	places := slices.ContainsFunc(placed, func(x structs.Placement) bool { return x.HostID != "" })
	for i, x := range placed {
		if x.HostID == "" && places {
			p.later = append(p.later, wanted[i])
		} else {
			p.add(wanted[i], x)
		}
	}
	return p, nil
}

func (p *plan) add(l Lease, x structs.Placement) {
	p.leases, p.placements = append(p.leases, l), append(p.placements, x)
}

func tokens(leases []Lease) []string {
	out := make([]string, len(leases))
	for i, l := range leases {
		out[i] = l.Token
	}
	return out
}

// ack may fail without harm: the evaluation is handed out again, and is over then.
func (w *worker) ack(ctx context.Context, leases []Lease) {
	if len(leases) == 0 {
		return
	}
	if err := w.deps.Ack(ctx, tokens(leases)); err != nil {
		w.Logger.Debug("leases not acknowledged", "error", err)
	}
}

// nackTimeout bounds the nack of a worker that is stopped.
const nackTimeout = 2 * time.Second

// nack gives leases back, also when the worker is being stopped, so that another takes them at once.
func (w *worker) nack(ctx context.Context, leases []Lease, why string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), nackTimeout)
	defer cancel()
	if err := w.deps.Nack(ctx, why, tokens(leases)); err != nil {
		w.Logger.Debug("leases not given back", "error", err)
	}
}
