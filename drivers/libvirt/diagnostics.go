package libvirt

import (
	"context"
	"strconv"
	"strings"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Diagnostics measures the guest. CPUTime.Percent and the NICs' rates are 0: they need two measurements. Errors:
// ErrConflict for a guest that does not run, ErrNotFound.
func (d *Driver) Diagnostics(ctx context.Context, ref *driver.InstanceRef) (*driver.Diagnostics, error) {
	h, err := d.configured()
	if err != nil {
		return nil, err
	}
	g, err := h.mustFind(ctx, ref.InstanceID)
	if err != nil {
		return nil, err
	}
	p, err := h.power(ctx, g)
	if err != nil {
		return nil, err
	}
	if !p.on() {
		return nil, notRunning(g, p)
	}
	stats, err := call(ctx, h.link, describe("measure", g.id), func(s *session) (typedParams, error) {
		const groups = golibvirt.DomainStatsVCPU | golibvirt.DomainStatsBalloon | golibvirt.DomainStatsInterface | golibvirt.DomainStatsBlock
		records, err := s.ConnectGetAllDomainStats([]golibvirt.Domain{g.domain}, uint32(groups), 0)
		if err != nil || len(records) == 0 {
			return nil, err
		}
		return newTypedParams(records[0].Params), nil
	})
	if err != nil {
		return nil, err
	}
	domain, err := h.liveXML(ctx, g)
	if err != nil {
		return nil, err
	}
	macs := map[string]string{} // by tap
	for _, nic := range domain.Devices.Interfaces {
		if nic.Target != nil && nic.MAC != nil {
			macs[nic.Target.Dev] = nic.MAC.Address
		}
	}
	diagnostics := stats.diagnostics(g.memory, macs)
	diagnostics.State = stateName(p.driverState())
	if started := g.folder.startedAt(); !started.IsZero() {
		diagnostics.UptimeSeconds = int64(time.Since(started).Seconds())
	}
	return diagnostics, nil
}

func stateName(state driver.PowerState) string {
	switch state {
	case driver.PowerRunning:
		return "running"
	case driver.PowerPaused:
		return "paused"
	case driver.PowerShutdown:
		return "shutdown"
	case driver.PowerCrashed:
		return "crashed"
	case driver.PowerSuspended:
		return "suspended"
	default:
		return "pending"
	}
}

// typedParams are libvirt's measurements by name: numbers as int64, strings as string.
type typedParams map[string]any

func newTypedParams(list []golibvirt.TypedParam) typedParams {
	params := typedParams{}
	for _, p := range list {
		switch value := p.Value.I.(type) {
		case int32:
			params[p.Field] = int64(value)
		case uint32:
			params[p.Field] = int64(value)
		case int64:
			params[p.Field] = value
		case uint64:
			params[p.Field] = int64(value)
		case string:
			params[p.Field] = value
		}
	}
	return params
}

// number returns 0 for what QEMU does not count.
func (t typedParams) number(parts ...string) int64 {
	n, _ := t[strings.Join(parts, ".")].(int64)
	return n
}

func (t typedParams) text(parts ...string) string {
	s, _ := t[strings.Join(parts, ".")].(string)
	return s
}

// diagnostics reads the measurements of each device; memoryMiB is what the guest was given.
func (t typedParams) diagnostics(memoryMiB int64, macs map[string]string) *driver.Diagnostics {
	d := &driver.Diagnostics{MemoryMaxMiB: memoryMiB}
	// Only a guest with a balloon driver says how much of its memory it does not use.
	if available := t.number("balloon.available"); available > 0 {
		d.MemoryUsedMiB = (available - t.number("balloon.unused")) / 1024
	} else {
		d.MemoryUsedMiB = t.number("balloon.rss") / 1024
	}
	for i := range t.number("vcpu.maximum") {
		d.CPUs = append(d.CPUs, driver.CPUTime{ID: int(i), Nanoseconds: t.number("vcpu", strconv.FormatInt(i, 10), "time")})
	}
	for i := range t.number("block.count") {
		n := strconv.FormatInt(i, 10)
		d.Disks = append(d.Disks, driver.DiskStats{
			Device:        t.text("block", n, "name"),
			ReadBytes:     t.number("block", n, "rd.bytes"),
			ReadRequests:  t.number("block", n, "rd.reqs"),
			WriteBytes:    t.number("block", n, "wr.bytes"),
			WriteRequests: t.number("block", n, "wr.reqs"),
			ErrorsCount:   t.number("block", n, "errors"),
		})
	}
	for i := range t.number("net.count") {
		n := strconv.FormatInt(i, 10)
		d.NICs = append(d.NICs, driver.NICStats{
			MAC:       macs[t.text("net", n, "name")],
			RxBytes:   t.number("net", n, "rx.bytes"),
			RxPackets: t.number("net", n, "rx.pkts"),
			RxErrors:  t.number("net", n, "rx.errs"),
			RxDrops:   t.number("net", n, "rx.drop"),
			TxBytes:   t.number("net", n, "tx.bytes"),
			TxPackets: t.number("net", n, "tx.pkts"),
			TxErrors:  t.number("net", n, "tx.errs"),
			TxDrops:   t.number("net", n, "tx.drop"),
		})
	}
	return d
}
