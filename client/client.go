// Package client is what a compute host runs: it keeps the host's lease, takes its work from the cluster and has it done by a
// runner over a hypervisor driver. One agent may run many simulated hosts, each with its own identity, lease and driver.
package client

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/client/runner"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Config is what a client needs.
type Config struct {
	RPC  *rpc.Server // its methods are registered here, before it serves
	Pool *rpc.Pool
	// Servers returns the RPC addresses of living servers, the preferred one first.
	Servers func() []string
	// Advertise is this agent's RPC address.
	Advertise string
	Version   string
	Images    runner.ImageSource
	// Upload makes a file the data of an image that a host made; Scratch is a folder for such files.
	Upload  func(ctx context.Context, req structs.BlobWriteRequest, path string) error
	Scratch string
	// OpenImage opens an image's bytes that this machine has, for other hosts; nil has none. KindNotFound when they are not here.
	OpenImage func(sha512 string) (r io.ReadSeekCloser, size int64, err error)
	// Prune drops from the hosts' image cache what has not been used for long; inUse has the hashes of the images that instances here were made from.
	Prune func(inUse map[string]bool) error
	// Metrics measures this machine's processors for the records of its hosts; nil measures nothing. MetricsEvery is how often; 0 is a minute, as Nova's resource
	// tracker: each time is a change of the replicated state.
	Metrics      func(now time.Time) (*structs.HostMetrics, error)
	MetricsEvery time.Duration
	Logger       hclog.Logger
}

// HostConfig is one host of the client.
type HostConfig struct {
	ID         structs.HostID
	IDFile     string // that ID comes from
	Name       string
	Zone       string
	DriverName string
	Reserved   structs.Resources
	MaxBuilds  int
}

// Client is a compute host's agent.
type Client struct {
	cfg     Config
	logger  hclog.Logger
	session string // random per process: a new one begins a new epoch of each host's lease
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu    sync.Mutex
	hosts map[structs.HostID]*Host
	beat  time.Duration // how often leases are renewed

	beatChanged chan struct{}

	fetched    chan string   // SHA-512 of images that the servers are to hear of
	imageReads chan struct{} // one element for each host that reads an image here
}

// New registers the client's RPC methods.
func New(cfg Config, session string) *Client {
	c := &Client{cfg: cfg, logger: cfg.Logger.Named("client"), session: session, hosts: map[structs.HostID]*Host{}, beat: time.Second, beatChanged: make(chan struct{}, 1),
		fetched: make(chan string, 64), imageReads: make(chan struct{}, imageReaders)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	rpc.Handle(cfg.RPC, "Client.ConsoleOutput", rpc.ServerOnly, c.consoleOutput)
	c.registerHostCalls()
	return c
}

// AddHost makes a host over the driver that open returns. open connects the driver's callbacks to the Host's Fingerprint, Event and Restarted; they may
// come at once. The host registers with its first fingerprint after Start.
func (c *Client) AddHost(cfg HostConfig, open func(h *Host) driver.Driver) *Host {
	h := newHost(c, cfg)
	h.use(open(h))
	c.mu.Lock()
	c.hosts[cfg.ID] = h
	c.mu.Unlock()
	return h
}

// Reserve changes what each host keeps for itself, in the cluster's books too.
func (c *Client) Reserve(r structs.Resources) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.reserve(r)
	}
}

// Start begins heartbeats and the hosts' sessions.
func (c *Client) Start() {
	c.mu.Lock()
	hosts := slices.Collect(maps.Values(c.hosts))
	c.mu.Unlock()
	for _, h := range hosts {
		c.goRun(h.ctx, h.run)
		c.goRun(h.ctx, h.reconcileLoop)
		c.goRun(h.ctx, h.reportLoop)
	}
	c.goRun(c.ctx, c.heartbeats)
	c.goRun(c.ctx, c.tellFetched)
	if c.cfg.Prune != nil {
		c.goRun(c.ctx, c.pruneLoop)
	}
}

// prunePeriod is how often the image cache is looked through.
const prunePeriod = 30 * time.Minute

