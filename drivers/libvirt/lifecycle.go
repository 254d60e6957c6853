package libvirt

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"
	"unicode"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// destroyTries is how often libvirt is asked to end a QEMU that does not die at once: it gives up after 15 s, which a
// process that waits for a slow disk can outlast.
const destroyTries = 4

// Create makes the guest's folder, disks and domain, in this order, each step only where it is still to do, and starts
// it when asked to. Errors: ErrInvalid for a spec that cannot be met, ErrConflict for a stale generation or when another
// operation's guest or disks are there, ErrExhausted, ErrUnavailable, ErrTimeout.
func (d *Driver) Create(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	h, unlock, err := d.begin(ctx, spec.InstanceID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	plan, owner, err := h.plan(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := h.fences.admit(spec.InstanceRef, 0); err != nil {
		return nil, err
	}
	g, err := h.find(ctx, spec.InstanceID)
	if err != nil {
		return nil, err
	}
	if g != nil && g.meta.Operation != spec.OperationID {
		return nil, conflict("instance %s is here already, made by operation %s; destroy it first", spec.InstanceID, g.meta.Operation)
	}
	if g == nil {
		if err := h.prepareFolder(ctx, spec, plan.folder, owner); err != nil {
			return nil, err
		}
		if g, err = h.define(ctx, plan); err != nil {
			return nil, err
		}
	}
	// A guest that was started and went off by itself stays off when the call is repeated.
	if spec.PowerOn && plan.folder.startedAt().IsZero() {
		if err := h.powerOn(ctx, g); err != nil {
			return nil, err
		}
	}
	return h.status(ctx, g)
}

// begin returns the configured host and locks the instance.
func (d *Driver) begin(ctx context.Context, instanceID string) (*host, func(), error) {
	h, err := d.configured()
	if err != nil {
		return nil, nil, err
	}
	unlock, err := d.locks.lock(ctx, instanceID)
	return h, unlock, err
}

// plan checks the spec and resolves everything that the domain depends on, without touching anything.
func (h *host) plan(ctx context.Context, spec *driver.InstanceSpec) (*blueprint, fileOwner, error) {
	if err := checkSpec(spec); err != nil {
		return nil, fileOwner{}, err
	}
	platform, owner, err := h.platform(ctx)
	if err != nil {
		return nil, owner, err
	}
	hardware, err := hardwareFor(h.cfg, spec, platform.machines)
	if err != nil {
		return nil, owner, err
	}
	drive, err := configDriveDevice(spec.ConfigDrivePath)
	if err != nil {
		return nil, owner, err
	}
	return &blueprint{
		cfg: h.cfg, platform: platform, spec: spec, hardware: hardware, configDrive: drive,
		folder: newFolder(h.cfg.InstancesDir, spec.InstanceID),
	}, owner, nil
}

// checkSpec refuses what no host could make a guest of.
func checkSpec(spec *driver.InstanceSpec) error {
	switch {
	case !isInstanceID(spec.InstanceID):
		return invalid("instance id %q is no uuid in lower case with hyphens", spec.InstanceID)
	case spec.VCPUs < 1:
		return invalid("instance %s: %d vCPUs; 1 or more", spec.InstanceID, spec.VCPUs)
	case spec.MemoryMiB < 1:
		return invalid("instance %s: %d MiB of memory; 1 or more", spec.InstanceID, spec.MemoryMiB)
	case spec.RootGiB < 0 || spec.EphemeralGiB < 0 || spec.SwapMiB < 0:
		return invalid("instance %s: a disk has a negative size", spec.InstanceID)
	case spec.Image == nil:
		return invalid("instance %s has no image; the libvirt driver boots from an image only", spec.InstanceID)
	case spec.Image.Format != "qcow2" && spec.Image.Format != "raw":
		return invalid("image %s: format %q is not supported; it may be qcow2 or raw", spec.Image.ID, spec.Image.Format)
	case len(spec.Volumes) > 0:
		return invalid("instance %s: the libvirt driver attaches no volumes", spec.InstanceID)
	case strings.ContainsFunc(spec.Hostname, unicode.IsControl):
		return invalid("instance %s: hostname %q has control characters", spec.InstanceID, spec.Hostname)
	}
	for _, nic := range spec.Interfaces {
		if _, err := net.ParseMAC(nic.MAC); err != nil {
			return invalid("interface %s: MAC address %q is not valid", nic.ID, nic.MAC)
		}
		if nic.Tap == "" {
			return invalid("interface %s has no tap device", nic.ID)
		}
		if _, known := nicModels[nic.Model]; nic.Model != "" && !known {
			return invalid("interface %s: model %q is not supported by the libvirt driver; it may be %s",
				nic.ID, nic.Model, alternatives(nicModels))
		}
	}
	return nil
}

// prepareFolder makes the folder and the disks for a spec. Disks that another operation made are never taken over: they
// may be somebody's data, and a guest that was asked for with a new disk must not get an old one.
func (h *host) prepareFolder(ctx context.Context, spec *driver.InstanceSpec, f folder, owner fileOwner) error {
	what := describe("prepare the folder of", spec.InstanceID)
	made, err := f.madeBy()
	if err != nil {
		return fileError(what, err)
	}
	if made != "" && made != spec.OperationID {
		return conflict("instance %s: disks of operation %s are still in %s; destroy the instance with its disks, or recover it",
			spec.InstanceID, made, f.path())
	}
	if err := f.prepare(owner); err != nil {
		return fileError(what, err)
	}
	if made == "" {
		if err := writeFileAtomic(f.operation(), []byte(spec.OperationID), 0o600); err != nil {
			return fileError(what, err)
		}
	}
	return h.makeDisks(ctx, spec, f, owner)
}

// define makes the domain known to libvirt, or replaces its definition.
func (h *host) define(ctx context.Context, plan *blueprint) (*guest, error) {
	text, err := plan.domainXML()
	if err != nil {
		return nil, err
	}
	id := plan.spec.InstanceID
	// libvirt replaces a definition of the same uuid without asking whose it is.
	var foreign *foreignError
	if _, err := h.findAny(ctx, id); errors.As(err, &foreign) {
		return nil, conflict("instance %s cannot be made here: %v", id, foreign)
	}
	err = do(ctx, h.link, describe("define", id), func(s *session) error {
		_, err := s.DomainDefineXMLFlags(text, golibvirt.DomainDefineValidate)
		return err
	})
	if err != nil {
		return nil, err
	}
	g, err := h.find(ctx, id)
	if err == nil && g == nil {
		err = driver.Errorf(driver.KindInternal, "instance %s was defined and is not there; somebody else removes domains", id)
	}
	return g, err
}

// Destroy cuts the guest's power, removes its definition with what libvirt keeps of it, and its folder when
// req.DestroyDisks. While libvirtd cannot be reached nothing is removed: the guest may be running. Errors: ErrConflict
// for a stale generation, ErrUnavailable, ErrTimeout.
func (d *Driver) Destroy(ctx context.Context, req *driver.DestroyRequest) error {
	h, unlock, err := d.begin(ctx, req.InstanceID)
	if err != nil {
		return err
	}
	defer unlock()
	if !isInstanceID(req.InstanceID) {
		return nil
	}
	if err := h.fences.check(req.InstanceRef); err != nil {
		return err
	}
	g, err := h.find(ctx, req.InstanceID)
	if err != nil {
		return err
	}
	if err := h.fences.admit(req.InstanceRef, g.generation()); err != nil {
		return err
	}
	if g != nil {
		if err := h.powerOff(ctx, g); err != nil {
			return err
		}
		err := do(ctx, h.link, describe("undefine", g.id), func(s *session) error {
			return s.DomainUndefineFlags(g.domain, golibvirt.DomainUndefineManagedSave|
				golibvirt.DomainUndefineSnapshotsMetadata|golibvirt.DomainUndefineCheckpointsMetadata|golibvirt.DomainUndefineNvram)
		})
		if err != nil && !isKind(err, driver.KindNotFound) {
			return err
		}
	}
	if !req.DestroyDisks {
		return nil
	}
	return fileError(describe("remove the folder of", req.InstanceID), newFolder(h.cfg.InstancesDir, req.InstanceID).remove())
}

// powerOff ends the hypervisor process. A guest that is off, or gone, is success.
func (h *host) powerOff(ctx context.Context, g *guest) error {
	for try := 1; ; try++ {
		err := do(ctx, h.slow, describe("cut the power of", g.id), func(s *session) error {
			return s.DomainDestroyFlags(g.domain, golibvirt.DomainDestroyDefault)
		})
		switch {
		case err == nil, isKind(err, driver.KindNotFound):
			return nil
		case ctx.Err() != nil:
			return err
		}
		// libvirt says "not running" and "did not die" with errors that differ from version to version; the state tells.
		p, stateErr := h.power(ctx, g)
		if isKind(stateErr, driver.KindNotFound) || stateErr == nil && !p.on() {
			return nil
		}
		if try == destroyTries || stateErr != nil {
			return errors.Join(err, stateErr)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// List returns every guest of this driver's.
func (d *Driver) List(ctx context.Context) ([]*driver.InstanceStatus, error) {
	h, err := d.configured()
	if err != nil {
		return nil, err
	}
	return h.list(ctx)
}

// Inspect returns one guest. Errors: ErrNotFound, ErrUnavailable, ErrTimeout.
func (d *Driver) Inspect(ctx context.Context, instanceID string) (*driver.InstanceStatus, error) {
	h, err := d.configured()
	if err != nil {
		return nil, err
	}
	g, err := h.mustFind(ctx, instanceID)
	if err != nil {
		return nil, err
	}
	return h.status(ctx, g)
}

// Recover finds the guest again. A running one is not touched, except that a definition that libvirt lost is given back
// to it; one that is only a folder with a root disk is defined and stays off. Errors: ErrNotFound when there is neither,
// ErrConflict for a stale generation, and those of Create.
func (d *Driver) Recover(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	h, unlock, err := d.begin(ctx, spec.InstanceID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := h.fences.check(spec.InstanceRef); err != nil {
		return nil, err
	}
	g, err := h.find(ctx, spec.InstanceID)
	if err != nil {
		return nil, err
	}
	f := newFolder(h.cfg.InstancesDir, spec.InstanceID)
	if g == nil {
		if _, err := os.Stat(f.rootDisk()); !isInstanceID(spec.InstanceID) || errors.Is(err, fs.ErrNotExist) {
			return nil, notFound(spec.InstanceID)
		}
	}
	if err := h.fences.admit(spec.InstanceRef, g.generation()); err != nil {
		return nil, err
	}
	if g == nil || !h.persistent(ctx, g) {
		if g, err = h.redefine(ctx, spec, f); err != nil {
			return nil, err
		}
	}
	return h.status(ctx, g)
}

// persistent says whether a guest has a definition beside its process. When libvirt does not say, it is taken to have
// one: nothing is changed on a guess.
func (h *host) persistent(ctx context.Context, g *guest) bool {
	answer, err := call(ctx, h.link, describe("look at", g.id), func(s *session) (int32, error) {
		return s.DomainIsPersistent(g.domain)
	})
	return err != nil || answer == 1
}

// redefine makes the definition of a guest whose disks are there. The operation that its status names stays that of the
// disks' maker.
func (h *host) redefine(ctx context.Context, spec *driver.InstanceSpec, f folder) (*guest, error) {
	made, err := f.madeBy()
	if err != nil {
		return nil, fileError(describe("recover", spec.InstanceID), err)
	}
	shaped := *spec
	if made != "" {
		shaped.OperationID = made
	}
	plan, owner, err := h.plan(ctx, &shaped)
	if err != nil {
		return nil, err
	}
	if err := f.prepare(owner); err != nil {
		return nil, fileError(describe("recover", spec.InstanceID), err)
	}
	h.log.Warn("the definition of an instance was lost and is made again", "instance_id", spec.InstanceID)
	return h.define(ctx, plan)
}
