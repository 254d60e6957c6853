package fake

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// migration is a live migration from this host that is under way.
type migration struct {
	abort, force chan struct{}
	abortOnce    sync.Once
	forceOnce    sync.Once
}

// wire is what two fake hosts have in place of a network: the destination names a place where the source leaves word that the guest has arrived. It works
// where both are on one machine and keep their guests in files; elsewhere the guest is only here or there by the words of the agents.
type wire struct {
	Host     string            `json:"host"`
	Arrivals string            `json:"arrivals,omitempty"` // prefix of a file's path
	Power    driver.PowerState `json:"power,omitempty"`    // that the guest has on the source
}

func encodeWire(w wire) []byte {
	b, _ := json.Marshal(w) // of strings and numbers
	return b
}

// decodeWire reads what encodeWire wrote; anything else says nothing.
func decodeWire(b []byte) (w wire) {
	if json.Unmarshal(b, &w) != nil {
		return wire{}
	}
	return w
}

// waits reports whether the destination still waits for the guest, where that can be seen from here.
func (w wire) waits(id string) bool {
	if w.Arrivals == "" {
		return true
	}
	if _, err := os.Stat(filepath.Dir(w.Arrivals)); err != nil {
		return true // another machine's
	}
	_, err := os.Stat(w.awaited(id))
	return err == nil
}

// awaited is the file by which the destination says that it waits.
func (w wire) awaited(id string) string { return w.Arrivals + id + ".awaited" }

// arrivals is where this host hears of arrivals; "" is nowhere.
func (d *Driver) arrivals() string {
	if d.journal == nil {
		return ""
	}
	return d.journal.path + ".arrived-"
}

// arrivedLocked reports whether the source has let go of the guest for good.
func (d *Driver) arrivedLocked(id string) bool {
	if d.journal == nil {
		return false
	}
	_, err := os.Stat(d.arrivals() + id)
	return err == nil
}

// CheckMigrateDestination implements driver.Driver.
func (d *Driver) CheckMigrateDestination(ctx context.Context, req *driver.MigrateRequest) (c *driver.MigrateCheck, err error) {
	err = d.do(ctx, "check_migrate_destination", req.InstanceID, func() error {
		if err := d.fenceLocked(&req.InstanceRef); err != nil {
			return err
		}
		c = &driver.MigrateCheck{OK: true, Data: encodeWire(wire{Host: d.config.HypervisorHostname, Arrivals: d.arrivals()})}
		if g := d.guests[req.InstanceID]; g != nil && g.State == stateDefined {
			c = &driver.MigrateCheck{Reason: "the instance is on this host already"}
		}
		return nil
	})
	return c, err
}

// CheckMigrateSource implements driver.Driver.
func (d *Driver) CheckMigrateSource(ctx context.Context, req *driver.MigrateRequest) (c *driver.MigrateCheck, err error) {
	err = d.do(ctx, "check_migrate_source", req.InstanceID, func() error {
		g, err := d.findLocked(&req.InstanceRef)
		if err != nil {
			return err
		}
		w := decodeWire(req.CheckData)
		w.Power = g.Power
		c = &driver.MigrateCheck{OK: true, Data: encodeWire(w)}
		if g.off() {
			c = &driver.MigrateCheck{Reason: "the instance does not run"}
		}
		return nil
	})
	return c, err
}

// PrepareMigration implements driver.Driver, on the destination.
func (d *Driver) PrepareMigration(ctx context.Context, req *driver.MigrateRequest) error {
	if req.Spec == nil {
		return invalid("prepare_migration: the spec is missing")
	}
	return d.do(ctx, "prepare_migration", req.InstanceID, func() error {
		if err := d.fenceLocked(&req.InstanceRef); err != nil {
			return err
		}
		if g := d.guests[req.InstanceID]; g != nil && g.State == stateDefined {
			return driver.Errorf(driver.KindConflict, "instance %s is on this host already", g.ID)
		}
		if d.journal != nil {
			if err := os.WriteFile(wire{Arrivals: d.arrivals()}.awaited(req.InstanceID), nil, 0o600); err != nil {
				return driver.Errorf(driver.KindInternal, "prepare_migration: %v", err)
			}
		}
		return d.arriveLocked(req, stateIncoming)
	})
}

