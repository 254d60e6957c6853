// Package driver is the contract between Kilonova and a hypervisor driver.
//
// A driver is a program that calls Serve with its Driver and is started by the agent as a subprocess
// (hashicorp/go-plugin, gRPC). This package imports nothing of Kilonova's, so that a third party needs only it.
//
// Rules that every driver keeps, and that the conformance suite checks:
//
//   - Every call is idempotent by (instance id, operation id): the agent repeats a call whose answer it lost.
//   - A missing guest is success for Destroy and ErrNotFound for everything else that names one. Create and what the
//     destination of a migration does before the guest has arrived (CheckMigrateDestination, PrepareMigration,
//     RollbackMigration, ImportDisks) do not look for one.
//   - A repetition of the last completed call (same method, instance and operation id) is success and does nothing again;
//     an empty operation id is never a repetition.
//   - The driver may die at any moment. It takes no guest with it, and Recover finds the guests again.
//   - A guest's hypervisor name derives from the instance id alone, so that nothing is lost when the driver or the
//     agent dies between making it and saying so.
package driver

import (
	"context"
	"time"
)

// Driver is what a hypervisor driver implements. Embed Unsupported to answer ErrNotSupported to what it lacks; a driver
// names in Capabilities what it can, and the API refuses the rest before a host is asked.
//
// Every method honours ctx: when it ends the method returns promptly with the context's error, and the effect is either
// whole or absent, or the next repetition of the same call completes it.
type Driver interface {
	// Configure hands over the driver's own block of the agent's configuration, as JSON, before any other call.
	// An unknown key or a wrong value is ErrInvalid and names the key and what would be right. Configure is repeated
	// after the agent re-attaches, with the same or a changed configuration.
	Configure(ctx context.Context, config []byte) error
	// Capabilities says what this driver can do. The answer does not change while the driver runs.
	Capabilities(ctx context.Context) (*Capabilities, error)
	// Fingerprint streams the host's inventory and health: one value at once, then one whenever something changed.
	// The channel closes when ctx ends or the driver stops.
	Fingerprint(ctx context.Context) (<-chan *Fingerprint, error)
	// Events streams what guests do of their own accord (power off, crash, ...), also for guests that were made by an
	// earlier process of this driver. Events are hints: after a gap the agent lists and compares.
	Events(ctx context.Context) (<-chan *Event, error)

	Lifecycle
	Power
	Disks
	Network
	Migration
	Console
	Introspection
	HostControl
}

// Lifecycle makes, removes and finds guests.
type Lifecycle interface {
	// Create makes the guest with its disks and, when spec.PowerOn, starts it. A repetition with the same
	// spec.OperationID finds what is there and completes it. On error nothing need be cleaned by Create itself: the
	// agent calls Destroy.
	Create(ctx context.Context, spec *InstanceSpec) (*InstanceStatus, error)
	// Destroy stops the guest at once and removes it, and its disks when req.DestroyDisks. Missing is success.
	Destroy(ctx context.Context, req *DestroyRequest) error
	// List returns every guest that this driver made on this host, running or not.
	List(ctx context.Context) ([]*InstanceStatus, error)
	// Inspect returns one guest, or ErrNotFound.
	Inspect(ctx context.Context, instanceID string) (*InstanceStatus, error)
	// Recover is called once for each instance that the cluster believes on this host, after the driver or the host
	// started again. It re-attaches to a running guest without disturbing it and re-defines a guest whose definition
	// is lost but whose disks are there (powered off). ErrNotFound means that nothing of it is left.
	Recover(ctx context.Context, spec *InstanceSpec) (*InstanceStatus, error)
	// Rebuild replaces the root disk by spec.Image and keeps identity.
	Rebuild(ctx context.Context, spec *InstanceSpec) (*InstanceStatus, error)
	// Resize applies spec's flavor to a stopped guest on the same host.
	Resize(ctx context.Context, spec *InstanceSpec) error
	// Rescue boots spec.Image with the instance's disks attached; Unrescue goes back.
	Rescue(ctx context.Context, spec *InstanceSpec) error
	Unrescue(ctx context.Context, ref *InstanceRef) error
}

// Power changes whether a guest runs.
type Power interface {
	// Start powers the guest on. A running guest is success.
	Start(ctx context.Context, ref *InstanceRef) error
	// Stop asks the guest to shut down and, when req.Timeout has passed (0: at once), cuts its power. A stopped guest is success.
	Stop(ctx context.Context, req *StopRequest) error
	// Reboot restarts the guest: soft asks it and falls back to hard when req.Timeout has passed, hard cuts and starts.
	Reboot(ctx context.Context, req *RebootRequest) error
	Pause(ctx context.Context, ref *InstanceRef) error
	Unpause(ctx context.Context, ref *InstanceRef) error
	// Suspend saves memory to disk and stops; Resume brings it back.
	Suspend(ctx context.Context, ref *InstanceRef) error
	Resume(ctx context.Context, ref *InstanceRef) error
	// TriggerCrashDump injects an NMI.
	TriggerCrashDump(ctx context.Context, ref *InstanceRef) error
	// SetAdminPassword changes a user's password inside the guest; needs an agent in it.
	SetAdminPassword(ctx context.Context, req *PasswordRequest) error
	// Quiesce freezes the guest's file systems; Unquiesce thaws them.
	Quiesce(ctx context.Context, ref *InstanceRef) error
	Unquiesce(ctx context.Context, ref *InstanceRef) error
}

