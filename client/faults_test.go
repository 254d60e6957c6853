package client

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/drivers/fake"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// What guests do of their own accord is in the state at once.
func TestGuestsActAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	ids := w.active(4)
	off, crashed, removed := ids[0], ids[1], ids[2]
	n.control(t, fake.Control{Action: fake.GuestPowerOff, Instance: string(off)})
	require.Equal(t, structs.PowerShutdown, w.untilVM(off, structs.VMStopped).Power)
	n.control(t, fake.Control{Action: fake.GuestPowerOn, Instance: string(off)})
	require.Equal(t, structs.PowerRunning, w.untilVM(off, structs.VMActive).Power)
	n.control(t, fake.Control{Action: fake.GuestCrash, Instance: string(crashed)})
	require.Equal(t, structs.PowerCrashed, w.untilVM(crashed, structs.VMStopped).Power)
	n.control(t, fake.Control{Action: fake.GuestRemove, Instance: string(removed)})
	require.Equal(t, structs.PowerNoState, w.untilVM(removed, structs.VMStopped).Power)
	require.Equal(t, structs.VMActive, w.instance(ids[3]).VM)
	for _, id := range ids { // whatever happened, each can be deleted
		w.operate(id, structs.OpDelete)
		w.untilVM(id, structs.VMDeleted)
	}
}

// A machine that loses power takes nothing new and says why; when it is back its instances are known to be off.
func TestHostPowerLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	ids := w.active(2)
	n.power(t, false)
	w.until("an unhealthy driver", func(r state.Reader) bool { return !r.Host(n.id).DriverHealthy })
	require.Contains(t, w.host(n).DriverHealth, "lost power")
	ok, _ := w.host(n).Schedulable()
	require.False(t, ok)
	n.power(t, true)
	w.until("a healthy driver", func(r state.Reader) bool { return r.Host(n.id).DriverHealthy })
	for _, id := range ids {
		require.Equal(t, structs.PowerShutdown, w.untilVM(id, structs.VMStopped).Power)
		w.operate(id, structs.OpStart)
		w.untilVM(id, structs.VMActive)
	}
}

// A host whose driver is not well takes nothing; the user is told, the operator sees why.
func TestDriverHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	w.untilHost(n, structs.HostUp)
	n.control(t, fake.Control{Action: fake.HostHealth, Description: "libvirtd does not answer"})
	w.until("an unhealthy driver", func(r state.Reader) bool { return !r.Host(n.id).DriverHealthy })
	require.Equal(t, "libvirtd does not answer", w.host(n).DriverHealth)
	require.Equal(t, structs.HostUp, w.host(n).Status, "its client is there")
	ins := w.untilVM(w.create(1)[0], structs.VMError)
	require.Contains(t, ins.Fault.Message, "No valid host was found")
	require.Contains(t, ins.Fault.Message, "driver")
	n.control(t, fake.Control{Action: fake.HostHealth, Healthy: true})
	w.until("a healthy driver", func(r state.Reader) bool { return r.Host(n.id).DriverHealthy })
	w.active(1)
}

// A host whose driver has not worked since the client began is registered all the same, so that the operator sees it and why.
func TestDriverThatNeverWorked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	n.drv.hold("capabilities", false) // as drivermanager's calls while there is no plugin: they wait
	n.control(t, fake.Control{Action: fake.HostHealth, Description: "no such program"})
	w.agent(n)
	h := w.untilHost(n, structs.HostUp)
	require.False(t, h.DriverHealthy)
	require.Equal(t, "no such program", h.DriverHealth)
	n.drv.release("capabilities")
	n.control(t, fake.Control{Action: fake.HostHealth, Healthy: true})
	w.until("traits", func(r state.Reader) bool { return len(r.Host(n.id).Traits) > 0 && r.Host(n.id).DriverHealthy })
	w.active(1)
}

// A driver that hangs while it is asked for its guests does not hide that the host is not well.
func TestHungDriverDoesNotHideHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	list := n.drv.hold("list", false)
	w.agent(n)
	w.untilHost(n, structs.HostUp)
	<-list.entered
	n.control(t, fake.Control{Action: fake.HostHealth, Description: "hung"})
	w.until("an unhealthy driver", func(r state.Reader) bool { return !r.Host(n.id).DriverHealthy })
	n.drv.release("list")
}