// arriveLocked makes the record of a guest that comes from another host, switched off.
func (d *Driver) arriveLocked(req *driver.MigrateRequest, as state) error {
	g := newGuest(req.Spec)
	g.ID, g.State, g.Power = req.InstanceID, as, driver.PowerShutdown
	g.Generation = max(g.Generation, req.Generation)
	d.guests[g.ID] = g
	return d.putLocked(g)
}

const migrationSteps = 10

// LiveMigrate implements driver.Driver, on the source: it takes the latency of live_migrate, in steps, and then the guest is
// gone from here. There is no wire to the destination, where FinishMigration starts what PrepareMigration made.
func (d *Driver) LiveMigrate(ctx context.Context, req *driver.MigrateRequest) (<-chan *driver.MigrateProgress, error) {
	s := d.script.Load()
	m := &migration{abort: make(chan struct{}), force: make(chan struct{})}
	crash, failure := first(s.crashes, "live_migrate", req.InstanceID), first(s.failures, "live_migrate", req.InstanceID)
	if crash != nil && crash.Point == "before" {
		d.crash(crash)
	}
	if failure != nil && failure.Point == "before" {
		return nil, failure.failure
	}
	var memory int64
	err := d.locked(func() error {
		g, err := d.findLocked(&req.InstanceRef)
		if err != nil {
			return err
		}
		if g.off() {
			return wrongState(g, "live-migrated")
		}
		if d.moving[g.ID] != nil {
			return driver.Errorf(driver.KindConflict, "instance %s is being migrated already", g.ID)
		}
		d.moving[g.ID] = m
		memory = g.MemoryMiB << 20
		return nil
	})
	if err != nil {
		return nil, err
	}
	ch := make(chan *driver.MigrateProgress, migrationSteps+1) // never blocks, so that the guest moves whoever reads
	go func() {
		defer close(ch)
		last := &driver.MigrateProgress{Done: true, MemoryTotal: memory, Err: d.carry(m, s.latency["live_migrate"], memory, ch)}
		d.mu.Lock()
		delete(d.moving, req.InstanceID)
		if crash == nil && failure != nil && last.Err == "" {
			last.Err = failure.failure.Message // after the effect of a migration is at its end
		} else if w := decodeWire(req.CheckData); last.Err == "" && !w.waits(req.InstanceID) {
			last.Err = "the destination no longer waits for the guest"
		} else if last.Err == "" {
			if w.Arrivals != "" {
				_ = os.WriteFile(w.Arrivals+req.InstanceID, nil, 0o600) // on another machine there is no such folder
			}
			if err := d.buryLocked(req.InstanceID, req.Generation); err != nil {
				last.Err = err.Error()
			}
		}
		d.mu.Unlock()
		if crash != nil {
			d.crash(crash)
		}
		ch <- last
	}()
	return ch, nil
}

// carry lets the time of a migration pass and answers why it failed, "" when it did not.
func (d *Driver) carry(m *migration, total time.Duration, memory int64, ch chan<- *driver.MigrateProgress) string {
	tick := time.NewTicker(max(total/migrationSteps, time.Millisecond))
	defer tick.Stop()
	for i := range int64(migrationSteps) {
		select {
		case <-tick.C:
			ch <- &driver.MigrateProgress{MemoryTotal: memory, MemoryRemaining: memory * (migrationSteps - 1 - i) / migrationSteps}
		case <-m.force:
			return ""
		case <-m.abort:
			return "aborted"
		}
	}
	return ""
}

func (d *Driver) movingLocked(ref *driver.InstanceRef) (*migration, error) {
	if _, err := d.findLocked(ref); err != nil {
		return nil, err
	}
	m := d.moving[ref.InstanceID]
	if m == nil {
		return nil, driver.Errorf(driver.KindConflict, "instance %s is not being migrated", ref.InstanceID)
	}
	return m, nil
}

// ForceCompleteMigration implements driver.Driver.
func (d *Driver) ForceCompleteMigration(ctx context.Context, ref *driver.InstanceRef) error {
	return d.do(ctx, "force_complete_migration", ref.InstanceID, func() error {
		m, err := d.movingLocked(ref)
		if err == nil {
			m.forceOnce.Do(func() { close(m.force) })
		}
		return err
	})
}

