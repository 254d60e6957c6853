package client

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/drivers/fake"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// pair is two hosts, each with a client of its own, and an instance on one of them.
type pair struct {
	*world
	source, dest *node
	agents       map[*node]*agent
	wires        map[*node]*wire
	id           structs.InstanceID
}

func newPair(t *testing.T) *pair {
	w := newWorld(t, 3*time.Second)
	p := &pair{world: w, source: newNode(t, "a"), dest: newNode(t, "b"), agents: map[*node]*agent{}, wires: map[*node]*wire{}}
	for _, n := range []*node{p.source, p.dest} {
		p.wires[n] = anotherWire(t, w)
		p.agents[n] = w.agentOver(p.wires[n], n)
	}
	p.id = w.active(1)[0]
	if p.instance(p.id).HostID == p.dest.id {
		p.source, p.dest = p.dest, p.source
	}
	return p
}

// crash ends a host's client without a word and begins another one.
func (p *pair) crash(n *node) {
	p.agents[n].close(false)
	p.agents[n] = p.agentOver(p.wires[n], n)
}

func (p *pair) migration() *structs.Migration {
	for m := range p.srv.Stale().MigrationsOfInstance(p.id) {
		return m
	}
	return nil
}

// settled asserts what must hold whenever an operation of the instance has ended: one guest runs, where the instance is, unless it waits to be confirmed.
func (p *pair) settled() {
	p.t.Helper()
	p.until("no operation", func(r state.Reader) bool { return r.Instance(p.id).OperationID == "" })
	ins := p.instance(p.id)
	require.NotEqual(p.t, structs.VMError, ins.VM, "%+v", ins.Fault)
	here, there := p.source, p.dest
	if ins.HostID == p.dest.id {
		here, there = p.dest, p.source
	}
	g := here.guest(p.id)
	require.NotNil(p.t, g, "no guest on %s, where the instance is %s", here.name, ins.VM)
	require.Equal(p.t, ins.Flavor.VCPUs, g.VCPUs)
	require.Equal(p.t, driver.PowerRunning, g.Power)
	if ins.VM == structs.VMResized {
		require.Equal(p.t, driver.PowerShutdown, there.guest(p.id).Power, "what stayed behind is off")
		return
	}
	eventually(p.t, "nothing is left on "+there.name, func() bool { return there.guest(p.id) == nil })
	require.Equal(p.t, []structs.HostID{ins.HostID}, p.claims())
	for _, n := range []*node{p.source, p.dest} {
		eventually(p.t, "no disks are left on "+n.name, func() bool {
			left, err := os.ReadDir(n.scratch())
			return os.IsNotExist(err) || len(left) == 0
		})
	}
}

func (p *pair) claims() (hosts []structs.HostID) {
	for c := range p.srv.Stale().Claims(p.id) {
		hosts = append(hosts, c.HostID)
	}
	return hosts
}

func (p *pair) done(k structs.OperationKind) {
	p.t.Helper()
	op := p.finish(p.operate(p.id, k))
	require.Equal(p.t, structs.OpSucceeded, op.Status, "%s: %s", k, op.Error)
	p.settled()
}

// A resize carries the disk to another host and starts the guest there with its new flavor; it is confirmed, or taken back.
func TestResize(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.done(structs.OpResize)
	require.Equal(t, structs.VMResized, p.instance(p.id).VM)
	require.Equal(t, p.dest.id, p.instance(p.id).HostID)
	require.Len(t, p.claims(), 2)
	p.done(structs.OpRevertResize)
	require.Equal(t, p.source.id, p.instance(p.id).HostID)
	require.Equal(t, structs.MigrationReverted, p.migration().Status)
	p.done(structs.OpMigrate)
	p.done(structs.OpConfirmResize)
	require.Equal(t, p.dest.id, p.instance(p.id).HostID)
	require.Equal(t, structs.MigrationConfirmed, p.migration().Status)
	p.operate(p.id, structs.OpStop) // the host takes what comes after the move, at its generation
	p.untilVM(p.id, structs.VMStopped)
	p.operate(p.id, structs.OpStart)
	p.untilVM(p.id, structs.VMActive)
	p.dest.control(t, powerOff(p.id))
	p.untilVM(p.id, structs.VMStopped)
}

