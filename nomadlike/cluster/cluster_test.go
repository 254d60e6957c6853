package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// member is one server of a test cluster, in this process.
type member struct {
	t      testing.TB
	id     structs.ServerID
	dir    string
	expect int
	addr   string
	*Server
	rpc    *rpc.Server
	pool   *rpc.Pool
	gossip *gossip.Pool
}

func testLogger(t testing.TB) hclog.Logger {
	if os.Getenv("KILONOVA_TEST_LOG") == "" {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Name: t.Name()})
}

// start begins the member, anew or again on its directory and address.
func (m *member) start(join []string) {
	addr := m.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var err error
	m.rpc, err = rpc.NewServer(addr, nil, testLogger(m.t))
	require.NoError(m.t, err)
	m.addr = m.rpc.Addr().String()
	m.pool = rpc.NewPool(nil)
	m.pool.SetLocal(m.addr, m.rpc)
	m.Server, err = NewServer(Config{ID: m.id, Name: string(m.id), Region: "RegionOne", DataDir: m.dir, BootstrapExpect: m.expect, Advertise: m.addr,
		LeaseTTL: 2 * time.Second, TokenTTL: time.Hour, KeepFinished: time.Hour, Logger: testLogger(m.t)}, m.rpc, m.pool)
	require.NoError(m.t, err)
	go m.rpc.Serve()
	m.gossip, err = gossip.New(gossip.Config{NodeName: string(m.id), BindAddr: net.JoinHostPort("127.0.0.1", freePort(m.t)), Local: true, Logger: testLogger(m.t),
		Tags: gossip.Tags{Role: "server", ID: string(m.id), Region: "RegionOne", RPCAddr: m.addr, Expect: m.expect, Bootstrap: m.Server.HasState()}})
	require.NoError(m.t, err)
	m.Server.Start(m.gossip)
	if len(join) > 0 {
		_, err = m.gossip.Join(join)
		require.NoError(m.t, err)
	}
}

// freePort returns a port that was free a moment ago for TCP and UDP.
func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func (m *member) serf() string {
	for _, x := range m.gossip.Members() {
		if x.Name == string(m.id) {
			return x.Addr
		}
	}
	return ""
}

// stop ends the member without a goodbye, as a crash does.
func (m *member) stop() {
	if m.Server == nil {
		return
	}
	require.NoError(m.t, m.gossip.Close())
	m.rpc.Close()
	require.NoError(m.t, m.Server.Close(false))
	m.pool.Close()
	m.Server = nil
}

type testCluster struct {
	t       testing.TB
	members []*member
}

func newTestCluster(t testing.TB, n int) *testCluster {
	c := &testCluster{t: t}
	var join []string
	for i := range n {
		m := &member{t: t, id: structs.ServerID(fmt.Sprintf("server-%d", i)), dir: t.TempDir(), expect: n}
		m.start(join)
		join = []string{m.serf()}
		c.members = append(c.members, m)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			m.stop()
		}
	})
	return c
}

// leader waits for one.
func (c *testCluster) leader() *member {
	var found *member
	require.Eventually(c.t, func() bool {
		for _, m := range c.members {
			if m.Server != nil && m.isEstablished() && m.node.IsLeader() {
				found = m
				return true
			}
		}
		return false
	}, 30*time.Second, 5*time.Millisecond, "no leader")
	return found
}

func (c *testCluster) follower() *member {
	l := c.leader()
	for _, m := range c.members {
		if m != l && m.Server != nil {
			return m
		}
	}
	c.t.Fatal("no follower")
	return nil
}

func createRequest(n int) *structs.InstanceCreateRequest {
	req := &structs.InstanceCreateRequest{Now: now()}
	for range n {
		id, op := structs.InstanceID(nomadlike.NewUUID()), structs.OperationID(nomadlike.NewUUID())
		req.Instances = append(req.Instances, structs.Instance{ID: id, ProjectID: "p", Flavor: structs.Flavor{VCPUs: 1, MemoryMiB: 64, RootGiB: 1}})
		req.Operations = append(req.Operations, structs.Operation{ID: op, InstanceID: id, ProjectID: "p", Kind: structs.OpBuild})
		req.Evaluations = append(req.Evaluations, structs.Evaluation{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: id, OperationID: op, Status: structs.EvalPending})
	}
	return req
}

