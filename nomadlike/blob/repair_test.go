package blob

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func world(images ...*structs.Image) state.Reader {
	s := state.NewStore()
	tx := s.Begin(1)
	for _, i := range images {
		tx.PutImage(i)
	}
	tx.Commit()
	return s.Snapshot()
}

func TestMissing(t *testing.T) {
	t.Parallel()
	s := open(t)
	here, away := put(t, s, []byte("here")), sha([]byte("away"))
	missing := Missing(world(
		&structs.Image{ID: "a", Status: structs.ImageActive, SHA512: here},
		&structs.Image{ID: "b", Status: structs.ImageActive, SHA512: away, CreatedAt: 2},
		&structs.Image{ID: "c", Status: structs.ImageActive, SHA512: away, CreatedAt: 1},
		&structs.Image{ID: "d", Status: structs.ImageQueued}), s)
	require.Len(t, missing, 1)
	require.Equal(t, away, missing[0].SHA512)
}

func TestUnneeded(t *testing.T) {
	t.Parallel()
	s := open(t)
	named, free, young := put(t, s, []byte("named")), put(t, s, []byte("free")), put(t, s, []byte("young"))
	age(t, s, named, time.Hour)
	age(t, s, free, time.Hour)
	active := &structs.Image{ID: "a", Status: structs.ImageActive, SHA512: named}
	old := &structs.Image{ID: "s", Status: structs.ImageSaving, CreatedAt: structs.TimeOf(time.Now().Add(-2 * time.Hour))}
	late := &structs.Image{ID: "s", Status: structs.ImageSaving, CreatedAt: structs.TimeOf(time.Now())}

	list, err := Unneeded(world(active, old), s, time.Minute)
	require.NoError(t, err)
	require.Empty(t, list, "an upload that began before the blob was put may be about to name it")
	removed, err := CollectUnneeded(world(active, old), s, time.Minute, nil)
	require.NoError(t, err)
	require.Empty(t, removed)

	list, err = Unneeded(world(active, late), s, time.Minute)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, free, list[0].SHA512)
	require.True(t, s.Keep(free))
	removed, err = CollectUnneeded(world(active, late), s, time.Minute, nil)
	require.NoError(t, err)
	require.Empty(t, removed, "kept")
	age(t, s, free, time.Hour)
	removed, err = CollectUnneeded(world(active, late), s, time.Minute, nil)
	require.NoError(t, err)
	require.Equal(t, []string{free}, removed)
	require.True(t, s.Has(named))
	require.True(t, s.Has(young))
	require.False(t, s.Keep(free))
	require.False(t, s.Keep("../x"))
}

// What is staged is needed; what lies in another store is not; an import that is under way keeps what it may be about to name.
func TestUnneededAndImports(t *testing.T) {
	t.Parallel()
	s := open(t)
	staged, elsewhere, coming := put(t, s, []byte("staged")), put(t, s, []byte("elsewhere")), put(t, s, []byte("coming"))
	for _, sha := range []string{staged, elsewhere, coming} {
		age(t, s, sha, time.Hour)
	}
	long := structs.TimeOf(time.Now().Add(-2 * time.Hour))
	images := []*structs.Image{{ID: "a", Status: structs.ImageUploading, SHA512: staged, CreatedAt: long}, {ID: "b", Status: structs.ImageActive, SHA512: elsewhere, Stores: []string{"far"}, CreatedAt: long}}
	for _, busy := range []*structs.Image{{ID: "c", Status: structs.ImageImporting, TaskID: "t", CreatedAt: long}, {ID: "c", Status: structs.ImageActive, SHA512: elsewhere, Stores: []string{"far"}, TaskID: "t", CreatedAt: long},
		{ID: "c", Status: structs.ImageUploading, CreatedAt: long}} {
		list, err := Unneeded(world(append(images, busy)...), s, time.Minute)
		require.NoError(t, err)
		require.Empty(t, list, "%s", busy.Status)
	}
	removed, err := CollectUnneeded(world(images...), s, time.Minute, nil)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{elsewhere, coming}, removed)
	gone := &structs.Image{ID: "d", Status: structs.ImageUploading, SHA512: coming}
	require.Equal(t, []*structs.Image{gone}, Missing(world(append(images, gone)...), s), "other servers copy what is staged")
}
