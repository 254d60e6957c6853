package libvirt

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestFences(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *fences {
		f, err := openFences(dir)
		require.NoError(t, err)
		return f
	}
	ref := func(generation uint64, operation string) driver.InstanceRef {
		return driver.InstanceRef{InstanceID: testID, OperationID: operation, Generation: generation}
	}
	f := open()
	require.NoError(t, f.check(ref(0, "")))
	require.NoError(t, f.admit(ref(5, ""), 0))
	require.NoError(t, f.note(ref(5, "op"), "start"))

	for _, f := range []*fences{f, open()} { // what is on disk counts as what is in memory
		require.ErrorIs(t, f.check(ref(4, "")), driver.ErrConflict)
		require.ErrorIs(t, f.admit(ref(4, ""), 0), driver.ErrConflict)
		require.ErrorContains(t, f.check(ref(4, "")), "generation 4 is stale, this host has seen 5")
		require.NoError(t, f.check(ref(5, "")))
		done, err := f.done(ref(5, "op"), "start")
		require.NoError(t, err)
		require.True(t, done)
		for _, other := range [][2]string{{"op", "stop"}, {"other", "start"}, {"", "start"}} {
			done, err := f.done(ref(5, other[0]), other[1])
			require.NoError(t, err)
			require.False(t, done, other)
		}
	}
	require.NoError(t, f.note(ref(5, ""), "start"))
	done, err := f.done(ref(5, ""), "start")
	require.NoError(t, err)
	require.False(t, done, "an empty operation id is never a repetition")

	require.ErrorIs(t, f.admit(ref(6, ""), 7), driver.ErrConflict, "the guest's own metadata counts too")
	generation, err := f.generation(testID)
	require.NoError(t, err)
	require.EqualValues(t, 5, generation, "a refused generation is not remembered")
}

func TestFencesForgetAndComplain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := openFences(dir)
	require.NoError(t, err)
	ref := driver.InstanceRef{InstanceID: testID, Generation: 3}
	require.NoError(t, f.admit(ref, 0))
	path := filepath.Join(dir, "fence", testID)
	old := time.Now().Add(-fenceMemory - time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	f, err = openFences(dir)
	require.NoError(t, err)
	require.NoFileExists(t, path)
	require.NoError(t, f.check(driver.InstanceRef{InstanceID: testID, Generation: 1}))

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	require.ErrorContains(t, f.check(ref), path, "a broken record is no licence")
	require.NoError(t, f.check(driver.InstanceRef{InstanceID: "../" + testID}))
}
