package broker

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Config sets up a Broker; zero fields take the defaults that they name.
type Config struct {
	Clock Clock // SystemClock
	// AckTimeout is how long a worker may keep a lease; longer than a worker's WorkerConfig.BatchTimeout. 60 s.
	AckTimeout time.Duration
	// DeliveryLimit is how often an evaluation is handed out before it fails. 5.
	DeliveryLimit int
	// NackDelay is how long an evaluation rests after its first nack; it doubles with each further one up to
	// MaxNackDelay. 500 ms and 20 s.
	NackDelay, MaxNackDelay time.Duration
	// Fail is told of an evaluation that reached the limit and has left the broker. It is called without locks, by who
	// nacked or by a timer's goroutine, never by Enqueue. When it cannot end the evaluation in the state, it is enough
	// that somebody enqueues it again. Nil drops it.
	Fail func(Failure)
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = SystemClock{}
	}
	c.AckTimeout = cmp.Or(c.AckTimeout, time.Minute)
	c.DeliveryLimit = cmp.Or(c.DeliveryLimit, 5)
	c.NackDelay = cmp.Or(c.NackDelay, 500*time.Millisecond)
	c.MaxNackDelay = cmp.Or(c.MaxNackDelay, 20*time.Second)
	return c
}

// Broker hands out evaluations: in the order in which they came, never two of one instance at a time. Its methods may be
// called by many goroutines. It starts disabled.
type Broker struct {
	cfg Config

	mu        sync.Mutex
	enabled   bool
	term      uint64 // random per SetEnabled(true), so that tokens of an earlier leadership are unknown
	sequence  uint64 // of tokens
	entries   map[structs.EvaluationID]*entry
	instances map[structs.InstanceID][]*entry // the first one's turn it is; the others wait
	ready     []*entry
	leases    map[string]*entry // unacked, by token
	timed     timedHeap         // unacked and delayed ones
	timer     Timer             // for timed[0]; nil when there is none
	timerAt   time.Time
	timerNum  uint64     // counts timers: one that was stopped too late is told from the present one
	waiters   *list.List // of chan struct{}: who waits in Dequeue, first come first served
	failed    []Failure  // to be told when mu is released
}

// entry is one evaluation.
type entry struct {
	Lease
	since time.Time // enqueued
	due   time.Time // end of the lease, or of the delay
	pos   int       // in timed; -1 when not there
}

// New returns a disabled broker.
func New(cfg Config) *Broker {
	b := &Broker{cfg: cfg.withDefaults(), waiters: list.New()}
	b.reset()
	return b
}

func (b *Broker) reset() {
	b.entries = map[structs.EvaluationID]*entry{}
	b.instances = map[structs.InstanceID][]*entry{}
	b.leases = map[string]*entry{}
	b.ready, b.timed = nil, nil
}

// SetEnabled turns the broker on when leadership is gained and off when it is lost. Off forgets everything: whoever turns
// it on again enqueues state.Reader.PendingEvaluations. Waiting Dequeues of a broker turned off return KindNotLeader.
func (b *Broker) SetEnabled(on bool) {
	b.mu.Lock()
	defer b.release()
	if b.enabled == on {
		return
	}
	b.enabled, b.term = on, rand.Uint64()
	b.reset()
	if !on {
		for e := b.waiters.Front(); e != nil; e = e.Next() {
			close(e.Value.(chan struct{}))
		}
		b.waiters = list.New() // not Init: who leaves later must find its place in no list
	}
}

// release ends every critical section: it keeps the timer right, wakes who can go on, and tells of failures once
// the lock is free.
func (b *Broker) release() {
	b.arm()
	if len(b.ready) > 0 {
		b.wake()
	}
	failed := b.failed
	b.failed = nil
	b.mu.Unlock()
	if b.cfg.Fail != nil {
		for _, f := range failed {
			b.cfg.Fail(f)
		}
	}
}