func unlimited(t testing.TB, p fsm.Proposer) {
	_, err := fsm.QuotaSet.Propose(context.Background(), p, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p", Limits: structs.UnlimitedQuota()}})
	require.NoError(t, err)
}

// host is a compute host whose steps all succeed; it speaks RPC as a client does.
type host struct {
	c      *testCluster
	id     structs.HostID
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (c *testCluster) host(name string) *host {
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{c: c, id: structs.HostID("id-" + name), cancel: cancel}
	session := nomadlike.NewUUID()
	reg := func(m *member) (*structs.Host, error) {
		r, err := rpc.Call[structs.HostRegisterResponse](ctx, m.pool, m.addr, "Host.Register", &structs.HostRegisterRequest{Host: structs.Host{ID: h.id, Name: name,
			Zone: "nova", Session: session, DriverHealthy: true, RPCAddr: "127.0.0.1:1", Total: structs.Resources{VCPUs: 1000, MemoryMiB: 1 << 20, DiskGiB: 10000}}})
		if err != nil {
			return nil, err
		}
		return r.Host, nil
	}
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		for n := 0; ctx.Err() == nil; n++ {
			m := c.members[n%len(c.members)]
			if m.Server == nil {
				continue
			}
			if rec, err := reg(m); err == nil {
				h.serve(ctx, m, rec.Epoch)
			}
			pause(ctx, 0)
		}
	}()
	c.t.Cleanup(h.stop)
	return h
}

func (h *host) stop() { h.cancel(); h.wg.Wait() }

// serve works for one epoch over one server until something breaks.
func (h *host) serve(parent context.Context, m *member, epoch uint64) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	h.wg.Add(1)
	go func() {
		defer h.wg.Done()
		defer cancel()
		for pause(ctx, 5) {
			r, err := rpc.Call[structs.HostHeartbeatResponse](ctx, m.pool, m.addr, "Host.Heartbeat", &structs.HostHeartbeatRequest{Beats: []structs.HostBeat{{HostID: h.id, Epoch: epoch}}})
			if err != nil || len(r.Register) > 0 {
				return
			}
		}
	}()
	st, err := m.pool.OpenStream(ctx, m.addr, "Host.Watch")
	if err != nil || st.Send(&structs.HostWatchRequest{HostID: h.id, Epoch: epoch}) != nil {
		return
	}
	defer st.Close()
	for {
		var b structs.WorkBatch
		if st.Recv(&b) != nil {
			return
		}
		req := &structs.OperationReportRequest{HostID: h.id, Epoch: epoch}
		for _, w := range b.Work {
			attempt := w.Operation.Attempt
			for _, s := range operation.Run(w.Operation) {
				req.Outcomes = append(req.Outcomes, structs.Outcome{OperationID: w.Operation.ID, Step: s.Name, Attempt: attempt,
					Undo: w.Operation.Status == structs.OpUndoing, Generation: w.Operation.Generation, Power: structs.PowerRunning})
				attempt = 1
			}
		}
		if len(req.Outcomes) > 0 {
			if _, err := rpc.Call[structs.Ack](ctx, m.pool, m.addr, "Host.Report", req); err != nil {
				return
			}
		}
	}
}

func (c *testCluster) waitActive(ids []structs.InstanceID) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		r := c.leader().Stale()
		for _, id := range ids {
			if ins := r.Instance(id); ins == nil || ins.VM != structs.VMActive {
				return false
			}
		}
		return true
	}, 60*time.Second, 10*time.Millisecond, "not all instances became active")
}

func TestOneServer(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 1)
	l := c.leader()
	c.host("a")
	require.Eventually(t, func() bool { return l.Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(context.Background(), l, createRequest(3))
	require.NoError(t, err)
	c.waitActive(ids)
	require.NotEmpty(t, l.Cluster().Peers)
	require.True(t, l.Stale().HasClusterSettings())
	var keys int
	for range l.Stale().TokenKeys() {
		keys++
	}
	require.Equal(t, 1, keys)
}

// Writes through any server, reads on any server: what was acknowledged is there.
func TestReadYourWritesAnywhere(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	c.leader()
	ctx := context.Background()
	for i := range 60 {
		f := structs.Flavor{ID: structs.FlavorID(fmt.Sprint(i)), Name: fmt.Sprint("f", i)}
		_, err := fsm.FlavorCreate.Propose(ctx, c.members[i%3], &structs.FlavorCreateRequest{Flavor: f})
		require.NoError(t, err)
		r, err := c.members[(i+1)%3].Read(ctx)
		require.NoError(t, err)
		require.NotNil(t, r.Flavor(f.ID), "an acknowledged write is missing from a read on another server")
	}
	_, err := fsm.FlavorCreate.Propose(ctx, c.follower(), &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "0", Name: "x"}})
	require.True(t, structs.IsKind(err, structs.KindConflict), "an error keeps its kind across forwarding: %v", err)
}

