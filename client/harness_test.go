package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/drivers/fake"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// patience is how long a test waits for what must come: long, for a loaded machine. What is awaited comes much sooner.
const patience = 20 * time.Second

// world is one real server and what a client needs to reach it: client → wire (TCP that can be cut) → front (RPC that can be watched and made
// to refuse) → server.
type world struct {
	t     testing.TB
	ttl   time.Duration
	dir   string
	addr  string
	wire  *wire
	front *front

	sameHost bool // resizes may stay on their host
	far      farStore

	srv    *cluster.Server // nil while stopped
	rpc    *rpc.Server
	pool   *rpc.Pool
	gossip *gossip.Pool
}

func newWorld(t testing.TB, ttl time.Duration) *world {
	w := &world{t: t, ttl: ttl, dir: t.TempDir()}
	t.Cleanup(w.stop)
	w.start()
	w.front = newFront(t, w)
	w.wire = newWire(t, w.front.rpc.Addr().String())
	_, err := fsm.QuotaSet.Propose(t.Context(), w.srv, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p", Limits: structs.UnlimitedQuota()}})
	require.NoError(t, err)
	return w
}

func testLogger(t testing.TB, name string, out io.Writer) hclog.Logger {
	if os.Getenv("KILONOVA_TEST_LOG") != "" {
		out = io.MultiWriter(out, os.Stderr)
	}
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Name: t.Name() + "/" + name, Output: out})
}

// start begins the server, anew or again on its directory and address, and waits until it leads.
func (w *world) start() {
	t := w.t
	addr := w.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	logger := testLogger(t, "server", io.Discard)
	var err error
	w.rpc, err = rpc.NewServer(addr, nil, logger)
	require.NoError(t, err)
	w.addr = w.rpc.Addr().String()
	w.pool = rpc.NewPool(nil)
	w.pool.SetLocal(w.addr, w.rpc)
	w.srv, err = cluster.NewServer(cluster.Config{ID: "server", Name: "server", Region: "RegionOne", DataDir: w.dir, BootstrapExpect: 1, Advertise: w.addr,
		LeaseTTL: w.ttl, TokenTTL: time.Hour, KeepFinished: time.Hour, ImageSource: w.far.open, Logger: logger}, w.rpc, w.pool)
	require.NoError(t, err)
	go w.rpc.Serve()
	w.gossip, err = gossip.New(gossip.Config{NodeName: "server", BindAddr: "127.0.0.1:" + freePort(t), Local: true, Logger: logger,
		Tags: gossip.Tags{Role: "server", ID: "server", Region: "RegionOne", RPCAddr: w.addr, Expect: 1, Bootstrap: w.srv.HasState()}})
	require.NoError(t, err)
	w.srv.Start(w.gossip)
	_, err = w.srv.Read(t.Context())
	require.NoError(t, err, "the server does not lead")
}

// stop ends the server as a crash does.
func (w *world) stop() {
	if w.srv == nil {
		return
	}
	require.NoError(w.t, w.gossip.Close())
	w.rpc.Close()
	require.NoError(w.t, w.srv.Close(false))
	w.pool.Close()
	w.srv = nil
}

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// until waits for the server's state to be so.
func (w *world) until(what string, cond func(r state.Reader) bool) {
	w.t.Helper()
	eventually(w.t, what, func() bool { return cond(w.srv.Stale()) })
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, 3*time.Millisecond, "%s: did not come", what)
}

func (w *world) host(n *node) *structs.Host { return w.srv.Stale().Host(n.id) }

func (w *world) untilHost(n *node, st structs.HostStatus) *structs.Host {
	w.t.Helper()
	w.until(fmt.Sprintf("host %s %s", n.name, st), func(r state.Reader) bool { h := r.Host(n.id); return h != nil && h.Status == st })
	return w.host(n)
}

