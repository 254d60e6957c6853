package scheduler

import (
	"fmt"
	"slices"
	"strings"
)

// requestedHost passes the host that was asked for by name; Nova asks Placement for in_tree=<its node>. Names compare
// without case.
type requestedHost struct{}

func (requestedHost) name() string          { return "RequestedHost" }
func (requestedHost) applies(q *query) bool { return q.Host != "" }
func (requestedHost) pass(q *query, h *candidate) bool {
	return q.Host == h.host.Name || strings.EqualFold(q.Host, h.host.Name)
}
func (requestedHost) why(q *query, _ *candidate) string {
	return fmt.Sprintf("host %q was asked for", q.Host)
}

// availabilityZone passes hosts in the zone that was asked for. Nova maps the zone to its aggregates' members
// (map_az_to_placement_aggregate); here the zone is the host's, which the state works out
// of its aggregates (structs.Host.SetZones).
type availabilityZone struct{}

func (availabilityZone) name() string { return "AvailabilityZone" }
func (availabilityZone) refuse(p *profile, h *candidate) string {
	if p.zone == "" || p.zone == h.host.Zone {
		return ""
	}
	return fmt.Sprintf("zone %q was asked for, it is in %q", p.zone, h.host.Zone)
}

// avoidHosts passes hosts where the operation has not failed before; Nova's reschedules take the next alternate host.
type avoidHosts struct{}

func (avoidHosts) name() string                     { return "AvoidHosts" }
func (avoidHosts) applies(q *query) bool            { return len(q.Avoid) > 0 }
func (avoidHosts) pass(q *query, h *candidate) bool { return !slices.Contains(q.Avoid, h.host.ID) }
func (avoidHosts) why(*query, *candidate) string    { return "this operation failed there before" }

// placementTraits passes hosts that have every required trait and no forbidden one: trait[G]:T=required|forbidden of the
// flavor and trait:T=required of the image (Nova reads no forbidden traits from images). All groups mean the host itself:
// it is the only provider.
type placementTraits struct{}

func (placementTraits) name() string { return "PlacementTraits" }
func (placementTraits) refuse(p *profile, h *candidate) string {
	for _, t := range p.required {
		if !slices.Contains(h.host.Traits, t) {
			return "lacks the required trait " + t
		}
	}
	for _, t := range p.forbidden {
		if slices.Contains(h.host.Traits, t) {
			return "has the forbidden trait " + t
		}
	}
	return ""
}

// placementCapacity passes hosts with room under the cluster's ratios for what is asked, and no hosts when a class is asked for
// that none has. It judges as fsm.PlanApply does: a host over its capacity in one class takes nothing, not even an
// instance that needs none of that class. (Placement looks only at the classes asked for.)
type placementCapacity struct{}

func (placementCapacity) name() string        { return "PlacementCapacity" }
func (placementCapacity) applies(*query) bool { return true }
func (placementCapacity) pass(q *query, h *candidate) bool {
	r := q.needs(h.host.ID)
	return r.VCPUs <= h.free.VCPUs && r.MemoryMiB <= h.free.MemoryMiB && r.DiskGiB <= h.free.DiskGiB
}

func (placementCapacity) why(q *query, h *candidate) string {
	var parts []string
	r := q.needs(h.host.ID)
	for _, c := range []struct {
		need, free int64
		unit       string
	}{{r.VCPUs, h.free.VCPUs, "VCPU"}, {r.MemoryMiB, h.free.MemoryMiB, "MB"}, {r.DiskGiB, h.free.DiskGiB, "GB of disk"}} {
		if c.need > c.free {
			parts = append(parts, fmt.Sprintf("needs %d %s, %d %s free", c.need, c.unit, c.free, c.unit))
		}
	}
	return strings.Join(parts, "; ")
}

func (placementCapacity) refuse(p *profile, _ *candidate) string {
	if len(p.classes) == 0 {
		return ""
	}
	return "has none of the resource class " + p.classes[0]
}
