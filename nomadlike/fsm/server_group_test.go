package fsm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (w *world) group(p structs.ServerGroupPolicy, perHost int64) structs.ServerGroupID {
	g, err := fsm.ServerGroupCreate.Propose(context.Background(), w, &structs.ServerGroupCreateRequest{Group: structs.ServerGroup{ID: structs.ServerGroupID(w.id("group")),
		ProjectID: "p", UserID: "u", Policy: p, MaxPerHost: perHost}})
	require.NoError(w.t, err)
	return g.ID
}

func (w *world) createIn(g structs.ServerGroupID, n int) ([]structs.InstanceID, error) {
	req := &structs.InstanceCreateRequest{Now: w.now, MinCount: n}
	for range n {
		id, op := structs.InstanceID(w.id("instance")), structs.OperationID(w.id("op"))
		req.Instances = append(req.Instances, structs.Instance{ID: id, ProjectID: "p", UserID: "u", ServerGroupID: g, Flavor: structs.Flavor{VCPUs: 1, MemoryMiB: 512}})
		req.Operations = append(req.Operations, structs.Operation{ID: op, InstanceID: id, ProjectID: "p", Kind: structs.OpBuild})
		req.Evaluations = append(req.Evaluations, structs.Evaluation{ID: structs.EvaluationID(w.id("eval")), InstanceID: id, OperationID: op, Status: structs.EvalPending})
	}
	return fsm.InstanceCreate.Propose(context.Background(), w, req)
}

// placeAll submits one placement for each instance in one plan and returns which were taken.
func (w *world) placeAll(ids []structs.InstanceID, hosts ...structs.HostID) (taken []bool) {
	r := w.store.Snapshot()
	req := &structs.PlanApplyRequest{Now: w.now}
	for i, id := range ids {
		for e := range r.PendingEvaluations() {
			if e.InstanceID == id {
				req.Placements = append(req.Placements, structs.Placement{EvaluationID: e.ID, InstanceID: id, OperationID: e.OperationID, HostID: hosts[i]})
			}
		}
	}
	require.Len(w.t, req.Placements, len(ids))
	results, err := fsm.PlanApply.Propose(context.Background(), w, req)
	require.NoError(w.t, err)
	for _, x := range results {
		require.False(w.t, x.Stale)
		require.Equal(w.t, x.Applied, x.Reason == "")
		taken = append(taken, x.Applied)
	}
	return taken
}

// Two placements that were planned at once do not both land where the group's policy lets only one.
func TestGroupPolicyIsJudgedWhenPlansAreApplied(t *testing.T) {
	t.Parallel()
	const a, b = structs.HostID("id-host-0"), structs.HostID("id-host-1")
	for _, c := range []struct {
		policy  structs.ServerGroupPolicy
		perHost int64
		hosts   []structs.HostID
		want    []bool
	}{
		{structs.PolicyAntiAffinity, 0, []structs.HostID{a, a, b}, []bool{true, false, true}},
		{structs.PolicyAntiAffinity, 2, []structs.HostID{a, a, a}, []bool{true, true, false}},
		{structs.PolicyAffinity, 0, []structs.HostID{a, b, a}, []bool{true, false, true}},
		{structs.PolicySoftAntiAffinity, 0, []structs.HostID{a, a, a}, []bool{true, true, true}},
		{structs.PolicySoftAffinity, 0, []structs.HostID{a, b, a}, []bool{true, true, true}},
	} {
		w := newWorld(t, 2)
		ids, err := w.createIn(w.group(c.policy, c.perHost), 3)
		require.NoError(t, err)
		require.Equal(t, c.want, w.placeAll(ids, c.hosts...), "%s", c.policy)
	}
}

// A deleted member makes room, and a deleted group lets everybody be.
func TestGroupAfterDeletions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	g := w.group(structs.PolicyAntiAffinity, 0)
	ids, err := w.createIn(g, 2)
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, w.placeAll(ids, "id-host-0", "id-host-0"))
	_, err = w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	for w.work() {
	}
	require.Len(t, collect(w.store.Snapshot().GroupMembers(g)), 1)
	require.Equal(t, []bool{true}, w.placeAll(ids[1:], "id-host-0"))
	more, err := w.createIn(g, 1)
	require.NoError(t, err)
	require.Equal(t, []bool{false}, w.placeAll(more, "id-host-0"))
	_, err = fsm.ServerGroupDelete.Propose(context.Background(), w, &structs.ServerGroupDeleteRequest{ID: g})
	require.NoError(t, err)
	require.Equal(t, []bool{true}, w.placeAll(more, "id-host-0"))
	_, err = w.createIn(g, 1)
	require.True(t, structs.IsKind(err, structs.KindInvalid), "%v", err)
	_, err = fsm.ServerGroupDelete.Propose(context.Background(), w, &structs.ServerGroupDeleteRequest{ID: g})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	w.settle()
	require.Equal(t, w.bytes(), w.replay())
}

// Members are counted by user, and a request that asks for more than the quota makes none.
func TestGroupQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	update := func(user structs.UserID, set map[string]int64) {
		_, err := fsm.QuotaUpdate.Propose(context.Background(), w, &structs.QuotaUpdateRequest{ProjectID: "p", UserID: user, Set: set})
		require.NoError(t, err)
	}
	update("", map[string]int64{"server_group_members": 2, "server_groups": 2})
	g := w.group(structs.PolicySoftAffinity, 0)
	_, err := w.createIn(g, 3)
	require.True(t, structs.IsKind(err, structs.KindQuota), "%v", err)
	require.Zero(t, w.store.Snapshot().QuotaUsage("p").Instances)
	_, err = w.createIn(g, 2)
	require.NoError(t, err)
	_, err = w.createIn(g, 1)
	require.EqualError(t, err, "Quota exceeded, too many servers in group")
	update("u", map[string]int64{"server_groups": 1})
	_, err = fsm.ServerGroupCreate.Propose(context.Background(), w, &structs.ServerGroupCreateRequest{Group: structs.ServerGroup{ID: "x", ProjectID: "p", UserID: "u"}})
	require.EqualError(t, err, "Quota exceeded, too many server groups.")
	_, err = fsm.ServerGroupCreate.Propose(context.Background(), w, &structs.ServerGroupCreateRequest{Group: structs.ServerGroup{ID: "y", ProjectID: "p", UserID: "v"}})
	require.NoError(t, err)
	_, err = fsm.ServerGroupCreate.Propose(context.Background(), w, &structs.ServerGroupCreateRequest{Group: structs.ServerGroup{ID: "z", ProjectID: "p", UserID: "v"}})
	require.EqualError(t, err, "Quota exceeded, too many server groups.")
}
