package fsm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// A cursor moves on and never back, and only one that nobody moves any more is removed.
func TestNotificationCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	set := func(now structs.Time, c ...structs.NotificationCursor) error {
		_, err := fsm.NotificationCursorSet.Propose(t.Context(), w, &structs.NotificationCursorSetRequest{Cursors: c, Now: now})
		return err
	}
	at := func(sink string) uint64 {
		if c := w.store.Snapshot().NotificationCursor(sink); c != nil {
			return c.Index
		}
		return 0
	}
	require.NoError(t, set(10, structs.NotificationCursor{Sink: "a", Index: 5}, structs.NotificationCursor{Sink: "b", Index: 7}))
	require.NoError(t, set(20, structs.NotificationCursor{Sink: "a", Index: 4}, structs.NotificationCursor{Sink: "b", Index: 9}))
	require.EqualValues(t, 5, at("a"))
	require.EqualValues(t, 9, at("b"))
	require.Error(t, set(30, structs.NotificationCursor{Sink: "c", Index: 4}, structs.NotificationCursor{Index: 4}))
	require.Zero(t, at("c"), "a refused command leaves nothing behind")
	_, err := fsm.NotificationCursorDelete.Propose(t.Context(), w, &structs.NotificationCursorDeleteRequest{Sinks: []string{"a", "b", "x"}, Before: 20})
	require.NoError(t, err)
	require.Zero(t, at("a"))
	require.EqualValues(t, 9, at("b"), "it moved meanwhile")
	require.True(t, fsm.Repeatable(fsm.NotificationCursorSet.Type))
}
