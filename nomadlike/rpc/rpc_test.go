package rpc

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type echo struct {
	Text string `codec:"t"`
	N    int    `codec:"n"`
}

// peer is a server with a few methods and a pool that calls it, over TCP or within the process.
type peer struct {
	s        *Server
	pool     *Pool
	canceled atomic.Int32
	entered  chan struct{}
}

func newPeer(t *testing.T, local bool, tls *TLS) *peer {
	t.Helper()
	s, err := NewServer("127.0.0.1:0", tls, hclog.NewNullLogger())
	require.NoError(t, err)
	p := &peer{s: s, pool: NewPool(tls), entered: make(chan struct{}, 16)}
	Handle(s, "Echo", AnyAgent, func(_ context.Context, r *echo) (*echo, error) { return &echo{r.Text, r.N + 1}, nil })
	Handle(s, "Fail", AnyAgent, func(context.Context, *echo) (*echo, error) {
		return nil, structs.Errorf(structs.KindQuota, "too much")
	})
	Handle(s, "Panic", AnyAgent, func(context.Context, *echo) (*echo, error) { panic("oh") })
	Handle(s, "Wait", AnyAgent, func(ctx context.Context, _ *echo) (*echo, error) {
		p.entered <- struct{}{}
		<-ctx.Done()
		p.canceled.Add(1)
		return nil, ctx.Err()
	})
	Handle(s, "Server", ServerOnly, func(context.Context, *echo) (*echo, error) { return &echo{Text: "server"}, nil })
	HandleStream(s, "Count", AnyAgent, func(_ context.Context, st Stream) error {
		var r echo
		if err := st.Recv(&r); err != nil {
			return err
		}
		for i := range r.N {
			if err := st.Send(&echo{N: i}); err != nil {
				return err
			}
		}
		if r.Text != "" {
			return structs.Errorf(structs.KindConflict, "%s", r.Text)
		}
		return nil
	})
	HandleStream(s, "Sum", AnyAgent, func(_ context.Context, st Stream) error {
		var e echo
		for sum := 0; ; sum += e.N {
			if err := st.Recv(&e); err != nil {
				return err
			}
			if e.Text != "" {
				return st.Send(&echo{N: sum})
			}
		}
	})
	HandleStream(s, "Hold", AnyAgent, func(ctx context.Context, _ Stream) error {
		p.entered <- struct{}{}
		<-ctx.Done()
		p.canceled.Add(1)
		return ctx.Err()
	})
	go s.Serve()
	if local {
		p.pool.SetLocal(p.addr(), s)
	}
	t.Cleanup(func() { p.pool.Close(); s.Close() })
	return p
}

func (p *peer) addr() string { return p.s.Addr().String() }

func both(t *testing.T, f func(t *testing.T, p *peer)) {
	for name, local := range map[string]bool{"net": false, "local": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, newPeer(t, local, nil)) })
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *peer) {
		ctx := context.Background()
		r, err := Call[echo](ctx, p.pool, p.addr(), "Echo", &echo{"hi", 1})
		require.NoError(t, err)
		require.Equal(t, echo{"hi", 2}, *r)
		_, err = Call[echo](ctx, p.pool, p.addr(), "Fail", &echo{})
		require.True(t, structs.IsKind(err, structs.KindQuota), "%v", err)
		require.EqualError(t, err, "too much")
		_, err = Call[echo](ctx, p.pool, p.addr(), "Nothing", &echo{})
		require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	})
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, nil)
	_, err := Call[echo](context.Background(), p.pool, p.addr(), "Panic", &echo{})
	require.True(t, structs.IsKind(err, structs.KindInternal), "%v", err)
	_, err = Call[echo](context.Background(), p.pool, p.addr(), "Echo", &echo{})
	require.NoError(t, err, "the session survives")
}

// A caller that gives up cancels the handler on the other side.
func TestCancel(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *peer) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := Call[echo](ctx, p.pool, p.addr(), "Wait", &echo{})
			done <- err
		}()
		<-p.entered
		cancel()
		require.Error(t, <-done)
		require.Eventually(t, func() bool { return p.canceled.Load() == 1 }, 5*time.Second, time.Millisecond)
	})
}

