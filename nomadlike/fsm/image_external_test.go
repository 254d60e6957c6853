package fsm_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// What is known of an external image is written again and again, counts in no project's usage, and is forgotten only as it was seen; an image of this cluster's own
// is never touched.
func TestExternalImages(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 0), context.Background()
	mirror := func(id structs.ImageID, name string) error {
		_, err := fsm.ImageMirror.Propose(ctx, w, &structs.ImageMirrorRequest{Image: structs.Image{ID: id, Name: name, ProjectID: "p", Status: structs.ImageActive, Size: 5 << 20, SHA512: "s",
			Stores: []string{structs.StoreGlance}}})
		return err
	}
	image := func(id structs.ImageID) *structs.Image { return w.store.Snapshot().Image(id) }
	require.NoError(t, mirror("x", "a"))
	seen := image("x")
	require.NoError(t, mirror("x", "b"))
	require.Equal(t, "b", image("x").Name)
	require.True(t, image("x").External)
	require.Zero(t, w.store.Snapshot().ImageUsage("p")[structs.ImageCountTotal])
	require.Nil(t, w.store.Snapshot().ImageWithBytes("s"), "the servers need not have it")

	_, err := fsm.ImageCreate.Propose(ctx, w, &structs.ImageCreateRequest{Image: structs.Image{ID: "own", ProjectID: "p"}})
	require.NoError(t, err)
	require.True(t, structs.IsKind(mirror("own", "a"), structs.KindConflict))

	forget := func(vs ...structs.ImageVersion) {
		_, err := fsm.ImageForget.Propose(ctx, w, &structs.ImageForgetRequest{Images: vs})
		require.NoError(t, err)
	}
	forget(structs.ImageVersion{ID: "x", IfIndex: seen.ModifyIndex}, structs.ImageVersion{ID: "own", IfIndex: image("own").ModifyIndex}, structs.ImageVersion{ID: "none"})
	require.NotNil(t, image("x"), "it was written since")
	require.NotNil(t, image("own"))

	_, err = fsm.ImageDelete.Propose(ctx, w, &structs.ImageDeleteRequest{ID: "x"})
	require.NoError(t, err)
	require.Equal(t, structs.ImageDeleted, image("x").Status, "until it is deleted where it is")
	require.True(t, structs.IsKind(mirror("x", "c"), structs.KindNotFound))
	forget(structs.ImageVersion{ID: "x", IfIndex: image("x").ModifyIndex})
	require.Nil(t, image("x"))
}