// wake lets one waiter look. It wakes the next when it leaves something behind.
func (b *Broker) wake() {
	if e := b.waiters.Front(); e != nil {
		close(b.waiters.Remove(e).(chan struct{}))
	}
}

// Enqueue takes in pending evaluations; ones that are here already, or not pending, are skipped, and so are all while the
// broker is disabled. It does not block, so it may be called by a state.CommitFunc. Those of one call are queued in the
// order of their creation.
func (b *Broker) Enqueue(evals ...*structs.Evaluation) {
	b.mu.Lock()
	defer b.release()
	if !b.enabled {
		return
	}
	if len(evals) > 1 {
		evals = slices.Clone(evals)
		slices.SortFunc(evals, func(x, y *structs.Evaluation) int {
			return cmp.Or(cmp.Compare(x.CreateIndex, y.CreateIndex), cmp.Compare(x.ID, y.ID))
		})
	}
	now := b.cfg.Clock.Now()
	for _, v := range evals {
		if v.Status != structs.EvalPending || b.entries[v.ID] != nil {
			continue
		}
		e := &entry{Lease: Lease{EvaluationID: v.ID, InstanceID: v.InstanceID, OperationID: v.OperationID, Index: v.ModifyIndex}, since: now, pos: -1}
		b.entries[v.ID] = e
		line := append(b.instances[v.InstanceID], e)
		b.instances[v.InstanceID] = line
		if len(line) == 1 {
			b.ready = append(b.ready, e)
		}
	}
}

// Dequeue hands out from one to most evaluations, and waits until there is one. Each must be ended by Ack or Nack within
// AckTimeout. It returns ctx's error, or KindNotLeader while the broker is disabled.
func (b *Broker) Dequeue(ctx context.Context, most int) ([]Lease, error) {
	for {
		batch, turn, err := b.take(max(most, 1))
		if err != nil || len(batch) > 0 {
			return batch, err
		}
		select {
		case <-turn.Value.(chan struct{}):
		case <-ctx.Done():
			b.leave(turn)
			return nil, ctx.Err()
		}
	}
}

// take returns what is ready, or the caller's place among the waiters.
func (b *Broker) take(most int) ([]Lease, *list.Element, error) {
	b.mu.Lock()
	defer b.release()
	if !b.enabled {
		return nil, nil, structs.Errorf(structs.KindNotLeader, "the evaluation broker runs on the leader; this server is not it")
	}
	n := min(most, len(b.ready))
	if n == 0 {
		return nil, b.waiters.PushBack(make(chan struct{})), nil
	}
	batch, due := make([]Lease, n), b.cfg.Clock.Now().Add(b.cfg.AckTimeout)
	for i, e := range b.ready[:n] {
		b.sequence++
		e.Delivery++
		e.Token = fmt.Sprintf("%x-%x", b.term, b.sequence)
		b.leases[e.Token] = e
		b.schedule(e, due)
		batch[i] = e.Lease
	}
	b.ready = slices.Delete(b.ready, 0, n)
	return batch, nil, nil
}

// leave takes a waiter away whose context ended. When it was woken already, its turn goes to the next.
func (b *Broker) leave(turn *list.Element) {
	b.mu.Lock()
	defer b.release()
	b.waiters.Remove(turn)
}

// Ack ends leases whose evaluations are ended, or will be by what the worker submitted. Tokens that are unknown, because their lease
// timed out or was another leader's, are KindNotFound after all others were taken in.
func (b *Broker) Ack(tokens ...string) error {
	b.mu.Lock()
	defer b.release()
	return b.each(tokens, b.drop)
}

// Nack gives leases back: their evaluations are handed out again after a while, or fail when they reached the limit.
// Unknown tokens are as in Ack.
func (b *Broker) Nack(reason string, tokens ...string) error {
	b.mu.Lock()
	defer b.release()
	return b.each(tokens, func(e *entry) {
		delay := b.cfg.NackDelay << min(e.Delivery-1, 16)
		if delay <= 0 || delay > b.cfg.MaxNackDelay {
			delay = b.cfg.MaxNackDelay
		}
		b.giveBack(e, reason, delay)
	})
}

