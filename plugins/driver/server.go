package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	driverpb "github.com/kilonova-cloud/kilonova/plugins/driver/proto"
)

// Description is what a plugin process says of itself.
type Description struct {
	Name      string
	PID       int
	StartedAt time.Time
}

// Service is the gRPC side of a plugin: it makes one Driver for each host name that a call carries, lazily, and answers
// the agent's calls from them.
//
// It keeps for every driver what no driver should have to think of: a call before Configure is a retryable ErrUnavailable,
// a missing or malformed instance id is ErrInvalid (ids become file names), a panic is ErrInternal and a log line.
type Service struct {
	hosts hosts
}

// NewService makes a Service. newDriver is called once for each host, with a logger that names it; it must not fail or
// block: what can fail belongs in Configure.
func NewService(name string, newDriver func(hclog.Logger) Driver, logger hclog.Logger) *Service {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	return &Service{hosts: hosts{name: name, new: newDriver, logger: logger, startedAt: time.Now()}}
}

// Register adds the plugin's services to a gRPC server.
func (s *Service) Register(to grpc.ServiceRegistrar) {
	driverpb.RegisterPluginServer(to, &s.hosts)
	driverpb.RegisterDriverServer(to, &s.hosts)
}

// Close closes every Driver that is an io.Closer, so that it lets go of files and connections. It touches no guest. The
// gRPC server must have stopped.
func (s *Service) Close() error {
	var errs []error
	s.hosts.drivers.Range(func(_, v any) bool {
		if c, ok := v.(*hostDriver).Driver.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
		return true
	})
	return errors.Join(errs...)
}

type hosts struct {
	driverpb.UnsafePluginServer
	driverpb.UnsafeDriverServer

	name      string
	new       func(hclog.Logger) Driver
	logger    hclog.Logger
	startedAt time.Time

	drivers sync.Map   // host name to *hostDriver; read on every call
	making  sync.Mutex // held while a Driver is made, so that a host has one
}

// hostDriver is the Driver of one host.
type hostDriver struct {
	Driver
	configured atomic.Bool
}

func (s *hosts) driver(ctx context.Context) *hostDriver {
	host := ""
	if v := metadata.ValueFromIncomingContext(ctx, hostKey); len(v) > 0 {
		host = v[0]
	}
	if d, ok := s.drivers.Load(host); ok {
		return d.(*hostDriver)
	}
	s.making.Lock()
	defer s.making.Unlock()
	if d, ok := s.drivers.Load(host); ok {
		return d.(*hostDriver)
	}
	logger := s.logger
	if host != "" {
		logger = logger.With("host", host)
	}
	d := &hostDriver{Driver: s.new(logger)}
	s.drivers.Store(host, d)
	return d
}

// subject is the guest that a call is about.
type subject struct {
	id    string
	named bool
}

var noGuest = subject{}

func guest(in interface{ GetInstanceId() string }) subject {
	return subject{id: in.GetInstanceId(), named: true}
}

// forCall finds the driver of a call and checks what holds for all drivers.
func (s *hosts) forCall(ctx context.Context, who subject) (Driver, error) {
	d := s.driver(ctx)
	if !d.configured.Load() {
		return nil, toWire(ctx, Errorf(KindUnavailable, "the driver is not configured yet"))
	}
	if who.named {
		if err := checkInstanceID(who.id); err != nil {
			return nil, toWire(ctx, err)
		}
	}
	return d.Driver, nil
}

const maxInstanceID = 64

// checkInstanceID admits what is safe as a file name and a domain name on every hypervisor; a UUID is.
func checkInstanceID(id string) error {
	if id == "" || len(id) > maxInstanceID {
		return Errorf(KindInvalid, "instance id has %d characters: 1 to %d are right", len(id), maxInstanceID)
	}
	for _, c := range []byte(id) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
		default:
			return Errorf(KindInvalid, "instance id %q: only letters, digits, - and _ are right", id)
		}
	}
	return nil
}

