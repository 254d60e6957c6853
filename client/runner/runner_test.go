package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a driver whose calls are counted and may be held or failed.
type scripted struct {
	driver.Unsupported
	mu     sync.Mutex
	calls  []string
	fail   map[string]error
	hold   map[string]chan struct{} // the call waits for it to be closed, or for its context
	power  driver.PowerState
	notify chan string
}

func newScripted() *scripted {
	return &scripted{fail: map[string]error{}, hold: map[string]chan struct{}{}, power: driver.PowerRunning, notify: make(chan string, 100)}
}

func (d *scripted) call(ctx context.Context, name string) error {
	d.mu.Lock()
	d.calls = append(d.calls, name)
	err, hold := d.fail[name], d.hold[name]
	d.mu.Unlock()
	d.notify <- name
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (d *scripted) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, c := range d.calls {
		if c == name {
			n++
		}
	}
	return n
}

func (d *scripted) status(id string) *driver.InstanceStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &driver.InstanceStatus{InstanceID: id, Power: d.power, Generation: 1}
}

func (d *scripted) Configure(context.Context, []byte) error { return nil }
func (d *scripted) Capabilities(context.Context) (*driver.Capabilities, error) {
	return &driver.Capabilities{}, nil
}
func (d *scripted) Fingerprint(context.Context) (<-chan *driver.Fingerprint, error) { return nil, nil }
func (d *scripted) Events(context.Context) (<-chan *driver.Event, error)            { return nil, nil }
func (d *scripted) List(context.Context) ([]*driver.InstanceStatus, error)          { return nil, nil }
func (d *scripted) ConsoleOutput(context.Context, *driver.ConsoleOutputRequest) ([]byte, error) {
	return nil, nil
}

func (d *scripted) Create(ctx context.Context, s *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	return d.status(s.InstanceID), d.call(ctx, "create")
}

func (d *scripted) Destroy(ctx context.Context, _ *driver.DestroyRequest) error {
	return d.call(ctx, "destroy")
}
func (d *scripted) Start(ctx context.Context, _ *driver.InstanceRef) error {
	return d.call(ctx, "start")
}
func (d *scripted) Stop(ctx context.Context, _ *driver.StopRequest) error { return d.call(ctx, "stop") }
func (d *scripted) Reboot(ctx context.Context, _ *driver.RebootRequest) error {
	return d.call(ctx, "reboot")
}

func (d *scripted) Inspect(ctx context.Context, id string) (*driver.InstanceStatus, error) {
	return d.status(id), d.call(ctx, "inspect")
}

func (d *scripted) Recover(ctx context.Context, s *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	return d.status(s.InstanceID), d.call(ctx, "recover")
}

type noImages struct{ err error }

func (n noImages) Get(context.Context, *structs.Image, []string) (*driver.Image, func(), error) {
	return &driver.Image{Path: "/image"}, func() {}, n.err
}

// rig is a runner whose reports can be waited for.
type rig struct {
	t        *testing.T
	d        *scripted
	r        *Runner
	outcomes chan structs.Outcome
	syncs    chan structs.InstanceSync
}

func newRig(t *testing.T, images ImageSource, builds int) *rig {
	g := &rig{t: t, d: newScripted(), outcomes: make(chan structs.Outcome, 100), syncs: make(chan structs.InstanceSync, 100)}
	g.r = New(Config{Driver: g.d, Images: images, MaxBuilds: builds, Logger: hclog.NewNullLogger(),
		Report: func(o structs.Outcome) { g.outcomes <- o }, Sync: func(s structs.InstanceSync) { g.syncs <- s }})
	t.Cleanup(g.r.Close)
	return g
}

func next[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within 10 s")
		panic("unreachable")
	}
}

func work(id string, kind structs.OperationKind, step structs.StepName) structs.Work {
	return structs.Work{Instance: &structs.Instance{ID: structs.InstanceID(id), ImageID: "img", Generation: 1}, Image: &structs.Image{ID: "img"},
		Operation: &structs.Operation{ID: structs.OperationID("op-" + string(kind) + id), InstanceID: structs.InstanceID(id), Kind: kind, Status: structs.OpRunning, Step: step, Attempt: 1, Generation: 1}}
}

func (g *rig) until(call string) {
	g.t.Helper()
	for next(g.t, g.d.notify) != call {
	}
}

func TestBuildRunsItsSteps(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	w := work("a", structs.OpBuild, structs.StepImage)
	g.r.Do(w)
	g.r.Do(w) // handed out again while it runs
	require.Equal(t, structs.StepImage, next(t, g.outcomes).Step)
	o := next(t, g.outcomes)
	require.Equal(t, structs.StepSpawn, o.Step)
	require.Equal(t, structs.PowerRunning, o.Power)
	require.Empty(t, o.Error)
	// Handed out again when it is done, because the report was lost: reported again, not done again.
	require.Eventually(t, func() bool { return !g.r.Busy("a") }, 5*time.Second, time.Millisecond)
	g.r.Do(w)
	require.Equal(t, structs.StepImage, next(t, g.outcomes).Step)
	require.Equal(t, structs.StepSpawn, next(t, g.outcomes).Step)
	require.Equal(t, 1, g.d.count("create"))
}

func TestNextStepCommittedWhileItRuns(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	hold := make(chan struct{})
	g.d.hold["create"] = hold
	g.r.Do(work("a", structs.OpBuild, structs.StepImage))
	next(t, g.outcomes)
	g.until("create")
	g.r.Do(work("a", structs.OpBuild, structs.StepSpawn)) // the image step's outcome was committed
	close(hold)
	require.Equal(t, structs.StepSpawn, next(t, g.outcomes).Step)
	require.Equal(t, 1, g.d.count("create"))
}

