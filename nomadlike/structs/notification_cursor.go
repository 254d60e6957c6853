package structs

// NotificationCursor is how far a sink of notifications has been served: a new leader goes on behind it.
type NotificationCursor struct {
	Meta
	Sink      string `codec:"s"` // name of the sink, as "webhook.audit"
	Index     uint64 `codec:"i"` // everything up to this log index was delivered, or given up
	UpdatedAt Time   `codec:"updated"`
}

// NotificationCursorSetRequest moves cursors on. One that is further already stays: an older leader cannot turn it back.
type NotificationCursorSetRequest struct {
	Cursors []NotificationCursor `codec:"c"`
	Now     Time                 `codec:"now"`
}

// NotificationCursorDeleteRequest removes cursors of sinks that nobody configures any more. Those that moved after Before stay.
type NotificationCursorDeleteRequest struct {
	Sinks  []string `codec:"s"`
	Before Time     `codec:"b"`
}
