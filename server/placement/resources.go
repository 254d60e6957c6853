package placement

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// class is one standard resource class and how the model keeps it.
type class struct {
	name   string
	amount func(structs.Resources) int64
	ratio  func(*structs.ClusterSettings) float64
}

// classes are the resource classes that hosts have, in the order of their names.
var classes = []class{
	{"DISK_GB", func(r structs.Resources) int64 { return r.DiskGiB }, func(s *structs.ClusterSettings) float64 { return s.DiskRatio }},
	{"MEMORY_MB", func(r structs.Resources) int64 { return r.MemoryMiB }, func(s *structs.ClusterSettings) float64 { return s.MemoryRatio }},
	{"VCPU", func(r structs.Resources) int64 { return r.VCPUs }, func(s *structs.ClusterSettings) float64 { return s.CPURatio }},
}

func classNamed(name string) *class {
	for i := range classes {
		if classes[i].name == name {
			return &classes[i]
		}
	}
	return nil
}

// amounts returns what is not zero by class.
func amounts(r structs.Resources) map[string]int64 {
	out := map[string]int64{}
	for _, c := range classes {
		if n := c.amount(r); n != 0 {
			out[c.name] = n
		}
	}
	return out
}

// generation is a provider's: it changes with its inventory and with its usage.
func generation(st state.Reader, h *structs.Host) uint64 {
	return max(h.ModifyIndex, st.HostUsage(h.ID).ModifyIndex)
}
