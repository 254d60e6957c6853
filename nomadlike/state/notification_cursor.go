package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// NotificationCursorTable is the table's name in the change stream: what serves sinks tells its own writes by it.
const NotificationCursorTable = "notification_cursors"

var notificationCursorTable = newTable(NotificationCursorTable, func(v *structs.NotificationCursor) []string { return []string{v.Sink} })

// NotificationCursor returns a sink's cursor, or nil.
func (r Reader) NotificationCursor(sink string) *structs.NotificationCursor {
	return first(r, notificationCursorTable, sink)
}

// NotificationCursors iterates over all cursors by sink.
func (r Reader) NotificationCursors() iter.Seq[*structs.NotificationCursor] {
	return all(r, notificationCursorTable)
}

// PutNotificationCursor writes a cursor.
func (t *Txn) PutNotificationCursor(v *structs.NotificationCursor) {
	put(t, notificationCursorTable, v)
}

// DeleteNotificationCursor removes a cursor and returns it, or nil.
func (t *Txn) DeleteNotificationCursor(sink string) *structs.NotificationCursor {
	return remove(t, notificationCursorTable, sink)
}
