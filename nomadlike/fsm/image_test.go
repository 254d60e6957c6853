package fsm_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestImageMembers(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 0), context.Background()
	for _, i := range []structs.Image{{ID: "i", Visibility: "shared"}, {ID: "j", Visibility: "shared"}, {ID: "private", Visibility: "private"}} {
		_, err := fsm.ImageCreate.Propose(ctx, w, &structs.ImageCreateRequest{Image: i})
		require.NoError(t, err)
	}
	add := func(id structs.ImageID, p structs.ProjectID, most int) error {
		m, err := fsm.ImageMemberAdd.Propose(ctx, w, &structs.ImageMemberAddRequest{ImageID: id, ProjectID: p, Max: most, Now: 7})
		if err == nil {
			require.Equal(t, structs.ImageMemberPending, m.Status)
		}
		return err
	}
	set := func(id structs.ImageID, p structs.ProjectID, s structs.ImageMemberStatus) error {
		_, err := fsm.ImageMemberSet.Propose(ctx, w, &structs.ImageMemberSetRequest{ImageID: id, ProjectID: p, Status: s, Now: 8})
		return err
	}
	remove := func(id structs.ImageID, p structs.ProjectID) error {
		_, err := fsm.ImageMemberRemove.Propose(ctx, w, &structs.ImageMemberRemoveRequest{ImageID: id, ProjectID: p})
		return err
	}
	require.NoError(t, add("i", "b", 2))
	require.NoError(t, add("i", "a", 2))
	require.True(t, structs.IsKind(add("i", "c", 2), structs.KindTooLarge))
	require.True(t, structs.IsKind(add("i", "a", -1), structs.KindConflict))
	require.True(t, structs.IsKind(add("private", "a", -1), structs.KindForbidden))
	require.True(t, structs.IsKind(add("none", "a", -1), structs.KindNotFound))
	require.NoError(t, add("j", "a", -1))
	before := w.store.Snapshot().ImageMember("i", "a")
	require.NoError(t, set("i", "a", structs.ImageMemberAccepted))
	require.True(t, structs.IsKind(set("i", "z", structs.ImageMemberAccepted), structs.KindNotFound))
	require.Equal(t, structs.ImageMemberPending, before.Status, "what somebody read before is not changed")
	rd := w.store.Snapshot()
	m := rd.ImageMember("i", "a")
	require.Equal(t, []any{structs.ImageMemberAccepted, structs.Time(7), structs.Time(8)}, []any{m.Status, m.CreatedAt, m.UpdatedAt})
	require.True(t, rd.ImageShared(rd.Image("i"), "b"))
	require.False(t, rd.ImageShared(rd.Image("i"), "c"))
	require.False(t, rd.ImageShared(rd.Image("i"), ""))

	var snapshot bytes.Buffer
	require.NoError(t, rd.Persist(&snapshot))
	restored := state.NewStore()
	require.NoError(t, restored.Restore(bytes.NewReader(snapshot.Bytes())))
	require.Equal(t, slices.Collect(rd.ImageMembers("i")), slices.Collect(restored.Snapshot().ImageMembers("i")))

	require.NoError(t, remove("i", "b"))
	require.True(t, structs.IsKind(remove("i", "b"), structs.KindNotFound))
	_, err := fsm.ImageDelete.Propose(ctx, w, &structs.ImageDeleteRequest{ID: "i"})
	require.NoError(t, err)
	require.Empty(t, slices.Collect(w.store.Snapshot().ImageMembers("i")), "members go with their image")
	require.Len(t, slices.Collect(w.store.Snapshot().ImageMembers("j")), 1)
	for _, typ := range []fsm.Type{fsm.ImageCreate.Type, fsm.ImageStore.Type, fsm.ImageMemberAdd.Type, fsm.ImageMemberSet.Type, fsm.ImageMemberRemove.Type} {
		require.False(t, fsm.Repeatable(typ), "%d", typ)
	}
}

