package cluster

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
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
	door   atomic.Pointer[door] // nil while the member does not run; the rest belongs to the test's goroutine
}

// door is where others in this process call a member.
type door struct {
	pool *rpc.Pool
	addr string
}

func testLogger(t testing.TB) hclog.Logger {
	if os.Getenv("KILONOVA_TEST_LOG") == "" {
		return hclog.NewNullLogger()
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Name: t.Name()})
}

// options are what a test wants of its cluster's servers.
type options struct {
	net    *faultNet
	ttl    time.Duration // 0 is 2 s
	raft   consensus.Tuning
	memory bool // Raft keeps its log in memory

	reclaim time.Duration // Config.ReclaimAfter
	offload time.Duration // Config.OffloadAfter
	keep    time.Duration // Config.KeepFinished; 0 is an hour
	duties  func() []Duty // Config.Duties of each server
	copies  int           // Config.ImageCopies
	verify  time.Duration // Config.ImageVerify

	keepDeleted func(r state.Reader, now structs.Time) structs.Time // Config.KeepDeleted
}

// startWith begins the member, anew or again on its directory and address.
func (m *member) startWith(o options, join []string) {
	// Beside many other tests on few processors a leader would else lose its lease now and then, which only some tests are about.
	o.raft.Multiplier = cmp.Or(o.raft.Multiplier, 2)
	var duties []Duty
	if o.duties != nil {
		duties = o.duties()
	}
	var err error
	// The port of a server that was stopped a moment ago may still be held by a connection that ends.
	require.Eventually(m.t, func() bool {
		m.rpc, err = rpc.NewServer(cmp.Or(m.addr, somePort()), nil, testLogger(m.t))
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	m.addr = m.rpc.Addr().String()
	m.pool = rpc.NewPool(nil)
	m.pool.SetLocal(m.addr, m.rpc)
	if o.net != nil {
		o.net.mu.Lock()
		o.net.names[m.addr] = string(m.id)
		o.net.mu.Unlock()
		m.pool.SetDialer(o.net.dialer(string(m.id)))
	}
	dir := m.dir
	if o.memory {
		dir = ""
	}
	m.Server, err = NewServer(Config{ID: m.id, Name: string(m.id), Region: "RegionOne", DataDir: dir, BootstrapExpect: m.expect, Advertise: m.addr,
		LeaseTTL: max(o.ttl, 2*time.Second), TokenTTL: time.Hour, KeepFinished: cmp.Or(o.keep, time.Hour), KeepDeleted: o.keepDeleted, ReclaimAfter: o.reclaim, OffloadAfter: o.offload, ImageCopies: o.copies, ImageVerify: o.verify, Duties: duties, Raft: o.raft, Logger: testLogger(m.t)}, m.rpc, m.pool)
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
	m.door.Store(&door{m.pool, m.addr})
}

// somePort is an address on a port that the system gives to no connection: who closes it can have it again.
func somePort() string { return fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)) }

// freePort returns the port of one at which nobody listens.
func freePort(t testing.TB) string {
	t.Helper()
	var port string
	require.Eventually(t, func() bool {
		l, err := net.Listen("tcp", somePort())
		if err != nil {
			return false
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		return l.Close() == nil
	}, 10*time.Second, time.Millisecond)
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
	m.door.Store(nil)
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

func newTestCluster(t testing.TB, n int) *testCluster { return newClusterWith(t, n, options{}) }

func newClusterWith(t testing.TB, n int, o options) *testCluster {
	c := &testCluster{t: t}
	for i := range n {
		m := &member{t: t, id: structs.ServerID(fmt.Sprintf("server-%d", i)), dir: t.TempDir(), expect: n}
		m.startWith(o, c.join())
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
	reg := func(m *door) (*structs.Host, error) {
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
			if m := c.members[n%len(c.members)].door.Load(); m != nil {
				if rec, err := reg(m); err == nil {
					h.serve(ctx, m, rec.Epoch)
				}
			}
			pause(ctx, 0)
		}
	}()
	c.t.Cleanup(h.stop)
	return h
}

func (h *host) stop() { h.cancel(); h.wg.Wait() }

// serve works for one epoch over one server until something breaks.
func (h *host) serve(parent context.Context, m *door, epoch uint64) {
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

// join is where a new member finds the others.
func (c *testCluster) join() []string {
	for _, m := range c.members {
		if m.Server != nil {
			return []string{m.serf()}
		}
	}
	return nil
}

// others are the members but one.
func (c *testCluster) others(not *member) []*member {
	var out []*member
	for _, m := range c.members {
		if m != not {
			out = append(out, m)
		}
	}
	return out
}

// leaderAmong waits until one of the given members leads.
func (c *testCluster) leaderAmong(ms []*member) *member {
	c.t.Helper()
	var found *member
	require.Eventually(c.t, func() bool {
		for _, m := range ms {
			if m.Server != nil && m.isEstablished() && m.node.IsLeader() {
				found = m
				return true
			}
		}
		return false
	}, 20*time.Second, 5*time.Millisecond, "no leader among those given")
	return found
}

// snapshotOf is the member's state as the bytes of a snapshot.
func snapshotOf(t testing.TB, m *member) []byte {
	var b bytes.Buffer
	require.NoError(t, m.Stale().Persist(&b))
	return b.Bytes()
}

// requireEqualStates waits until all members that run have the same state to the byte.
func (c *testCluster) requireEqualStates() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		var first []byte
		for _, m := range c.members {
			if m.Server == nil {
				continue
			}
			b := snapshotOf(c.t, m)
			if first == nil {
				first = b
			}
			if !bytes.Equal(first, b) {
				return false
			}
		}
		return true
	}, 20*time.Second, 20*time.Millisecond, "the servers' states do not become equal")
}

// counter counts up to states that a test waits for.
type counter struct{ n atomic.Int64 }

func (c *counter) reach(t testing.TB, n int64) {
	t.Helper()
	require.Eventually(t, func() bool { return c.n.Load() >= n }, 30*time.Second, 2*time.Millisecond, "the load stands still at %d, want %d", c.n.Load(), n)
}
