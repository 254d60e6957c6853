package consensus

import (
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
)

// machine is Raft's view of the state machine. Raft calls it from one goroutine.
type machine struct {
	store     *state.Store
	logger    hclog.Logger
	onRestore func(uint64)
}

// Apply applies one entry.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries that were committed together in one transaction; readers see all of them or none.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	tx := m.store.Begin(m.store.Index())
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			out[i] = fsm.Apply(tx, l.Index, l.Data)
		}
	}
	tx.Commit()
	return out
}

// Snapshot returns a moment to persist; it does not stop the state machine.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return moment{m.store.Snapshot()}, nil }

// Restore replaces the state.
func (m *machine) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	if err := m.store.Restore(rc); err != nil {
		return err
	}
	if m.onRestore != nil {
		m.onRestore(m.store.Index())
	}
	m.logger.Info("state restored from a snapshot", "index", m.store.Index())
	return nil
}

type moment struct{ r state.Reader }

func (s moment) Persist(sink raft.SnapshotSink) error {
	if err := s.r.Persist(sink); err != nil {
		_ = sink.Cancel()
		return fmt.Errorf("consensus: snapshot: %w", err)
	}
	return sink.Close()
}

func (moment) Release() {}
