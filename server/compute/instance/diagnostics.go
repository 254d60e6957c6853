package instance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) diagnosticsRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/servers/{server_id}/diagnostics", Rule: httpapi.Admin("os_compute_api:os-server-diagnostics"), Query: base.NoQuery,
			Handler: s.showDiagnostics},
		{Method: http.MethodGet, Path: "/servers/{server_id}/topology", Min: 78, Rule: httpapi.ReaderOrAdmin("compute:server:topology:index"), Query: base.NoQuery,
			Handler: s.showTopology},
	}
}

// powerNames are Nova's words for power states.
var powerNames = map[structs.PowerState]string{structs.PowerNoState: "pending", structs.PowerRunning: "running", structs.PowerPaused: "paused",
	structs.PowerShutdown: "shutdown", structs.PowerCrashed: "crashed", structs.PowerSuspended: "suspended"}

// standardDiagnostics is the first microversion whose answer has the same fields whatever the driver.
const standardDiagnostics = 48

// showDiagnostics has the host measure a guest that runs.
func (s *service) showDiagnostics(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	switch {
	case ins.HostID == "":
		return nil, httpapi.Conflict("Instance %s is not ready", ins.ID)
	case ins.Power != structs.PowerRunning:
		return nil, httpapi.Conflict("Cannot 'get_diagnostics' instance %s while it is in power state %s", ins.ID, powerNames[ins.Power])
	}
	d, err := r.Core.Diagnostics(r.Context(), ins)
	switch {
	case structs.IsKind(err, structs.KindNotSupported):
		return nil, structs.Errorf(structs.KindNotSupported, "The requested functionality is not supported.")
	case structs.IsKind(err, structs.KindNotFound):
		return nil, instanceNotFound(string(ins.ID))
	case err != nil:
		return nil, consoleFailure(r, ins, err)
	}
	if r.Version < standardDiagnostics {
		return flatDiagnostics(d), nil
	}
	return diagnosticsView(r.Core.Stale(), ins, d), nil
}

// flatDiagnostics is the form of Nova's libvirt driver. The guest's interfaces are counted: what the host calls them is not known.
func flatDiagnostics(d *structs.Diagnostics) map[string]int64 {
	v := map[string]int64{"memory": d.MemoryMaxMiB << 10} // KiB
	for _, c := range d.CPUs {
		v[fmt.Sprintf("cpu%d_time", c.ID)] = c.Nanoseconds
	}
	for _, k := range d.Disks {
		v[k.Device+"_read"], v[k.Device+"_read_req"] = k.ReadBytes, k.ReadRequests
		v[k.Device+"_write"], v[k.Device+"_write_req"] = k.WriteBytes, k.WriteRequests
		v[k.Device+"_errors"] = k.ErrorsCount
	}
	for i, n := range d.NICs {
		name := fmt.Sprintf("vnet%d_", i)
		v[name+"rx"], v[name+"rx_packets"], v[name+"rx_errors"], v[name+"rx_drop"] = n.RxBytes, n.RxPackets, n.RxErrors, n.RxDrops
		v[name+"tx"], v[name+"tx_packets"], v[name+"tx_errors"], v[name+"tx_drop"] = n.TxBytes, n.TxPackets, n.TxErrors, n.TxDrops
	}
	return v
}

// diagnosticsDrivers are all that the answer's driver may be.
var diagnosticsDrivers = []string{"libvirt", "xenapi", "vmwareapi", "ironic"}

func diagnosticsView(rd state.Reader, ins *structs.Instance, d *structs.Diagnostics) map[string]any {
	// Another driver calls itself libvirt here, as Nova's fake driver does.
	driver, hypervisor := "libvirt", any(nil)
	if h := rd.Host(ins.HostID); h != nil {
		if slices.Contains(diagnosticsDrivers, h.Driver) {
			driver = h.Driver
		}
		if h.HypervisorType != "" {
			hypervisor = strings.ToLower(h.HypervisorType)
		}
	}
	cpus, disks, nics := make([]map[string]any, len(d.CPUs)), make([]map[string]any, len(d.Disks)), make([]map[string]any, len(d.NICs))
	for i, c := range d.CPUs {
		cpus[i] = map[string]any{"id": c.ID, "time": c.Nanoseconds, "utilisation": measured(int64(c.Percent + 0.5))}
	}
	for i, k := range d.Disks {
		disks[i] = map[string]any{"read_bytes": k.ReadBytes, "read_requests": k.ReadRequests, "write_bytes": k.WriteBytes, "write_requests": k.WriteRequests,
			"errors_count": k.ErrorsCount}
	}
	for i, n := range d.NICs {
		nics[i] = map[string]any{"mac_address": n.MAC,
			"rx_octets": n.RxBytes, "rx_packets": n.RxPackets, "rx_errors": n.RxErrors, "rx_drop": n.RxDrops, "rx_rate": measured(n.RxRate),
			"tx_octets": n.TxBytes, "tx_packets": n.TxPackets, "tx_errors": n.TxErrors, "tx_drop": n.TxDrops, "tx_rate": measured(n.TxRate)}
	}
	return map[string]any{"state": d.State, "driver": driver, "hypervisor": hypervisor, "hypervisor_os": nil, "uptime": d.UptimeSeconds,
		"config_drive": ins.ConfigDrive, "num_cpus": len(cpus), "num_disks": len(disks), "num_nics": len(nics), "cpu_details": cpus, "disk_details": disks,
		"nic_details": nics, "memory_details": map[string]int64{"maximum": d.MemoryMaxMiB, "used": d.MemoryUsedMiB}}
}

// measured is null for a rate that the driver leaves at 0 because it cannot tell it.
func measured(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// showTopology answers for an instance without a NUMA topology: no driver gives a guest one, whatever its flavor asks for. So there is nothing yet that
// compute:server:topology:host:index would show.
func (s *service) showTopology(r *httpapi.Request) (any, error) {
	if _, err := instanceOfURL(r); err != nil {
		return nil, err
	}
	return map[string]any{"nodes": []any{}, "pagesize_kb": nil}, nil
}