// AbortMigration implements driver.Driver.
func (d *Driver) AbortMigration(ctx context.Context, ref *driver.InstanceRef) error {
	return d.do(ctx, "abort_migration", ref.InstanceID, func() error {
		m, err := d.movingLocked(ref)
		if err == nil {
			m.abortOnce.Do(func() { close(m.abort) })
		}
		return err
	})
}

// FinishMigration implements driver.Driver, on the destination.
func (d *Driver) FinishMigration(ctx context.Context, req *driver.MigrateRequest) error {
	return d.do(ctx, "finish_migration", req.InstanceID, func() error {
		if err := d.fenceLocked(&req.InstanceRef); err != nil {
			return err
		}
		g := d.guests[req.InstanceID]
		if g == nil {
			return missing(req.InstanceID)
		}
		if g.State == stateIncoming {
			g.State = stateDefined
			g.setPower(driver.PowerRunning, "", d.now())
			if p := decodeWire(req.CheckData).Power; p == driver.PowerPaused {
				g.setPower(p, "", d.now())
			}
			if d.journal != nil {
				_ = os.Remove(d.arrivals() + g.ID)
				_ = os.Remove(wire{Arrivals: d.arrivals()}.awaited(g.ID))
			}
		}
		g.Generation = max(g.Generation, req.Generation)
		return d.putLocked(g)
	})
}

// RollbackMigration implements driver.Driver: the destination forgets what was prepared, unless the guest has come.
func (d *Driver) RollbackMigration(ctx context.Context, req *driver.MigrateRequest) error {
	return d.do(ctx, "rollback_migration", req.InstanceID, func() error {
		if err := d.fenceLocked(&req.InstanceRef); err != nil {
			return err
		}
		g := d.guests[req.InstanceID]
		switch {
		case g == nil:
			return nil
		case g.State != stateIncoming || d.arrivedLocked(g.ID):
			return driver.Errorf(driver.KindConflict, "instance %s has arrived on this host", g.ID)
		}
		return d.buryLocked(g.ID, req.Generation)
	})
}

// ExportDisks implements driver.Driver.
func (d *Driver) ExportDisks(ctx context.Context, req *driver.MigrateRequest) (files []*driver.DiskFile, err error) {
	var size int64
	err = d.do(ctx, "export_disks", req.InstanceID, func() error {
		g, err := d.findLocked(&req.InstanceRef)
		if err != nil {
			return err
		}
		if !g.off() {
			return wrongState(g, "exported")
		}
		size = diskSize(g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(req.DiskDir, req.InstanceID+".qcow2")
	if err := writeDisk(path, "qcow2", size); err != nil {
		return nil, err
	}
	return []*driver.DiskFile{{Path: path, Format: "qcow2", Size: int64(len(emptyQcow2(size)))}}, nil
}

// ImportDisks implements driver.Driver: afterwards the guest is defined here and off. The disk that ExportDisks wrote must be there, and be one.
func (d *Driver) ImportDisks(ctx context.Context, req *driver.MigrateRequest) error {
	if req.Spec == nil {
		return invalid("import_disks: the spec is missing")
	}
	return d.do(ctx, "import_disks", req.InstanceID, func() error {
		if err := d.fenceLocked(&req.InstanceRef); err != nil {
			return err
		}
		if g := d.guests[req.InstanceID]; g != nil && g.State == stateDefined {
			if g.Shape == req.Spec.OperationID {
				return nil
			}
			return driver.Errorf(driver.KindConflict, "instance %s is on this host already", g.ID)
		}
		if err := arrivedDisk(req); err != nil {
			return err
		}
		return d.arriveLocked(req, stateDefined)
	})
}

// arrivedDisk refuses what is no disk that the guest could have.
func arrivedDisk(req *driver.MigrateRequest) error {
	size, err := qcow2Size(filepath.Join(req.DiskDir, req.InstanceID+".qcow2"))
	if err != nil {
		return driver.Errorf(driver.KindNotFound, "the disk of instance %s did not arrive: %v", req.InstanceID, err)
	}
	if root := req.Spec.RootGiB << 30; root > 0 && size > root {
		return invalid("instance %s: the root disk cannot shrink from %d to %d GiB", req.InstanceID, size>>30, req.Spec.RootGiB)
	}
	return nil
}
