package drivermanager

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/plugins/fanout"
)

// DriverConfig says what one host wants of a plugin.
//
// The callbacks are called one at a time each, from goroutines of the Driver; Close waits for those under way, so they must
// not wait for Close, and return when the Driver's calls answer errors.
type DriverConfig struct {
	// Host is the simulated host's name; "" for the machine itself.
	Host string
	// DriverConfig is the driver's block of the agent's configuration.
	DriverConfig json.RawMessage
	// OnFingerprint gets each fingerprint of the host, and one that is not healthy when the plugin has been down for
	// unhealthyAfter or refuses its configuration.
	OnFingerprint func(*driver.Fingerprint)
	// OnEvent gets what guests do of their own accord. Events of a time when the plugin was down are lost: compare in
	// OnRestart.
	OnEvent func(*driver.Event)
	// OnRestart is called when a plugin that crashed is back and configured. The agent then calls Recover for each
	// instance. It is not called for the first plugin, whether started or re-attached. Restarts that happen while it runs
	// are one more call.
	OnRestart func()
}

const (
	// unhealthyAfter is how long a plugin may be down before its hosts count as unhealthy: a crash and a quick restart
	// should not move instances about.
	unhealthyAfter = 5 * time.Second

	minRetry = 100 * time.Millisecond
	maxRetry = 15 * time.Second

	eventBacklog = 4096
)

// Driver is one host's driver. It is a driver.Driver whose calls go to the plugin that runs at the moment:
//
//   - While there is none, or it is not configured yet, a call waits until its context ends and then answers an error that
//     is both ErrUnavailable (retryable) and the context's.
//   - A call that broke because the plugin died answers a retryable ErrUnavailable. It may have had its effect.
//   - When the plugin refuses the configuration for good, calls answer that refusal at once.
//   - After Close or Shutdown calls answer ErrUnavailable, not retryable.
//
// Its Fingerprint and Events channels go on across restarts of the plugin, until their context or the Driver ends.
type Driver struct {
	plugin *Plugin
	config DriverConfig
	logger hclog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	fingerprints fanout.Hub[driver.Fingerprint]
	events       fanout.Hub[driver.Event]
	restarts     chan struct{} // of one: OnRestart is due

	configuring sync.Mutex // held while a configuration is on its way, so that the newest is the last

	// mu guards what follows.
	mu        sync.Mutex
	raw       []byte         // the configuration
	client    *driver.Client // of a live and configured plugin, else nil
	current   *live          // what client is of, or will be
	refused   error          // by the live plugin, for good
	changed   chan struct{}  // closed and replaced when client, refused or closed changes
	lastPrint *driver.Fingerprint
	lastError string
	closed    bool
}

var _ driver.Driver = (*Driver)(nil)

// Driver begins to use the plugin for one host: it configures it, now and after each restart, and keeps its streams open.
// It returns at once. A host has one Driver at a time.
func (p *Plugin) Driver(config DriverConfig) *Driver {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Driver{
		plugin: p, config: config, logger: p.config.Logger, ctx: ctx, cancel: cancel,
		raw: config.DriverConfig, changed: make(chan struct{}), restarts: make(chan struct{}, 1),
	}
	if config.Host != "" {
		d.logger = d.logger.With("host", config.Host)
	}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.drivers[d] = struct{}{}
	}
	p.mu.Unlock()
	if closed {
		d.Close()
		return d
	}
	d.work.Go(d.run)
	if config.OnRestart != nil {
		d.work.Go(d.restarted)
	}
	return d
}

// Close ends the Driver. The plugin goes on, and the guests. Callbacks have returned when it returns.
func (d *Driver) Close() {
	d.mu.Lock()
	d.closed, d.client = true, nil
	d.notifyLocked()
	d.mu.Unlock()
	d.cancel()
	d.work.Wait()
	d.fingerprints.Close()
	d.events.Close()
	d.plugin.mu.Lock()
	delete(d.plugin.drivers, d)
	d.plugin.mu.Unlock()
}

func (d *Driver) notifyLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// acquire returns the client of a live and configured plugin.
func (d *Driver) acquire(ctx context.Context) (*driver.Client, error) {
	for {
		d.mu.Lock()
		client, refused, changed, closed, last := d.client, d.refused, d.changed, d.closed, d.lastError
		if d.current != nil && d.current.ended() {
			client, refused = nil, nil // run is about to notice
		}
		d.mu.Unlock()
		switch {
		case closed:
			return nil, errClosed(d.plugin.config.Name)
		case client != nil:
			return client, nil
		case refused != nil:
			return nil, refused
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if down := d.plugin.down(); down != "" {
				last = down
			}
			return nil, unavailable(ctx, d.plugin.config.Name, last)
		}
	}
}

// down is why the plugin does not run, "" when it does.
func (p *Plugin) down() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != nil {
		return ""
	}
	return p.lastError
}

