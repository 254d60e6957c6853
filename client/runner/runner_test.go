package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
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
	missing  chan struct{}
}

func newRig(t *testing.T, images ImageSource, builds int) *rig {
	g := &rig{t: t, d: newScripted(), outcomes: make(chan structs.Outcome, 100), syncs: make(chan structs.InstanceSync, 100), missing: make(chan struct{}, 100)}
	g.r = New(Config{Driver: g.d, Images: images, MaxBuilds: builds, Logger: hclog.NewNullLogger(),
		Report: func(o structs.Outcome) { g.outcomes <- o }, Sync: func(s structs.InstanceSync) { g.syncs <- s }, Missing: func() { g.missing <- struct{}{} }})
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
		{driver.Errorf(driver.KindUnavailable, "away"), structs.KindUnavailable, true},
		// The driver's own mark is what counts, whatever the kind.
		{driver.Errorf(driver.KindInternal, "oh"), structs.KindInternal, true},
		{fmt.Errorf("wrapped: %w", driver.Errorf(driver.KindTimeout, "slow")), structs.KindTimeout, true},
		{&driver.Error{Kind: driver.KindInternal, Message: "the disk is broken for good"}, structs.KindInternal, false},
		{&driver.Error{Kind: driver.KindUnavailable, Message: "closed for good"}, structs.KindUnavailable, false},
		{&driver.Error{Kind: driver.KindInternal, Message: "oh", Retryable: true}, structs.KindInternal, true},
		{fmt.Errorf("wrapped: %w", &driver.Error{Kind: driver.KindConflict, Message: "busy", Retryable: true}), structs.KindConflict, true},
		{fmt.Errorf("%w (%w)", driver.Errorf(driver.KindUnavailable, "does not run"), context.DeadlineExceeded), structs.KindTimeout, true},
		{context.DeadlineExceeded, structs.KindTimeout, true},
		{structs.Errorf(structs.KindUnavailable, "no server has the image"), structs.KindUnavailable, true},
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
	next(t, g.syncs) // what became of the guest is looked at
	g.d.mu.Lock()
	defer g.d.mu.Unlock()
	require.Equal(t, []string{"start", "recover", "start", "inspect"}, g.d.calls)
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

// A step whose deadline passes while the driver hangs: the call is cancelled, the attempt is reported as late, and nothing is left running. Time is simulated.
func TestDeadlinePassesWhileTheDriverHangs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  structs.OperationKind
		step  structs.StepName
		call  string
		after time.Duration
	}{
		{structs.OpBuild, structs.StepSpawn, "create", 5 * time.Minute},
		{structs.OpStart, structs.StepStart, "start", 2 * time.Minute},
		{structs.OpStop, structs.StepStop, "stop", time.Minute + operation.DefaultStopTimeout}, // the guest's own time is not the step's
		{structs.OpSoftReboot, structs.StepReboot, "reboot", 2*time.Minute + operation.DefaultStopTimeout},
		{structs.OpDelete, structs.StepDestroy, "destroy", 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, noImages{}, 0)
			g.d.hold[c.call] = make(chan struct{})
			begun := time.Now()
			w := work("a", c.kind, c.step)
			g.r.Do(w)
			o := <-g.outcomes
			require.Equal(t, c.after, time.Since(begun), "%s", c.kind)
			require.Equal(t, structs.KindTimeout, o.ErrorKind)
			require.True(t, o.Retryable)
			require.NotEmpty(t, o.Error)
			g.d.mu.Lock()
			g.d.hold = map[string]chan struct{}{}
			g.d.mu.Unlock()
			again := *w.Operation
			again.Attempt, again.NotBefore = 2, structs.TimeOf(time.Now().Add(time.Second))
			w.Operation = &again
			g.r.Do(w)
			require.Empty(t, (<-g.outcomes).Error)
			require.Equal(t, c.after+time.Second, time.Since(begun))
			synctest.Wait()
			require.False(t, g.r.Busy("a"))
		})
	}
}

// Waiting for its turn is not part of a build's time.
func TestTurnIsNotPartOfTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, noImages{}, 1)
		hold := make(chan struct{})
		g.d.hold["create"] = hold
		g.r.Do(work("a", structs.OpBuild, structs.StepSpawn))
		g.until("create")
		g.r.Do(work("b", structs.OpBuild, structs.StepSpawn))
		time.AfterFunc(4*time.Minute, func() { close(hold) })
		for range 2 {
			require.Empty(t, (<-g.outcomes).Error)
		}
	})
}

