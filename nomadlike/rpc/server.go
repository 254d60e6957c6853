package rpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Peer says who may call a method, when mutual TLS proves who calls. Without TLS everybody may.
type Peer uint8

// Peers.
const (
	AnyAgent   Peer = iota // any agent with a certificate of the cluster's authority
	ServerOnly             // an agent whose certificate has a DNS name that begins "server."
)

type handler struct {
	who    Peer
	unary  func(ctx context.Context, decode func(any) error) (any, error)
	local  func(ctx context.Context, req any) (any, error)
	stream func(ctx context.Context, s Stream) error
}

// Server answers calls. Methods are registered before Serve.
type Server struct {
	logger   hclog.Logger
	methods  map[string]*handler
	listener net.Listener
	tls      *TLS
	raft     chan net.Conn

	mu     sync.Mutex
	conns  map[io.Closer]struct{}
	closed bool
	wg     sync.WaitGroup
	ctx    context.Context // ends with Close: every handler's context derives from it
	cancel context.CancelFunc
}

// NewServer listens on addr. tlsConfig nil means plain TCP.
func NewServer(addr string, tlsConfig *TLS, logger hclog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("rpc: cannot listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{logger: logger.Named("rpc"), methods: map[string]*handler{}, listener: l, tls: tlsConfig, raft: make(chan net.Conn),
		conns: map[io.Closer]struct{}{}, ctx: ctx, cancel: cancel}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Handle registers a unary method. What a handler returns is shared with the caller when both are in one process: it is constant.
func Handle[Req, Resp any](s *Server, method string, who Peer, f func(ctx context.Context, req *Req) (*Resp, error)) {
	s.register(method, &handler{
		who: who,
		unary: func(ctx context.Context, decode func(any) error) (any, error) {
			req := new(Req)
			if err := decode(req); err != nil {
				return nil, structs.Errorf(structs.KindInvalid, "cannot decode the request of %s: %w", method, err)
			}
			return f(ctx, req)
		},
		local: func(ctx context.Context, req any) (any, error) { return f(ctx, req.(*Req)) },
	})
}

// HandleStream registers a method whose call goes on as a stream. The stream ends when f returns; its error reaches the caller.
func HandleStream(s *Server, method string, who Peer, f func(ctx context.Context, s Stream) error) {
	s.register(method, &handler{who: who, stream: f})
}

func (s *Server) register(method string, h *handler) {
	if _, taken := s.methods[method]; taken {
		panic("rpc: method registered twice: " + method)
	}
	s.methods[method] = h
}

// Serve accepts until Close.
func (s *Server) Serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return
			}
			s.logger.Error("cannot accept", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-s.ctx.Done():
				return
			}
		}
		if !s.track(conn) {
			return
		}
		go func() {
			defer s.wg.Done()
			s.serveConn(conn)
		}()
	}
}

// track remembers a connection for Close and counts its goroutine; it reports whether the server is still open.
func (s *Server) track(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) forget(c io.Closer) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// Close stops accepting, cancels every handler and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	conns := s.conns
	s.conns = map[io.Closer]struct{}{}
	s.mu.Unlock()
	s.cancel()
	_ = s.listener.Close()
	for c := range conns {
		_ = c.Close()
	}
	s.wg.Wait()
}

const handshakeTimeout = 10 * time.Second

func (s *Server) serveConn(raw net.Conn) {
	keep := false
	defer func() {
		s.forget(raw)
		if !keep {
			_ = raw.Close()
		}
	}()
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	conn, isServer := raw, true
	if s.tls != nil {
		tc := tls.Server(raw, s.tls.incoming())
		if err := tc.Handshake(); err != nil {
			s.logger.Warn("TLS handshake failed", "remote", raw.RemoteAddr().String(), "error", err)
			return
		}
		conn, isServer = tc, isServerCert(tc.ConnectionState())
	}
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	switch first[0] {
	case byteRaft:
		if !isServer {
			s.logger.Warn("a client tried to speak Raft", "remote", raw.RemoteAddr().String())
			return
		}
		select {
		case s.raft <- conn:
			keep = true // Raft closes it
		case <-s.ctx.Done():
		}
	case byteRPC:
		s.serveSession(conn, isServer)
	default:
		s.logger.Warn("unknown protocol on the RPC port; is TLS configured on one side only?", "first_byte", first[0], "remote", raw.RemoteAddr().String())
	}
}

func isServerCert(cs tls.ConnectionState) bool {
	if len(cs.PeerCertificates) == 0 {
		return false
	}
	for _, n := range cs.PeerCertificates[0].DNSNames {
		if strings.HasPrefix(n, "server.") {
			return true
		}
	}
	return false
}

func (s *Server) serveSession(conn net.Conn, isServer bool) {
	session, err := yamux.Server(conn, yamuxConfig())
	if err != nil {
		s.logger.Error("cannot start a session", "error", err)
		return
	}
	defer session.Close()
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		if !s.track(stream) {
			return
		}
		go func() {
			defer s.wg.Done()
			defer s.forget(stream)
			defer stream.Close()
			s.serveCall(stream, isServer)
		}()
	}
}

