package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
)

// scripted is an echo with a few methods that the test sets.
type scripted struct {
	*echo
	start  func(context.Context) error
	events func(context.Context) (<-chan *Event, error)
	closed chan struct{}
}

func (s *scripted) Start(ctx context.Context, _ *InstanceRef) error { return s.start(ctx) }

func (s *scripted) Events(ctx context.Context) (<-chan *Event, error) { return s.events(ctx) }

func (s *scripted) Pause(ctx context.Context, ref *InstanceRef) error {
	return Unsupported{}.Pause(ctx, ref)
}

func (s *scripted) Close() error {
	close(s.closed)
	return nil
}

func newScripted() *scripted { return &scripted{echo: &echo{}, closed: make(chan struct{})} }

// connect returns a configured client of d.
func connect(t *testing.T, d Driver) *Client {
	t.Helper()
	client := NewClient(dial(t, func(hclog.Logger) Driver { return d }), "")
	require.NoError(t, client.Configure(t.Context(), []byte("{}")))
	return client
}

var ref = &InstanceRef{InstanceID: "i-1", OperationID: "o-1", Generation: 1}

func TestErrorsKeepKindAcrossTheWire(t *testing.T) {
	t.Parallel()
	d := newScripted()
	client := connect(t, d)
	for kind, sentinel := range sentinels {
		for _, retryable := range []bool{false, true} {
			d.start = func(context.Context) error {
				return fmt.Errorf("outer: %w", &Error{Kind: kind, Message: "why \xff not", Retryable: retryable})
			}
			err := client.Start(t.Context(), ref)
			require.ErrorIs(t, err, sentinel)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, &Error{Kind: kind, Message: "outer: why \uFFFD not", Retryable: retryable}, e)
			require.Equal(t, kind, KindOf(err))
		}
		d.start = func(context.Context) error { return fmt.Errorf("bare: %w", sentinel) }
		err := client.Start(t.Context(), ref)
		require.ErrorIs(t, err, sentinel)
		require.Equal(t, kind == KindUnavailable || kind == KindTimeout || kind == KindInternal, Retryable(err), kind)
	}
	d.start = func(context.Context) error { return errors.New("plain") }
	require.ErrorIs(t, client.Start(t.Context(), ref), ErrInternal)
	d.start = func(context.Context) error { return context.DeadlineExceeded }
	require.ErrorIs(t, client.Start(t.Context(), ref), ErrTimeout, "a deadline inside the driver is not the caller's")
}

func TestErrorOfUnknownKindIsInternal(t *testing.T) {
	t.Parallel()
	err := &Error{Kind: "from_the_future"}
	require.ErrorIs(t, err, ErrInternal)
	require.Equal(t, KindInternal, KindOf(err))
	require.Equal(t, "internal error", err.Error())
	require.Equal(t, Kind(""), KindOf(nil))
	require.Equal(t, Kind(""), KindOf(context.Canceled))
}

