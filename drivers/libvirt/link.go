package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

const (
	// slowTimeout is the deadline of calls that may rightly take long: QEMU's start on a busy host, its end, and writing
	// or reading a guest's memory.
	slowTimeout = 10 * time.Minute
	// slowCalls is how many of them run at a time; one less than libvirtd takes.
	slowCalls = 4
)

// errNoHandshake says that something listens on the socket and does not speak.
var errNoHandshake = errors.New("it accepts connections and does not answer")

var errClosed = errors.New("the driver was closed or configured anew")

// link is a connection to libvirtd, made when it is first needed and again after it was lost. Calls share it: libvirt
// answers them in any order, though it works on a few of one connection at a time only (max_client_requests, 5 by
// default). So the driver has two links: one for calls that are done at once, and one for those that may take minutes,
// with a limit of its own, so that neither the sign of life nor an Inspect ever queues behind a guest's memory.
type link struct {
	socket, uri string
	connecting  time.Duration // deadline of dialling and of libvirt's opening handshake
	timeout     time.Duration // of a call
	slots       chan struct{} // one token for each call under way; nil for no limit

	mu      sync.Mutex // guards what follows; never held over I/O
	current *session
	pending *attempt
	closed  bool
}

// attempt is a connection being made; everybody who wants one waits for the same.
type attempt struct {
	done    chan struct{}
	session *session // after done; nil when err is set
	err     error
}

// session is one connection from its handshake to its end.
type session struct {
	*golibvirt.Libvirt
	conn *watchedConn
}

// watchedConn tells when it is over, by either side's doing. go-libvirt's own Disconnected is not used: the channel that
// it returns is replaced during the handshake, without a lock.
type watchedConn struct {
	net.Conn
	once sync.Once
	over chan struct{}
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.end()
	return c.Conn.Close()
}

func (c *watchedConn) end() { c.once.Do(func() { close(c.over) }) }

// Dial makes watchedConn the dialer that hands itself to go-libvirt.
func (c *watchedConn) Dial() (net.Conn, error) { return c, nil }

func (s *session) over() <-chan struct{} { return s.conn.over }

func (s *session) alive() bool {
	select {
	case <-s.conn.over:
		return false
	default:
		return true
	}
}

// drop ends the connection; every call that waits on it returns. go-libvirt's Disconnect is no use for that: it asks
// libvirtd first, and a hung one never answers.
func (s *session) drop() {
	// The error of closing a connection that is given up says nothing.
	_ = s.conn.Close()
}

func newLink(cfg *Config) *link {
	timeout := time.Duration(cfg.CallTimeout)
	return &link{socket: cfg.Socket, uri: cfg.URI, connecting: timeout, timeout: timeout}
}

func newSlowLink(cfg *Config) *link {
	l := newLink(cfg)
	l.timeout, l.slots = slowTimeout, make(chan struct{}, slowCalls)
	return l
}

// enter waits for a slot.
func (l *link) enter(ctx context.Context) error {
	if l.slots == nil {
		return nil
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *link) leave() {
	if l.slots != nil {
		<-l.slots
	}
}

// session returns the connection, made anew when there is none. Errors: ErrUnavailable, or ctx's.
func (l *link) session(ctx context.Context) (*session, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, unreachable(l.socket, errClosed)
	}
	if s := l.current; s != nil && s.alive() {
		l.mu.Unlock()
		return s, nil
	}
	a := l.pending
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		l.pending = a
		go l.connect(a)
	}
	l.mu.Unlock()
	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect carries out one attempt. It takes no caller's context: one caller that gives up must not fail the others.
func (l *link) connect(a *attempt) {
	s, err := dial(l.socket, l.uri, l.connecting)
	l.mu.Lock()
	if err == nil && l.closed {
		s.drop()
		s, err = nil, errClosed
	}
	l.current, l.pending = s, nil
	l.mu.Unlock()
	a.session = s
	if err != nil {
		a.err = unreachable(l.socket, err)
	}
	close(a.done)
}

func dial(socket, uri string, timeout time.Duration) (*session, error) {
	raw, err := net.DialTimeout("unix", socket, timeout)
	if err != nil {
		return nil, err
	}
	conn := &watchedConn{Conn: raw, over: make(chan struct{})}
	s := &session{Libvirt: golibvirt.NewWithDialer(conn), conn: conn}
	var late atomic.Bool
	timer := time.AfterFunc(timeout, func() {
		late.Store(true)
		s.drop()
	})
	defer timer.Stop()
	err = s.ConnectToURI(golibvirt.ConnectURI(uri))
	if err == nil {
		_, err = s.ConnectGetLibVersion()
	}
	if err != nil {
		s.drop()
		if late.Load() {
			err = fmt.Errorf("%w within %s", errNoHandshake, timeout)
		}
		return nil, err
	}
	return s, nil
}

// close ends the link for good; calls in flight return ErrUnavailable.
func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	s := l.current
	l.mu.Unlock()
	if s != nil {
		s.drop()
	}
}

// call runs one libvirt call under the link's deadline. It returns when the call does, when ctx ends, or when the
// deadline passes, whichever is first. After ctx's end the call itself goes on until its deadline; its result is lost,
// which the callers' idempotence allows. what names the call for errors.
func call[T any](ctx context.Context, l *link, what string, f func(*session) (T, error)) (T, error) {
	var none T
	s, err := l.session(ctx)
	if err != nil {
		return none, err
	}
	if err := l.enter(ctx); err != nil {
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	var late atomic.Bool
	go func() {
		defer l.leave()
		timer := time.AfterFunc(l.timeout, func() {
			late.Store(true)
			s.drop()
		})
		defer timer.Stop()
		value, err := f(s)
		done <- result{value, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-s.over():
		// The call returns by itself a moment later, unless go-libvirt missed that the connection ended.
		select {
		case r = <-done:
		case <-time.After(time.Second):
			r.err = errLostConnection
		}
	}
	if r.err != nil && late.Load() {
		return none, lateError(what, l.timeout)
	}
	return r.value, libvirtError(what, r.err)
}

func lateError(what string, timeout time.Duration) error {
	failure := driver.Errorf(driver.KindTimeout, "%s: libvirtd did not answer within %s, its connection was dropped; "+
		"look at libvirtd's log, and restart it when this goes on (guests run on)", what, timeout)
	failure.Retryable = true
	return failure
}

// do is call for what returns nothing but an error.
func do(ctx context.Context, l *link, what string, f func(*session) error) error {
	_, err := call(ctx, l, what, func(s *session) (struct{}, error) { return struct{}{}, f(s) })
	return err
}
