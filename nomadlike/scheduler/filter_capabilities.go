package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// specMaxPhysAddr asks for a width of physical addresses; Nova turns it into a capability of cpu_info.
const specMaxPhysAddr = "hw:maxphysaddr_bits"

// capability is one extra spec that asks something of a host's attributes.
type capability struct {
	key      string // as in the flavor
	path     []string
	expr     string // operator expression, see match
	optional bool   // without scope: a host that has no such attribute passes
}

func compareCapabilities(a, b capability) int { return cmp.Compare(a.key, b.key) }

// addCapability takes in an extra spec if it is one for ComputeCapabilitiesFilter: "capabilities:a:b…", or a key
// without a scope, which counts where it names an attribute of the host.
func (p *profile) addCapability(key, value string) {
	c := capability{key: key, path: strings.Split(key, ":"), expr: value}
	switch {
	case key == specMaxPhysAddr:
		c.path, c.expr = []string{"cpu_info", "maxphysaddr", "bits"}, ">= "+value
	case len(c.path) == 1:
		c.optional = true
	case c.path[0] == "capabilities":
		c.path = c.path[1:]
	default:
		return
	}
	if slices.Contains(liveAttributes, c.path[0]) {
		p.liveCaps = append(p.liveCaps, c)
	} else {
		p.capabilities = append(p.capabilities, c)
	}
}

// computeCapabilitiesFilter is Nova's ComputeCapabilitiesFilter. Its operators are in match, the attributes in
// staticAttribute and liveAttribute. A capability with a scope that the host does not have refuses.
type computeCapabilitiesFilter struct{}

func (computeCapabilitiesFilter) name() string { return "ComputeCapabilitiesFilter" }

func (computeCapabilitiesFilter) refuse(p *profile, h *candidate) string {
	for i := range p.capabilities {
		c := &p.capabilities[i]
		root, ok := staticAttribute(h.host, c.path[0])
		if !c.holds(root, ok) {
			return c.why(root, ok)
		}
	}
	return ""
}

func (computeCapabilitiesFilter) applies(q *query) bool { return len(q.liveCaps) > 0 }

func (computeCapabilitiesFilter) pass(q *query, h *candidate) bool {
	return q.firstLiveRefusal(h) == nil
}

func (computeCapabilitiesFilter) why(q *query, h *candidate) string {
	c := q.firstLiveRefusal(h)
	return c.why(q.scheduler.cache.liveAttribute(h, c.path[0]))
}

// firstLiveRefusal returns the capability that the host does not have, or nil.
func (q *query) firstLiveRefusal(h *candidate) *capability {
	for i := range q.liveCaps {
		c := &q.liveCaps[i]
		if !c.holds(q.scheduler.cache.liveAttribute(h, c.path[0])) {
			return c
		}
	}
	return nil
}

// holds decides about the attribute that the path begins with; there says whether the host has it.
func (c *capability) holds(root any, there bool) bool {
	if !there {
		return c.optional
	}
	v, ok := descend(root, c.path[1:])
	return ok && match(textOf(v), c.expr)
}

func (c *capability) why(root any, there bool) string {
	if there {
		if v, ok := descend(root, c.path[1:]); ok {
			return fmt.Sprintf("%s wants %q, it has %q", c.key, c.expr, textOf(v))
		}
	}
	return fmt.Sprintf("%s wants %q, it has no such capability", c.key, c.expr)
}
