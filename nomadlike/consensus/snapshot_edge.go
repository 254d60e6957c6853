package consensus

import (
	"strconv"

	"github.com/hashicorp/raft"
)

// edgeTransport mends what Raft does at the edge between a snapshot and the log that follows it. A leader sends entries with the index and the term of the entry before
// them. When that is the last one of a follower's snapshot, Raft compares it with the snapshot only while nothing follows in the log; else it looks into the log, from
// which the snapshot has taken that entry, and refuses. So one lost answer after a snapshot was installed, or a second sender, has the leader install the same snapshot
// again and again, until it has a newer one (hashicorp/raft issues 205 and, where a conflicting entry was left in the log, 697; both are in 1.8). What a snapshot holds
// is committed: its last entry is the one that the leader means if index and term agree. Such a message is passed on as one before which nothing is to be compared; the
// entries that it brings are compared with those in the log as always.
type edgeTransport struct {
	*raft.NetworkTransport
	out   chan raft.RPC
	done  chan struct{} // closed when the node closes
	ended chan struct{} // closed when relay has returned
}

func newEdgeTransport(t *raft.NetworkTransport) *edgeTransport {
	return &edgeTransport{t, make(chan raft.RPC), make(chan struct{}), make(chan struct{})}
}

// Consumer is where Raft takes messages from.
func (t *edgeTransport) Consumer() <-chan raft.RPC { return t.out }

// relay passes messages on, in their order, until the node closes.
func (t *edgeTransport) relay(r *raft.Raft, logs raft.LogStore) {
	defer close(t.ended)
	in := t.NetworkTransport.Consumer()
	for {
		select {
		case m := <-in:
			if req, ok := m.Command.(*raft.AppendEntriesRequest); ok && req.PrevLogEntry > 0 && req.PrevLogEntry != r.LastIndex() && followsSnapshot(req, logs, r.Stats) {
				req.PrevLogEntry, req.PrevLogTerm = 0, 0
			}
			select {
			case t.out <- m:
			case <-t.done:
				return
			}
		case <-t.done:
			return
		}
	}
}

// stop ends relay.
func (t *edgeTransport) stop() {
	close(t.done)
	<-t.ended
}

// followsSnapshot reports whether the entry before a message's is not in the log, but is the last one of the snapshot.
func followsSnapshot(req *raft.AppendEntriesRequest, logs raft.LogStore, stats func() map[string]string) bool {
	var prev raft.Log
	if err := logs.GetLog(req.PrevLogEntry, &prev); err == nil && prev.Term == req.PrevLogTerm {
		return false
	}
	s := stats() // Raft tells of its snapshot in no other way; this is for the rare message that would be refused
	return s["last_snapshot_index"] == strconv.FormatUint(req.PrevLogEntry, 10) && s["last_snapshot_term"] == strconv.FormatUint(req.PrevLogTerm, 10)
}
