package cluster

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/lease"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// compute is a client of one session that says only what a test has it say.
type compute struct {
	t       *testing.T
	c       *testCluster
	id      structs.HostID
	session string
	rpcAddr string
	epoch   uint64
}

func (x *compute) hostRecord() structs.Host {
	return structs.Host{ID: x.id, Name: string(x.id), Zone: "nova", Session: x.session, DriverHealthy: true, RPCAddr: x.rpcAddr,
		Total: structs.Resources{VCPUs: 1000, MemoryMiB: 1 << 20, DiskGiB: 10000}}
}

func callAny[Resp any](x *compute, method string, req any) (*Resp, error) {
	for _, m := range x.c.members {
		if m.Server != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return rpc.Call[Resp](ctx, m.pool, m.addr, method, req)
		}
	}
	panic("no server runs")
}

func (x *compute) register() *compute {
	x.t.Helper()
	require.Eventually(x.t, func() bool {
		r, err := callAny[structs.HostRegisterResponse](x, "Host.Register", &structs.HostRegisterRequest{Host: x.hostRecord()})
		if err == nil {
			x.epoch = r.Host.Epoch
		}
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
	return x
}

// beat renews the lease; false is that the client is to register again.
func (x *compute) beat() bool {
	x.t.Helper()
	r, err := callAny[structs.HostHeartbeatResponse](x, "Host.Heartbeat", &structs.HostHeartbeatRequest{Beats: []structs.HostBeat{{HostID: x.id, Epoch: x.epoch}}})
	require.NoError(x.t, err)
	return len(r.Register) == 0
}

func (x *compute) status(m *member) structs.HostStatus {
	if h := m.Stale().Host(x.id); h != nil {
		return h.Status
	}
	return ""
}

// goesDown returns when the host is down on m.
func (x *compute) goesDown(m *member) time.Time {
	x.t.Helper()
	require.Eventually(x.t, func() bool { return x.status(m) == structs.HostDown }, 20*time.Second, 5*time.Millisecond)
	return time.Now()
}

// leaseMargin is how much later than its end a lease may be found to have ended here, on a busy machine.
const leaseMargin = 6 * time.Second

// A host whose client is silent is down once its lease has ended and not before.
func TestDownAfterTheLease(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	x := (&compute{t: t, c: c, id: "h", session: "a"}).register()
	end := time.Now().Add(1500 * time.Millisecond)
	require.Eventually(t, func() bool { require.True(t, x.beat()); return time.Now().After(end) }, 10*time.Second, 20*time.Millisecond)
	before := time.Now()
	require.True(t, x.beat())
	silent := x.goesDown(l).Sub(before)
	require.GreaterOrEqual(t, silent, l.leases.ttl)
	require.LessOrEqual(t, silent, l.leases.ttl+leaseMargin)
	require.False(t, x.beat(), "who is down must register again")
	require.Equal(t, structs.HostDown, x.status(l), "a heartbeat does not bring a host back")
	require.Equal(t, uint64(1), x.register().epoch, "the same session goes on in its epoch")
	require.Equal(t, structs.HostUp, x.status(l))
}

// A new leader does not know when the last one renewed a lease: it gives each host a whole one. That one ends too.
func TestLeaderChangeRenewsLeases(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{memory: true})
	old := c.leader()
	ttl := old.leases.ttl
	x := (&compute{t: t, c: c, id: "h", session: "a"}).register()
	y := (&compute{t: t, c: c, id: "alive", session: "a"}).register()
	require.True(t, x.beat())
	last := time.Now()
	require.Eventually(t, func() bool { return time.Since(last) > ttl/2 && y.beat() }, 10*time.Second, 10*time.Millisecond)
	old.stop()
	stopped := time.Now()
	l := c.leader()
	found := time.Now() // established a moment ago
	require.Equal(t, structs.HostUp, x.status(l))
	beating, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for pause(context.Background(), 3) {
			select {
			case <-beating:
				return
			default:
				_, _ = callAny[structs.HostHeartbeatResponse](y, "Host.Heartbeat", &structs.HostHeartbeatRequest{Beats: []structs.HostBeat{{HostID: y.id, Epoch: y.epoch}}})
			}
		}
	}()
	down := x.goesDown(l)
	close(beating)
	<-done
	require.GreaterOrEqual(t, down.Sub(stopped), ttl, "the new leader ended a lease that it did not grant")
	require.LessOrEqual(t, down.Sub(found), ttl+leaseMargin)
	require.Equal(t, structs.HostUp, y.status(l), "who renews with the new leader stays up")
}