// recovered turns a driver's panic into an error: one bad guest must not take the plugin's other calls with it.
func (s *hosts) recovered(ctx context.Context, err *error) {
	if r := recover(); r != nil {
		s.logger.Error("driver panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		*err = toWire(ctx, Errorf(KindInternal, "driver panicked: %v; the plugin's log has the stack", r))
	}
}

// act runs a call that answers nothing.
func act(ctx context.Context, s *hosts, who subject, call func(Driver) error) (_ *driverpb.Empty, err error) {
	defer s.recovered(ctx, &err)
	d, err := s.forCall(ctx, who)
	if err != nil {
		return nil, err
	}
	if err := call(d); err != nil {
		return nil, toWire(ctx, err)
	}
	return empty, nil
}

// ask runs a call that answers a message.
func ask[P any](ctx context.Context, s *hosts, who subject, call func(Driver) (*P, error)) (_ *P, err error) {
	defer s.recovered(ctx, &err)
	d, err := s.forCall(ctx, who)
	if err != nil {
		return nil, err
	}
	out, err := call(d)
	if err != nil {
		return nil, toWire(ctx, err)
	}
	if out == nil {
		return nil, toWire(ctx, Errorf(KindInternal, "the driver answered neither a value nor an error"))
	}
	return out, nil
}

// Describe answers for the process, whichever host the call names.
func (s *hosts) Describe(context.Context, *driverpb.Empty) (*driverpb.PluginDescription, error) {
	return &driverpb.PluginDescription{Name: s.name, Pid: int64(os.Getpid()), StartedAt: timeToProto(s.startedAt)}, nil
}

func (s *hosts) Configure(ctx context.Context, in *driverpb.ConfigureRequest) (_ *driverpb.Empty, err error) {
	defer s.recovered(ctx, &err)
	d := s.driver(ctx)
	if err := d.Configure(ctx, in.Config); err != nil {
		return nil, toWire(ctx, err)
	}
	d.configured.Store(true)
	return empty, nil
}

func (s *hosts) Capabilities(ctx context.Context, _ *driverpb.Empty) (_ *driverpb.CapabilitiesResponse, err error) {
	defer s.recovered(ctx, &err)
	out, err := s.driver(ctx).Capabilities(ctx)
	if err != nil {
		return nil, toWire(ctx, err)
	}
	return capabilitiesToProto(out), nil
}

func (s *hosts) ConsoleOutput(ctx context.Context, in *driverpb.ConsoleOutputRequest) (*driverpb.ConsoleOutputResponse, error) {
	return ask(ctx, s, guest(in), func(d Driver) (*driverpb.ConsoleOutputResponse, error) {
		out, err := d.ConsoleOutput(ctx, consoleOutputFromProto(in))
		return &driverpb.ConsoleOutputResponse{Output: out}, err
	})
}

func (s *hosts) ConsoleEndpoint(ctx context.Context, in *driverpb.ConsoleEndpointRequest) (*driverpb.ConsoleEndpointResponse, error) {
	return ask(ctx, s, guest(in), func(d Driver) (*driverpb.ConsoleEndpointResponse, error) {
		out, err := d.ConsoleEndpoint(ctx, consoleEndpointRequestFromProto(in))
		return consoleEndpointToProto(out), err
	})
}

func (s *hosts) Diagnostics(ctx context.Context, in *driverpb.InstanceRef) (*driverpb.DiagnosticsResponse, error) {
	ref := refFromProto(in)
	return ask(ctx, s, guest(in), func(d Driver) (*driverpb.DiagnosticsResponse, error) {
		out, err := d.Diagnostics(ctx, &ref)
		return diagnosticsToProto(out), err
	})
}

func (s *hosts) VolumeUsage(ctx context.Context, _ *driverpb.Empty) (*driverpb.VolumeUsages, error) {
	return ask(ctx, s, noGuest, func(d Driver) (*driverpb.VolumeUsages, error) {
		out, err := d.VolumeUsage(ctx)
		return &driverpb.VolumeUsages{Volumes: pointersToProto(out, volumeUsageToProto)}, err
	})
}

func (s *hosts) HostStats(ctx context.Context, _ *driverpb.Empty) (*driverpb.HostStatsResponse, error) {
	return ask(ctx, s, noGuest, func(d Driver) (*driverpb.HostStatsResponse, error) {
		out, err := d.HostStats(ctx)
		return hostStatsToProto(out), err
	})
}

func (s *hosts) HostPower(ctx context.Context, in *driverpb.HostPowerRequest) (*driverpb.Empty, error) {
	return act(ctx, s, noGuest, func(d Driver) error { return d.HostPower(ctx, HostPowerAction(in.Action)) })
}

func (s *hosts) HostMaintenance(ctx context.Context, in *driverpb.HostMaintenanceRequest) (*driverpb.Empty, error) {
	return act(ctx, s, noGuest, func(d Driver) error { return d.HostMaintenance(ctx, in.On) })
}
