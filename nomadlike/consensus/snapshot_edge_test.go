package consensus

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// scripted is a leader that sends what a test tells it to.
type scripted struct {
	t        *testing.T
	addr     raft.ServerAddress // the follower's
	trans    *raft.NetworkTransport
	snapshot []byte
	follower *Node
}

// newScripted has a follower with an empty log, and the bytes of a snapshot that has the flavor "of-the-snapshot".
func newScripted(t *testing.T) *scripted {
	other := alone(t, config("other", listen(t)))
	_, err := flavor(context.Background(), other, "of-the-snapshot")
	require.NoError(t, err)
	b := bytesOf(t, other.store)
	shut(t, other)
	cfg := config("follower", listen(t))
	cfg.Alone = false
	f, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { shut(t, f) })
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: listen(t), MaxPool: 1, MaxRPCsInFlight: 1, Timeout: 10 * time.Second, Logger: hclog.NewNullLogger()})
	t.Cleanup(func() { require.NoError(t, trans.Close()) })
	return &scripted{t, raft.ServerAddress(cfg.Layer.Addr().String()), trans, b, f}
}

func (s *scripted) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: []byte("leader"), Addr: []byte(s.trans.LocalAddr())}
}

func (s *scripted) install(term, index uint64) {
	conf := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "leader", Address: s.trans.LocalAddr()}, {ID: "follower", Address: s.addr}}})
	var resp raft.InstallSnapshotResponse
	require.NoError(s.t, s.trans.InstallSnapshot("follower", s.addr, &raft.InstallSnapshotRequest{RPCHeader: s.header(), SnapshotVersion: 1, Term: term,
		LastLogIndex: index, LastLogTerm: term, Configuration: conf, ConfigurationIndex: 1, Size: int64(len(s.snapshot))}, &resp, bytes.NewReader(s.snapshot)))
	require.True(s.t, resp.Success)
}

// entries are flavors, which are named.
func (s *scripted) entries(term, from uint64, names ...string) (out []*raft.Log) {
	for i, name := range names {
		body, err := structs.Encode(&structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: structs.FlavorID(name), Name: name}})
		require.NoError(s.t, err)
		out = append(out, &raft.Log{Index: from + uint64(i), Term: term, Type: raft.LogCommand, Data: fsm.EncodeEntry([]fsm.Item{{Type: fsm.FlavorCreate.Type, Body: body}})})
	}
	return out
}

func (s *scripted) send(term, prev, prevTerm, commit uint64, entries ...*raft.Log) bool {
	var resp raft.AppendEntriesResponse
	require.NoError(s.t, s.trans.AppendEntries("follower", s.addr, &raft.AppendEntriesRequest{RPCHeader: s.header(), Term: term,
		PrevLogEntry: prev, PrevLogTerm: prevTerm, Entries: entries, LeaderCommitIndex: commit}, &resp))
	return resp.Success
}

func (s *scripted) eventuallyHas(name string) {
	require.Eventually(s.t, func() bool { return s.follower.store.Snapshot().Flavor(structs.FlavorID(name)) != nil }, 10*time.Second, time.Millisecond)
}

// The answer to the first entry after a snapshot is lost: the leader sends it again, and goes on from there.
func TestEntryAfterSnapshotTwice(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	s.install(2, 65)
	require.True(t, s.send(2, 65, 2, 65, s.entries(2, 66, "a")...))
	require.True(t, s.send(2, 65, 2, 65, s.entries(2, 66, "a")...), "sent again")
	require.False(t, s.send(2, 65, 1, 65, s.entries(2, 66, "a")...), "another leader's entry 65 is not this snapshot's")
	require.False(t, s.send(2, 64, 2, 65, s.entries(2, 65, "b")...), "what comes before the snapshot cannot be compared")
	require.True(t, s.send(2, 65, 2, 67, s.entries(2, 66, "a", "c")...))
	s.eventuallyHas("c")
	require.NotNil(t, s.follower.store.Snapshot().Flavor("of-the-snapshot"))
}

// A follower has entries that were never committed, at the index of the snapshot and after it: they give way to the leader's.
func TestSnapshotOverConflict(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	require.True(t, s.send(1, 0, 0, 0, s.entries(1, 1, "lost-1", "lost-2", "lost-3", "lost-4")...))
	s.install(2, 2)
	require.True(t, s.send(2, 2, 2, 2, s.entries(2, 3, "kept")...))
	require.True(t, s.send(2, 3, 2, 4, s.entries(2, 4, "kept-too")...))
	s.eventuallyHas("kept-too")
	r := s.follower.store.Snapshot()
	require.NotNil(t, r.Flavor("kept"))
	require.Nil(t, r.Flavor("lost-3"))
	require.Nil(t, r.Flavor("lost-4"))
}
