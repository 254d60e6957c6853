package scheduler

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// reference places by the rules read literally: every filter on every host, all weights in full. It knows the subset of
// requests that the generator makes.
type reference struct {
	settings   *structs.ClusterSettings
	hosts      []*structs.Host
	aggregates []*structs.Aggregate
	usage      map[structs.HostID]structs.HostUsage
}

func (m *reference) enabled(name string) bool {
	if len(m.settings.Filters) == 0 {
		return slices.Contains([]string{"ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter"}, name)
	}
	return slices.Contains(m.settings.Filters, name)
}

func (m *reference) feasible(r *Request) []*structs.Host {
	var out []*structs.Host
	for _, h := range m.hosts {
		if m.passes(r, h) {
			out = append(out, h)
		}
	}
	return out
}

func (m *reference) passes(r *Request, h *structs.Host) bool {
	u := m.usage[h.ID]
	need := r.Resources
	if v := r.Move; v != nil {
		methods := h.Methods == nil || slices.Contains(h.Methods, map[bool]string{true: "Resize", false: v.Needs}[v.Source == h.ID])
		if v.Source == h.ID && !v.SameHost || v.Source != h.ID && (!v.Carries || v.Driver != "" && v.Driver != h.Driver) || !methods {
			return false
		}
		if v.Source == h.ID {
			need = structs.Resources{VCPUs: max(need.VCPUs, v.Holds.VCPUs), MemoryMiB: max(need.MemoryMiB, v.Holds.MemoryMiB), DiskGiB: max(need.DiskGiB, v.Holds.DiskGiB)}.Sub(v.Holds)
		}
	}
	if !u.Used.Add(need).Fits(h.Capacity(m.settings)) {
		return false
	}
	if ok, _ := h.Schedulable(); !ok || r.Zone != "" && r.Zone != h.Zone || r.Host != "" && r.Host != h.Name || slices.Contains(r.Avoid, h.ID) {
		return false
	}
	for _, set := range []map[string]string{r.ExtraSpecs, r.ImageProps} {
		for k, v := range set {
			trait, ok := strings.CutPrefix(k, "trait:")
			if ok && slices.Contains(h.Traits, trait) != (v == "required") {
				return false
			}
		}
	}
	if want := r.ExtraSpecs["capabilities:rack"]; want != "" && m.enabled("ComputeCapabilitiesFilter") && h.Attributes["rack"] != want {
		return false
	}
	if want := r.ExtraSpecs["capabilities:free_ram_mb"]; want != "" && m.enabled("ComputeCapabilitiesFilter") {
		n, _ := strconv.ParseInt(strings.TrimPrefix(want, ">= "), 10, 64)
		if h.Total.MemoryMiB-h.Reserved.MemoryMiB-u.Used.MemoryMiB < n {
			return false
		}
	}
	if want := r.ImageProps["hw_architecture"]; want != "" && m.enabled("ImagePropertiesFilter") && !slices.Contains(h.Architectures, want) {
		return false
	}
	if len(m.settings.MetricWeights) > 0 && h.Metrics == nil && (!m.settings.MetricsOptional || m.enabled("MetricsFilter")) {
		return false
	}
	if !m.aggregatesPass(r, h, u) {
		return false
	}
	return !(m.enabled("IoOpsFilter") && u.Building >= 8 || m.enabled("NumInstancesFilter") && u.Instances >= 50)
}

// values returns what a host's aggregates have under a key, as they have it; split also parts it at commas.
func (m *reference) values(h *structs.Host, key string, split bool) []string {
	var out []string
	for _, a := range m.aggregates {
		v, ok := a.Metadata[key]
		switch {
		case !ok || !slices.Contains(a.Hosts, h.ID):
		case split:
			for _, part := range strings.Split(v, ",") {
				out = append(out, strings.TrimSpace(part))
			}
		default:
			out = append(out, v)
		}
	}
	return out
}

// least returns the least of a host's aggregates' numbers, the default when one of them is none.
func (m *reference) least(h *structs.Host, key string, def float64) float64 {
	var numbers []float64
	for _, v := range m.values(h, key, false) {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(n) {
			return def
		}
		numbers = append(numbers, n)
	}
	if len(numbers) == 0 {
		return def
	}
	return slices.Min(numbers)
}

