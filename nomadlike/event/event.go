// Package event is the change stream: what was committed, in commit order, for those who would otherwise poll.
package event

import (
	"context"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Event is one entity's committed change. Entity is what it is now, or what it was when Deleted; Before is what it was, nil for a new one. Both are shared and
// constant. Index is that of the commit, which may be of many log entries: the entity's own ModifyIndex says which of them wrote it. The events of a commit
// follow each other, in the order in which they were written.
type Event struct {
	Index   uint64
	Table   string
	Deleted bool
	Entity  any
	Before  any
	At      structs.Time // when this server saw the commit
}

// Broker keeps the newest events and hands them to any number of subscribers.
type Broker struct {
	mu   sync.Mutex
	ring []Event // ring[i%len] holds event number i, for the newest len(ring) numbers
	next uint64  // number of the next event
	lost uint64  // highest log index of which an event may have been dropped
	last uint64  // log index of the newest event, or of a restore
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
	at := structs.TimeOf(time.Now())
	for _, c := range changes {
		slot := &b.ring[b.next%uint64(len(b.ring))]
		if b.next >= uint64(len(b.ring)) {
			b.lost = max(b.lost, slot.Index)
		}
		*slot = Event{Index: index, Table: c.Table, Entity: c.After, Before: c.Before, At: at}
		if c.After == nil {
			slot.Deleted, slot.Entity = true, c.Before
		}
		b.next++
	}
	b.last = index
	close(b.more)
	b.more = make(chan struct{})
}

// Restored tells that a snapshot replaced the state: what changed up to its index is not known, so that every subscriber lists again.
func (b *Broker) Restored(index uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost, b.last = max(b.lost, index), max(b.last, index)
	clear(b.ring)
	b.next += uint64(len(b.ring)) + 1 // as if that many events had been dropped
	close(b.more)
	b.more = make(chan struct{})
}

// Lost is the highest log index of which a change may have been dropped: who subscribes from there on, or from later, misses nothing.
func (b *Broker) Lost() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Newest is the log index of the newest change.
func (b *Broker) Newest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// Subscription reads the stream from a point on. Not safe for concurrent use.
type Subscription struct {
	b    *Broker
	next uint64
	past uint64 // events up to this log index are skipped
}

// Subscribe returns the events of commits after index; ok is false when some of them were already dropped, so that the
// subscriber must list first and begin at the list's index. The subscription that is returned then begins with what is left.
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
