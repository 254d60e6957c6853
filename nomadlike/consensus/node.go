// Package consensus is the Raft node: log, snapshots, leadership and group commit. It applies what is committed through
// nomadlike/fsm to a state.Store.
package consensus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Config is what a node needs.
type Config struct {
	ID      structs.ServerID
	DataDir string // its "raft" folder holds log and snapshots; "" keeps everything in memory
	Layer   raft.StreamLayer
	Store   *state.Store
	Logger  hclog.Logger
	// Alone says that this server is the only one for now, so that it need not wait long for a leader that does not exist.
	Alone bool
	// OnRestore is told of the index when a snapshot has replaced the state. It may be nil.
	OnRestore func(index uint64)
	Tuning
}

// Tuning are Raft's settings that an operator may change; zero values mean the defaults.
type Tuning struct {
	SnapshotThreshold uint64        // after how many entries a snapshot is taken; 0 is 8192
	SnapshotInterval  time.Duration // how often that is looked at; 0 is 2 minutes
	TrailingLogs      uint64        // how many entries are kept after a snapshot, for followers that lag; 0 is 10240
	Multiplier        int           // stretches the timeouts of elections and heartbeats for slow machines; 0 is 1
}

func (t Tuning) apply(rc *raft.Config) {
	rc.SnapshotThreshold = cmp.Or(t.SnapshotThreshold, rc.SnapshotThreshold)
	rc.SnapshotInterval = cmp.Or(t.SnapshotInterval, rc.SnapshotInterval)
	rc.TrailingLogs = cmp.Or(t.TrailingLogs, rc.TrailingLogs)
	if m := time.Duration(t.Multiplier); m > 1 {
		rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = m*rc.HeartbeatTimeout, m*rc.ElectionTimeout, m*rc.LeaderLeaseTimeout
	}
}

// Node is this server's part in Raft.
type Node struct {
	raft      *raft.Raft
	store     *state.Store
	transport *edgeTransport
	logs      io.Closer
	batch     *batcher
	verify    *verifier
	disk      *disk
	hasState  bool
}

// stores are where Raft keeps what must outlive the process.
type stores struct {
	logs   raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	closer io.Closer
}

// New starts the node. A node with earlier state goes on from it; a new one waits for Bootstrap or to be added.
func New(cfg Config) (*Node, error) {
	st, err := openStores(cfg)
	if err != nil {
		return nil, err
	}
	n, err := newNode(cfg, st)
	if err != nil {
		_ = st.closer.Close()
	}
	return n, err
}

// newNode starts the node on the stores, which it closes unless it fails.
func newNode(cfg Config, st stores) (*Node, error) {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(cfg.ID)
	rc.Logger = cfg.Logger.Named("raft")
	rc.MaxAppendEntries = 128
	cfg.apply(rc)
	rc.NoLegacyTelemetry = true
	if cfg.Alone {
		rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = 200*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	}
	n := &Node{store: cfg.Store, logs: st.closer, disk: newDisk(cfg.Logger.Named("raft"))}
	var err error
	if n.hasState, err = raft.HasExistingState(st.logs, st.stable, st.snaps); err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	// One RPC in flight means no pipelining. Raft's pipeline to a follower can lock up for good when that refuses an entry while the next one is sent: then the
	// follower gets heartbeats but no entries until the leader changes, and this server's shutdown never ends (hashicorp/raft issue 612, open in 1.8).
	// Group commit makes up for it: what arrives during a round trip goes with the next one.
	n.transport = newEdgeTransport(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: cfg.Layer, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 10 * time.Second, Logger: cfg.Logger.Named("raft-net")}))
	n.raft, err = raft.NewRaft(rc, &machine{cfg.Store, cfg.Logger, cfg.OnRestore}, watchedLogs{st.logs, n.disk}, watchedStable{st.stable, n.disk}, st.snaps, n.transport)
	if err != nil {
		_ = n.transport.Close()
		return nil, fmt.Errorf("consensus: cannot start: %w", err)
	}
	go n.transport.relay(n.raft, st.logs)
	n.batch = newBatcher(n.raft)
	n.verify = newVerifier(n.raft)
	return n, nil
}

type memoryLogs struct{ *raft.InmemStore }

func (memoryLogs) Close() error { return nil }

