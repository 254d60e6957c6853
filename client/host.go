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
	ctx    context.Context // ends with the client, or when another client took the host over
	stop   context.CancelFunc
	driver driver.Driver
	runner *runner.Runner

	kick    chan struct{} // there is something to register
	compare chan struct{} // there is something to reconcile
	out     outbox

	mu          sync.Mutex
	fingerprint *driver.Fingerprint  // nil until the driver spoke
	caps        *driver.Capabilities // nil until the driver told them
	askCaps     bool                 // they are to be asked for: the driver is another process now
	epoch       uint64               // of the lease; 0 until registered, and again when another client took the host over
	registered  time.Time            // when this client's session first was
	retaken     int                  // how often the host was taken back from another session
	register    bool                 // register again: the host changed, or the cluster lost its lease
	doubted     bool                 // the cluster did not take this session's word: its lease ended, or another session has the host
	reserved    structs.Resources    // what the host keeps for itself
	images      []string             // that instances here were made from, as of the last reconciliation; nil before the first
	reconcile   bool                 // compare what is there with what should be
	reconciling bool
}

func newHost(c *Client, cfg HostConfig) *Host {
	h := &Host{c: c, cfg: cfg, reserved: cfg.Reserved, kick: make(chan struct{}, 1), compare: make(chan struct{}, 1), out: outbox{wake: make(chan struct{}, 1)}, askCaps: true}
	h.ctx, h.stop = context.WithCancel(c.ctx)
	return h
}

// use gives the host its driver, once, before it runs.
func (h *Host) use(d driver.Driver) {
	r := runner.New(runner.Config{Driver: d, Images: h.c.cfg.Images, MaxBuilds: h.cfg.MaxBuilds, Logger: h.c.logger.With("host", h.cfg.Name),
		Report: h.report, Sync: h.observe, Missing: h.wantReconcile, Upload: h.upload, Scratch: h.c.cfg.Scratch,
		Fetch: h.c.fetchDisks})
	h.mu.Lock()
	h.driver, h.runner = d, r
	h.mu.Unlock()
}

// upload makes the file the data of an image, in this session's name.
func (h *Host) upload(ctx context.Context, image structs.ImageID, format, path string, virtualSize int64) error {
	return h.c.cfg.Upload(ctx, structs.BlobWriteRequest{HostID: h.cfg.ID, Epoch: h.currentEpoch(), ImageID: image, DiskFormat: format, VirtualSize: virtualSize}, path)
}

// Fingerprint takes what the driver says of the host. What guests did while it was not well nobody told: when it is well again they are looked at.
func (h *Host) Fingerprint(fp *driver.Fingerprint) {
	h.mu.Lock()
	if h.fingerprint != nil && !h.fingerprint.Healthy && fp.Healthy {
		h.reconcile = true
	}
	h.fingerprint, h.register = fp, true
	h.mu.Unlock()
	wake(h.kick)
	wake(h.compare)
}

// Event takes what a guest did. One that comes before the host is registered is dropped: its first reconciliation sees what happened.
func (h *Host) Event(e *driver.Event) {
	h.mu.Lock()
	r, epoch := h.runner, h.epoch
	h.mu.Unlock()
	if r != nil && epoch != 0 {
		r.Event(e)
	}
}

// Restarted says that the driver's process died and is back: what is there is compared with what should be, and it may be another version.
func (h *Host) Restarted() {
	h.mu.Lock()
	h.askCaps, h.register = true, true
	h.mu.Unlock()
	wake(h.kick)
	h.wantReconcile()
}

func (h *Host) wantReconcile() {
	h.mu.Lock()
	h.reconcile = true
	h.mu.Unlock()
	wake(h.compare)
}

// reregister is for when the cluster does not take this session's word.
func (h *Host) reregister() {
	h.mu.Lock()
	h.register, h.doubted = true, true
	h.mu.Unlock()
	wake(h.kick)
	h.wantReconcile()
}

// reserve changes what the host keeps for itself; the cluster hears of it with the registration that follows.
func (h *Host) reserve(r structs.Resources) {
	h.mu.Lock()
	changed := h.reserved != r
	h.reserved, h.register = r, h.register || changed
	h.mu.Unlock()
	if changed {
		wake(h.kick)
	}
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (h *Host) currentEpoch() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.epoch
}

