package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// A host registers, its lease is renewed, and its instances live through everything that can be done to them.
func TestLifeOfAnInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	h := w.untilHost(n, structs.HostUp)
	require.EqualValues(t, 1, h.Epoch)
	require.Equal(t, "fake", h.HypervisorType)
	require.NotEmpty(t, h.Traits)
	require.EqualValues(t, 1000, h.Total.VCPUs)

	id := w.active(1)[0]
	ins := w.instance(id)
	require.Equal(t, n.id, ins.HostID)
	require.Equal(t, structs.PowerRunning, ins.Power)
	require.Empty(t, ins.Task)
	g := n.guest(id)
	require.Equal(t, driver.PowerRunning, g.Power)
	require.Equal(t, ins.Generation, g.Generation)

	w.operate(id, structs.OpStop)
	w.untilVM(id, structs.VMStopped)
	require.Equal(t, driver.PowerShutdown, n.guest(id).Power)
	w.operate(id, structs.OpStart)
	w.untilVM(id, structs.VMActive)
	require.Equal(t, driver.PowerRunning, n.guest(id).Power)
	for _, k := range []structs.OperationKind{structs.OpSoftReboot, structs.OpHardReboot} {
		before := n.guest(id).StartedAt
		require.Equal(t, structs.OpSucceeded, w.finish(w.operate(id, k)).Status)
		require.True(t, n.guest(id).StartedAt.After(before), "%s", k)
	}
	w.operate(id, structs.OpDelete)
	w.untilVM(id, structs.VMDeleted)
	require.Nil(t, n.guest(id))
	for range w.srv.Stale().AllClaims() {
		t.Fatal("a claim is left")
	}
	eventually(t, "heartbeats for longer than a lease", func() bool { return w.front.count("Host.Heartbeat") > 5 })
	now := w.host(n)
	require.Equal(t, structs.HostUp, now.Status)
	require.Equal(t, h.StatusAt, now.StatusAt, "it was up all the time")
	require.Equal(t, h.Epoch, now.Epoch)
}

// The first heartbeat comes a beat after the registration, not a lease after it, whatever the client waited for before.
func TestFirstHeartbeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	registered := time.Now()
	a.c.mu.Lock()
	beat := a.c.beat
	a.c.mu.Unlock()
	require.Equal(t, 2*time.Second, beat, "what the server says, a third of a lease")
	eventually(t, "a heartbeat", func() bool { return w.front.count("Host.Heartbeat") > 0 })
	require.Less(t, time.Since(registered), 5*time.Second)
	require.Equal(t, n.id, requests[structs.HostHeartbeatRequest](w.front, "Host.Heartbeat")[0].Beats[0].HostID)
}

// Two hundred builds over four hosts of two clients: each becomes active, has one claim and one guest, on its host.
func TestTwoHundredBuilds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	nodes := []*node{newNode(t, "a"), newNode(t, "b"), newNode(t, "c"), newNode(t, "d")}
	w.agent(nodes[:2]...)
	w.agent(nodes[2:]...)
	for _, n := range nodes {
		w.untilHost(n, structs.HostUp)
	}
	ids := w.create(200)
	for _, id := range ids {
		w.untilVM(id, structs.VMActive)
	}
	claims := map[structs.InstanceID]structs.HostID{}
	total := 0
	for c := range w.srv.Stale().AllClaims() {
		claims[c.InstanceID] = c.HostID
		total++
	}
	require.Equal(t, 200, total)
	require.Len(t, claims, 200)
	guests := map[structs.InstanceID]structs.HostID{}
	for _, n := range nodes {
		list, err := n.drv.List(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, list, "host %s has none", n.name)
		for _, g := range list {
			id := structs.InstanceID(g.InstanceID)
			require.NotContains(t, guests, id, "a guest on two hosts")
			guests[id] = n.id
		}
	}
	for _, id := range ids {
		ins := w.instance(id)
		require.Equal(t, ins.HostID, claims[id])
		require.Equal(t, ins.HostID, guests[id])
	}
}

