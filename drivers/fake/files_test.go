package fake

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// A guest has the files of its Create until a Rebuild gives it others, or none; nothing else changes them, and a driver that restarts has them still.
func TestInjectedFiles(t *testing.T) {
	t.Parallel()
	config := map[string]any{"state_dir": t.TempDir(), "host": "h1"}
	d := open(t, config)
	files := func(want ...driver.File) {
		t.Helper()
		require.Equal(t, want, d.guests["i-1"].Files)
		require.NoError(t, d.Close())
		d = open(t, config)
		require.Equal(t, want, d.guests["i-1"].Files)
	}
	a, b := driver.File{Path: "/a", Contents: []byte("\x00\xff")}, driver.File{Path: "/b", Contents: []byte("b")}
	spec := testSpec()
	spec.Files = []driver.File{a, b}
	_, err := d.Create(t.Context(), spec)
	require.NoError(t, err)
	files(a, b)

	ref := func(operation string) driver.InstanceRef {
		return driver.InstanceRef{InstanceID: "i-1", OperationID: operation, Generation: 1}
	}
	require.NoError(t, d.Stop(t.Context(), &driver.StopRequest{InstanceRef: ref("stop")}))
	spec = testSpec()
	spec.InstanceRef, spec.VCPUs = ref("resize"), 2
	require.NoError(t, d.Resize(t.Context(), spec))
	_, err = d.Recover(t.Context(), spec)
	require.NoError(t, err)
	files(a, b)

	spec.InstanceRef, spec.Files = ref("rebuild"), []driver.File{b}
	for range 2 {
		_, err = d.Rebuild(t.Context(), spec)
		require.NoError(t, err)
		files(b)
	}
	spec.InstanceRef, spec.Files = ref("again"), nil
	_, err = d.Rebuild(t.Context(), spec)
	require.NoError(t, err)
	files()
}
