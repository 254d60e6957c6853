package fsm_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestFlavorAccessAndSpecs(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 0), context.Background()
	flavor := func(id string) *structs.Flavor { return w.store.Snapshot().Flavor(structs.FlavorID(id)) }
	for _, f := range []structs.Flavor{{ID: "private", Name: "private"}, {ID: "public", Name: "public", Public: true}} {
		_, err := fsm.FlavorCreate.Propose(ctx, w, &structs.FlavorCreateRequest{Flavor: f})
		require.NoError(t, err)
	}
	untouched := flavor("private")
	access := func(c fsm.Command[structs.FlavorAccessRequest, *structs.Flavor], id, project string, private bool) error {
		_, err := c.Propose(ctx, w, &structs.FlavorAccessRequest{ID: structs.FlavorID(id), ProjectID: structs.ProjectID(project), Private: private, Now: 7})
		return err
	}
	for _, p := range []string{"c", "a", "b"} {
		require.NoError(t, access(fsm.FlavorAccessAdd, "private", p, true))
	}
	require.True(t, structs.IsKind(access(fsm.FlavorAccessAdd, "private", "a", true), structs.KindConflict))
	require.True(t, structs.IsKind(access(fsm.FlavorAccessAdd, "public", "a", true), structs.KindConflict))
	require.NoError(t, access(fsm.FlavorAccessAdd, "public", "a", false))
	require.True(t, structs.IsKind(access(fsm.FlavorAccessAdd, "nosuch", "a", true), structs.KindNotFound))
	require.Equal(t, []structs.ProjectID{"a", "b", "c"}, flavor("private").Projects)
	require.True(t, flavor("private").Grants("b"))
	require.False(t, flavor("private").Grants("d"))
	require.False(t, flavor("private").Grants(""))
	require.True(t, flavor("public").Grants("d"))
	require.EqualValues(t, 7, flavor("private").UpdatedAt)
	require.NoError(t, access(fsm.FlavorAccessRemove, "private", "b", false))
	require.True(t, structs.IsKind(access(fsm.FlavorAccessRemove, "private", "b", false), structs.KindNotFound))
	require.Equal(t, []structs.ProjectID{"a", "c"}, flavor("private").Projects)

	set := func(id string, specs map[string]string) error {
		_, err := fsm.FlavorSpecsSet.Propose(ctx, w, &structs.FlavorSpecsSetRequest{ID: structs.FlavorID(id), Specs: specs, Now: 8})
		return err
	}
	remove := func(key string) error {
		_, err := fsm.FlavorSpecDelete.Propose(ctx, w, &structs.FlavorSpecDeleteRequest{ID: "private", Key: key, Now: 9})
		return err
	}
	require.NoError(t, set("private", map[string]string{"a": "1", "b": "2"}))
	require.NoError(t, set("private", map[string]string{"b": "3"}))
	require.Equal(t, map[string]string{"a": "1", "b": "3"}, flavor("private").ExtraSpecs)
	require.True(t, structs.IsKind(set("nosuch", nil), structs.KindNotFound))
	require.NoError(t, remove("a"))
	require.True(t, structs.IsKind(remove("a"), structs.KindNotFound))
	require.Equal(t, map[string]string{"b": "3"}, flavor("private").ExtraSpecs)
	require.Equal(t, []structs.ProjectID{"a", "c"}, flavor("private").Projects, "a change of specs leaves the access list")
	_, err := fsm.FlavorCreate.Propose(ctx, w, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "private"}, Update: true})
	require.NoError(t, err)
	require.Equal(t, []structs.ProjectID{"a", "c"}, flavor("private").Projects, "a change of the description leaves the access list")
	require.Empty(t, untouched.Projects, "what somebody read before is not changed")

	var snapshot bytes.Buffer
	require.NoError(t, w.store.Snapshot().Persist(&snapshot))
	restored := state.NewStore()
	require.NoError(t, restored.Restore(bytes.NewReader(snapshot.Bytes())))
	require.Equal(t, flavor("private"), restored.Snapshot().Flavor("private"))
	for _, typ := range []fsm.Type{fsm.FlavorAccessAdd.Type, fsm.FlavorAccessRemove.Type, fsm.FlavorSpecsSet.Type, fsm.FlavorSpecDelete.Type} {
		require.False(t, fsm.Repeatable(typ), "%d", typ)
	}
}