func TestDeleteCancelsBuild(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.d.hold["create"] = make(chan struct{}) // for ever
	g.r.Do(work("a", structs.OpBuild, structs.StepSpawn))
	g.until("create")
	g.r.Do(work("a", structs.OpDelete, structs.StepDestroy))
	o := next(t, g.outcomes)
	require.Equal(t, structs.StepDestroy, o.Step, "the cancelled build says nothing")
	require.Equal(t, []string{"create", "destroy"}, g.d.calls, "one after the other")
}

func TestAnotherAttempt(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.d.fail["create"] = driver.Errorf(driver.KindUnavailable, "hypervisor is away")
	w := work("a", structs.OpBuild, structs.StepSpawn)
	g.r.Do(w)
	o := next(t, g.outcomes)
	require.True(t, o.Retryable)
	require.Equal(t, structs.KindUnavailable, o.ErrorKind)
	g.d.mu.Lock()
	delete(g.d.fail, "create")
	g.d.mu.Unlock()
	again := *w.Operation
	again.Attempt, again.NotBefore = 2, structs.TimeOf(time.Now().Add(20*time.Millisecond))
	w.Operation = &again
	g.r.Do(w)
	o = next(t, g.outcomes)
	require.Equal(t, 2, o.Attempt)
	require.Empty(t, o.Error)
	require.False(t, o.StartedAt < again.NotBefore, "the backoff is kept")
}

func TestErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		kind  structs.Kind
		retry bool
	}{
		{driver.Errorf(driver.KindInvalid, "bad"), structs.KindInvalid, false},
		{driver.Errorf(driver.KindConflict, "stale"), structs.KindConflict, false},
		{driver.Errorf(driver.KindExhausted, "full"), structs.KindNoCapacity, false},
		{driver.Errorf(driver.KindNotSupported, "no"), structs.KindNotSupported, false},
		{driver.Errorf(driver.KindInternal, "oh"), structs.KindInternal, true},
		{fmt.Errorf("wrapped: %w", driver.Errorf(driver.KindTimeout, "slow")), structs.KindTimeout, true},
		{context.DeadlineExceeded, structs.KindTimeout, true},
		{errors.New("anything"), structs.KindInternal, true},
		{structs.Errorf(structs.KindNoCapacity, "disk full"), structs.KindNoCapacity, false},
	} {
		text, kind, retry := classify(c.err)
		require.Equal(t, c.kind, kind, "%v", c.err)
		require.Equal(t, c.retry, retry, "%v", c.err)
		require.NotEmpty(t, text)
	}
}

func TestImageFails(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{structs.Errorf(structs.KindUnavailable, "no server has it")}, 0)
	g.r.Do(work("a", structs.OpBuild, structs.StepImage))
	o := next(t, g.outcomes)
	require.Equal(t, structs.StepImage, o.Step)
	require.Equal(t, "no server has it", o.Error)
	require.Zero(t, g.d.count("create"))
	gone := work("b", structs.OpBuild, structs.StepImage)
	gone.Image = nil
	g.r.Do(gone)
	o = next(t, g.outcomes)
	require.Equal(t, structs.KindInvalid, o.ErrorKind)
	require.Contains(t, o.Error, "was deleted")
}

func TestStartRecoversLostDefinition(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.d.fail["start"] = driver.Errorf(driver.KindNotFound, "no such guest")
	g.r.Do(work("a", structs.OpStart, structs.StepStart))
	o := next(t, g.outcomes)
	require.NotEmpty(t, o.Error)
	require.Equal(t, []string{"start", "recover", "start"}, g.d.calls)
}

// A guest's event is passed on when nothing is being done to it, and looked into afterwards when something is.
func TestEvents(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.d.mu.Lock()
	g.d.power = driver.PowerShutdown
	g.d.mu.Unlock()
	g.r.Event(&driver.Event{InstanceID: "a", Type: driver.EventStopped})
	require.Equal(t, structs.PowerShutdown, next(t, g.syncs).Power)

	hold := make(chan struct{})
	g.d.hold["stop"] = hold
	g.r.Do(work("a", structs.OpStop, structs.StepStop))
	g.until("stop")
	g.r.Event(&driver.Event{InstanceID: "a", Type: driver.EventStopped})
	require.Equal(t, 1, g.d.count("inspect"), "the stop is under way: its event says nothing new")
	close(hold)
	next(t, g.outcomes)
	next(t, g.syncs)
	require.Equal(t, 2, g.d.count("inspect"))
}

func TestBuildsWaitTheirTurn(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 2)
	hold := make(chan struct{})
	g.d.hold["create"] = hold
	for i := range 5 {
		g.r.Do(work(fmt.Sprint(i), structs.OpBuild, structs.StepSpawn))
	}
	g.until("create")
	g.until("create")
	g.r.Do(work("x", structs.OpDelete, structs.StepDestroy)) // what is no build does not wait
	require.Equal(t, structs.StepDestroy, next(t, g.outcomes).Step)
	require.Equal(t, 2, g.d.count("create"))
	close(hold)
	for range 5 {
		require.Equal(t, structs.StepSpawn, next(t, g.outcomes).Step)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.r.Do(work("a", structs.OpDelete, structs.StepDestroy))
	next(t, g.outcomes)
	require.Eventually(t, func() bool { return !g.r.Busy("a") }, 5*time.Second, time.Millisecond)
	g.r.Forget("a")
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	require.Empty(t, g.r.instances)
}
