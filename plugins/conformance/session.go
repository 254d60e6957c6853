package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// tester is what a check may do with a test. The suite's own tests give it a recorder, to see a broken driver fail.
type tester interface {
	Errorf(format string, args ...any)
	FailNow()
	Helper()
	Cleanup(func())
}

// session is one part's connection to one driver.
type session struct {
	tester
	tb testing.TB // for the harness
	h  *Harness
	d  *driver.Client

	ctx  context.Context
	stop func() error // the driver's process, so to speak
	made []string     // guests to destroy at the end
}

func newSession(t testing.TB, h *Harness) *session { return newSessionFor(t, t, h) }

func newSessionFor(t tester, tb testing.TB, h *Harness) *session {
	if h.Timeout == 0 {
		h.Timeout = 10 * time.Second
	}
	if h.Grace == 0 {
		h.Grace = 5 * time.Second
	}
	if h.Parallel == 0 {
		h.Parallel = 16
	}
	if h.Logger == nil {
		h.Logger = hclog.NewNullLogger()
	}
	s := &session{tester: t, tb: tb, h: h, ctx: tb.Context()}
	s.start()
	t.Cleanup(s.end)
	require.NoError(s, s.d.Configure(s.ctx, h.Config), "Configure with the harness's configuration")
	return s
}

// start serves a new driver and connects to it.
func (s *session) start() {
	dir, err := os.MkdirTemp("", "kn") // short: a socket's path has little room
	require.NoError(s, err)
	service := driver.NewService("conformance", s.h.New, s.h.Logger)
	server := grpc.NewServer()
	service.Register(server)
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(s, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s, err)
	s.d = driver.NewClient(conn, "")
	s.stop = func() error {
		return errors.Join(conn.Close(), stopServer(server, served), service.Close(), os.RemoveAll(dir))
	}
}

func stopServer(server *grpc.Server, served <-chan error) error {
	server.Stop()
	return <-served
}

// restart stands for a driver that died and was started again.
func (s *session) restart() {
	s.Helper()
	require.NoError(s, s.stop())
	s.start()
	require.NoError(s, s.d.Configure(s.ctx, s.h.Config), "Configure after a restart")
}

// end removes what the part made. It runs after the test's own context has ended.
func (s *session) end() {
	ctx, cancel := context.WithTimeout(context.Background(), s.h.Timeout)
	defer cancel()
	for _, id := range s.made {
		ref := driver.InstanceRef{InstanceID: id, OperationID: "end", Generation: 1 << 40}
		if err := s.d.Destroy(ctx, &driver.DestroyRequest{InstanceRef: ref, DestroyDisks: true}); err != nil {
			s.Errorf("destroy %s at the end: %v", id, err)
		}
	}
	if err := s.stop(); err != nil {
		s.Errorf("stop the driver: %v", err)
	}
}

// call bounds one call, with a failure rather than a hang.
func (s *session) call() context.Context {
	ctx, cancel := context.WithTimeout(s.ctx, s.h.Timeout)
	s.Cleanup(cancel)
	return ctx
}

// id makes a UUID.
func id() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// spec is a new guest at generation 1.
func (s *session) spec(on bool) *driver.InstanceSpec {
	return s.named(s.h.Spec(s.tb), on)
}

func (s *session) named(spec *driver.InstanceSpec, on bool) *driver.InstanceSpec {
	spec.InstanceRef = driver.InstanceRef{InstanceID: id(), OperationID: id(), Generation: 1}
	spec.PowerOn = on
	s.made = append(s.made, spec.InstanceID)
	return spec
}

// create makes a guest of Spec and wants it as asked for.
func (s *session) create(on bool) *driver.InstanceSpec {
	s.Helper()
	spec := s.spec(on)
	s.createAs(spec)
	return spec
}

func (s *session) createAs(spec *driver.InstanceSpec) *driver.InstanceStatus {
	s.Helper()
	st, err := s.d.Create(s.call(), spec)
	require.NoError(s, err, "Create")
	require.Equal(s, spec.InstanceID, st.InstanceID, "Create's status")
	want := driver.PowerShutdown
	if spec.PowerOn {
		want = driver.PowerRunning
	}
	require.Equal(s, want, st.Power, "power state after Create with PowerOn %v", spec.PowerOn)
	return st
}

// again is a ref of a new operation on a guest.
func again(spec *driver.InstanceSpec) *driver.InstanceRef {
	return &driver.InstanceRef{InstanceID: spec.InstanceID, OperationID: id(), Generation: spec.Generation}
}

func (s *session) inspect(instanceID string) *driver.InstanceStatus {
	s.Helper()
	st, err := s.d.Inspect(s.call(), instanceID)
	require.NoError(s, err, "Inspect")
	return st
}

// wantPower waits for a power state: a hypervisor may report it a moment after the call that caused it.
func (s *session) wantPower(instanceID string, want driver.PowerState) *driver.InstanceStatus {
	s.Helper()
	var st *driver.InstanceStatus
	s.eventually(func() bool {
		st = s.inspect(instanceID)
		return st.Power == want
	}, "instance %s should come to power state %d", instanceID, want)
	return st
}

func (s *session) eventually(ok func() bool, format string, args ...any) {
	s.Helper()
	deadline := time.NewTimer(s.h.Timeout)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			s.Errorf("after %v: "+format, append([]any{s.h.Timeout}, args...)...)
			s.FailNow()
		case <-tick.C:
		}
	}
}

func (s *session) listed() map[string]*driver.InstanceStatus {
	s.Helper()
	list, err := s.d.List(s.call())
	require.NoError(s, err, "List")
	m := make(map[string]*driver.InstanceStatus, len(list))
	for _, st := range list {
		require.NotContains(s, m, st.InstanceID, "List names an instance twice")
		m[st.InstanceID] = st
	}
	return m
}

func stopReq(ref *driver.InstanceRef, timeout time.Duration) *driver.StopRequest {
	return &driver.StopRequest{InstanceRef: *ref, Timeout: timeout}
}

func rebootReq(ref *driver.InstanceRef, kind driver.RebootType, timeout time.Duration) *driver.RebootRequest {
	return &driver.RebootRequest{InstanceRef: *ref, Type: kind, Timeout: timeout}
}
