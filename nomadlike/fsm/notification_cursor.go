package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// NotificationCursorSet moves the cursors of sinks on, never back.
var NotificationCursorSet = register(45, "notification-cursor-set", func(tx *state.Txn, r *structs.NotificationCursorSetRequest) (None, error) {
	for i := range r.Cursors {
		c := r.Cursors[i]
		if c.Sink == "" {
			return None{}, structs.Errorf(structs.KindInternal, "notification-cursor-set needs the names of sinks")
		}
		if old := tx.NotificationCursor(c.Sink); old != nil && old.Index >= c.Index {
			continue
		}
		c.UpdatedAt = r.Now
		tx.PutNotificationCursor(&c)
	}
	return None{}, nil
})

// NotificationCursorDelete removes the cursors of sinks that are not configured any more.
var NotificationCursorDelete = register(46, "notification-cursor-delete", func(tx *state.Txn, r *structs.NotificationCursorDeleteRequest) (None, error) {
	for _, sink := range r.Sinks {
		if c := tx.NotificationCursor(sink); c != nil && c.UpdatedAt < r.Before {
			tx.DeleteNotificationCursor(sink)
		}
	}
	return None{}, nil
})
