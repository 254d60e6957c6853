package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
)

// faultNet is the network between the servers of a test cluster: a TCP proxy for each ordered pair, through which all RPC and Raft traffic goes.
// What flows from one server to another can be held back (a black hole: connections stay, nothing arrives) or refused (connections break).
// Gossip does not go through it: that members are alive to Serf must not help anybody.
type faultNet struct {
	t  testing.TB
	mu sync.Mutex
	// flows is keyed by who sends and who receives, whoever dialled.
	flows     map[[2]string]*flow
	listeners map[[2]string]net.Listener // by who dials and the address dialled
	names     map[string]string          // server by address
	counts    map[string]int             // by "sender method"
	wg        sync.WaitGroup
	closed    chan struct{}
}

type flowMode int

const (
	passing flowMode = iota
	held
	refused
)

type flow struct {
	mode    flowMode
	changed chan struct{}
	conns   map[net.Conn]struct{}
}

// counted are the methods whose calls the proxies count.
var counted = []string{"Evaluation.Dequeue", "Plan.Submit", "Raft.Propose", "Raft.ReadIndex"}

func newFaultNet(t testing.TB) *faultNet {
	n := &faultNet{t: t, flows: map[[2]string]*flow{}, listeners: map[[2]string]net.Listener{}, names: map[string]string{}, counts: map[string]int{},
		closed: make(chan struct{})}
	t.Cleanup(func() {
		n.mu.Lock()
		close(n.closed)
		for _, l := range n.listeners {
			_ = l.Close()
		}
		for _, f := range n.flows {
			for c := range f.conns {
				_ = c.Close()
			}
		}
		n.mu.Unlock()
		n.wg.Wait()
	})
	return n
}

func (n *faultNet) flow(from, to string) *flow {
	k := [2]string{from, to}
	if n.flows[k] == nil {
		n.flows[k] = &flow{changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	}
	return n.flows[k]
}

// set changes what flows from one server to another.
func (n *faultNet) set(from, to string, m flowMode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.flow(from, to)
	f.mode = m
	close(f.changed)
	f.changed = make(chan struct{})
	if m == refused {
		for c := range f.conns {
			_ = c.Close()
		}
	}
}

// dialer is the Dialer of the named server.
func (n *faultNet) dialer(from string) rpc.Dialer {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		proxy, err := n.proxy(from, addr)
		if err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", proxy)
	}
}

// proxy returns where from's connections to addr go through; it refuses when either direction is.
func (n *faultNet) proxy(from, addr string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	to, known := n.names[addr]
	if !known {
		return addr, nil
	}
	select {
	case <-n.closed:
		return "", net.ErrClosed
	default:
	}
	if n.flow(from, to).mode == refused || n.flow(to, from).mode == refused {
		return "", fmt.Errorf("the test's network refuses connections from %s to %s", from, to)
	}
	k := [2]string{from, addr}
	if l := n.listeners[k]; l != nil {
		return l.Addr().String(), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	n.listeners[k] = l
	n.wg.Add(1)
	go n.accept(l, from, to, addr)
	return l.Addr().String(), nil
}

func (n *faultNet) accept(l net.Listener, from, to, addr string) {
	defer n.wg.Done()
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", addr)
		if err != nil {
			_ = in.Close()
			continue
		}
		n.mu.Lock()
		for _, f := range []*flow{n.flow(from, to), n.flow(to, from)} {
			f.conns[in], f.conns[out] = struct{}{}, struct{}{}
		}
		n.wg.Add(2)
		n.mu.Unlock()
		go n.pump(in, out, from, to)
		go n.pump(out, in, to, from)
	}
}

// pump carries what from says to to, and ends both connections when either ends.
func (n *faultNet) pump(src, dst net.Conn, from, to string) {
	defer n.wg.Done()
	defer func() {
		_, _ = src.Close(), dst.Close()
		n.mu.Lock()
		delete(n.flow(from, to).conns, src)
		delete(n.flow(from, to).conns, dst)
		n.mu.Unlock()
	}()
	buf := make([]byte, 32<<10)
	for {
		k, err := src.Read(buf)
		if err != nil || !n.mayPass(from, to) {
			return
		}
		n.count(from, buf[:k])
		if _, err := dst.Write(buf[:k]); err != nil {
			return
		}
	}
}

// mayPass waits until the flow is not held.
func (n *faultNet) mayPass(from, to string) bool {
	for {
		n.mu.Lock()
		f := n.flow(from, to)
		mode, changed := f.mode, f.changed
		n.mu.Unlock()
		if mode != held {
			return mode == passing
		}
		select {
		case <-changed:
		case <-n.closed:
			return false
		}
	}
}

func (n *faultNet) count(from string, b []byte) {
	for _, m := range counted {
		if k := bytes.Count(b, []byte(m)); k > 0 {
			n.mu.Lock()
			n.counts[from+" "+m] += k
			n.mu.Unlock()
		}
	}
}

// calls is how often the server called the method of another one. (A name that is split between two reads is missed; the figure is a lower bound.)
func (n *faultNet) calls(from, method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts[from+" "+method]
}

// isolate sets all flows to and from a server.
func (n *faultNet) isolate(c *testCluster, m *member, out, in flowMode) {
	for _, x := range c.members {
		if x != m {
			n.set(string(m.id), string(x.id), out)
			n.set(string(x.id), string(m.id), in)
		}
	}
}

func (n *faultNet) heal(c *testCluster) {
	for _, a := range c.members {
		for _, b := range c.members {
			if a != b {
				n.set(string(a.id), string(b.id), passing)
			}
		}
	}
}