// Reconciliation: guests of instances that were deleted meanwhile are destroyed, what the cluster does not know is left alone.
func TestDeletedWhileAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	ids := w.active(3)
	kept, gone, vanished := ids[0], ids[1], ids[2]
	stranger := nomadlike.NewUUID()
	_, err := n.drv.Driver.Create(t.Context(), &driver.InstanceSpec{InstanceRef: driver.InstanceRef{InstanceID: stranger, Generation: 1}, VCPUs: 1, MemoryMiB: 1, PowerOn: true})
	require.NoError(t, err)
	a.close(false)
	w.untilHost(n, structs.HostDown)
	for _, id := range ids[1:] {
		w.operate(id, structs.OpDelete)
		require.True(t, w.untilVM(id, structs.VMDeleted).Cleanup)
	}
	require.NotNil(t, n.guest(gone), "its host is down")
	n.control(t, fake.Control{Action: fake.GuestRemove, Instance: string(vanished)})

	a = w.agent(n)
	for _, id := range ids[1:] {
		w.until("cleanup done", func(r state.Reader) bool { return !r.Instance(id).Cleanup })
		require.Nil(t, n.guest(id))
	}
	require.Equal(t, driver.PowerRunning, n.guest(kept).Power)
	require.Equal(t, structs.VMActive, w.instance(kept).VM)
	require.Equal(t, driver.PowerRunning, n.guest(structs.InstanceID(stranger)).Power, "left alone")
	require.Equal(t, 1, a.log.count("guest that the cluster does not know"))
	require.Positive(t, a.log.count(stranger))
}

// A guest whose build was placed elsewhere, because its host was lost before it said that it was done, is destroyed on the old host.
func TestMovedWhileAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	first, second := newNode(t, "a"), newNode(t, "b")
	a := w.agent(first)
	w.untilHost(first, structs.HostUp)
	create := first.drv.hold("create", true)
	id := w.create(1)[0]
	require.Equal(t, string(id), <-create.entered)
	w.agent(second)
	w.untilHost(second, structs.HostUp)
	a.close(false)
	first.drv.renew("create")
	ins := w.untilVM(id, structs.VMActive)
	require.Equal(t, second.id, ins.HostID)
	require.NotNil(t, first.guest(id))

	w.agent(first)
	eventually(t, "the old guest's end", func() bool { return first.guest(id) == nil })
	require.Equal(t, driver.PowerRunning, second.guest(id).Power)
	require.Equal(t, structs.VMActive, w.instance(id).VM)
}

// A guest whose definition the hypervisor lost is recovered from its disks; one that is gone altogether is said to be missing.
func TestLostDefinition(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	ids := w.active(2)
	lost, gone := ids[0], ids[1]
	for i, id := range ids {
		require.NoError(t, n.drv.Driver.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: driver.InstanceRef{InstanceID: string(id), Generation: 1}, DestroyDisks: i == 1}))
	}
	require.Nil(t, n.guest(lost))
	a.hosts[n.id].Restarted()
	require.Equal(t, structs.PowerShutdown, w.untilVM(lost, structs.VMStopped).Power)
	require.NotNil(t, n.guest(lost))
	require.Equal(t, structs.PowerNoState, w.untilVM(gone, structs.VMStopped).Power)
	w.operate(lost, structs.OpStart)
	w.untilVM(lost, structs.VMActive)
	op := w.finish(w.operate(gone, structs.OpStart))
	require.Equal(t, structs.OpFailed, op.Status)
	require.Contains(t, op.Error, "not on this host")
}

// Reconciliation compares with a list that is old by the time of the answer: what happened in between must not be undone.
func TestReconcileWithOldList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	ids := w.active(2)
	list := n.drv.hold("list", true)
	a.hosts[n.id].Restarted()
	<-list.entered // it has both as running
	w.operate(ids[0], structs.OpStop)
	w.untilVM(ids[0], structs.VMStopped)
	w.operate(ids[1], structs.OpDelete)
	w.untilVM(ids[1], structs.VMDeleted)
	made := w.active(1)[0]
	syncs := w.front.count("Host.Reconcile")
	n.drv.release("list")
	eventually(t, "reconciliation", func() bool { return w.front.count("Host.Reconcile") > syncs })
	a.quiet()
	require.Equal(t, structs.VMStopped, w.instance(ids[0]).VM)
	require.Equal(t, structs.VMActive, w.instance(made).VM)
}

