package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Evaluations that the leader had committed and not handed out when it died are placed by the next one, each once.
func TestPendingEvaluationsOutliveTheLeader(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{})
	l := c.leader()
	unlimited(t, l)
	c.host("a")
	require.Eventually(t, func() bool { return l.Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	l.broker.SetEnabled(false) // it dies before it comes to them
	ids, err := fsm.InstanceCreate.Propose(context.Background(), l, createRequest(40))
	require.NoError(t, err)
	pending := 0
	for range l.Stale().PendingEvaluations() {
		pending++
	}
	require.Equal(t, 40, pending)
	l.stop()
	c.leader()
	c.waitActive(ids)
	r := c.leader().Stale()
	claims := map[structs.InstanceID]int{}
	for cl := range r.AllClaims() {
		claims[cl.InstanceID]++
	}
	require.Len(t, claims, 40)
	for id, n := range claims {
		require.Equal(t, 1, n, "%s", id)
	}
	for range r.PendingEvaluations() {
		t.Fatal("an evaluation is left")
	}
}

// The followers' workers do a part of the placing, over RPC.
func TestFollowersSchedule(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	l := c.leader()
	unlimited(t, l)
	c.host("a")
	require.Eventually(t, func() bool { return l.Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	followers := c.others(l)
	require.Eventually(t, func() bool {
		return o.net.calls(string(followers[0].id), "Evaluation.Dequeue") > 0 && o.net.calls(string(followers[1].id), "Evaluation.Dequeue") > 0
	}, 20*time.Second, 5*time.Millisecond, "followers' workers do not ask for work")
	var all []structs.InstanceID
	require.Eventually(t, func() bool {
		for range 5 {
			ids, err := fsm.InstanceCreate.Propose(context.Background(), l, createRequest(2))
			require.NoError(t, err)
			all = append(all, ids...)
		}
		return o.net.calls(string(followers[0].id), "Plan.Submit") > 0 && o.net.calls(string(followers[1].id), "Plan.Submit") > 0
	}, 20*time.Second, 5*time.Millisecond, "followers' workers submit no plans")
	c.waitActive(all)
	t.Logf("%d instances; plans of %s: %d, of %s: %d", len(all), followers[0].id, o.net.calls(string(followers[0].id), "Plan.Submit"),
		followers[1].id, o.net.calls(string(followers[1].id), "Plan.Submit"))
}

// The leader deletes for good what was deleted softly long enough ago, and nothing else.
func TestReclaim(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true, reclaim: 200 * time.Millisecond})
	l := c.leader()
	unlimited(t, l)
	c.host("a")
	require.Eventually(t, func() bool { return l.Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	ctx := context.Background()
	ids, err := fsm.InstanceCreate.Propose(ctx, l, createRequest(2))
	require.NoError(t, err)
	c.waitActive(ids)
	_, err = fsm.OperationCreate.Propose(ctx, l, &structs.OperationCreateRequest{Now: now(), Operation: structs.Operation{ID: "soft", InstanceID: ids[0], Kind: structs.OpSoftDelete}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return l.Stale().Instance(ids[0]).VM == structs.VMSoftDeleted }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		require.NoError(t, l.reclaim(ctx))
		return l.Stale().Instance(ids[0]).Deleted()
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, structs.VMActive, l.Stale().Instance(ids[1]).VM)
}

// The leader takes what has been shelved for long enough off its host, and nothing else.
func TestOffloadShelved(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true, offload: time.Millisecond})
	l := c.leader()
	unlimited(t, l)
	c.host("a")
	require.Eventually(t, func() bool { return l.Stale().HostByName("a") != nil }, 10*time.Second, 5*time.Millisecond)
	ctx := context.Background()
	ids, err := fsm.InstanceCreate.Propose(ctx, l, createRequest(3))
	require.NoError(t, err)
	c.waitActive(ids)
	shelve := func(id structs.InstanceID, after time.Duration) {
		op := structs.Operation{ID: structs.OperationID("shelve-" + id), InstanceID: id, Kind: structs.OpShelve}
		op.Args.OffloadAfter = after
		_, err := fsm.OperationCreate.Propose(ctx, l, &structs.OperationCreateRequest{Now: now(), Operation: op})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			ins := l.Stale().Instance(id)
			return ins.OperationID == "" && ins.VM == structs.VMShelved
		}, 10*time.Second, 5*time.Millisecond)
	}
	for _, id := range ids[:2] {
		shelve(id, time.Hour) // of the configuration of who asked; the leader's decides
	}
	for _, after := range []time.Duration{time.Hour, 0, -time.Second} {
		require.NoError(t, l.offloadAfter(ctx, after))
	}
	for _, id := range ids {
		require.Empty(t, l.Stale().Instance(id).OperationID, "it was not its time")
	}
	require.Eventually(t, func() bool {
		require.NoError(t, l.offloadShelved(ctx))
		one, two := l.Stale().Instance(ids[0]), l.Stale().Instance(ids[1])
		return one.VM == structs.VMShelvedOffloaded && two.VM == structs.VMShelvedOffloaded && one.HostID == "" && one.ShelvedAt.IsZero()
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, structs.VMActive, l.Stale().Instance(ids[2]).VM)
}