func (m *reference) aggregatesPass(r *Request, h *structs.Host, u structs.HostUsage) bool {
	if m.enabled("AggregateInstanceExtraSpecsFilter") {
		if want := r.ExtraSpecs["aggregate_instance_extra_specs:ssd"]; want != "" && !slices.Contains(m.values(h, "ssd", true), want) {
			return false
		}
		if want := strings.TrimPrefix(r.ExtraSpecs["gpu"], "s== "); want != "" && !slices.Contains(m.values(h, "gpu", true), want) {
			return false
		}
	}
	only := func(key, value string) bool {
		values := m.values(h, key, true)
		return len(values) == 0 || slices.Contains(values, value)
	}
	if m.enabled("AggregateImagePropertiesIsolation") && r.ImageProps["os_distro"] != "" && !only("os_distro", r.ImageProps["os_distro"]) {
		return false
	}
	if m.enabled("AggregateTypeAffinityFilter") && !only("instance_type", r.Flavor) {
		return false
	}
	tenants := append(m.values(h, "filter_tenant_id", true), m.values(h, "filter_tenant_id.2", true)...)
	if m.enabled("AggregateMultiTenancyIsolation") && len(tenants) > 0 && !slices.Contains(tenants, string(r.ProjectID)) {
		return false
	}
	if m.enabled("AggregateIoOpsFilter") && float64(u.Building) >= m.least(h, "max_io_ops_per_host", 8) {
		return false
	}
	return !(m.enabled("AggregateNumInstancesFilter") && float64(u.Instances) >= m.least(h, "max_instances_per_host", 50))
}

// weights returns each host's weight among them.
func (m *reference) weights(hosts []*structs.Host) map[structs.HostID]float64 {
	out := map[structs.HostID]float64{}
	byID := map[structs.HostID]*structs.Host{}
	for _, h := range hosts {
		byID[h.ID] = h
	}
	add := func(name, option string, def float64, floor bool, raw func(h *structs.Host, u structs.HostUsage) float64) {
		mult, ok := m.settings.Weights[name]
		if !ok {
			mult = def
		}
		values := map[structs.HostID]float64{}
		for _, h := range hosts {
			values[h.ID] = raw(h, m.usage[h.ID])
			if floor {
				values[h.ID] = math.Max(0, values[h.ID])
			}
		}
		low, high := slices.Min(slices.Collect(maps.Values(values))), slices.Max(slices.Collect(maps.Values(values)))
		if floor {
			low = 0
		}
		for id, v := range values {
			if high > low {
				out[id] += m.least(byID[id], option, mult) * (v - low) / (high - low)
			}
		}
	}
	add("RAMWeigher", "ram_weight_multiplier", 1, true, func(h *structs.Host, u structs.HostUsage) float64 {
		return float64(h.Total.MemoryMiB - h.Reserved.MemoryMiB - u.Used.MemoryMiB)
	})
	add("CPUWeigher", "cpu_weight_multiplier", 1, true, func(h *structs.Host, u structs.HostUsage) float64 {
		return float64(h.Capacity(m.settings).VCPUs - u.Used.VCPUs)
	})
	add("DiskWeigher", "disk_weight_multiplier", 1, true, func(h *structs.Host, u structs.HostUsage) float64 {
		return float64(h.Total.DiskGiB - h.Reserved.DiskGiB - u.Used.DiskGiB)
	})
	add("IoOpsWeigher", "io_ops_weight_multiplier", -1, true, func(_ *structs.Host, u structs.HostUsage) float64 { return float64(u.Building) })
	add("NumInstancesWeigher", "num_instances_weight_multiplier", 0, false, func(_ *structs.Host, u structs.HostUsage) float64 { return float64(u.Instances) })
	add("MetricsWeigher", "metrics_weight_multiplier", 1, false, func(h *structs.Host, _ structs.HostUsage) float64 {
		switch {
		case len(m.settings.MetricWeights) == 0:
			return 0
		case h.Metrics == nil && m.settings.MetricMissing != nil:
			return *m.settings.MetricMissing
		case h.Metrics == nil:
			return -10000
		}
		return m.settings.MetricWeights["cpu.frequency"]*float64(h.Metrics.Frequency) + m.settings.MetricWeights["cpu.percent"]*float64(h.Metrics.CPUPercent)/100
	})
	return out
}

func (m *reference) take(id structs.HostID, r structs.Resources) {
	u := m.usage[id]
	u.Used = u.Used.Add(r)
	u.Instances++
	u.Building++
	m.usage[id] = u
}
