// Package fanout hands one producer's values to many readers, as a driver's event and fingerprint streams need it.
package fanout

import (
	"context"
	"sync"
)

// Hub hands each published value to every subscriber. It never blocks the publisher: a subscriber that is a full backlog
// behind loses its oldest value. The zero Hub is ready for use.
type Hub[T any] struct {
	mu     sync.Mutex
	subs   map[*subscription[T]]struct{}
	closed bool
}

// subscription's channel is sent to and closed under the hub's mu only.
type subscription[T any] struct {
	ch     chan *T
	detach func() bool // stops waiting for the subscriber's context
}

// Subscribe returns a channel that holds up to backlog (1 or more) values and begins with first, when that is not nil.
// With a backlog of 1 a slow reader has the newest value. The channel closes when ctx ends or the hub closes.
func (h *Hub[T]) Subscribe(ctx context.Context, backlog int, first *T) <-chan *T {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &subscription[T]{ch: make(chan *T, max(backlog, 1))}
	if first != nil {
		s.ch <- first
	}
	if h.closed || ctx.Err() != nil {
		close(s.ch)
		return s.ch
	}
	if h.subs == nil {
		h.subs = map[*subscription[T]]struct{}{}
	}
	h.subs[s] = struct{}{}
	s.detach = context.AfterFunc(ctx, func() { h.drop(s) })
	return s.ch
}

func (h *Hub[T]) drop(s *subscription[T]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.subs[s]; ok {
		delete(h.subs, s)
		close(s.ch)
	}
}

// Publish hands v, which nobody may change any more, to every subscriber.
func (h *Hub[T]) Publish(v *T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		s.push(v)
	}
}

func (s *subscription[T]) push(v *T) {
	for {
		select {
		case s.ch <- v:
			return
		default:
		}
		select {
		case <-s.ch: // full: drop the oldest
		default: // the reader was quicker
		}
	}
}

// Close closes every subscriber's channel, now and from now on.
func (h *Hub[T]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		s.detach()
		close(s.ch)
	}
	h.subs = nil
}
