package native

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const (
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute
	// writeGrace is how long an answer may take to be taken by a client that is there.
	writeGrace = 30 * time.Second
)

// view returns the state to answer from. With ?index it first waits until an event after that index concerns the answer, or the wait ends.
// When events after the index were dropped, something may have changed, and the answer comes at once.
func view(r *httpapi.Request, concerns func(*event.Event) bool) (state.Reader, error) {
	q := r.Query()
	if q.Has("index") {
		index, err := strconv.ParseUint(q.Get("index"), 10, 64)
		if err != nil {
			return state.Reader{}, httpapi.BadRequest("index %s is no log index", q.Get("index"))
		}
		wait, err := waitOf(q.Get("wait"))
		if err != nil {
			return state.Reader{}, err
		}
		if err := await(r, index, wait, concerns); err != nil {
			return state.Reader{}, err
		}
	}
	st := r.Core.Stale()
	if !on(r, "stale") {
		var err error
		if st, err = r.Core.Read(r.Context()); err != nil {
			return state.Reader{}, err
		}
	}
	r.Writer.Header().Set("X-Kilonova-Index", strconv.FormatUint(st.Index(), 10))
	return st, nil
}

func waitOf(text string) (time.Duration, error) {
	if text == "" {
		return defaultWait, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, httpapi.BadRequest("wait %q is no duration; one is 30s", text)
	}
	return min(d, maxWait), nil
}

// await returns when an event concerns the answer, when the wait is over, or with an error when the client is gone.
func await(r *httpapi.Request, index uint64, wait time.Duration, concerns func(*event.Event) bool) error {
	sub, whole := r.Core.Events().Subscribe(index)
	if !whole {
		return nil
	}
	// the server's write timeout is for answers that are due, not for this one
	_ = http.NewResponseController(r.Writer).SetWriteDeadline(time.Now().Add(wait + writeGrace))
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	for {
		events, whole, err := sub.Next(ctx)
		if r.Context().Err() != nil {
			return structs.Errorf(structs.KindTimeout, "the client went away: %w", r.Context().Err())
		}
		if err != nil || !whole {
			return nil
		}
		for i := range events {
			if concerns(&events[i]) {
				return nil
			}
		}
	}
}