// quiet waits until the agent's hosts have reconciled and reported everything.
func (a *agent) quiet() {
	a.w.t.Helper()
	eventually(a.w.t, "quiet", func() bool {
		for _, h := range a.hosts {
			h.mu.Lock()
			busy := h.reconcile || h.register || h.reconciling
			h.mu.Unlock()
			if busy || h.out.pending() > 0 {
				return false
			}
		}
		return true
	})
}

// Cut off from its servers a client keeps its guests. The lease ends: what was being built moves elsewhere, what is asked of the host is refused with a reason. Back again
// the client ends what is no longer its own, and goes on.
func TestCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	first, second := newNode(t, "a"), newNode(t, "b")
	a := w.agent(first)
	w.untilHost(first, structs.HostUp)
	ids := w.active(3)
	kept, deleted, stopping := ids[0], ids[1], ids[2]
	create, stop := first.drv.hold("create", false), first.drv.hold("stop", false)
	building := w.create(1)[0]
	require.Equal(t, string(building), <-create.entered)
	op := w.operate(stopping, structs.OpStop)
	require.Equal(t, string(stopping), <-stop.entered)

	w.agentOver(anotherWire(t, w), second)
	w.wire.cut()
	h := w.untilHost(first, structs.HostDown)
	require.Contains(t, h.StatusReason, "did not renew its lease")
	require.Equal(t, driver.PowerRunning, first.guest(kept).Power)
	ins := w.untilVM(building, structs.VMActive)
	require.Equal(t, second.id, ins.HostID)
	require.Equal(t, structs.OpFailed, w.finish(op).Status)
	require.Contains(t, w.finish(op).Error, "host a is down")
	_, err := fsm.OperationCreate.Propose(t.Context(), w.srv, &structs.OperationCreateRequest{Operation: structs.Operation{ID: "x", InstanceID: kept, Kind: structs.OpStop}})
	require.ErrorContains(t, err, "its host a is down")
	w.operate(deleted, structs.OpDelete)
	w.untilVM(deleted, structs.VMDeleted)
	require.NotNil(t, first.guest(deleted))
	select {
	case <-create.cancelled:
		t.Fatal("nobody told the client yet")
	default:
	}

	w.wire.heal()
	w.untilHost(first, structs.HostUp)
	require.EqualValues(t, 1, w.host(first).Epoch, "the same life of the client")
	require.Equal(t, string(building), <-create.cancelled, "it is built elsewhere: its build here ends")
	require.Equal(t, string(stopping), <-stop.cancelled, "nobody waits for it any more")
	w.until("cleanup done", func(r state.Reader) bool { return !r.Instance(deleted).Cleanup })
	require.Nil(t, first.guest(deleted))
	first.drv.renew("create")
	first.drv.renew("stop")
	a.quiet()
	require.Nil(t, first.guest(building))
	require.Equal(t, driver.PowerRunning, second.guest(building).Power)
	require.Equal(t, structs.VMActive, w.instance(kept).VM)
	require.Equal(t, structs.VMActive, w.instance(stopping).VM)
	w.operate(kept, structs.OpStop)
	w.untilVM(kept, structs.VMStopped)
	w.operate(stopping, structs.OpStop)
	w.untilVM(stopping, structs.VMStopped)
}

// With no other host the build fails, and the user is told why.
func TestCutOffAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	w.untilHost(n, structs.HostUp)
	create := n.drv.hold("create", true)
	id := w.create(1)[0]
	<-create.entered
	w.wire.cut()
	ins := w.untilVM(id, structs.VMError)
	require.Contains(t, ins.Fault.Message, "No valid host was found")
	require.Contains(t, ins.Fault.Message, "host a is down")
	w.wire.heal()
	w.untilHost(n, structs.HostUp)
	<-create.cancelled
	n.drv.renew("create")
	eventually(t, "the leftover's end", func() bool { return n.guest(id) == nil })
	a.quiet()
	w.operate(id, structs.OpDelete)
	w.untilVM(id, structs.VMDeleted)
	w.active(1)
}

