package consensus

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	// maxQueued is how many commands may wait at the leader; more are refused, so that a flood is told no instead of timing out.
	maxQueued = 4096
	// maxItems bounds one entry's commands.
	maxItems = 512
	// inFlight is how many entries may be on their way at once: one is being synced while the next is gathered behind one that
	// Raft already has.
	inFlight     = 2
	applyTimeout = 10 * time.Second
)

type proposal struct {
	item fsm.Item
	done chan proposed // buffered: the batcher never waits for a proposer
}

type proposed struct {
	index  uint64
	result fsm.Result
	err    error
}

// batcher is group commit: while an entry is on its way to a majority's disks, the commands that arrive gather for the next one.
type batcher struct {
	raft    *raft.Raft
	queue   chan *proposal
	slots   chan struct{}
	stopped chan struct{}
	idle    chan struct{}
}

func newBatcher(r *raft.Raft) *batcher {
	b := &batcher{raft: r, queue: make(chan *proposal, maxQueued), slots: make(chan struct{}, inFlight), stopped: make(chan struct{}), idle: make(chan struct{})}
	go b.run()
	return b
}

// stop fails what waits. Raft is shut down by then; it forgets to answer some of what it had given to the state machine, so nobody waits for that.
func (b *batcher) stop() {
	close(b.stopped)
	<-b.idle
}

// Propose commits one command on this server, which must lead (KindNotLeader otherwise). When ctx ends early the command may still be applied.
func (n *Node) Propose(ctx context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	if ctx.Err() != nil {
		return 0, nil, structs.Errorf(structs.KindTimeout, "too late: nothing was done")
	}
	if len(body) > fsm.MaxEntryBytes {
		return 0, nil, structs.Errorf(structs.KindTooLarge, "a change of %d bytes is over the limit of %d", len(body), fsm.MaxEntryBytes)
	}
	if !n.IsLeader() {
		return 0, nil, structs.Errorf(structs.KindNotLeader, "this server does not lead")
	}
	p := &proposal{fsm.Item{Type: typ, Body: body}, make(chan proposed, 1)}
	select {
	case n.batch.queue <- p:
	case <-n.batch.stopped:
		return 0, nil, structs.Errorf(structs.KindUnavailable, "this server is shutting down")
	default:
		return 0, nil, structs.Errorf(structs.KindUnavailable, "the leader is overloaded: nothing was done, try again")
	}
	select {
	case r := <-p.done:
		if r.err != nil {
			return r.index, nil, r.err
		}
		return r.index, r.result.Value, r.result.Err
	case <-ctx.Done():
		return 0, nil, structs.Errorf(structs.KindTimeout, "not committed in time; it may still be applied")
	case <-n.batch.stopped:
		return 0, nil, structs.Errorf(structs.KindUnavailable, "this server is shutting down; the change may still be applied")
	}
}

func (b *batcher) run() {
	defer close(b.idle)
	var carry *proposal
	for {
		first := carry
		carry = nil
		if first == nil {
			select {
			case first = <-b.queue:
			case <-b.stopped:
				return
			}
		}
		select {
		case b.slots <- struct{}{}:
		case <-b.stopped:
			return
		}
		var batch []*proposal
		batch, carry = b.gather(first)
		b.send(batch)
	}
}

// gather takes what waits, up to an entry's bounds. carry did not fit and begins the next entry.
func (b *batcher) gather(first *proposal) (batch []*proposal, carry *proposal) {
	batch, size := []*proposal{first}, len(first.item.Body)
	for len(batch) < maxItems {
		select {
		case p := <-b.queue:
			if size += len(p.item.Body) + 16; size > fsm.MaxEntryBytes {
				return batch, p
			}
			batch = append(batch, p)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// send hands the entry to Raft and, in a goroutine, the answers to the proposers. The slot is free again after that.
func (b *batcher) send(batch []*proposal) {
	items := make([]fsm.Item, len(batch))
	for i, p := range batch {
		items[i] = p.item
	}
	f := b.raft.Apply(fsm.EncodeEntry(items), applyTimeout)
	go func() {
		defer func() { <-b.slots }()
		err := f.Error()
		var results []fsm.Result
		if err == nil {
			results, _ = f.Response().([]fsm.Result)
		}
		for i, p := range batch {
			r := proposed{err: wrap(err)}
			if err == nil {
				r = proposed{index: f.Index(), result: results[i]}
			}
			p.done <- r
		}
	}()
}

// verifier lets many readers share one round of asking the majority.
type verifier struct {
	ask     chan chan error
	stopped chan struct{}
}

func newVerifier(r *raft.Raft) *verifier {
	v := &verifier{ask: make(chan chan error, 1024), stopped: make(chan struct{})}
	go v.run(func() error { return r.VerifyLeader().Error() })
	return v
}

func (v *verifier) stop() { close(v.stopped) }

func (v *verifier) run(majority func() error) {
	for {
		var waiting []chan error
		select {
		case c := <-v.ask:
			waiting = append(waiting, c)
		case <-v.stopped:
			return
		}
	more:
		for {
			select {
			case c := <-v.ask:
				waiting = append(waiting, c)
			default:
				break more
			}
		}
		err := wrap(majority()) // begun after every one of these asked, so it answers them all
		for _, c := range waiting {
			c <- err
		}
	}
}

func (v *verifier) verify(ctx context.Context) error {
	c := make(chan error, 1)
	select {
	case v.ask <- c:
	case <-v.stopped:
		return structs.Errorf(structs.KindUnavailable, "this server is shutting down")
	case <-ctx.Done():
		return structs.Errorf(structs.KindTimeout, "the leader did not answer in time")
	}
	select {
	case err := <-c:
		return err
	case <-v.stopped:
		return structs.Errorf(structs.KindUnavailable, "this server is shutting down")
	case <-ctx.Done():
		return structs.Errorf(structs.KindTimeout, "leadership could not be verified in time")
	}
}
