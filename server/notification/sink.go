package notification

import (
	"context"
	"errors"
	"path"
)

// Sink takes notifications. One goroutine calls it.
type Sink interface {
	// Name is what the sink's cursor, its metrics and the log call it: kind and label, as "webhook.audit".
	Name() string
	// Deliver returns nil when the other side has taken n. An error that wraps ErrRefused says that it never will; after any other the same notification is
	// delivered again. An error has no secret in it.
	Deliver(ctx context.Context, n *Notification) error
	// Close ends what is open; Deliver may open it again.
	Close()
}

// ErrRefused is in the error of a sink that will not take a notification however often it is asked.
var ErrRefused = errors.New("refused")

// Route is a sink with what it wants.
type Route struct {
	Sink Sink
	// Events are patterns of event types, as "instance.*"; none is all.
	Events []string
}

// CheckPattern says what is wrong with a pattern of event types; nil when nothing is.
func CheckPattern(pattern string) error {
	_, err := path.Match(pattern, "")
	return err
}

func (r *Route) wants(event string) bool {
	for _, p := range r.Events {
		if ok, _ := path.Match(p, event); ok {
			return true
		}
	}
	return len(r.Events) == 0
}
