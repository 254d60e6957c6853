package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/client/runner"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Host is one host's session with the cluster.
type Host struct {
	c      *Client
	cfg    HostConfig
	driver driver.Driver
	runner *runner.Runner

	kick     chan struct{} // something to register or reconcile
	outcomes chan structs.Outcome
	syncs    chan structs.InstanceSync

	mu          sync.Mutex
	fingerprint *driver.Fingerprint // nil until the driver spoke
	caps        *driver.Capabilities
	epoch       uint64   // of the lease; 0 until registered
	register    bool     // register again: the host changed, or the cluster lost its lease
	images      []string // that instances here were made from, as of the last reconciliation; nil before the first
	reconcile   bool     // compare what is there with what should be
}

func newHost(c *Client, cfg HostConfig) *Host {
	return &Host{c: c, cfg: cfg, kick: make(chan struct{}, 1), outcomes: make(chan structs.Outcome, 4096), syncs: make(chan structs.InstanceSync, 4096)}
}

// use gives the host its driver, once, before it runs.
func (h *Host) use(d driver.Driver) {
	c := h.c
	r := runner.New(runner.Config{Driver: d, Images: c.cfg.Images, MaxBuilds: h.cfg.MaxBuilds, Logger: c.logger.With("host", h.cfg.Name),
		Report: func(o structs.Outcome) { enqueue(c.ctx, h.outcomes, o) }, Sync: func(s structs.InstanceSync) { enqueue(c.ctx, h.syncs, s) }})
	h.mu.Lock()
	h.driver, h.runner = d, r
	h.mu.Unlock()
}

func enqueue[T any](ctx context.Context, ch chan T, v T) {
	select {
	case ch <- v:
	case <-ctx.Done():
	}
}

// Fingerprint takes what the driver says of the host.
func (h *Host) Fingerprint(fp *driver.Fingerprint) {
	h.mu.Lock()
	h.fingerprint, h.register = fp, true
	h.mu.Unlock()
	h.wake()
}

// Event takes what a guest did. One that comes before the host runs is dropped: its first reconciliation sees what happened.
func (h *Host) Event(e *driver.Event) {
	h.mu.Lock()
	r := h.runner
	h.mu.Unlock()
	if r != nil {
		r.Event(e)
	}
}

// Restarted says that the driver's process died and is back: what is there is compared with what should be.
func (h *Host) Restarted() {
	h.mu.Lock()
	h.reconcile = true
	h.mu.Unlock()
	h.wake()
}

func (h *Host) reregister() {
	h.mu.Lock()
	h.register, h.reconcile = true, true
	h.mu.Unlock()
	h.wake()
}

func (h *Host) wake() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

func (h *Host) currentEpoch() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// reconcilePeriod is how often what is there is compared with what should be, besides at every start: Nova's sync_power_state_interval.
const reconcilePeriod = 10 * time.Minute

// run registers the host, keeps its stream of work open and reconciles.
func (h *Host) run(ctx context.Context) {
	periodic := time.NewTicker(reconcilePeriod)
	defer periodic.Stop()
	var stopWatch func()
	defer func() {
		if stopWatch != nil {
			stopWatch()
		}
	}()
	for {
		select {
		case <-h.kick:
		case <-periodic.C:
			h.mu.Lock()
			h.reconcile = true
			h.mu.Unlock()
		case <-ctx.Done():
			return
		}
		before := h.currentEpoch()
		if err := h.catchUp(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			h.c.logger.Debug("cannot bring the host up to date; trying again", "host", h.cfg.Name, "error", err)
			if !sleep(ctx, 250*time.Millisecond) {
				return
			}
			h.wake()
			continue
		}
		if epoch := h.currentEpoch(); epoch != before {
			if stopWatch != nil {
				stopWatch()
			}
			stopWatch = h.startWatch(ctx, epoch)
		}
	}
}

