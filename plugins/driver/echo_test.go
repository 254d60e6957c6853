package driver

import (
	"context"
	"sync"
)

// echo is a Driver that notes each call's name and arguments and answers filled values.
type echo struct {
	mu    sync.Mutex
	calls []call
}

type call struct {
	method string
	args   []any
}

func (e *echo) note(method string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call{method, args})
}

// one answers a closed channel of one filled value.
func one[T any]() <-chan *T {
	ch := make(chan *T, 1)
	ch <- filled[*T]()
	close(ch)
	return ch
}

func (e *echo) Configure(_ context.Context, config []byte) error {
	e.note("Configure", config)
	return nil
}

func (e *echo) Capabilities(_ context.Context) (*Capabilities, error) {
	e.note("Capabilities")
	return filled[*Capabilities](), nil
}

func (e *echo) Fingerprint(_ context.Context) (<-chan *Fingerprint, error) {
	e.note("Fingerprint")
	return one[Fingerprint](), nil
}

func (e *echo) Events(_ context.Context) (<-chan *Event, error) {
	e.note("Events")
	return one[Event](), nil
}

func (e *echo) Create(_ context.Context, spec *InstanceSpec) (*InstanceStatus, error) {
	e.note("Create", spec)
	return filled[*InstanceStatus](), nil
}

func (e *echo) Destroy(_ context.Context, req *DestroyRequest) error {
	e.note("Destroy", req)
	return nil
}

func (e *echo) List(_ context.Context) ([]*InstanceStatus, error) {
	e.note("List")
	return filled[[]*InstanceStatus](), nil
}

func (e *echo) Inspect(_ context.Context, instanceID string) (*InstanceStatus, error) {
	e.note("Inspect", instanceID)
	return filled[*InstanceStatus](), nil
}

func (e *echo) Recover(_ context.Context, spec *InstanceSpec) (*InstanceStatus, error) {
	e.note("Recover", spec)
	return filled[*InstanceStatus](), nil
}

func (e *echo) Rebuild(_ context.Context, spec *InstanceSpec) (*InstanceStatus, error) {
	e.note("Rebuild", spec)
	return filled[*InstanceStatus](), nil
}

func (e *echo) Resize(_ context.Context, spec *InstanceSpec) error {
	e.note("Resize", spec)
	return nil
}

func (e *echo) Rescue(_ context.Context, spec *InstanceSpec) error {
	e.note("Rescue", spec)
	return nil
}

func (e *echo) Unrescue(_ context.Context, ref *InstanceRef) error {
	e.note("Unrescue", ref)
	return nil
}

func (e *echo) Start(_ context.Context, ref *InstanceRef) error {
	e.note("Start", ref)
	return nil
}

func (e *echo) Stop(_ context.Context, req *StopRequest) error {
	e.note("Stop", req)
	return nil
}

func (e *echo) Reboot(_ context.Context, req *RebootRequest) error {
	e.note("Reboot", req)
	return nil
}

func (e *echo) Pause(_ context.Context, ref *InstanceRef) error {
	e.note("Pause", ref)
	return nil
}

func (e *echo) Unpause(_ context.Context, ref *InstanceRef) error {
	e.note("Unpause", ref)
	return nil
}

func (e *echo) Suspend(_ context.Context, ref *InstanceRef) error {
	e.note("Suspend", ref)
	return nil
}

func (e *echo) Resume(_ context.Context, ref *InstanceRef) error {
	e.note("Resume", ref)
	return nil
}

func (e *echo) TriggerCrashDump(_ context.Context, ref *InstanceRef) error {
	e.note("TriggerCrashDump", ref)
	return nil
}

func (e *echo) SetAdminPassword(_ context.Context, req *PasswordRequest) error {
	e.note("SetAdminPassword", req)
	return nil
}

func (e *echo) Quiesce(_ context.Context, ref *InstanceRef) error {
	e.note("Quiesce", ref)
	return nil
}

func (e *echo) Unquiesce(_ context.Context, ref *InstanceRef) error {
	e.note("Unquiesce", ref)
	return nil
}

func (e *echo) AttachVolume(_ context.Context, req *VolumeRequest) error {
	e.note("AttachVolume", req)
	return nil
}

func (e *echo) DetachVolume(_ context.Context, req *VolumeRequest) error {
	e.note("DetachVolume", req)
	return nil
}

func (e *echo) SwapVolume(_ context.Context, req *SwapVolumeRequest) error {
	e.note("SwapVolume", req)
	return nil
}

