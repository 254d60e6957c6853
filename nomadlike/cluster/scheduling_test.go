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
