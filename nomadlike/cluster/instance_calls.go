package cluster

import (
	"context"
	"net"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// guestCallTimeout bounds what a host is asked about a guest while a user waits.
const guestCallTimeout = 20 * time.Second

// callHostOf asks the client of the host that an instance is on.
func callHostOf[Resp any](ctx context.Context, s *Server, ins *structs.Instance, method string, req any) (*Resp, error) {
	h := s.store.Snapshot().Host(ins.HostID)
	if h == nil || h.Status == structs.HostDown {
		return nil, structs.Errorf(structs.KindConflict, "Instance %s is not ready: its host %s is down", ins.ID, ins.Host)
	}
	return callHost[Resp](ctx, s, h.ID, guestCallTimeout, method, req)
}

// ConsoleOutput asks the instance's host.
func (s *Server) ConsoleOutput(ctx context.Context, ins *structs.Instance, lines int) ([]byte, error) {
	r, err := callHostOf[structs.ConsoleOutputResponse](ctx, s, ins, "Client.ConsoleOutput",
		&structs.ConsoleOutputRequest{HostID: ins.HostID, InstanceID: ins.ID, Lines: lines})
	if err != nil {
		return nil, err
	}
	return r.Output, nil
}

// Diagnostics asks the instance's host.
func (s *Server) Diagnostics(ctx context.Context, ins *structs.Instance) (*structs.Diagnostics, error) {
	return callHostOf[structs.Diagnostics](ctx, s, ins, "Client.Diagnostics", &structs.DiagnosticsRequest{HostID: ins.HostID, InstanceID: ins.ID})
}

// ConsoleEndpoint asks the instance's host. A console that listens on every address of the host is at the one that its client is reached at.
func (s *Server) ConsoleEndpoint(ctx context.Context, ins *structs.Instance, kind string) (*structs.ConsoleEndpoint, error) {
	e, err := callHostOf[structs.ConsoleEndpoint](ctx, s, ins, "Client.ConsoleEndpoint",
		&structs.ConsoleEndpointRequest{HostID: ins.HostID, InstanceID: ins.ID, Kind: kind})
	if err != nil {
		return nil, err
	}
	if h := s.store.Snapshot().Host(ins.HostID); h != nil {
		e.Host = reachable(e.Host, h)
	}
	return e, nil
}

// reachable is an address that a host listens on as others reach it.
func reachable(addr string, h *structs.Host) string {
	if ip := net.ParseIP(addr); ip == nil || !ip.IsUnspecified() {
		return addr
	}
	if host, _, err := net.SplitHostPort(h.RPCAddr); err == nil {
		return host
	}
	return addr
}

// MigrationProgress asks the migration's source.
func (s *Server) MigrationProgress(ctx context.Context, m *structs.Migration) (*structs.MigrationProgress, error) {
	return callHost[structs.MigrationProgress](ctx, s, m.SourceID, guestCallTimeout, "Client.MigrationProgress",
		&structs.MigrationProgressRequest{HostID: m.SourceID, InstanceID: m.InstanceID})
}
