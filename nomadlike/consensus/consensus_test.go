package consensus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestMain looks for goroutines that a closed node left behind. Raft itself forgets to answer some of what was on its way when it is shut down.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*deferError).Error"))
}

// listen returns a Raft port, which is closed with the test.
func listen(t testing.TB) raft.StreamLayer {
	s, err := rpc.NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
	require.NoError(t, err)
	t.Cleanup(s.Close)
	go s.Serve()
	return s.RaftLayer(rpc.NewPool(nil), s.Addr())
}

func config(id string, layer raft.StreamLayer) Config {
	return Config{ID: structs.ServerID(id), Layer: layer, Store: state.NewStore(), Logger: hclog.NewNullLogger(), Alone: true}
}

func shut(t testing.TB, n *Node) { require.NoError(t, n.Close()) }

// alone starts a node that leads a cluster of its own.
func alone(t testing.TB, cfg Config) *Node {
	n, err := New(cfg)
	require.NoError(t, err)
	found(t, n, cfg)
	return n
}

func found(t testing.TB, n *Node, cfg Config) {
	require.NoError(t, n.Bootstrap([]Peer{{cfg.ID, cfg.Layer.Addr().String(), true}}))
	leads(t, n)
}

func leads(t testing.TB, n *Node) {
	t.Helper()
	require.Eventually(t, n.IsLeader, 10*time.Second, time.Millisecond)
}

func flavor(ctx context.Context, n *Node, id string) (uint64, error) {
	body, err := structs.Encode(&structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: structs.FlavorID(id), Name: id}})
	if err != nil {
		return 0, err
	}
	index, _, err := n.Propose(ctx, fsm.FlavorCreate.Type, body)
	return index, err
}

// What many propose at once is committed with few entries, and each proposer gets its own command's answer.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	cfg := config("a", listen(t))
	n := alone(t, cfg)
	defer shut(t, n)
	const many = 500
	first := n.CommitIndex()
	var wg sync.WaitGroup
	var conflicts atomic.Int64
	for i := range many {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := flavor(context.Background(), n, fmt.Sprint(i/2)) // each id twice
			if structs.IsKind(err, structs.KindConflict) {
				conflicts.Add(1)
			} else {
				assert.NoError(t, err)
			}
		}()
	}
	wg.Wait()
	require.EqualValues(t, many/2, conflicts.Load(), "of two that create one flavor, one is told that it is there")
	require.Less(t, n.CommitIndex()-first, uint64(many/2), "the commands did not share entries")
	for i := range many / 2 {
		require.NotNil(t, cfg.Store.Snapshot().Flavor(structs.FlavorID(fmt.Sprint(i))))
	}
}

// A node that is started again on its directory has its state, from the log alone or from a snapshot and what came after.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, snapshot := range map[string]bool{"log": false, "snapshot": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config("a", listen(t))
			cfg.DataDir = t.TempDir()
			n := alone(t, cfg)
			require.False(t, n.HasState())
			for i := range 20 {
				_, err := flavor(context.Background(), n, fmt.Sprint(i))
				require.NoError(t, err)
			}
			if snapshot {
				require.NoError(t, n.Snapshot())
				require.NoError(t, n.Snapshot(), "nothing new is no error")
				_, err := flavor(context.Background(), n, "after")
				require.NoError(t, err)
			}
			before := bytesOf(t, cfg.Store)
			shut(t, n)

			again, restored := config("a", listen(t)), uint64(0)
			again.DataDir, again.OnRestore = cfg.DataDir, func(index uint64) { restored = index }
			n, err := New(again)
			require.NoError(t, err)
			defer shut(t, n)
			require.True(t, n.HasState())
			require.Equal(t, snapshot, restored != 0, "who reads events must be told of a snapshot")
			leads(t, n)
			require.NoError(t, n.Barrier(10*time.Second))
			require.Equal(t, before, bytesOf(t, again.Store))
		})
	}
}

