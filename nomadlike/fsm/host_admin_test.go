package fsm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// refuses checks that a host cannot be deleted, with the reason, and that nothing but the index changes.
func (w *world) refuses(id structs.HostID, force bool, k structs.Kind, says string) {
	host, usage := w.store.Snapshot().Host(id), w.store.Snapshot().HostUsage(id)
	err := w.deleteHost(id, force)
	require.True(w.t, structs.IsKind(err, k), "%v: %v", structs.KindOf(err), err)
	require.ErrorContains(w.t, err, says)
	require.Equal(w.t, host, w.store.Snapshot().Host(id))
	require.Equal(w.t, usage, w.store.Snapshot().HostUsage(id))
}

// A host is deleted only when it is down and nothing is on it; what may be left there takes force.
func TestHostDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	const id = structs.HostID("id-host-0")
	w.refuses("id-nobody", true, structs.KindNotFound, "Service id-nobody not found.")
	w.refuses(id, true, structs.KindConflict, "Host host-0 is up: stop its client first")
	set := func(st structs.HostStatus) {
		_, err := fsm.HostStatus.Propose(context.Background(), w, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: id, Epoch: 1, Status: st}}})
		require.NoError(t, err)
	}
	set(structs.HostSuspect)
	w.refuses(id, true, structs.KindConflict, "Host host-0 is suspect")
	set(structs.HostUp)
	ids, err := w.create(2)
	require.NoError(t, err)
	w.settle()
	w.refuses(id, true, structs.KindConflict, "hosting instances")
	w.lose(id)
	w.settle()
	for _, force := range []bool{false, true} {
		w.refuses(id, force, structs.KindConflict, "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
	}
	for _, ins := range ids {
		_, err = w.start(ins, structs.OpDelete)
		require.NoError(t, err)
	}
	w.refuses(id, false, structs.KindConflict, "may still have the guests of 2 deleted instances")
	require.NoError(t, w.deleteHost(id, true))
	r := w.store.Snapshot()
	require.Nil(t, r.Host(id))
	require.Nil(t, r.HostByName("host-0"))
	require.Empty(t, collect(r.InstancesOnHost(id)))
	require.False(t, r.Instance(ids[0]).Cleanup, "the reaper may take it")
	w.refuses(id, false, structs.KindNotFound, "not found")
	w.check()

	w.back("host-0")
	require.EqualValues(t, 2, w.store.Snapshot().Host(id).Epoch)
	require.Empty(t, w.hosts[id].guests, "of what it still knows to be deleted the cluster tells the host")
	w.check()
	require.Equal(t, w.bytes(), w.replay())
}

// A host that is forced down counts as down, its client may be alive: that registers again, as a new host.
func TestHostDeleteForcedDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	const id = structs.HostID("id-host-0")
	ids, err := w.create(1)
	require.NoError(t, err)
	w.schedule()
	down := true
	_, err = fsm.HostAdmin.Propose(context.Background(), w, &structs.HostAdminRequest{HostID: id, ForcedDown: &down})
	require.NoError(t, err)
	w.refuses(id, true, structs.KindConflict, "hosting instances")
	_, err = w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	w.settle()
	require.NoError(t, w.deleteHost(id, false))
	first := w.addHost("host-0")
	require.Greater(t, first.Num, int64(1), "numbers are never given twice")
	w.settle()
	w.check()
}

// What an earlier life of a host says is refused after its record was deleted, however often and by whatever other host's life its epoch was passed.
func TestDeletedHostStaysFenced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	const id = structs.HostID("id-host-0")
	for range 3 {
		w.lose(id)
		w.back("host-0")
	}
	old := w.store.Snapshot().Host(id).Epoch
	require.EqualValues(t, 4, old)
	w.lose(id)
	require.NoError(t, w.deleteHost(id, false))
	w.lose("id-host-1") // at epoch 1: deleting it must not bring the number down
	require.NoError(t, w.deleteHost("id-host-1", false))
	report := func() error {
		_, err := fsm.OperationReport.Propose(context.Background(), w, &structs.OperationReportRequest{HostID: id, Epoch: old})
		return err
	}
	require.True(t, structs.IsKind(report(), structs.KindNotFound))
	require.EqualValues(t, 5, w.addHost("host-0").Epoch)
	require.True(t, structs.IsKind(report(), structs.KindConflict), "the old session passes for the new one")
	_, err := fsm.HostStatus.Propose(context.Background(), w, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: id, Epoch: old, Status: structs.HostDown}}})
	require.NoError(t, err)
	require.Equal(t, structs.HostUp, w.store.Snapshot().Host(id).Status, "the end of the old lease is not the end of the new one")
	require.EqualValues(t, 5, w.addHost("host-1").Epoch)
}

// A deletion whose fate is unknown is not repeated behind its proposer's back: the host may be a new one by then.
func TestHostDeleteIsNotRepeated(t *testing.T) {
	t.Parallel()
	require.False(t, fsm.Repeatable(fsm.HostDelete.Type))
}