func openStores(cfg Config) (stores, error) {
	if cfg.DataDir == "" {
		m := memoryLogs{raft.NewInmemStore()}
		return stores{m, m, raft.NewInmemSnapshotStore(), m}, nil
	}
	dir := filepath.Join(cfg.DataDir, "raft")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return stores{}, fmt.Errorf("consensus: %w", err)
	}
	path := filepath.Join(dir, "raft.db")
	bolt, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{Timeout: 2 * time.Second, NoFreelistSync: true}})
	if err != nil {
		return stores{}, fmt.Errorf("consensus: cannot open %s (is another agent using this data directory?): %w", path, err)
	}
	snaps, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, cfg.Logger.Named("raft-snapshot"))
	if err != nil {
		_ = bolt.Close()
		return stores{}, fmt.Errorf("consensus: %w", err)
	}
	cache, err := raft.NewLogCache(cachedLogs, bolt)
	if err != nil {
		_ = bolt.Close()
		return stores{}, fmt.Errorf("consensus: %w", err)
	}
	return stores{cache, bolt, snaps, bolt}, nil
}

// cachedLogs is how many of the newest entries are in memory, for followers that are a little behind. One has a MiB at most, so they are few.
const cachedLogs = 64

// HasState reports whether the node had state of an earlier life when it started: it is then part of a cluster already.
func (n *Node) HasState() bool { return n.hasState }

// Peer is one server of the Raft configuration.
type Peer struct {
	ID    structs.ServerID
	Addr  string
	Voter bool
}

// Bootstrap makes a new cluster of the given servers. Every one of them may call it with the same list; it is refused where there is a cluster already.
func (n *Node) Bootstrap(peers []Peer) error {
	var c raft.Configuration
	for _, p := range peers {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	if err := n.raft.BootstrapCluster(c).Error(); err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("consensus: cannot bootstrap: %w", err)
	}
	return nil
}

// Peers returns the Raft configuration.
func (n *Node) Peers() ([]Peer, error) {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	var out []Peer
	for _, s := range f.Configuration().Servers {
		out = append(out, Peer{structs.ServerID(s.ID), string(s.Address), s.Suffrage == raft.Voter})
	}
	return out, nil
}

// AddVoter adds a server, or changes its address; RemoveServer takes one out. Only the leader can.
func (n *Node) AddVoter(p Peer) error {
	return wrap(n.raft.AddVoter(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, 10*time.Second).Error())
}

// RemoveServer takes a server out of the configuration.
func (n *Node) RemoveServer(id structs.ServerID) error {
	return wrap(n.raft.RemoveServer(raft.ServerID(id), 0, 10*time.Second).Error())
}

// TransferLeadership hands leadership to another server, if there is one.
func (n *Node) TransferLeadership() error { return wrap(n.raft.LeadershipTransfer().Error()) }

// Leader returns who leads, as far as this server knows; "" when nobody.
func (n *Node) Leader() (structs.ServerID, string) {
	addr, id := n.raft.LeaderWithID()
	return structs.ServerID(id), string(addr)
}

// IsLeader reports whether this server believes that it leads. Only Verify proves it.
func (n *Node) IsLeader() bool { return n.raft.State() == raft.Leader }

// Term is Raft's term, which has one leader at most.
func (n *Node) Term() uint64 { return n.raft.CurrentTerm() }

// LeaderCh tells of leadership gained (true) and lost.
func (n *Node) LeaderCh() <-chan bool { return n.raft.LeaderCh() }

// Barrier returns when everything committed so far is applied here.
func (n *Node) Barrier(timeout time.Duration) error { return wrap(n.raft.Barrier(timeout).Error()) }

// Verify returns nil when a majority agrees that this server still leads. Many callers share one question.
func (n *Node) Verify(ctx context.Context) error { return n.verify.verify(ctx) }

// Snapshot takes a snapshot now.
func (n *Node) Snapshot() error {
	if err := n.raft.Snapshot().Error(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return wrap(err)
	}
	return nil
}

// Stats are Raft's own figures.
func (n *Node) Stats() map[string]string { return n.raft.Stats() }

// CommitIndex is the highest index known to be committed.
func (n *Node) CommitIndex() uint64 { return n.raft.CommitIndex() }

// LastContact is when this follower last heard of the leader.
func (n *Node) LastContact() time.Time { return n.raft.LastContact() }

// Close stops the node and closes its files.
func (n *Node) Close() error {
	down := n.raft.Shutdown()
	n.transport.stop()
	n.disk.close()
	_ = n.transport.Close() // what Raft has on its way to a server that does not answer would hold it up
	err := down.Error()     // fails what is on its way, so that the batcher comes to an end
	n.batch.stop()
	n.verify.stop()
	return errors.Join(wrap(err), n.logs.Close())
}

// wrap gives Raft's errors a kind.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return structs.Errorf(structs.KindNotLeader, "this server does not lead")
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown), errors.Is(err, raft.ErrAbortedByRestore):
		return structs.Errorf(structs.KindUnavailable, "leadership was lost on the way: it may or may not have been applied")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return structs.Errorf(structs.KindUnavailable, "the leader is overloaded: nothing was done, try again")
	}
	var typed *structs.Error
	if errors.As(err, &typed) {
		return err
	}
	return structs.Errorf(structs.KindInternal, "consensus: %w", err)
}
