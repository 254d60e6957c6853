// Package example is a driver to begin from: the least that a driver must have, for a hypervisor that is a map in memory.
// It embeds driver.Unsupported for the rest. plugins/example/kilonova-driver-example is the program around it.
package example

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Host stands for the hypervisor: it outlives the driver, and the guests are in it.
type Host struct {
	mu     sync.Mutex
	guests map[string]*guest
}

// NewHost makes a host without guests.
func NewHost() *Host { return &Host{guests: map[string]*guest{}} }

// guest is what a real hypervisor would keep in the guest's definition. What the driver needs after its own restart, the
// generation and the operations, belongs there too and not into the driver's memory.
type guest struct {
	driver.InstanceStatus
	hostname string
	rebooted string // operation of the last reboot
}

// Driver drives a Host.
type Driver struct {
	driver.Unsupported
	host *Host
}

var _ driver.Driver = (*Driver)(nil)

// New makes a driver for a host.
func New(host *Host) *Driver { return &Driver{host: host} }

// Configure implements driver.Driver. There is nothing to configure.
func (d *Driver) Configure(_ context.Context, config []byte) error {
	if len(config) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&struct{}{}); err != nil {
		return driver.Errorf(driver.KindInvalid, "example driver: %v; it has no keys", err)
	}
	return nil
}

// Capabilities implements driver.Driver.
func (d *Driver) Capabilities(context.Context) (*driver.Capabilities, error) {
	return &driver.Capabilities{Name: "example", Version: "1.0.0", ImageFormats: []string{"raw"}}, nil
}

// Fingerprint implements driver.Driver. Nothing ever changes, so there is only the first value.
func (d *Driver) Fingerprint(ctx context.Context) (<-chan *driver.Fingerprint, error) {
	ch := make(chan *driver.Fingerprint, 1)
	ch <- &driver.Fingerprint{
		Healthy: true, HypervisorType: "example", HypervisorVersion: 1_000_000, HypervisorHostname: "example",
		Inventory:     driver.Inventory{VCPUs: 8, MemoryMiB: 8192, DiskGiB: 100},
		Architectures: []string{"x86_64"},
	}
	context.AfterFunc(ctx, func() { close(ch) })
	return ch, nil
}

// Events implements driver.Driver. These guests do nothing of their own accord.
func (d *Driver) Events(ctx context.Context) (<-chan *driver.Event, error) {
	ch := make(chan *driver.Event)
	context.AfterFunc(ctx, func() { close(ch) })
	return ch, nil
}

// find returns the guest of a call. The caller holds host.mu.
func (d *Driver) find(ref *driver.InstanceRef) (*guest, error) {
	g := d.host.guests[ref.InstanceID]
	if g == nil {
		return nil, driver.Errorf(driver.KindNotFound, "instance %s is not on this host", ref.InstanceID)
	}
	if ref.Generation < g.Generation {
		return nil, driver.Errorf(driver.KindConflict, "instance %s: generation %d is stale: %d was here",
			ref.InstanceID, ref.Generation, g.Generation)
	}
	g.Generation = ref.Generation
	return g, nil
}

// with runs a call on one guest.
func (d *Driver) with(ctx context.Context, ref *driver.InstanceRef, f func(*guest)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	g, err := d.find(ref)
	if err == nil {
		f(g)
	}
	return err
}

func (g *guest) on() {
	if g.Power != driver.PowerRunning {
		g.Power, g.StartedAt = driver.PowerRunning, time.Now().UTC()
	}
}

func (g *guest) off() { g.Power, g.StartedAt = driver.PowerShutdown, time.Time{} }

// Create implements driver.Driver.
func (d *Driver) Create(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	g, err := d.find(&spec.InstanceRef)
	if driver.KindOf(err) == driver.KindNotFound {
		g = &guest{hostname: spec.Hostname, InstanceStatus: driver.InstanceStatus{
			InstanceID: spec.InstanceID, Generation: spec.Generation, OperationID: spec.OperationID,
			VCPUs: spec.VCPUs, MemoryMiB: spec.MemoryMiB,
		}}
		g.off()
		if spec.PowerOn {
			g.on()
		}
		d.host.guests[spec.InstanceID] = g
	} else if err != nil {
		return nil, err
	}
	st := g.InstanceStatus
	return &st, nil
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(ctx context.Context, req *driver.DestroyRequest) error {
	err := d.with(ctx, &req.InstanceRef, func(g *guest) { delete(d.host.guests, g.InstanceID) })
	if driver.KindOf(err) == driver.KindNotFound {
		return nil
	}
	return err
}

// List implements driver.Driver.
func (d *Driver) List(context.Context) ([]*driver.InstanceStatus, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	list := make([]*driver.InstanceStatus, 0, len(d.host.guests))
	for _, g := range d.host.guests {
		st := g.InstanceStatus
		list = append(list, &st)
	}
	slices.SortFunc(list, func(a, b *driver.InstanceStatus) int { return cmp.Compare(a.InstanceID, b.InstanceID) })
	return list, nil
}

// Inspect implements driver.Driver.
func (d *Driver) Inspect(_ context.Context, instanceID string) (*driver.InstanceStatus, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	g := d.host.guests[instanceID]
	if g == nil {
		return nil, driver.Errorf(driver.KindNotFound, "instance %s is not on this host", instanceID)
	}
	st := g.InstanceStatus
	return &st, nil
}

// Recover implements driver.Driver.
func (d *Driver) Recover(ctx context.Context, spec *driver.InstanceSpec) (st *driver.InstanceStatus, err error) {
	err = d.with(ctx, &spec.InstanceRef, func(g *guest) {
		copied := g.InstanceStatus
		st = &copied
	})
	return st, err
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, ref *driver.InstanceRef) error {
	return d.with(ctx, ref, (*guest).on)
}

// Stop implements driver.Driver. The guests shut down the moment they are asked.
func (d *Driver) Stop(ctx context.Context, req *driver.StopRequest) error {
	return d.with(ctx, &req.InstanceRef, (*guest).off)
}

// Reboot implements driver.Driver.
func (d *Driver) Reboot(ctx context.Context, req *driver.RebootRequest) error {
	if req.Type != driver.RebootSoft && req.Type != driver.RebootHard {
		return driver.Errorf(driver.KindInvalid, "reboot type %q: SOFT or HARD is right", req.Type)
	}
	return d.with(ctx, &req.InstanceRef, func(g *guest) {
		if req.OperationID != "" && g.rebooted == req.OperationID {
			return
		}
		g.rebooted = req.OperationID
		g.off()
		g.on()
	})
}

// ConsoleOutput implements driver.Driver.
func (d *Driver) ConsoleOutput(_ context.Context, req *driver.ConsoleOutputRequest) ([]byte, error) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	g := d.host.guests[req.InstanceID]
	if g == nil {
		return nil, driver.Errorf(driver.KindNotFound, "instance %s is not on this host", req.InstanceID)
	}
	lines := []string{"booting " + g.hostname, g.hostname + " login:"}
	if req.Lines > 0 && req.Lines < len(lines) {
		lines = lines[len(lines)-req.Lines:]
	}
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	return b.Bytes(), nil
}
