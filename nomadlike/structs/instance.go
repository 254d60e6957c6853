package structs

import "maps"

// VMState is Nova's vm_state: the settled state of an instance.
type VMState string

// Nova's vm_states.
const (
	VMBuilding         VMState = "building"
	VMActive           VMState = "active"
	VMPaused           VMState = "paused"
	VMSuspended        VMState = "suspended"
	VMStopped          VMState = "stopped"
	VMRescued          VMState = "rescued"
	VMResized          VMState = "resized"
	VMSoftDeleted      VMState = "soft-delete"
	VMDeleted          VMState = "deleted"
	VMError            VMState = "error"
	VMShelved          VMState = "shelved"
	VMShelvedOffloaded VMState = "shelved_offloaded"
)

// TaskState is Nova's task_state: what is being done to an instance; "" is null.
type TaskState string

// The task states of the operations that exist.
const (
	TaskNone                 TaskState = ""
	TaskScheduling           TaskState = "scheduling"
	TaskNetworking           TaskState = "networking"
	TaskBlockDevices         TaskState = "block_device_mapping"
	TaskSpawning             TaskState = "spawning"
	TaskDeleting             TaskState = "deleting"
	TaskPoweringOn           TaskState = "powering-on"
	TaskPoweringOff          TaskState = "powering-off"
	TaskRebooting            TaskState = "rebooting"
	TaskRebootPending        TaskState = "reboot_pending"
	TaskRebootStarted        TaskState = "reboot_started"
	TaskRebootingHard        TaskState = "rebooting_hard"
	TaskRebootPendingHard    TaskState = "reboot_pending_hard"
	TaskRebootStartedHard    TaskState = "reboot_started_hard"
	TaskPausing              TaskState = "pausing"
	TaskUnpausing            TaskState = "unpausing"
	TaskSuspending           TaskState = "suspending"
	TaskResuming             TaskState = "resuming"
	TaskRescuing             TaskState = "rescuing"
	TaskUnrescuing           TaskState = "unrescuing"
	TaskRebuilding           TaskState = "rebuilding"
	TaskRebuildSpawning      TaskState = "rebuild_spawning"
	TaskUpdatingPassword     TaskState = "updating_password"
	TaskSoftDeleting         TaskState = "soft-deleting"
	TaskRestoring            TaskState = "restoring"
	TaskShelving             TaskState = "shelving"
	TaskShelvingUploading    TaskState = "shelving_image_uploading"
	TaskShelvingOffload      TaskState = "shelving_offloading"
	TaskUnshelving           TaskState = "unshelving"
	TaskImageSnapshotPending TaskState = "image_snapshot_pending"
	TaskImageBackup          TaskState = "image_backup"
	TaskImageUploading       TaskState = "image_uploading"
	TaskResizePrep           TaskState = "resize_prep"
	TaskResizeMigrating      TaskState = "resize_migrating"
	TaskResizeMigrated       TaskState = "resize_migrated"
	TaskResizeFinish         TaskState = "resize_finish"
	TaskResizeReverting      TaskState = "resize_reverting"
	TaskMigrating            TaskState = "migrating"
)

// PowerState is Nova's power_state, an integer.
type PowerState int

// Nova's power states; 2 and 5 are unused.
const (
	PowerNoState   PowerState = 0
	PowerRunning   PowerState = 1
	PowerPaused    PowerState = 3
	PowerShutdown  PowerState = 4
	PowerCrashed   PowerState = 6
	PowerSuspended PowerState = 7
)

// Fault says why an instance is in error: what failed, where, and what to do.
type Fault struct {
	Code    int    `codec:"c"`           // 500, or the HTTP code that fits
	Message string `codec:"m"`           // for administrators: it names hosts
	Public  string `codec:"u,omitempty"` // what the instance's user reads instead; "" is Message
	Details string `codec:"d"`           // for administrators
	At      Time   `codec:"t"`
}

// For returns the message that an administrator, or a user, is shown.
func (f *Fault) For(admin bool) string {
	if admin || f.Public == "" {
		return f.Message
	}
	return f.Public
}

