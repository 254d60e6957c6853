package structs

// MigrationID names a migration record.
type MigrationID string

// MigrationType is Nova's migration_type.
type MigrationType string

// Nova's types of migrations.
const (
	MigrationCold       MigrationType = "migration"
	MigrationResize     MigrationType = "resize"
	MigrationLive       MigrationType = "live-migration"
	MigrationEvacuation MigrationType = "evacuation"
)

// MigrationStatus is Nova's status of a migration.
type MigrationStatus string

// Nova's statuses of migrations. Those from MigrationCompleted on are final.
const (
	MigrationAccepted      MigrationStatus = "accepted"
	MigrationPreMigrating  MigrationStatus = "pre-migrating"
	MigrationMigrating     MigrationStatus = "migrating"
	MigrationPostMigrating MigrationStatus = "post-migrating"
	MigrationQueued        MigrationStatus = "queued"
	MigrationPreparing     MigrationStatus = "preparing"
	MigrationRunning       MigrationStatus = "running"
	MigrationFinished      MigrationStatus = "finished" // moved; waits to be confirmed or reverted
	MigrationConfirming    MigrationStatus = "confirming"
	MigrationReverting     MigrationStatus = "reverting"

	MigrationCompleted MigrationStatus = "completed"
	MigrationConfirmed MigrationStatus = "confirmed"
	MigrationReverted  MigrationStatus = "reverted"
	MigrationDone      MigrationStatus = "done" // of an evacuation; completed once the source's leftovers are gone
	MigrationCancelled MigrationStatus = "cancelled"
	MigrationError     MigrationStatus = "error"
	MigrationFailed    MigrationStatus = "failed"
)

// Final reports whether nothing more happens to a migration of the status, except that one that is done may be completed.
func (s MigrationStatus) Final() bool {
	switch s {
	case MigrationCompleted, MigrationConfirmed, MigrationReverted, MigrationDone, MigrationCancelled, MigrationError, MigrationFailed:
		return true
	}
	return false
}

// Migration is the way of an instance from one host to another, or to another flavor. While it is open both hosts keep room for the instance: the claims of
// an instance are derived from where it is and from its open migration.
type Migration struct {
	Meta
	ID          MigrationID     `codec:"id"`
	Num         int64           `codec:"num"` // the API's integer id, assigned by the state
	InstanceID  InstanceID      `codec:"i"`
	ProjectID   ProjectID       `codec:"p"` // of the instance
	UserID      UserID          `codec:"u"` // who asked
	OperationID OperationID     `codec:"o"` // that drives it, or drove it last
	Type        MigrationType   `codec:"t"`
	Status      MigrationStatus `codec:"s"`
	SourceID    HostID          `codec:"sh"`
	Source      string          `codec:"sn"`
	DestID      HostID          `codec:"dh"` // "" until placed
	Dest        string          `codec:"dn"`
	DestAddr    string          `codec:"da"` // the destination host's address
	OldFlavor   Flavor          `codec:"of"`
	NewFlavor   Flavor          `codec:"nf"` // the same where only the host changes
	PriorVM     VMState         `codec:"pvm"`
	CreatedAt   Time            `codec:"created"`
	UpdatedAt   Time            `codec:"updated"`
}

// Open reports whether the migration still holds room on its hosts.
func (m *Migration) Open() bool { return m != nil && !m.Status.Final() }

// Live reports whether it is a live migration that is being done: what Nova shows below a server.
func (m *Migration) Live() bool {
	switch m.Status {
	case MigrationQueued, MigrationPreparing, MigrationRunning, MigrationPostMigrating:
		return m.Type == MigrationLive
	}
	return false
}

// Copy returns a copy that may be changed; flavors' specs are shared and constant.
func (m *Migration) Copy() *Migration { c := *m; return &c }

// MigrationSignal is what a user asks of a live migration that runs.
type MigrationSignal string

// The signals.
const (
	SignalAbort         MigrationSignal = "abort"
	SignalForceComplete MigrationSignal = "force_complete"
)

// MigrationSignalRequest passes a signal on to what drives the migration. The answer is whether it does; when applied again it changes nothing.
// KindInvalid: the migration's status is not one of Statuses any more.
type MigrationSignalRequest struct {
	InstanceID  InstanceID        `codec:"i"`
	MigrationID MigrationID       `codec:"m"`
	Signal      MigrationSignal   `codec:"s"`
	Statuses    []MigrationStatus `codec:"st"` // in which it may be given
	Admin       bool              `codec:"adm"`
	Action      Operation         `codec:"a"` // recorded among the instance's actions
	Now         Time              `codec:"now"`
}

// MigrationProgressRequest asks the source host's client how far a live migration is.
type MigrationProgressRequest struct {
	HostID     HostID     `codec:"h"`
	InstanceID InstanceID `codec:"i"`
}

// MigrationProgress is how far a live migration is, in bytes; 0 is not known.
type MigrationProgress struct {
	MemoryTotal     int64 `codec:"mt"`
	MemoryRemaining int64 `codec:"mr"`
	DiskTotal       int64 `codec:"dt"`
	DiskRemaining   int64 `codec:"dr"`
}

// DisksRequest asks a host's client for the disks that it exported for a migration. With Release it may remove them: they have arrived.
type DisksRequest struct {
	HostID      HostID      `codec:"h"`
	InstanceID  InstanceID  `codec:"i"`
	MigrationID MigrationID `codec:"m"`
	Release     bool        `codec:"r"`
}

// DiskChunk is a piece of an exported disk. A chunk with a Name begins the file; the one with a SHA256 ends it. One with neither and no Data ends the stream.
type DiskChunk struct {
	Name   string `codec:"n,omitempty"`
	Size   int64  `codec:"s,omitempty"`
	Data   []byte `codec:"d,omitempty"`
	SHA256 string `codec:"h,omitempty"`
}
