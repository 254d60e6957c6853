package driver

import "context"

// Unsupported is embedded by a driver to answer ErrNotSupported to every optional method that it does not define itself.
// The methods that every driver must have are not in it, so that a driver that lacks one does not compile: Configure,
// Capabilities, Fingerprint, Events, Create, Destroy, List, Inspect, Recover, Start, Stop, Reboot and ConsoleOutput.
type Unsupported struct{}

func notSupported(method string) error {
	return Errorf(KindNotSupported, "this driver does not support %s", method)
}

// Rebuild answers ErrNotSupported.
func (Unsupported) Rebuild(context.Context, *InstanceSpec) (*InstanceStatus, error) {
	return nil, notSupported("Rebuild")
}

// Resize answers ErrNotSupported.
func (Unsupported) Resize(context.Context, *InstanceSpec) error { return notSupported("Resize") }

// Rescue answers ErrNotSupported.
func (Unsupported) Rescue(context.Context, *InstanceSpec) error { return notSupported("Rescue") }

// Unrescue answers ErrNotSupported.
func (Unsupported) Unrescue(context.Context, *InstanceRef) error { return notSupported("Unrescue") }

// Pause answers ErrNotSupported.
func (Unsupported) Pause(context.Context, *InstanceRef) error { return notSupported("Pause") }

// Unpause answers ErrNotSupported.
func (Unsupported) Unpause(context.Context, *InstanceRef) error { return notSupported("Unpause") }

// Suspend answers ErrNotSupported.
func (Unsupported) Suspend(context.Context, *InstanceRef) error { return notSupported("Suspend") }

// Resume answers ErrNotSupported.
func (Unsupported) Resume(context.Context, *InstanceRef) error { return notSupported("Resume") }

// TriggerCrashDump answers ErrNotSupported.
func (Unsupported) TriggerCrashDump(context.Context, *InstanceRef) error {
	return notSupported("TriggerCrashDump")
}

// SetAdminPassword answers ErrNotSupported.
func (Unsupported) SetAdminPassword(context.Context, *PasswordRequest) error {
	return notSupported("SetAdminPassword")
}

// Quiesce answers ErrNotSupported.
func (Unsupported) Quiesce(context.Context, *InstanceRef) error { return notSupported("Quiesce") }

// Unquiesce answers ErrNotSupported.
func (Unsupported) Unquiesce(context.Context, *InstanceRef) error { return notSupported("Unquiesce") }

// AttachVolume answers ErrNotSupported.
func (Unsupported) AttachVolume(context.Context, *VolumeRequest) error {
	return notSupported("AttachVolume")
}

// DetachVolume answers ErrNotSupported.
func (Unsupported) DetachVolume(context.Context, *VolumeRequest) error {
	return notSupported("DetachVolume")
}

// SwapVolume answers ErrNotSupported.
func (Unsupported) SwapVolume(context.Context, *SwapVolumeRequest) error {
	return notSupported("SwapVolume")
}

// ExtendVolume answers ErrNotSupported.
func (Unsupported) ExtendVolume(context.Context, *ExtendVolumeRequest) error {
	return notSupported("ExtendVolume")
}

// Snapshot answers ErrNotSupported.
func (Unsupported) Snapshot(context.Context, *SnapshotRequest) error { return notSupported("Snapshot") }

// VolumeSnapshotCreate answers ErrNotSupported.
func (Unsupported) VolumeSnapshotCreate(context.Context, *VolumeSnapshotRequest) error {
	return notSupported("VolumeSnapshotCreate")
}

// VolumeSnapshotDelete answers ErrNotSupported.
func (Unsupported) VolumeSnapshotDelete(context.Context, *VolumeSnapshotRequest) error {
	return notSupported("VolumeSnapshotDelete")
}

// VolumeConnector answers ErrNotSupported.
func (Unsupported) VolumeConnector(context.Context) (*VolumeConnector, error) {
	return nil, notSupported("VolumeConnector")
}

// MountShare answers ErrNotSupported.
func (Unsupported) MountShare(context.Context, *ShareRequest) error {
	return notSupported("MountShare")
}

// UnmountShare answers ErrNotSupported.
func (Unsupported) UnmountShare(context.Context, *ShareRequest) error {
	return notSupported("UnmountShare")
}

// AttachInterface answers ErrNotSupported.
func (Unsupported) AttachInterface(context.Context, *InterfaceRequest) error {
	return notSupported("AttachInterface")
}

// DetachInterface answers ErrNotSupported.
func (Unsupported) DetachInterface(context.Context, *InterfaceRequest) error {
	return notSupported("DetachInterface")
}

// CheckMigrateDestination answers ErrNotSupported.
func (Unsupported) CheckMigrateDestination(context.Context, *MigrateRequest) (*MigrateCheck, error) {
	return nil, notSupported("CheckMigrateDestination")
}

// CheckMigrateSource answers ErrNotSupported.
func (Unsupported) CheckMigrateSource(context.Context, *MigrateRequest) (*MigrateCheck, error) {
	return nil, notSupported("CheckMigrateSource")
}

// PrepareMigration answers ErrNotSupported.
func (Unsupported) PrepareMigration(context.Context, *MigrateRequest) error {
	return notSupported("PrepareMigration")
}

// LiveMigrate answers ErrNotSupported.
func (Unsupported) LiveMigrate(context.Context, *MigrateRequest) (<-chan *MigrateProgress, error) {
	return nil, notSupported("LiveMigrate")
}

// ForceCompleteMigration answers ErrNotSupported.
func (Unsupported) ForceCompleteMigration(context.Context, *InstanceRef) error {
	return notSupported("ForceCompleteMigration")
}

// AbortMigration answers ErrNotSupported.
func (Unsupported) AbortMigration(context.Context, *InstanceRef) error {
	return notSupported("AbortMigration")
}

// FinishMigration answers ErrNotSupported.
func (Unsupported) FinishMigration(context.Context, *MigrateRequest) error {
	return notSupported("FinishMigration")
}

// RollbackMigration answers ErrNotSupported.
func (Unsupported) RollbackMigration(context.Context, *MigrateRequest) error {
	return notSupported("RollbackMigration")
}

// ExportDisks answers ErrNotSupported.
func (Unsupported) ExportDisks(context.Context, *MigrateRequest) ([]*DiskFile, error) {
	return nil, notSupported("ExportDisks")
}

// ImportDisks answers ErrNotSupported.
func (Unsupported) ImportDisks(context.Context, *MigrateRequest) error {
	return notSupported("ImportDisks")
}

// ConsoleEndpoint answers ErrNotSupported.
func (Unsupported) ConsoleEndpoint(context.Context, *ConsoleEndpointRequest) (*ConsoleEndpoint, error) {
	return nil, notSupported("ConsoleEndpoint")
}

// Diagnostics answers ErrNotSupported.
func (Unsupported) Diagnostics(context.Context, *InstanceRef) (*Diagnostics, error) {
	return nil, notSupported("Diagnostics")
}

// VolumeUsage answers ErrNotSupported.
func (Unsupported) VolumeUsage(context.Context) ([]*VolumeUsage, error) {
	return nil, notSupported("VolumeUsage")
}

// HostStats answers ErrNotSupported.
func (Unsupported) HostStats(context.Context) (*HostStats, error) {
	return nil, notSupported("HostStats")
}

// HostPower answers ErrNotSupported.
func (Unsupported) HostPower(context.Context, HostPowerAction) error {
	return notSupported("HostPower")
}

// HostMaintenance answers ErrNotSupported.
func (Unsupported) HostMaintenance(context.Context, bool) error {
	return notSupported("HostMaintenance")
}