func bytesOf(t testing.TB, s *state.Store) []byte {
	var b bytes.Buffer
	require.NoError(t, s.Snapshot().Persist(&b))
	return b.Bytes()
}

// A second agent on one directory is told so at once.
func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	cfg := config("a", listen(t))
	cfg.DataDir = t.TempDir()
	n := alone(t, cfg)
	defer shut(t, n)
	_, err := New(Config{ID: "b", DataDir: cfg.DataDir, Layer: cfg.Layer, Store: state.NewStore(), Logger: hclog.NewNullLogger()})
	require.ErrorContains(t, err, "is another agent using this data directory?")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	cfg := config("a", listen(t))
	n, err := New(cfg)
	require.NoError(t, err)
	_, err = flavor(context.Background(), n, "x")
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	found(t, n, cfg)
	_, _, err = n.Propose(context.Background(), fsm.FlavorCreate.Type, make([]byte, fsm.MaxEntryBytes+1))
	require.True(t, structs.IsKind(err, structs.KindTooLarge), "%v", err)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = flavor(over, n, "x")
	require.True(t, structs.IsKind(err, structs.KindTimeout), "%v", err)
	require.Nil(t, cfg.Store.Snapshot().Flavor("x"))
	require.True(t, structs.IsKind(n.TransferLeadership(), structs.KindInternal), "there is nobody")
	shut(t, n)
	_, err = flavor(context.Background(), n, "x")
	require.Error(t, err)
	require.Error(t, n.Verify(context.Background()))
}

// brokenDisk takes no writes while it is full.
type brokenDisk struct {
	raft.LogStore
	raft.StableStore
	full atomic.Bool
}

func (d *brokenDisk) check() error {
	if d.full.Load() {
		return fmt.Errorf("write /secret/path/raft.db: %w", syscall.ENOSPC)
	}
	return nil
}

func (d *brokenDisk) StoreLogs(es []*raft.Log) error {
	return errors.Join(d.check(), d.LogStore.StoreLogs(es))
}

func (d *brokenDisk) Set(k, v []byte) error { return errors.Join(d.check(), d.StableStore.Set(k, v)) }

func (d *brokenDisk) SetUint64(k []byte, v uint64) error {
	return errors.Join(d.check(), d.StableStore.SetUint64(k, v))
}

func onBrokenDisk(t *testing.T) (*Node, *brokenDisk, Config) {
	mem := raft.NewInmemStore()
	d := &brokenDisk{LogStore: mem, StableStore: mem}
	cfg := config("a", listen(t))
	n, err := newNode(cfg, stores{d, d, raft.NewInmemSnapshotStore(), memoryLogs{mem}})
	require.NoError(t, err)
	found(t, n, cfg)
	return n, d, cfg
}

// A leader whose disk is full refuses what is proposed, with the reason and without its files' paths; the process lives, and when there is room again it
// leads again by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	n, d, cfg := onBrokenDisk(t)
	defer shut(t, n)
	_, err := flavor(context.Background(), n, "before")
	require.NoError(t, err)
	require.NoError(t, n.DiskError())
	d.full.Store(true)
	_, err = flavor(context.Background(), n, "full")
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
	require.ErrorContains(t, err, "no space left on device")
	require.NotContains(t, err.Error(), "/secret")
	require.Eventually(t, func() bool { return !n.IsLeader() }, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, n.DiskError(), syscall.ENOSPC)
	_, err = flavor(context.Background(), n, "later")
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	d.full.Store(false)
	leads(t, n)
	_, err = flavor(context.Background(), n, "after")
	require.NoError(t, err)
	require.NoError(t, n.DiskError())
	r := cfg.Store.Snapshot()
	require.NotNil(t, r.Flavor("before"))
	require.NotNil(t, r.Flavor("after"))
	require.Nil(t, r.Flavor("later"))
}

