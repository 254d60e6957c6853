package structs

import "time"

// OperationKind is what an operation does; the step tables are in nomadlike/operation.
type OperationKind string

// The kinds that exist. Their values are Nova's instance action names, except that a reboot's two sorts are told apart.
const (
	OpBuild      OperationKind = "create"
	OpDelete     OperationKind = "delete"
	OpStart      OperationKind = "start"
	OpStop       OperationKind = "stop"
	OpSoftReboot OperationKind = "reboot-soft"
	OpHardReboot OperationKind = "reboot-hard"

	OpPause       OperationKind = "pause"
	OpUnpause     OperationKind = "unpause"
	OpSuspend     OperationKind = "suspend"
	OpResume      OperationKind = "resume"
	OpRescue      OperationKind = "rescue"
	OpUnrescue    OperationKind = "unrescue"
	OpRebuild     OperationKind = "rebuild"
	OpSetPassword OperationKind = "changePassword"
	OpCrashDump   OperationKind = "trigger_crash_dump"
	OpSnapshot    OperationKind = "createImage"
	OpBackup      OperationKind = "createBackup"

	OpSoftDelete OperationKind = "soft-delete" // a delete that can be taken back for a while
	OpRestore    OperationKind = "restore"

	OpShelve        OperationKind = "shelve"
	OpShelveOffload OperationKind = "shelveOffload"
	OpUnshelve      OperationKind = "unshelve"
	OpUnshelveHere  OperationKind = "unshelve-here" // of an instance that is still on its host

	OpResize        OperationKind = "resize"
	OpMigrate       OperationKind = "migrate"
	OpConfirmResize OperationKind = "confirmResize"
	OpRevertResize  OperationKind = "revertResize"
	OpLiveMigrate   OperationKind = "live-migration"
	OpEvacuate      OperationKind = "evacuate"

	// Actions that are done at once and have no steps; they are recorded as the others are.
	OpLock       OperationKind = "lock"
	OpUnlock     OperationKind = "unlock"
	OpResetState OperationKind = "resetState"
	OpLiveAbort  OperationKind = "live_migration_cancel"
	OpLiveForce  OperationKind = "live_migration_force_complete"
)

// OperationStatus is where an operation is.
type OperationStatus string

// Operation statuses. Running and undoing ones are driven on; the others are final.
const (
	OpRunning   OperationStatus = "running"
	OpUndoing   OperationStatus = "undoing" // a step failed for good; what was done is being undone
	OpSucceeded OperationStatus = "succeeded"
	OpFailed    OperationStatus = "failed"
	OpCancelled OperationStatus = "cancelled" // superseded, e.g. a build by a delete
)

// Final reports whether nothing more happens.
func (s OperationStatus) Final() bool { return s == OpSucceeded || s == OpFailed || s == OpCancelled }

// StepName names a step of an operation.
type StepName string

// The steps that exist.
const (
	StepPlace   StepName = "place"   // server: a host and a claim
	StepImage   StepName = "image"   // host: the root image is in the host's cache, verified
	StepSpawn   StepName = "spawn"   // host: the driver made and started the guest
	StepStop    StepName = "stop"    // host
	StepStart   StepName = "start"   // host
	StepReboot  StepName = "reboot"  // host
	StepDestroy StepName = "destroy" // host: the guest and its disks are gone

	StepPause       StepName = "pause"    // host
	StepUnpause     StepName = "unpause"  // host
	StepSuspend     StepName = "suspend"  // host
	StepResume      StepName = "resume"   // host
	StepRescue      StepName = "rescue"   // host: the guest runs the rescue image, with its disks beside it
	StepUnrescue    StepName = "unrescue" // host
	StepRebuild     StepName = "rebuild"  // host: a new root disk of the instance's image
	StepSetPassword StepName = "password" // host
	StepCrashDump   StepName = "nmi"      // host
	StepPowerOff    StepName = "poweroff" // host: as stop, on the way to something else
	StepSnapshot    StepName = "snapshot" // host: the root disk as of one moment is a file beside it
	StepUpload      StepName = "upload"   // host: the file is an active image, and gone here

	StepExport  StepName = "export"  // source: the disks of the stopped guest are files that another host can fetch
	StepImport  StepName = "import"  // destination: the files are fetched, and the guest is defined with the new flavor; or it gets the flavor where it is
	StepBoot    StepName = "boot"    // destination: the guest runs, unless it was stopped
	StepDiscard StepName = "discard" // destination: what arrived is gone; or the guest has its old flavor where it is
	StepReturn  StepName = "return"  // source: the guest that stayed behind runs again, unless it was stopped
	StepForget  StepName = "forget"  // source: the guest that stayed behind is gone

	StepCheckDestination StepName = "check-destination" // destination: it can take the running guest
	StepCheckSource      StepName = "check-source"      // source: it can give it there
	StepPrepare          StepName = "prepare"           // destination: it waits for the guest
	StepMigrate          StepName = "migrate"           // source: the guest runs on the destination and is gone here
	StepHalt             StepName = "halt"              // source: the guest stays here
	StepRollback         StepName = "rollback"          // destination: it no longer waits for the guest
	StepArrive           StepName = "arrive"            // destination: the guest is this host's
)