// pruneLoop prunes the image cache, once every host has been told which images its instances need: before that any file may be one.
func (c *Client) pruneLoop(ctx context.Context) {
	for sleep(ctx, prunePeriod) {
		inUse, known := map[string]bool{}, true
		c.mu.Lock()
		for _, h := range c.hosts {
			h.mu.Lock()
			known = known && h.images != nil
			for _, sha := range h.images {
				inUse[sha] = true
			}
			h.mu.Unlock()
		}
		c.mu.Unlock()
		if !known {
			continue
		}
		if err := runner.SweepScratch(c.cfg.Scratch, time.Now()); err != nil {
			c.logger.Warn("cannot remove what earlier operations left; it is tried again", "dir", c.cfg.Scratch, "error", err)
		}
		if err := c.cfg.Prune(inUse); err != nil {
			c.logger.Warn("cannot prune the image cache; it is tried again", "error", err)
		}
	}
}

func (c *Client) goRun(ctx context.Context, f func(context.Context)) { c.wg.Go(func() { f(ctx) }) }

// goodbye bounds how long stopping waits for the servers to hear of it.
const goodbye = 2 * time.Second

// Close stops the client; guests go on. With leave its hosts take no new instances from now on.
func (c *Client) Close(leave bool) {
	c.cancel()
	c.wg.Wait()
	c.mu.Lock()
	hosts := slices.Collect(maps.Values(c.hosts))
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	var wg sync.WaitGroup
	for _, h := range hosts {
		wg.Go(func() { h.close(ctx, leave) })
	}
	wg.Wait()
}

// call asks one server after the other until one answers. Only what may be repeated goes through here. The servers that are left share the time that is
// left, so that one that hangs does not cost the whole of it.
func call[Resp any](ctx context.Context, c *Client, method string, req any) (*Resp, error) {
	err := error(structs.Errorf(structs.KindUnavailable, "no server is known yet"))
	servers := c.cfg.Servers()
	for i, addr := range servers {
		limit := 20 * time.Second
		if dl, ok := ctx.Deadline(); ok {
			limit = min(limit, time.Until(dl)/time.Duration(len(servers)-i))
		}
		var resp *Resp
		actx, cancel := context.WithTimeout(ctx, limit)
		resp, err = rpc.Call[Resp](actx, c.cfg.Pool, addr, method, req)
		cancel()
		if err == nil || !structs.IsKind(err, structs.KindUnavailable) && !structs.IsKind(err, structs.KindTimeout) {
			return resp, err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// heartbeats renews the leases of all registered hosts in one message, three times in a lease, and sooner again after one that failed.
func (c *Client) heartbeats(ctx context.Context) {
	failed := false
	monitor := monitor{every: cmp.Or(c.cfg.MetricsEvery, time.Minute)}
	for {
		c.mu.Lock()
		beat := c.beat
		c.mu.Unlock()
		wait := beat
		if failed {
			wait = max(beat/5, 50*time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.beatChanged: // perhaps it has waited too long already
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
		req, measured := &structs.HostHeartbeatRequest{}, c.measure(&monitor)
		c.mu.Lock()
		for id, h := range c.hosts {
			if e := h.currentEpoch(); e != 0 {
				req.Beats = append(req.Beats, structs.HostBeat{HostID: id, Epoch: e, Metrics: measured})
			}
		}
		c.mu.Unlock()
		if len(req.Beats) == 0 {
			continue
		}
		bctx, cancel := context.WithTimeout(ctx, max(beat, time.Second))
		resp, err := call[structs.HostHeartbeatResponse](bctx, c, "Host.Heartbeat", req)
		cancel()
		if failed = err != nil; failed {
			if ctx.Err() == nil {
				c.logger.Debug("cannot renew leases; trying again", "error", err)
			}
			continue
		}
		if measured != nil {
			monitor.told = monitor.asked
		}
		c.setBeat(resp.BeatMS)
		c.mu.Lock()
		for _, id := range resp.Register {
			if h := c.hosts[id]; h != nil {
				h.reregister()
			}
		}
		c.mu.Unlock()
	}
}

func (c *Client) setBeat(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := time.Duration(ms) * time.Millisecond; d > 0 && d != c.beat {
		c.beat = d
		wake(c.beatChanged)
	}
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) consoleOutput(ctx context.Context, req *structs.ConsoleOutputRequest) (*structs.ConsoleOutputResponse, error) {
	c.mu.Lock()
	h := c.hosts[req.HostID]
	c.mu.Unlock()
	if h == nil {
		return nil, structs.Errorf(structs.KindNotFound, "host %s is not run by this client", req.HostID)
	}
	out, err := h.driver.ConsoleOutput(ctx, &driver.ConsoleOutputRequest{InstanceID: string(req.InstanceID), Lines: req.Lines})
	if err != nil {
		return nil, runner.Translate(err)
	}
	return &structs.ConsoleOutputResponse{Output: out}, nil
}
