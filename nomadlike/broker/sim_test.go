package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// sim is a leader with the real state machine, and workers that anything may happen to. Its time is a synctest bubble's.
type sim struct {
	t      *testing.T
	store  *state.Store
	broker *Broker
	plans  PlanQueue
	calm   atomic.Bool // no more faults

	logMu sync.Mutex // orders entries
	index uint64

	mu       sync.Mutex
	rng      *rand.Rand
	moments  []state.Reader
	ended    map[structs.EvaluationID]int
	capacity map[structs.HostID]structs.Resources
	faults   faults

	termMu   sync.Mutex // one change of leadership at a time
	stopRun  context.CancelFunc
	runEnded chan struct{}
}

// faults are the chances, of a thousand, that a call goes wrong that way.
type faults struct {
	die, lose, refuse, depose, fail, remove int
}

func newSim(t *testing.T, seed uint64, hosts int, f faults, limit int) *sim {
	s := &sim{t: t, store: state.NewStore(), rng: rand.New(rand.NewPCG(seed, seed)), ended: map[structs.EvaluationID]int{},
		capacity: map[structs.HostID]structs.Resources{}, faults: f}
	s.broker = New(Config{DeliveryLimit: limit, Fail: s.giveUp})
	s.store.OnCommit(s.committed)
	settings := structs.DefaultClusterSettings()
	settings.DefaultQuota = structs.QuotaLimits{Instances: -1, Cores: -1, MemoryMiB: -1}
	settings.CPURatio = 1
	mustPropose(s, fsm.ClusterSettingsSet, &structs.ClusterSettingsRequest{Settings: settings})
	for i := range hosts {
		h := structs.Host{ID: structs.HostID(fmt.Sprintf("host-%02d", i)), Name: fmt.Sprintf("host-%02d", i), Session: "s", DriverHealthy: true,
			Architectures: []string{"x86_64"}, HypervisorType: "fake", Total: structs.Resources{VCPUs: int64(4 + i%3), MemoryMiB: 8192, DiskGiB: 100}}
		h.Class = scheduler.ClassOf(&h)
		s.mu.Lock()
		s.capacity[h.ID] = h.Capacity(&settings)
		s.mu.Unlock()
		mustPropose(s, fsm.HostRegister, &structs.HostRegisterRequest{Host: h, Now: 1})
	}
	return s
}

// Propose applies an entry of one command, as the leader does.
func (s *sim) Propose(_ context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.index++
	tx := s.store.Begin(s.index)
	r := fsm.Apply(tx, s.index, fsm.EncodeEntry([]fsm.Item{{Type: typ, Body: body}}))
	tx.Commit()
	return s.index, r[0].Value, r[0].Err
}

func mustPropose[Req, Resp any](s *sim, c fsm.Command[Req, Resp], req *Req) Resp {
	r, err := c.Propose(context.Background(), s, req)
	if err != nil {
		panic(err)
	}
	return r
}

// committed checks every commit and enqueues what it made pending.
func (s *sim) committed(_ uint64, changes []state.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		if u, ok := c.After.(*structs.HostUsage); ok && !u.Used.Fits(s.capacity[u.HostID]) {
			panic(fmt.Sprintf("overcommitted: %+v", u))
		}
		before, _ := c.Before.(*structs.Evaluation)
		after, _ := c.After.(*structs.Evaluation)
		was, is := before != nil && before.Status == structs.EvalPending, after != nil && after.Status == structs.EvalPending
		if was && !is {
			s.ended[before.ID]++
		}
		if is {
			if s.ended[after.ID] > 0 {
				panic("an evaluation came back: " + after.ID)
			}
			s.broker.Enqueue(after)
		}
	}
}

func (s *sim) giveUp(f Failure) {
	mustPropose(s, fsm.PlanApply, &structs.PlanApplyRequest{Placements: []structs.Placement{f.Placement(len(s.capacity))}, Now: 2})
}

