package driver

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOrphan(t *testing.T) {
	t.Parallel()
	firsts, orphaned := 0, make(chan time.Duration, 10)
	c := newConnections(20*time.Millisecond, func() { firsts++ })
	defer c.close()
	c.onOrphan(func(d time.Duration) { orphaned <- d })
	require.Equal(t, 20*time.Millisecond, <-orphaned, "nobody ever came")

	var conns []net.Conn
	for range 2 {
		here, there := net.Pipe()
		defer there.Close()
		conn, _, err := c.Clone().ServerHandshake(here)
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	require.Equal(t, 1, firsts)
	require.NoError(t, conns[0].Close())
	_ = conns[0].Close() // gRPC may do so
	select {
	case <-orphaned:
		t.Fatal("an agent is still connected")
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, conns[1].Close())
	require.Equal(t, 20*time.Millisecond, <-orphaned)
}

func TestOrphanTimeout(t *testing.T) {
	d, err := orphanTimeout(0)
	require.NoError(t, err)
	require.Equal(t, defaultOrphanTimeout, d)
	d, err = orphanTimeout(time.Second)
	require.NoError(t, err)
	require.Equal(t, time.Second, d)
	t.Setenv(EnvOrphanTimeout, "2s")
	d, err = orphanTimeout(time.Second)
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, d)
	t.Setenv(EnvOrphanTimeout, "-1s")
	_, err = orphanTimeout(0)
	require.ErrorContains(t, err, EnvOrphanTimeout)
}
