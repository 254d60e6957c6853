package broker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// script is Deps over a sim whose faults are written down.
type script struct {
	*sim
	leases   []Lease
	acked    []string
	nacked   []string
	reason   string
	indexes  []uint64 // asked of Snapshot
	plans    [][]structs.Placement
	snapshot func() error
	revive   bool                                   // the host, before each snapshot
	submit   func(ctx context.Context, n int) error // before plan number n, from 0
}

func newScript(t *testing.T) *script {
	return &script{sim: newSim(t, 1, 1, faults{}, 5)} // its host has 4 VCPUs
}

// want creates an instance and leases its evaluation.
func (s *script) want(id string, cpus int) {
	mustPropose(s.sim, fsm.InstanceCreate, &structs.InstanceCreateRequest{Now: 1,
		Instances:   []structs.Instance{{ID: structs.InstanceID(id), ProjectID: "p", Flavor: structs.Flavor{VCPUs: cpus}}},
		Operations:  []structs.Operation{{ID: structs.OperationID("op-" + id), InstanceID: structs.InstanceID(id), Kind: structs.OpBuild}},
		Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(id), InstanceID: structs.InstanceID(id), OperationID: structs.OperationID("op-" + id), Status: structs.EvalPending}}})
	s.leases = append(s.leases, Lease{EvaluationID: structs.EvaluationID(id), InstanceID: structs.InstanceID(id), Index: s.index, Token: id})
}

func (s *script) Dequeue(context.Context, int) ([]Lease, error) { panic("not scripted") }

func (s *script) Ack(_ context.Context, tokens []string) error {
	s.acked = append(s.acked, tokens...)
	return errors.New("nobody minds")
}

func (s *script) Nack(ctx context.Context, reason string, tokens []string) error {
	s.nacked, s.reason = append(s.nacked, tokens...), reason
	return ctx.Err()
}

func (s *script) Snapshot(_ context.Context, min uint64) (state.Reader, error) {
	s.indexes = append(s.indexes, min)
	if s.snapshot != nil {
		return state.Reader{}, s.snapshot()
	}
	if s.revive {
		s.setStatus(structs.HostUp)
	}
	return s.store.Snapshot(), nil
}

func (s *script) setStatus(to structs.HostStatus) {
	change := structs.HostStatusChange{HostID: "host-00", Epoch: 1, Status: to}
	mustPropose(s.sim, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{change}, Now: 2})
}

func (s *script) SubmitPlan(ctx context.Context, ps []structs.Placement) (PlanResult, error) {
	s.plans = append(s.plans, slices.Clone(ps))
	if s.submit != nil {
		if err := s.submit(ctx, len(s.plans)-1); err != nil {
			return PlanResult{}, err
		}
	}
	return s.apply(ctx, ps)
}

func (s *script) work(ctx context.Context) {
	w := newWorker(s, WorkerConfig{Rounds: 4})
	w.work(ctx, s.leases)
}

func (s *script) vm(id string) (structs.VMState, structs.HostID) {
	ins := s.store.Snapshot().Instance(structs.InstanceID(id))
	return ins.VM, ins.HostID
}

func TestWorkerPlaces(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.want("a", 2)
	s.want("b", 2)
	s.work(t.Context())
	require.Equal(t, []string{"a", "b"}, s.acked)
	require.Len(t, s.plans, 1)
	require.Equal(t, []uint64{s.leases[1].Index}, s.indexes)
	for _, id := range []string{"a", "b"} {
		_, h := s.vm(id)
		require.NotEmpty(t, h)
	}
}

// A and B do not fit together, so B has to wait for what becomes of A. Another takes a part of A's room: A is refused and
// B fits after all. Only then is A told that there is no host.
func TestVerdictWaitsForPlan(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.want("a", 4)
	s.want("b", 3)
	s.submit = func(_ context.Context, n int) error {
		if n == 0 {
			s.leases = nil
			s.want("other", 1)
			_, err := s.apply(t.Context(), []structs.Placement{{EvaluationID: "other", InstanceID: "other", OperationID: "op-other", HostID: "host-00"}})
			require.NoError(t, err)
		}
		return nil
	}
	leases := s.leases
	w := newWorker(s, WorkerConfig{Rounds: 4})
	w.work(t.Context(), leases)
	require.Equal(t, []string{"b", "a"}, s.acked)
	require.Empty(t, s.nacked)
	require.Len(t, s.plans, 3)
	require.Len(t, s.plans[0], 1)
	_, h := s.vm("b")
	require.NotEmpty(t, h)
	vm, h := s.vm("a")
	require.Equal(t, structs.VMError, vm)
	require.Empty(t, h)
	require.Greater(t, s.indexes[1], s.indexes[0], "the next round needs a state that knows of the refusal")
	require.Equal(t, "No valid host was found. There are not enough hosts available. Of 1 hosts, PlacementCapacity refused 1 (host-00: needs 4 VCPU, 0 VCPU free).",
		s.store.Snapshot().Instance("a").Fault.Message)
}

