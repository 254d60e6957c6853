package client

import (
	"context"

	"github.com/kilonova-cloud/kilonova/client/runner"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// diagnostics measures a guest.
func (c *Client) diagnostics(ctx context.Context, req *structs.DiagnosticsRequest) (*structs.Diagnostics, error) {
	h, err := c.hostOf(req.HostID)
	if err != nil {
		return nil, err
	}
	d, err := h.driver.Diagnostics(ctx, &driver.InstanceRef{InstanceID: string(req.InstanceID)})
	if err != nil {
		return nil, runner.Translate(err)
	}
	return diagnosticsOf(d), nil
}

// consoleEndpoint says where a guest's console listens. A socket on this host is no use to a proxy elsewhere, which is who asks.
func (c *Client) consoleEndpoint(ctx context.Context, req *structs.ConsoleEndpointRequest) (*structs.ConsoleEndpoint, error) {
	h, err := c.hostOf(req.HostID)
	if err != nil {
		return nil, err
	}
	e, err := h.driver.ConsoleEndpoint(ctx, &driver.ConsoleEndpointRequest{InstanceID: string(req.InstanceID), Kind: driver.ConsoleKind(req.Kind)})
	if err != nil {
		return nil, runner.Translate(err)
	}
	if e.Host == "" || e.Port == 0 && e.TLSPort == 0 {
		return nil, structs.Errorf(structs.KindNotSupported, "the %s console of instance %s listens at no port, so that no proxy reaches it; with the libvirt driver, vnc = \"127.0.0.1\" "+
			"or another address of this host is right", req.Kind, req.InstanceID)
	}
	return &structs.ConsoleEndpoint{Host: e.Host, Port: e.Port, TLSPort: e.TLSPort}, nil
}

func diagnosticsOf(d *driver.Diagnostics) *structs.Diagnostics {
	out := &structs.Diagnostics{State: d.State, UptimeSeconds: d.UptimeSeconds, MemoryMaxMiB: d.MemoryMaxMiB, MemoryUsedMiB: d.MemoryUsedMiB}
	for _, c := range d.CPUs {
		out.CPUs = append(out.CPUs, structs.CPUDiagnostics(c))
	}
	for _, k := range d.Disks {
		out.Disks = append(out.Disks, structs.DiskDiagnostics(k))
	}
	for _, n := range d.NICs {
		out.NICs = append(out.NICs, structs.NICDiagnostics{MAC: n.MAC,
			RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDrops: n.RxDrops, RxRate: n.RxRate,
			TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDrops: n.TxDrops, TxRate: n.TxRate})
	}
	return out
}
