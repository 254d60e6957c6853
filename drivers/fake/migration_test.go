package fake

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func migrate(spec *driver.InstanceSpec, operation string, generation uint64) *driver.MigrateRequest {
	return &driver.MigrateRequest{
		InstanceRef: driver.InstanceRef{InstanceID: spec.InstanceID, OperationID: operation, Generation: generation}, Spec: spec,
	}
}

// last reads a migration to its end.
func last(t *testing.T, ch <-chan *driver.MigrateProgress) *driver.MigrateProgress {
	t.Helper()
	var p *driver.MigrateProgress
	for v := range ch {
		p = v
	}
	require.NotNil(t, p)
	require.True(t, p.Done)
	return p
}

func TestLiveMigration(t *testing.T) {
	t.Parallel()
	source, destination := open(t, nil), open(t, nil)
	spec := create(t, source, "g")
	req, ctx := migrate(spec, "m", 2), t.Context()

	check, err := destination.CheckMigrateDestination(ctx, req)
	require.NoError(t, err)
	require.True(t, check.OK)
	check, err = source.CheckMigrateSource(ctx, req)
	require.NoError(t, err)
	require.True(t, check.OK)
	check, err = source.CheckMigrateDestination(ctx, req)
	require.NoError(t, err)
	require.False(t, check.OK, "it is here already")

	for range 2 {
		require.NoError(t, destination.PrepareMigration(ctx, req))
	}
	list, err := destination.List(ctx)
	require.NoError(t, err)
	require.Empty(t, list, "what arrives is no guest yet")
	ch, err := source.LiveMigrate(ctx, req)
	require.NoError(t, err)
	require.Empty(t, last(t, ch).Err)
	_, err = source.Inspect(ctx, "g")
	require.ErrorIs(t, err, driver.ErrNotFound)
	for range 2 {
		require.NoError(t, destination.FinishMigration(ctx, req))
		require.Equal(t, driver.PowerRunning, power(t, destination, "g"))
	}
	require.ErrorIs(t, destination.RollbackMigration(ctx, req), driver.ErrConflict, "too late to undo anything")
	require.Equal(t, driver.PowerRunning, power(t, destination, "g"))
	_, err = source.Create(ctx, spec)
	require.ErrorIs(t, err, driver.ErrConflict, "a late call cannot bring it back")
}

func TestMigrationAbortedForcedAndRolledBack(t *testing.T) {
	t.Parallel()
	d := open(t, map[string]any{"latency": map[string]string{"live_migrate": "1h"}})
	spec, ctx := create(t, d, "g"), t.Context()
	require.ErrorIs(t, d.AbortMigration(ctx, op("g", "a")), driver.ErrConflict)
	ch, err := d.LiveMigrate(ctx, migrate(spec, "m", 1))
	require.NoError(t, err)
	_, err = d.LiveMigrate(ctx, migrate(spec, "m2", 1))
	require.ErrorIs(t, err, driver.ErrConflict)
	require.NoError(t, d.AbortMigration(ctx, op("g", "a")))
	require.Equal(t, "aborted", last(t, ch).Err)
	require.Equal(t, driver.PowerRunning, power(t, d, "g"))

	ch, err = d.LiveMigrate(ctx, migrate(spec, "m3", 1))
	require.NoError(t, err)
	require.NoError(t, d.ForceCompleteMigration(ctx, op("g", "f")))
	require.Empty(t, last(t, ch).Err)

	destination := open(t, nil)
	require.NoError(t, destination.PrepareMigration(ctx, migrate(spec, "m", 1)))
	for range 2 {
		require.NoError(t, destination.RollbackMigration(ctx, migrate(spec, "m", 1)))
	}
	require.ErrorIs(t, destination.FinishMigration(ctx, migrate(spec, "m", 1)), driver.ErrNotFound)
}

func TestScriptedMigrationFailure(t *testing.T) {
	t.Parallel()
	d := open(t, map[string]any{"failures": []Failure{
		{When: When{Method: "live_migrate", Nth: 1}, Kind: driver.KindConflict},
		{When: When{Method: "live_migrate", Nth: 1, Point: "after"}, Message: "link lost"},
	}})
	spec, ctx := create(t, d, "g"), t.Context()
	_, err := d.LiveMigrate(ctx, migrate(spec, "m", 1))
	require.ErrorIs(t, err, driver.ErrConflict)
	ch, err := d.LiveMigrate(ctx, migrate(spec, "m", 1))
	require.NoError(t, err)
	require.Equal(t, "link lost", last(t, ch).Err)
	require.Equal(t, driver.PowerRunning, power(t, d, "g"))
}