// create asks for n instances and returns their ids; it does not wait for them.
func (w *world) create(n int) []structs.InstanceID {
	req := &structs.InstanceCreateRequest{Now: structs.TimeOf(time.Now())}
	for i := range n {
		id, op := structs.InstanceID(nomadlike.NewUUID()), structs.OperationID(nomadlike.NewUUID())
		req.Instances = append(req.Instances, structs.Instance{ID: id, ProjectID: "p", Hostname: fmt.Sprint("guest-", i), Flavor: structs.Flavor{VCPUs: 1, MemoryMiB: 64, RootGiB: 1}})
		req.Operations = append(req.Operations, structs.Operation{ID: op, InstanceID: id, ProjectID: "p", Kind: structs.OpBuild})
		req.Evaluations = append(req.Evaluations, structs.Evaluation{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: id, OperationID: op, Status: structs.EvalPending})
	}
	ids, err := fsm.InstanceCreate.Propose(w.t.Context(), w.srv, req)
	require.NoError(w.t, err)
	require.Len(w.t, ids, n)
	for _, id := range ids {
		require.NotNil(w.t, w.instance(id), "what was acknowledged is there")
	}
	return ids
}

// active creates n instances and waits until they are.
func (w *world) active(n int) []structs.InstanceID {
	w.t.Helper()
	ids := w.create(n)
	for _, id := range ids {
		w.untilVM(id, structs.VMActive)
	}
	return ids
}

func (w *world) instance(id structs.InstanceID) *structs.Instance { return w.srv.Stale().Instance(id) }

// untilVM waits for the instance to be idle in that state.
func (w *world) untilVM(id structs.InstanceID, vm structs.VMState) *structs.Instance {
	w.t.Helper()
	if !waits(func() bool {
		i := w.instance(id)
		return i != nil && i.OperationID == "" && (i.VM == vm || i.VM == structs.VMError)
	}) || w.instance(id).VM != vm {
		i := w.instance(id)
		require.NotNil(w.t, i)
		w.t.Fatalf("instance %s is not %s: %s, task %q, power %d, fault %+v", id, vm, i.VM, i.Task, i.Power, i.Fault)
	}
	return w.instance(id)
}

func waits(cond func() bool) bool {
	t := time.NewTicker(3 * time.Millisecond)
	defer t.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-t.C {
		if cond() {
			return true
		}
	}
	return cond()
}

// operate asks for an operation and returns its id; it does not wait for it.
func (w *world) operate(id structs.InstanceID, k structs.OperationKind) structs.OperationID {
	w.t.Helper()
	op := structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: id, ProjectID: "p", Kind: k}
	if k == structs.OpResize {
		op.Args.NewFlavor, op.Args.SameHost = &structs.Flavor{ID: "2", VCPUs: 2, MemoryMiB: 128, RootGiB: 2}, w.sameHost
	}
	got, err := fsm.OperationCreate.Propose(w.t.Context(), w.srv, &structs.OperationCreateRequest{Operation: op, Now: structs.TimeOf(time.Now())})
	require.NoError(w.t, err)
	return got
}

// finish waits for an operation's end.
func (w *world) finish(id structs.OperationID) *structs.Operation {
	w.t.Helper()
	w.until("end of operation", func(r state.Reader) bool { return r.Operation(id).Status.Final() })
	return w.srv.Stale().Operation(id)
}

// node is a compute host's machine: what outlives its client.
type node struct {
	id   structs.HostID
	name string
	drv  *gated
	dir  string // of the client's and of the driver's files
}

func newNode(t testing.TB, name string) *node {
	n := &node{id: structs.HostID(nomadlike.NewUUID()), name: name, drv: &gated{Driver: fake.New(nil), gates: map[string]*gate{}}, dir: t.TempDir()}
	n.script(t, "")
	t.Cleanup(func() { require.NoError(t, n.drv.Close()) })
	return n
}

// script sets up the node's driver: more of its configuration, as JSON members after a comma.
func (n *node) script(t testing.TB, more string) {
	t.Helper()
	require.NoError(t, n.drv.Configure(context.Background(), fmt.Appendf(nil, `{"hypervisor_hostname":%q,"state_dir":%q%s}`, n.name, n.dir, more)))
}

// scratch is where the node's client leaves disks that are on their way.
func (n *node) scratch() string { return filepath.Join(n.dir, "scratch") }

func (n *node) control(t testing.TB, c fake.Control) {
	t.Helper()
	require.NoError(t, n.drv.Control(c))
}

// power cuts the host's power, or brings it back.
func (n *node) power(t testing.TB, on bool) {
	t.Helper()
	action := fake.HostPowerLoss
	if on {
		action = fake.HostPowerOn
	}
	n.control(t, fake.Control{Action: action})
}

