// Package lease keeps, on the leader, until when each host's client may count itself part of the cluster. It is a pure
// table: the clock is an argument. A lease belongs to an epoch, which is one life of a client; what an older life says does not renew it.
package lease

import (
	"container/heap"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Table holds the leases. It is not safe for concurrent use.
type Table struct {
	ttl  time.Duration
	byID map[structs.HostID]*entry
	heap expiry
}

type entry struct {
	id    structs.HostID
	epoch uint64
	ends  structs.Time
	pos   int
}

// Expired is a lease that ended.
type Expired struct {
	HostID structs.HostID
	Epoch  uint64
}

// New returns an empty table whose leases last ttl.
func New(ttl time.Duration) *Table {
	return &Table{ttl: ttl, byID: map[structs.HostID]*entry{}}
}

// TTL is how long a lease lasts.
func (t *Table) TTL() time.Duration { return t.ttl }

// Grant begins or renews the lease of a host's epoch and returns when it ends. An epoch older than the one that holds the lease is refused.
func (t *Table) Grant(id structs.HostID, epoch uint64, now structs.Time) (ends structs.Time, ok bool) {
	e, known := t.byID[id]
	if known && epoch < e.epoch {
		return e.ends, false
	}
	ends = now.Add(t.ttl)
	if !known {
		e = &entry{id: id}
		t.byID[id] = e
		e.epoch, e.ends = epoch, ends
		heap.Push(&t.heap, e)
		return ends, true
	}
	e.epoch, e.ends = epoch, max(e.ends, ends)
	heap.Fix(&t.heap, e.pos)
	return e.ends, true
}

// Renew renews a lease that still runs. ok is false when there is none at that epoch: the host must register again.
func (t *Table) Renew(id structs.HostID, epoch uint64, now structs.Time) (ends structs.Time, ok bool) {
	e, known := t.byID[id]
	if !known || e.epoch != epoch {
		return 0, false
	}
	return t.Grant(id, epoch, now)
}

// Epoch returns the epoch that holds a host's lease; ok is false when there is none.
func (t *Table) Epoch(id structs.HostID) (epoch uint64, ok bool) {
	e, ok := t.byID[id]
	if !ok {
		return 0, false
	}
	return e.epoch, true
}

// Expire removes and returns the leases that have ended by now, in the order of their ends.
func (t *Table) Expire(now structs.Time) []Expired {
	var out []Expired
	for len(t.heap) > 0 && t.heap[0].ends <= now {
		e := heap.Pop(&t.heap).(*entry)
		delete(t.byID, e.id)
		out = append(out, Expired{e.id, e.epoch})
	}
	return out
}

// Next returns when the earliest lease ends; 0 when there is none.
func (t *Table) Next() structs.Time {
	if len(t.heap) == 0 {
		return 0
	}
	return t.heap[0].ends
}

// Drop forgets a host's lease, e.g. because its client left in good order.
func (t *Table) Drop(id structs.HostID) {
	if e, ok := t.byID[id]; ok {
		heap.Remove(&t.heap, e.pos)
		delete(t.byID, id)
	}
}

// Len is how many leases run.
func (t *Table) Len() int { return len(t.heap) }

type expiry []*entry

func (h expiry) Len() int           { return len(h) }
func (h expiry) Less(i, j int) bool { return h[i].ends < h[j].ends }
func (h expiry) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].pos, h[j].pos = i, j }
func (h *expiry) Push(x any)        { e := x.(*entry); e.pos = len(*h); *h = append(*h, e) }
func (h *expiry) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
