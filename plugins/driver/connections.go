package driver

import (
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// connections counts the agents connected to a plugin, and calls orphan when there has been none for a time. It is a gRPC
// transport credential because that is where a server shows its connections at no cost to a call.
type connections struct {
	credentials.TransportCredentials
	timeout time.Duration
	first   func() // called once, before the first connection is served

	once   sync.Once
	mu     sync.Mutex
	open   int
	timer  *time.Timer
	orphan func(time.Duration)
}

func newConnections(timeout time.Duration, first func()) *connections {
	return &connections{TransportCredentials: insecure.NewCredentials(), timeout: timeout, first: first}
}

// onOrphan starts the count.
func (c *connections) onOrphan(f func(idle time.Duration)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orphan = f
	c.armLocked(min(c.timeout, unclaimedTimeout))
}

func (c *connections) armLocked(after time.Duration) {
	c.timer = time.AfterFunc(after, func() {
		c.mu.Lock()
		idle := c.open == 0
		c.mu.Unlock()
		if idle {
			c.orphan(after)
		}
	})
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *connections) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c.once.Do(c.first)
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	c.open++
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	return &countedConn{Conn: conn, of: c}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (c *connections) Clone() credentials.TransportCredentials { return c }

type countedConn struct {
	net.Conn
	of   *connections
	once sync.Once
}

// Close implements net.Conn; gRPC may close a connection more than once.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.of.open--
		if c.of.open == 0 && c.of.orphan != nil {
			c.of.armLocked(c.of.timeout)
		}
	})
	return err
}