func (e *echo) ExtendVolume(_ context.Context, req *ExtendVolumeRequest) error {
	e.note("ExtendVolume", req)
	return nil
}

func (e *echo) Snapshot(_ context.Context, req *SnapshotRequest) error {
	e.note("Snapshot", req)
	return nil
}

func (e *echo) VolumeSnapshotCreate(_ context.Context, req *VolumeSnapshotRequest) error {
	e.note("VolumeSnapshotCreate", req)
	return nil
}

func (e *echo) VolumeSnapshotDelete(_ context.Context, req *VolumeSnapshotRequest) error {
	e.note("VolumeSnapshotDelete", req)
	return nil
}

func (e *echo) VolumeConnector(_ context.Context) (*VolumeConnector, error) {
	e.note("VolumeConnector")
	return filled[*VolumeConnector](), nil
}

func (e *echo) MountShare(_ context.Context, req *ShareRequest) error {
	e.note("MountShare", req)
	return nil
}

func (e *echo) UnmountShare(_ context.Context, req *ShareRequest) error {
	e.note("UnmountShare", req)
	return nil
}

func (e *echo) AttachInterface(_ context.Context, req *InterfaceRequest) error {
	e.note("AttachInterface", req)
	return nil
}

func (e *echo) DetachInterface(_ context.Context, req *InterfaceRequest) error {
	e.note("DetachInterface", req)
	return nil
}

func (e *echo) CheckMigrateDestination(_ context.Context, req *MigrateRequest) (*MigrateCheck, error) {
	e.note("CheckMigrateDestination", req)
	return filled[*MigrateCheck](), nil
}

func (e *echo) CheckMigrateSource(_ context.Context, req *MigrateRequest) (*MigrateCheck, error) {
	e.note("CheckMigrateSource", req)
	return filled[*MigrateCheck](), nil
}

func (e *echo) PrepareMigration(_ context.Context, req *MigrateRequest) error {
	e.note("PrepareMigration", req)
	return nil
}

func (e *echo) LiveMigrate(_ context.Context, req *MigrateRequest) (<-chan *MigrateProgress, error) {
	e.note("LiveMigrate", req)
	return one[MigrateProgress](), nil
}

func (e *echo) ForceCompleteMigration(_ context.Context, ref *InstanceRef) error {
	e.note("ForceCompleteMigration", ref)
	return nil
}

func (e *echo) AbortMigration(_ context.Context, ref *InstanceRef) error {
	e.note("AbortMigration", ref)
	return nil
}

func (e *echo) FinishMigration(_ context.Context, req *MigrateRequest) error {
	e.note("FinishMigration", req)
	return nil
}

func (e *echo) RollbackMigration(_ context.Context, req *MigrateRequest) error {
	e.note("RollbackMigration", req)
	return nil
}

func (e *echo) ExportDisks(_ context.Context, req *MigrateRequest) ([]*DiskFile, error) {
	e.note("ExportDisks", req)
	return filled[[]*DiskFile](), nil
}

func (e *echo) ImportDisks(_ context.Context, req *MigrateRequest) error {
	e.note("ImportDisks", req)
	return nil
}

func (e *echo) ConsoleOutput(_ context.Context, req *ConsoleOutputRequest) ([]byte, error) {
	e.note("ConsoleOutput", req)
	return filled[[]byte](), nil
}

func (e *echo) ConsoleEndpoint(_ context.Context, req *ConsoleEndpointRequest) (*ConsoleEndpoint, error) {
	e.note("ConsoleEndpoint", req)
	return filled[*ConsoleEndpoint](), nil
}

func (e *echo) Diagnostics(_ context.Context, ref *InstanceRef) (*Diagnostics, error) {
	e.note("Diagnostics", ref)
	return filled[*Diagnostics](), nil
}

func (e *echo) VolumeUsage(_ context.Context) ([]*VolumeUsage, error) {
	e.note("VolumeUsage")
	return filled[[]*VolumeUsage](), nil
}

func (e *echo) HostStats(_ context.Context) (*HostStats, error) {
	e.note("HostStats")
	return filled[*HostStats](), nil
}

func (e *echo) HostPower(_ context.Context, action HostPowerAction) error {
	e.note("HostPower", action)
	return nil
}

func (e *echo) HostMaintenance(_ context.Context, on bool) error {
	e.note("HostMaintenance", on)
	return nil
}
