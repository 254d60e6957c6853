// Package cluster is the server: it wires state, Raft, RPC, gossip, broker and scheduler, which each can be used alone, and runs the
// duties of the leader. *Server is the real nomadlike.Core.
package cluster

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/broker"
	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Config is what a server needs.
type Config struct {
	ID     structs.ServerID
	Name   string
	Region string
	// DataDir holds Raft's log and snapshots and the image store; "" keeps Raft in memory (tests).
	DataDir string
	// BootstrapExpect is how many servers make a new cluster together. 1 bootstraps alone.
	BootstrapExpect int
	// Advertise is the RPC address that other agents reach this server at.
	Advertise string
	// LeaseTTL is how long after a client's last word its host counts as up.
	LeaseTTL time.Duration
	// TokenTTL is how long a token lives; token keys are kept at least that long after they stopped signing.
	TokenTTL time.Duration
	// Workers is how many scheduler workers this server runs; 0 is 1.
	Workers int
	// KeepFinished is how long finished operations and deleted instances stay readable.
	KeepFinished time.Duration
	// ReclaimAfter is for how long an instance that was deleted softly can be restored; 0 deletes none that are so.
	ReclaimAfter time.Duration
	// OffloadAfter is for how long a shelved instance keeps its host; 0 and below offload none: one that is to go at once goes with its shelving.
	OffloadAfter time.Duration
	// KeepDeleted says since when deleted instances stay readable although KeepFinished is over; nil keeps none longer.
	KeepDeleted func(r state.Reader, now structs.Time) structs.Time
	// HeartbeatInterval is how often clients are told to renew their leases; 0 is a third of LeaseTTL.
	HeartbeatInterval time.Duration
	// ImageCopies is how many servers keep an image's bytes; 0 is all.
	ImageCopies int
	// ImageVerify is how often a server compares the bytes of its images with their hashes; 0 is never.
	ImageVerify time.Duration
	// ImageSource reads an image whose bytes lie in other stores than the servers' own; nil when there are none.
	ImageSource func(ctx context.Context, i *structs.Image) (r io.ReadCloser, size int64, err error)
	// ImageSink brings the bytes of an image that a host made to the external Image service that is to have them; nil when there is none. What it has already is
	// success.
	ImageSink func(ctx context.Context, i *structs.Image, format string, sums nomadlike.BlobSums, r io.ReadSeeker) error
	// Duties are done by the leader beside its own, which start before them.
	Duties []Duty
	Raft   consensus.Tuning
	Logger hclog.Logger
}

// Server is one Raft peer: state, scheduler and the leader's duties. It wires packages that can each be used alone.
type Server struct {
	cfg    Config
	logger hclog.Logger
	store  *state.Store
	events *event.Broker
	rpc    *rpc.Server
	pool   *rpc.Pool
	node   *consensus.Node
	gossip *gossip.Pool // nil until Start
	blobs  *blobs
	reads  *shared[uint64]

	broker *broker.Broker
	plans  broker.PlanQueue
	leases leases
	duties dutyList

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// peersMu lets the leader change Raft's configuration once at a time: what is checked before a change must still hold when it is made.
	peersMu sync.Mutex

	mu         sync.Mutex
	leadership *leadership // the last one that was established
}

// NewServer starts Raft from what DataDir holds and registers the server's RPC methods on r, which is not serving yet. Start
// completes it once the agent gossips.
func NewServer(cfg Config, r *rpc.Server, pool *rpc.Pool) (*Server, error) {
	s := &Server{cfg: cfg, logger: cfg.Logger.Named("server"), store: state.NewStore(), events: event.NewBroker(16384), rpc: r, pool: pool}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.leases.init(cfg.LeaseTTL)
	s.broker = broker.New(broker.Config{Fail: s.evaluationFailed})
	s.store.OnCommit(s.events.Publish)
	s.store.OnCommit(s.enqueueCommitted)
	s.store.OnCommit(s.leaseCommitted)
	var err error
	if s.blobs, err = newBlobs(s); err != nil {
		return nil, err
	}
	addr, err := net.ResolveTCPAddr("tcp", cfg.Advertise)
	if err != nil {
		return nil, fmt.Errorf("cluster: advertised RPC address: %w", err)
	}
	s.node, err = consensus.New(consensus.Config{ID: cfg.ID, DataDir: cfg.DataDir, Layer: r.RaftLayer(pool, addr), Store: s.store,
		Logger: cfg.Logger, Alone: cfg.BootstrapExpect == 1, Tuning: cfg.Raft, OnRestore: s.events.Restored})
	if err != nil {
		return nil, err
	}
	s.reads = newShared(s.askReadIndex)
	s.registerRPC()
	return s, nil
}