// A cut that is shorter than the lease is not noticed.
func TestShortCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	before := w.untilHost(n, structs.HostUp)
	for range 3 {
		w.wire.cut()
		id := w.create(1)[0]
		w.until("placed", func(r state.Reader) bool { return r.Instance(id).HostID != "" })
		w.wire.heal()
		w.untilVM(id, structs.VMActive)
	}
	require.Equal(t, before.StatusAt, w.host(n).StatusAt)
}

// Outcomes that could not be delivered because the server was away are delivered when it is back, and count once.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	stopped := w.active(1)[0]
	create, stop := n.drv.hold("create", false), n.drv.hold("stop", false)
	ids := w.create(20)
	for range ids {
		<-create.entered
	}
	op := w.operate(stopped, structs.OpStop)
	<-stop.entered
	w.front.refuses("Host.Report", structs.Errorf(structs.KindUnavailable, "scripted"))
	n.drv.release("create")
	n.drv.release("stop")
	eventually(t, "all guests", func() bool {
		for _, id := range ids {
			if n.guest(id) == nil {
				return false
			}
		}
		return true
	})
	w.stop()
	n.control(t, fake.Control{Action: fake.GuestPowerOff, Instance: string(ids[0])}) // an observation that waits, too
	w.start()
	w.front.refuses("Host.Report", nil)
	for _, id := range ids[1:] {
		ins := w.untilVM(id, structs.VMActive)
		for op := range w.srv.Stale().OperationsOfInstance(ins.ID) {
			require.Equal(t, structs.OpSucceeded, op.Status)
			require.Len(t, op.History, 3, "each step is recorded once")
			for _, s := range op.History {
				require.Empty(t, s.Error)
			}
		}
	}
	w.untilVM(ids[0], structs.VMStopped)
	require.Equal(t, structs.OpSucceeded, w.finish(op).Status)
	require.Len(t, w.finish(op).History, 1)
	a.quiet()
	require.Equal(t, 21, n.drv.count("create"))
	require.Equal(t, 1, n.drv.count("stop"))
	require.EqualValues(t, 1, w.host(n).Epoch)
}

// What has gathered goes in messages of a bounded count and of a bounded size.
func TestReportsAreSplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	w.untilHost(n, structs.HostUp)
	a.quiet()
	h := a.hosts[n.id]
	outcome := func(i int, text string) structs.Outcome {
		return structs.Outcome{OperationID: "nobody's", Attempt: i, Error: text}
	}
	w.front.refuses("Host.Report", structs.Errorf(structs.KindUnavailable, "scripted"))
	for i := range 5000 { // more than any buffer: what reports does not wait
		h.report(outcome(i, ""))
	}
	refused := w.front.count("Host.Report")
	w.front.refuses("Host.Report", nil)
	a.quiet()
	next := 0
	for _, r := range requests[structs.OperationReportRequest](w.front, "Host.Report")[refused:] {
		require.LessOrEqual(t, len(r.Outcomes), maxReport)
		for _, o := range r.Outcomes {
			if o.Attempt >= next { // the first may have come twice: its refusal and its delivery
				require.Equal(t, next, o.Attempt, "in order, none lost")
				next++
			}
		}
	}
	require.Equal(t, 5000, next)

	large := strings.Repeat("x", 100<<10)
	for i := range 40 { // 4 MiB: more than one entry of the log may have
		h.report(outcome(i, large))
	}
	h.report(outcome(40, strings.Repeat("x", 3<<20))) // that none may have: dropped, the operation's deadline ends it
	h.report(outcome(41, ""))
	a.quiet()
	w.active(1)
	require.Positive(t, a.log.count("is too large"))
}

// A report that is refused because the host has a newer session leads to another registration; what is open is handed out again and its end is told again.
func TestConflictRegistersAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	w.untilHost(n, structs.HostUp)
	create := n.drv.hold("create", false)
	id := w.create(1)[0]
	<-create.entered
	late := *w.host(n)
	late.Session = "of the process before"
	_, err := w.rpc.CallLocal(t.Context(), "Host.Register", &structs.HostRegisterRequest{Host: late})
	require.NoError(t, err)
	n.drv.release("create")
	w.untilVM(id, structs.VMActive)
	require.EqualValues(t, 3, w.host(n).Epoch)
	require.Equal(t, 1, n.drv.count("create"), "told again, not done again")
}

