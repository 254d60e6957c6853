// Package nomadlike is the cluster core: the servers that keep the replicated state and drive its operations. It knows
// Raft, Serf, RPC and the model; it knows no HTTP and no hypervisor.
package nomadlike

import (
	"context"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Core is what the HTTP services and the CLI's agent need of the cluster. *Server is the real one; coretest has one
// without Raft for tests.
type Core interface {
	// Propose commits a command; use the typed Propose of the commands in package fsm.
	fsm.Proposer
	// Read returns a moment of the state that has every write that was acknowledged, by any server, before the call
	// (linearizable). KindUnavailable when there is no leader in time.
	Read(ctx context.Context) (state.Reader, error)
	// Stale returns this server's newest moment without asking anybody: for what may lag, and for checks without I/O.
	Stale() state.Reader
	// Events is the stream of committed changes as this server sees them.
	Events() *event.Broker
	// Blobs holds the bytes of images.
	Blobs() Blobs
	// ConsoleOutput asks the instance's host for the last lines (0: all) of its serial console.
	ConsoleOutput(ctx context.Context, ins *structs.Instance, lines int) ([]byte, error)
	// Diagnostics has the instance's host measure its guest. KindNotSupported when the driver cannot, KindConflict when the guest does not run.
	Diagnostics(ctx context.Context, ins *structs.Instance) (*structs.Diagnostics, error)
	// ConsoleEndpoint asks the instance's host where the guest's console of a kind (a driver.ConsoleKind) listens. KindNotSupported when the driver or the guest
	// has none, KindConflict when the guest does not run.
	ConsoleEndpoint(ctx context.Context, ins *structs.Instance, kind string) (*structs.ConsoleEndpoint, error)
	// MigrationProgress asks the source of a live migration how far it is.
	MigrationProgress(ctx context.Context, m *structs.Migration) (*structs.MigrationProgress, error)
	// HostPower has a host's driver act on the host itself: "startup", "shutdown" or "reboot"; HostMaintenance has it begin or end maintenance. KindNotSupported when the
	// driver cannot, KindUnavailable and KindTimeout when its client does not answer.
	HostPower(ctx context.Context, id structs.HostID, action string) error
	HostMaintenance(ctx context.Context, id structs.HostID, on bool) error
	// Cluster says who the servers and clients are.
	Cluster() ClusterInfo
	// RemovePeer takes a server that is gone for good out of Raft. An unknown one is KindNotFound; the leader, one that is alive and, without force, a
	// removal that leaves fewer living servers than a majority are KindConflict.
	RemovePeer(ctx context.Context, id structs.ServerID, force bool) error
	// Join makes this agent gossip with others ("host:port" of their Serf); it returns how many answered.
	Join(addrs []string) (int, error)
}

// ClusterInfo describes the cluster as this server sees it now.
type ClusterInfo struct {
	ServerID      structs.ServerID
	Region        string
	LeaderID      structs.ServerID // "" when there is none
	LeaderAddr    string
	IsLeader      bool
	Members       []Member
	Peers         []Peer
	AppliedIndex  uint64
	CommitIndex   uint64
	LastContactMS int64             // since the leader was last heard of; 0 on the leader
	Stats         map[string]string // of Raft
	Duties        []DutyStatus      // of the leader; empty elsewhere
}

// Member is an agent as gossip knows it.
type Member struct {
	Name   string
	Addr   string // of Serf
	Role   string // server, client, or server+client
	Status string // alive, leaving, left, failed
	Tags   map[string]string
}

// Peer is a Raft peer.
type Peer struct {
	ID     structs.ServerID
	Addr   string
	Voter  bool
	Leader bool
}

// DutyStatus is how one of the leader's duties fares.
type DutyStatus struct {
	Name    string
	Running bool
	Runs    uint64
	LastErr string
}

// Blobs is the servers' content-addressed store. A blob is immutable and named by the hex SHA-512 of its bytes.
type Blobs interface {
	// Create stages a new blob on this server. The caller ends it with Commit or Abort; what is left of one that was
	// neither (a crash) is removed at start.
	Create(ctx context.Context) (BlobWriter, error)
	// Open returns a blob from this server, or through it from another that has it. KindNotFound when none has.
	Open(ctx context.Context, sha512 string) (r io.ReadCloser, size int64, err error)
	// Spread copies a blob of this server to others until most servers have it, and returns who has it then.
	Spread(ctx context.Context, sha512 string) ([]structs.ServerID, error)
}

// BlobWriter stages one blob.
type BlobWriter interface {
	io.Writer
	// Path is the staging file, for tools that inspect an image before it is committed. Everything written is in it.
	Path() string
	// Commit makes the blob durable under its hash. The sums are lower-case hex.
	Commit() (sums BlobSums, err error)
	// Abort removes what was staged; after Commit it does nothing.
	Abort()
}

// BlobSums are a blob's size and hashes.
type BlobSums struct {
	Size        int64
	SHA512, MD5 string
}
