package libvirt

import (
	"context"
	"sync"
)

// instanceLocks lets one call at a time work on an instance, and any number on different ones.
type instanceLocks struct {
	mu    sync.Mutex
	locks map[string]*instanceLock
}

type instanceLock struct {
	held  chan struct{} // holds one token while somebody has the lock
	users int           // who have it or wait for it; guarded by instanceLocks.mu
}

func newInstanceLocks() *instanceLocks { return &instanceLocks{locks: map[string]*instanceLock{}} }

// lock waits for the instance, and returns what gives it back. Errors: ctx's.
func (l *instanceLocks) lock(ctx context.Context, instanceID string) (unlock func(), err error) {
	l.mu.Lock()
	entry := l.locks[instanceID]
	if entry == nil {
		entry = &instanceLock{held: make(chan struct{}, 1)}
		l.locks[instanceID] = entry
	}
	entry.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if entry.users--; entry.users == 0 {
			delete(l.locks, instanceID)
		}
	}
	select {
	case entry.held <- struct{}{}:
		return func() {
			<-entry.held
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