func TestImageLimits(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 0), context.Background()
	const mib = 1 << 20
	limits := structs.ImageLimits{structs.ImageSizeTotal: 3, structs.ImageCountTotal: 3, structs.ImageCountUploading: 1}
	create := func(id structs.ImageID, p structs.ProjectID) error {
		_, err := fsm.ImageCreate.Propose(ctx, w, &structs.ImageCreateRequest{Image: structs.Image{ID: id, ProjectID: p, Status: structs.ImageQueued}, Limits: limits})
		return err
	}
	store := func(id structs.ImageID, s structs.ImageStatus, announced, size int64) error {
		old := w.store.Snapshot().Image(id)
		i := old.Copy()
		i.Status, i.Size = s, size
		_, err := fsm.ImageStore.Propose(ctx, w, &structs.ImageStoreRequest{Image: *i, IfIndex: old.ModifyIndex, Announced: announced, Limits: limits})
		return err
	}
	require.NoError(t, create("a", "p"))
	require.True(t, structs.IsKind(create("a", "p"), structs.KindConflict))
	require.NoError(t, create("b", "p"))
	require.NoError(t, create("c", "p"))
	require.True(t, structs.IsKind(create("d", "p"), structs.KindTooLarge))
	require.NoError(t, create("d", "other"))

	require.NoError(t, store("a", structs.ImageSaving, 2*mib, 0))
	err := store("b", structs.ImageSaving, 0, 0)
	require.True(t, structs.IsKind(err, structs.KindTooLarge))
	require.ErrorContains(t, err, "Project p is over a limit for [Resource image_count_uploading is over limit of 1 due to current usage 1 and delta 1]")
	require.NoError(t, store("d", structs.ImageSaving, 0, 0), "another project's uploads do not count")
	require.NoError(t, store("a", structs.ImageActive, 0, 2*mib))
	require.True(t, structs.IsKind(store("b", structs.ImageSaving, 2*mib, 0), structs.KindTooLarge))
	require.NoError(t, store("b", structs.ImageSaving, 0, 0), "nothing is announced")
	require.True(t, structs.IsKind(store("b", structs.ImageActive, 0, 2*mib), structs.KindTooLarge))
	require.NoError(t, store("b", structs.ImageActive, 0, 2*mib-1))
	require.NoError(t, store("a", structs.ImageDeactivated, 0, 2*mib), "what is stored is counted already")
	require.Equal(t, structs.ImageUsage{structs.ImageSizeTotal: 3, structs.ImageStageTotal: 0, structs.ImageCountTotal: 3, structs.ImageCountUploading: 0}, w.store.Snapshot().ImageUsage("p"))

	old := w.store.Snapshot().Image("c")
	_, err = fsm.ImageStore.Propose(ctx, w, &structs.ImageStoreRequest{Image: *old, IfIndex: old.ModifyIndex - 1})
	require.True(t, structs.IsKind(err, structs.KindConflict))
	_, err = fsm.ImageStore.Propose(ctx, w, &structs.ImageStoreRequest{Image: structs.Image{ID: "none"}})
	require.True(t, structs.IsKind(err, structs.KindNotFound))
}

// A host's upload whose answer was lost is done again: that must not bring a deactivated image back.
func TestImageFinishLeavesDeactivated(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 0), context.Background()
	_, err := fsm.ImageCreate.Propose(ctx, w, &structs.ImageCreateRequest{Image: structs.Image{ID: "i", Status: structs.ImageDeactivated, SHA512: "s"}})
	require.NoError(t, err)
	_, err = fsm.ImageFinish.Propose(ctx, w, &structs.ImageFinishRequest{ID: "i", SHA512: "s"})
	require.NoError(t, err)
	require.Equal(t, structs.ImageDeactivated, w.store.Snapshot().Image("i").Status)
	_, err = fsm.ImageFinish.Propose(ctx, w, &structs.ImageFinishRequest{ID: "i", SHA512: "other"})
	require.True(t, structs.IsKind(err, structs.KindConflict))
}
