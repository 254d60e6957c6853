package drivermanager

import (
	"context"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// act passes on a call that answers nothing.
func (d *Driver) act(ctx context.Context, call func(*driver.Client) error) error {
	client, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	return call(client)
}

// ask passes on a call that answers something.
func ask[T any](ctx context.Context, d *Driver, call func(*driver.Client) (T, error)) (T, error) {
	client, err := d.acquire(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return call(client)
}

// Capabilities implements driver.Driver.
func (d *Driver) Capabilities(ctx context.Context) (*driver.Capabilities, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.Capabilities, error) { return c.Capabilities(ctx) })
}

// Create implements driver.Driver.
func (d *Driver) Create(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.InstanceStatus, error) { return c.Create(ctx, spec) })
}

// Destroy implements driver.Driver.
func (d *Driver) Destroy(ctx context.Context, req *driver.DestroyRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Destroy(ctx, req) })
}

// List implements driver.Driver.
func (d *Driver) List(ctx context.Context) ([]*driver.InstanceStatus, error) {
	return ask(ctx, d, func(c *driver.Client) ([]*driver.InstanceStatus, error) { return c.List(ctx) })
}

// Inspect implements driver.Driver.
func (d *Driver) Inspect(ctx context.Context, instanceID string) (*driver.InstanceStatus, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.InstanceStatus, error) { return c.Inspect(ctx, instanceID) })
}

// Recover implements driver.Driver.
func (d *Driver) Recover(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.InstanceStatus, error) { return c.Recover(ctx, spec) })
}

// Rebuild implements driver.Driver.
func (d *Driver) Rebuild(ctx context.Context, spec *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.InstanceStatus, error) { return c.Rebuild(ctx, spec) })
}

// Resize implements driver.Driver.
func (d *Driver) Resize(ctx context.Context, spec *driver.InstanceSpec) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Resize(ctx, spec) })
}

// Rescue implements driver.Driver.
func (d *Driver) Rescue(ctx context.Context, spec *driver.InstanceSpec) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Rescue(ctx, spec) })
}

// Unrescue implements driver.Driver.
func (d *Driver) Unrescue(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Unrescue(ctx, ref) })
}

// Start implements driver.Driver.
func (d *Driver) Start(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Start(ctx, ref) })
}

// Stop implements driver.Driver.
func (d *Driver) Stop(ctx context.Context, req *driver.StopRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Stop(ctx, req) })
}

// Reboot implements driver.Driver.
func (d *Driver) Reboot(ctx context.Context, req *driver.RebootRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Reboot(ctx, req) })
}

// Pause implements driver.Driver.
func (d *Driver) Pause(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Pause(ctx, ref) })
}

// Unpause implements driver.Driver.
func (d *Driver) Unpause(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Unpause(ctx, ref) })
}

// Suspend implements driver.Driver.
func (d *Driver) Suspend(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Suspend(ctx, ref) })
}

// Resume implements driver.Driver.
func (d *Driver) Resume(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Resume(ctx, ref) })
}

// TriggerCrashDump implements driver.Driver.
func (d *Driver) TriggerCrashDump(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.TriggerCrashDump(ctx, ref) })
}

// SetAdminPassword implements driver.Driver.
func (d *Driver) SetAdminPassword(ctx context.Context, req *driver.PasswordRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.SetAdminPassword(ctx, req) })
}

// Quiesce implements driver.Driver.
func (d *Driver) Quiesce(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Quiesce(ctx, ref) })
}

// Unquiesce implements driver.Driver.
func (d *Driver) Unquiesce(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Unquiesce(ctx, ref) })
}

// AttachVolume implements driver.Driver.
func (d *Driver) AttachVolume(ctx context.Context, req *driver.VolumeRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.AttachVolume(ctx, req) })
}

// DetachVolume implements driver.Driver.
func (d *Driver) DetachVolume(ctx context.Context, req *driver.VolumeRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.DetachVolume(ctx, req) })
}

// SwapVolume implements driver.Driver.
func (d *Driver) SwapVolume(ctx context.Context, req *driver.SwapVolumeRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.SwapVolume(ctx, req) })
}

// ExtendVolume implements driver.Driver.
func (d *Driver) ExtendVolume(ctx context.Context, req *driver.ExtendVolumeRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.ExtendVolume(ctx, req) })
}

// Snapshot implements driver.Driver.
func (d *Driver) Snapshot(ctx context.Context, req *driver.SnapshotRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.Snapshot(ctx, req) })
}

// VolumeSnapshotCreate implements driver.Driver.
func (d *Driver) VolumeSnapshotCreate(ctx context.Context, req *driver.VolumeSnapshotRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.VolumeSnapshotCreate(ctx, req) })
}

// VolumeSnapshotDelete implements driver.Driver.
func (d *Driver) VolumeSnapshotDelete(ctx context.Context, req *driver.VolumeSnapshotRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.VolumeSnapshotDelete(ctx, req) })
}

// VolumeConnector implements driver.Driver.
func (d *Driver) VolumeConnector(ctx context.Context) (*driver.VolumeConnector, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.VolumeConnector, error) { return c.VolumeConnector(ctx) })
}