// A resize that stays on its host changes the guest there, and changes it back.
func TestResizeOnOneHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	w.sameHost = true
	id := w.active(1)[0]
	for _, last := range []structs.OperationKind{structs.OpRevertResize, structs.OpConfirmResize} {
		require.Equal(t, structs.OpSucceeded, w.finish(w.operate(id, structs.OpResize)).Status)
		w.untilVM(id, structs.VMResized)
		require.Equal(t, 2, n.guest(id).VCPUs)
		require.Equal(t, driver.PowerRunning, n.guest(id).Power)
		require.EqualValues(t, 2, w.srv.Stale().HostUsage(n.id).Used.VCPUs)
		require.Equal(t, structs.OpSucceeded, w.finish(w.operate(id, last)).Status)
		ins := w.untilVM(id, structs.VMActive)
		require.Equal(t, ins.Flavor.VCPUs, n.guest(id).VCPUs)
		require.EqualValues(t, ins.Flavor.VCPUs, w.srv.Stale().HostUsage(n.id).Used.VCPUs)
		require.Equal(t, driver.PowerRunning, n.guest(id).Power)
	}
	n.script(t, `,"failures":[{"method":"start","kind":"unavailable","nth":1},{"method":"start","kind":"unavailable","nth":2}]`)
	w.operate(id, structs.OpDelete)
	w.untilVM(id, structs.VMDeleted)
	require.Nil(t, n.guest(id))
}

// A resize that fails on the destination leaves the guest running where it was.
func TestResizeFails(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"import_disks", "start"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.dest.script(t, fmt.Sprintf(`,"failures":[{"method":%q,"kind":"invalid","message":"no"}]`, method))
			op := p.finish(p.operate(p.id, structs.OpResize))
			require.Equal(t, structs.OpFailed, op.Status)
			p.settled()
			require.Equal(t, structs.VMActive, p.instance(p.id).VM)
			require.Equal(t, p.source.id, p.instance(p.id).HostID)
			require.Equal(t, structs.MigrationError, p.migration().Status)
			p.source.control(t, powerOff(p.id)) // what the guest does is heard of, though the driver has not seen the newest generation
			p.untilVM(p.id, structs.VMStopped)
		})
	}
}

func TestLiveMigration(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.source.script(t, `,"latency":{"live_migrate":"300ms"}`)
	started := p.source.guest(p.id).StartedAt
	op := p.operate(p.id, structs.OpLiveMigrate)
	p.until("running", func(state.Reader) bool { return p.migration().Status == structs.MigrationRunning })
	eventually(t, "progress", func() bool {
		m, err := p.srv.MigrationProgress(t.Context(), p.migration())
		return p.srv.Stale().Operation(op).Status.Final() || err == nil && m.MemoryTotal == 64<<20 && m.MemoryRemaining < m.MemoryTotal
	})
	require.Equal(t, structs.OpSucceeded, p.finish(op).Status)
	p.settled()
	require.Equal(t, p.dest.id, p.instance(p.id).HostID)
	require.Equal(t, structs.MigrationCompleted, p.migration().Status)
	require.False(t, started.IsZero())
	p.operate(p.id, structs.OpPause)
	p.untilVM(p.id, structs.VMPaused)
	require.Equal(t, structs.OpSucceeded, p.finish(p.operate(p.id, structs.OpLiveMigrate)).Status)
	ins := p.untilVM(p.id, structs.VMPaused)
	require.Equal(t, p.source.id, ins.HostID)
	require.Equal(t, driver.PowerPaused, p.source.guest(p.id).Power, "what was paused is paused")
}

func (p *pair) signal(s structs.MigrationSignal) {
	p.t.Helper()
	p.until("running", func(state.Reader) bool {
		return p.migration() != nil && p.migration().Status == structs.MigrationRunning
	})
	_, err := fsm.MigrationSignal.Propose(p.t.Context(), p.srv, &structs.MigrationSignalRequest{InstanceID: p.id, MigrationID: p.migration().ID, Signal: s,
		Statuses: []structs.MigrationStatus{structs.MigrationRunning}, Now: structs.TimeOf(time.Now())})
	require.NoError(p.t, err)
}

// A live migration that would take an hour ends at once when it is aborted, or forced; also when the source's client died before it could hear of that.
func TestLiveMigrationSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []structs.MigrationSignal{structs.SignalAbort, structs.SignalForceComplete} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/crash=%v", signal, crash), func(t *testing.T) {
				t.Parallel()
				p := newPair(t)
				p.source.script(t, `,"latency":{"live_migrate":"1h"}`)
				op := p.operate(p.id, structs.OpLiveMigrate)
				if crash {
					p.until("running", func(state.Reader) bool { return p.migration().Status == structs.MigrationRunning })
					p.agents[p.source].close(false)
				}
				p.signal(signal)
				if crash {
					p.agents[p.source] = p.agentOver(p.wires[p.source], p.source)
				}
				end := p.finish(op)
				p.settled()
				if signal == structs.SignalAbort {
					require.Equal(t, structs.OpFailed, end.Status)
					require.Equal(t, structs.MigrationCancelled, p.migration().Status)
					require.Equal(t, p.source.id, p.instance(p.id).HostID)
					return
				}
				require.Equal(t, structs.OpSucceeded, end.Status, end.Error)
				require.Equal(t, p.dest.id, p.instance(p.id).HostID)
			})
		}
	}
}