// The leader gives an attempt up while the driver hangs: the driver's call is cancelled and the next attempt is made.
func TestDriverHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	running := w.active(1)[0]
	create := n.drv.hold("create", false)
	id := w.create(1)[0]
	require.Equal(t, string(id), <-create.entered)
	n.drv.renew("create")
	w.expire(id)
	require.Equal(t, string(id), <-create.cancelled)
	w.untilVM(id, structs.VMActive)

	stop := n.drv.hold("stop", false)
	op := w.operate(running, structs.OpStop)
	<-stop.entered
	w.expire(running)
	require.Equal(t, string(running), <-stop.cancelled)
	<-stop.entered
	w.expire(running)
	got := w.finish(op)
	require.Equal(t, structs.OpFailed, got.Status)
	require.Contains(t, got.Error, "took longer")
	a.hosts[n.id].Restarted() // the client's own deadline of the step would end the call, too: see the runner's tests
	require.Equal(t, string(running), <-stop.cancelled)
	a.quiet()
	require.False(t, a.hosts[n.id].runner.Busy(running))
	require.Equal(t, structs.VMActive, w.instance(running).VM)
	n.drv.renew("stop")
	w.operate(running, structs.OpStop)
	w.untilVM(running, structs.VMStopped)
}

// expire tells the present attempt at the instance's operation to be late, as the leader's duty does when its deadline has passed.
func (w *world) expire(id structs.InstanceID) {
	w.t.Helper()
	var op *structs.Operation
	w.until("begin of the attempt", func(r state.Reader) bool {
		op = r.Operation(r.Instance(id).OperationID)
		return op != nil && op.Step != structs.StepImage && op.Step != structs.StepPlace
	})
	_, err := fsm.OperationReport.Propose(w.t.Context(), w.srv, &structs.OperationReportRequest{Now: structs.TimeOf(time.Now()), Outcomes: []structs.Outcome{{OperationID: op.ID,
		Step: op.Step, Attempt: op.Attempt, Generation: op.Generation, Error: "the step took longer than it may", ErrorKind: structs.KindTimeout, Retryable: true}}})
	require.NoError(w.t, err)
}

// A power change that failed may have had its effect: the guest is looked at, and the state says what it is.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	id := w.active(1)[0]
	n.control(t, fake.Control{Action: fake.SetScript, Script: fake.Script{Failures: []fake.Failure{{When: fake.When{Method: "stop", Point: "after"}, Kind: driver.KindConflict, Message: "odd"}}}})
	require.Equal(t, structs.OpFailed, w.finish(w.operate(id, structs.OpStop)).Status)
	require.Equal(t, driver.PowerShutdown, n.guest(id).Power)
	w.untilVM(id, structs.VMStopped)
}

// What a host says comes in the order in which it was seen: an observation made before an operation must not arrive after its end.
func TestOrderOfReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	id := w.active(1)[0]
	a.quiet()
	// An observation waits while the server cannot be reached, and the operation's outcome behind it.
	w.front.refuses("Host.Sync", structs.Errorf(structs.KindUnavailable, "scripted"))
	h := a.hosts[n.id]
	other := w.active(1)[0]
	h.observe(structs.InstanceSync{InstanceID: other, Generation: 1, Power: structs.PowerRunning}) // keeps the reporter
	eventually(t, "it waits", func() bool { return w.front.count("Host.Sync") > 0 })
	h.observe(structs.InstanceSync{InstanceID: id, Generation: 1, Power: structs.PowerRunning})
	op := w.operate(id, structs.OpStop)
	eventually(t, "stopped", func() bool { return n.guest(id).Power == driver.PowerShutdown && !h.runner.Busy(id) })
	w.front.refuses("Host.Sync", nil)
	require.Equal(t, structs.OpSucceeded, w.finish(op).Status)
	h.observe(structs.InstanceSync{InstanceID: "the last word", Power: structs.PowerRunning})
	eventually(t, "the last word", func() bool {
		all := requests[structs.InstanceSyncRequest](w.front, "Host.Sync")
		syncs := all[len(all)-1].Syncs
		return syncs[len(syncs)-1].InstanceID == "the last word"
	})
	a.quiet()
	require.Equal(t, structs.VMStopped, w.instance(id).VM)
}