// A client that is started again begins a new epoch, leaves running guests alone, finishes what was open, and what the old one says is refused.
func TestClientRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	old := w.agent(n)
	ids := w.active(3)
	before := map[structs.InstanceID]*driver.InstanceStatus{}
	for _, id := range ids {
		before[id] = n.guest(id)
	}
	create, stop := n.drv.hold("create", false), n.drv.hold("stop", true)
	building := w.create(1)[0]
	stopping := ids[2]
	w.operate(stopping, structs.OpStop)
	require.Equal(t, string(building), <-create.entered)
	require.Equal(t, string(stopping), <-stop.entered, "it is stopped, and its answer held")
	running := *w.srv.Stale().Operation(w.instance(building).OperationID)
	old.close(false)
	require.Equal(t, string(building), <-create.cancelled)
	require.Equal(t, string(stopping), <-stop.cancelled)
	n.drv.renew("create")
	n.drv.renew("stop")
	w.operate(ids[1], structs.OpStop) // while no client is there

	w.agent(n)
	w.untilVM(building, structs.VMActive)
	w.untilVM(stopping, structs.VMStopped)
	w.untilVM(ids[1], structs.VMStopped)
	h := w.untilHost(n, structs.HostUp)
	require.EqualValues(t, 2, h.Epoch)
	require.Equal(t, before[ids[0]], n.guest(ids[0]), "a running guest is not disturbed")
	require.Equal(t, structs.VMActive, w.instance(ids[0]).VM)

	report := &structs.OperationReportRequest{HostID: n.id, Epoch: 1, Outcomes: []structs.Outcome{{OperationID: running.ID, Step: running.Step, Attempt: running.Attempt,
		Generation: running.Generation, Error: "the old client's word"}}}
	_, err := w.rpc.CallLocal(t.Context(), "Host.Report", report)
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = w.rpc.CallLocal(t.Context(), "Host.Sync", &structs.InstanceSyncRequest{HostID: n.id, Epoch: 1, Syncs: []structs.InstanceSync{{InstanceID: ids[0], Generation: 1, Missing: true}}})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	require.Equal(t, structs.VMActive, w.instance(ids[0]).VM)
}

// A second client takes a host over for good: the first one learns it, ends what it was doing, reports nothing and does not take it back.
func TestTwoClientsWithOneHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	n := newNode(t, "a")
	older := w.agent(n)
	w.untilHost(n, structs.HostUp)
	older.settle()
	create := n.drv.hold("create", false)
	id := w.create(1)[0]
	require.Equal(t, string(id), <-create.entered)
	n.drv.renew("create")

	twin := &node{id: n.id, name: n.name, drv: newNode(t, "a").drv}
	w.agent(twin)
	require.Equal(t, string(id), <-create.cancelled, "the older one ends what it was doing")
	w.untilVM(id, structs.VMActive)
	require.NotNil(t, twin.guest(id))
	require.Nil(t, n.guest(id))
	eventually(t, "the older one says so", func() bool { return older.log.count("another client") > 0 })
	// It does not come back, not even over several heartbeats of the newer one.
	beats := w.front.count("Host.Heartbeat")
	eventually(t, "heartbeats", func() bool { return w.front.count("Host.Heartbeat") >= beats+5 })
	require.EqualValues(t, 2, w.host(n).Epoch)
	require.Equal(t, 1, older.log.count("another client"), "said once")
	require.Equal(t, 1, older.log.count("[ERROR]"))
	require.Positive(t, older.log.count("host_id="+string(n.id)+" id_file=/data/of/a/host-id"), "and where the id comes from")
	older.hosts[n.id].Event(&driver.Event{InstanceID: string(id), Type: driver.EventStopped})
	older.hosts[n.id].Restarted()
	w.operate(id, structs.OpStop)
	w.untilVM(id, structs.VMStopped)
	require.EqualValues(t, 2, w.host(n).Epoch)
}

