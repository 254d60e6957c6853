package drivermanager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Plugin is one supervised plugin process. It is started, or re-attached to, by New, and started again whenever it ends
// without having been asked. All methods are safe for concurrent use.
type Plugin struct {
	config *Config         // never changed; its Command is that of the first process
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	done   chan struct{} // closed when the supervisor has returned

	shutdown sync.Mutex // held by Shutdown, so that a second waits for the first

	// mu guards what follows.
	mu          sync.Mutex
	command     []string      // of the next process
	live        *live         // nil while there is none
	changed     chan struct{} // closed and replaced when live changes
	drivers     map[*Driver]struct{}
	state       State
	restarts    int
	lastError   string
	lastErrorAt time.Time
	missed      int // pings in a row
	closed      bool
}

// New checks the configuration and begins to supervise: it returns before the plugin runs, and a plugin that cannot be
// started is tried again and again. WaitReady waits.
func New(config Config) (*Plugin, error) {
	if err := config.setDefaults(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Plugin{
		config: &config, ctx: ctx, cancel: cancel, done: make(chan struct{}),
		changed: make(chan struct{}), drivers: map[*Driver]struct{}{}, state: StateStarting, command: config.Command,
	}
	go p.supervise()
	return p, nil
}

// SetCommand changes the plugin's argv, nil for this program, from the next process on. The one that runs goes on; an agent that begins later replaces it.
func (p *Plugin) SetCommand(command []string) error {
	command, err := commandOf(p.config.Name, command)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.command = command
	p.mu.Unlock()
	return nil
}

// nextConfig is the configuration of the next process.
func (p *Plugin) nextConfig() *Config {
	c := *p.config
	p.mu.Lock()
	c.Command = p.command
	p.mu.Unlock()
	return &c
}

// WaitReady waits until the plugin runs. When ctx ends before, the error says why the plugin does not run yet.
func (p *Plugin) WaitReady(ctx context.Context) error {
	_, err := p.next(ctx, nil)
	return err
}

// next waits for a live plugin other than old.
func (p *Plugin) next(ctx context.Context, old *live) (*live, error) {
	for {
		p.mu.Lock()
		l, changed, closed, last := p.live, p.changed, p.closed, p.lastError
		p.mu.Unlock()
		if closed {
			return nil, errClosed(p.config.Name)
		}
		if l != nil && l != old {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, unavailable(ctx, p.config.Name, last)
		}
	}
}

func errClosed(name string) error {
	return &driver.Error{Kind: driver.KindUnavailable, Message: "driver " + name + ": the agent is shutting down"}
}

// unavailable is both ErrUnavailable and the context's error.
func unavailable(ctx context.Context, name, last string) error {
	if last == "" {
		last = "it has not started yet"
	}
	return fmt.Errorf("%w (%w)", driver.Errorf(driver.KindUnavailable, "driver %s does not run: %s", name, last), ctx.Err())
}

// supervise keeps the plugin running until Shutdown.
func (p *Plugin) supervise() {
	defer close(p.done)
	backoff := p.config.MinBackoff
	for {
		l, err := bring(p.ctx, p.nextConfig())
		if p.ctx.Err() != nil {
			if l != nil {
				p.publish(l) // for Shutdown to detach or kill
			}
			return
		}
		if err == nil {
			p.publish(l)
			err = p.watch(l)
			if err == nil {
				return // Shutdown
			}
			p.lose(l)
			if time.Since(l.since) > settled {
				backoff = p.config.MinBackoff
			}
		}
		p.fail(err)
		p.config.Logger.Error("the driver plugin is down: starting it again", "in", backoff, "error", err)
		if !p.pause(backoff) {
			return
		}
		backoff = min(2*backoff, p.config.MaxBackoff)
	}
}

// pause answers false when Shutdown came in between.
func (p *Plugin) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// watch returns why the plugin has ended, nil for Shutdown. A plugin that does not answer is killed.
func (p *Plugin) watch(l *live) error {
	tick := time.NewTicker(p.config.PingInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return nil
		case <-l.proc.exited:
			if l.proc.exit != nil {
				return fmt.Errorf("pid %d ended: %w", l.proc.pid, l.proc.exit)
			}
			return fmt.Errorf("pid %d ended", l.proc.pid)
		case <-tick.C:
			if err := p.ping(l); err != nil {
				return errors.Join(err, end(l.proc))
			}
		}
	}
}

// ping returns an error when the plugin has missed too many.
func (p *Plugin) ping(l *live) error {
	ctx, cancel := context.WithTimeout(p.ctx, p.config.PingInterval)
	defer cancel()
	_, err := l.conn.Client("").Describe(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || p.ctx.Err() != nil {
		p.missed = 0
		return nil
	}
	p.missed++
	p.failLocked(fmt.Errorf("pid %d does not answer: %w", l.proc.pid, err))
	if p.missed < maxMissed {
		return nil
	}
	return fmt.Errorf("pid %d hangs: it did not answer %d times, %v apart", l.proc.pid, p.missed, p.config.PingInterval)
}

func (p *Plugin) publish(l *live) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live, p.state, p.missed = l, StateRunning, 0
	p.notifyLocked()
}

// lose forgets a plugin that has ended, and what it left behind.
func (p *Plugin) lose(l *live) {
	p.mu.Lock()
	p.live, p.state = nil, StateRestarting
	p.restarts++
	p.notifyLocked()
	p.mu.Unlock()
	l.detach()
	l.record.forget(p.config)
}

func (p *Plugin) notifyLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Plugin) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failLocked(err)
}

func (p *Plugin) failLocked(err error) {
	p.lastError, p.lastErrorAt = err.Error(), time.Now()
}

// Shutdown ends the supervision and every Driver of the plugin: calls under way and to come answer ErrUnavailable,
// callbacks have returned when it returns. kill ends the process, gracefully and then by force, and removes its re-attach
// information; else the process goes on for a later agent. Guests are touched by neither. The error is of a process that
// could not be ended. A second Shutdown does nothing more.
func (p *Plugin) Shutdown(kill bool) error {
	p.shutdown.Lock()
	defer p.shutdown.Unlock()
	p.mu.Lock()
	p.closed = true
	p.notifyLocked()
	drivers := make([]*Driver, 0, len(p.drivers))
	for d := range p.drivers {
		drivers = append(drivers, d)
	}
	p.mu.Unlock()
	for _, d := range drivers {
		d.Close()
	}
	p.cancel()
	<-p.done

	p.mu.Lock()
	l := p.live
	p.live, p.state = nil, StateStopped
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	if !kill {
		l.detach()
		p.config.Logger.Info("left the driver plugin running", "pid", l.proc.pid)
		return nil
	}
	if err := l.kill(p.config); err != nil {
		return err
	}
	p.config.Logger.Info("ended the driver plugin", "pid", l.proc.pid)
	return nil
}