func (b *Broker) each(tokens []string, do func(*entry)) error {
	var errs []error
	for _, t := range tokens {
		e := b.leases[t]
		if e == nil {
			errs = append(errs, structs.Errorf(structs.KindNotFound, "there is no lease %s: it timed out, or another leader gave it", t))
			continue
		}
		delete(b.leases, t)
		do(e)
	}
	return errors.Join(errs...)
}

// giveBack returns an entry whose lease ended to those that are handed out.
func (b *Broker) giveBack(e *entry, reason string, delay time.Duration) {
	if e.Delivery >= b.cfg.DeliveryLimit {
		b.failed = append(b.failed, Failure{EvaluationID: e.EvaluationID, InstanceID: e.InstanceID, OperationID: e.OperationID, Deliveries: e.Delivery, Reason: reason})
		b.drop(e)
		return
	}
	if delay > 0 {
		b.schedule(e, b.cfg.Clock.Now().Add(delay))
		return
	}
	b.unschedule(e)
	b.ready = append(b.ready, e)
}

// drop forgets an entry that is first of its instance; the next one's turn it is.
func (b *Broker) drop(e *entry) {
	b.unschedule(e)
	delete(b.entries, e.EvaluationID)
	line := b.instances[e.InstanceID][1:]
	if len(line) == 0 {
		delete(b.instances, e.InstanceID)
		return
	}
	b.instances[e.InstanceID] = line
	b.ready = append(b.ready, line[0])
}

// Stats counts what is here.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{Ready: len(b.ready), Unacked: len(b.leases), Delayed: len(b.timed) - len(b.leases)}
	s.Waiting = len(b.entries) - s.Ready - len(b.timed)
	now := b.cfg.Clock.Now()
	for _, e := range b.entries {
		s.OldestMS = max(s.OldestMS, now.Sub(e.since).Milliseconds())
	}
	return s
}

// expire does what is due: leases that timed out are given back, and delays end.
func (b *Broker) expire(timer uint64) {
	b.mu.Lock()
	defer b.release()
	if timer == b.timerNum {
		b.timer = nil
	}
	now := b.cfg.Clock.Now()
	for len(b.timed) > 0 && !b.timed[0].due.After(now) {
		e := b.timed[0]
		if b.leases[e.Token] != e {
			b.unschedule(e)
			b.ready = append(b.ready, e)
			continue
		}
		delete(b.leases, e.Token)
		b.giveBack(e, fmt.Sprintf("its worker said nothing for %s", b.cfg.AckTimeout), 0)
	}
}

// arm sets the timer to the earliest time that something is due.
func (b *Broker) arm() {
	if b.timer != nil {
		if len(b.timed) > 0 && b.timed[0].due.Equal(b.timerAt) {
			return
		}
		b.timer.Stop()
		b.timer = nil
	}
	if len(b.timed) > 0 {
		b.timerAt = b.timed[0].due
		b.timerNum++
		num := b.timerNum
		b.timer = b.cfg.Clock.AfterFunc(b.timerAt.Sub(b.cfg.Clock.Now()), func() { b.expire(num) })
	}
}

func (b *Broker) schedule(e *entry, due time.Time) {
	e.due = due
	if e.pos >= 0 {
		heap.Fix(&b.timed, e.pos)
		return
	}
	heap.Push(&b.timed, e)
}

func (b *Broker) unschedule(e *entry) {
	if e.pos >= 0 {
		heap.Remove(&b.timed, e.pos)
	}
}

// timedHeap is a heap by due.
type timedHeap []*entry

func (h timedHeap) Len() int           { return len(h) }
func (h timedHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h timedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}
func (h *timedHeap) Push(x any) {
	e := x.(*entry)
	e.pos = len(*h)
	*h = append(*h, e)
}
func (h *timedHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.pos = -1
	return e
}
