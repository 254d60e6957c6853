package fsm_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var record = flag.Bool("record", false, "write testdata anew from what this program does; only for a format that no release has")

// scenario is a life that uses every operation, a host lost and back, failures and refusals.
func scenario(t *testing.T) *world {
	w := newWorld(t, 3)
	ids, err := w.create(4)
	require.NoError(t, err)
	w.settle()
	for i, k := range operation.Kinds()[1:] {
		_, _ = w.start(ids[i%4], k)
		w.settle()
	}
	_, err = w.create(3)
	require.NoError(t, err)
	w.schedule()
	w.lose("id-host-0")
	w.settle()
	w.back("host-0")
	_, err = w.create(11)
	require.Error(t, err)
	w.fail = func(op *structs.Operation, s structs.StepName) *structs.Outcome {
		if s == structs.StepSpawn {
			return &structs.Outcome{Error: "no", ErrorKind: structs.KindInternal}
		}
		return nil
	}
	_, err = w.create(1)
	require.NoError(t, err)
	w.settle()
	return w
}

// The log of an earlier program gives the snapshot that it gave then, and that snapshot is read. When this fails, a command's effect or an encoding was
// changed: servers of two versions would diverge. Add a command instead, or a field that is left out when empty (codec:"name,omitempty").
func TestHistoryReplays(t *testing.T) {
	t.Parallel()
	logFile, snapFile := filepath.Join("testdata", "format1.log"), filepath.Join("testdata", "format1.snapshot")
	if *record {
		w := scenario(t)
		var b bytes.Buffer
		for _, e := range w.log {
			b.Write(binary.AppendUvarint(nil, uint64(len(e))))
			b.Write(e)
		}
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(logFile, b.Bytes(), 0o644))
		require.NoError(t, os.WriteFile(snapFile, w.bytes(), 0o644))
	}
	data, err := os.ReadFile(logFile)
	require.NoError(t, err)
	want, err := os.ReadFile(snapFile)
	require.NoError(t, err)
	st := state.NewStore()
	for i := uint64(1); len(data) > 0; i++ {
		n, k := binary.Uvarint(data)
		require.Positive(t, k)
		tx := st.Begin(i)
		fsm.Apply(tx, i, data[k:k+int(n)])
		tx.Commit()
		data = data[k+int(n):]
	}
	var got bytes.Buffer
	require.NoError(t, st.Snapshot().Persist(&got))
	require.True(t, bytes.Equal(want, got.Bytes()), "the replayed log gives another snapshot than it did")
	restored := state.NewStore()
	require.NoError(t, restored.Restore(bytes.NewReader(want)))
	got.Reset()
	require.NoError(t, restored.Snapshot().Persist(&got))
	require.True(t, bytes.Equal(want, got.Bytes()), "the restored snapshot gives other bytes")
}