// retry runs f when ch wakes it, and again after a pause while it fails: soon when the servers cannot be reached, later and later when they or the driver refuse.
func (h *Host) retry(ctx context.Context, ch <-chan struct{}, period <-chan time.Time, what string, f func(context.Context) error) {
	var again <-chan time.Time
	pause, said := minRetry, ""
	for {
		select {
		case <-ch:
		case <-again:
		case <-period:
			h.wantReconcile()
			continue
		case <-ctx.Done():
			return
		}
		err := f(ctx)
		if ctx.Err() != nil {
			return
		}
		again = nil
		if err == nil {
			pause, said = minRetry, ""
			continue
		}
		if transient(err) {
			pause = minRetry
			h.c.logger.Debug("cannot "+what+"; trying again", "host", h.cfg.Name, "error", err)
		} else if said != err.Error() {
			said = err.Error()
			h.c.logger.Warn("cannot "+what+"; trying again", "host", h.cfg.Name, "error", err)
		}
		again = time.After(pause)
		pause = min(2*pause, maxRetry)
	}
}

const (
	minRetry = 250 * time.Millisecond
	maxRetry = 10 * time.Second
)

func transient(err error) bool {
	return structs.IsKind(err, structs.KindUnavailable) || structs.IsKind(err, structs.KindTimeout)
}

// run registers the host and keeps its stream of work open.
func (h *Host) run(ctx context.Context) {
	var stopWatch func()
	watched := uint64(0)
	defer func() {
		if stopWatch != nil {
			stopWatch()
		}
	}()
	h.retry(ctx, h.kick, nil, "register the host", func(ctx context.Context) error {
		if err := h.catchUp(ctx); err != nil {
			return err
		}
		if epoch := h.currentEpoch(); epoch != watched {
			if stopWatch != nil {
				stopWatch()
			}
			watched, stopWatch = epoch, h.startWatch(ctx, epoch)
		}
		return nil
	})
}

// catchUp registers when that is wanted; what fails stays wanted. The cluster refuses who was registered when another session has the host by now.
func (h *Host) catchUp(ctx context.Context) error {
	h.mu.Lock()
	fp, register, epoch := h.fingerprint, h.register, h.epoch
	h.mu.Unlock()
	if fp == nil || !register {
		return nil
	}
	err := h.doRegister(ctx, fp, epoch)
	if epoch == 0 || !structs.IsKind(err, structs.KindConflict) {
		return err
	}
	if h.takeBack() {
		return h.doRegister(ctx, fp, 0)
	}
	h.giveUp()
	return nil
}

const (
	// lateMessages is how long after its start a client may find that the host was taken by a message of the process before it, which was under way.
	lateMessages = 30 * time.Second
	// maxRetaken bounds how often: two clients with one host that begin at the same moment must not take it from each other for long.
	maxRetaken = 2
)

// takeBack reports whether the session that has the host now may be a late message of an earlier process.
func (h *Host) takeBack() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.registered) > lateMessages || h.retaken == maxRetaken {
		return false
	}
	h.retaken++
	h.c.logger.Warn("the cluster has another session of this host, perhaps a late word of the process before; registering it again", "host", h.cfg.Name,
		"host_id", h.cfg.ID, "id_file", h.cfg.IDFile)
	return true
}

// giveUp ends the host's session: a newer client has it, and two that do the same work would run one instance twice. Guests stay as they are.
func (h *Host) giveUp() {
	h.c.logger.Error("another client speaks for this host now; this one has stopped its work and leaves the guests as they are. "+
		"Both have this host's id, which comes from the file id_file: stop one of the two, and give each client a data directory of its own "+
		"(not a copy of another's); to take the host over again restart this one",
		"host", h.cfg.Name, "host_id", h.cfg.ID, "id_file", h.cfg.IDFile)
	h.mu.Lock()
	h.epoch = 0
	h.mu.Unlock()
	h.stop()
	h.runner.Close()
}

// close ends what is being done, and with leave says goodbye. The host's loops have ended.
func (h *Host) close(ctx context.Context, leave bool) {
	h.runner.Close()
	epoch := h.currentEpoch()
	if !leave || epoch == 0 {
		return
	}
	if _, err := call[structs.Ack](ctx, h.c, "Host.Leave", &structs.HostLeaveRequest{HostID: h.cfg.ID, Epoch: epoch}); err != nil {
		h.c.logger.Warn("cannot say goodbye; the host's lease will end by itself", "host", h.cfg.Name, "error", err)
	}
}

// capsTimeout bounds the question for a driver's capabilities, which it answers at once when it is there, and capsUnwell the question to one that is not well.
const (
	capsTimeout = 5 * time.Second
	capsUnwell  = time.Second
)