func names(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("host-%03d", i))
	}
	return out
}

// guest returns the node's guest of an instance, nil when there is none.
func (n *node) guest(id structs.InstanceID) *driver.InstanceStatus {
	st, err := n.drv.Driver.Inspect(context.Background(), string(id))
	if err != nil {
		return nil
	}
	return st
}

// gated is a fake driver whose calls can be held.
type gated struct {
	*fake.Driver
	mu    sync.Mutex
	gates map[string]*gate
	calls map[string]int
}

// gate holds the calls of one method until it is opened, or their context ends.
type gate struct {
	after     bool // hold the answer, not the call
	open      chan struct{}
	entered   chan string // instance, for each call that is held
	cancelled chan string // instance, for each whose context ended
}

// hold makes every call of a method wait.
func (g *gated) hold(method string, after bool) *gate {
	x := &gate{after: after, open: make(chan struct{}), entered: make(chan string, 1000), cancelled: make(chan string, 1000)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gates[method] = x
	return x
}

// release lets go what is held, and what comes.
func (g *gated) release(method string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.gates[method].open)
	delete(g.gates, method)
}

// renew leaves what is held where it is and lets pass what comes.
func (g *gated) renew(method string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.gates, method)
}

func (g *gated) count(method string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[method]
}

func through[T any](ctx context.Context, g *gated, method, instance string, call func() (T, error)) (T, error) {
	g.mu.Lock()
	x := g.gates[method]
	if g.calls == nil {
		g.calls = map[string]int{}
	}
	g.calls[method]++
	g.mu.Unlock()
	if x == nil {
		return call()
	}
	var v T
	var err error
	if x.after {
		v, err = call()
	}
	x.entered <- instance
	select {
	case <-x.open:
	case <-ctx.Done():
		x.cancelled <- instance
		var none T
		return none, ctx.Err()
	}
	if x.after {
		return v, err
	}
	return call()
}

func (g *gated) Capabilities(ctx context.Context) (*driver.Capabilities, error) {
	return through(ctx, g, "capabilities", "", func() (*driver.Capabilities, error) { return g.Driver.Capabilities(ctx) })
}

func (g *gated) List(ctx context.Context) ([]*driver.InstanceStatus, error) {
	return through(ctx, g, "list", "", func() ([]*driver.InstanceStatus, error) { return g.Driver.List(ctx) })
}

func (g *gated) Create(ctx context.Context, s *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	return through(ctx, g, "create", s.InstanceID, func() (*driver.InstanceStatus, error) { return g.Driver.Create(ctx, s) })
}

func (g *gated) Inspect(ctx context.Context, id string) (*driver.InstanceStatus, error) {
	return through(ctx, g, "inspect", id, func() (*driver.InstanceStatus, error) { return g.Driver.Inspect(ctx, id) })
}

func (g *gated) Stop(ctx context.Context, r *driver.StopRequest) error {
	_, err := through(ctx, g, "stop", r.InstanceID, func() (bool, error) { return true, g.Driver.Stop(ctx, r) })
	return err
}

func (g *gated) Destroy(ctx context.Context, r *driver.DestroyRequest) error {
	_, err := through(ctx, g, "destroy", r.InstanceID, func() (bool, error) { return true, g.Driver.Destroy(ctx, r) })
	return err
}

func (g *gated) ConsoleOutput(ctx context.Context, r *driver.ConsoleOutputRequest) ([]byte, error) {
	return through(ctx, g, "console", r.InstanceID, func() ([]byte, error) { return g.Driver.ConsoleOutput(ctx, r) })
}

// held makes methods of the contract that answer no more than an error such that their calls can be held.
func held[Req any](ctx context.Context, g *gated, method, instance string, req Req, call func(context.Context, Req) error) error {
	_, err := through(ctx, g, method, instance, func() (bool, error) { return true, call(ctx, req) })
	return err
}

func (g *gated) Start(ctx context.Context, r *driver.InstanceRef) error {
	return held(ctx, g, "start", r.InstanceID, r, g.Driver.Start)
}

func (g *gated) Resize(ctx context.Context, s *driver.InstanceSpec) error {
	return held(ctx, g, "resize", s.InstanceID, s, g.Driver.Resize)
}

