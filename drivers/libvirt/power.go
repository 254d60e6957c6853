package libvirt

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// stopPoll is how often a guest that was asked to shut down is looked at.
const stopPoll = 200 * time.Millisecond

// startPoll is how often a guest that somebody else is starting is looked at.
const startPoll = 50 * time.Millisecond

// beginPower is begin for the calls that act on a guest that exists: it checks the generation and finds the guest.
// Errors: ErrNotFound, ErrConflict for a stale generation, ErrUnavailable, ErrTimeout.
func (d *Driver) beginPower(ctx context.Context, ref driver.InstanceRef) (*host, *guest, func(), error) {
	h, unlock, err := d.begin(ctx, ref.InstanceID)
	if err != nil {
		return nil, nil, nil, err
	}
	err = h.fences.check(ref)
	var g *guest
	if err == nil {
		g, err = h.mustFind(ctx, ref.InstanceID)
	}
	if err == nil {
		err = h.fences.admit(ref, g.meta.Generation)
	}
	if err != nil {
		unlock()
		return nil, nil, nil, err
	}
	return h, g, unlock, nil
}

// act makes a call that changes a guest's power: it finds the guest and its state and has f do it, unless the call is a
// repetition of the last one that was completed.
func (d *Driver) act(ctx context.Context, ref driver.InstanceRef, method string, f func(*host, *guest, power) error) error {
	h, g, unlock, err := d.beginPower(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	if done, err := h.fences.done(ref, method); done || err != nil {
		return err
	}
	p, err := h.settled(ctx, g)
	if err != nil {
		return err
	}
	h.log.Debug("power call", "method", method, "instance_id", g.id, "state", p.driverState())
	if err := f(h, g, p); err != nil {
		return err
	}
	return h.fences.note(ref, method)
}

// Start powers the guest on; one whose memory is saved goes on where it was. A running guest is success, a paused one
// ErrConflict.
func (d *Driver) Start(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, *ref, "start", func(h *host, g *guest, p power) error {
		if p.state == golibvirt.DomainPaused {
			return conflict("instance %s is paused; unpause it", g.id)
		}
		return h.powerOn(ctx, g)
	})
}

// powerOn starts the hypervisor process, unless it runs.
func (h *host) powerOn(ctx context.Context, g *guest) error {
	p, err := h.settled(ctx, g)
	if err != nil {
		return err
	}
	if p.on() {
		// It was started by a call that went on after its caller had left.
		return fileError(describe("start", g.id), g.folder.noteStart())
	}
	// What an earlier run left behind would be a wrong time of start, or keep QEMU from listening.
	for _, stale := range []string{g.folder.started(), g.folder.vncSocket()} {
		if err := os.Remove(stale); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(describe("start", g.id), err)
		}
	}
	err = do(ctx, h.slow, describe("start", g.id), func(s *session) error {
		_, err := s.DomainCreateWithFlags(g.domain, 0)
		return err
	})
	if err != nil {
		// Another process may have been faster, or the answer was lost; then it runs, as it should.
		if p, stateErr := h.settled(ctx, g); stateErr != nil || !p.on() {
			return err
		}
	}
	return fileError(describe("start", g.id), g.folder.noteStart())
}