// Disks attaches volumes and takes snapshots.
type Disks interface {
	AttachVolume(ctx context.Context, req *VolumeRequest) error
	DetachVolume(ctx context.Context, req *VolumeRequest) error
	SwapVolume(ctx context.Context, req *SwapVolumeRequest) error
	ExtendVolume(ctx context.Context, req *ExtendVolumeRequest) error
	// Snapshot writes the guest's root disk to req.Path in req.Format, consistent as of one moment.
	Snapshot(ctx context.Context, req *SnapshotRequest) error
	VolumeSnapshotCreate(ctx context.Context, req *VolumeSnapshotRequest) error
	VolumeSnapshotDelete(ctx context.Context, req *VolumeSnapshotRequest) error
	// VolumeConnector describes this host to a volume service (addresses, initiator names).
	VolumeConnector(ctx context.Context) (*VolumeConnector, error)
	MountShare(ctx context.Context, req *ShareRequest) error
	UnmountShare(ctx context.Context, req *ShareRequest) error
}

// Network plugs interfaces whose taps the agent made.
type Network interface {
	AttachInterface(ctx context.Context, req *InterfaceRequest) error
	DetachInterface(ctx context.Context, req *InterfaceRequest) error
}

// Migration moves guests between hosts.
type Migration interface {
	CheckMigrateDestination(ctx context.Context, req *MigrateRequest) (*MigrateCheck, error)
	CheckMigrateSource(ctx context.Context, req *MigrateRequest) (*MigrateCheck, error)
	PrepareMigration(ctx context.Context, req *MigrateRequest) error
	// LiveMigrate moves a running guest and streams progress; the channel's last value has Done set, and the guest is then
	// no longer on the source unless Err is set. A channel that closes without it means that the driver died or ctx ended:
	// the migration may go on, and Inspect on either side tells.
	LiveMigrate(ctx context.Context, req *MigrateRequest) (<-chan *MigrateProgress, error)
	ForceCompleteMigration(ctx context.Context, ref *InstanceRef) error
	AbortMigration(ctx context.Context, ref *InstanceRef) error
	// FinishMigration, on the destination, makes the arrived guest permanent, in the power state that it had. RollbackMigration, on the destination, removes
	// what a failed migration left there; nothing is success. A guest that has arrived whole is kept, and the answer is ErrConflict: it runs here and
	// nowhere else. The source has nothing to roll back that AbortMigration does not.
	FinishMigration(ctx context.Context, req *MigrateRequest) error
	RollbackMigration(ctx context.Context, req *MigrateRequest) error
	// ExportDisks writes a stopped guest's disks, whole and without reference to any other file, into req.DiskDir, and leaves the guest as it is. The agent
	// carries the files to the other host under the same names, where ImportDisks makes of them, in req.DiskDir again, a guest after req.Spec, switched off;
	// it may move the files. The disks grow when the spec asks for more.
	ExportDisks(ctx context.Context, req *MigrateRequest) ([]*DiskFile, error)
	ImportDisks(ctx context.Context, req *MigrateRequest) error
}

// Console reads and opens consoles.
type Console interface {
	// ConsoleOutput returns the last req.Lines lines (0 or less: all that is kept) of the guest's serial console.
	ConsoleOutput(ctx context.Context, req *ConsoleOutputRequest) ([]byte, error)
	// ConsoleEndpoint says where on this host a console of the given kind listens.
	ConsoleEndpoint(ctx context.Context, req *ConsoleEndpointRequest) (*ConsoleEndpoint, error)
}

// Introspection measures guests.
type Introspection interface {
	Diagnostics(ctx context.Context, ref *InstanceRef) (*Diagnostics, error)
	VolumeUsage(ctx context.Context) ([]*VolumeUsage, error)
	HostStats(ctx context.Context) (*HostStats, error)
}

// HostControl acts on the host itself.
type HostControl interface {
	HostPower(ctx context.Context, action HostPowerAction) error
	HostMaintenance(ctx context.Context, on bool) error
}

// PowerState is what the hypervisor says of a guest. The numbers are Nova's (OS-EXT-STS:power_state).
type PowerState int

const (
	PowerNoState   PowerState = 0
	PowerRunning   PowerState = 1
	PowerPaused    PowerState = 3
	PowerShutdown  PowerState = 4
	PowerCrashed   PowerState = 6
	PowerSuspended PowerState = 7
)

// InstanceRef names a guest in a call. Generation is the fencing number of the instance's placement on this host: a
// driver refuses, with ErrConflict, a generation lower than the highest it has seen for the instance.
type InstanceRef struct {
	InstanceID  string
	OperationID string
	Generation  uint64
}

