// Package event is the change stream: what was committed, in commit order, for those who would otherwise poll.
package event

import (
	"context"
	"sync"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
)

// Event is one entity's committed change. Entity is what it is now, or what it was when Deleted; it is shared and constant.
type Event struct {
	Index   uint64
	Table   string
	Deleted bool
	Entity  any
}

// Broker keeps the newest events and hands them to any number of subscribers.
type Broker struct {
	mu   sync.Mutex
	ring []Event // ring[i%len] holds event number i, for the newest len(ring) numbers
	next uint64  // number of the next event
	lost uint64  // highest log index of which an event may have been dropped
	more chan struct{}
}

// NewBroker returns a broker that keeps the newest size events.
func NewBroker(size int) *Broker {
	return &Broker{ring: make([]Event, size), more: make(chan struct{})}
}

// Publish takes a commit in; it is a state.CommitFunc.
func (b *Broker) Publish(index uint64, changes []state.Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(changes) == 0 { // refused commands, or a restore: Restored tells of that
		return
	}
	for _, c := range changes {
		slot := &b.ring[b.next%uint64(len(b.ring))]
		if b.next >= uint64(len(b.ring)) {
			b.lost = max(b.lost, slot.Index)
		}
		*slot = Event{Index: index, Table: c.Table, Entity: c.After}
		if c.After == nil {
			slot.Deleted, slot.Entity = true, c.Before
		}
		b.next++
	}
	close(b.more)
	b.more = make(chan struct{})
}

// Restored tells that a snapshot replaced the state: what changed up to its index is not known, so that every subscriber lists again.
func (b *Broker) Restored(index uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = max(b.lost, index)
	clear(b.ring)
	b.next += uint64(len(b.ring)) + 1 // as if that many events had been dropped
	close(b.more)
	b.more = make(chan struct{})
}

// Subscription reads the stream from a point on. Not safe for concurrent use.
type Subscription struct {
	b    *Broker
	next uint64
	past uint64 // events up to this log index are skipped
}

// Subscribe returns the events of commits after index; ok is false when some of them were already dropped, so that the
// subscriber must list first and begin at the list's index.
func (b *Broker) Subscribe(index uint64) (s *Subscription, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	start := uint64(0)
	if n := uint64(len(b.ring)); b.next > n {
		start = b.next - n
	}
	return &Subscription{b: b, next: start, past: index}, index >= b.lost
}

// Next returns the next events, waiting for them until ctx ends. ok is false when the subscriber was too slow and some were dropped.
func (s *Subscription) Next(ctx context.Context) (events []Event, ok bool, err error) {
	for {
		s.b.mu.Lock()
		oldest := uint64(0)
		if n := uint64(len(s.b.ring)); s.b.next > n {
			oldest = s.b.next - n
		}
		if s.next < oldest {
			s.b.mu.Unlock()
			return nil, false, nil
		}
		for ; s.next < s.b.next; s.next++ {
			if e := s.b.ring[s.next%uint64(len(s.b.ring))]; e.Index > s.past {
				events = append(events, e)
			}
		}
		more := s.b.more
		s.b.mu.Unlock()
		if len(events) > 0 {
			return events, true, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, true, ctx.Err()
		}
	}
}
