package scheduler

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The weighers, by their place in candidate.raw.
const (
	weighRAM = iota
	weighCPU
	weighDisk
	weighIoOps
	weighNumInstances
	weighMetrics
	weighSoftAffinity // these two only of requests with a server group: see weighMembers
	weighSoftAntiAffinity
	weigherCount
)

// weigher is one of Nova's: what it measures is in candidate.weigh.
type weigher struct {
	name       string
	option     string  // Nova's, and the key in the metadata of aggregates: the least of a host's aggregates goes before the settings' multiplier
	multiplier float64 // Nova's default
	fromZero   bool    // values below 0 count as 0, and 0 is the least of the scale
}

var weighers = [weigherCount]weigher{
	weighRAM:              {"RAMWeigher", "ram_weight_multiplier", 1, true},
	weighCPU:              {"CPUWeigher", "cpu_weight_multiplier", 1, true},
	weighDisk:             {"DiskWeigher", "disk_weight_multiplier", 1, true},
	weighIoOps:            {"IoOpsWeigher", "io_ops_weight_multiplier", -1, true},
	weighNumInstances:     {"NumInstancesWeigher", "num_instances_weight_multiplier", 0, false},
	weighMetrics:          {"MetricsWeigher", "metrics_weight_multiplier", 1, false},
	weighSoftAffinity:     {"ServerGroupSoftAffinityWeigher", "soft_affinity_weight_multiplier", 1, false},
	weighSoftAntiAffinity: {"ServerGroupSoftAntiAffinityWeigher", "soft_anti_affinity_weight_multiplier", 1, false},
}

// WeigherNames returns the keys that ClusterSettings.Weights may have.
func WeigherNames() []string {
	var out []string
	for _, w := range weighers {
		out = append(out, w.name)
	}
	return out
}

// multipliersOf returns each weigher's multiplier: Nova's default unless the settings have another.
func multipliersOf(s *structs.ClusterSettings) ([weigherCount]float64, error) {
	var out [weigherCount]float64
	for i, w := range weighers {
		out[i] = w.multiplier
	}
	for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
		i := slices.IndexFunc(weighers[:], func(w weigher) bool { return w.name == name })
		if i < 0 {
			return out, structs.Errorf(structs.KindInvalid, "there is no weigher %q; the weighers are %s", name, strings.Join(WeigherNames(), ", "))
		}
		m := s.Weights[name]
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return out, structs.Errorf(structs.KindInvalid, "the multiplier of %s is %v; it must be a finite number", name, m)
		}
		out[i] = m
	}
	return out, nil
}

// weigh fills what the weighers measure (Nova's scheduler/weights): memory and disk that are free without ratios, VCPUs that
// are free with their ratio, disk-heavy operations and instances, and what the hosts themselves measure.
func (h *candidate) weigh() {
	free := h.unrationed()
	h.raw = [weigherCount]float64{
		weighRAM:          float64(free.MemoryMiB),
		weighCPU:          float64(h.free.VCPUs),
		weighDisk:         float64(free.DiskGiB),
		weighIoOps:        float64(h.building),
		weighNumInstances: float64(h.instances),
		weighMetrics:      h.metric,
	}
}

// scale brings one weigher's values to its share of a host's weight: (value - low) * factor.
type scale struct {
	weigher     int
	low, factor float64
	span        float64 // factor is the settings' multiplier through it
}

// scales returns the scales over the feasible hosts: each weigher's values are stretched to 0…1 between the least and the
// greatest, times its multiplier. A weigher whose values are all equal tells no host from another and is left out.
func (c *Cache) scales() []scale {
	c.scaled = c.scaled[:0]
	for w, m := range c.multipliers {
		if m == 0 && !c.groups.weighed || w >= weighSoftAffinity && !c.query.servers.soft() {
			continue
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, i := range c.feasible {
			v := c.hosts[i].raw[w]
			low, high = min(low, v), max(high, v)
		}
		if weighers[w].fromZero {
			low, high = 0, max(high, 0)
		}
		if high > low {
			c.scaled = append(c.scaled, scale{w, low, m / (high - low), high - low})
		}
	}
	return c.scaled
}

// weight is the host's sum over the scales.
func (h *candidate) weight(scales []scale) float64 {
	sum := 0.0
	for _, s := range scales {
		sum += float64(max(0, h.raw[s.weigher]-s.low) * s.factor)
	}
	return sum
}

// ownWeight is weight with the multipliers of the host's aggregates where they have any.
func (h *candidate) ownWeight(scales []scale) float64 {
	own := h.group.multipliers
	if own == nil {
		return h.weight(scales)
	}
	sum := 0.0
	for _, s := range scales {
		sum += float64(max(0, h.raw[s.weigher]-s.low) * (own[s.weigher] / s.span))
	}
	return sum
}

// best returns the index of a feasible host of the greatest weight, -1 when none is feasible. Between equals the random
// source decides, each as likely as the other, so that schedulers that work on one moment do not all pick the same host.
func (s *Scheduler) best() int {
	c := s.cache
	switch len(c.feasible) {
	case 0:
		return -1
	case 1:
		return int(c.feasible[0])
	}
	c.weighMembers()
	scales := c.scales()
	top := math.Inf(-1)
	c.ties = c.ties[:0]
	for _, i := range c.feasible {
		var w float64
		if c.groups.weighed {
			w = c.hosts[i].ownWeight(scales)
		} else {
			w = c.hosts[i].weight(scales)
		}
		if w > top {
			top = w
			c.ties = c.ties[:0]
		}
		if w == top {
			c.ties = append(c.ties, i)
		}
	}
	if len(c.ties) == 1 {
		return int(c.ties[0])
	}
	return int(c.ties[s.rng.IntN(len(c.ties))])
}