// A node whose disk is full still ends when it is told to.
func TestCloseOnFullDisk(t *testing.T) {
	t.Parallel()
	n, d, _ := onBrokenDisk(t)
	d.full.Store(true)
	_, err := flavor(context.Background(), n, "full")
	require.Error(t, err)
	term := n.Term()
	// It stands still where it would begin an election.
	require.Eventually(t, func() bool { return n.raft.State() == raft.Candidate }, 10*time.Second, time.Millisecond)
	done := make(chan error, 1)
	go func() { done <- n.Close() }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("Close does not return")
	}
	require.Equal(t, term, n.Term(), "a term that was not saved was acted on")
}

// Three nodes: leadership is handed on, and a server is taken out and put in again.
func TestMembership(t *testing.T) {
	t.Parallel()
	var nodes []*Node
	var peers []Peer
	for _, id := range []string{"a", "b", "c"} {
		cfg := config(id, listen(t))
		cfg.Alone = false
		n, err := New(cfg)
		require.NoError(t, err)
		defer shut(t, n)
		nodes, peers = append(nodes, n), append(peers, Peer{cfg.ID, cfg.Layer.Addr().String(), true})
	}
	for _, n := range nodes {
		require.NoError(t, n.Bootstrap(peers), "all of them may found it")
	}
	leader := func() (found int) {
		require.Eventually(t, func() bool {
			for i, n := range nodes {
				if n.IsLeader() && n.Verify(context.Background()) == nil {
					found = i
					return true
				}
			}
			return false
		}, 20*time.Second, time.Millisecond)
		return found
	}
	old := leader()
	require.Eventually(t, func() bool { return nodes[old].TransferLeadership() == nil }, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return !nodes[old].IsLeader() }, 10*time.Second, time.Millisecond)
	l := leader()
	out := (l + 1) % 3
	require.NoError(t, nodes[l].RemoveServer(peers[out].ID))
	got, err := nodes[l].Peers()
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.True(t, structs.IsKind(nodes[out].RemoveServer(peers[l].ID), structs.KindNotLeader), "only the leader can")
	require.NoError(t, nodes[l].AddVoter(peers[out]))
	_, err = flavor(context.Background(), nodes[l], "x")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return nodes[out].store.Snapshot().Flavor("x") != nil }, 10*time.Second, time.Millisecond)
}

// Many verifications share a round, and each is answered by a round that began after it asked.
func TestVerifyIsShared(t *testing.T) {
	t.Parallel()
	v := &verifier{ask: make(chan chan error, 1024), stopped: make(chan struct{})}
	var rounds atomic.Int64
	proceed := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.run(func() error { rounds.Add(1); <-proceed; return nil })
	}()
	answers := make(chan error, 100)
	ask := func() { answers <- v.verify(context.Background()) }
	go ask()
	require.Eventually(t, func() bool { return rounds.Load() == 1 }, 5*time.Second, time.Millisecond)
	for range 99 {
		go ask()
	}
	require.Eventually(t, func() bool { return len(v.ask) == 99 }, 5*time.Second, time.Millisecond)
	proceed <- struct{}{}
	require.NoError(t, <-answers)
	require.Eventually(t, func() bool { return rounds.Load() == 2 }, 5*time.Second, time.Millisecond, "the first round must not answer who asked after it began")
	require.Empty(t, answers)
	proceed <- struct{}{}
	for range 99 {
		require.NoError(t, <-answers)
	}
	require.EqualValues(t, 2, rounds.Load())
	v.stop()
	<-done
}

func BenchmarkPropose(b *testing.B) {
	for _, proposers := range []int{1, 32} {
		b.Run(fmt.Sprint(proposers), func(b *testing.B) {
			cfg := config("a", listen(b))
			cfg.DataDir = b.TempDir()
			n := alone(b, cfg)
			defer shut(b, n)
			body, err := structs.Encode(&structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p"}})
			require.NoError(b, err)
			b.ReportAllocs()
			b.SetParallelism(proposers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, _, err := n.Propose(context.Background(), fsm.QuotaSet.Type, body); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
