package base

import (
	"cmp"
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// NodeName is the hypervisor's name, the host's when its driver gives it none.
func NodeName(h *structs.Host) string { return cmp.Or(h.HypervisorHostname, h.Name) }

// InstanceName is the name that the hypervisor knows it by: Nova's instance_name_template.
func InstanceName(i *structs.Instance) string { return fmt.Sprintf("instance-%08x", i.Num) }

// CompareBools orders false before true.
func CompareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