// What a host keeps for itself can change while it runs: the cluster's books follow, in the same session.
func TestReserve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	epoch := w.untilHost(n, structs.HostUp).Epoch
	want := structs.Resources{VCPUs: 2, MemoryMiB: 512, DiskGiB: 3}
	a.c.Reserve(want)
	w.until("the reservation", func(r state.Reader) bool { return r.Host(n.id).Reserved == want })
	require.Equal(t, epoch, w.host(n).Epoch)

	// One that comes while the host registers is not lost.
	registrations, until := w.front.count("Host.Register"), make(chan struct{})
	w.front.hangs(until)
	a.c.Reserve(structs.Resources{VCPUs: 1})
	eventually(t, "a registration under way", func() bool { return w.front.count("Host.Register") > registrations })
	a.c.Reserve(structs.Resources{})
	close(until)
	w.until("the last reservation", func(r state.Reader) bool { return r.Host(n.id).Reserved == structs.Resources{} })

	registrations = w.front.count("Host.Register")
	a.c.Reserve(structs.Resources{})
	beats := w.front.count("Host.Heartbeat")
	eventually(t, "heartbeats", func() bool { return w.front.count("Host.Heartbeat") >= beats+2 })
	require.Equal(t, registrations, w.front.count("Host.Register"), "the same again is nothing to register")
}

// settle makes the agent's registrations old enough that no message of an earlier process can be under way any more.
func (a *agent) settle() {
	for _, h := range a.hosts {
		h.mu.Lock()
		h.registered = h.registered.Add(-time.Hour)
		h.mu.Unlock()
	}
}

// A client that was fenced, and does not know it yet, does not take the host back because its driver has something new to say.
func TestFencedClientDoesNotRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute) // no heartbeat tells it in time
	n := newNode(t, "a")
	a := w.agent(n)
	w.untilHost(n, structs.HostUp)
	a.settle()
	newer := *w.host(n)
	newer.Session, newer.Epoch = "of another client", 0
	_, err := w.rpc.CallLocal(t.Context(), "Host.Register", &structs.HostRegisterRequest{Host: newer})
	require.NoError(t, err)
	a.c.Reserve(structs.Resources{VCPUs: 1})
	eventually(t, "the older client gives up", func() bool { return a.log.count("another client speaks for this host now") == 1 })
	require.Equal(t, "of another client", w.host(n).Session)
	require.EqualValues(t, 2, w.host(n).Epoch)
	require.Zero(t, w.host(n).Reserved)
}

// A late registration of the process before must not end a client that has just begun: it registers again, once.
func TestLateRegistrationOfTheOldClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	n := newNode(t, "a")
	w.agent(n)
	w.untilHost(n, structs.HostUp)
	late := *w.host(n)
	late.Session = "of the process before"
	_, err := w.rpc.CallLocal(t.Context(), "Host.Register", &structs.HostRegisterRequest{Host: late})
	require.NoError(t, err)
	w.until("a third epoch", func(r state.Reader) bool { return r.Host(n.id).Epoch == 3 })
	w.active(1)
	require.EqualValues(t, 3, w.host(n).Epoch)
}

// A host whose name is another's is refused: said once, and not asked again all the time.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	first, second := newNode(t, "same"), newNode(t, "same")
	w.agent(first)
	w.untilHost(first, structs.HostUp)
	a := w.newAgent(w.wire, second)
	a.c.Start()
	eventually(t, "a few registrations", func() bool { return w.front.count("Host.Register") >= 4 })
	require.Equal(t, 1, a.log.count("the cluster refuses this host"))
	require.Positive(t, a.log.count("give this client another name"))
	require.Nil(t, w.host(second))
}