// InstanceSpec is everything a driver needs to make a guest. It is complete: the driver asks nobody for more.
type InstanceSpec struct {
	InstanceRef
	Name      string // the user's name for it: for display only
	Hostname  string // what the guest is to call itself
	ProjectID string
	UserID    string

	VCPUs        int
	MemoryMiB    int64
	RootGiB      int64 // 0: as large as the image
	EphemeralGiB int64
	SwapMiB      int64
	ExtraSpecs   map[string]string // of the flavor, e.g. hw:cpu_policy

	Image      *Image // nil: no root image (volume-backed)
	PowerOn    bool
	KeyName    string
	PublicKeys []string
	UserData   []byte
	Metadata   map[string]string
	// Files are to be in the guest's file system when it first starts. They come with a Create or Rebuild that makes a disk of an image, and with no
	// other call. They are the user's secrets: log no contents. A driver that has no way into the disk leaves them out.
	Files []File

	Interfaces      []Interface
	Volumes         []Volume
	ConfigDrivePath string // an ISO 9660 or vfat image that the agent made; "" for none
}

// File is a file that is put into a guest.
type File struct {
	Path     string // as the user gave it; it may be anything
	Contents []byte
}

// Image is a root image that the agent fetched, verified and put on the host's disk, in a format that the driver named.
type Image struct {
	ID          string
	Path        string            // read-only for the driver; stays as long as an instance uses it
	Format      string            // one of Capabilities.ImageFormats
	SHA512      string            // hex, of the file as the image service holds it
	VirtualSize int64             // bytes
	Properties  map[string]string // hw_disk_bus, hw_vif_model, ...
}

// Interface is one network interface; its tap device exists when the driver is called.
type Interface struct {
	ID, MAC, Tap, Bridge, Model string
	MTU                         int
}

// Volume is one block device.
type Volume struct {
	ID, Device, Bus string
	Protocol        string // file, nbd, iscsi, nfs, rbd
	Connection      map[string]string
	ReadOnly        bool
	BootIndex       int // -1: not bootable
}

// InstanceStatus is a guest as the hypervisor has it.
type InstanceStatus struct {
	InstanceID  string
	Power       PowerState
	Generation  uint64
	OperationID string    // of the Create, Rebuild, Resize or ImportDisks that shaped it
	StartedAt   time.Time // zero when not running or not known
	Reason      string    // why it is in this state, when the hypervisor says
	VCPUs       int
	MemoryMiB   int64
}

// DestroyRequest removes a guest.
type DestroyRequest struct {
	InstanceRef
	DestroyDisks bool
}

// StopRequest powers a guest off.
type StopRequest struct {
	InstanceRef
	Timeout time.Duration // how long the guest may take to shut down by itself; 0 cuts the power at once
}

// RebootType is soft or hard.
type RebootType string

const (
	RebootSoft RebootType = "SOFT"
	RebootHard RebootType = "HARD"
)

// RebootRequest restarts a guest.
type RebootRequest struct {
	InstanceRef
	Type    RebootType
	Timeout time.Duration // soft: until it falls back to hard
}

// ConsoleOutputRequest asks for the end of the serial console.
type ConsoleOutputRequest struct {
	InstanceID string
	Lines      int
}

// Capabilities is what a driver can do, and becomes traits of the host (COMPUTE_*).
type Capabilities struct {
	Name         string   // the driver's name: libvirt, fake, ...
	Version      string   // of the driver
	ImageFormats []string // in order of preference: qcow2, raw, ...
	Methods      []string // names of the Driver methods that it implements beyond the embedded Unsupported
	Traits       []string // COMPUTE_* traits that follow from what it can
}

// Fingerprint is the host as the driver sees it at one moment.
type Fingerprint struct {
	Healthy            bool
	HealthDescription  string // why not healthy, and what would cure it; or a remark
	HypervisorType     string // QEMU, KVM, fake, ...
	HypervisorVersion  int64  // major*1e6 + minor*1e3 + micro, as Nova counts
	HypervisorHostname string
	Inventory          Inventory
	Traits             []string // CUSTOM_* and standard trait names, sorted
	Architectures      []string // Nova's names: x86_64, aarch64, ...
	CPU                CPUInfo
	Attributes         map[string]string // anything else worth showing
}

// Inventory is what the host has in all, before reservations and ratios.
type Inventory struct {
	VCPUs     int
	MemoryMiB int64
	DiskGiB   int64
}

// CPUInfo describes the host's processor.
type CPUInfo struct {
	Arch, Model, Vendor     string
	Sockets, Cores, Threads int
	Features                []string
}

// EventType says what a guest did.
type EventType string

const (
	EventStarted   EventType = "started"
	EventStopped   EventType = "stopped"
	EventPaused    EventType = "paused"
	EventResumed   EventType = "resumed"
	EventSuspended EventType = "suspended"
	EventCrashed   EventType = "crashed"
	EventRemoved   EventType = "removed"
)

// Event is something that a guest did.
type Event struct {
	InstanceID string
	Type       EventType
	Time       time.Time
	Detail     string
}
