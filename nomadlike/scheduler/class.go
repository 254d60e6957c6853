package scheduler

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// classLayout is in the top byte of a class: it goes up whenever ClassOf hashes other things than before, so that a class
// that another version of this program computed is not mistaken for one of ours.
const classLayout = 2

// ClassOf hashes all that static filters read of what a host says of itself; what the cluster says of it, its zone and its aggregates, is added by classKey. Whoever registers a host
// stores it as Host.Class. It is never 0; a host whose Class is 0 or of another layout is classed anew by the cache.
func ClassOf(h *structs.Host) uint64 {
	f := fnv.New64a()
	b := appendString(nil, h.HypervisorType)
	b = binary.AppendVarint(b, h.HypervisorVersion)
	b = appendStrings(b, h.Architectures)
	b = appendStrings(b, h.Traits)
	b = appendString(appendString(appendString(b, h.CPUInfo.Arch), h.CPUInfo.Model), h.CPUInfo.Vendor)
	for _, n := range []int{h.CPUInfo.Sockets, h.CPUInfo.Cores, h.CPUInfo.Threads} {
		b = binary.AppendVarint(b, int64(n))
	}
	b = appendStrings(b, h.CPUInfo.Features)
	b = binary.AppendUvarint(b, uint64(len(h.Attributes)))
	for _, k := range slices.Sorted(maps.Keys(h.Attributes)) {
		b = appendString(appendString(b, k), h.Attributes[k])
	}
	f.Write(b)
	return f.Sum64()&(1<<56-1) | classLayout<<56
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

// classKey is all that static filters read of a host: hosts with the same one are alike to them.
type classKey struct {
	class uint64
	zone  string
	group int32 // 0 while no filter that runs reads groups
}

// classOf returns the stored class when this version of the program may trust it.
func classOf(h *structs.Host) uint64 {
	if h.Class>>56 == classLayout {
		return h.Class
	}
	return ClassOf(h)
}