// Operation is one requested change to an instance: durable, stepwise, resumable. At most one runs per instance, except
// that a delete supersedes what runs. It is also the record behind os-instance-actions.
type Operation struct {
	Meta
	ID         OperationID     `codec:"id"`
	InstanceID InstanceID      `codec:"i"`
	ProjectID  ProjectID       `codec:"p"`
	UserID     UserID          `codec:"u"`
	RequestID  string          `codec:"r"`
	Kind       OperationKind   `codec:"k"`
	Status     OperationStatus `codec:"st"`
	Args       OperationArgs   `codec:"a"`

	Step      StepName `codec:"step"` // being done, or, while undoing, whose undo is being done
	Attempt   int      `codec:"att"`  // of the step, from 1
	StartedAt Time     `codec:"sat"`  // of the attempt
	Deadline  Time     `codec:"dl"`   // of the attempt; past it the attempt has failed
	NotBefore Time     `codec:"nb"`   // when the next attempt may start (backoff)

	HostID     HostID   `codec:"h"`     // on which host steps run
	Generation uint64   `codec:"gen"`   // of the instance on that host
	AvoidHosts []HostID `codec:"avoid"` // where a build already failed

	// Of an operation with two hosts. HostID is always the one whose turn it is.
	SourceID    HostID          `codec:"src,omitempty"`
	DestID      HostID          `codec:"dst,omitempty"`
	OwnerID     HostID          `codec:"own,omitempty"` // the host that the instance is on by what is done so far; "" while it is where it was
	MigrationID MigrationID     `codec:"mig,omitempty"`
	Lost        []HostID        `codec:"lost,omitempty"` // hosts that were lost while there was something to do on them: they may hold something
	Data        []byte          `codec:"data,omitempty"` // what a step gave for the following ones
	Signal      MigrationSignal `codec:"sig,omitempty"`  // asked of it while it runs

	History    []StepRecord `codec:"hist"`
	Error      string       `codec:"err"`
	ErrorKind  Kind         `codec:"ek"`
	CreatedAt  Time         `codec:"created"`
	UpdatedAt  Time         `codec:"updated"`
	FinishedAt Time         `codec:"fin"`
}

// OperationArgs are what the request said beyond its kind.
type OperationArgs struct {
	StopTimeout int64   `codec:"st"`             // seconds the guest may take to shut down by itself; 0 uses the default
	PriorVM     VMState `codec:"pvm"`            // vm_state before the operation, to go back to
	ImageID     ImageID `codec:"img,omitempty"`  // that a rescue boots
	NewImageID  ImageID `codec:"nimg,omitempty"` // that the operation makes; queued until it is active, and removed when the operation fails
	Pin         *Pin    `codec:"pin,omitempty"`  // where an unshelving wants the instance
	BackupType  string  `codec:"bt,omitempty"`
	Rotation    int64   `codec:"rot,omitempty"` // how many backups of the type stay; of a backup only
	Secret      string  `codec:"sec,omitempty"` // a password for the guest; gone when the operation ends

	NewFlavor      *Flavor `codec:"nfl,omitempty"`  // that the instance has when it has moved
	SameHost       bool    `codec:"same,omitempty"` // a resize may stay on its host
	StayOff        bool    `codec:"off,omitempty"`  // an evacuated guest is not started
	BlockMigration bool    `codec:"blk,omitempty"`  // a live migration copies local disks

	// OffloadAfter is for how long a shelved instance keeps its host; 0 offloads it at once, and below 0 is until somebody asks.
	OffloadAfter time.Duration `codec:"ofa,omitempty"`
}

// Pin says where an instance wants to be.
type Pin struct {
	Host    string `codec:"h"` // name of the host for this operation; "" is any
	SetZone bool   `codec:"s"` // Zone replaces the instance's own, "" being none
	Zone    string `codec:"z"`
}

// StepRecord is one finished attempt at a step.
type StepRecord struct {
	Step       StepName `codec:"s"`
	Attempt    int      `codec:"a"`
	Undo       bool     `codec:"u"`
	HostID     HostID   `codec:"h"`
	StartedAt  Time     `codec:"b"`
	FinishedAt Time     `codec:"f"`
	Error      string   `codec:"e"` // "" is success
}

