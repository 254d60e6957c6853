// Package fake is a hypervisor without machines: it keeps guests as records, in memory and in a journal, and does to them
// what a real driver does to virtual machines. Its configuration scripts how it fails, dawdles and dies, so that everything
// above a driver can be tested and loaded without a hypervisor. See Config for the keys and Control for what can be done to
// it from outside while it runs.
package fake

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/plugins/fanout"
)

// Name is the driver's name in the agent's configuration.
const Name = "fake"

const version = "1.0.0"

// Driver is one simulated host. Make it with New; it answers nothing before Configure.
type Driver struct {
	logger hclog.Logger
	script atomic.Pointer[script]
	now    func() time.Time
	die    func() // ends the process as kill -9 does; tests replace it

	events       fanout.Hub[driver.Event]
	fingerprints fanout.Hub[driver.Fingerprint]

	// mu guards everything below. It is never held while the driver waits for anything but the journal's write.
	mu      sync.Mutex
	config  *Config // nil before Configure
	guests  map[string]*guest
	graves  graves
	host    hostState
	journal *journal // nil: memory only
	control *controlFile
	moving  map[string]*migration // live migrations from this host, by instance
	changed chan struct{}         // closed and replaced when a guest's power changed
}

// New makes a driver for one host.
func New(logger hclog.Logger) *Driver {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	d := &Driver{
		logger:  logger,
		now:     time.Now,
		die:     killSelf,
		guests:  map[string]*guest{},
		moving:  map[string]*migration{},
		host:    hostState{Powered: true, Healthy: true},
		changed: make(chan struct{}),
	}
	d.script.Store(&script{})
	return d
}

var _ driver.Driver = (*Driver)(nil)

// Configure implements driver.Driver. The first call opens the journal; later ones may change everything but state_dir and
// host. Failure, crash and latency rules start counting anew with each.
func (d *Driver) Configure(_ context.Context, raw []byte) error {
	config, err := parseConfig(raw)
	if err != nil {
		return err
	}
	rules, err := newScript(config.Script)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config == nil {
		if err := d.openLocked(config); err != nil {
			return err
		}
	} else if d.config.StateDir != config.StateDir || d.config.Host != config.Host {
		return driver.Errorf(driver.KindInvalid, "state_dir and host cannot change while the driver runs: they are %q and %q",
			d.config.StateDir, d.config.Host)
	}
	d.watchControlLocked(config.ControlFile)
	d.config = config
	rules.disarm(d.host.Fired)
	d.script.Store(rules)
	d.fingerprints.Publish(d.fingerprintLocked())
	return nil
}

// Close lets go of the journal and ends streams. Guests stay as they are for the next driver on the same state_dir.
func (d *Driver) Close() error {
	d.events.Close()
	d.fingerprints.Close()
	d.mu.Lock()
	control := d.control
	d.control = nil
	d.mu.Unlock()
	control.stop() // not under mu, which its goroutine takes

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.journal == nil {
		return nil
	}
	err := d.journal.close()
	d.journal = nil
	return err
}

// Capabilities implements driver.Driver.
func (d *Driver) Capabilities(context.Context) (*driver.Capabilities, error) {
	d.mu.Lock()
	formats := defaults().ImageFormats
	if d.config != nil {
		formats = d.config.ImageFormats
	}
	d.mu.Unlock()
	return &driver.Capabilities{
		Name:         Name,
		Version:      version,
		ImageFormats: formats,
		Methods:      driver.OptionalMethods(),
		Traits: []string{
			"COMPUTE_ACCELERATORS", "COMPUTE_DEVICE_TAGGING", "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_MEM_BACKING_FILE",
			"COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_NET_ATTACH_INTERFACE_WITH_TAG", "COMPUTE_NODE",
			"COMPUTE_STORAGE_VIRTIO_FS", "COMPUTE_TRUSTED_CERTS", "COMPUTE_VOLUME_ATTACH_WITH_TAG",
			"COMPUTE_VOLUME_EXTEND", "COMPUTE_VOLUME_MULTI_ATTACH",
		},
	}, nil
}

// Fingerprint implements driver.Driver. A slow reader gets the newest value, not every one.
func (d *Driver) Fingerprint(ctx context.Context) (<-chan *driver.Fingerprint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config == nil {
		return nil, driver.Errorf(driver.KindUnavailable, "the driver is not configured yet")
	}
	return d.fingerprints.Subscribe(ctx, 1, d.fingerprintLocked()), nil
}

const eventBacklog = 4096

// Events implements driver.Driver. A reader that is more than eventBacklog behind loses the oldest.
func (d *Driver) Events(ctx context.Context) (<-chan *driver.Event, error) {
	return d.events.Subscribe(ctx, eventBacklog, nil), nil
}

func (d *Driver) fingerprintLocked() *driver.Fingerprint {
	c := d.config
	f := &driver.Fingerprint{
		Healthy:            d.host.Healthy && d.host.Powered,
		HealthDescription:  d.host.Description,
		HypervisorType:     c.HypervisorType,
		HypervisorVersion:  c.HypervisorVersion,
		HypervisorHostname: c.HypervisorHostname,
		Inventory:          driver.Inventory{VCPUs: c.VCPUs, MemoryMiB: c.MemoryMiB, DiskGiB: c.DiskGiB},
		Traits:             c.Traits,
		Architectures:      c.Architectures,
		CPU: driver.CPUInfo{
			Arch: c.Architectures[0], Model: "fake", Vendor: "Kilonova",
			Sockets: 1, Cores: c.VCPUs, Threads: 1, Features: c.CPUFeatures,
		},
		Attributes: c.Attributes,
	}
	if !d.host.Powered {
		f.HealthDescription = "the host lost power; the control action host_power_on brings it back"
	}
	return f
}
