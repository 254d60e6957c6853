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
	settings *structs.ClusterSettings
	hosts    []*structs.Host
	usage    map[structs.HostID]structs.HostUsage
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
	if !u.Used.Add(r.Resources).Fits(h.Capacity(m.settings)) {
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
	return !(m.enabled("IoOpsFilter") && u.Building >= 8 || m.enabled("NumInstancesFilter") && u.Instances >= 50)
}

// weights returns each host's weight among them.
func (m *reference) weights(hosts []*structs.Host) map[structs.HostID]float64 {
	out := map[structs.HostID]float64{}
	add := func(name string, def float64, floor bool, raw func(h *structs.Host, u structs.HostUsage) float64) {
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
				out[id] += mult * (v - low) / (high - low)
			}
		}
	}
	add("RAMWeigher", 1, true, func(h *structs.Host, u structs.HostUsage) float64 {
		return float64(h.Total.MemoryMiB - h.Reserved.MemoryMiB - u.Used.MemoryMiB)
	})
	add("CPUWeigher", 1, true, func(h *structs.Host, u structs.HostUsage) float64 {
		return float64(h.Capacity(m.settings).VCPUs - u.Used.VCPUs)
	})
	add("DiskWeigher", 1, true, func(h *structs.Host, u structs.HostUsage) float64 {
		return float64(h.Total.DiskGiB - h.Reserved.DiskGiB - u.Used.DiskGiB)
	})
	add("IoOpsWeigher", -1, true, func(_ *structs.Host, u structs.HostUsage) float64 { return float64(u.Building) })
	add("NumInstancesWeigher", 0, false, func(_ *structs.Host, u structs.HostUsage) float64 { return float64(u.Instances) })
	return out
}

func (m *reference) take(id structs.HostID, r structs.Resources) {
	u := m.usage[id]
	u.Used = u.Used.Add(r)
	u.Instances++
	u.Building++
	m.usage[id] = u
}
