package imagecache

import (
	"context"
	"sync"
)

// group runs one piece of work per key for all who ask at the same time. The work has a context of its own, which ends
// when nobody waits any more; a later caller then waits until that work is over before it starts anew, so that two never
// write one file.
type group struct {
	mu      sync.Mutex
	flights map[string]*flight
}

type flight struct {
	waiters int
	cancel  context.CancelFunc
	dying   bool
	done    chan struct{}
	err     error // valid when done is closed
}

func (g *group) do(ctx context.Context, key string, work func(context.Context) error) error {
	for {
		f, dying := g.join(ctx, key, work)
		select {
		case <-f.done:
			if dying {
				continue
			}
			return f.err
		case <-ctx.Done():
			if !dying {
				g.leave(f)
			}
			return ctx.Err()
		}
	}
}

// join returns the flight for key, started when there is none. dying says that it was given up and is only to be waited for.
func (g *group) join(ctx context.Context, key string, work func(context.Context) error) (f *flight, dying bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f = g.flights[key]; f != nil {
		if !f.dying {
			f.waiters++
		}
		return f, f.dying
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f = &flight{waiters: 1, cancel: cancel, done: make(chan struct{})}
	if g.flights == nil {
		g.flights = map[string]*flight{}
	}
	g.flights[key] = f
	go func() {
		err := work(own)
		cancel()
		g.mu.Lock()
		f.err = err
		delete(g.flights, key)
		g.mu.Unlock()
		close(f.done)
	}()
	return f, false
}

func (g *group) leave(f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.dying = true
		f.cancel()
	}
}

// active reports whether work for key goes on.
func (g *group) active(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flights[key] != nil
}
