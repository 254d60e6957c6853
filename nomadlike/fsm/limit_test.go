package fsm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Compute's quotas read Keystone's limits: registered ones before classes and settings, a project's before its quota set, the cluster's region before all regions.
func TestQuotasReadLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	require.NoError(t, propose(w, fsm.ClusterSettingsSet, &structs.ClusterSettingsRequest{Settings: structs.ClusterSettings{Region: "here", DefaultQuota: structs.DefaultQuotaLimits()}}))
	require.NoError(t, propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "d", Name: "d", Enabled: true}}))
	for _, id := range []structs.ProjectID{"p", "q"} {
		require.NoError(t, propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: id, DomainID: "d", Name: string(id)}}))
	}
	require.NoError(t, propose(w, fsm.RegionWrite, &structs.RegionWriteRequest{Region: structs.Region{ID: "there"}}))
	instances := func(p structs.ProjectID) int64 {
		r := w.store.Snapshot()
		require.Equal(t, r.QuotaLimits(p).Instances, r.QuotaValues(p, "")["instances"], "what is shown is what holds")
		return r.QuotaLimits(p).Instances
	}
	require.EqualValues(t, 10, instances("p"))
	require.NoError(t, propose(w, fsm.QuotaClassUpdate, &structs.QuotaClassUpdateRequest{Name: "default", Set: map[string]int64{"instances": 11, "cores": 12}}))
	require.EqualValues(t, 11, instances("p"))
	register := func(id, region, resource string, n int64) {
		require.NoError(t, propose(w, fsm.RegisteredLimitsWrite, &structs.RegisteredLimitsWriteRequest{Limits: []structs.RegisteredLimit{{ID: id, ServiceID: structs.ComputeServiceID, RegionID: region, Resource: resource, Default: n}}}))
	}
	register("1", "", "servers", 7)
	require.EqualValues(t, 7, instances("p"))
	require.EqualValues(t, 12, w.store.Snapshot().QuotaLimits("p").Cores)
	register("2", "there", "servers", 1)
	require.EqualValues(t, 7, instances("p"), "of another region")
	register("3", "here", "servers", 8)
	require.EqualValues(t, 8, instances("p"))
	register("4", "", "class:VCPU", 2)
	require.EqualValues(t, 2, w.store.Snapshot().QuotaLimits("p").Cores)
	register("5", "", "unknown", 2)
	require.NoError(t, propose(w, fsm.QuotaUpdate, &structs.QuotaUpdateRequest{ProjectID: "p", Set: map[string]int64{"instances": 9}, Force: true}))
	require.EqualValues(t, 9, instances("p"), "a project's own quota set is more than a default")
	require.NoError(t, propose(w, fsm.LimitsWrite, &structs.LimitsWriteRequest{Limits: []structs.Limit{{ID: "l", RegisteredID: "3", ProjectID: "p", Value: -1}}}))
	require.EqualValues(t, -1, instances("p"))
	require.EqualValues(t, 8, instances("q"))
	require.NoError(t, propose(w, fsm.LimitDelete, &structs.LimitDeleteRequest{ID: "l"}))
	require.EqualValues(t, 9, instances("p"))
	require.Equal(t, structs.KindNotFound, kindOf(propose(w, fsm.LimitDelete, &structs.LimitDeleteRequest{ID: "l"})))
}
