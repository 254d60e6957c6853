package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// The steps of operations with two hosts. Those of the source and of the destination may run in one process, or in none that still lives when the other is
// done: nothing passes between them but the operation's record and the exported files.

// Disks on their way lie in scratch/move-INSTANCE/export-MIGRATION or import-MIGRATION: all of an instance's go with its guest, and none is taken for those
// of an earlier migration.
const (
	movePrefix   = "move-"
	manifestFile = "complete" // in an export's folder once all of its files are whole
)

func moveDir(scratch string, id structs.InstanceID) string {
	return filepath.Join(scratch, movePrefix+string(id))
}

// ExportDir is where a host leaves the disks of an instance that another host fetches for a migration.
func ExportDir(scratch string, id structs.InstanceID, m structs.MigrationID) string {
	return filepath.Join(moveDir(scratch, id), "export-"+string(m))
}

// Exported returns the files of a migration's export, with KindNotFound where there is none that is whole.
func Exported(scratch string, id structs.InstanceID, m structs.MigrationID) ([]string, error) {
	for _, s := range []string{string(id), string(m)} {
		if s != filepath.Base(s) || s == ".." || s == "." {
			return nil, structs.Errorf(structs.KindInvalid, "%q is no id", s)
		}
	}
	dir := ExportDir(scratch, id, m)
	if _, err := os.Stat(filepath.Join(dir, manifestFile)); err != nil {
		return nil, structs.Errorf(structs.KindNotFound, "no disks are exported for migration %s", m)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, structs.Errorf(structs.KindInternal, "read the exported disks of migration %s: %w", m, err)
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && e.Name() != manifestFile {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// RemoveMoved removes a folder of disks that are no longer needed, and the instance's when it was the last.
func RemoveMoved(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(dir)) // the other side's may be there, where one agent has both hosts
	return nil
}

func (j *job) exportDir() string {
	return ExportDir(j.r.cfg.Scratch, j.work.Instance.ID, j.work.Operation.MigrationID)
}

func (j *job) importDir() string {
	return filepath.Join(moveDir(j.r.cfg.Scratch, j.work.Instance.ID), "import-"+string(j.work.Operation.MigrationID))
}

// stays reports whether source and destination are one host.
func (j *job) stays() bool {
	return j.work.Operation.SourceID == j.work.Operation.DestID
}

// specOf is the guest with one of the migration's flavors.
func (j *job) specOf(flavor *structs.Flavor) *driver.InstanceSpec {
	ins := *j.work.Instance
	ins.Flavor = *flavor
	s := SpecOf(&ins)
	s.InstanceRef = *j.ref()
	return s
}

func (j *job) migration() (*structs.Migration, error) {
	if j.work.Migration == nil {
		return nil, structs.Errorf(structs.KindInternal, "the migration of operation %s is gone", j.work.Operation.ID)
	}
	return j.work.Migration, nil
}

func stepExport(ctx context.Context, j *job) (structs.PowerState, error) {
	dir := j.exportDir()
	done := filepath.Join(dir, manifestFile)
	if _, err := os.Stat(done); err == nil || j.stays() {
		return structs.PowerShutdown, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return structs.PowerShutdown, err
	}
	if _, err := j.r.cfg.Driver.ExportDisks(ctx, &driver.MigrateRequest{InstanceRef: *j.ref(), DiskDir: dir}); err != nil {
		return j.power(ctx), err
	}
	return structs.PowerShutdown, os.WriteFile(done, nil, 0o600)
}

// stepImport defines the guest, off, with the migration's new flavor.
func stepImport(ctx context.Context, j *job) (structs.PowerState, error) {
	m, err := j.migration()
	if err != nil {
		return structs.PowerNoState, err
	}
	spec := j.specOf(&m.NewFlavor)
	if j.stays() {
		return structs.PowerShutdown, j.r.cfg.Driver.Resize(ctx, spec)
	}
	dir := j.importDir()
	if j.imported(ctx) { // before an agent's restart; the source may have removed the disks since
		return structs.PowerShutdown, RemoveMoved(dir)
	}
	export := structs.DisksRequest{HostID: m.SourceID, InstanceID: m.InstanceID, MigrationID: m.ID}
	if err := j.r.cfg.Fetch(ctx, j.work.Peer, export, dir); err != nil {
		return structs.PowerNoState, err
	}
	if err := j.r.cfg.Driver.ImportDisks(ctx, &driver.MigrateRequest{InstanceRef: *j.ref(), Spec: spec, DiskDir: dir}); err != nil {
		return structs.PowerNoState, err
	}
	export.Release = true
	if err := errors.Join(RemoveMoved(dir), j.r.cfg.Fetch(ctx, j.work.Peer, export, dir)); err != nil {
		j.r.cfg.Logger.Warn("disks that were imported are not removed yet; they are in a day, or when the migration ends", "migration_id", m.ID, "error", err)
	}
	return structs.PowerShutdown, nil
}

// imported reports whether the driver has made the guest of this operation's disks already.
func (j *job) imported(ctx context.Context) bool {
	st, err := j.r.cfg.Driver.Inspect(ctx, string(j.work.Instance.ID))
	return err == nil && st.OperationID == string(j.work.Operation.ID)
}

// stepBoot starts the guest where it arrived, unless its instance was stopped.
func stepBoot(ctx context.Context, j *job) (structs.PowerState, error) {
	m, err := j.migration()
	if err != nil {
		return structs.PowerNoState, err
	}
	if m.PriorVM == structs.VMStopped {
		return structs.PowerShutdown, nil
	}
	if err := j.r.cfg.Driver.Start(ctx, j.ref()); err != nil {
		return j.power(ctx), err
	}
	return structs.PowerRunning, nil
}

// stepDiscard removes what arrived. Where the guest never left, it gets its old flavor; its disk stays as large as it was made.
func stepDiscard(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := RemoveMoved(j.importDir()); err != nil {
		return structs.PowerNoState, err
	}
	if !j.stays() {
		return stepDestroy(ctx, j)
	}
	m, err := j.migration()
	if err != nil {
		return structs.PowerNoState, err
	}
	spec := j.specOf(&m.OldFlavor)
	spec.RootGiB = max(spec.RootGiB, m.NewFlavor.RootGiB)
	spec.OperationID += "/discard" // the driver has seen the operation's Resize: this is another
	if err := j.r.cfg.Driver.Stop(ctx, &driver.StopRequest{InstanceRef: spec.InstanceRef}); err != nil {
		return j.power(ctx), err
	}
	return structs.PowerShutdown, j.r.cfg.Driver.Resize(ctx, spec)
}

// stepReturn starts the guest again that stayed behind, unless its instance was stopped.
func stepReturn(ctx context.Context, j *job) (structs.PowerState, error) {
	if err := RemoveMoved(j.exportDir()); err != nil {
		return j.power(ctx), err
	}
	m, err := j.migration()
	if err != nil {
		return j.power(ctx), err
	}
	if m.PriorVM == structs.VMStopped {
		return structs.PowerShutdown, nil
	}
	return startOrRecover(ctx, j, j.specOf(&m.OldFlavor))
}

// stepForget destroys the guest that stayed behind.
func stepForget(ctx context.Context, j *job) (structs.PowerState, error) {
	if j.stays() {
		return j.power(ctx), RemoveMoved(j.exportDir())
	}
	return stepDestroy(ctx, j)
}

// migrateRequest is the request of a live migration's calls.
func (j *job) migrateRequest() (*driver.MigrateRequest, error) {
	m, err := j.migration()
	if err != nil {
		return nil, err
	}
	op := j.work.Operation
	return &driver.MigrateRequest{InstanceRef: *j.ref(), Spec: j.specOf(&m.NewFlavor), Destination: m.DestAddr, BlockMigration: op.Args.BlockMigration,
		CheckData: op.Data}, nil
}

// checkStep asks one side of a live migration whether it can be, and keeps what that side wants the other to know.
func checkStep(call func(driver.Driver, context.Context, *driver.MigrateRequest) (*driver.MigrateCheck, error)) stepFunc {
	return func(ctx context.Context, j *job) (structs.PowerState, error) {
		req, err := j.migrateRequest()
		if err != nil {
			return structs.PowerNoState, err
		}
		c, err := call(j.r.cfg.Driver, ctx, req)
		if err != nil {
			return structs.PowerNoState, err
		}
		if !c.OK {
			return structs.PowerNoState, structs.Errorf(structs.KindConflict, "the guest cannot be migrated live: %s", c.Reason)
		}
		j.data = c.Data
		return structs.PowerNoState, nil
	}
}

func stepPrepare(ctx context.Context, j *job) (structs.PowerState, error) {
	req, err := j.migrateRequest()
	if err != nil {
		return structs.PowerNoState, err
	}
	return structs.PowerNoState, j.r.cfg.Driver.PrepareMigration(ctx, req)
}

// pollPause is how long the runner waits before it asks a driver again that does not say when something is over.
const pollPause = 200 * time.Millisecond

// stepMigrate moves the running guest. After a restart of the agent the migration may be under way, or over: then the guest is not here any more, and the
// destination's next step tells whether it is there.
func stepMigrate(ctx context.Context, j *job) (structs.PowerState, error) {
	req, err := j.migrateRequest()
	if err != nil {
		return structs.PowerNoState, err
	}
	signal := j.work.Operation.Signal
	for {
		progress, err := j.r.cfg.Driver.LiveMigrate(ctx, req)
		switch {
		case err == nil:
			return structs.PowerNoState, j.follow(ctx, progress)
		case errors.Is(err, driver.ErrNotFound):
			return structs.PowerNoState, nil
		case !errors.Is(err, driver.ErrConflict):
			return j.power(ctx), err
		}
		if st, ierr := j.r.cfg.Driver.Inspect(ctx, string(j.work.Instance.ID)); ierr == nil && structs.PowerState(st.Power) == structs.PowerShutdown {
			return structs.PowerShutdown, err
		}
		j.obey(ctx, signal)
		if signal == structs.SignalAbort { // the undoing step waits for the end, and tells what it was
			return structs.PowerNoState, structs.Errorf(structs.KindConflict, "the live migration was aborted")
		}
		select {
		case signal = <-j.signals:
		case <-time.After(pollPause):
			signal = ""
		case <-ctx.Done():
			return structs.PowerNoState, err
		}
	}
}

// follow waits until a live migration is over, and passes signals on.
func (j *job) follow(ctx context.Context, progress <-chan *driver.MigrateProgress) error {
	defer j.r.setProgress(j.work.Instance.ID, nil)
	j.obey(ctx, j.work.Operation.Signal)
	for {
		select {
		case p, ok := <-progress:
			switch {
			case !ok:
				return structs.Errorf(structs.KindUnavailable, "the driver lost sight of the migration")
			case p.Done && p.Err != "":
				return structs.Errorf(structs.KindConflict, "the live migration failed: %s", p.Err)
			case p.Done:
				return nil
			}
			j.r.setProgress(j.work.Instance.ID, &structs.MigrationProgress{MemoryTotal: p.MemoryTotal, MemoryRemaining: p.MemoryRemaining,
				DiskTotal: p.DiskTotal, DiskRemaining: p.DiskRemaining})
		case s := <-j.signals:
			j.obey(ctx, s)
		case <-ctx.Done(): // the time is over: the undoing step aborts it; or this process ends, and the guest goes on
			return ctx.Err()
		}
	}
}

// obey passes a signal on to the driver. It may come too late, or too early; then the migration goes on as it was.
func (j *job) obey(ctx context.Context, s structs.MigrationSignal) {
	var err error
	switch s {
	case structs.SignalAbort:
		err = j.r.cfg.Driver.AbortMigration(ctx, j.ref())
	case structs.SignalForceComplete:
		err = j.r.cfg.Driver.ForceCompleteMigration(ctx, j.ref())
	}
	if err != nil {
		j.r.cfg.Logger.Warn("the driver did not take a signal to a live migration", "instance_id", j.work.Instance.ID, "signal", s, "error", err)
	}
}

// stepHalt makes sure that the guest stays. Where it has gone to the destination already, it says so.
func stepHalt(ctx context.Context, j *job) (structs.PowerState, error) {
	for {
		err := j.r.cfg.Driver.AbortMigration(ctx, j.ref())
		if err != nil {
			break // there is nothing to abort, or no more
		}
		select {
		case <-time.After(pollPause):
		case <-ctx.Done():
			return structs.PowerNoState, ctx.Err()
		}
	}
	st, err := j.r.cfg.Driver.Inspect(ctx, string(j.work.Instance.ID))
	if errors.Is(err, driver.ErrNotFound) {
		j.found = true
		return structs.PowerNoState, nil
	}
	if err != nil {
		return structs.PowerNoState, err
	}
	return structs.PowerState(st.Power), nil
}

// stepRollback forgets a guest that was waited for. One that has arrived is kept, and said to be here.
func stepRollback(ctx context.Context, j *job) (structs.PowerState, error) {
	req, err := j.migrateRequest()
	if err != nil {
		return structs.PowerNoState, err
	}
	err = j.r.cfg.Driver.RollbackMigration(ctx, req)
	if errors.Is(err, driver.ErrConflict) {
		j.found = true
		return structs.PowerNoState, nil
	}
	return structs.PowerNoState, err
}

func stepArrive(ctx context.Context, j *job) (structs.PowerState, error) {
	req, err := j.migrateRequest()
	if err != nil {
		return structs.PowerNoState, err
	}
	if err := j.r.cfg.Driver.FinishMigration(ctx, req); err != nil {
		return structs.PowerNoState, err
	}
	return j.power(ctx), nil
}

// setProgress keeps how far a live migration is; nil forgets it.
func (r *Runner) setProgress(id structs.InstanceID, p *structs.MigrationProgress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p == nil {
		delete(r.progress, id)
		return
	}
	r.progress[id] = p
}

// Progress is how far the live migration of an instance is; nil when none is under way, or its driver has not said.
func (r *Runner) Progress(id structs.InstanceID) *structs.MigrationProgress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress[id]
}
