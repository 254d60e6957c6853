package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Snapshot writes the root disk as of one moment, whole and without its base image. Of a guest that runs QEMU copies it while the guest goes on; what
// the guest writes meanwhile is not in it. The guest's file systems are as after a power cut.
func (d *Driver) Snapshot(ctx context.Context, req *driver.SnapshotRequest) error {
	if req.Format != "qcow2" && req.Format != "raw" {
		return invalid("snapshot format %q: qcow2 or raw is right", req.Format)
	}
	if req.Quiesce {
		return driver.Errorf(driver.KindNotSupported, "guests' file systems cannot be frozen: ask for a snapshot without that, or stop the guest before")
	}
	return d.act(ctx, req.InstanceRef, "snapshot", func(h *host, g *guest, p power) error {
		f := newFolder(h.cfg.InstancesDir, g.id)
		made := f.snapshot()
		defer os.Remove(made)
		if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(describe("snapshot", g.id), err)
		}
		var err error
		if p.on() {
			err = h.backUp(ctx, g, f.rootDisk(), made, req.Format)
		} else {
			_, err = h.run(ctx, h.cfg.QemuImg, "convert", "-q", "-f", "qcow2", "-O", req.Format, "--", f.rootDisk(), made)
		}
		if err == nil {
			err = moveFile(made, req.Path)
		}
		return fileError(describe("snapshot", g.id), err)
	})
}

// moveFile gives a file its place, whole or not at all, on this file system or another.
func moveFile(from, to string) error {
	if err := os.Chown(from, os.Geteuid(), os.Getegid()); err != nil {
		return err
	}
	if err := os.Rename(from, to); !errors.Is(err, syscall.EXDEV) {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Close()); err != nil {
		return errors.Join(err, os.Remove(to+".new"))
	}
	return os.Rename(to+".new", to)
}

// backupPoll is how often a copy that QEMU makes is looked at.
const backupPoll = 200 * time.Millisecond

// backUp has QEMU copy a running guest's disk as it is in this moment. The copy of an earlier call that nobody waits for any more is ended first. When ctx
// ends the copy does, too.
func (h *host) backUp(ctx context.Context, g *guest, disk, to, format string) error {
	name, err := h.diskName(ctx, g, disk)
	if err != nil {
		return err
	}
	text, err := (&libvirtxml.DomainBackup{Push: &libvirtxml.DomainBackupPush{Disks: &libvirtxml.DomainBackupPushDisks{Disks: []libvirtxml.DomainBackupPushDisk{{
		Name: name, Backup: "yes", Driver: &libvirtxml.DomainBackupDiskDriver{Type: format},
		Target: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: to}}}}}}}).Marshal()
	if err != nil {
		return fmt.Errorf("describe the copy: %w", err)
	}
	what := describe("snapshot", g.id)
	begin := func(s *session) error { return s.DomainBackupBegin(g.domain, text, nil, 0) }
	err = do(ctx, h.link, what, begin)
	if busy, _ := h.backupState(ctx, g, 0); err != nil && busy == golibvirt.DomainJobUnbounded {
		h.endBackup(g)
		err = do(ctx, h.link, what, begin)
	}
	if err != nil {
		return err
	}
	tick := time.NewTicker(backupPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.endBackup(g)
			return ctx.Err()
		}
		state, err := h.backupState(ctx, g, 0)
		if err != nil {
			h.endBackup(g)
			return err
		}
		if state == golibvirt.DomainJobUnbounded || state == golibvirt.DomainJobBounded {
			continue
		}
		if state, err = h.backupState(ctx, g, golibvirt.DomainJobStatsCompleted); err != nil {
			return err
		}
		if state != golibvirt.DomainJobCompleted {
			return driver.Errorf(driver.KindInternal, "%s: QEMU did not finish the copy (job state %d); is there room in instances_dir?", what, state)
		}
		return nil
	}
}

// diskName is what the running guest's domain calls the disk with that file.
func (h *host) diskName(ctx context.Context, g *guest, file string) (string, error) {
	domain, err := h.liveXML(ctx, g)
	if err != nil {
		return "", err
	}
	for _, d := range domain.Devices.Disks {
		if d.Source != nil && d.Source.File != nil && d.Source.File.File == file && d.Target != nil {
			return d.Target.Dev, nil
		}
	}
	return "", driver.Errorf(driver.KindInternal, "%s: its domain has no disk %s", describe("snapshot", g.id), file)
}

func (h *host) backupState(ctx context.Context, g *guest, flags golibvirt.DomainGetJobStatsFlags) (golibvirt.DomainJobType, error) {
	return call(ctx, h.link, describe("look at the snapshot of", g.id), func(s *session) (golibvirt.DomainJobType, error) {
		state, _, err := s.DomainGetJobStats(g.domain, flags)
		return golibvirt.DomainJobType(state), err
	})
}

// endBackup ends a copy, and returns when it is over or libvirt has had its time. It has a time of its own: the caller's is over.
func (h *host) endBackup(g *guest) {
	ctx, cancel := context.WithTimeout(h.ctx, 10*time.Second)
	defer cancel()
	_ = do(ctx, h.link, describe("end the snapshot of", g.id), func(s *session) error { return s.DomainAbortJob(g.domain) })
	for ctx.Err() == nil {
		if state, err := h.backupState(ctx, g, 0); err != nil || state == golibvirt.DomainJobNone {
			return
		}
		select {
		case <-time.After(backupPoll):
		case <-ctx.Done():
		}
	}
}