// A registration that is committed when the server that took it in does not lead any more has a lease nevertheless: without one, nobody would find out that the client is gone.
func TestEveryLivingHostHasALease(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	x := &compute{t: t, c: c, id: "h", session: "a"}
	_, err := fsm.HostRegister.Propose(context.Background(), l, &structs.HostRegisterRequest{Host: x.hostRecord(), Now: now()})
	require.NoError(t, err)
	require.Equal(t, structs.HostUp, x.status(l))
	began := time.Now()
	require.InDelta(t, l.leases.ttl.Seconds(), x.goesDown(l).Sub(began).Seconds(), leaseMargin.Seconds())
}

// A host that registers again before the end of its lease could be recorded is not proposed down any more.
func TestRegistrationTakesBackTheEnd(t *testing.T) {
	t.Parallel()
	var l leases
	l.init(time.Second)
	at := structs.Time(1)
	l.clock = func() structs.Time { return at }
	l.table = lease.New(l.ttl)
	h := &structs.Host{ID: "h", Epoch: 1, Status: structs.HostUp}
	l.cover(h)
	l.cover(&structs.Host{ID: "dead", Epoch: 1, Status: structs.HostUp})
	pending, _ := l.ended(nil)
	require.Empty(t, pending)
	at += structs.Time(time.Second)
	pending, _ = l.ended(pending)
	require.Len(t, pending, 2)
	l.cover(h) // its registration is committed while the proposal fails
	pending, wait := l.ended(pending)
	require.Len(t, pending, 1)
	require.Equal(t, structs.HostID("dead"), pending[0].HostID)
	require.Equal(t, time.Second, wait)
	l.cover(&structs.Host{ID: "dead", Epoch: 1, Status: structs.HostDown})
	pending, _ = l.ended(pending)
	require.Len(t, pending, 1, "a host that is down gets no lease")
}

// Gossip loses a client: its host takes no instances at once, but only its lease makes it down. A word from the client and it is up again.
func TestSuspect(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true, ttl: 8 * time.Second})
	l := c.leader()
	g, err := gossip.New(gossip.Config{NodeName: "h", BindAddr: net.JoinHostPort("127.0.0.1", freePort(t)), Local: true, Logger: testLogger(t),
		Tags: gossip.Tags{Role: "client", ID: "h", Region: "RegionOne", RPCAddr: "127.0.0.1:2"}})
	require.NoError(t, err)
	_, err = g.Join([]string{l.serf()})
	require.NoError(t, err)
	x := (&compute{t: t, c: c, id: "h", session: "a", rpcAddr: "127.0.0.1:2"}).register()
	other := (&compute{t: t, c: c, id: "other", session: "a", rpcAddr: "127.0.0.1:3"}).register()
	require.True(t, other.beat())
	require.NoError(t, g.Close()) // no goodbye
	require.Eventually(t, func() bool { return x.status(l) == structs.HostSuspect }, 15*time.Second, 5*time.Millisecond)
	ok, _ := l.Stale().Host("h").Schedulable()
	require.False(t, ok)
	require.Equal(t, structs.HostUp, other.status(l))
	require.True(t, x.beat(), "the lease runs")
	require.Equal(t, structs.HostUp, x.status(l))
	last := time.Now()
	_, err = callAny[structs.Ack](x, "Host.Leave", &structs.HostLeaveRequest{HostID: x.id, Epoch: x.epoch})
	require.NoError(t, err)
	require.Equal(t, structs.HostSuspect, x.status(l))
	require.GreaterOrEqual(t, x.goesDown(l).Sub(last)+50*time.Millisecond, l.leases.ttl, "a client that left keeps its lease")
}