// Consoles are asked for over the client's RPC; what is wrong keeps its kind.
func TestConsoleOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	id := w.active(1)[0]
	ins := w.instance(id)
	out, err := w.srv.ConsoleOutput(t.Context(), ins, 0)
	require.NoError(t, err)
	require.Contains(t, string(out), "guest-0\nFAKE CONSOLE OUTPUT")
	out, err = w.srv.ConsoleOutput(t.Context(), ins, 1)
	require.NoError(t, err)
	require.Equal(t, "LAST LINE", string(out))

	other := *ins
	other.ID = "nobody"
	_, err = w.srv.ConsoleOutput(t.Context(), &other, 1)
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	require.ErrorContains(t, err, "nobody")
	_, err = a.rpc.CallLocal(t.Context(), "Client.ConsoleOutput", &structs.ConsoleOutputRequest{HostID: "elsewhere", InstanceID: id})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	require.ErrorContains(t, err, "elsewhere")

	console := n.drv.hold("console", false)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = a.rpc.CallLocal(ctx, "Client.ConsoleOutput", &structs.ConsoleOutputRequest{HostID: n.id, InstanceID: id})
	require.True(t, structs.IsKind(err, structs.KindTimeout), "%v", err)
	<-console.cancelled
	n.drv.release("console")
	n.power(t, false)
	_, err = w.srv.ConsoleOutput(t.Context(), ins, 1)
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
}

// Closed in good order the host is suspect and takes nothing more; what was being built goes on when the client is back within the lease.
func TestLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 15*time.Second)
	n := newNode(t, "a")
	a := w.agent(n)
	kept := w.active(1)[0]
	create := n.drv.hold("create", false)
	id := w.create(1)[0]
	require.Equal(t, string(id), <-create.entered)
	a.close(true)
	h := w.host(n)
	require.Equal(t, structs.HostSuspect, h.Status)
	require.Equal(t, "its client was stopped", h.StatusReason)
	n.drv.renew("create")
	refused := w.create(1)[0]
	ins := w.untilVM(refused, structs.VMError)
	require.Contains(t, ins.Fault.Message, "suspect", "the reason is named")

	generation, begun := w.instance(id).Generation, w.instance(id).CreatedAt
	w.agent(n)
	ins = w.untilVM(id, structs.VMActive)
	require.Equal(t, generation, ins.Generation, "built where it was begun")
	require.Equal(t, begun, ins.CreatedAt)
	require.Equal(t, structs.VMActive, w.instance(kept).VM)
	require.Equal(t, structs.HostUp, w.host(n).Status)
	require.EqualValues(t, 2, w.host(n).Epoch)
}

// A client of many hosts that cannot reach its servers is stopped in the time of one goodbye.
func TestLeaveWithoutServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Second)
	var nodes []*node
	for _, name := range names(20) {
		nodes = append(nodes, newNode(t, name))
	}
	a := w.agent(nodes...)
	for _, n := range nodes {
		w.untilHost(n, structs.HostUp)
	}
	hang := make(chan struct{})
	defer close(hang)
	w.front.hangs(hang)
	begun := time.Now()
	a.close(true)
	require.Less(t, time.Since(begun), 10*time.Second)
}

// A hundred simulated hosts of one client renew their leases in one message, and all stay up.
func TestManyHosts(t *testing.T) {
	t.Parallel()
	const many = 100
	w := newWorld(t, 4*time.Second)
	var nodes []*node
	for _, name := range names(many) {
		nodes = append(nodes, newNode(t, name))
	}
	w.agent(nodes...)
	first := map[structs.HostID]structs.Time{}
	for _, n := range nodes {
		first[n.id] = w.untilHost(n, structs.HostUp).StatusAt
	}
	w.active(many)
	seen := w.front.count("Host.Heartbeat")
	eventually(t, "heartbeats for longer than a lease", func() bool { return w.front.count("Host.Heartbeat") >= seen+4 })
	for _, req := range requests[structs.HostHeartbeatRequest](w.front, "Host.Heartbeat")[seen+1:] {
		require.Len(t, req.Beats, many, "one message for all")
	}
	for _, n := range nodes {
		h := w.host(n)
		require.Equal(t, structs.HostUp, h.Status)
		require.Equal(t, first[n.id], h.StatusAt, "never down")
		require.EqualValues(t, 1, h.Epoch)
	}
}
