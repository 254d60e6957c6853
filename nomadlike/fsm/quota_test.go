package fsm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Limits that were written whole (quota-set) stay as they are when some of them are set, and a user's hold beside them.
func TestQuotaUpdateKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ctx := context.Background()
	whole := structs.DefaultQuotaLimits()
	whole.Cores, whole.KeyPairs = 7, 3
	_, err := fsm.QuotaSet.Propose(ctx, w, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p", Limits: whole}})
	require.NoError(t, err)
	_, err = fsm.QuotaUpdate.Propose(ctx, w, &structs.QuotaUpdateRequest{ProjectID: "p", Set: map[string]int64{"instances": 4}})
	require.NoError(t, err)
	_, err = fsm.QuotaUpdate.Propose(ctx, w, &structs.QuotaUpdateRequest{ProjectID: "p", UserID: "u", Set: map[string]int64{"instances": 2}})
	require.NoError(t, err)
	_, err = fsm.QuotaClassUpdate.Propose(ctx, w, &structs.QuotaClassUpdateRequest{Name: "default", Set: map[string]int64{"cores": 99, "instances": 98}})
	require.NoError(t, err)
	r := w.store.Snapshot()
	want := whole
	want.Instances = 4
	require.Equal(t, want, r.QuotaLimits("p"))
	want.Instances = 2
	require.Equal(t, want, r.UserQuotaLimits("p", "u"))
	require.EqualValues(t, 98, r.QuotaLimits("q").Instances)
	require.EqualValues(t, 99, r.QuotaLimits("q").Cores)

	// Equal logs give equal states, and a snapshot holds what is new.
	require.Equal(t, w.bytes(), w.replay())
	_, err = fsm.QuotaDelete.Propose(ctx, w, &structs.QuotaDeleteRequest{ProjectID: "p", UserID: "u"})
	require.NoError(t, err)
	require.EqualValues(t, 4, w.store.Snapshot().UserQuotaLimits("p", "u").Instances)
	_, err = fsm.QuotaDelete.Propose(ctx, w, &structs.QuotaDeleteRequest{ProjectID: "p"})
	require.NoError(t, err)
	require.EqualValues(t, 98, w.store.Snapshot().QuotaLimits("p").Instances)
}

// A user's limit holds in the transaction that makes instances: what others of the project use does not count, what the user's deleted ones used neither.
func TestUserQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	_, err := fsm.QuotaUpdate.Propose(context.Background(), w, &structs.QuotaUpdateRequest{ProjectID: "p", UserID: "u", Set: map[string]int64{"instances": 2, "ram": 1024}})
	require.NoError(t, err)
	ids, err := w.create(2)
	require.NoError(t, err)
	_, err = w.create(1)
	require.EqualError(t, err, "Quota exceeded for instances, ram: Requested 1, 512, but already used 2, 1024 of 2, 1024 instances, ram")
	w.settle()
	_, err = w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	w.settle()
	_, err = w.create(1)
	require.NoError(t, err)
	w.settle()
	w.check()
}