func (s *Server) serveCall(conn *yamux.Stream, isServer bool) {
	r, w := bufio.NewReader(conn), bufio.NewWriter(conn)
	var call callHeader
	if err := readFrame(r, &call); err != nil {
		return
	}
	h, ok := s.methods[call.Method]
	if !ok || h.who == ServerOnly && !isServer {
		err := structs.Errorf(structs.KindNotFound, "there is no RPC method %q", call.Method)
		if ok {
			err = structs.Errorf(structs.KindForbidden, "RPC method %q is for servers: the caller's certificate is a client's", call.Method)
		}
		_ = writeFrame(w, replyOf(err))
		_ = w.Flush()
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	if call.TimeoutMS > 0 {
		ctx, cancel = context.WithTimeout(s.ctx, time.Duration(call.TimeoutMS)*time.Millisecond)
	}
	defer cancel()
	if h.stream != nil {
		s.serveStream(ctx, cancel, call.Method, h, conn, r, w)
		return
	}
	var value any
	err := s.guard(call.Method, func() (err error) {
		value, err = h.unary(ctx, func(v any) error {
			err := readFrame(r, v)
			go func() { // the request is read: another byte never comes, but the caller's going away does
				_, _ = r.ReadByte()
				cancel()
			}()
			return err
		})
		return err
	})
	if writeFrame(w, replyOf(err)) == nil && err == nil {
		_ = writeFrame(w, value)
	}
	_ = w.Flush()
}

// guard turns a handler's panic into an error, so that one bad request does not end the agent.
func (s *Server) guard(method string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("panic in an RPC handler", "method", method, "panic", p, "stack", string(debug.Stack()))
			err = structs.Errorf(structs.KindInternal, "%s failed inside; the server's log says more", method)
		}
	}()
	return f()
}

// sendGrace is how long what a stream's handler still has to say may take once its caller has gone or its time is up.
const sendGrace = time.Second

func (s *Server) serveStream(ctx context.Context, cancel context.CancelFunc, method string, h *handler, conn *yamux.Stream, r *bufio.Reader, w *bufio.Writer) {
	st := newNetStream(conn, r, w, cancel)
	st.ctx, st.ahead = ctx, make(chan received, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		st.readAhead()
	}()
	stop := context.AfterFunc(ctx, func() { // a Send whose caller reads no more knows nothing of ctx: yamux itself would wait for minutes
		_ = conn.SetWriteDeadline(time.Now().Add(sendGrace))
	})
	err := s.guard(method, func() error { return h.stream(ctx, st) })
	st.finish(err)
	stop()
	cancel()
	_ = conn.SetReadDeadline(time.Now())
	<-done
}

// CallLocal calls a method of this process without encoding. It is not for stream methods.
func (s *Server) CallLocal(ctx context.Context, method string, req any) (any, error) {
	h, ok := s.methods[method]
	if !ok || h.local == nil {
		return nil, structs.Errorf(structs.KindNotFound, "there is no RPC method %q", method)
	}
	return h.local(ctx, req)
}

// StreamLocal opens a stream to a method of this process.
func (s *Server) StreamLocal(ctx context.Context, method string) (Stream, error) {
	h, ok := s.methods[method]
	if !ok || h.stream == nil {
		return nil, structs.Errorf(structs.KindNotFound, "there is no RPC stream method %q", method)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	here, there, sctx := newLocalPair(ctx, s.ctx)
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		there.finish(s.guard(method, func() error { return h.stream(sctx, there) }))
	}()
	return here, nil
}

var errClosed = structs.Errorf(structs.KindUnavailable, "this agent is shutting down")

// RaftLayer returns the stream layer that Raft's transport listens and dials on.
func (s *Server) RaftLayer(pool *Pool, advertise net.Addr) *RaftLayer {
	return &RaftLayer{s: s, pool: pool, addr: advertise, conns: map[*raftConn]struct{}{}, closed: make(chan struct{})}
}

// RaftLayer is raft.StreamLayer over the one port.
type RaftLayer struct {
	s    *Server
	pool *Pool
	addr net.Addr

	mu     sync.Mutex
	conns  map[*raftConn]struct{}
	closed chan struct{}
}

// raftConn is a connection that Close of the layer breaks.
type raftConn struct {
	net.Conn
	l *RaftLayer
}

func (c *raftConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}

func (l *RaftLayer) keep(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		_ = conn.Close()
		return nil, errClosed
	default:
	}
	c := &raftConn{conn, l}
	l.conns[c] = struct{}{}
	return c, nil
}

// Accept waits for a Raft connection.
func (l *RaftLayer) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.raft:
		return l.keep(c)
	case <-l.closed:
		return nil, errClosed
	case <-l.s.ctx.Done():
		return nil, errClosed
	}
}

// Close breaks Raft's connections. The port is the server's and stays open. Raft itself closes no connection that is in use, and would wait for the
// answer of a server that is cut off until its own timeout.
func (l *RaftLayer) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.closed:
		return nil
	default:
	}
	close(l.closed)
	for c := range l.conns {
		_ = c.Conn.Close()
	}
	clear(l.conns)
	return nil
}

// Addr is the address that other servers reach this one at.
func (l *RaftLayer) Addr() net.Addr { return l.addr }