func (g *gated) ExportDisks(ctx context.Context, r *driver.MigrateRequest) ([]*driver.DiskFile, error) {
	return through(ctx, g, "export", r.InstanceID, func() ([]*driver.DiskFile, error) { return g.Driver.ExportDisks(ctx, r) })
}

func (g *gated) ImportDisks(ctx context.Context, r *driver.MigrateRequest) error {
	return held(ctx, g, "import", r.InstanceID, r, g.Driver.ImportDisks)
}

func (g *gated) PrepareMigration(ctx context.Context, r *driver.MigrateRequest) error {
	return held(ctx, g, "prepare", r.InstanceID, r, g.Driver.PrepareMigration)
}

func (g *gated) FinishMigration(ctx context.Context, r *driver.MigrateRequest) error {
	return held(ctx, g, "arrive", r.InstanceID, r, g.Driver.FinishMigration)
}

func (g *gated) CheckMigrateDestination(ctx context.Context, r *driver.MigrateRequest) (*driver.MigrateCheck, error) {
	return through(ctx, g, "check-destination", r.InstanceID, func() (*driver.MigrateCheck, error) { return g.Driver.CheckMigrateDestination(ctx, r) })
}

// agent is one process of a client.
type agent struct {
	w      *world
	c      *Client
	log    *log
	rpc    *rpc.Server
	pool   *rpc.Pool
	hosts  map[structs.HostID]*Host
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

// log is a logger's output that may be read meanwhile.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.b.Bytes(), []byte(s))
}

// agent starts a client over some nodes and waits until they are registered.
func (w *world) agent(nodes ...*node) *agent { return w.agentOver(w.wire, nodes...) }

func (w *world) agentOver(over *wire, nodes ...*node) *agent {
	a := w.newAgent(over, nodes...)
	a.c.Start()
	for _, h := range a.hosts {
		eventually(w.t, "registration", func() bool { return h.currentEpoch() != 0 })
	}
	return a
}

// anotherWire is another wire to the same server, for a client that is not cut off.
func anotherWire(t testing.TB, w *world) *wire { return newWire(t, w.front.rpc.Addr().String()) }

func (w *world) newAgent(over *wire, nodes ...*node) *agent {
	t := w.t
	a := &agent{w: w, log: &log{}, hosts: map[structs.HostID]*Host{}}
	logger := testLogger(t, "client", a.log)
	var err error
	a.rpc, err = rpc.NewServer("127.0.0.1:0", nil, logger)
	require.NoError(t, err)
	a.pool = rpc.NewPool(nil)
	a.c = New(Config{RPC: a.rpc, Pool: a.pool, Servers: func() []string { return []string{over.addr} }, Advertise: a.rpc.Addr().String(), Version: "test",
		Images: noImages{}, Scratch: nodes[0].scratch(), Logger: logger}, nomadlike.NewUUID())
	go a.rpc.Serve()
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	for _, n := range nodes {
		a.hosts[n.id] = a.c.AddHost(HostConfig{ID: n.id, IDFile: "/data/of/" + n.name + "/host-id", Name: n.name, Zone: "nova", DriverName: "fake", MaxBuilds: 50}, func(h *Host) driver.Driver {
			fps, err := n.drv.Fingerprint(ctx)
			require.NoError(t, err)
			events, err := n.drv.Events(ctx)
			require.NoError(t, err)
			a.wg.Go(func() {
				for f := range fps {
					h.Fingerprint(f)
				}
			})
			a.wg.Go(func() {
				for e := range events {
					h.Event(e)
				}
			})
			return n.drv
		})
	}
	t.Cleanup(func() { a.close(false) })
	return a
}

// close ends the client's process, in order with leave, else as a crash; guests stay.
func (a *agent) close(leave bool) {
	a.once.Do(func() {
		a.c.Close(leave)
		a.cancel()
		a.wg.Wait()
		a.rpc.Close()
		a.pool.Close()
	})
}

type noImages struct{}

func (noImages) Get(context.Context, *structs.Image, []string) (*driver.Image, func(), error) {
	return nil, func() {}, nil
}

// front answers the clients' RPC by asking the server, and keeps count.
type front struct {
	w    *world
	rpc  *rpc.Server
	pool *rpc.Pool

	mu     sync.Mutex
	calls  map[string][]any // requests by method
	refuse map[string]error
	hang   chan struct{} // when set, calls wait for it
}

