package rpc

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// blackHole accepts connections and reads nothing, as a machine does that stands still.
func blackHole(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns := make(chan net.Conn, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			conns <- c
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		close(conns)
		for c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// A call ends with its context, also when the other side's machine stands still and the connection takes no more bytes: yamux itself would wait ten
// seconds for each write. The same for the opening of a stream.
func TestCallsEndOnAStuckConnection(t *testing.T) {
	t.Parallel()
	addr := blackHole(t)
	p := NewPool(nil)
	defer p.Close()
	big := &echo{Text: string(make([]byte, 200<<10))}
	call := func(v *echo) time.Duration {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := Call[echo](ctx, p, addr, "Echo", v)
		require.True(t, structs.IsKind(err, structs.KindTimeout), "%v", err)
		return time.Since(began)
	}
	for range 40 { // more than the kernel buffers
		require.Less(t, call(big), 2*time.Second)
	}
	require.Less(t, call(&echo{}), 2*time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := p.OpenStream(ctx, addr, "Count")
	require.True(t, structs.IsKind(err, structs.KindTimeout), "%v", err)
	require.Less(t, time.Since(began), 2*time.Second)
}

// Closing the Raft layer breaks Raft's connections in both directions: what Raft has on its way to a server that does not answer ends at once, and nothing stays behind.
func TestRaftLayerCloseBreaksConnections(t *testing.T) {
	t.Parallel()
	start := func() (*Server, *RaftLayer) {
		s, err := NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
		require.NoError(t, err)
		t.Cleanup(s.Close)
		go s.Serve()
		return s, s.RaftLayer(NewPool(nil), s.Addr())
	}
	_, la := start()
	b, lb := start()
	out, err := la.Dial(raft.ServerAddress(b.Addr().String()), time.Second)
	require.NoError(t, err)
	in, err := lb.Accept()
	require.NoError(t, err)
	ended := make(chan error, 2)
	for _, c := range []net.Conn{out, in} {
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
	}
	accepting := make(chan error, 1)
	go func() {
		_, err := la.Accept()
		accepting <- err
	}()
	require.NoError(t, la.Close())
	require.Error(t, <-accepting)
	require.Error(t, <-ended)
	require.Error(t, <-ended)
	_, err = la.Dial(raft.ServerAddress(b.Addr().String()), time.Second)
	require.Error(t, err)

	// The accepting side's close.
	_, lc := start()
	out, err = lc.Dial(raft.ServerAddress(b.Addr().String()), time.Second)
	require.NoError(t, err)
	in, err = lb.Accept()
	require.NoError(t, err)
	_, err = out.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(in, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, lb.Close())
	_, err = out.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, lc.Close())
}

// A handler that sends more than its caller reads ends when the caller goes away.
func TestSendEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s, err := NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
	require.NoError(t, err)
	t.Cleanup(s.Close)
	sent, ended := make(chan struct{}, 1), make(chan error, 1)
	HandleStream(s, "Flood", AnyAgent, func(_ context.Context, st Stream) error {
		for {
			err := st.Send(&echo{Text: string(make([]byte, 64<<10))})
			if err != nil {
				ended <- err
				return err
			}
			select {
			case sent <- struct{}{}:
			default:
			}
		}
	})
	go s.Serve()
	p := NewPool(nil)
	defer p.Close()
	st, err := p.OpenStream(t.Context(), s.Addr().String(), "Flood")
	require.NoError(t, err)
	<-sent
	st.Close()
	select {
	case err := <-ended:
		require.Error(t, err)
	case <-time.After(15 * time.Second):
		t.Fatal("the handler still sends")
	}
}
