package client

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// A guest is measured by its host's driver, whatever server is asked. One that is off cannot be.
func TestDiagnostics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	n := newNode(t, "host-000")
	w.agent(n)
	id := w.active(1)[0]
	ctx := t.Context()
	d, err := w.srv.Diagnostics(ctx, w.instance(id))
	require.NoError(t, err)
	require.Equal(t, "running", d.State)
	require.Equal(t, w.instance(id).Flavor.MemoryMiB, d.MemoryMaxMiB)
	require.Len(t, d.CPUs, w.instance(id).Flavor.VCPUs)
	require.Equal(t, structs.CPUDiagnostics{Nanoseconds: 17_300_000_000, Percent: 15}, d.CPUs[0])
	require.Equal(t, []structs.DiskDiagnostics{{Device: "vda", ReadBytes: 262144, ReadRequests: 112, WriteBytes: 5778432, WriteRequests: 488, ErrorsCount: 1}}, d.Disks)

	w.finish(w.operate(id, structs.OpStop))
	_, err = w.srv.Diagnostics(ctx, w.instance(id))
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = w.srv.Diagnostics(ctx, &structs.Instance{ID: "nobody", HostID: n.id})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	_, err = w.srv.Diagnostics(ctx, &structs.Instance{ID: id, HostID: "nowhere"})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
}

// What the driver cannot measure is KindNotSupported to whoever asks.
func TestDiagnosticsUnsupported(t *testing.T) {
	t.Parallel()
	n := newNode(t, "host-000")
	c := &Client{hosts: map[structs.HostID]*Host{n.id: {driver: blind{n.drv}}}}
	_, err := c.diagnostics(t.Context(), &structs.DiagnosticsRequest{HostID: n.id, InstanceID: "i"})
	require.True(t, structs.IsKind(err, structs.KindNotSupported), "%v", err)
	_, err = c.diagnostics(t.Context(), &structs.DiagnosticsRequest{HostID: "another", InstanceID: "i"})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

// Every interface's counters arrive in their places.
func TestDiagnosticsOf(t *testing.T) {
	t.Parallel()
	got := diagnosticsOf(&driver.Diagnostics{NICs: []driver.NICStats{{MAC: "m", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDrops: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDrops: 8,
		RxRate: 9, TxRate: 10}}})
	require.Equal(t, []structs.NICDiagnostics{{MAC: "m", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDrops: 4, RxRate: 9, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDrops: 8, TxRate: 10}}, got.NICs)
}

// blind is a driver that cannot measure a guest.
type blind struct{ *gated }

func (blind) Diagnostics(ctx context.Context, ref *driver.InstanceRef) (*driver.Diagnostics, error) {
	return driver.Unsupported{}.Diagnostics(ctx, ref)
}

// A console's place is asked of the host's driver, whatever server is asked. A guest that is off has none, nor has a kind that the driver does not know.
func TestConsoleEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	n := newNode(t, "host-000")
	w.agent(n)
	id := w.active(1)[0]
	ctx := t.Context()
	for kind, want := range map[string]structs.ConsoleEndpoint{"vnc": {Host: "127.0.0.1", Port: 6969}, "spice": {Host: "127.0.0.1", Port: 6969, TLSPort: 6970},
		"serial": {Host: "127.0.0.1", Port: 6969}, "mks": {Host: "127.0.0.1", Port: 6969}} {
		at, err := w.srv.ConsoleEndpoint(ctx, w.instance(id), kind)
		require.NoError(t, err)
		require.Equal(t, want, *at, kind)
	}
	_, err := w.srv.ConsoleEndpoint(ctx, w.instance(id), "telepathy")
	require.True(t, structs.IsKind(err, structs.KindInvalid), "%v", err)
	w.finish(w.operate(id, structs.OpStop))
	_, err = w.srv.ConsoleEndpoint(ctx, w.instance(id), "vnc")
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = w.srv.ConsoleEndpoint(ctx, &structs.Instance{ID: "nobody", HostID: n.id}, "vnc")
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	_, err = w.srv.ConsoleEndpoint(ctx, &structs.Instance{ID: id, HostID: "nowhere"}, "vnc")
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
}

// A console on a socket, or of a driver that has none, is nowhere that a proxy could reach. A password that the driver names stays on its host.
func TestConsoleEndpointUnreachable(t *testing.T) {
	t.Parallel()
	n := newNode(t, "host-000")
	ask := func(host structs.HostID, at *driver.ConsoleEndpoint) (*structs.ConsoleEndpoint, error) {
		c := &Client{hosts: map[structs.HostID]*Host{n.id: {driver: shown{n.drv, at}}}}
		return c.consoleEndpoint(t.Context(), &structs.ConsoleEndpointRequest{HostID: host, InstanceID: "i", Kind: "vnc"})
	}
	for _, at := range []*driver.ConsoleEndpoint{{Socket: "/run/vnc.sock"}, {Host: "127.0.0.1"}, nil} {
		_, err := ask(n.id, at)
		require.True(t, structs.IsKind(err, structs.KindNotSupported), "%v: %v", at, err)
	}
	got, err := ask(n.id, &driver.ConsoleEndpoint{Host: "::1", TLSPort: 5, Password: "secret"})
	require.NoError(t, err)
	require.Equal(t, structs.ConsoleEndpoint{Host: "::1", TLSPort: 5}, *got)
	_, err = ask("another", nil)
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

// shown is a driver whose consoles are where a test says.
type shown struct {
	*gated
	at *driver.ConsoleEndpoint
}

func (s shown) ConsoleEndpoint(ctx context.Context, req *driver.ConsoleEndpointRequest) (*driver.ConsoleEndpoint, error) {
	if s.at == nil {
		return driver.Unsupported{}.ConsoleEndpoint(ctx, req)
	}
	return s.at, nil
}