func newFront(t testing.TB, w *world) *front {
	f := &front{w: w, pool: rpc.NewPool(nil), calls: map[string][]any{}, refuse: map[string]error{}}
	var err error
	f.rpc, err = rpc.NewServer("127.0.0.1:0", nil, testLogger(t, "front", io.Discard))
	require.NoError(t, err)
	forward[structs.HostRegisterRequest, structs.HostRegisterResponse](f, "Host.Register")
	forward[structs.HostHeartbeatRequest, structs.HostHeartbeatResponse](f, "Host.Heartbeat")
	forward[structs.HostLeaveRequest, structs.Ack](f, "Host.Leave")
	forward[structs.OperationReportRequest, structs.Ack](f, "Host.Report")
	forward[structs.InstanceSyncRequest, structs.Ack](f, "Host.Sync")
	forward[structs.HostReconcileRequest, structs.HostReconcileResponse](f, "Host.Reconcile")
	forward[structs.BlobFetchedRequest, structs.Ack](f, "Blob.Fetched")
	rpc.HandleStream(f.rpc, "Host.Watch", rpc.AnyAgent, f.watch)
	go f.rpc.Serve()
	t.Cleanup(func() { f.rpc.Close(); f.pool.Close() })
	return f
}

func forward[Req, Resp any](f *front, method string) {
	rpc.Handle(f.rpc, method, rpc.AnyAgent, func(ctx context.Context, req *Req) (*Resp, error) {
		if err := f.took(method, req); err != nil {
			return nil, err
		}
		f.mu.Lock()
		hang := f.hang
		f.mu.Unlock()
		if hang != nil {
			select {
			case <-hang:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return rpc.Call[Resp](ctx, f.pool, f.w.addr, method, req)
	})
}

func (f *front) took(method string, req any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method] = append(f.calls[method], req)
	return f.refuse[method]
}

func (f *front) watch(ctx context.Context, down rpc.Stream) error {
	var req structs.HostWatchRequest
	if err := down.Recv(&req); err != nil {
		return err
	}
	if err := f.took("Host.Watch", &req); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // nothing more comes from the client but its end
		var none structs.Ack
		_ = down.Recv(&none)
		cancel()
	}()
	up, err := f.pool.OpenStream(ctx, f.w.addr, "Host.Watch")
	if err != nil {
		return err
	}
	defer up.Close()
	if err := up.Send(&req); err != nil {
		return err
	}
	for {
		var b structs.WorkBatch
		if err := up.Recv(&b); err != nil {
			return err
		}
		if err := down.Send(&b); err != nil {
			return err
		}
	}
}

// refuses makes a method answer err, nil to forward again.
func (f *front) refuses(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.refuse, method)
		return
	}
	f.refuse[method] = err
}

// hangs lets calls wait until the channel is closed.
func (f *front) hangs(until chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hang = until
}

func (f *front) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls[method])
}

// requests returns what came of one method, in order.
func requests[Req any](f *front, method string) []*Req {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*Req
	for _, r := range f.calls[method] {
		out = append(out, r.(*Req))
	}
	return out
}

// wire carries TCP to one address and can be cut.
type wire struct {
	addr string
	to   string
	l    net.Listener
	wg   sync.WaitGroup

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

func newWire(t testing.TB, to string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	x := &wire{addr: l.Addr().String(), to: to, l: l, conns: map[net.Conn]bool{}}
	x.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			x.wg.Go(func() { x.carry(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); x.cut(); x.wg.Wait() })
	return x
}

func (x *wire) carry(c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", x.to)
	if err != nil {
		return
	}
	defer d.Close()
	x.mu.Lock()
	if x.down {
		x.mu.Unlock()
		return
	}
	x.conns[c], x.conns[d] = true, true
	x.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(d, c); _ = d.Close() })
	both.Go(func() { _, _ = io.Copy(c, d); _ = c.Close() })
	both.Wait()
	x.mu.Lock()
	delete(x.conns, c)
	delete(x.conns, d)
	x.mu.Unlock()
}

// cut breaks what is there and lets nothing through.
func (x *wire) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = true
	for c := range x.conns {
		_ = c.Close()
	}
}

func (x *wire) heal() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.down = false
}
