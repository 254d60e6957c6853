package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

const snapshotPrefix = "snapshot-"

// snapshotFile is where the operation's snapshot lies until it is uploaded.
func (j *job) snapshotFile() string {
	return filepath.Join(j.r.cfg.Scratch, snapshotPrefix+string(j.work.Operation.ID))
}

// snapshotFormat is qcow2 where the driver knows it: the file then has what is used of the disk, and not all of it.
func (j *job) snapshotFormat() string {
	j.r.mu.Lock()
	defer j.r.mu.Unlock()
	if slices.Contains(j.r.formats, "qcow2") {
		return "qcow2"
	}
	return "raw"
}

func stepSnapshot(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := os.MkdirAll(j.r.cfg.Scratch, 0o700); err != nil {
		return j.power(ctx), err
	}
	if _, err := os.Stat(j.snapshotFile()); err == nil { // made before an agent's restart
		return j.power(ctx), nil
	}
	err := j.r.cfg.Driver.Snapshot(ctx, &driver.SnapshotRequest{InstanceRef: *j.ref(), Path: j.snapshotFile(), Format: j.snapshotFormat()})
	if err != nil {
		_ = os.Remove(j.snapshotFile())
	}
	return j.power(ctx), err
}

// stepUpload uploads the file and removes it, also when it will not be tried again.
func stepUpload(ctx context.Context, j *job) (structs.PowerState, error) {
	err := j.r.cfg.Upload(ctx, j.work.Operation.Args.NewImageID, j.snapshotFormat(), j.snapshotFile(), j.work.Instance.Flavor.RootGiB<<30)
	if err == nil {
		return j.power(ctx), os.Remove(j.snapshotFile())
	}
	if errors.Is(err, os.ErrNotExist) {
		err = structs.Errorf(structs.KindNotFound, "the snapshot's file is gone: %w", err)
	}
	if _, _, again := classify(err); !again {
		_ = os.Remove(j.snapshotFile())
	}
	return j.power(ctx), err
}

// scratchAge is how long a file stays that nothing uploads any more, e.g. because its instance was deleted meanwhile: longer than an upload may take.
const scratchAge = 24 * time.Hour

// SweepScratch removes what was left in the folder for snapshots and for disks on their way.
func SweepScratch(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		info, err := e.Info()
		ours := func(prefix string) bool { return strings.HasPrefix(e.Name(), prefix) }
		if err != nil || !slices.ContainsFunc([]string{snapshotPrefix, movePrefix}, ours) || now.Sub(info.ModTime()) < scratchAge {
			continue
		}
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}
