package cluster

import (
	"context"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// shared lets many callers share one answer. An answer serves only those who asked before the question went out: sharing one
// that is already on its way would let a read miss a write that was acknowledged meanwhile.
type shared[T any] struct {
	queue  chan chan answer[T]
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

type answer[T any] struct {
	value T
	err   error
}

func newShared[T any](question func(context.Context) (T, error)) *shared[T] {
	s := &shared[T]{queue: make(chan chan answer[T], 4096), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.run(question)
	return s
}

func (s *shared[T]) stop() {
	s.cancel()
	<-s.done
}

func (s *shared[T]) run(question func(context.Context) (T, error)) {
	defer close(s.done)
	for {
		var waiting []chan answer[T]
		select {
		case c := <-s.queue:
			waiting = append(waiting, c)
		case <-s.ctx.Done():
			return
		}
	more:
		for {
			select {
			case c := <-s.queue:
				waiting = append(waiting, c)
			default:
				break more
			}
		}
		v, err := question(s.ctx)
		for _, c := range waiting {
			c <- answer[T]{v, err}
		}
	}
}

func (s *shared[T]) ask(ctx context.Context) (T, error) {
	var zero T
	c := make(chan answer[T], 1)
	select {
	case s.queue <- c:
	case <-ctx.Done():
		return zero, structs.Errorf(structs.KindTimeout, "no answer in time")
	}
	select {
	case a := <-c:
		return a.value, a.err
	case <-ctx.Done():
		return zero, structs.Errorf(structs.KindTimeout, "the leader did not answer in time")
	case <-s.ctx.Done():
		return zero, structs.Errorf(structs.KindUnavailable, "this server is shutting down")
	}
}
