package fake

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// ConsoleOutput implements driver.Driver: what Nova's fake driver prints, and the guest's hostname before it.
func (d *Driver) ConsoleOutput(ctx context.Context, req *driver.ConsoleOutputRequest) (out []byte, err error) {
	err = d.read(ctx, "console_output", req.InstanceID, func(g *guest) error {
		out = lastLines(fmt.Appendf(nil, "%s\nFAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE", g.Hostname), req.Lines)
		return nil
	})
	return out, err
}

// lastLines returns the last n lines of b, all for n below 1.
func lastLines(b []byte, n int) []byte {
	if n < 1 {
		return b
	}
	end := len(bytes.TrimSuffix(b, []byte("\n")))
	for ; n > 0; n-- {
		if end = bytes.LastIndexByte(b[:end], '\n'); end < 0 {
			return b
		}
	}
	return b[end+1:]
}

// ConsoleEndpoint implements driver.Driver. Nothing listens there, as in Nova's fake driver.
func (d *Driver) ConsoleEndpoint(ctx context.Context, req *driver.ConsoleEndpointRequest) (e *driver.ConsoleEndpoint, err error) {
	err = d.read(ctx, "console_endpoint", req.InstanceID, func(g *guest) error {
		switch req.Kind {
		case driver.ConsoleVNC, driver.ConsoleSPICE, driver.ConsoleSerial, driver.ConsoleRDP, driver.ConsoleMKS:
		default:
			return invalid("console kind %q: vnc, spice, serial, mks or rdp is right", req.Kind)
		}
		if g.off() {
			return wrongState(g, "shown on a console")
		}
		e = &driver.ConsoleEndpoint{Host: "127.0.0.1", Port: 6969}
		if req.Kind == driver.ConsoleSPICE {
			e.TLSPort = 6970
		}
		return nil
	})
	return e, err
}

// Diagnostics implements driver.Driver: fixed figures, as many as the guest has processors, disks and interfaces.
func (d *Driver) Diagnostics(ctx context.Context, ref *driver.InstanceRef) (out *driver.Diagnostics, err error) {
	err = d.read(ctx, "diagnostics", ref.InstanceID, func(g *guest) error {
		if g.off() {
			return wrongState(g, "measured")
		}
		out = &driver.Diagnostics{State: "running", MemoryMaxMiB: g.MemoryMiB, MemoryUsedMiB: g.MemoryMiB / 2}
		if g.StartedAt != 0 {
			out.UptimeSeconds = int64(d.now().Sub(time.Unix(0, g.StartedAt)).Seconds())
		}
		for i := range g.VCPUs {
			out.CPUs = append(out.CPUs, driver.CPUTime{ID: i, Nanoseconds: 17_300_000_000, Percent: 15})
		}
		disk := driver.DiskStats{ReadBytes: 262144, ReadRequests: 112, WriteBytes: 5778432, WriteRequests: 488, ErrorsCount: 1}
		disk.Device = "vda"
		out.Disks = append(out.Disks, disk)
		for _, v := range g.Volumes {
			disk.Device = v.Device
			out.Disks = append(out.Disks, disk)
		}
		for _, nic := range g.Interfaces {
			out.NICs = append(out.NICs, driver.NICStats{
				MAC: nic.MAC, RxBytes: 2070139, RxPackets: 26701, RxErrors: 100, RxDrops: 200, RxRate: 300,
				TxBytes: 140208, TxPackets: 662, TxErrors: 400, TxDrops: 500, TxRate: 600,
			})
		}
		return nil
	})
	return out, err
}

// VolumeUsage implements driver.Driver: zeros for every attached volume.
func (d *Driver) VolumeUsage(ctx context.Context) (out []*driver.VolumeUsage, err error) {
	err = d.do(ctx, "volume_usage", "", func() error {
		for _, g := range d.guests {
			for _, v := range g.Volumes {
				out = append(out, &driver.VolumeUsage{InstanceID: g.ID, VolumeID: v.ID})
			}
		}
		return nil
	})
	return out, err
}

// HostStats implements driver.Driver: fixed figures.
func (d *Driver) HostStats(ctx context.Context) (out *driver.HostStats, err error) {
	err = d.do(ctx, "host_stats", "", func() error {
		out = &driver.HostStats{
			KernelNanoseconds: 5_664_160_000_000, IdleNanoseconds: 1_592_705_190_000_000,
			UserNanoseconds: 26_728_850_000_000, IOWaitNanoseconds: 6_121_490_000_000,
			FrequencyMHz: 800, UptimeSeconds: 46664,
		}
		return nil
	})
	return out, err
}

// HostPower implements driver.Driver. Startup is for a host that lost power, and the only call that works then.
func (d *Driver) HostPower(ctx context.Context, action driver.HostPowerAction) error {
	switch action {
	case driver.HostPowerStartup:
		return d.Control(Control{Action: HostPowerOn})
	case driver.HostPowerShutdown, driver.HostPowerReboot:
	default:
		return invalid("host power action %q: startup, shutdown or reboot is right", action)
	}
	return d.do(ctx, "host_power", "", func() error {
		if err := d.losePowerLocked("the host was shut down"); err != nil {
			return err
		}
		if action == driver.HostPowerReboot {
			return d.healthLocked(true, true, "")
		}
		return nil
	})
}

// HostMaintenance implements driver.Driver.
func (d *Driver) HostMaintenance(ctx context.Context, on bool) error {
	return d.do(ctx, "host_maintenance", "", func() error {
		d.host.Maintenance = on
		return d.putHostLocked()
	})
}