// Start begins the server's goroutines. The RPC server serves by now.
func (s *Server) Start(g *gossip.Pool) {
	s.gossip = g
	g.OnChange(s.membersChanged)
	s.goRun(s.monitorLeadership)
	s.goRun(s.blobs.repairLoop)
	s.goRun(s.blobs.verifyLoop)
	s.goRun(s.bootstrapLoop)
	for n := range max(1, s.cfg.Workers) {
		s.goRun(func(ctx context.Context) { s.runWorker(ctx, n) })
	}
}

func (s *Server) goRun(f func(context.Context)) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f(s.ctx)
	}()
}

// HasState reports whether the server had Raft state when it started.
func (s *Server) HasState() bool { return s.node.HasState() }

// Close stops the server. With leave it first hands leadership on, so that nobody waits for an election. It stays a Raft peer.
func (s *Server) Close(leave bool) error {
	if leave {
		s.handOver()
	}
	s.cancel()
	s.wg.Wait()
	s.reads.stop()
	return s.node.Close()
}

func (s *Server) handOver() {
	peers, err := s.node.Peers()
	if err != nil || len(peers) < 2 {
		return
	}
	if s.node.IsLeader() {
		if err := s.node.TransferLeadership(); err != nil {
			s.logger.Warn("cannot hand leadership on before leaving", "error", err)
		}
	}
}

const (
	// proposeTimeout bounds a proposal whose context has no deadline, readTimeout a read: long enough for an election.
	proposeTimeout = 15 * time.Second
	readTimeout    = 10 * time.Second
)

// Propose commits a command through the leader. While there is no leader it waits; a command that may be repeated safely is repeated
// when its fate is unknown.
func (s *Server) Propose(ctx context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	unknown := false // whether an earlier attempt was applied
	for attempt := 0; ; attempt++ {
		index, v, err := s.proposeOnce(ctx, typ, body)
		if err == nil {
			return index, v, nil
		}
		again := structs.IsKind(err, structs.KindNotLeader)
		if unknownFate(err) {
			again, unknown = repeatable(typ), true
		}
		if again && s.ctx.Err() == nil && pause(ctx, attempt) {
			continue
		}
		if unknown && structs.IsKind(err, structs.KindNotLeader) {
			return 0, nil, structs.Errorf(structs.KindUnavailable, "the cluster lost its leader on the way: the change may or may not have been made")
		}
		return 0, nil, s.noLeader(err)
	}
}

// unknownFate reports whether the error leaves open if the command was applied, or will be.
func unknownFate(err error) bool {
	return structs.IsKind(err, structs.KindUnavailable) || structs.IsKind(err, structs.KindTimeout)
}

// overwrites are the commands that write a value whatever was there, or whose repetition answers otherwise. When somebody else wrote between the two times
// that such a command is applied, the second one would undo what that one was told is done. So its fate is left to who proposed it.
var overwrites = map[fsm.Type]bool{fsm.QuotaSet.Type: true, fsm.ClusterSettingsSet.Type: true, fsm.HostAdmin.Type: true, fsm.HostRegister.Type: true, fsm.HostStatus.Type: true,
	fsm.InstanceUpdate.Type: true, fsm.InstancePin.Type: true, fsm.ImageReplace.Type: true, fsm.InstanceLock.Type: true, fsm.InstanceReset.Type: true,
	fsm.AggregateUpdate.Type: true, fsm.InstancePassword.Type: true, fsm.ImageMirror.Type: true}

func repeatable(t fsm.Type) bool { return fsm.Repeatable(t) && !overwrites[t] }

// asLeader commits what a duty of the leader decided, on this server alone: what a server that no longer leads made of its old state must not reach
// the one that leads now. While this server goes on leading, a command that may be repeated is, e.g. when too many wait.
type asLeader struct{ s *Server }

func (a asLeader) Propose(ctx context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	term := a.s.node.Term()
	for attempt := 0; ; attempt++ {
		index, v, err := a.s.node.Propose(ctx, typ, body)
		if err == nil || !structs.IsKind(err, structs.KindUnavailable) || !repeatable(typ) || a.s.node.Term() != term || !pause(ctx, attempt) {
			return index, v, err
		}
	}
}

func (s *Server) proposeOnce(ctx context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	if s.node.IsLeader() {
		return s.node.Propose(ctx, typ, body)
	}
	_, addr := s.node.Leader()
	if addr == "" || addr == s.cfg.Advertise {
		return 0, nil, structs.Errorf(structs.KindNotLeader, "there is no leader now")
	}
	actx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := rpc.Call[structs.ProposeResponse](actx, s.pool, addr, "Raft.Propose", &structs.ProposeRequest{Type: uint16(typ), Body: body})
	if err != nil {
		return 0, nil, err
	}
	return r.Index, fsm.Encoded(r.Value), nil
}

// noLeader words for a user what only the cluster calls "not leader".
func (s *Server) noLeader(err error) error {
	if structs.IsKind(err, structs.KindNotLeader) {
		if disk := s.node.DiskError(); disk != nil {
			return structs.Errorf(structs.KindUnavailable, "the cluster has no leader at the moment, and server %s cannot be it: it cannot write to its disk: %w", s.cfg.Name, disk)
		}
		return structs.Errorf(structs.KindUnavailable, "the cluster has no leader at the moment: nothing was done, try again")
	}
	return err
}

