package libvirt

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// refreshEvery is how often libvirtd is asked for a sign of life, which also notices that it hangs, and the host's
// inventory is taken anew.
const refreshEvery = 10 * time.Second

// host is one configuration at work: the link to one libvirtd and the goroutines that watch it.
type host struct {
	cfg    *Config
	log    hclog.Logger
	link   *link // for calls that are done at once
	slow   *link // for those that are not
	fences *fences
	known  *knownGuests

	events       *hub[*driver.Event]
	fingerprints *hub[*driver.Fingerprint]

	virtType VirtType // VirtKVM or VirtQEMU
	virtNote string   // why it is so, for people
	cache    string   // QEMU's cache mode

	mu         sync.Mutex // guards what follows
	facts      *facts     // what the hypervisor said last; nil before it said anything
	factsOwner *session   // the connection that they were read on

	ctx    context.Context // of the goroutines
	cancel context.CancelFunc
	wait   sync.WaitGroup
	kick   chan struct{} // asks for a fingerprint now
}

// newHost makes the folders and decides between KVM and emulation, which may take as long as kvmPatience the first time after the machine booted.
func newHost(ctx context.Context, cfg *Config, log hclog.Logger, events *hub[*driver.Event], fingerprints *hub[*driver.Fingerprint]) (*host, error) {
	if err := os.MkdirAll(cfg.InstancesDir, 0o711); err != nil {
		return nil, invalid("instances_dir %s cannot be made: %v", cfg.InstancesDir, err)
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, invalid("state_dir %s cannot be made: %v", cfg.StateDir, err)
	}
	if err := emptyTrash(cfg.InstancesDir); err != nil {
		log.Warn("removed instances could not be cleaned up wholly", "error", err)
	}
	fences, err := openFences(cfg.StateDir)
	if err != nil {
		return nil, fileError("open the fencing records", err)
	}
	h := &host{
		cfg: cfg, log: log, link: newLink(cfg), slow: newSlowLink(cfg), fences: fences, known: newKnownGuests(),
		events: events, fingerprints: fingerprints,
		cache: cfg.DiskCache,
		kick:  make(chan struct{}, 1),
	}
	if h.cache == "auto" {
		h.cache = "writeback"
		if directIO(cfg.InstancesDir) {
			h.cache = "none"
		}
	}
	if h.virtType, h.virtNote, err = chooseVirtType(ctx, cfg, log); err != nil {
		return nil, err
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

func (h *host) sameConfig(cfg *Config) bool { return reflect.DeepEqual(h.cfg, cfg) }

// start begins to watch libvirtd, to report the host, and to keep the console logs in bounds.
func (h *host) start() {
	for _, loop := range []func(){h.watchEvents, h.reportHost, h.boundConsoleLogs} {
		h.wait.Go(loop)
	}
}

// stop ends what start began and closes the link.
func (h *host) stop() {
	h.cancel()
	h.link.close()
	h.slow.close()
	h.wait.Wait()
}

// sleep waits, and reports false when the host is being stopped.
func (h *host) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.ctx.Done():
		return false
	}
}

// askFingerprint has reportHost look again soon.
func (h *host) askFingerprint() {
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// platform returns what every guest of the host has in common. Errors: ErrUnavailable, ErrTimeout, ctx's.
func (h *host) platform(ctx context.Context) (platform, fileOwner, error) {
	f, err := h.hypervisor(ctx)
	if err != nil {
		return platform{}, fileOwner{}, err
	}
	return platform{virtType: h.virtType, emulator: f.emulator, cacheMode: h.cache, machines: f.machines}, f.owner, nil
}

// hypervisor returns what libvirtd says of itself and of QEMU, read once on each connection: both may have been replaced
// when it is a new one.
func (h *host) hypervisor(ctx context.Context) (*facts, error) {
	s, err := h.link.session(ctx) // the fast link's, which is the one whose loss is noticed at once
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	f, owner := h.facts, h.factsOwner
	h.mu.Unlock()
	if f != nil && owner == s {
		return f, nil
	}
	f, err = call(ctx, h.slow, "read the hypervisor's capabilities", func(s *session) (*facts, error) {
		return readFacts(s, h.cfg, h.virtType)
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.facts, h.factsOwner = f, s
	h.mu.Unlock()
	return f, nil
}

// lastFacts returns what the hypervisor said last, or nil.
func (h *host) lastFacts() *facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.facts
}

func versionText(v uint64) string {
	return fmt.Sprintf("%d.%d.%d", v/1_000_000, v/1_000%1_000, v%1_000)
}