// MountShare implements driver.Driver.
func (d *Driver) MountShare(ctx context.Context, req *driver.ShareRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.MountShare(ctx, req) })
}

// UnmountShare implements driver.Driver.
func (d *Driver) UnmountShare(ctx context.Context, req *driver.ShareRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.UnmountShare(ctx, req) })
}

// AttachInterface implements driver.Driver.
func (d *Driver) AttachInterface(ctx context.Context, req *driver.InterfaceRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.AttachInterface(ctx, req) })
}

// DetachInterface implements driver.Driver.
func (d *Driver) DetachInterface(ctx context.Context, req *driver.InterfaceRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.DetachInterface(ctx, req) })
}

// CheckMigrateDestination implements driver.Driver.
func (d *Driver) CheckMigrateDestination(ctx context.Context, req *driver.MigrateRequest) (*driver.MigrateCheck, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.MigrateCheck, error) { return c.CheckMigrateDestination(ctx, req) })
}

// CheckMigrateSource implements driver.Driver.
func (d *Driver) CheckMigrateSource(ctx context.Context, req *driver.MigrateRequest) (*driver.MigrateCheck, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.MigrateCheck, error) { return c.CheckMigrateSource(ctx, req) })
}

// PrepareMigration implements driver.Driver.
func (d *Driver) PrepareMigration(ctx context.Context, req *driver.MigrateRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.PrepareMigration(ctx, req) })
}

// LiveMigrate implements driver.Driver.
func (d *Driver) LiveMigrate(ctx context.Context, req *driver.MigrateRequest) (<-chan *driver.MigrateProgress, error) {
	return ask(ctx, d, func(c *driver.Client) (<-chan *driver.MigrateProgress, error) { return c.LiveMigrate(ctx, req) })
}

// ForceCompleteMigration implements driver.Driver.
func (d *Driver) ForceCompleteMigration(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.ForceCompleteMigration(ctx, ref) })
}

// AbortMigration implements driver.Driver.
func (d *Driver) AbortMigration(ctx context.Context, ref *driver.InstanceRef) error {
	return d.act(ctx, func(c *driver.Client) error { return c.AbortMigration(ctx, ref) })
}

// FinishMigration implements driver.Driver.
func (d *Driver) FinishMigration(ctx context.Context, req *driver.MigrateRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.FinishMigration(ctx, req) })
}

// RollbackMigration implements driver.Driver.
func (d *Driver) RollbackMigration(ctx context.Context, req *driver.MigrateRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.RollbackMigration(ctx, req) })
}

// ExportDisks implements driver.Driver.
func (d *Driver) ExportDisks(ctx context.Context, req *driver.MigrateRequest) ([]*driver.DiskFile, error) {
	return ask(ctx, d, func(c *driver.Client) ([]*driver.DiskFile, error) { return c.ExportDisks(ctx, req) })
}

// ImportDisks implements driver.Driver.
func (d *Driver) ImportDisks(ctx context.Context, req *driver.MigrateRequest) error {
	return d.act(ctx, func(c *driver.Client) error { return c.ImportDisks(ctx, req) })
}

// ConsoleOutput implements driver.Driver.
func (d *Driver) ConsoleOutput(ctx context.Context, req *driver.ConsoleOutputRequest) ([]byte, error) {
	return ask(ctx, d, func(c *driver.Client) ([]byte, error) { return c.ConsoleOutput(ctx, req) })
}

// ConsoleEndpoint implements driver.Driver.
func (d *Driver) ConsoleEndpoint(ctx context.Context, req *driver.ConsoleEndpointRequest) (*driver.ConsoleEndpoint, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.ConsoleEndpoint, error) { return c.ConsoleEndpoint(ctx, req) })
}

// Diagnostics implements driver.Driver.
func (d *Driver) Diagnostics(ctx context.Context, ref *driver.InstanceRef) (*driver.Diagnostics, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.Diagnostics, error) { return c.Diagnostics(ctx, ref) })
}

// VolumeUsage implements driver.Driver.
func (d *Driver) VolumeUsage(ctx context.Context) ([]*driver.VolumeUsage, error) {
	return ask(ctx, d, func(c *driver.Client) ([]*driver.VolumeUsage, error) { return c.VolumeUsage(ctx) })
}

// HostStats implements driver.Driver.
func (d *Driver) HostStats(ctx context.Context) (*driver.HostStats, error) {
	return ask(ctx, d, func(c *driver.Client) (*driver.HostStats, error) { return c.HostStats(ctx) })
}

// HostPower implements driver.Driver.
func (d *Driver) HostPower(ctx context.Context, action driver.HostPowerAction) error {
	return d.act(ctx, func(c *driver.Client) error { return c.HostPower(ctx, action) })
}

// HostMaintenance implements driver.Driver.
func (d *Driver) HostMaintenance(ctx context.Context, on bool) error {
	return d.act(ctx, func(c *driver.Client) error { return c.HostMaintenance(ctx, on) })
}
