package libvirt

import (
	"context"
	"sync"
)

// eventBacklog is how many events a subscriber may be behind before it is cut off.
const eventBacklog = 4096

// hub passes values to any number of subscribers without waiting for any of them.
//
// A hub of backlog 1 carries a state: a new subscriber gets the last value at once, and a slow one misses values in
// between but never the newest. A hub of a larger backlog carries happenings: a new subscriber starts with the next one,
// and one that is a whole backlog behind is cut off, so that it knows that it missed something.
type hub[T any] struct {
	backlog int

	mu          sync.Mutex // guards what follows; sends happen under it, so that closing a channel never races one
	subscribers map[chan T]struct{}
	last        T
	hasLast     bool
	closed      bool
}

func newHub[T any](backlog int) *hub[T] {
	return &hub[T]{backlog: backlog, subscribers: map[chan T]struct{}{}}
}

// subscribe returns a channel that is closed when ctx ends, the hub closes, or the subscriber falls behind.
func (h *hub[T]) subscribe(ctx context.Context) <-chan T {
	ch := make(chan T, h.backlog)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(ch)
		return ch
	}
	h.subscribers[ch] = struct{}{}
	if h.backlog == 1 && h.hasLast {
		ch <- h.last
	}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.remove(ch)
	})
	return ch
}

// remove closes a subscriber's channel, once. The caller holds mu.
func (h *hub[T]) remove(ch chan T) {
	if _, subscribed := h.subscribers[ch]; subscribed {
		delete(h.subscribers, ch)
		close(ch)
	}
}

func (h *hub[T]) publish(value T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.hasLast = value, true
	for ch := range h.subscribers {
		select {
		case ch <- value:
			continue
		default:
		}
		if h.backlog > 1 {
			h.remove(ch)
			continue
		}
		select { // the subscriber may take the old value in this moment; either way there is room now
		case <-ch:
		default:
		}
		ch <- value
	}
}

// close ends every subscription, and those to come.
func (h *hub[T]) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for ch := range h.subscribers {
		h.remove(ch)
	}
}
