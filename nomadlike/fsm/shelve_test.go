package fsm_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// What the shelving says decides, wherever it is applied: the instance goes off its host at once, or stays with the time since when.
func TestShelvedStaysAsLongAsItsShelvingSays(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, time.Hour, -time.Second} {
		w := newWorld(t, 1)
		ids, err := w.create(1)
		require.NoError(t, err)
		w.settle()
		id := ids[0]
		shelve := structs.Operation{ID: "shelve", InstanceID: id, ProjectID: "p", Kind: structs.OpShelve}
		shelve.Args.OffloadAfter = after
		_, err = fsm.OperationCreate.Propose(context.Background(), w, &structs.OperationCreateRequest{Now: w.now, Operation: shelve})
		require.NoError(t, err)
		w.settle()
		w.check()
		ins := w.store.Snapshot().Instance(id)
		if after == 0 {
			require.Equal(t, structs.VMShelvedOffloaded, ins.VM)
			require.Zero(t, ins.ShelvedAt)
			require.Equal(t, w.bytes(), w.replay())
			continue
		}
		require.Equal(t, structs.VMShelved, ins.VM)
		require.NotZero(t, ins.ShelvedAt)
		require.NotEmpty(t, ins.HostID, "its room is kept")
		_, err = w.start(id, structs.OpShelveOffload)
		require.NoError(t, err)
		w.settle()
		w.check()
		ins = w.store.Snapshot().Instance(id)
		require.Equal(t, structs.VMShelvedOffloaded, ins.VM)
		require.Zero(t, ins.ShelvedAt)
		require.Empty(t, ins.HostID)
		require.Equal(t, w.bytes(), w.replay())
	}
}

// An instance that kept its host is unshelved there: nothing is placed, and nothing of the shelving is left.
func TestUnshelvedWhereItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	ids, err := w.create(1)
	require.NoError(t, err)
	w.settle()
	before := w.store.Snapshot().Instance(ids[0])
	shelve := structs.Operation{ID: "shelve", InstanceID: ids[0], ProjectID: "p", Kind: structs.OpShelve}
	shelve.Args.OffloadAfter, shelve.Args.NewImageID = time.Hour, "shelved"
	_, err = fsm.OperationCreate.Propose(context.Background(), w, &structs.OperationCreateRequest{Now: w.now, Operation: shelve,
		Image: &structs.Image{ID: "shelved", Status: structs.ImageQueued}})
	require.NoError(t, err)
	w.settle()
	require.NotNil(t, w.store.Snapshot().Image("shelved"))
	_, err = w.start(ids[0], structs.OpUnshelve)
	require.NoError(t, err)
	w.settle()
	w.check()
	ins := w.store.Snapshot().Instance(ids[0])
	require.Equal(t, structs.VMActive, ins.VM)
	require.Equal(t, before.HostID, ins.HostID)
	require.Equal(t, before.Generation, ins.Generation)
	require.Zero(t, ins.ShelvedAt)
	require.Empty(t, ins.ShelvedImageID)
	require.Nil(t, w.store.Snapshot().Image("shelved"))
}