// capabilities returns the driver's. A host whose driver is not well is registered without, so that the operator sees it and why.
func (h *Host) capabilities(ctx context.Context, fp *driver.Fingerprint) (*driver.Capabilities, error) {
	h.mu.Lock()
	caps, ask := h.caps, h.askCaps
	h.askCaps = false
	h.mu.Unlock()
	if !ask {
		return caps, nil
	}
	limit := capsTimeout
	if !fp.Healthy {
		limit = capsUnwell
	}
	cctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	now, err := h.driver.Capabilities(cctx)
	if err == nil {
		h.runner.SetImageFormats(now.ImageFormats)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.askCaps = true
		if fp.Healthy {
			return nil, fmt.Errorf("ask the driver for its capabilities: %w", err)
		}
		if caps == nil {
			caps = &driver.Capabilities{}
		}
		return caps, nil
	}
	h.caps = now
	return now, nil
}

// doRegister registers the host, of which this session had that epoch last; with 0 it takes the host whoever has it.
func (h *Host) doRegister(ctx context.Context, fp *driver.Fingerprint, epoch uint64) error {
	caps, err := h.capabilities(ctx, fp)
	if err != nil {
		return err
	}
	h.mu.Lock()
	reserved := h.reserved
	h.mu.Unlock()
	host := h.describe(fp, caps, reserved)
	host.Epoch = epoch
	resp, err := call[structs.HostRegisterResponse](ctx, h.c, "Host.Register", &structs.HostRegisterRequest{Host: host})
	if err != nil {
		if structs.IsKind(err, structs.KindConflict) {
			err = fmt.Errorf("the cluster refuses this host: %w", err)
		}
		return err
	}
	h.c.setBeat(resp.BeatMS)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch != resp.Host.Epoch {
		h.c.logger.Info("host registered", "host", h.cfg.Name, "host_id", h.cfg.ID, "epoch", resp.Host.Epoch)
		h.reconcile = true
	}
	if h.registered.IsZero() {
		h.registered = time.Now()
	}
	h.epoch, h.doubted = resp.Host.Epoch, false
	h.register = h.fingerprint != fp || h.reserved != reserved || h.askCaps && fp.Healthy
	if h.register {
		wake(h.kick)
	}
	wake(h.compare)
	return nil
}

// describe turns the driver's fingerprint into the host as the state keeps it.
func (h *Host) describe(fp *driver.Fingerprint, caps *driver.Capabilities, reserved structs.Resources) structs.Host {
	inv := fp.Inventory
	traits := slices.Concat(fp.Traits, caps.Traits)
	slices.Sort(traits)
	return structs.Host{ID: h.cfg.ID, Name: h.cfg.Name, Zone: h.cfg.Zone, RPCAddr: h.c.cfg.Advertise, Version: h.c.cfg.Version, Session: h.c.session,
		Driver: h.cfg.DriverName, DriverHealthy: fp.Healthy, DriverHealth: fp.HealthDescription,
		HypervisorType: fp.HypervisorType, HypervisorVersion: fp.HypervisorVersion, HypervisorHostname: fp.HypervisorHostname, Architectures: fp.Architectures,
		CPUInfo: structs.CPUInfo{Arch: fp.CPU.Arch, Model: fp.CPU.Model, Vendor: fp.CPU.Vendor, Sockets: fp.CPU.Sockets, Cores: fp.CPU.Cores,
			Threads: fp.CPU.Threads, Features: fp.CPU.Features},
		Total:    structs.Resources{VCPUs: int64(inv.VCPUs), MemoryMiB: inv.MemoryMiB, DiskGiB: inv.DiskGiB},
		Reserved: reserved, Traits: slices.Compact(traits), Attributes: fp.Attributes, ImageFormats: caps.ImageFormats, Methods: caps.Methods}
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
		if b.Reconcile {
			h.wantReconcile()
		}
	}
}

const (
	// reconcilePeriod is how often what is there is compared with what should be, besides at every start: Nova's sync_power_state_interval.
	reconcilePeriod = 10 * time.Minute
	// driverPatience bounds a driver's call in a reconciliation: calls to a driver that is away wait for it.
	driverPatience = time.Minute
)

// reconcileLoop reconciles whenever that is wanted and the driver is well. It runs beside the registration, which must go on telling that the driver is not.
func (h *Host) reconcileLoop(ctx context.Context) {
	periodic := time.NewTicker(reconcilePeriod)
	defer periodic.Stop()
	h.retry(ctx, h.compare, periodic.C, "reconcile the host's guests", func(ctx context.Context) error {
		h.mu.Lock()
		wanted := h.reconcile && h.epoch != 0 && !h.doubted && h.fingerprint.Healthy
		if wanted {
			h.reconcile, h.reconciling = false, true
		}
		h.mu.Unlock()
		if !wanted {
			return nil
		}
		err := h.doReconcile(ctx)
		h.mu.Lock()
		h.reconciling = false
		h.reconcile = h.reconcile || err != nil
		h.mu.Unlock()
		return err
	})
}