// lead begins or ends leadership.
func (s *sim) lead(on bool) {
	if !on {
		s.broker.SetEnabled(false)
		s.stopRun()
		<-s.runEnded
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stopRun, s.runEnded = stop, make(chan struct{})
	ended := s.runEnded
	go func() {
		defer close(ended)
		_ = s.plans.Run(ctx, s.apply)
	}()
	s.broker.SetEnabled(true)
	var pending []*structs.Evaluation
	for e := range s.store.Snapshot().PendingEvaluations() {
		pending = append(pending, e)
	}
	s.broker.Enqueue(pending...)
}

func (s *sim) apply(ctx context.Context, ps []structs.Placement) (PlanResult, error) {
	results, index, err := fsm.PlanApply.ProposeIndex(ctx, s, &structs.PlanApplyRequest{Placements: ps, Now: 2})
	return PlanResult{index, results}, err
}

// chance is true n times of a thousand while there are faults.
func (s *sim) chance(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(1000) < n && !s.calm.Load()
}

func (s *sim) intN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// disturb lets something happen elsewhere in the cluster.
func (s *sim) disturb() {
	if s.chance(s.faults.depose) && s.termMu.TryLock() {
		go func() {
			defer s.termMu.Unlock()
			s.lead(false)
			s.lead(true)
		}()
	}
	if s.chance(s.faults.remove) {
		var all []structs.InstanceID
		for ins := range s.store.Snapshot().AllInstances() {
			all = append(all, ins.ID)
		}
		if len(all) > 0 {
			id := all[s.intN(len(all))]
			op := structs.Operation{ID: structs.OperationID("delete-" + id), InstanceID: id, Kind: structs.OpDelete}
			_, _ = fsm.OperationCreate.Propose(context.Background(), s, &structs.OperationCreateRequest{Operation: op, Now: 3})
		}
	}
	if s.chance(s.faults.fail) {
		s.hostsReport()
	}
}

// hostsReport ends every host step that runs; builds fail now and then.
func (s *sim) hostsReport() {
	var report structs.OperationReportRequest
	for op := range s.store.Snapshot().ActiveOperations() {
		if step, ok := operation.Lookup(op); ok && step.On == operation.OnHost {
			o := structs.Outcome{OperationID: op.ID, Step: op.Step, Attempt: op.Attempt, Undo: op.Status == structs.OpUndoing, Generation: op.Generation}
			if op.Step == structs.StepSpawn && s.chance(s.faults.fail) {
				o.Error = "no"
			}
			report.Outcomes = append(report.Outcomes, o)
		}
	}
	report.Now = 4
	mustPropose(s, fsm.OperationReport, &report)
}

// create makes n instances of 1 to 3 VCPUs.
func (s *sim) create(prefix string, n int) {
	var r structs.InstanceCreateRequest
	for i := range n {
		id := fmt.Sprintf("%s-%d", prefix, i)
		r.Instances = append(r.Instances, structs.Instance{ID: structs.InstanceID(id), ProjectID: "p",
			Flavor: structs.Flavor{VCPUs: 1 + s.intN(3), MemoryMiB: 512, RootGiB: 1}})
		r.Operations = append(r.Operations, structs.Operation{ID: structs.OperationID("op-" + id), InstanceID: structs.InstanceID(id), Kind: structs.OpBuild})
		r.Evaluations = append(r.Evaluations, structs.Evaluation{ID: structs.EvaluationID("eval-" + id), InstanceID: structs.InstanceID(id),
			OperationID: structs.OperationID("op-" + id), Status: structs.EvalPending})
	}
	r.Now = 1
	mustPropose(s, fsm.InstanceCreate, &r)
}

// flaky is a worker's connection to the leader. When the worker is dead nothing it says is heard.
type flaky struct {
	*sim
	dead context.Context
	kill context.CancelFunc
}

var errNet = errors.New("connection lost")

func (f *flaky) call() error {
	f.disturb()
	if f.chance(f.faults.die) {
		f.kill()
	}
	if f.dead.Err() != nil || f.chance(f.faults.refuse) {
		return errNet
	}
	return nil
}

func (f *flaky) Dequeue(ctx context.Context, most int) ([]Lease, error) {
	if err := f.call(); err != nil {
		return nil, err
	}
	l, err := f.broker.Dequeue(ctx, most)
	if f.chance(f.faults.lose) {
		return nil, errNet
	}
	return l, err
}

func (f *flaky) Ack(_ context.Context, tokens []string) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.broker.Ack(tokens...)
}

func (f *flaky) Nack(_ context.Context, reason string, tokens []string) error {
	if err := f.call(); err != nil {
		return err
	}
	return f.broker.Nack(reason, tokens...)
}