func TestWorkerEndsWhatIsOver(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.want("deleted", 1)
	op := structs.Operation{ID: "del", InstanceID: "deleted", Kind: structs.OpDelete}
	mustPropose(s.sim, fsm.OperationCreate, &structs.OperationCreateRequest{Operation: op, Now: 2})
	s.want("timed out", 1)
	timeout := structs.Outcome{OperationID: "op-timed out", Step: structs.StepPlace, Attempt: 1, Error: "took too long"}
	mustPropose(s.sim, fsm.OperationReport, &structs.OperationReportRequest{Outcomes: []structs.Outcome{timeout}, Now: 2})
	require.Equal(t, structs.EvalPending, s.store.Snapshot().Evaluation("timed out").Status)
	s.want("fine", 1)
	s.work(t.Context())
	require.ElementsMatch(t, []string{"deleted", "timed out", "fine"}, s.acked)
	require.Len(t, s.plans, 1)
	require.Len(t, s.plans[0], 2, "what is not pending is not submitted")
	require.Equal(t, structs.EvalFailed, s.store.Snapshot().Evaluation("timed out").Status)
	require.Equal(t, "took too long", s.store.Snapshot().Operation("op-timed out").Error)
}

func TestWorkerGivesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(s *script)
		reason  string
		plans   int
	}{
		"no state": {func(s *script) { s.snapshot = func() error { return errNet } }, "the state did not reach index 3: connection lost", 0},
		"bad settings": {func(s *script) {
			settings := structs.DefaultClusterSettings()
			settings.Filters = []string{"RamFilter"}
			mustPropose(s.sim, fsm.ClusterSettingsSet, &structs.ClusterSettingsRequest{Settings: settings})
		}, `host filter "RamFilter" was removed`, 0},
		"no answer": {func(s *script) { s.submit = func(context.Context, int) error { return errNet } }, "the plan was not taken: connection lost", 1},
		"always refused": {func(s *script) {
			s.revive = true // up for the scheduler, suspect for the applier
			s.submit = func(context.Context, int) error {
				s.setStatus(structs.HostSuspect)
				return nil
			}
		}, "the placement was refused: host is suspect", 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.want("a", 1)
			c.prepare(s)
			s.work(t.Context())
			require.Equal(t, []string{"a"}, s.nacked)
			require.Empty(t, s.acked)
			require.Contains(t, s.reason, c.reason)
			require.Len(t, s.plans, c.plans)
		})
	}
}

// A worker that is stopped while its plan is under way gives its leases back.
func TestWorkerStopped(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.want("a", 1)
	ctx, stop := context.WithCancel(t.Context())
	s.submit = func(ctx context.Context, _ int) error {
		stop()
		return ctx.Err()
	}
	s.work(ctx)
	require.Equal(t, []string{"a"}, s.nacked)
}

// dequeuer fails until it does not.
type dequeuer struct {
	*script
	errs  int
	calls chan struct{}
}

func (d *dequeuer) Dequeue(ctx context.Context, _ int) ([]Lease, error) {
	d.calls <- struct{}{}
	if d.errs--; d.errs >= 0 {
		return nil, errNet
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestWorkerPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		clock, ended := newClock(), make(chan struct{})
		d := &dequeuer{script: newScript(t), errs: 2, calls: make(chan struct{}, 10)}
		go func() {
			defer close(ended)
			RunWorker(ctx, d, WorkerConfig{Clock: clock, Pause: time.Second})
		}()
		for n := 1; n <= 3; n++ {
			synctest.Wait()
			require.Len(t, d.calls, n)
			clock.advance(time.Second - 1)
			synctest.Wait()
			require.Len(t, d.calls, n)
			clock.advance(1)
		}
		stop()
		<-ended
	})
}
