package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// sees waits until gossip says that of a member, at another one.
func (m *member) sees(id structs.ServerID, status string) {
	m.t.Helper()
	require.Eventually(m.t, func() bool {
		return slices.ContainsFunc(m.gossip.Members(), func(x gossip.Member) bool { return x.Tags.ID == string(id) && x.Status == status })
	}, time.Minute, 5*time.Millisecond, "%s is not %s to %s", id, status, m.id)
}

// reconciled waits until the leader has compared Raft with gossip once more.
func (m *member) reconciled() {
	m.t.Helper()
	runs := func() uint64 {
		for _, d := range m.duties.status() {
			if d.Name == "raft-members" {
				return d.Runs
			}
		}
		return 0
	}
	before := runs()
	m.duties.wake("raft-members")
	require.Eventually(m.t, func() bool { return runs() > before }, 20*time.Second, 5*time.Millisecond, "the duty raft-members does not run")
}

func requireKind(t *testing.T, err error, k structs.Kind, says string) {
	t.Helper()
	require.True(t, structs.IsKind(err, k), "%v: %v", structs.KindOf(err), err)
	require.ErrorContains(t, err, says)
}

// A server that is gone is taken out, through any server, and the others go on without it; one that lives is not.
func TestRemovePeer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newClusterWith(t, 3, options{memory: true})
	l := c.leader()
	rest := c.others(l)
	gone, f := rest[0], rest[1]
	for _, force := range []bool{false, true} {
		requireKind(t, l.RemovePeer(ctx, gone.id, force), structs.KindConflict, "is alive and would be added again")
		requireKind(t, f.RemovePeer(ctx, l.id, force), structs.KindConflict, "leads the cluster")
		requireKind(t, f.RemovePeer(ctx, "nobody", force), structs.KindNotFound, `No Raft peer has the id "nobody"`)
	}
	require.Len(t, peerIDs(t, l), 3, "a refused removal changes nothing")

	gone.stop()
	l.sees(gone.id, "failed")
	require.NoError(t, f.RemovePeer(ctx, gone.id, false))
	ids := func(m *member) []structs.ServerID { return slices.Sorted(maps.Keys(peerIDs(t, m))) }
	left := []structs.ServerID{l.id, f.id}
	slices.Sort(left)
	require.Equal(t, left, ids(l))
	require.Eventually(t, func() bool { return slices.Equal(left, ids(f)) }, 10*time.Second, 5*time.Millisecond, "the follower counts the removed one")
	requireKind(t, f.RemovePeer(ctx, gone.id, false), structs.KindNotFound, "No Raft peer")
	l.reconciled()
	require.Equal(t, left, ids(l), "what is dead is not added again")
	unlimited(t, f)
	c.requireEqualStates()
}

// Removals that arrive together are made one after the other, each server once, and leave a cluster that works.
func TestRemovePeersAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newClusterWith(t, 5, options{memory: true})
	l := c.leader()
	rest := c.others(l)
	gone, left := rest[:2], rest[2:]
	for _, m := range gone {
		m.stop()
	}
	for _, m := range gone {
		l.sees(m.id, "failed")
	}
	var wg sync.WaitGroup
	errs := make([][2]error, len(gone))
	for i, m := range gone {
		for k := range errs[i] {
			wg.Add(1)
			go func() {
				defer wg.Done()
				errs[i][k] = left[k].RemovePeer(ctx, m.id, false)
			}()
		}
	}
	wg.Wait()
	for _, both := range errs {
		require.True(t, (both[0] == nil) != (both[1] == nil), "one of two removals of one server: %v", both)
		for _, err := range both {
			require.True(t, err == nil || structs.IsKind(err, structs.KindNotFound), "%v", err)
		}
	}
	require.Len(t, peerIDs(t, l), 3)
	unlimited(t, left[0])
	c.requireEqualStates()
}

// A removal needs a living majority of what is left.
func TestRemovable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		peers, alive string // a letter each; an upper-case peer has no vote; a leads
		out          structs.ServerID
		force        bool
		kind         structs.Kind
		says         string
	}{
		{name: "one of three", peers: "abc", alive: "ab", out: "c"},
		{name: "one of five, two are dead", peers: "abcde", alive: "abc", out: "e"},
		{name: "one of five, three are dead", peers: "abcde", alive: "ab", out: "e", kind: structs.KindConflict, says: "Of the 4 servers that would be left 2 are known to be alive, and 3 are needed"},
		{name: "by force", peers: "abcde", alive: "ab", out: "e", force: true},
		{name: "one of three, two are dead", peers: "abc", alive: "a", out: "c", kind: structs.KindConflict, says: "Of the 2 servers that would be left 1 are known to be alive, and 2 are needed"},
		{name: "one of two", peers: "ab", alive: "a", out: "b"},
		{name: "who does not vote does not count", peers: "abCD", alive: "aCD", out: "b"},
		{name: "strangers do not count", peers: "abc", alive: "axyz", out: "c", kind: structs.KindConflict, says: "1 are known to be alive"},
		{name: "the leader", peers: "abc", alive: "abc", out: "a", force: true, kind: structs.KindConflict, says: "Server a leads"},
		{name: "a living one", peers: "abc", alive: "abc", out: "b", force: true, kind: structs.KindConflict, says: "Server b (addr-b) is alive"},
		{name: "nobody", peers: "abc", alive: "abcd", out: "d", force: true, kind: structs.KindNotFound, says: "No Raft peer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var peers []consensus.Peer
			for _, id := range c.peers {
				peers = append(peers, consensus.Peer{ID: structs.ServerID(id), Addr: "addr-" + string(id), Voter: id >= 'a'})
			}
			alive := map[structs.ServerID]bool{}
			for _, id := range c.alive {
				alive[structs.ServerID(id)] = true
			}
			err := removable(peers, alive, "a", &structs.RaftRemovePeerRequest{ID: c.out, Force: c.force})
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			requireKind(t, err, c.kind, c.says)
		})
	}
}

// While gossip still believes that a server is alive whose address another one has, only the one that listens counts.
func TestSoleAtAddress(t *testing.T) {
	t.Parallel()
	server := func(id, addr string) gossip.Member {
		return gossip.Member{Name: id, Tags: gossip.Tags{Role: "server", ID: id, RPCAddr: addr}}
	}
	all := []gossip.Member{server("a", "1"), server("b", "2"), server("b-new", "2"), server("c", "3"), server("c-new", "3")}
	ids := func(ms []gossip.Member) (out []string) {
		for _, m := range ms {
			out = append(out, m.Tags.ID)
		}
		return out
	}
	got := soleAtAddress(slices.Clone(all), func(addr string) (string, error) {
		require.NotEqual(t, "1", addr, "who is alone at its address is not asked")
		if addr == "3" {
			return "", errors.New("no answer")
		}
		return "b-new", nil
	})
	require.Equal(t, []string{"a", "b-new"}, ids(got))
	got = soleAtAddress(slices.Clone(all), func(addr string) (string, error) { return "b", nil })
	require.Equal(t, []string{"a", "b"}, ids(got))
}
