package libvirt

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// shortDir returns a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kl")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func testLink(socket string) *link {
	return &link{socket: socket, uri: "qemu:///system", connecting: 200 * time.Millisecond, timeout: 200 * time.Millisecond}
}

func TestLinkWithoutLibvirtd(t *testing.T) {
	t.Parallel()
	l := testLink(filepath.Join(shortDir(t), "s"))
	err := do(t.Context(), l, "list", func(*session) error { return errors.New("never called") })
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.ErrorContains(t, err, l.socket)
	require.ErrorContains(t, err, "systemctl start libvirtd")
}

// A daemon that accepts and never speaks costs every caller the deadline once, not one after the other.
func TestLinkToAMuteLibvirtd(t *testing.T) {
	t.Parallel()
	l := testLink(filepath.Join(shortDir(t), "s"))
	listener, err := net.Listen("unix", l.socket)
	require.NoError(t, err)
	var accepted []net.Conn
	var mu sync.Mutex
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			accepted = append(accepted, conn)
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range accepted {
			require.NoError(t, conn.Close())
		}
	})
	begun := time.Now()
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			err := do(context.Background(), l, "list", func(*session) error { return nil })
			if !errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("%v", err)
			}
		})
	}
	callers.Wait()
	require.Less(t, time.Since(begun), 3*time.Second)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, do(ctx, l, "list", func(*session) error { return nil }), context.Canceled)
	l.close()
	require.ErrorIs(t, do(t.Context(), l, "list", func(*session) error { return nil }), driver.ErrUnavailable)
}

// deafSession is a connection on which nothing ever comes.
func deafSession(t *testing.T, l *link) *session {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { require.NoError(t, theirs.Close()) })
	s := &session{conn: &watchedConn{Conn: ours, over: make(chan struct{})}}
	l.current = s
	return s
}

func TestCallsEndByTheirDeadline(t *testing.T) {
	t.Parallel()
	l := testLink("/nowhere")
	s := deafSession(t, l)
	err := do(t.Context(), l, "list", func(s *session) error {
		_, err := s.conn.Read(make([]byte, 1)) // ends when the connection is dropped
		return err
	})
	require.ErrorIs(t, err, driver.ErrTimeout)
	require.True(t, driver.Retryable(err))
	require.ErrorContains(t, err, "did not answer within 200ms")
	require.False(t, s.alive())
}

func TestCallsEndWithTheirCaller(t *testing.T) {
	t.Parallel()
	l := testLink("/nowhere")
	l.timeout = time.Hour
	s := deafSession(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	err := do(ctx, l, "list", func(*session) error { <-release; return nil })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, s.alive(), "one caller's hurry is no reason to drop everybody's connection")
	close(release)
}

func TestCallsEndWithTheConnection(t *testing.T) {
	t.Parallel()
	l := testLink("/nowhere")
	l.timeout = time.Hour
	s := deafSession(t, l)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	time.AfterFunc(20*time.Millisecond, s.drop)
	err := do(t.Context(), l, "list", func(*session) error { <-release; return nil }) // go-libvirt that missed the end
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.ErrorContains(t, err, "connection to libvirtd was lost")
}

func TestSlots(t *testing.T) {
	t.Parallel()
	l := testLink("/nowhere")
	l.slots = make(chan struct{}, 1)
	deafSession(t, l)
	release, running := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- do(context.Background(), l, "one", func(*session) error { close(running); <-release; return nil })
	}()
	<-running
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, do(ctx, l, "two", func(*session) error { return nil }), context.DeadlineExceeded)
	close(release)
	require.NoError(t, <-first)
	require.NoError(t, do(t.Context(), l, "three", func(*session) error { return nil }))
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	dir := shortDir(t)
	before := goleak.IgnoreCurrent()
	d := New(hclog.NewNullLogger())
	_, err := d.List(t.Context())
	require.ErrorIs(t, err, driver.ErrConflict, "before Configure")
	config := `{"socket": "` + dir + `/s", "instances_dir": "` + dir + `/i", "state_dir": "` + dir + `/d", "virt_type": "qemu"}`
	require.NoError(t, d.Configure(t.Context(), []byte(config)))
	health, err := d.Fingerprint(t.Context())
	require.NoError(t, err)
	fingerprint := <-health
	require.False(t, fingerprint.Healthy)
	require.Contains(t, fingerprint.HealthDescription, "not reachable")
	require.Positive(t, fingerprint.Inventory.MemoryMiB)
	events, err := d.Events(t.Context())
	require.NoError(t, err)
	require.NoError(t, d.Close())
	_, open := <-events
	require.False(t, open)
	goleak.VerifyNone(t, before)
}