// A client that gossip lost while nobody led is suspect as soon as somebody does.
func TestNewLeaderSuspects(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{memory: true, ttl: time.Minute})
	l := c.leader()
	g, err := gossip.New(gossip.Config{NodeName: "h", BindAddr: net.JoinHostPort("127.0.0.1", freePort(t)), Local: true, Logger: testLogger(t),
		Tags: gossip.Tags{Role: "client", ID: "h", Region: "RegionOne", RPCAddr: "127.0.0.1:2"}})
	require.NoError(t, err)
	_, err = g.Join([]string{l.serf()})
	require.NoError(t, err)
	x := (&compute{t: t, c: c, id: "h", session: "a", rpcAddr: "127.0.0.1:2"}).register()
	all := func(status string) {
		for _, m := range c.members {
			require.Eventually(t, func() bool {
				return slices.ContainsFunc(m.gossip.Members(), func(x gossip.Member) bool { return x.Name == "h" && x.Status == status })
			}, time.Minute, 5*time.Millisecond)
		}
	}
	all("alive")
	require.NoError(t, g.Close()) // no goodbye
	all("failed")
	require.Eventually(t, func() bool { return x.status(l) == structs.HostSuspect }, 10*time.Second, 5*time.Millisecond)
	// As if that had not been heard. Each server tells the leader of it, and the last one's word may come after a heartbeat.
	require.Eventually(t, func() bool { return x.beat() && x.status(l) == structs.HostUp }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return l.node.TransferLeadership() == nil }, 10*time.Second, 10*time.Millisecond)
	next := c.leaderAmong(c.others(l))
	require.Eventually(t, func() bool { return x.status(next) == structs.HostSuspect }, 10*time.Second, 5*time.Millisecond)
}

// Two clients have one host's id, e.g. of a copied disk. The newer session holds the host; what the older one says is refused everywhere.
func TestOldSessionIsFenced(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{memory: true})
	c.leader()
	a := (&compute{t: t, c: c, id: "h", session: "a"}).register()
	require.Equal(t, uint64(1), a.epoch)
	watch := func(x *compute) (rpc.Stream, error) {
		m := c.members[1]
		st, err := m.pool.OpenStream(context.Background(), m.addr, "Host.Watch")
		require.NoError(t, err)
		t.Cleanup(st.Close)
		require.NoError(t, st.Send(&structs.HostWatchRequest{HostID: x.id, Epoch: x.epoch}))
		var b structs.WorkBatch
		return st, st.Recv(&b)
	}
	open, err := watch(a)
	require.NoError(t, err)
	b := (&compute{t: t, c: c, id: "h", session: "b"}).register()
	require.Equal(t, uint64(2), b.epoch)

	ended := make(chan error, 1)
	go func() { var w structs.WorkBatch; ended <- open.Recv(&w) }()
	select {
	case err := <-ended:
		require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("the old session's stream of work stays open")
	}
	require.False(t, a.beat(), "the old session must not renew the lease")
	_, err = callAny[structs.Ack](a, "Host.Report", &structs.OperationReportRequest{HostID: a.id, Epoch: a.epoch})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = callAny[structs.Ack](a, "Host.Sync", &structs.InstanceSyncRequest{HostID: a.id, Epoch: a.epoch})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = callAny[structs.HostReconcileResponse](a, "Host.Reconcile", &structs.HostReconcileRequest{HostID: a.id, Epoch: a.epoch})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = watch(a)
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = callAny[structs.Ack](a, "Host.Leave", &structs.HostLeaveRequest{HostID: a.id, Epoch: a.epoch})
	require.NoError(t, err)
	require.Equal(t, structs.HostUp, b.status(c.leader()), "the old session's leaving says nothing of the new one")
	require.True(t, b.beat())
	_, err = callAny[structs.Ack](b, "Host.Report", &structs.OperationReportRequest{HostID: b.id, Epoch: b.epoch})
	require.NoError(t, err)
	_, err = watch(b)
	require.NoError(t, err)
}
