package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// aggregateSpec is one extra spec that asks something of the metadata of a host's aggregates.
type aggregateSpec struct {
	key  string // in the metadata
	expr string // operator expression, see match
}

const aggregateScope = "aggregate_instance_extra_specs:"

// addAggregateSpec takes in an extra spec if it is one for AggregateInstanceExtraSpecsFilter: one of its scope, or of none.
func (p *profile) addAggregateSpec(key, value string) {
	name, scoped := strings.CutPrefix(key, aggregateScope)
	if scoped || !strings.Contains(key, ":") {
		p.aggregateSpecs = append(p.aggregateSpecs, aggregateSpec{name, value})
	}
}

func compareAggregateSpecs(a, b aggregateSpec) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.expr, b.expr))
}

// aggregateInstanceExtraSpecs is Nova's AggregateInstanceExtraSpecsFilter: for each extra spec of its scope, or of none, one of the values that the host's aggregates
// have under that key must match. A host whose aggregates do not have the key is refused.
type aggregateInstanceExtraSpecs struct{}

func (aggregateInstanceExtraSpecs) name() string { return "AggregateInstanceExtraSpecsFilter" }
func (aggregateInstanceExtraSpecs) refuse(p *profile, h *candidate) string {
	for _, s := range p.aggregateSpecs {
		values := h.group.metadata[s.key]
		if !slices.ContainsFunc(values, func(v string) bool { return match(v, s.expr) }) {
			return fmt.Sprintf("%s wants %q, its aggregates have %q", s.key, s.expr, values)
		}
	}
	return ""
}

// imageProperty is a property of the image that some aggregate has as a key.
type imageProperty struct{ key, value string }

// aggregateImageProperties is Nova's AggregateImagePropertiesIsolation: where a host's aggregates have a key that is also a property of the image, the image's value must be
// one of theirs. Nova looks at the properties that it knows by name; here an image's own ones count too.
type aggregateImageProperties struct{}

func (aggregateImageProperties) name() string { return "AggregateImagePropertiesIsolation" }
func (aggregateImageProperties) refuse(p *profile, h *candidate) string {
	for _, i := range p.imageProperties {
		if values, ok := h.group.metadata[i.key]; ok && !slices.Contains(values, i.value) {
			return fmt.Sprintf("the image's %s is %q, its aggregates allow %q", i.key, i.value, values)
		}
	}
	return ""
}

// aggregateMultiTenancy is Nova's AggregateMultiTenancyIsolation: hosts whose aggregates name projects take instances of those only.
type aggregateMultiTenancy struct{}

func (aggregateMultiTenancy) name() string { return "AggregateMultiTenancyIsolation" }
func (aggregateMultiTenancy) refuse(p *profile, h *candidate) string {
	if h.group.tenants == nil || slices.Contains(h.group.tenants, p.project) {
		return ""
	}
	return "its aggregates are for other projects"
}

// typeKey is the key whose values are names of flavors.
const typeKey = "instance_type"

// aggregateTypeAffinity is Nova's AggregateTypeAffinityFilter: hosts whose aggregates name flavors take instances of those only.
type aggregateTypeAffinity struct{}

func (aggregateTypeAffinity) name() string { return "AggregateTypeAffinityFilter" }
func (aggregateTypeAffinity) refuse(p *profile, h *candidate) string {
	if types, ok := h.group.metadata[typeKey]; ok && !slices.Contains(types, p.flavor) {
		return fmt.Sprintf("the flavor is %q, its aggregates are for %q", p.flavor, types)
	}
	return ""
}

// aggregateIoOps is Nova's AggregateIoOpsFilter: IoOpsFilter with the least max_io_ops_per_host of the host's aggregates.
type aggregateIoOps struct{}

func (aggregateIoOps) name() string                     { return "AggregateIoOpsFilter" }
func (aggregateIoOps) applies(*query) bool              { return true }
func (aggregateIoOps) pass(_ *query, h *candidate) bool { return h.building < h.group.maxIoOps }
func (aggregateIoOps) why(_ *query, h *candidate) string {
	return fmt.Sprintf("%d disk-heavy operations run there, %d are allowed", h.building, h.group.maxIoOps)
}

// aggregateNumInstances is Nova's AggregateNumInstancesFilter: NumInstancesFilter with the least max_instances_per_host of the host's aggregates.
type aggregateNumInstances struct{}

func (aggregateNumInstances) name() string        { return "AggregateNumInstancesFilter" }
func (aggregateNumInstances) applies(*query) bool { return true }
func (aggregateNumInstances) pass(_ *query, h *candidate) bool {
	return h.instances < h.group.maxInstances
}
func (aggregateNumInstances) why(_ *query, h *candidate) string {
	return fmt.Sprintf("%d instances are there, %d are allowed", h.instances, h.group.maxInstances)
}