// The client of either host dies in the middle of each step, before and after the driver has done it: the operation ends, and the guest runs once.
func TestClientDiesWhileMoving(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		kind   structs.OperationKind
		method string
		onDest bool
	}{
		{structs.OpResize, "stop", false}, {structs.OpResize, "export", false}, {structs.OpResize, "import", true}, {structs.OpResize, "start", true},
		{structs.OpLiveMigrate, "check-destination", true}, {structs.OpLiveMigrate, "prepare", true}, {structs.OpLiveMigrate, "arrive", true},
		{structs.OpConfirmResize, "destroy", false}, {structs.OpRevertResize, "destroy", true}, {structs.OpRevertResize, "start", false},
	} {
		for _, after := range []bool{false, true} {
			for _, other := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/after=%v/other=%v", one.kind, one.method, after, other), func(t *testing.T) {
					t.Parallel()
					p := newPair(t)
					if one.kind == structs.OpConfirmResize || one.kind == structs.OpRevertResize {
						p.done(structs.OpResize)
					}
					where, dies := p.source, p.source
					if one.onDest {
						where = p.dest
					}
					if one.onDest != other {
						dies = p.dest
					}
					g := where.drv.hold(one.method, after)
					op := p.operate(p.id, one.kind)
					<-g.entered
					if dies != where {
						p.crash(dies)
						where.drv.release(one.method)
					} else {
						p.agents[dies].close(false)
						where.drv.release(one.method)
						p.agents[dies] = p.agentOver(p.wires[dies], dies)
					}
					end := p.finish(op)
					require.Equal(t, structs.OpSucceeded, end.Status, end.Error)
					p.settled()
				})
			}
		}
	}
}

// A host is lost for good in the middle of a move: the other one goes on alone, or the instance is where it was.
func TestHostLostWhileMoving(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		kind   structs.OperationKind
		method string
		onDest bool
		vm     structs.VMState
	}{
		{structs.OpResize, "import", true, structs.VMActive}, {structs.OpResize, "start", true, structs.VMActive},
		{structs.OpLiveMigrate, "prepare", true, structs.VMActive},
	} {
		t.Run(fmt.Sprintf("%s/%s", one.kind, one.method), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			g := p.dest.drv.hold(one.method, false)
			op := p.operate(p.id, one.kind)
			<-g.entered
			p.wires[p.dest].cut()
			p.untilHost(p.dest, structs.HostDown)
			end := p.finish(op)
			require.Equal(t, structs.OpFailed, end.Status)
			ins := p.untilVM(p.id, one.vm)
			require.Equal(t, p.source.id, ins.HostID)
			require.Equal(t, driver.PowerRunning, p.source.guest(p.id).Power)
			p.dest.drv.release(one.method)
			p.wires[p.dest].heal()
			p.untilHost(p.dest, structs.HostUp)
			p.settled()
		})
	}
}

// An instance that is deleted in the middle of a move leaves neither guest nor disks on either host.
func TestDeleteWhileMoving(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		kind   structs.OperationKind
		method string
	}{{structs.OpResize, "import"}, {structs.OpResize, "start"}, {structs.OpLiveMigrate, "prepare"}, {structs.OpLiveMigrate, "arrive"}} {
		t.Run(fmt.Sprintf("%s/%s", one.kind, one.method), func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			g := p.dest.drv.hold(one.method, false)
			p.operate(p.id, one.kind)
			<-g.entered
			p.operate(p.id, structs.OpDelete)
			p.dest.drv.release(one.method)
			p.untilVM(p.id, structs.VMDeleted)
			require.Empty(t, p.claims())
			for _, n := range []*node{p.source, p.dest} {
				eventually(t, "no guest on "+n.name, func() bool { return n.guest(p.id) == nil })
				eventually(t, "no disks on "+n.name, func() bool {
					left, err := os.ReadDir(n.scratch())
					return os.IsNotExist(err) || len(left) == 0
				})
			}
		})
	}
}

// An instance whose host is down is built anew on another one; when the host is back, what is left there goes, and the migration is complete.
func TestEvacuate(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	_, err := fsm.OperationCreate.Propose(context.Background(), p.srv, &structs.OperationCreateRequest{Now: 1,
		Operation: structs.Operation{ID: "e", InstanceID: p.id, Kind: structs.OpEvacuate}})
	require.ErrorContains(t, err, "is still in use")
	p.agents[p.source].close(false)
	p.untilHost(p.source, structs.HostDown)
	require.Equal(t, structs.OpSucceeded, p.finish(p.operate(p.id, structs.OpEvacuate)).Status)
	ins := p.untilVM(p.id, structs.VMActive)
	require.Equal(t, p.dest.id, ins.HostID)
	require.Equal(t, structs.MigrationDone, p.migration().Status)
	require.NotNil(t, p.source.guest(p.id), "nobody could tell the old host yet")
	p.agents[p.source] = p.agentOver(p.wires[p.source], p.source)
	p.settled()
	p.until("completed", func(state.Reader) bool { return p.migration().Status == structs.MigrationCompleted })
}

func powerOff(id structs.InstanceID) fake.Control {
	return fake.Control{Action: fake.GuestPowerOff, Instance: string(id)}
}