// settled is power that waits while a start is under way: a caller that left does not stop it, and libvirt shows the
// guest as paused until its end.
func (h *host) settled(ctx context.Context, g *guest) (power, error) {
	for {
		p, err := h.power(ctx, g)
		if err != nil || !p.starting() {
			return p, err
		}
		select {
		case <-time.After(startPoll):
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
}

// Stop asks the guest to shut down and cuts its power when req.Timeout has passed; with 0 at once. A stopped guest is
// success; what was saved of a suspended one's memory is thrown away, as it would be when the power is cut.
func (d *Driver) Stop(ctx context.Context, req *driver.StopRequest) error {
	return d.act(ctx, req.InstanceRef, "stop", func(h *host, g *guest, p power) error {
		if !p.on() {
			return h.forgetMemory(ctx, g, p)
		}
		if down, err := h.shutDown(ctx, g, req.Timeout); down || err != nil {
			return err
		}
		return h.powerOff(ctx, g)
	})
}

// forgetMemory removes a saved memory image.
func (h *host) forgetMemory(ctx context.Context, g *guest, p power) error {
	if !p.saved {
		return nil
	}
	return do(ctx, h.link, describe("forget the saved memory of", g.id), func(s *session) error {
		return s.DomainManagedSaveRemove(g.domain, 0)
	})
}

// shutDown presses the guest's power button, again and again since a guest that boots does not see it, until the guest
// is off (true) or the time is up (false). That libvirtd cannot be reached meanwhile ends nothing: the guest may well be
// shutting down. A guest that does not execute, being paused, is not waited for.
func (h *host) shutDown(ctx context.Context, g *guest, timeout time.Duration) (bool, error) {
	if timeout <= 0 {
		return false, nil
	}
	end := time.NewTimer(timeout)
	defer end.Stop()
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	var pressed time.Time
	for {
		p, err := h.power(ctx, g)
		switch {
		case isKind(err, driver.KindUnavailable), isKind(err, driver.KindTimeout):
		case err != nil:
			return false, err
		case !p.on():
			return true, nil
		case p.state == golibvirt.DomainPaused || p.state == golibvirt.DomainCrashed || p.state == golibvirt.DomainPmsuspended:
			return false, nil
		case time.Since(pressed) >= time.Duration(h.cfg.ShutdownRetry):
			pressed = time.Now()
			if err := h.pressPowerButton(ctx, g); err != nil && ctx.Err() == nil {
				h.log.Debug("the power button had no effect", "instance_id", g.id, "error", err)
			}
		}
		select {
		case <-poll.C:
		case <-end.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (h *host) pressPowerButton(ctx context.Context, g *guest) error {
	return do(ctx, h.link, describe("press the power button of", g.id), func(s *session) error {
		return s.DomainShutdownFlags(g.domain, golibvirt.DomainShutdownAcpiPowerBtn)
	})
}

// Reboot stops the guest, softly or hard, and starts it; one that is off is started. libvirt's own reboot is not used:
// nothing says when it is done, and a driver that died half-way could not tell whether it was.
func (d *Driver) Reboot(ctx context.Context, req *driver.RebootRequest) error {
	if req.Type != driver.RebootSoft && req.Type != driver.RebootHard {
		return invalid("reboot type %q is not known; it may be %s or %s", req.Type, driver.RebootSoft, driver.RebootHard)
	}
	return d.act(ctx, req.InstanceRef, "reboot", func(h *host, g *guest, p power) error {
		if err := h.forgetMemory(ctx, g, p); err != nil {
			return err
		}
		down := !p.on()
		if !down && req.Type == driver.RebootSoft {
			timeout := req.Timeout
			if timeout <= 0 {
				timeout = time.Duration(h.cfg.SoftRebootTimeout)
			}
			var err error
			if down, err = h.shutDown(ctx, g, timeout); err != nil {
				return err
			}
		}
		if !down {
			if err := h.powerOff(ctx, g); err != nil {
				return err
			}
		}
		return h.powerOn(ctx, g)
	})
}

// Pause stops the guest's processors; its memory stays. A paused guest is success, one that is off ErrConflict.
func (d *Driver) Pause(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, *ref, "pause", func(h *host, g *guest, p power) error {
		switch {
		case p.state == golibvirt.DomainPaused:
			return nil
		case !p.on():
			return notRunning(g, p)
		}
		return do(ctx, h.link, describe("pause", g.id), func(s *session) error { return s.DomainSuspend(g.domain) })
	})
}

// Unpause lets a paused guest go on. A running guest is success, one that is off ErrConflict.
func (d *Driver) Unpause(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, *ref, "unpause", func(h *host, g *guest, p power) error {
		switch {
		case !p.on():
			return notRunning(g, p)
		case p.state != golibvirt.DomainPaused:
			return nil
		}
		return do(ctx, h.link, describe("unpause", g.id), func(s *session) error { return s.DomainResume(g.domain) })
	})
}

// Suspend writes the guest's memory to disk and ends its process. A suspended guest is success, one that is off without
// saved memory ErrConflict.
func (d *Driver) Suspend(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, *ref, "suspend", func(h *host, g *guest, p power) error {
		switch {
		case p.saved:
			return nil
		case !p.on():
			return notRunning(g, p)
		}
		return do(ctx, h.slow, describe("suspend", g.id), func(s *session) error {
			return s.DomainManagedSave(g.domain, uint32(golibvirt.DomainSaveRunning))
		})
	})
}

// Resume brings a suspended guest back. A running guest is success, one that is off without saved memory ErrConflict.
func (d *Driver) Resume(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, *ref, "resume", func(h *host, g *guest, p power) error {
		switch {
		case p.on():
			return nil
		case !p.saved:
			return conflict("instance %s is not suspended (%s); start it instead", g.id, p.text())
		}
		return h.powerOn(ctx, g)
	})
}

// TriggerCrashDump injects a non-maskable interrupt, on which a guest's kernel that is set up for it dumps its memory.
func (d *Driver) TriggerCrashDump(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, *ref, "crash", func(h *host, g *guest, p power) error {
		if !p.on() {
			return notRunning(g, p)
		}
		return do(ctx, h.link, describe("send an NMI to", g.id), func(s *session) error { return s.DomainInjectNmi(g.domain, 0) })
	})
}

func notRunning(g *guest, p power) error {
	reason := p.text()
	if reason == "" {
		reason = "powered off"
	}
	return conflict("instance %s is not running (%s); start it first", g.id, reason)
}
