package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// httpServer is the HTTP port.
type httpServer struct {
	listener net.Listener
	srv      *http.Server
	errs     chan error
	cancel   context.CancelFunc         // ends every request's context
	tls      atomic.Pointer[tls.Config] // for connections to come; nil without TLS

	mu    sync.Mutex
	fresh map[net.Conn]struct{} // accepted, and nothing was asked over them yet
}

func (h *httpServer) failed() <-chan error {
	if h == nil {
		return nil
	}
	return h.errs
}

// serve begins to answer what comes over l.
func (h *httpServer) serve(l net.Listener, handler http.Handler, logger hclog.Logger) {
	// No write timeout: uploads and the event stream take as long as they take. Headers and idle connections are bounded.
	base, cancel := context.WithCancel(context.Background())
	h.cancel, h.fresh = cancel, map[net.Conn]struct{}{}
	h.srv = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ConnState: h.track,
		ErrorLog:    logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		BaseContext: func(net.Listener) context.Context { return base }}
	go func() {
		if err := h.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			h.errs <- err
		}
	}()
}

func (h *httpServer) track(c net.Conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if state == http.StateNew {
		h.fresh[c] = struct{}{}
	} else {
		delete(h.fresh, c)
	}
}

const (
	// freshGrace is for a request that is on its way over a new connection when the end begins, and for the handshake before it.
	freshGrace = 200 * time.Millisecond
	// streamGrace: streams go on for ever by themselves. They are told to end when the ordinary requests have had a moment.
	streamGrace = 500 * time.Millisecond
	// lastGrace is for everything; what is under way then is cut off.
	lastGrace = 3 * time.Second
)

// awaitFresh gives connections that are new a moment to bring their request: from the beginning of Shutdown on net/http answers none that it has not
// read yet.
func (h *httpServer) awaitFresh() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(freshGrace); time.Now().Before(end); <-tick.C {
		h.mu.Lock()
		n := len(h.fresh)
		h.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

// closeFresh closes connections over which nothing was asked. Clients open some in advance; Shutdown takes them for idle only when they are 5 s old.
func (h *httpServer) closeFresh() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.fresh {
		_ = c.Close()
	}
}

// close takes no more connections and waits for the requests under way. The error is that some had to be cut off.
func (h *httpServer) close() error {
	if h.srv == nil {
		return h.listener.Close()
	}
	defer h.cancel()
	defer time.AfterFunc(streamGrace, h.cancel).Stop()
	_ = h.listener.Close()
	h.srv.SetKeepAlivesEnabled(false) // closes what is idle
	h.awaitFresh()
	ctx, cancel := context.WithTimeout(context.Background(), lastGrace)
	defer cancel()
	h.srv.RegisterOnShutdown(h.closeFresh)
	if err := h.srv.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = h.srv.Close()
		return fmt.Errorf("they had not ended after %s: %w", lastGrace, err)
	}
	return nil
}
