package fsm_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// An instance keeps the files that were last asked to be injected, also in a snapshot, and drops them with its deletion.
func TestInjectedFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	files := []structs.InjectedFile{{Path: "/a", Contents: []byte("b\x00")}, {Path: "/empty"}}
	ids, err := fsm.InstanceCreate.Propose(t.Context(), w, &structs.InstanceCreateRequest{Now: w.now, MinCount: 1,
		Instances:   []structs.Instance{{ID: "i", ProjectID: "p", UserID: "u", Flavor: structs.Flavor{ID: "1", VCPUs: 1, MemoryMiB: 512}, Files: files}},
		Operations:  []structs.Operation{{ID: "build", InstanceID: "i", ProjectID: "p", Kind: structs.OpBuild}},
		Evaluations: []structs.Evaluation{{ID: "e", InstanceID: "i", OperationID: "build", Status: structs.EvalPending}}})
	require.NoError(t, err)
	w.settle()
	held := func() []structs.InjectedFile { return w.store.Snapshot().Instance(ids[0]).Files }
	require.Equal(t, files, held())

	var dump bytes.Buffer
	require.NoError(t, w.store.Snapshot().Persist(&dump))
	restored := state.NewStore()
	require.NoError(t, restored.Restore(&dump))
	require.Equal(t, files, restored.Snapshot().Instance(ids[0]).Files)

	rebuild := func(files []structs.InjectedFile) {
		id := structs.OperationID(w.id("op"))
		_, err := fsm.OperationCreate.Propose(t.Context(), w, &structs.OperationCreateRequest{Now: w.now, Operation: structs.Operation{ID: id, InstanceID: ids[0], Kind: structs.OpRebuild},
			Rebuild: &structs.InstanceRebuild{ImageID: "img", Files: files}})
		require.NoError(t, err)
		w.settle()
	}
	rebuild([]structs.InjectedFile{{Path: "/new", Contents: []byte("c")}})
	require.Equal(t, []structs.InjectedFile{{Path: "/new", Contents: []byte("c")}}, held())
	rebuild(nil)
	require.Empty(t, held())
	rebuild(files)
	_, err = w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	require.Equal(t, files, held())
	w.settle()
	require.True(t, w.store.Snapshot().Instance(ids[0]).Deleted())
	require.Empty(t, held())
}
