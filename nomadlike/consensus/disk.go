package consensus

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// disk remembers whether Raft's last write on this server failed: a leader that cannot write steps down, and who then asks why there is none is to be told.
type disk struct {
	logger hclog.Logger
	closed chan struct{}

	mu  sync.Mutex
	err error
}

func newDisk(logger hclog.Logger) *disk { return &disk{logger: logger, closed: make(chan struct{})} }

// wrote notes how a write went.
func (d *disk) wrote(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil && d.err == nil:
		d.logger.Error("Raft cannot write to this server's disk: this server neither leads nor votes until it can", "error", err)
	case err == nil && d.err != nil:
		d.logger.Info("Raft can write to this server's disk again")
	}
	d.err = reason(err)
	return err
}

// reason leaves out of a write's error what only operators may see, e.g. the file's path; the log has it.
func reason(err error) error {
	var code syscall.Errno
	if errors.As(err, &code) {
		return code
	}
	return err
}

// close ends the waiting of insist.
func (d *disk) close() { close(d.closed) }

// insist repeats a write of Raft's term or vote until it succeeds. Raft panics when it cannot save its term, which would end the agent and its instances'
// care over a disk that is full for a minute; while it waits here it takes part in nothing, which is right for a server that cannot keep its promises.
// When the node is closed meanwhile Raft's goroutine ends here: going on would mean acting on a term that was not saved.
func (d *disk) insist(write func() error) error {
	for d.wrote(write()) != nil {
		t := time.NewTimer(250 * time.Millisecond)
		select {
		case <-t.C:
		case <-d.closed:
			t.Stop()
			runtime.Goexit()
		}
	}
	return nil
}

// DiskError is why Raft's last write on this server failed; nil when it did not.
func (n *Node) DiskError() error {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return n.disk.err
}

// watchedLogs is a log store whose disk is watched.
type watchedLogs struct {
	raft.LogStore
	disk *disk
}

// StoreLog stores one entry.
func (l watchedLogs) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs stores entries. Raft hands the error to who proposed them.
func (l watchedLogs) StoreLogs(es []*raft.Log) error {
	if err := l.disk.wrote(l.LogStore.StoreLogs(es)); err != nil {
		return structs.Errorf(structs.KindUnavailable, "the leader cannot write to its disk; try again when it can: %w", reason(err))
	}
	return nil
}

// watchedStable is a store of Raft's term and vote that waits for its disk.
type watchedStable struct {
	raft.StableStore
	disk *disk
}

// Set returns when the value is saved.
func (s watchedStable) Set(k, v []byte) error {
	return s.disk.insist(func() error { return s.StableStore.Set(k, v) })
}

// SetUint64 returns when the value is saved.
func (s watchedStable) SetUint64(k []byte, v uint64) error {
	return s.disk.insist(func() error { return s.StableStore.SetUint64(k, v) })
}
