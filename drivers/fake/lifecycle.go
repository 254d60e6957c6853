package fake

import (
	"cmp"
	"context"
	"slices"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// fenceLocked refuses a generation that is older than one seen before.
func (d *Driver) fenceLocked(ref *driver.InstanceRef) error {
	seen := d.graves.gens[ref.InstanceID]
	if g := d.guests[ref.InstanceID]; g != nil {
		seen = max(seen, g.Generation)
	}
	if ref.Generation < seen {
		return driver.Errorf(driver.KindConflict, "instance %s: generation %d is stale: %d was here",
			ref.InstanceID, ref.Generation, seen)
	}
	return nil
}

// findLocked returns the guest of a call, fenced, having taken the call's generation. A new generation is written down
// even if the call goes on to fail: it has been seen.
func (d *Driver) findLocked(ref *driver.InstanceRef) (*guest, error) {
	if err := d.fenceLocked(ref); err != nil {
		return nil, err
	}
	g := d.guests[ref.InstanceID]
	if g == nil || g.State != stateDefined {
		return nil, missing(ref.InstanceID)
	}
	if ref.Generation > g.Generation {
		g.Generation = ref.Generation
		if err := d.putLocked(g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func missing(id string) error {
	return driver.Errorf(driver.KindNotFound, "instance %s is not on this host", id)
}

// change runs a call that changes one guest and writes it down. A repetition of the guest's last completed call is success
// and has no effect. f must leave the guest alone when it fails.
func (d *Driver) change(ctx context.Context, method string, ref *driver.InstanceRef, f func(*guest) error) error {
	return d.do(ctx, method, ref.InstanceID, func() error {
		g, err := d.findLocked(ref)
		if err != nil {
			return err
		}
		done := method + "/" + ref.OperationID
		if ref.OperationID != "" && g.Done == done {
			return nil
		}
		if err := f(g); err != nil {
			return err
		}
		g.Done = done
		d.notifyLocked()
		if err := d.putLocked(g); err != nil {
			g.Done = "" // so that the repetition writes
			return err
		}
		return nil
	})
}

// notifyLocked wakes whoever waits for a guest's power.
func (d *Driver) notifyLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// Create implements driver.Driver.
func (d *Driver) Create(ctx context.Context, spec *driver.InstanceSpec) (st *driver.InstanceStatus, err error) {
	err = d.do(ctx, "create", spec.InstanceID, func() error {
		if err := d.fenceLocked(&spec.InstanceRef); err != nil {
			return err
		}
		g := d.guests[spec.InstanceID]
		if g != nil && g.State == stateDefined {
			if g.Shape != spec.OperationID {
				return driver.Errorf(driver.KindConflict, "instance %s exists already, made by operation %q", g.ID, g.Shape)
			}
			g.Generation = max(g.Generation, spec.Generation)
			st = g.status()
			return d.putLocked(g)
		}
		if spec.VCPUs < 1 || spec.MemoryMiB < 1 {
			return invalid("instance %s: %d vcpus and %d MiB of memory: 1 or more of each is right",
				spec.InstanceID, spec.VCPUs, spec.MemoryMiB)
		}
		g = newGuest(spec)
		g.Generation = max(g.Generation, d.graves.gens[g.ID])
		g.setPower(powerFor(spec.PowerOn), "", d.now())
		d.guests[g.ID] = g
		st = g.status()
		return d.putLocked(g)
	})
	if err != nil {
		return nil, err
	}
	return st, nil
}

func powerFor(on bool) driver.PowerState {
	if on {
		return driver.PowerRunning
	}
	return driver.PowerShutdown
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(ctx context.Context, req *driver.DestroyRequest) error {
	return d.do(ctx, "destroy", req.InstanceID, func() error {
		if err := d.fenceLocked(&req.InstanceRef); err != nil {
			return err
		}
		g := d.guests[req.InstanceID]
		if g == nil {
			return nil
		}
		d.notifyLocked()
		if req.DestroyDisks {
			return d.buryLocked(g.ID, req.Generation)
		}
		g.Generation = max(g.Generation, req.Generation)
		g.State = stateDisks
		g.setPower(driver.PowerShutdown, "", d.now())
		return d.putLocked(g)
	})
}

// List implements driver.Driver; the order is that of the ids.
func (d *Driver) List(ctx context.Context) (list []*driver.InstanceStatus, err error) {
	err = d.do(ctx, "list", "", func() error {
		for _, g := range d.guests {
			if g.State == stateDefined {
				list = append(list, g.status())
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b *driver.InstanceStatus) int { return cmp.Compare(a.InstanceID, b.InstanceID) })
	return list, err
}

// read runs a call that looks at one guest.
func (d *Driver) read(ctx context.Context, method, id string, f func(*guest) error) error {
	return d.do(ctx, method, id, func() error {
		g := d.guests[id]
		if g == nil || g.State != stateDefined {
			return missing(id)
		}
		return f(g)
	})
}

// Inspect implements driver.Driver.
func (d *Driver) Inspect(ctx context.Context, instanceID string) (st *driver.InstanceStatus, err error) {
	err = d.read(ctx, "inspect", instanceID, func(g *guest) error {
		st = g.status()
		return nil
	})
	return st, err
}

// Recover implements driver.Driver.
func (d *Driver) Recover(ctx context.Context, spec *driver.InstanceSpec) (st *driver.InstanceStatus, err error) {
	err = d.do(ctx, "recover", spec.InstanceID, func() error {
		if err := d.fenceLocked(&spec.InstanceRef); err != nil {
			return err
		}
		g := d.guests[spec.InstanceID]
		if g == nil || g.State == stateIncoming {
			return missing(spec.InstanceID)
		}
		if g.State == stateDisks {
			shape := g.Shape
			g.shape(spec)
			g.State, g.Shape = stateDefined, cmp.Or(spec.OperationID, shape)
		}
		g.Generation = max(g.Generation, spec.Generation)
		st = g.status()
		return d.putLocked(g)
	})
	return st, err
}

// Rebuild implements driver.Driver.
func (d *Driver) Rebuild(ctx context.Context, spec *driver.InstanceSpec) (st *driver.InstanceStatus, err error) {
	err = d.change(ctx, "rebuild", &spec.InstanceRef, func(g *guest) error {
		g.shape(spec)
		g.Files = slices.Clone(spec.Files)
		g.Rescued = false
		g.setPower(driver.PowerShutdown, "", d.now())
		g.setPower(powerFor(spec.PowerOn), "", d.now())
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.guests[spec.InstanceID]; g != nil {
		return g.status(), nil
	}
	return nil, missing(spec.InstanceID)
}

// Resize implements driver.Driver.
func (d *Driver) Resize(ctx context.Context, spec *driver.InstanceSpec) error {
	return d.change(ctx, "resize", &spec.InstanceRef, func(g *guest) error {
		if !g.off() {
			return driver.Errorf(driver.KindConflict, "instance %s is not stopped: stop it before it is resized", g.ID)
		}
		if spec.RootGiB != 0 && spec.RootGiB < g.RootGiB {
			return invalid("instance %s: the root disk cannot shrink from %d to %d GiB", g.ID, g.RootGiB, spec.RootGiB)
		}
		g.shape(spec)
		return nil
	})
}

// Rescue implements driver.Driver.
func (d *Driver) Rescue(ctx context.Context, spec *driver.InstanceSpec) error {
	return d.change(ctx, "rescue", &spec.InstanceRef, func(g *guest) error {
		if g.Rescued {
			return driver.Errorf(driver.KindConflict, "instance %s is in rescue already", g.ID)
		}
		g.Rescued = true
		g.setPower(driver.PowerShutdown, "", d.now())
		g.setPower(driver.PowerRunning, "", d.now())
		return nil
	})
}

// Unrescue implements driver.Driver. The guest runs afterwards.
func (d *Driver) Unrescue(ctx context.Context, ref *driver.InstanceRef) error {
	return d.change(ctx, "unrescue", ref, func(g *guest) error {
		if !g.Rescued {
			return driver.Errorf(driver.KindConflict, "instance %s is not in rescue", g.ID)
		}
		g.Rescued = false
		g.setPower(driver.PowerShutdown, "", d.now())
		g.setPower(driver.PowerRunning, "", d.now())
		return nil
	})
}
