package drivermanager

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// follow keeps one stream of a process open until ctx ends, and delivers what it brings. A stream that fails or closes is
// opened again, each time later; the first value makes it quick again.
func follow[T any](
	ctx context.Context, d *Driver, what string, open func(context.Context) (<-chan *T, error), deliver func(*T),
) {
	retry := minRetry
	for {
		ch, err := open(ctx)
		if err == nil {
			for v := range ch {
				retry = minRetry
				deliver(v)
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.note(err)
			d.logger.Warn("the driver's stream failed: opening it again", "stream", what, "in", retry, "error", err)
		}
		timer := time.NewTimer(retry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		retry = min(2*retry, maxRetry)
	}
}

func (d *Driver) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastError = err.Error()
}

// fingerprint is called by one goroutine at a time: run's own, or the stream's that run waits for.
func (d *Driver) fingerprint(f *driver.Fingerprint) {
	d.mu.Lock()
	d.lastPrint = f
	d.fingerprints.Publish(f) // under mu, so that a new subscriber sees each value once
	d.mu.Unlock()
	if d.config.OnFingerprint != nil {
		d.config.OnFingerprint(f)
	}
}

// unhealthy makes a fingerprint up: what was known last, and why the host is of no use at the moment.
func (d *Driver) unhealthy(why error) {
	d.mu.Lock()
	f := &driver.Fingerprint{}
	if d.lastPrint != nil {
		*f = *d.lastPrint
	}
	d.lastError = why.Error()
	d.mu.Unlock()
	f.Healthy, f.HealthDescription = false, why.Error()
	d.fingerprint(f)
}

func (d *Driver) event(e *driver.Event) {
	d.events.Publish(e)
	if d.config.OnEvent != nil {
		d.config.OnEvent(e)
	}
}

// Fingerprint implements driver.Driver. The first value is the newest one known; there is none before the plugin's own
// first. A slow reader gets the newest value, not every one.
func (d *Driver) Fingerprint(ctx context.Context) (<-chan *driver.Fingerprint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed(d.plugin.config.Name)
	}
	return d.fingerprints.Subscribe(ctx, 1, d.lastPrint), nil
}

// Events implements driver.Driver. A reader that is eventBacklog behind loses the oldest.
func (d *Driver) Events(ctx context.Context) (<-chan *driver.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed(d.plugin.config.Name)
	}
	return d.events.Subscribe(ctx, eventBacklog, nil), nil
}