// pause waits a little, longer with each attempt and with jitter; false when ctx ended.
func pause(ctx context.Context, attempt int) bool {
	d := min(20*time.Millisecond<<min(attempt, 5), 500*time.Millisecond)
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Read returns a linearizable moment: it asks the leader for its verified index (many reads share one question), waits until
// this server has applied it, and answers from its own state.
func (s *Server) Read(ctx context.Context) (state.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		index, err := s.reads.ask(ctx)
		if err == nil {
			if err := s.store.Wait(ctx, index); err != nil {
				return state.Reader{}, structs.Errorf(structs.KindUnavailable, "this server is behind the leader and did not catch up in time")
			}
			return s.store.Snapshot(), nil
		}
		if s.ctx.Err() != nil || !pause(ctx, attempt) {
			return state.Reader{}, s.noLeader(err)
		}
	}
}

// askReadIndex answers for all reads that asked before it began.
func (s *Server) askReadIndex(ctx context.Context) (uint64, error) {
	if s.node.IsLeader() {
		return s.readIndex(ctx)
	}
	_, addr := s.node.Leader()
	if addr == "" || addr == s.cfg.Advertise {
		return 0, structs.Errorf(structs.KindNotLeader, "there is no leader now")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := rpc.Call[structs.ReadIndexResponse](ctx, s.pool, addr, "Raft.ReadIndex", &structs.ReadIndexRequest{})
	if err != nil {
		return 0, err
	}
	return r.Index, nil
}

// readIndex is the leader's side. The index is taken before leadership is verified: every write acknowledged before the
// read began is applied here by then, because acknowledgements come from this state machine, and a new leader's barrier applied those of its predecessors.
func (s *Server) readIndex(ctx context.Context) (uint64, error) {
	l := s.established()
	if l == nil {
		return 0, structs.Errorf(structs.KindNotLeader, "the leader is not ready yet")
	}
	index := s.store.Index()
	if err := s.node.Verify(ctx); err != nil {
		return 0, err
	}
	if s.node.Term() != l.term { // lost and gained again meanwhile: the other leader's writes may be missing
		return 0, structs.Errorf(structs.KindNotLeader, "leadership changed on the way")
	}
	return index, nil
}

// leadership is one time that this server leads. It counts from when the barrier is passed and the duties run: only then does the server answer consistent reads.
type leadership struct {
	ctx  context.Context // ends when it is known to be lost
	term uint64
}

// established returns the leadership that holds as far as this server knows, or nil. The term tells one from the next also before this server has heard
// that the first was lost.
func (s *Server) established() *leadership {
	s.mu.Lock()
	l := s.leadership
	s.mu.Unlock()
	if l == nil || l.ctx.Err() != nil || s.node.Term() != l.term {
		return nil
	}
	return l
}

func (s *Server) isEstablished() bool { return s.established() != nil }

// Stale returns this server's newest moment.
func (s *Server) Stale() state.Reader { return s.store.Snapshot() }

// Events returns the change stream.
func (s *Server) Events() *event.Broker { return s.events }

// Blobs returns the image store.
func (s *Server) Blobs() nomadlike.Blobs { return s.blobs }

// Join gossips with others.
func (s *Server) Join(addrs []string) (int, error) { return s.gossip.Join(addrs) }

// Cluster describes the cluster.
func (s *Server) Cluster() nomadlike.ClusterInfo {
	id, addr := s.node.Leader()
	info := nomadlike.ClusterInfo{ServerID: s.cfg.ID, Region: s.cfg.Region, LeaderID: id, LeaderAddr: addr, IsLeader: s.node.IsLeader(),
		AppliedIndex: s.store.Index(), CommitIndex: s.node.CommitIndex(), Stats: s.node.Stats(), Duties: s.duties.status()}
	if at := s.node.LastContact(); !info.IsLeader && !at.IsZero() {
		info.LastContactMS = time.Since(at).Milliseconds()
	}
	for _, m := range s.gossip.Members() {
		info.Members = append(info.Members, nomadlike.Member{Name: m.Name, Addr: m.Addr, Role: m.Tags.Role, Status: m.Status, Tags: map[string]string{
			"id": m.Tags.ID, "region": m.Tags.Region, "zone": m.Tags.Zone, "rpc": m.Tags.RPCAddr, "http": m.Tags.HTTPAddr, "version": m.Tags.Version}})
	}
	peers, err := s.node.Peers()
	if err != nil {
		return info
	}
	for _, p := range peers {
		info.Peers = append(info.Peers, nomadlike.Peer{ID: p.ID, Addr: p.Addr, Voter: p.Voter, Leader: p.ID == id})
	}
	return info
}

// ID names this server.
func (s *Server) ID() structs.ServerID { return s.cfg.ID }
