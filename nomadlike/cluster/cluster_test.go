package cluster

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestOneServer(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 1)
	l := c.leader()
	c.host("a")
	require.Eventually(t, func() bool { return l.Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(context.Background(), l, createRequest(3))
	require.NoError(t, err)
	c.waitActive(ids)
	require.NotEmpty(t, l.Cluster().Peers)
	require.True(t, l.Stale().HasClusterSettings())
	var keys int
	for range l.Stale().TokenKeys() {
		keys++
	}
	require.Equal(t, 1, keys)
}

// Writes through any server, reads on any server: what was acknowledged is there.
func TestReadYourWritesAnywhere(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	c.leader()
	ctx, acked := context.Background(), 0
	for i := range 60 {
		f := structs.Flavor{ID: structs.FlavorID(fmt.Sprint(i)), Name: fmt.Sprint("f", i)}
		_, err := fsm.FlavorCreate.Propose(ctx, c.members[i%3], &structs.FlavorCreateRequest{Flavor: f})
		if structs.IsKind(err, structs.KindUnavailable) { // the leader was lost on the way: nobody was told that it is done
			continue
		}
		require.NoError(t, err)
		acked++
		r, err := c.members[(i+1)%3].Read(ctx)
		require.NoError(t, err)
		require.NotNil(t, r.Flavor(f.ID), "an acknowledged write is missing from a read on another server")
	}
	require.Greater(t, acked, 30)
	require.Eventually(t, func() bool { return c.follower().Stale().Flavor("59") != nil || flavor(ctx, c.leader(), "59") == nil }, 20*time.Second, 10*time.Millisecond)
	_, err := fsm.FlavorCreate.Propose(ctx, c.follower(), &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "59", Name: "x"}})
	require.True(t, structs.IsKind(err, structs.KindConflict), "an error keeps its kind across forwarding: %v", err)
}

// The leader dies while creates are in flight: every one that was acknowledged becomes active, none is made twice, claims equal instances.
func TestLeaderDiesUnderLoad(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	l := c.leader()
	unlimited(t, l)
	c.host("a")
	c.host("b")
	f := c.follower()
	require.Eventually(t, func() bool { return f.Stale().HostByName("a") != nil && f.Stale().HostByName("b") != nil }, 10*time.Second, 5*time.Millisecond)
	var mu sync.Mutex
	var acked []structs.InstanceID
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ids, err := fsm.InstanceCreate.Propose(context.Background(), f, createRequest(1))
			if err == nil {
				mu.Lock()
				acked = append(acked, ids...)
				mu.Unlock()
			}
		}()
		if i == 25 {
			l.stop()
		}
	}
	wg.Wait()
	require.NotEmpty(t, acked)
	c.waitActive(acked)
	r := c.leader().Stale()
	claims, live := map[structs.InstanceID]int{}, 0
	for cl := range r.AllClaims() {
		claims[cl.InstanceID]++
	}
	for ins := range r.AllInstances() {
		live++
		require.Equal(t, 1, claims[ins.ID])
	}
	require.Len(t, claims, live)
	require.GreaterOrEqual(t, live, len(acked))
}

// All servers stopped and started again: the state is the same, to the byte of a snapshot.
func TestAllServersRestart(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	unlimited(t, c.leader())
	h := c.host("a")
	require.Eventually(t, func() bool { return c.leader().Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(context.Background(), c.leader(), createRequest(20))
	require.NoError(t, err)
	c.waitActive(ids)
	h.stop()
	require.NoError(t, c.leader().node.Snapshot())
	_, err = fsm.FlavorCreate.Propose(context.Background(), c.leader(), &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "after", Name: "after the snapshot"}})
	require.NoError(t, err)
	instances := func(m *member) []byte {
		var b bytes.Buffer
		r, err := m.Read(context.Background())
		require.NoError(t, err)
		enc := structs.NewEncoder(&b)
		for ins := range r.AllInstances() {
			require.NoError(t, enc.Encode(ins))
		}
		for f := range r.Flavors() {
			require.NoError(t, enc.Encode(f))
		}
		for cl := range r.AllClaims() {
			require.NoError(t, enc.Encode(cl))
		}
		return b.Bytes()
	}
	want := instances(c.leader())
	for _, m := range c.members {
		m.stop()
	}
	var join []string
	for _, m := range c.members {
		m.startWith(options{}, join)
		join = []string{m.serf()}
	}
	c.leader()
	for _, m := range c.members {
		require.Equal(t, want, instances(m), "%s", m.id)
	}
	// The same index gives the same bytes on every server.
	var snaps [][]byte
	require.Eventually(t, func() bool {
		snaps = nil
		for _, m := range c.members {
			var b bytes.Buffer
			if m.Stale().Persist(&b) != nil {
				return false
			}
			snaps = append(snaps, b.Bytes())
		}
		return bytes.Equal(snaps[0], snaps[1]) && bytes.Equal(snaps[1], snaps[2])
	}, 10*time.Second, 20*time.Millisecond)
}

// A host whose client is gone is down within its lease, and not before; back again it is up.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 1)
	h := c.host("a")
	status := func() structs.HostStatus {
		if x := c.leader().Stale().HostByName("a"); x != nil {
			return x.Status
		}
		return ""
	}
	require.Eventually(t, func() bool { return status() == structs.HostUp }, 10*time.Second, 5*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(context.Background(), c.leader(), createRequest(1))
	require.NoError(t, err)
	c.waitActive(ids)
	h.stop()
	require.Eventually(t, func() bool { return status() == structs.HostDown }, 10*time.Second, 5*time.Millisecond)
	x := c.leader().Stale().HostByName("a")
	require.Contains(t, x.StatusReason, "lease")
	c.host("a")
	require.Eventually(t, func() bool { return status() == structs.HostUp }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, x.Epoch+1, c.leader().Stale().HostByName("a").Epoch, "a new life of the client is a new epoch")
}

// Image bytes are on most servers once spread, and every server can read them.
func TestBlobsSpread(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	l := c.leader()
	ctx := context.Background()
	w, err := l.Blobs().Create(ctx)
	require.NoError(t, err)
	data := bytes.Repeat([]byte("kilonova "), 200000)
	_, err = w.Write(data)
	require.NoError(t, err)
	sums, err := w.Commit()
	require.NoError(t, err)
	have, err := l.Blobs().Spread(ctx, sums.SHA512)
	require.NoError(t, err)
	require.Len(t, have, 2)
	for _, m := range c.members {
		r, size, err := m.Blobs().Open(ctx, sums.SHA512)
		require.NoError(t, err)
		require.EqualValues(t, len(data), size)
		var got bytes.Buffer
		_, err = got.ReadFrom(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.True(t, bytes.Equal(data, got.Bytes()))
	}
	_, _, err = c.follower().Blobs().Open(ctx, "00"+sums.SHA512[2:])
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}
