package driver

// The messages of the methods that widen an instance's life beyond build, power and console.

// PasswordRequest sets a password inside the guest. User "" is the image's administrator.
type PasswordRequest struct {
	InstanceRef
	User     string
	Password string
}

// VolumeRequest attaches or detaches one volume.
type VolumeRequest struct {
	InstanceRef
	Volume Volume
}

// SwapVolumeRequest replaces one attached volume by another, copying its content while the guest runs.
type SwapVolumeRequest struct {
	InstanceRef
	Old, New Volume
}

// ExtendVolumeRequest tells the guest that an attached volume has grown to SizeBytes.
type ExtendVolumeRequest struct {
	InstanceRef
	VolumeID  string
	SizeBytes int64
}

// SnapshotRequest writes the root disk to Path.
type SnapshotRequest struct {
	InstanceRef
	Path    string
	Format  string // qcow2, raw
	Quiesce bool   // freeze the guest's file systems around the moment
}

// VolumeSnapshotRequest makes or removes an assisted snapshot of a file-based volume.
type VolumeSnapshotRequest struct {
	InstanceRef
	VolumeID   string
	SnapshotID string
	NewFile    string
	Format     string
}

// VolumeConnector describes the host to a volume service.
type VolumeConnector struct {
	IP, Host, InitiatorName string
	Multipath               bool
	Attributes              map[string]string
}

// ShareRequest mounts or unmounts a shared file system for a guest.
type ShareRequest struct {
	InstanceRef
	ShareID, Export, Protocol, Tag string
}

// InterfaceRequest plugs or unplugs one interface.
type InterfaceRequest struct {
	InstanceRef
	Interface Interface
}

// MigrateRequest carries what a migration's steps need on either side.
type MigrateRequest struct {
	InstanceRef
	Spec           *InstanceSpec
	Destination    string // address the source's hypervisor connects to
	BlockMigration bool   // copy local disks
	DiskDir        string // where ExportDisks leaves and ImportDisks finds files
	CheckData      []byte // opaque, from the other side's check
}

// MigrateCheck is one side's answer to whether a migration can work.
type MigrateCheck struct {
	OK     bool
	Reason string
	Data   []byte // opaque, for the other side
}

// MigrateProgress is how far a live migration is.
type MigrateProgress struct {
	Done                         bool
	Err                          string // set with Done when it failed
	MemoryTotal, MemoryRemaining int64  // bytes
	DiskTotal, DiskRemaining     int64  // bytes
}

// DiskFile is one file of a stopped guest.
type DiskFile struct {
	Path   string
	Format string
	Size   int64
}

// ConsoleKind is a graphical or serial console protocol.
type ConsoleKind string

const (
	ConsoleVNC    ConsoleKind = "vnc"
	ConsoleSPICE  ConsoleKind = "spice"
	ConsoleSerial ConsoleKind = "serial"
	ConsoleRDP    ConsoleKind = "rdp"
	ConsoleMKS    ConsoleKind = "mks"
)

// ConsoleEndpointRequest asks where a console listens.
type ConsoleEndpointRequest struct {
	InstanceID string
	Kind       ConsoleKind
}

// ConsoleEndpoint is a TCP address or a unix socket on the host.
type ConsoleEndpoint struct {
	Host     string
	Port     int
	TLSPort  int // 0 is none
	Socket   string
	Password string
}

// Diagnostics is a guest's measurements, in the shape of Nova's standard diagnostics (microversion 2.48).
type Diagnostics struct {
	State         string
	UptimeSeconds int64
	CPUs          []CPUTime
	MemoryMaxMiB  int64
	MemoryUsedMiB int64
	Disks         []DiskStats
	NICs          []NICStats
}

// CPUTime is one virtual processor's use.
type CPUTime struct {
	ID          int
	Nanoseconds int64
	Percent     float64
}

// DiskStats counts one disk's traffic.
type DiskStats struct {
	Device                                                          string
	ReadBytes, ReadRequests, WriteBytes, WriteRequests, ErrorsCount int64
}

// NICStats counts one interface's traffic.
type NICStats struct {
	MAC                                                                                          string
	RxBytes, RxPackets, RxErrors, RxDrops, TxBytes, TxPackets, TxErrors, TxDrops, RxRate, TxRate int64
}

// VolumeUsage counts one attached volume's traffic.
type VolumeUsage struct {
	InstanceID, VolumeID                               string
	ReadBytes, ReadRequests, WriteBytes, WriteRequests int64
}

// HostStats is the host's processor time.
type HostStats struct {
	KernelNanoseconds, IdleNanoseconds, UserNanoseconds, IOWaitNanoseconds int64
	FrequencyMHz                                                           int64
	UptimeSeconds                                                          int64
}

// HostPowerAction is what HostPower does.
type HostPowerAction string

const (
	HostPowerStartup  HostPowerAction = "startup"
	HostPowerShutdown HostPowerAction = "shutdown"
	HostPowerReboot   HostPowerAction = "reboot"
)
