package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// often makes snapshots after a few entries and keeps hardly any entry behind them, so that who was away needs one.
var often = consensus.Tuning{SnapshotThreshold: 20, SnapshotInterval: 50 * time.Millisecond, TrailingLogs: 2}

// Servers are stopped and started in random order under load, now and then two of three at once. Nothing acknowledged is lost, what clients saw is
// linearizable, and all servers end with the same bytes, whether they came there by entries or by snapshots.
func TestRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	o := options{raft: often}
	c := newClusterWith(t, 3, o)
	c.leader()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run := newRunning(c)
	h := &history{began: time.Now()}
	load := h.load(ctx, 6, seed, run.any)
	for round := 0; round < 5 && time.Since(h.began) < 10*time.Second; round++ {
		load.served.reach(t, load.served.n.Load()+30+rnd.Int64N(40))
		i := rnd.IntN(3)
		if round%3 == 1 {
			j := (i + 1 + rnd.IntN(2)) % 3
			run.restart(c, c.members[i], o, func() { run.restart(c, c.members[j], o, func() {}) })
		} else {
			run.restart(c, c.members[i], o, func() { load.served.reach(t, load.served.n.Load()+10) })
		}
	}
	load.served.reach(t, load.served.n.Load()+30)
	cancel()
	load.wg.Wait()
	h.requireLinearizable(t)
	c.requireEqualStates()
}

func lastSnapshot(m *member) uint64 {
	n, _ := strconv.ParseUint(m.node.Stats()["last_snapshot_index"], 10, 64)
	return n
}

// A follower that was cut off for long is given a snapshot: it ends byte-equal to the leader, and who reads its event stream is told that events are missing.
func TestCatchUpBySnapshot(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), raft: often}
	c := newClusterWith(t, 3, o)
	l, f := c.leader(), c.follower()
	ctx := context.Background()
	require.NoError(t, flavor(ctx, l, "first"))
	require.Eventually(t, func() bool { return f.Stale().Flavor("first") != nil }, 10*time.Second, time.Millisecond)
	sub, whole := f.Events().Subscribe(f.Stale().Index())
	require.True(t, whole)
	o.net.isolate(c, f, refused, refused)
	for i := range 100 {
		require.NoError(t, flavor(ctx, l, fmt.Sprint(i)))
	}
	require.Eventually(t, func() bool { return lastSnapshot(l) > f.Stale().Index()+50 }, 10*time.Second, 5*time.Millisecond)
	o.net.heal(c)
	ectx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, whole, err := sub.Next(ectx)
	require.NoError(t, err)
	require.False(t, whole, "events between the cut and the snapshot are missing unnoticed")
	c.requireEqualStates()
	require.Eventually(t, func() bool { return lastSnapshot(f) >= 50 }, 10*time.Second, 5*time.Millisecond, "it came there without a snapshot")
	_, whole = f.Events().Subscribe(f.Stale().Index())
	require.True(t, whole)
}

func peerIDs(t testing.TB, m *member) map[structs.ServerID]string {
	peers, err := m.node.Peers()
	require.NoError(t, err)
	out := map[structs.ServerID]string{}
	for _, p := range peers {
		out[p.ID] = p.Addr
	}
	return out
}

// eventuallyFlavor writes until it is done: a leader that is lost on the way leaves it open, which is not what these tests are about.
func eventuallyFlavor(t *testing.T, m *member, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return flavor(context.Background(), m, id) == nil || m.Stale().Flavor(structs.FlavorID(id)) != nil
	}, 30*time.Second, 5*time.Millisecond)
}

// A server whose disk was lost comes back: as itself, as a new server at the old address (its id was on the disk too), or as a new server elsewhere. It gets
// the whole state, and Raft's configuration fits.
func TestEmptyDisk(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct{ newID, newAddr bool }{"same id": {false, false}, "new id": {true, false}, "new id and address": {true, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options{raft: often}
			c := newClusterWith(t, 3, o)
			l, lost := c.leader(), c.follower()
			for i := range 60 {
				eventuallyFlavor(t, l, fmt.Sprint(i))
			}
			lost.stop()
			require.NoError(t, os.RemoveAll(filepath.Join(lost.dir, "raft")))
			back := lost
			if x.newID {
				back = &member{t: t, id: lost.id + "-new", dir: t.TempDir(), expect: 3, addr: lost.addr}
				if x.newAddr {
					back.addr = ""
				}
				for i := range c.members {
					if c.members[i] == lost {
						c.members[i] = back
					}
				}
			}
			back.startWith(o, c.join())
			require.Eventually(t, func() bool { return back.Stale().Flavor("59") != nil }, 30*time.Second, 5*time.Millisecond)
			peers := func() map[structs.ServerID]string { return peerIDs(t, c.leader()) }
			require.Eventually(t, func() bool { return peers()[back.id] == back.addr }, 20*time.Second, 5*time.Millisecond)
			_, old := peers()[lost.id]
			require.Equal(t, !x.newID || x.newAddr, old, "who may come back stays a peer; who cannot does not")
			eventuallyFlavor(t, back, "after")
			c.requireEqualStates()
			if old && x.newID {
				return // four peers: three must live
			}
			// It counts: with another one gone the cluster goes on.
			for _, m := range c.members {
				if m != back {
					m.stop()
					break
				}
			}
			c.leader()
			eventuallyFlavor(t, back, "after another one is gone")
		})
	}
}

// Two of three servers lose their disks. They must not found a cluster of their own, with the third whose state they would overwrite: that decision is an operator's.
func TestEmptyMajorityFoundsNothing(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{})
	l := c.leader()
	require.NoError(t, flavor(context.Background(), l, "precious"))
	keep := c.members[0]
	require.Eventually(t, func() bool { return keep.Stale().Flavor("precious") != nil }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return keep.gossip.Tags().Bootstrap }, 10*time.Second, 5*time.Millisecond, "a server that belongs to a cluster must say so")
	for _, m := range c.members[1:] {
		m.stop()
	}
	require.Eventually(t, func() bool { return !keep.node.IsLeader() }, 10*time.Second, 5*time.Millisecond, "it would add them")
	for i, m := range c.members[1:] {
		c.members[1+i] = &member{t: t, id: m.id + "-new", dir: t.TempDir(), expect: 3}
	}
	for _, m := range c.members[1:] {
		m.startWith(options{}, []string{keep.serf()})
	}
	for _, m := range c.members[1:] {
		require.Eventually(t, func() bool { return len(m.gossip.Servers()) == 3 }, time.Minute, 5*time.Millisecond)
	}
	require.Never(t, func() bool { return len(peerIDs(t, c.members[1])) > 0 || len(peerIDs(t, c.members[2])) > 0 }, time.Second, 20*time.Millisecond)
	require.NotNil(t, keep.Stale().Flavor("precious"))
}
