package libvirt

import (
	"context"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

const (
	// Name is the driver's name in configuration and catalog.
	Name = "libvirt"
	// Version is the driver's own version.
	Version = "0.1.0"
)

// Driver runs guests through libvirtd. Make it with New, and give it a configuration with Configure before anything else.
type Driver struct {
	driver.Unsupported

	log          hclog.Logger
	events       *hub[*driver.Event]
	fingerprints *hub[*driver.Fingerprint]
	locks        *instanceLocks

	mu   sync.Mutex // guards host
	host *host      // nil until Configure
}

var _ driver.Driver = (*Driver)(nil)

// New returns a driver that does nothing until it is configured.
func New(logger hclog.Logger) *Driver {
	return &Driver{
		log:          logger.Named(Name),
		events:       newHub[*driver.Event](eventBacklog),
		fingerprints: newHub[*driver.Fingerprint](1),
		locks:        newInstanceLocks(),
	}
}

// Configure reads the configuration, opens the state folder and starts to watch libvirtd. libvirtd itself need not be
// reachable yet: the fingerprint says so until it is. A repetition with another configuration replaces the first; calls
// in flight end with ErrUnavailable.
func (d *Driver) Configure(ctx context.Context, config []byte) error {
	if err := checkSystem(); err != nil {
		return err
	}
	cfg, err := ParseConfig(config)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.host != nil && d.host.sameConfig(cfg) {
		return nil
	}
	h, err := newHost(ctx, cfg, d.log, d.events, d.fingerprints)
	if err != nil {
		return err
	}
	if d.host != nil {
		d.host.stop()
	}
	d.host = h
	h.start()
	return nil
}

// Close stops the driver's goroutines and its connection to libvirtd, and closes every stream. Guests run on.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.host != nil {
		d.host.stop()
		d.host = nil
	}
	d.events.close()
	d.fingerprints.close()
	return nil
}

// configured returns the host, or ErrConflict before Configure.
func (d *Driver) configured() (*host, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.host == nil {
		return nil, conflict("the libvirt driver is not configured; call Configure first")
	}
	return d.host, nil
}

// optional are the methods of driver.Unsupported that this driver has.
var optional = []string{
	"ConsoleEndpoint", "Diagnostics", "Pause", "Resume", "Snapshot", "Suspend", "TriggerCrashDump", "Unpause",
}

// Capabilities says what the driver can do on any host; what depends on the host is in the fingerprint.
func (d *Driver) Capabilities(context.Context) (*driver.Capabilities, error) {
	return &driver.Capabilities{
		Name:         Name,
		Version:      Version,
		ImageFormats: []string{"qcow2", "raw"},
		Methods:      slices.Clone(optional),
		Traits:       []string{"COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"},
	}, nil
}

// Fingerprint streams the host's inventory and health.
func (d *Driver) Fingerprint(ctx context.Context) (<-chan *driver.Fingerprint, error) {
	if _, err := d.configured(); err != nil {
		return nil, err
	}
	return d.fingerprints.subscribe(ctx), nil
}

// Events streams what guests do. A subscriber that falls far behind finds its channel closed: it subscribes again and
// lists, as after any gap.
func (d *Driver) Events(ctx context.Context) (<-chan *driver.Event, error) {
	if _, err := d.configured(); err != nil {
		return nil, err
	}
	return d.events.subscribe(ctx), nil
}