// The leader dies while creates are in flight: every one that was acknowledged becomes active, none is made twice, claims equal instances.
func TestLeaderDiesUnderLoad(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	l := c.leader()
	unlimited(t, l)
	c.host("a")
	c.host("b")
	f := c.follower()
	require.Eventually(t, func() bool { return f.Stale().HostByName("a") != nil && f.Stale().HostByName("b") != nil }, 10*time.Second, 5*time.Millisecond)
	var mu sync.Mutex
	var acked []structs.InstanceID
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ids, err := fsm.InstanceCreate.Propose(context.Background(), f, createRequest(1))
			if err == nil {
				mu.Lock()
				acked = append(acked, ids...)
				mu.Unlock()
			}
		}()
		if i == 25 {
			l.stop()
		}
	}
	wg.Wait()
	require.NotEmpty(t, acked)
	c.waitActive(acked)
	r := c.leader().Stale()
	claims, live := map[structs.InstanceID]int{}, 0
	for cl := range r.AllClaims() {
		claims[cl.InstanceID]++
	}
	for ins := range r.AllInstances() {
		live++
		require.Equal(t, 1, claims[ins.ID])
	}
	require.Len(t, claims, live)
	require.GreaterOrEqual(t, live, len(acked))
}

// All servers stopped and started again: the state is the same, to the byte of a snapshot.
func TestAllServersRestart(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	unlimited(t, c.leader())
	h := c.host("a")
	require.Eventually(t, func() bool { return c.leader().Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(context.Background(), c.leader(), createRequest(20))
	require.NoError(t, err)
	c.waitActive(ids)
	h.stop()
	require.NoError(t, c.leader().node.Snapshot())
	_, err = fsm.FlavorCreate.Propose(context.Background(), c.leader(), &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "after", Name: "after the snapshot"}})
	require.NoError(t, err)
	instances := func(m *member) []byte {
		var b bytes.Buffer
		r, err := m.Read(context.Background())
		require.NoError(t, err)
		enc := structs.NewEncoder(&b)
		for ins := range r.AllInstances() {
			require.NoError(t, enc.Encode(ins))
		}
		for f := range r.Flavors() {
			require.NoError(t, enc.Encode(f))
		}
		for cl := range r.AllClaims() {
			require.NoError(t, enc.Encode(cl))
		}
		return b.Bytes()
	}
	want := instances(c.leader())
	for _, m := range c.members {
		m.stop()
	}
	var join []string
	for _, m := range c.members {
		m.start(join)
		join = []string{m.serf()}
	}
	c.leader()
	for _, m := range c.members {
		require.Equal(t, want, instances(m), "%s", m.id)
	}
	// The same index gives the same bytes on every server.
	var snaps [][]byte
	require.Eventually(t, func() bool {
		snaps = nil
		for _, m := range c.members {
			var b bytes.Buffer
			if m.Stale().Persist(&b) != nil {
				return false
			}
			snaps = append(snaps, b.Bytes())
		}
		return bytes.Equal(snaps[0], snaps[1]) && bytes.Equal(snaps[1], snaps[2])
	}, 10*time.Second, 20*time.Millisecond)
}

// A host whose client is gone is down within its lease, and not before; back again it is up.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 1)
	h := c.host("a")
	status := func() structs.HostStatus {
		if x := c.leader().Stale().HostByName("a"); x != nil {
			return x.Status
		}
		return ""
	}
	require.Eventually(t, func() bool { return status() == structs.HostUp }, 10*time.Second, 5*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(context.Background(), c.leader(), createRequest(1))
	require.NoError(t, err)
	c.waitActive(ids)
	h.stop()
	require.Eventually(t, func() bool { return status() == structs.HostDown }, 10*time.Second, 5*time.Millisecond)
	x := c.leader().Stale().HostByName("a")
	require.Contains(t, x.StatusReason, "lease")
	c.host("a")
	require.Eventually(t, func() bool { return status() == structs.HostUp }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, x.Epoch+1, c.leader().Stale().HostByName("a").Epoch, "a new life of the client is a new epoch")
}

// Image bytes are on most servers once spread, and every server can read them.
func TestBlobsSpread(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	l := c.leader()
	ctx := context.Background()
	w, err := l.Blobs().Create(ctx)
	require.NoError(t, err)
	data := bytes.Repeat([]byte("kilonova "), 200000)
	_, err = w.Write(data)
	require.NoError(t, err)
	sums, err := w.Commit()
	require.NoError(t, err)
	have, err := l.Blobs().Spread(ctx, sums.SHA256)
	require.NoError(t, err)
	require.Len(t, have, 2)
	for _, m := range c.members {
		r, size, err := m.Blobs().Open(ctx, sums.SHA256)
		require.NoError(t, err)
		require.EqualValues(t, len(data), size)
		var got bytes.Buffer
		_, err = got.ReadFrom(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.True(t, bytes.Equal(data, got.Bytes()))
	}
	_, _, err = c.follower().Blobs().Open(ctx, "00"+sums.SHA256[2:])
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}
