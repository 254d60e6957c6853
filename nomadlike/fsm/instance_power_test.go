package fsm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// What others did to the power of an instance is recorded once, with its action; applied again, or while something goes on, it changes nothing.
func TestInstancePower(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 1), context.Background()
	ids, err := w.create(1)
	require.NoError(t, err)
	update := func(action string, on, changes bool, vm structs.VMState, power structs.PowerState) {
		t.Helper()
		changed, err := fsm.InstancePower.Propose(ctx, w, &structs.InstancePowerRequest{ID: ids[0], On: on, Now: 5,
			Action: structs.Operation{ID: structs.OperationID(action), InstanceID: ids[0], Kind: structs.OpStop}})
		require.NoError(t, err)
		ins := w.store.Snapshot().Instance(ids[0])
		require.Equal(t, []any{changes, vm, power}, []any{changed, ins.VM, ins.Power})
	}
	update("early", false, false, structs.VMBuilding, structs.PowerNoState)
	w.settle()
	update("on", true, false, structs.VMActive, structs.PowerRunning)
	update("off", false, true, structs.VMStopped, structs.PowerShutdown)
	update("off again", false, false, structs.VMStopped, structs.PowerShutdown)
	update("on again", true, true, structs.VMActive, structs.PowerRunning)
	update("off", false, true, structs.VMActive, structs.PowerRunning) // the command of before, by somebody who did not learn that it was applied
	_, err = w.start(ids[0], structs.OpPause)
	require.NoError(t, err)
	update("busy", false, false, structs.VMActive, structs.PowerRunning)
	w.settle()
	r := w.store.Snapshot()
	require.Nil(t, r.Operation("busy"))
	require.Nil(t, r.Operation("off again"))
	require.Equal(t, structs.OpSucceeded, r.Operation("off").Status)
	_, err = fsm.InstancePower.Propose(ctx, w, &structs.InstancePowerRequest{ID: "nobody", Action: structs.Operation{ID: "x"}})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	require.True(t, fsm.Repeatable(fsm.InstancePower.Type))
	require.Equal(t, w.bytes(), w.replay())
}

// The password that a guest reported is kept, in snapshots too, until it is cleared.
func TestInstancePassword(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 1), context.Background()
	ids, err := w.create(1)
	require.NoError(t, err)
	w.settle()
	set := func(password string) {
		t.Helper()
		_, err := fsm.InstancePassword.Propose(ctx, w, &structs.InstancePasswordRequest{ID: ids[0], Password: password, Now: 5})
		require.NoError(t, err)
		require.Equal(t, password, w.store.Snapshot().Instance(ids[0]).Password)
	}
	set("secret")
	require.Contains(t, string(w.bytes()), "secret")
	require.Equal(t, w.bytes(), w.replay())
	set("")
	require.NotContains(t, string(w.bytes()), "secret")
	_, err = w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	w.settle()
	_, err = fsm.InstancePassword.Propose(ctx, w, &structs.InstancePasswordRequest{ID: ids[0], Password: "x"})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}