func TestColdMigration(t *testing.T) {
	t.Parallel()
	source, destination := open(t, nil), open(t, nil)
	spec, ctx := create(t, source, "g"), t.Context()
	req := migrate(spec, "m", 1)
	req.DiskDir = t.TempDir()
	_, err := source.ExportDisks(ctx, req)
	require.ErrorIs(t, err, driver.ErrConflict, "it runs")
	require.NoError(t, source.Stop(ctx, &driver.StopRequest{InstanceRef: *op("g", "s")}))
	spec.RootGiB, spec.OperationID = 3, "grow"
	require.NoError(t, source.Resize(ctx, spec))
	files, err := source.ExportDisks(ctx, req)
	require.NoError(t, err)
	info, err := os.Stat(files[0].Path)
	require.NoError(t, err)
	require.Equal(t, files[0].Size, info.Size())
	for range 2 {
		require.NoError(t, destination.ImportDisks(ctx, req))
		require.Equal(t, driver.PowerShutdown, power(t, destination, "g"))
	}
	require.NoError(t, destination.Start(ctx, op("g", "on")))

	empty := *req
	empty.DiskDir = t.TempDir()
	require.ErrorIs(t, open(t, nil).ImportDisks(ctx, &empty), driver.ErrNotFound, "nothing arrived")
	smaller := *spec
	smaller.RootGiB = 1
	empty.DiskDir, empty.Spec = req.DiskDir, &smaller
	require.ErrorIs(t, open(t, nil).ImportDisks(ctx, &empty), driver.ErrInvalid, "disks do not shrink")
}

// A guest that has come to a destination which then lost its source is kept there, in the state that it had.
func TestArrivedGuestIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, destination := open(t, map[string]any{"state_dir": dir, "host": "a"}), open(t, map[string]any{"state_dir": dir, "host": "b"})
	spec, ctx := create(t, source, "g"), t.Context()
	require.NoError(t, source.Pause(ctx, op("g", "p")))
	req := migrate(spec, "m", 2)
	check, err := destination.CheckMigrateDestination(ctx, req)
	require.NoError(t, err)
	req.CheckData = check.Data
	check, err = source.CheckMigrateSource(ctx, req)
	require.NoError(t, err)
	req.CheckData = check.Data
	require.NoError(t, destination.PrepareMigration(ctx, req))
	require.NoError(t, destination.RollbackMigration(ctx, req), "nothing has come yet")
	ch, err := source.LiveMigrate(ctx, req)
	require.NoError(t, err)
	require.Contains(t, last(t, ch).Err, "no longer waits")
	require.Equal(t, driver.PowerPaused, power(t, source, "g"), "it stays where it is")
	require.NoError(t, destination.PrepareMigration(ctx, req))
	ch, err = source.LiveMigrate(ctx, req)
	require.NoError(t, err)
	require.Empty(t, last(t, ch).Err)
	require.ErrorIs(t, destination.RollbackMigration(ctx, req), driver.ErrConflict)
	require.NoError(t, destination.FinishMigration(ctx, req))
	require.Equal(t, driver.PowerPaused, power(t, destination, "g"))
	left, err := filepath.Glob(filepath.Join(dir, "*arrived*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRescue(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	spec, ctx := create(t, d, "g"), t.Context()
	rescue := *spec
	rescue.OperationID = "r"
	require.ErrorIs(t, d.Unrescue(ctx, op("g", "u")), driver.ErrConflict)
	for range 2 {
		require.NoError(t, d.Rescue(ctx, &rescue))
	}
	rescue.OperationID = "r2"
	require.ErrorIs(t, d.Rescue(ctx, &rescue), driver.ErrConflict)
	for range 2 {
		require.NoError(t, d.Unrescue(ctx, op("g", "u")))
	}
	require.Equal(t, driver.PowerRunning, power(t, d, "g"))
	require.NoError(t, d.Quiesce(ctx, op("g", "q")))
	require.NoError(t, d.Unquiesce(ctx, op("g", "q")))
	require.NoError(t, d.TriggerCrashDump(ctx, op("g", "t")))
	require.NoError(t, d.SetAdminPassword(ctx, &driver.PasswordRequest{InstanceRef: *op("g", "p"), Password: "x"}))
	require.ErrorIs(t, d.SetAdminPassword(ctx, &driver.PasswordRequest{InstanceRef: *op("g", "p")}), driver.ErrInvalid)
	e, err := d.ConsoleEndpoint(ctx, &driver.ConsoleEndpointRequest{InstanceID: "g", Kind: driver.ConsoleVNC})
	require.NoError(t, err)
	require.Equal(t, 6969, e.Port)
	_, err = d.HostStats(ctx)
	require.NoError(t, err)
	require.NoError(t, d.HostMaintenance(ctx, true))
	c, err := d.VolumeConnector(ctx)
	require.NoError(t, err)
	require.Equal(t, "fake", c.Host)
}
