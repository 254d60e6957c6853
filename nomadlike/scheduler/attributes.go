package scheduler

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// liveAttributes are the attributes of a host that hosts of one class do not share: load, amounts and names. The names are
// those of Nova's HostState; amounts of memory and disk do not count the ratios there either.
var liveAttributes = []string{"host", "nodename", "hypervisor_hostname", "uuid", "host_ip", "vcpus_total", "vcpus_used",
	"total_usable_ram_mb", "free_ram_mb", "total_usable_disk_gb", "free_disk_mb", "disk_mb_used", "num_instances", "num_io_ops",
	"cpu_allocation_ratio", "ram_allocation_ratio", "disk_allocation_ratio"}

// liveAttribute returns an attribute of liveAttributes.
func (c *Cache) liveAttribute(h *candidate, name string) (any, bool) {
	whole := h.host.Total.Sub(h.host.Reserved)
	free := h.unrationed()
	switch name {
	case "host":
		return h.host.Name, true
	case "nodename", "hypervisor_hostname":
		return h.host.HypervisorHostname, true
	case "uuid":
		return string(h.host.ID), true
	case "host_ip":
		return hostIP(h.host), true
	case "vcpus_total":
		return whole.VCPUs, true
	case "vcpus_used":
		return whole.VCPUs - free.VCPUs, true
	case "total_usable_ram_mb":
		return whole.MemoryMiB, true
	case "free_ram_mb":
		return free.MemoryMiB, true
	case "total_usable_disk_gb":
		return whole.DiskGiB, true
	case "free_disk_mb":
		return free.DiskGiB * 1024, true
	case "disk_mb_used":
		return (whole.DiskGiB - free.DiskGiB) * 1024, true
	case "num_instances":
		return int64(h.instances), true
	case "num_io_ops":
		return int64(h.building), true
	case "cpu_allocation_ratio":
		return c.settings.CPURatio, true
	case "ram_allocation_ratio":
		return c.settings.MemoryRatio, true
	case "disk_allocation_ratio":
		return c.settings.DiskRatio, true
	}
	return nil, false
}

// staticAttribute returns an attribute that hosts of one class share: of the hypervisor, of the processor, or one that
// the host's client reports under that name (what Nova keeps in stats). INVARIANT: it reads only what ClassOf hashes.
func staticAttribute(h *structs.Host, name string) (any, bool) {
	switch name {
	case "hypervisor_type":
		return h.HypervisorType, true
	case "hypervisor_version":
		return h.HypervisorVersion, true
	case "cpu_info":
		return cpuInfo(&h.CPUInfo), true
	case "stats":
		m := make(map[string]any, len(h.Attributes))
		for k, v := range h.Attributes {
			m[k] = v
		}
		return m, true
	}
	v, ok := h.Attributes[name]
	return v, ok
}

// cpuInfo is Nova's cpu_info object.
func cpuInfo(c *structs.CPUInfo) map[string]any {
	features := make([]any, len(c.Features))
	for i, f := range c.Features {
		features[i] = f
	}
	return map[string]any{"arch": c.Arch, "model": c.Model, "vendor": c.Vendor, "features": features,
		"topology": map[string]any{"sockets": int64(c.Sockets), "cores": int64(c.Cores), "threads": int64(c.Threads)}}
}

func hostIP(h *structs.Host) string {
	if host, _, err := net.SplitHostPort(h.RPCAddr); err == nil {
		return host
	}
	return h.RPCAddr
}

// descend follows a path into objects. A text on the way is decoded as JSON.
func descend(v any, path []string) (any, bool) {
	for _, key := range path {
		if s, ok := v.(string); ok {
			if v, ok = decodeJSON(s); !ok {
				return nil, false
			}
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[key]; !ok || v == nil {
			return nil, false
		}
	}
	return v, true
}

func decodeJSON(s string) (v any, ok bool) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}

// textOf writes a value as Nova's str() does, which is what its operators compare: lists and objects in Python's way.
func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return pythonText(v)
}

func pythonText(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case string:
		return "'" + v + "'"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".eIN") {
			s += ".0"
		}
		return s
	case json.Number:
		return v.String()
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = pythonText(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for k, e := range v {
			parts = append(parts, pythonText(k)+": "+pythonText(e))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return ""
}