// Copy returns a copy whose slices may be appended to.
func (o *Operation) Copy() *Operation {
	c := *o
	c.AvoidHosts = append([]HostID(nil), o.AvoidHosts...)
	c.History = append([]StepRecord(nil), o.History...)
	c.Lost = append([]HostID(nil), o.Lost...)
	return &c
}

// OperationCreateRequest starts an operation on an existing instance. The state checks lock, vm_state and task_state by
// Nova's table (KindConflict with Nova's words). Admin passes the lock.
type OperationCreateRequest struct {
	Operation Operation        `codec:"o"`
	Admin     bool             `codec:"adm"`
	Rebuild   *InstanceRebuild `codec:"rb,omitempty"`  // of a rebuild
	Image     *Image           `codec:"img,omitempty"` // that the operation makes; it is queued with the operation's beginning
	// ImageLimits are those of the image's project: KindTooLarge when it may not have another.
	ImageLimits ImageLimits `codec:"il,omitempty"`
	Migration   MigrationID `codec:"mig,omitempty"` // of the record that a move makes
	// DiskConfig is what a resize makes the instance's disk config; "" leaves it.
	DiskConfig string `codec:"dc,omitempty"`
	Now        Time   `codec:"now"`
}

// InstanceRebuild is what a rebuild changes of the instance. It does so when the operation begins, as in Nova: a rebuild that failed is repeated, not undone.
type InstanceRebuild struct {
	ImageID        ImageID            `codec:"img"`
	ImageSHA512    string             `codec:"sha"`
	ImageProps     map[string]string  `codec:"ip"`
	ImageMinDisk   int64              `codec:"imd"`
	Name           *string            `codec:"n,omitempty"`
	Metadata       *map[string]string `codec:"md,omitempty"`
	SetDescription bool               `codec:"sd,omitempty"`
	Description    *string            `codec:"d,omitempty"`
	SetKey         bool               `codec:"sk,omitempty"`
	KeyName        string             `codec:"k,omitempty"`
	PublicKeys     []string           `codec:"pk,omitempty"`
	SetUserData    bool               `codec:"su,omitempty"`
	UserData       []byte             `codec:"ud,omitempty"`
	SetTrusted     bool               `codec:"st,omitempty"`
	TrustedCerts   []string           `codec:"tc,omitempty"`
	Hostname       *string            `codec:"hn,omitempty"`
	DiskConfig     *string            `codec:"dc,omitempty"`
	AccessIPv4     *string            `codec:"a4,omitempty"`
	AccessIPv6     *string            `codec:"a6,omitempty"`
	// Files are those that the rebuild injects; what was injected before is not kept.
	Files []InjectedFile `codec:"f,omitempty"`
}

// Outcome is how an attempt at a step ended, or what happened to an operation from outside.
type Outcome struct {
	OperationID OperationID `codec:"o"`
	Step        StepName    `codec:"s"` // with Attempt, Undo and Generation it must match the operation, else the outcome is old and skipped
	Attempt     int         `codec:"a"`
	Undo        bool        `codec:"u"`
	Generation  uint64      `codec:"g"`
	StartedAt   Time        `codec:"b"`
	FinishedAt  Time        `codec:"f"`
	Error       string      `codec:"e"` // "" is success
	ErrorKind   Kind        `codec:"k"`
	Retryable   bool        `codec:"r"`  // the same attempt may succeed later or elsewhere
	HostLost    bool        `codec:"hl"` // the host's lease ended; nobody knows
	Power       PowerState  `codec:"p"`  // of the guest after the step
	Data        []byte      `codec:"d,omitempty"`
	// Done, of an undoing step, says that what it was to undo had come to its good end and is left so.
	Done bool `codec:"dn,omitempty"`
}

// OperationReportRequest carries many outcomes, usually a host's. Those of a host with an old Epoch are refused with KindConflict; HostID "" is the leader itself.
type OperationReportRequest struct {
	HostID   HostID    `codec:"h"`
	Epoch    uint64    `codec:"e"`
	Outcomes []Outcome `codec:"out"`
	Now      Time      `codec:"now"`
}

// ReapRequest removes finished records that nothing needs any more.
type ReapRequest struct {
	Operations  []OperationID  `codec:"o"`
	Evaluations []EvaluationID `codec:"e"`
	Instances   []InstanceID   `codec:"i"`
	Revocations []string       `codec:"r"`
	Migrations  []MigrationID  `codec:"m,omitempty"`
}