// Instance is a virtual machine. The compute API calls it a server.
type Instance struct {
	Meta
	ID            InstanceID `codec:"id"`
	Num           int64      `codec:"num"` // a small number, assigned by the state; instance_name is instance-%08x of it
	ProjectID     ProjectID  `codec:"p"`
	UserID        UserID     `codec:"u"`
	Name          string     `codec:"name"`
	Hostname      string     `codec:"hn"`
	Description   *string    `codec:"desc"` // nil: none was given
	ReservationID string     `codec:"res"`
	LaunchIndex   int        `codec:"li"`

	VM       VMState    `codec:"vm"`
	Task     TaskState  `codec:"task"`
	Power    PowerState `codec:"pow"`
	Fault    *Fault     `codec:"fault"`
	Progress int        `codec:"prog"`

	Flavor         Flavor            `codec:"fl"` // copy taken at build
	ImageID        ImageID           `codec:"img"`
	ImageSHA512    string            `codec:"imgs"` // of the image's bytes: the host's cache keeps them while the instance lives, the image itself may be deleted
	ImageProps     map[string]string `codec:"imgp"` // copy taken at build
	ImageMinDisk   int64             `codec:"imgd"`
	KeyName        string            `codec:"key"`
	PublicKeys     []string          `codec:"pubk"`
	UserData       []byte            `codec:"ud"`
	Metadata       map[string]string `codec:"md"`
	Tags           []string          `codec:"tags"` // sorted
	ConfigDrive    bool              `codec:"cd"`
	AccessIPv4     string            `codec:"ip4"`
	AccessIPv6     string            `codec:"ip6"`
	DiskConfig     string            `codec:"dc"`    // AUTO or MANUAL
	SchedulerHints []byte            `codec:"hints"` // JSON as sent
	TrustedCerts   []string          `codec:"tc"`
	Zone           string            `codec:"zone"`           // availability zone that it is in
	PinnedZone     string            `codec:"pinz"`           // that was asked for; "" is none
	ServerGroupID  ServerGroupID     `codec:"sgrp,omitempty"` // that it was created into; the group may be gone
	RequestedHost  string            `codec:"reqh"`           // host name that was asked for; "" is none
	Locked         bool              `codec:"lock"`
	LockedBy       string            `codec:"lockby"`
	LockedReason   *string           `codec:"lockwhy"`

	HostID      HostID      `codec:"h"` // "" until placed
	Host        string      `codec:"hname"`
	Generation  uint64      `codec:"gen"` // fencing number: one more at each placement
	OperationID OperationID `codec:"op"`  // the one that runs; "" when idle

	CreatedAt    Time `codec:"created"`
	UpdatedAt    Time `codec:"updated"`
	LaunchedAt   Time `codec:"launched"`
	TerminatedAt Time `codec:"term"`
	DeletedAt    Time `codec:"deleted"`
	// ShelvedImageID is the image that holds a shelved instance's disk; it goes with the unshelving or the instance.
	ShelvedImageID ImageID `codec:"shi,omitempty"`
	// ShelvedAt is since when it is shelved with its room on the host kept; 0 is not, or that it was to be offloaded at once.
	ShelvedAt Time `codec:"sha,omitempty"`
	// MigrationID is the open migration; "" is none.
	MigrationID MigrationID `codec:"mig,omitempty"`
	// Password is what the guest reported of its administrator's password, encrypted with the keypair; "" is nothing.
	Password string `codec:"pw,omitempty"`
	// Files are injected by the build, or by the latest rebuild.
	Files []InjectedFile `codec:"files,omitempty"`
	// Cleanup: the instance is deleted but its host was down, so its guest may still be there. The host's client destroys it when it is back.
	Cleanup bool `codec:"clean"`
	// AlsoOn is a second host of which Cleanup speaks.
	AlsoOn HostID `codec:"also,omitempty"`
}

// InjectedFile is a file that its user wants in the guest: of Nova's personality, which is a secret.
type InjectedFile struct {
	Path     string `codec:"p"`
	Contents []byte `codec:"c"`
}

// Deleted reports whether the instance is gone for its user; the record stays for a while for lists of deleted ones.
func (i *Instance) Deleted() bool { return i.VM == VMDeleted }

// Counts reports whether the instance takes of its project's quota: one that was deleted and may yet be restored does not.
func (i *Instance) Counts() bool { return i.VM != VMDeleted && i.VM != VMSoftDeleted }

// Copy returns a copy that may be changed: what is shared with the original (flavor's specs, image properties, keys,
// hints, files) is only ever replaced as a whole, and metadata and tags are cloned.
func (i *Instance) Copy() *Instance {
	c := *i
	c.Metadata = maps.Clone(i.Metadata)
	c.Tags = append([]string(nil), i.Tags...)
	return &c
}

// InstanceCreateRequest makes instances with their build operations and evaluations, and takes their quota: all or,
// between MinCount and len(Instances), as many as fit; fewer than MinCount is KindQuota and changes nothing. The answer is
// the ids made ([]InstanceID), a prefix of Instances.
type InstanceCreateRequest struct {
	Instances   []Instance   `codec:"i"`
	Operations  []Operation  `codec:"o"`
	Evaluations []Evaluation `codec:"e"`
	MinCount    int          `codec:"min"`
	Now         Time         `codec:"now"`
}

// InstanceSyncRequest reports what guests did of their own accord. An element is skipped when the instance is not on that
// host at that generation, or an operation runs on it.
type InstanceSyncRequest struct {
	HostID HostID         `codec:"h"`
	Epoch  uint64         `codec:"e"`
	Syncs  []InstanceSync `codec:"s"`
	Now    Time           `codec:"now"`
}

// InstanceSync is one guest's observed state.
type InstanceSync struct {
	InstanceID InstanceID `codec:"i"`
	Generation uint64     `codec:"g"`
	Power      PowerState `codec:"p"`
	Missing    bool       `codec:"m"` // the hypervisor does not have it any more
	Reason     string     `codec:"r"`
	CleanedUp  bool       `codec:"c"` // a deleted instance's leftover was destroyed
}

// InstanceUpdateRequest changes what the user may change of an instance (PUT /servers/{id}).
type InstanceUpdateRequest struct {
	ID             InstanceID `codec:"id"`
	Name           *string    `codec:"name"`
	SetDescription bool       `codec:"sd"`
	NewDescription *string    `codec:"nd"`
	Hostname       *string    `codec:"hn"`
	AccessIPv4     *string    `codec:"ip4"`
	AccessIPv6     *string    `codec:"ip6"`
	DiskConfig     *string    `codec:"dc"`
	Now            Time       `codec:"now"`
}