func TestDeadlineCrossesTheWire(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := Call[echo](ctx, p.pool, p.addr(), "Wait", &echo{})
	require.True(t, structs.IsKind(err, structs.KindTimeout) || errors.Is(err, context.DeadlineExceeded) || structs.IsKind(err, structs.KindInternal), "%v", err)
	require.Eventually(t, func() bool { return p.canceled.Load() == 1 }, 5*time.Second, time.Millisecond)
}

func TestStream(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *peer) {
		for _, end := range []string{"", "no more"} {
			st, err := p.pool.OpenStream(context.Background(), p.addr(), "Count")
			require.NoError(t, err)
			require.NoError(t, st.Send(&echo{end, 100}))
			for i := range 100 {
				var e echo
				require.NoError(t, st.Recv(&e))
				require.Equal(t, i, e.N)
			}
			var e echo
			err = st.Recv(&e)
			if end == "" {
				require.ErrorIs(t, err, io.EOF)
			} else {
				require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
			}
			st.Close()
		}
	})
}

func TestStreamEnds(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *peer) {
		st, err := p.pool.OpenStream(context.Background(), p.addr(), "Hold")
		require.NoError(t, err)
		<-p.entered
		st.Close()
		require.Eventually(t, func() bool { return p.canceled.Load() == 1 }, 5*time.Second, time.Millisecond, "who only sends does not notice that the caller went away")
	})
}

// A value that was sent before the end is received before it.
func TestStreamReadsAhead(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *peer) {
		st, err := p.pool.OpenStream(context.Background(), p.addr(), "Sum")
		require.NoError(t, err)
		sum := 0
		for n := range 100 {
			require.NoError(t, st.Send(&echo{N: n}))
			sum += n
		}
		require.NoError(t, st.Send(&echo{Text: "end"}))
		var e echo
		require.NoError(t, st.Recv(&e))
		require.Equal(t, sum, e.N)
		require.ErrorIs(t, st.Recv(&e), io.EOF)
		st.Close()
	})
}

// Close ends what runs, and does not wait for what does not end.
func TestCloseCancelsHandlers(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *peer) {
		done := make(chan error, 1)
		go func() {
			st, err := p.pool.OpenStream(context.Background(), p.addr(), "Hold")
			if err == nil {
				var e echo
				err = st.Recv(&e)
			}
			done <- err
		}()
		<-p.entered
		p.s.Close()
		require.Error(t, <-done)
		require.EqualValues(t, 1, p.canceled.Load())
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	pool := NewPool(nil)
	defer pool.Close()
	_, err = Call[echo](context.Background(), pool, addr, "Echo", &echo{})
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
	_, err = Call[echo](context.Background(), pool, "", "Echo", &echo{})
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
}

// A session that died is replaced by the next call.
func TestReconnect(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, nil)
	_, err := Call[echo](context.Background(), p.pool, p.addr(), "Echo", &echo{})
	require.NoError(t, err)
	sess, err := p.pool.session(context.Background(), p.addr())
	require.NoError(t, err)
	require.NoError(t, sess.Close())
	_, err = Call[echo](context.Background(), p.pool, p.addr(), "Echo", &echo{})
	require.NoError(t, err)
}

func TestGarbageOnThePort(t *testing.T) {
	t.Parallel()
	p := newPeer(t, false, nil)
	for _, b := range []string{"GET / HTTP/1.1\r\n\r\n", "\x02garbage garbage garbage", ""} {
		c, err := net.Dial("tcp", p.addr())
		require.NoError(t, err)
		_, _ = c.Write([]byte(b))
		require.NoError(t, c.Close())
	}
	_, err := Call[echo](context.Background(), p.pool, p.addr(), "Echo", &echo{})
	require.NoError(t, err)
}

func BenchmarkCall(b *testing.B) {
	for name, local := range map[string]bool{"net": false, "local": true} {
		b.Run(name, func(b *testing.B) {
			s, err := NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
			require.NoError(b, err)
			Handle(s, "Echo", AnyAgent, func(_ context.Context, r *echo) (*echo, error) { return r, nil })
			go s.Serve()
			pool := NewPool(nil)
			if local {
				pool.SetLocal(s.Addr().String(), s)
			}
			defer s.Close()
			defer pool.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Call[echo](context.Background(), pool, s.Addr().String(), "Echo", &echo{"hi", 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