// Snapshot answers with any of the last moments that is new enough.
func (f *flaky) Snapshot(ctx context.Context, min uint64) (state.Reader, error) {
	if err := f.call(); err != nil {
		return state.Reader{}, err
	}
	if err := f.store.Wait(ctx, min); err != nil {
		return state.Reader{}, err
	}
	r := f.store.Snapshot()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moments = append(f.moments, r)
	if len(f.moments) > 16 {
		f.moments = f.moments[1:]
	}
	if old := f.moments[f.rng.IntN(len(f.moments))]; old.Index() >= min {
		return old, nil
	}
	return r, nil
}

func (f *flaky) SubmitPlan(ctx context.Context, ps []structs.Placement) (PlanResult, error) {
	if err := f.call(); err != nil {
		return PlanResult{}, err
	}
	r, err := f.plans.Submit(ctx, ps)
	if f.chance(f.faults.lose) {
		return PlanResult{}, errNet
	}
	return r, err
}

// run drives the cluster until no operation runs, and returns the last moment.
func (s *sim) run(workers int, busy func()) state.Reader {
	ctx, stop := context.WithCancel(context.Background())
	s.lead(true)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for life := 0; ctx.Err() == nil; life++ {
				alive, kill := context.WithCancel(ctx)
				cfg := WorkerConfig{Batch: 1 + s.intN(16), Rand: rand.New(rand.NewPCG(uint64(i), uint64(life)))}
				RunWorker(alive, &flaky{s, alive, kill}, cfg)
				kill()
			}
		})
	}
	busy()
	for minutes := 0; ; minutes++ {
		synctest.Wait() // nothing goes on without time passing
		s.hostsReport()
		if minutes > 3 {
			s.calm.Store(true)
		}
		active := 0
		for range s.store.Snapshot().ActiveOperations() {
			active++
		}
		pending := 0
		for range s.store.Snapshot().PendingEvaluations() {
			pending++
		}
		if active+pending == 0 {
			break
		}
		require.Less(s.t, minutes, 60, "%d operations and %d evaluations do not end; %+v", active, pending, s.broker.Stats())
		<-time.After(time.Minute)
	}
	stop()
	wg.Wait()
	s.termMu.Lock()
	s.lead(false)
	return s.store.Snapshot()
}

// Whatever happens to workers, their connections and the leader: no host is ever overcommitted, every evaluation ends
// exactly once, and every operation comes to an end.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, seed, 12, faults{die: 30, lose: 30, refuse: 30, depose: 20, fail: 100, remove: 60}, 5)
				r := s.run(6, func() {
					for i := range 20 {
						s.create(fmt.Sprint("i", i), 1+s.intN(12))
						if s.chance(500) {
							synctest.Wait()
						}
					}
				})
				for id, n := range s.ended {
					require.Equal(t, 1, n, id)
				}
				claims := 0
				for range r.AllClaims() {
					claims++
				}
				for ins := range r.AllInstances() {
					require.Contains(t, []structs.VMState{structs.VMActive, structs.VMError}, ins.VM)
					if ins.HostID != "" {
						claims--
					}
				}
				require.Zero(t, claims, "a claim without an instance, or the reverse")
			})
		})
	}
}

// While room is only taken, an instance is told that there is none only when there is none: what fits nowhere at the end
// is right to have failed, and everything else has a place.
func TestNoFalseVerdict(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, seed, 12, faults{die: 30, lose: 30, refuse: 30, depose: 20}, 1<<30)
				r := s.run(6, func() {
					for i := range 8 {
						s.create(fmt.Sprint("i", i), 1+s.intN(10))
					}
				})
				settings, failed := r.ClusterSettings(), 0
				for ins := range r.AllInstances() {
					if ins.VM == structs.VMActive {
						continue
					}
					failed++
					for h := range r.Hosts() {
						require.False(t, r.HostUsage(h.ID).Used.Add(ins.Flavor.Resources()).Fits(h.Capacity(settings)),
							"%s was refused, but %s has room: %+v", ins.ID, h.Name, ins.Fault)
					}
				}
				t.Logf("%d of %d evaluations found no host", failed, len(s.ended))
			})
		})
	}
}
