package rpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"reflect"
	"sync"

	"github.com/hashicorp/yamux"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Stream carries values both ways. Send and Recv may be used by one goroutine each. Recv returns io.EOF when the other side ended without an error.
type Stream interface {
	// Send sends a pointer to a value, which is constant from then on.
	Send(v any) error
	// Recv receives into a pointer of the type that was sent.
	Recv(v any) error
	// Close ends the stream from this side; the other side's context ends.
	Close()
}

// part tells a value from the end in a stream over the network.
type part struct {
	End   bool        `codec:"e"`
	Reply replyHeader `codec:"r"`
}

type netStream struct {
	conn   *yamux.Stream
	r      *bufio.Reader
	w      *bufio.Writer
	cancel context.CancelFunc
	wmu    sync.Mutex
	ended  bool
	ctx    context.Context // the handler's; nil on the caller's side
	ahead  chan received   // what readAhead read; nil when Recv reads itself
}

// received is a value's frame, or how the other side ended.
type received struct {
	frame []byte
	err   error
}

func newNetStream(conn *yamux.Stream, r *bufio.Reader, w *bufio.Writer, cancel context.CancelFunc) *netStream {
	return &netStream{conn: conn, r: r, w: w, cancel: cancel}
}

// readAhead reads one value before it is asked for, so that a handler which only sends learns through its context that the caller went away. It returns
// when nothing more can be read, or ctx ended.
func (s *netStream) readAhead() {
	for {
		frame, err := s.read()
		select {
		case s.ahead <- received{frame, err}:
		case <-s.ctx.Done():
			return
		}
		if err != nil {
			s.cancel()
			return
		}
	}
}

// next is read, or what readAhead has read.
func (s *netStream) next() ([]byte, error) {
	if s.ahead == nil {
		return s.read()
	}
	select {
	case got := <-s.ahead:
		return got.frame, got.err
	default:
	}
	select {
	case got := <-s.ahead:
		return got.frame, got.err
	case <-s.ctx.Done():
		return nil, structs.Errorf(structs.KindUnavailable, "stream ended: %w", s.ctx.Err())
	}
}

func (s *netStream) Send(v any) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.ended {
		return io.ErrClosedPipe
	}
	if err := writeFrame(s.w, part{}); err != nil {
		return err
	}
	if err := writeFrame(s.w, v); err != nil {
		return err
	}
	return s.w.Flush()
}

func (s *netStream) Recv(v any) error {
	frame, err := s.next()
	if err != nil {
		return err
	}
	return structs.Decode(frame, v)
}

// read reads the next value's frame. The error is what Recv returns.
func (s *netStream) read() ([]byte, error) {
	var p part
	err := readFrame(s.r, &p)
	if err == nil && p.End {
		if err := p.Reply.err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	var frame []byte
	if err == nil {
		frame, err = readBytes(s.r)
	}
	if err == nil {
		return frame, nil
	}
	s.cancel()
	if errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrStreamClosed) {
		return nil, structs.Errorf(structs.KindUnavailable, "the other side went away")
	}
	return nil, structs.Errorf(structs.KindUnavailable, "stream broken: %w", err)
}

// finish ends the handler's side with its error.
func (s *netStream) finish(err error) {
	s.wmu.Lock()
	if !s.ended {
		s.ended = true
		if writeFrame(s.w, part{End: true, Reply: replyOf(err)}) == nil {
			_ = s.w.Flush()
		}
	}
	s.wmu.Unlock()
}

func (s *netStream) Close() {
	s.cancel()
	_ = s.conn.Close()
}

// localStream is one end of a stream within the process: values pass as pointers.
type localStream struct {
	in, out chan any
	ctx     context.Context // of both ends
	cancel  context.CancelFunc
	result  chan error // the handler's, sent once
	final   error
	ended   bool
}

func newLocalPair(caller, server context.Context) (here, there *localStream, ctx context.Context) {
	ctx, cancel := context.WithCancel(caller)
	stop := context.AfterFunc(server, cancel)
	a, b := make(chan any, 16), make(chan any, 16)
	result := make(chan error, 1)
	end := func() { stop(); cancel() }
	here = &localStream{in: a, out: b, ctx: ctx, cancel: end, result: result}
	there = &localStream{in: b, out: a, ctx: ctx, cancel: end, result: result}
	return here, there, ctx
}

func (s *localStream) Send(v any) error {
	select {
	case s.out <- v:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *localStream) Recv(v any) error {
	if s.ended {
		return s.final
	}
	select {
	case got := <-s.in:
		return assign(v, got)
	default:
	}
	select {
	case got := <-s.in:
		return assign(v, got)
	case err := <-s.result:
		select { // what was sent before the end
		case got := <-s.in:
			s.result <- err
			return assign(v, got)
		default:
		}
		s.ended, s.final = true, err
		if err == nil {
			s.final = io.EOF
		}
		return s.final
	case <-s.ctx.Done():
		return structs.Errorf(structs.KindUnavailable, "stream ended: %w", s.ctx.Err())
	}
}

func assign(dst, src any) error {
	d, s := reflect.ValueOf(dst), reflect.ValueOf(src)
	if s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if d.Kind() != reflect.Pointer || !s.Type().AssignableTo(d.Elem().Type()) {
		return structs.Errorf(structs.KindInternal, "rpc: cannot receive %T into %T", src, dst)
	}
	d.Elem().Set(s)
	return nil
}

func (s *localStream) finish(err error) { s.result <- err }

func (s *localStream) Close() { s.cancel() }