func TestContextReachesTheDriver(t *testing.T) {
	t.Parallel()
	d := newScripted()
	client := connect(t, d)

	entered, ended := make(chan struct{}, 1), make(chan error, 1)
	d.start = func(ctx context.Context) error {
		entered <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	require.ErrorIs(t, client.Start(ctx, ref), context.Canceled)
	require.ErrorIs(t, <-ended, context.Canceled)

	require.ErrorIs(t, client.Start(ctxWithin(t, 20*time.Millisecond), ref), context.DeadlineExceeded)
	require.Error(t, <-ended)
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	d := newScripted()
	client := connect(t, d)
	d.start = func(context.Context) error { panic("bad guest") }
	err := client.Start(t.Context(), ref)
	require.ErrorIs(t, err, ErrInternal)
	require.ErrorContains(t, err, "bad guest")
	d.start = func(context.Context) error { return nil }
	require.NoError(t, client.Start(t.Context(), ref))
}

func TestServiceChecks(t *testing.T) {
	t.Parallel()
	d := newScripted()
	d.start = func(context.Context) error { return nil }
	client := NewClient(dial(t, func(hclog.Logger) Driver { return d }), "")

	err := client.Start(t.Context(), ref)
	require.ErrorIs(t, err, ErrUnavailable, "before Configure")
	require.True(t, Retryable(err))
	who, err := client.Describe(t.Context())
	require.NoError(t, err, "before Configure")
	require.Equal(t, "test", who.Name)
	_, err = client.Capabilities(t.Context())
	require.NoError(t, err, "before Configure")

	require.NoError(t, client.Configure(t.Context(), nil))
	require.NoError(t, client.Start(t.Context(), ref))
	for _, id := range []string{"", "../etc/passwd", "a b", string(make([]byte, 65))} {
		require.ErrorIs(t, client.Start(t.Context(), &InstanceRef{InstanceID: id}), ErrInvalid, "%q", id)
		_, err := client.Inspect(t.Context(), id)
		require.ErrorIs(t, err, ErrInvalid, "%q", id)
		_, err = client.Create(t.Context(), &InstanceSpec{InstanceRef: InstanceRef{InstanceID: id}})
		require.ErrorIs(t, err, ErrInvalid, "%q", id)
	}
	require.ErrorIs(t, client.Start(t.Context(), nil), ErrInvalid)
	require.ErrorIs(t, client.Pause(t.Context(), ref), ErrNotSupported)
	require.ErrorContains(t, client.Pause(t.Context(), ref), "Pause")
}

func TestOneDriverForEachHost(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var made []*scripted
	t.Cleanup(func() { // runs after dial's own, which closes the service
		for _, d := range made {
			<-d.closed
		}
	})
	conn := dial(t, func(hclog.Logger) Driver {
		d := newScripted()
		mu.Lock()
		defer mu.Unlock()
		made = append(made, d)
		return d
	})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			client := NewClient(conn, fmt.Sprintf("host-%d", i%4))
			if err := client.Configure(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Len(t, made, 4)
	for _, d := range made {
		require.Len(t, d.calls, 10)
	}
	require.ErrorIs(t, NewClient(conn, "host-5").Start(t.Context(), ref), ErrUnavailable, "a new host is not configured")
}

func TestStreams(t *testing.T) {
	t.Parallel()
	d := newScripted()
	client := connect(t, d)

	d.events = func(context.Context) (<-chan *Event, error) { return nil, Errorf(KindNotSupported, "no events here") }
	_, err := client.Events(t.Context())
	require.ErrorIs(t, err, ErrNotSupported)

	source := make(chan *Event)
	opened := make(chan context.Context, 1)
	d.events = func(ctx context.Context) (<-chan *Event, error) {
		opened <- ctx
		return source, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	events, err := client.Events(ctx)
	require.NoError(t, err, "a stream without a first value is accepted at once")
	serverCtx := <-opened
	source <- &Event{InstanceID: "a", Type: EventStopped}
	require.Equal(t, &Event{InstanceID: "a", Type: EventStopped}, <-events)
	cancel()
	_, more := <-events
	require.False(t, more)
	<-serverCtx.Done()

	events, err = client.Events(t.Context())
	require.NoError(t, err)
	<-opened
	close(source)
	_, more = <-events
	require.False(t, more, "the driver closed it")
}

func TestToken(t *testing.T) {
	t.Parallel()
	conn := dial(t, func(hclog.Logger) Driver { return &echo{} }, serverOptions("secret")...)
	client := NewClient(conn, "")
	require.ErrorContains(t, client.Configure(t.Context(), nil), "wrong token")
	_, err := client.Events(t.Context())
	require.ErrorContains(t, err, "wrong token")
	require.ErrorContains(t, client.Configure(withToken(t.Context(), "other"), nil), "wrong token")
	require.NoError(t, client.Configure(withToken(t.Context(), "secret"), nil))
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, tokenKey, token)
}

func TestBrokenConnectionIsRetryable(t *testing.T) {
	t.Parallel()
	d := newScripted()
	conn := dial(t, func(hclog.Logger) Driver { return d })
	client := NewClient(conn, "")
	require.NoError(t, client.Configure(t.Context(), nil))
	entered := make(chan struct{})
	d.start = func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	answer := make(chan error, 1)
	go func() { answer <- client.Start(t.Context(), ref) }()
	<-entered
	require.NoError(t, conn.Close())
	err := <-answer
	require.ErrorIs(t, err, ErrUnavailable)
	require.True(t, Retryable(err))
}
