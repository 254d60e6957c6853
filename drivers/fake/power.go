package fake

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func wrongState(g *guest, action string) error {
	return driver.Errorf(driver.KindConflict, "instance %s cannot be %s: its power state is %d", g.ID, action, g.Power)
}

// move makes a call that takes a guest from one of some states to another; being there is success.
func (d *Driver) move(ctx context.Context, method, action string, ref *driver.InstanceRef, to driver.PowerState, from ...driver.PowerState) error {
	return d.change(ctx, method, ref, func(g *guest) error {
		if g.Power == to {
			return nil
		}
		for _, f := range from {
			if g.Power == f {
				g.setPower(to, "", d.now())
				return nil
			}
		}
		return wrongState(g, action)
	})
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, ref *driver.InstanceRef) error {
	return d.move(ctx, "start", "started", ref, driver.PowerRunning, driver.PowerShutdown, driver.PowerCrashed)
}

// Pause implements driver.Driver.
func (d *Driver) Pause(ctx context.Context, ref *driver.InstanceRef) error {
	return d.move(ctx, "pause", "paused", ref, driver.PowerPaused, driver.PowerRunning)
}

// Unpause implements driver.Driver.
func (d *Driver) Unpause(ctx context.Context, ref *driver.InstanceRef) error {
	return d.move(ctx, "unpause", "unpaused", ref, driver.PowerRunning, driver.PowerPaused)
}

// Suspend implements driver.Driver.
func (d *Driver) Suspend(ctx context.Context, ref *driver.InstanceRef) error {
	return d.move(ctx, "suspend", "suspended", ref, driver.PowerSuspended, driver.PowerRunning)
}

// Resume implements driver.Driver.
func (d *Driver) Resume(ctx context.Context, ref *driver.InstanceRef) error {
	return d.move(ctx, "resume", "resumed", ref, driver.PowerRunning, driver.PowerSuspended)
}

// Stop implements driver.Driver. A guest shuts down as soon as it is asked, unless it is stubborn.
func (d *Driver) Stop(ctx context.Context, req *driver.StopRequest) error {
	if err := d.grace(ctx, &req.InstanceRef, "stop", req.Timeout); err != nil {
		return err
	}
	return d.change(ctx, "stop", &req.InstanceRef, func(g *guest) error {
		if !g.off() {
			g.setPower(driver.PowerShutdown, "", d.now())
		}
		return nil
	})
}

// Reboot implements driver.Driver. A guest that is off is started.
func (d *Driver) Reboot(ctx context.Context, req *driver.RebootRequest) error {
	switch req.Type {
	case driver.RebootSoft:
		if err := d.grace(ctx, &req.InstanceRef, "reboot", req.Timeout); err != nil {
			return err
		}
	case driver.RebootHard:
	default:
		return invalid("reboot type %q: %s or %s is right", req.Type, driver.RebootSoft, driver.RebootHard)
	}
	return d.change(ctx, "reboot", &req.InstanceRef, func(g *guest) error {
		g.setPower(driver.PowerShutdown, "", d.now())
		g.setPower(driver.PowerRunning, "", d.now())
		return nil
	})
}

// grace gives a stubborn guest its time to shut down, which it lets pass. It returns early when the guest goes off for
// another reason, and answers nothing but ctx's end: the call that follows finds what else is wrong.
func (d *Driver) grace(ctx context.Context, ref *driver.InstanceRef, method string, timeout time.Duration) error {
	if timeout <= 0 {
		return nil
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		d.mu.Lock()
		g, changed := d.guests[ref.InstanceID], d.changed
		wait := g != nil && g.State == stateDefined && g.Stubborn && g.Power == driver.PowerRunning &&
			d.fenceLocked(ref) == nil && d.host.Powered && g.Done != method+"/"+ref.OperationID
		d.mu.Unlock()
		if !wait {
			return nil
		}
		select {
		case <-timer.C:
			return nil
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// running is for a call that needs a running guest and changes nothing that shows.
func (d *Driver) running(ctx context.Context, method, action string, ref *driver.InstanceRef, f func(*guest)) error {
	return d.change(ctx, method, ref, func(g *guest) error {
		if g.Power != driver.PowerRunning {
			return wrongState(g, action)
		}
		f(g)
		return nil
	})
}

// TriggerCrashDump implements driver.Driver.
func (d *Driver) TriggerCrashDump(ctx context.Context, ref *driver.InstanceRef) error {
	return d.running(ctx, "trigger_crash_dump", "sent an NMI", ref, func(*guest) {})
}

// SetAdminPassword implements driver.Driver.
func (d *Driver) SetAdminPassword(ctx context.Context, req *driver.PasswordRequest) error {
	if req.Password == "" {
		return invalid("the password is empty")
	}
	return d.running(ctx, "set_admin_password", "given a password", &req.InstanceRef, func(*guest) {})
}

// Quiesce implements driver.Driver.
func (d *Driver) Quiesce(ctx context.Context, ref *driver.InstanceRef) error {
	return d.running(ctx, "quiesce", "quiesced", ref, func(g *guest) { g.Quiesced = true })
}

// Unquiesce implements driver.Driver.
func (d *Driver) Unquiesce(ctx context.Context, ref *driver.InstanceRef) error {
	return d.running(ctx, "unquiesce", "unquiesced", ref, func(g *guest) { g.Quiesced = false })
}