// catchUp registers and reconciles as far as that is wanted; what fails stays wanted.
func (h *Host) catchUp(ctx context.Context) error {
	h.mu.Lock()
	fp, register := h.fingerprint, h.register
	h.mu.Unlock()
	if fp == nil {
		return nil
	}
	if register {
		if err := h.doRegister(ctx, fp); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	h.mu.Lock()
	reconcile := h.reconcile
	h.mu.Unlock()
	if reconcile && fp.Healthy {
		if err := h.doReconcile(ctx); err != nil {
			return fmt.Errorf("reconcile: %w", err)
		}
	}
	return nil
}

func (h *Host) doRegister(ctx context.Context, fp *driver.Fingerprint) error {
	if h.caps == nil {
		caps, err := h.driver.Capabilities(ctx)
		if err != nil {
			return err
		}
		h.caps = caps
		h.runner.SetImageFormats(caps.ImageFormats)
	}
	resp, err := call[structs.HostRegisterResponse](ctx, h.c, "Host.Register", &structs.HostRegisterRequest{Host: h.describe(fp)})
	if err != nil {
		if structs.IsKind(err, structs.KindConflict) {
			h.c.logger.Error("the cluster refuses this host", "host", h.cfg.Name, "error", err)
		}
		return err
	}
	h.c.setBeat(resp.BeatMS)
	h.mu.Lock()
	if h.epoch != resp.Host.Epoch {
		h.c.logger.Info("host registered", "host", h.cfg.Name, "host_id", h.cfg.ID, "epoch", resp.Host.Epoch)
		h.reconcile = true
	}
	h.epoch = resp.Host.Epoch
	if h.fingerprint == fp {
		h.register = false
	}
	h.mu.Unlock()
	return nil
}

// describe turns the driver's fingerprint into the host as the state keeps it.
func (h *Host) describe(fp *driver.Fingerprint) structs.Host {
	inv := fp.Inventory
	traits := slices.Concat(fp.Traits, h.caps.Traits)
	slices.Sort(traits)
	return structs.Host{ID: h.cfg.ID, Name: h.cfg.Name, Zone: h.cfg.Zone, RPCAddr: h.c.cfg.Advertise, Version: h.c.cfg.Version, Session: h.c.session,
		Driver: h.cfg.DriverName, DriverHealthy: fp.Healthy, DriverHealth: fp.HealthDescription,
		HypervisorType: fp.HypervisorType, HypervisorVersion: fp.HypervisorVersion, HypervisorHostname: fp.HypervisorHostname, Architectures: fp.Architectures,
		CPUInfo: structs.CPUInfo{Arch: fp.CPU.Arch, Model: fp.CPU.Model, Vendor: fp.CPU.Vendor, Sockets: fp.CPU.Sockets, Cores: fp.CPU.Cores,
			Threads: fp.CPU.Threads, Features: fp.CPU.Features},
		Total:    structs.Resources{VCPUs: int64(inv.VCPUs), MemoryMiB: inv.MemoryMiB, DiskGiB: inv.DiskGiB},
		Reserved: h.cfg.Reserved, Traits: slices.Compact(traits), Attributes: fp.Attributes, ImageFormats: h.caps.ImageFormats}
}

// startWatch takes work for the epoch until stopped, over one server after the other.
func (h *Host) startWatch(parent context.Context, epoch uint64) (stop func()) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			servers := h.c.cfg.Servers()
			if len(servers) > 0 {
				err := h.watch(ctx, servers[n%len(servers)], epoch)
				if structs.IsKind(err, structs.KindConflict) {
					h.reregister()
				}
				if ctx.Err() == nil {
					h.c.logger.Debug("stream of work ended; opening another", "host", h.cfg.Name, "error", err)
				}
			}
			if !sleep(ctx, 100*time.Millisecond) {
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (h *Host) watch(ctx context.Context, addr string, epoch uint64) error {
	st, err := h.c.cfg.Pool.OpenStream(ctx, addr, "Host.Watch")
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.Send(&structs.HostWatchRequest{HostID: h.cfg.ID, Epoch: epoch}); err != nil {
		return err
	}
	for {
		var b structs.WorkBatch
		if err := st.Recv(&b); err != nil {
			return err
		}
		for _, w := range b.Work {
			h.runner.Do(w)
		}
	}
}

// doReconcile compares the hypervisor's guests with the cluster's instances: leftovers of deleted or moved instances are destroyed, guests that the
// driver lost are recovered, and what guests did meanwhile is passed on. A guest that the cluster does not know is left alone.
func (h *Host) doReconcile(ctx context.Context) error {
	found, err := h.driver.List(ctx)
	if err != nil {
		return err
	}
	req := &structs.HostReconcileRequest{HostID: h.cfg.ID, Epoch: h.currentEpoch()}
	byID := map[structs.InstanceID]*driver.InstanceStatus{}
	for _, st := range found {
		id := structs.InstanceID(st.InstanceID)
		byID[id] = st
		req.Guests = append(req.Guests, structs.Guest{InstanceID: id, Generation: st.Generation, Power: structs.PowerState(st.Power)})
	}
	resp, err := call[structs.HostReconcileResponse](ctx, h.c, "Host.Reconcile", req)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.reconcile = false
	h.images = append(make([]string, 0, len(resp.Images)), resp.Images...)
	h.mu.Unlock()
	var errs []error
	for _, g := range resp.Unknown {
		h.c.logger.Warn("this host has a guest that the cluster does not know; it is left alone", "host", h.cfg.Name, "instance_id", g.InstanceID)
	}
	for _, g := range resp.Destroy {
		errs = append(errs, h.destroyLeftover(ctx, g))
	}
	for _, w := range resp.Instances {
		if !h.runner.Busy(w.Instance.ID) {
			errs = append(errs, h.reconcileOne(ctx, w.Instance, byID[w.Instance.ID]))
		}
	}
	if err := errors.Join(errs...); err != nil {
		h.mu.Lock()
		h.reconcile = true
		h.mu.Unlock()
		return err
	}
	return nil
}

func (h *Host) destroyLeftover(ctx context.Context, g structs.Guest) error {
	h.c.logger.Info("destroying what is left of an instance that was deleted or moved", "host", h.cfg.Name, "instance_id", g.InstanceID)
	err := h.driver.Destroy(ctx, &driver.DestroyRequest{DestroyDisks: true,
		InstanceRef: driver.InstanceRef{InstanceID: string(g.InstanceID), OperationID: "cleanup", Generation: g.Generation}})
	if err != nil {
		return fmt.Errorf("destroy leftover %s: %w", g.InstanceID, err)
	}
	h.runner.Forget(g.InstanceID)
	enqueue(ctx, h.syncs, structs.InstanceSync{InstanceID: g.InstanceID, Generation: g.Generation, CleanedUp: true})
	return nil
}

func (h *Host) reconcileOne(ctx context.Context, ins *structs.Instance, st *driver.InstanceStatus) error {
	sync := structs.InstanceSync{InstanceID: ins.ID, Generation: ins.Generation}
	if st == nil {
		var err error
		st, err = h.driver.Recover(ctx, runner.SpecOf(ins))
		if errors.Is(err, driver.ErrNotFound) {
			sync.Missing, sync.Reason = true, "the hypervisor has nothing of it"
			enqueue(ctx, h.syncs, sync)
			return nil
		}
		if err != nil {
			return fmt.Errorf("recover %s: %w", ins.ID, err)
		}
	}
	if sync.Power = structs.PowerState(st.Power); sync.Power != ins.Power {
		enqueue(ctx, h.syncs, sync)
	}
	return nil
}
