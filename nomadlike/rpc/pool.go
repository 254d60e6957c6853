package rpc

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/yamux"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Pool calls other agents, over one session per address.
type Pool struct {
	tls *TLS

	mu       sync.Mutex
	sessions map[string]*session
	local    map[string]*Server // addresses that are this process
	closed   bool
	dialer   Dialer
	anyAgent bool  // calls go to agents that need not be servers
	clients  *Pool // see Clients; nil until it is asked for
}

// Dialer connects to an agent's RPC port.
type Dialer func(ctx context.Context, addr string) (net.Conn, error)

// session is one address's connection, made by the first caller while the others wait.
type session struct {
	ready chan struct{}
	conn  *yamux.Session
	err   error
}

// NewPool returns a pool. tlsConfig nil means plain TCP.
func NewPool(tlsConfig *TLS) *Pool {
	return &Pool{tls: tlsConfig, sessions: map[string]*session{}, local: map[string]*Server{}, dialer: dialTCP}
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
}

// SetDialer puts something between this agent and all others before the pool is used: tests have a network there that they can cut.
func (p *Pool) SetDialer(d Dialer) { p.dialer = d }

// SetLocal makes calls to addr go straight to a server of this process.
func (p *Pool) SetLocal(addr string, s *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.local[addr] = s
}

// Clients returns the pool for calls to compute hosts. p's own calls are for servers alone where TLS checks the called agent's name; a host's agent has a
// client's certificate of the same authority. It is closed with p.
func (p *Pool) Clients() *Pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients == nil {
		p.clients = &Pool{tls: p.tls, sessions: map[string]*session{}, local: p.local, dialer: p.dialer, anyAgent: true, closed: p.closed}
	}
	return p.clients
}

// Close drops all sessions; calls under way fail with KindUnavailable.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.clients != nil {
		p.clients.Close()
	}
	for _, s := range p.sessions {
		select {
		case <-s.ready:
			if s.conn != nil {
				_ = s.conn.Close()
			}
		default:
		}
	}
}

func yamuxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard
	c.KeepAliveInterval = 10 * time.Second
	c.ConnectionWriteTimeout = 10 * time.Second
	c.MaxStreamWindowSize = 1 << 20
	c.AcceptBacklog = 1024
	return c
}

// dial connects and says which protocol follows.
func (p *Pool) dial(ctx context.Context, addr string, first byte) (net.Conn, error) {
	conn, err := p.dialer(ctx, addr)
	if err != nil {
		return nil, err
	}
	if p.tls != nil {
		tc := tls.Client(conn, p.tls.outgoing(p.anyAgent))
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = tc
	}
	_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte{first}); err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return conn, nil
}

func (p *Pool) session(ctx context.Context, addr string) (*yamux.Session, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	s, ok := p.sessions[addr]
	if ok {
		select {
		case <-s.ready:
			if s.err != nil || s.conn.IsClosed() {
				ok = false
			}
		default:
		}
	}
	if !ok {
		s = &session{ready: make(chan struct{})}
		p.sessions[addr] = s
		go p.connect(addr, s)
	}
	p.mu.Unlock()
	select {
	case <-s.ready:
		return s.conn, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect has a time of its own: the first caller's context may end while others wait.
func (p *Pool) connect(addr string, s *session) {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	defer close(s.ready)
	conn, err := p.dial(ctx, addr, byteRPC)
	if err == nil {
		s.conn, err = yamux.Client(conn, yamuxConfig())
	}
	if err != nil {
		s.err = err
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = s.conn.Close()
		s.conn, s.err = nil, errClosed
	}
}

func (p *Pool) localServer(addr string) *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local[addr]
}

func unavailable(addr string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return structs.Errorf(structs.KindTimeout, "no answer from %s in time", addr)
	}
	if errors.Is(err, context.Canceled) {
		return structs.Errorf(structs.KindTimeout, "given up waiting for %s: %w", addr, err)
	}
	return structs.Errorf(structs.KindUnavailable, "cannot reach %s: %w", addr, err)
}

// open begins a call with what the buffer holds. yamux opens and writes without a context, and waits ten seconds where the connection takes no more
// bytes; so that is done on the side, and left to itself when ctx ends first. The stream is closed when ctx ends.
func (p *Pool) open(ctx context.Context, addr string, first []byte) (*yamux.Stream, error) {
	sess, err := p.session(ctx, addr)
	if err != nil {
		return nil, unavailable(addr, err)
	}
	type opened struct {
		conn *yamux.Stream
		err  error
	}
	c := make(chan opened, 1)
	go func() {
		conn, err := sess.OpenStream()
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()); _ = conn.Close() }) // in this order: closing may take long
			_, err = conn.Write(first)
		}
		c <- opened{conn, err}
	}()
	select {
	case o := <-c:
		if o.err != nil {
			return nil, unavailable(addr, cmp.Or(ctx.Err(), o.err))
		}
		return o.conn, nil
	case <-ctx.Done():
		return nil, unavailable(addr, ctx.Err())
	}
}

// head is the encoded beginning of a call.
func head(ctx context.Context, method string, values ...any) ([]byte, error) {
	h := callHeader{Method: method}
	if dl, ok := ctx.Deadline(); ok {
		h.TimeoutMS = max(1, time.Until(dl).Milliseconds())
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	for _, v := range append([]any{h}, values...) {
		if err := writeFrame(w, v); err != nil {
			return nil, structs.Errorf(structs.KindInternal, "encode a call of %s: %w", method, err)
		}
	}
	_ = w.Flush() // into memory
	return b.Bytes(), nil
}

// Call calls a unary method of the agent at addr. KindUnavailable and KindTimeout say that it may or may not have been carried out.
func Call[Resp any](ctx context.Context, p *Pool, addr, method string, req any) (*Resp, error) {
	if addr == "" {
		return nil, structs.Errorf(structs.KindUnavailable, "nobody to call for %s: the address is not known yet", method)
	}
	if s := p.localServer(addr); s != nil {
		v, err := s.CallLocal(ctx, method, req)
		if err != nil {
			return nil, err
		}
		return v.(*Resp), nil
	}
	first, err := head(ctx, method, req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the stream
	conn, err := p.open(ctx, addr, first)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp := new(Resp)
	err = func() error {
		var h replyHeader
		if err := readFrame(r, &h); err != nil {
			return err
		}
		if err := h.err(); err != nil {
			return err
		}
		return readFrame(r, resp)
	}()
	if err == nil {
		return resp, nil
	}
	var typed *structs.Error
	if errors.As(err, &typed) {
		return nil, err
	}
	return nil, unavailable(addr, cmp.Or(ctx.Err(), err))
}

// OpenStream calls a stream method of the agent at addr. The stream ends with ctx at the latest.
func (p *Pool) OpenStream(ctx context.Context, addr, method string) (Stream, error) {
	if s := p.localServer(addr); s != nil {
		return s.StreamLocal(ctx, method)
	}
	first, err := head(ctx, method)
	if err != nil {
		return nil, err
	}
	sctx, cancel := context.WithCancel(ctx)
	conn, err := p.open(sctx, addr, first)
	if err != nil {
		cancel()
		return nil, err
	}
	return newNetStream(conn, bufio.NewReader(conn), bufio.NewWriter(conn), cancel), nil
}

// Dial makes a Raft connection.
func (l *RaftLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, errClosed
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := l.pool.dial(ctx, string(addr), byteRaft)
	if err != nil {
		return nil, err
	}
	return l.keep(conn)
}