// doReconcile compares the hypervisor's guests with the cluster's instances: leftovers of deleted or moved instances are destroyed, guests that the
// driver lost are recovered, and what guests did meanwhile is passed on. A guest that the cluster does not know is left alone. What is being done here
// for an operation that is over for the cluster, or went elsewhere while this client was cut off, is ended.
func (h *Host) doReconcile(ctx context.Context) error {
	tasks := h.runner.Tasks() // before the question: the answer is about these or what came after
	lctx, cancel := context.WithTimeout(ctx, driverPatience)
	found, err := h.driver.List(lctx)
	cancel()
	if err != nil {
		return fmt.Errorf("list the driver's guests: %w", runner.Translate(err))
	}
	req := &structs.HostReconcileRequest{HostID: h.cfg.ID, Epoch: h.currentEpoch()}
	byID := map[structs.InstanceID]*driver.InstanceStatus{}
	for _, st := range found {
		id := structs.InstanceID(st.InstanceID)
		byID[id] = st
		req.Guests = append(req.Guests, structs.Guest{InstanceID: id, Generation: max(st.Generation, tasks[id].Generation()), Power: structs.PowerState(st.Power)})
	}
	for id, t := range tasks { // about to be made
		if byID[id] == nil {
			req.Guests = append(req.Guests, structs.Guest{InstanceID: id, Generation: t.Generation()})
		}
	}
	resp, err := call[structs.HostReconcileResponse](ctx, h.c, "Host.Reconcile", req)
	if err != nil {
		if structs.IsKind(err, structs.KindConflict) {
			h.reregister()
		}
		return err
	}
	h.mu.Lock()
	h.images = append(make([]string, 0, len(resp.Images)), resp.Images...)
	h.mu.Unlock()
	var errs []error
	for _, g := range resp.Unknown {
		h.c.logger.Warn("this host has a guest that the cluster does not know; it is left alone", "host", h.cfg.Name, "instance_id", g.InstanceID)
	}
	for _, g := range resp.Destroy {
		errs = append(errs, h.destroyLeftover(ctx, g, tasks[g.InstanceID]))
	}
	for _, w := range resp.Instances {
		errs = append(errs, h.reconcileOne(ctx, w.Instance, byID[w.Instance.ID], tasks[w.Instance.ID]))
	}
	return errors.Join(errs...)
}

func (h *Host) destroyLeftover(ctx context.Context, g structs.Guest, task *runner.Task) error {
	ctx, cancel := context.WithTimeout(ctx, driverPatience)
	defer cancel()
	h.c.logger.Info("destroying what is left of an instance that was deleted or moved", "host", h.cfg.Name, "instance_id", g.InstanceID)
	if err := h.runner.Abandon(ctx, task); err != nil {
		return err
	}
	err := h.driver.Destroy(ctx, &driver.DestroyRequest{DestroyDisks: true,
		InstanceRef: driver.InstanceRef{InstanceID: string(g.InstanceID), OperationID: "cleanup", Generation: g.Generation}})
	if err != nil {
		return fmt.Errorf("destroy leftover %s: %w", g.InstanceID, err)
	}
	h.runner.Forget(g.InstanceID)
	h.observe(structs.InstanceSync{InstanceID: g.InstanceID, Generation: g.Generation, CleanedUp: true})
	return nil
}

// reconcileOne looks after an instance that belongs here and to which, for the cluster, nothing is being done.
func (h *Host) reconcileOne(ctx context.Context, ins *structs.Instance, st *driver.InstanceStatus, task *runner.Task) error {
	ctx, cancel := context.WithTimeout(ctx, driverPatience)
	defer cancel()
	if err := h.runner.Abandon(ctx, task); err != nil {
		return err
	}
	if h.runner.Busy(ins.ID) {
		return nil // something newer: its end tells what is there
	}
	if st == nil {
		var err error
		st, err = h.driver.Recover(ctx, runner.SpecOf(ins))
		if errors.Is(err, driver.ErrNotFound) {
			h.observe(structs.InstanceSync{InstanceID: ins.ID, Generation: ins.Generation, Missing: true, Reason: "the hypervisor has nothing of it"})
			return nil
		}
		if err != nil {
			return fmt.Errorf("recover %s: %w", ins.ID, err)
		}
	}
	if task == nil && structs.PowerState(st.Power) == ins.Power {
		return nil
	}
	if err := h.runner.Look(ctx, ins.ID); err != nil { // the list is older than the cluster's answer
		return fmt.Errorf("look at %s: %w", ins.ID, err)
	}
	return nil
}
