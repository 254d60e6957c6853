package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// cachingHost is a host's client that caches images, when its gate is open.
type cachingHost struct {
	id   structs.HostID
	gate chan struct{}

	mu    sync.Mutex
	asked int
}

func (h *cachingHost) times() int { h.mu.Lock(); defer h.mu.Unlock(); return h.asked }

func newCachingHost(t *testing.T, c *testCluster, name string) *cachingHost {
	h := &cachingHost{id: structs.HostID("id-" + name), gate: make(chan struct{})}
	r, err := rpc.NewServer("127.0.0.1:0", nil, testLogger(t))
	require.NoError(t, err)
	rpc.Handle(r, "Client.CacheImage", rpc.ServerOnly, func(ctx context.Context, _ *structs.CacheImageRequest) (*structs.CacheImageResponse, error) {
		h.mu.Lock()
		h.asked++
		h.mu.Unlock()
		select {
		case <-h.gate:
			return &structs.CacheImageResponse{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	go r.Serve()
	t.Cleanup(r.Close)
	_, err = fsm.HostRegister.Propose(t.Context(), c.leader(), &structs.HostRegisterRequest{Now: now(), Host: structs.Host{ID: h.id, Name: name, Zone: "nova", Session: "s",
		DriverHealthy: true, RPCAddr: r.Addr().String()}})
	require.NoError(t, err)
	return h
}

// The leader dies while one host has cached an image and another is at it: the next leader asks only the other one again, and the record goes with the end.
func TestImageCachingSurvivesTheLeader(t *testing.T) {
	t.Parallel()
	o := options{ttl: time.Hour}
	c := newClusterWith(t, 3, o)
	quick, slow := newCachingHost(t, c, "quick"), newCachingHost(t, c, "slow")
	close(quick.gate)
	l := c.leader()
	_, err := fsm.ImageUpsert.Propose(t.Context(), l, &structs.ImageUpsertRequest{Create: true, Image: structs.Image{ID: "img", Status: structs.ImageActive}})
	require.NoError(t, err)
	agg, err := fsm.AggregateCreate.Propose(t.Context(), l, &structs.AggregateCreateRequest{UUID: "u", Name: "a", Now: now()})
	require.NoError(t, err)
	for _, h := range []*cachingHost{slow, quick} {
		_, err = fsm.AggregateAddHost.Propose(t.Context(), l, &structs.AggregateHostRequest{ID: agg.ID, HostID: h.id})
		require.NoError(t, err)
	}
	_, err = fsm.ImageCachingBegin.Propose(t.Context(), c.follower(), &structs.ImageCachingBeginRequest{ID: "c", AggregateID: agg.ID, Images: []structs.ImageID{"img"}, Now: now()})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		caching := l.Stale().ImageCaching("c")
		return slow.times() == 1 && caching != nil && caching.IsDone(quick.id)
	}, 20*time.Second, 5*time.Millisecond, "one is done, the other at it")
	l.stop()
	next := c.leader()
	require.Eventually(t, func() bool { return slow.times() == 2 }, 20*time.Second, 5*time.Millisecond, "the next leader asks again")
	require.Equal(t, []structs.ImageCachingHost{{HostID: quick.id, Cached: []structs.ImageID{"img"}}}, next.Stale().ImageCaching("c").Done)
	close(slow.gate)
	require.Eventually(t, func() bool { return next.Stale().ImageCaching("c") == nil }, 20*time.Second, 5*time.Millisecond, "its end")
	require.Equal(t, 1, quick.times())
	l.startWith(o, c.join())
	c.requireEqualStates()
}

// Deleted instances that are still to be told of stay, however long ago they ended.
func TestReaperKeepsWhatIsUntold(t *testing.T) {
	t.Parallel()
	var since atomic.Int64
	c := newClusterWith(t, 1, options{memory: true, keep: time.Nanosecond,
		keepDeleted: func(state.Reader, structs.Time) structs.Time { return structs.Time(since.Load()) }})
	l := c.leader()
	unlimited(t, l)
	h := c.host("h")
	require.Eventually(t, func() bool { return l.Stale().Host(h.id) != nil }, 20*time.Second, 2*time.Millisecond, "the host does not register")
	ids, err := fsm.InstanceCreate.Propose(t.Context(), l, createRequest(1))
	require.NoError(t, err)
	c.waitActive(ids)
	_, err = fsm.OperationCreate.Propose(t.Context(), l, &structs.OperationCreateRequest{Now: now(), Operation: structs.Operation{ID: "del", InstanceID: ids[0], Kind: structs.OpDelete}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.Stale().Instance(ids[0]).Deleted() }, 20*time.Second, 5*time.Millisecond)
	runs := func() uint64 {
		for _, d := range l.Cluster().Duties {
			if d.Name == "reaper" {
				return d.Runs
			}
		}
		return 0
	}
	for range 2 { // the first may have begun before the deletion
		before := runs()
		l.duties.wake("reaper")
		require.Eventually(t, func() bool { return runs() > before }, 20*time.Second, 2*time.Millisecond)
	}
	require.NotNil(t, l.Stale().Instance(ids[0]), "it is still to be told of")
	since.Store(int64(now()))
	l.duties.wake("reaper")
	require.Eventually(t, func() bool { return l.Stale().Instance(ids[0]) == nil }, 20*time.Second, 2*time.Millisecond, "it was told")
}