// run follows the plugin from process to process.
func (d *Driver) run() {
	var last *live
	for {
		l, err := d.await(last)
		if err != nil {
			return // closed
		}
		d.serve(l, last != nil)
		last = l
	}
}

// await waits for the next process, and says so when that takes long.
func (d *Driver) await(last *live) (*live, error) {
	ctx, cancel := context.WithTimeout(d.ctx, unhealthyAfter)
	l, err := d.plugin.next(ctx, last)
	cancel()
	if err == nil || d.ctx.Err() != nil {
		return l, err
	}
	d.unhealthy(err)
	return d.plugin.next(d.ctx, last)
}

// serve uses one process until it ends or the Driver closes.
func (d *Driver) serve(l *live, again bool) {
	ctx, cancel := context.WithCancel(d.ctx)
	defer cancel()
	gone := make(chan struct{})
	go func() { // ends with l or the Driver, whichever is first
		defer close(gone)
		select {
		case <-l.proc.exited:
		case <-l.proc.released:
		case <-ctx.Done():
		}
		cancel()
	}()
	defer func() { <-gone }()

	d.mu.Lock()
	d.current = l
	d.mu.Unlock()
	defer d.leave()
	if !d.configure(ctx, l) {
		return
	}
	if again {
		select {
		case d.restarts <- struct{}{}:
		default: // one is due already
		}
	}
	client := l.conn.Client(d.config.Host)
	var streams sync.WaitGroup
	streams.Go(func() { follow(ctx, d, "fingerprint", client.Fingerprint, d.fingerprint) })
	streams.Go(func() { follow(ctx, d, "events", client.Events, d.event) })
	streams.Wait()
}

// leave is the end of a process.
func (d *Driver) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.client, d.current, d.refused = nil, nil, nil
	d.notifyLocked()
}

// configure hands the configuration to a new process until it takes it; false when ctx ended first. A refusal for good is
// waited out: for Configure with a better one, or the next process.
func (d *Driver) configure(ctx context.Context, l *live) bool {
	for retry := minRetry; ; retry = min(2*retry, maxRetry) {
		if d.configured() {
			return true // Configure did it
		}
		err := d.apply(ctx, l, nil)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		d.logger.Error("the driver does not take its configuration", "error", err)
		d.unhealthy(err)
		again := time.NewTimer(retry)
		timer := again.C
		d.mu.Lock()
		changed := d.changed
		if d.refused != nil {
			timer = nil
		} else {
			changed = nil
		}
		d.mu.Unlock()
		select {
		case <-changed:
		case <-timer:
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}

func (d *Driver) configured() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.client != nil
}

// hopeless says that the same configuration would be refused again.
func hopeless(err error) bool {
	return driver.KindOf(err) == driver.KindInvalid && !driver.Retryable(err)
}

// apply configures a process with raw, nil for what there is. When it is taken, it is the configuration from now on.
func (d *Driver) apply(ctx context.Context, l *live, raw []byte) error {
	d.configuring.Lock()
	defer d.configuring.Unlock()
	d.mu.Lock()
	if raw == nil {
		raw = d.raw
	}
	d.mu.Unlock()
	client := l.conn.Client(d.config.Host)
	err := client.Configure(ctx, raw)

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != l || d.closed {
		if err == nil {
			err = driver.Errorf(driver.KindUnavailable, "driver %s ended while it was configured", d.plugin.config.Name)
		}
		return err
	}
	switch {
	case err == nil:
		d.raw, d.client, d.refused = raw, client, nil
	case d.client != nil: // it goes on with the one before
		d.lastError = err.Error()
		return err
	case hopeless(err):
		d.refused = err
		d.lastError = err.Error()
	default:
		d.lastError = err.Error()
		return err
	}
	d.notifyLocked()
	return err
}

// Configure implements driver.Driver: the configuration is also that of every process to come. One that is refused changes
// nothing.
func (d *Driver) Configure(ctx context.Context, config []byte) error {
	for {
		d.mu.Lock()
		l, changed, closed := d.current, d.changed, d.closed
		d.mu.Unlock()
		if closed {
			return errClosed(d.plugin.config.Name)
		}
		if l != nil {
			if config == nil {
				config = []byte{}
			}
			return d.apply(ctx, l, config)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return unavailable(ctx, d.plugin.config.Name, d.plugin.down())
		}
	}
}

// restarted calls OnRestart, until the Driver closes.
func (d *Driver) restarted() {
	for {
		select {
		case <-d.restarts:
			d.config.OnRestart()
		case <-d.ctx.Done():
			return
		}
	}
}

// Status returns the host's status at this moment.
func (d *Driver) Status() HostStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := HostStatus{Host: d.config.Host, Configured: d.client != nil, LastError: d.lastError}
	if d.lastPrint != nil {
		s.Healthy, s.HealthDescription = d.lastPrint.Healthy, d.lastPrint.HealthDescription
	}
	return s
}