// What is done for an operation that is over for the cluster is ended without a word; something newer is left alone.
func TestAbandon(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.d.hold["stop"] = make(chan struct{}) // for ever
	g.r.Do(work("a", structs.OpStop, structs.StepStop))
	g.until("stop")
	tasks := g.r.Tasks()
	require.Len(t, tasks, 1)
	require.EqualValues(t, 1, tasks["a"].Generation())
	require.NoError(t, g.r.Abandon(t.Context(), tasks["a"]))
	require.Equal(t, structs.PowerRunning, next(t, g.syncs).Power, "the guest is looked at: it may have been stopped by then")
	require.Empty(t, g.outcomes)
	require.Empty(t, g.r.Tasks())

	hold := make(chan struct{})
	g.d.mu.Lock()
	g.d.hold["start"] = hold
	g.d.mu.Unlock()
	g.r.Do(work("a", structs.OpStart, structs.StepStart))
	g.until("start")
	require.NoError(t, g.r.Abandon(t.Context(), tasks["a"]), "that is over")
	require.NoError(t, g.r.Abandon(t.Context(), nil))
	close(hold)
	require.Empty(t, next(t, g.outcomes).Error)
}

// A guest that is gone is missed, unless it was removed here.
func TestMissing(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	g.d.fail["inspect"] = driver.Errorf(driver.KindNotFound, "no such guest")
	g.r.Do(work("a", structs.OpDelete, structs.StepDestroy))
	next(t, g.outcomes)
	require.Eventually(t, func() bool { return !g.r.Busy("a") }, 5*time.Second, time.Millisecond)
	require.NoError(t, g.r.Look(t.Context(), "a"))
	require.Empty(t, g.missing)
	require.NoError(t, g.r.Look(t.Context(), "b"))
	require.Len(t, g.missing, 1)
	g.r.Event(&driver.Event{InstanceID: "b", Type: driver.EventRemoved})
	next(t, g.missing)
	next(t, g.missing)
	require.Empty(t, g.syncs)
}

// What was seen of a guest before something was done to it says nothing of afterwards.
func TestOldLook(t *testing.T) {
	t.Parallel()
	g := newRig(t, noImages{}, 0)
	hold := make(chan struct{})
	g.d.hold["inspect"] = hold
	looked := make(chan error, 1)
	go func() { looked <- g.r.Look(context.Background(), "a") }()
	g.until("inspect") // it has the state already
	g.r.Do(work("a", structs.OpStop, structs.StepStop))
	require.Equal(t, structs.StepStop, next(t, g.outcomes).Step)
	require.Eventually(t, func() bool { return !g.r.Busy("a") }, 5*time.Second, time.Millisecond)
	close(hold)
	require.NoError(t, next(t, looked))
	require.Empty(t, g.syncs)
}

// Events that come while the runner closes neither panic nor outlive it.
func TestEventsWhileClosing(t *testing.T) {
	t.Parallel()
	for range 50 {
		g := newRig(t, noImages{}, 0)
		g.d.notify = make(chan string, 10000)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					g.r.Event(&driver.Event{InstanceID: "a", Type: driver.EventStopped})
				}
			})
		}
		g.r.Close()
		seen := g.d.count("inspect")
		wg.Wait()
		require.Equal(t, seen, g.d.count("inspect"), "nothing begins after Close")
	}
}

// A driver's text goes into the cluster's state: it is bounded there.
func TestLongErrors(t *testing.T) {
	t.Parallel()
	text, _, _ := classify(driver.Errorf(driver.KindInternal, "qemu says: %s: the end", strings.Repeat("é", 10000)))
	require.LessOrEqual(t, len(text), maxErrorText+10)
	require.True(t, utf8.ValidString(text))
	require.Contains(t, text, "qemu says: ")
	require.Contains(t, text, ": the end")
}

func TestTranslateDeadline(t *testing.T) {
	t.Parallel()
	require.True(t, structs.IsKind(Translate(fmt.Errorf("x: %w", context.DeadlineExceeded)), structs.KindTimeout))
	require.True(t, structs.IsKind(Translate(driver.Errorf(driver.KindNotFound, "no such")), structs.KindNotFound))
}
