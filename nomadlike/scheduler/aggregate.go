package scheduler

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// group is what the hosts that are in exactly the same aggregates have of them. It is worked out anew when any aggregate or setting changes.
type group struct {
	number                 int32               // in this cache, from 1; 0 is that of hosts in no aggregate
	metadata               map[string][]string // Nova's aggregate_metadata_get_by_host: values split at commas and trimmed, distinct, of all aggregates
	tenants                []string            // who may use the hosts; nil is everybody
	maxIoOps, maxInstances int32
	multipliers            *[weigherCount]float64 // of the weighers; nil is the settings'
}

// ungrouped is the group of hosts in no aggregate.
var ungrouped = group{maxIoOps: maxIoOpsPerHost, maxInstances: maxInstancesPerHost}

// tenantKey begins the keys whose values are projects; they end in anything, so that a list may be longer than a value can be.
const tenantKey = "filter_tenant_id"

// grouping is what the cache knows of aggregates.
type grouping struct {
	of         map[structs.HostID]*group
	weighed    bool            // a group has multipliers of its own
	classed    bool            // a configured static filter reads groups: they tell classes apart
	tenants    bool            // a profile has a project: AggregateMultiTenancyIsolation runs and some group has tenants
	types      bool            // a profile has a flavor's name: AggregateTypeAffinityFilter runs and some group names flavors
	properties map[string]bool // image properties that a profile has, because AggregateImagePropertiesIsolation runs and some group has such a key
}

// regroup works the groups out and reports whether there are any, or were.
func (c *Cache) regroup(r state.Reader) bool {
	had := len(c.groups.of) > 0
	members := map[structs.HostID][]*structs.Aggregate{}
	for a := range r.Aggregates() { // by id, so that equal memberships are equal lists
		for _, id := range a.Hosts {
			members[id] = append(members[id], a)
		}
	}
	g := grouping{of: make(map[structs.HostID]*group, len(members))}
	known := map[string]*group{}
	var key []byte
	for id, in := range members {
		key = key[:0]
		for _, a := range in {
			key = binary.AppendVarint(key, int64(a.ID))
		}
		one := known[string(key)]
		if one == nil {
			one = c.newGroup(in, int32(len(known)+1))
			known[string(key)] = one
		}
		g.of[id] = one
	}
	c.adoptGrouping(&g, known)
	return had || len(g.of) > 0
}

// adoptGrouping works out what the configured filters make of the groups.
func (c *Cache) adoptGrouping(g *grouping, known map[string]*group) {
	runs := func(f filter) bool {
		return slices.ContainsFunc(c.filters, func(o filter) bool { return o.name() == f.name() })
	}
	specs, tenants, types, images := runs(aggregateInstanceExtraSpecs{}), runs(aggregateMultiTenancy{}), runs(aggregateTypeAffinity{}), runs(aggregateImageProperties{})
	g.classed = specs || tenants || types || images
	for _, one := range known {
		g.weighed = g.weighed || one.multipliers != nil
		g.tenants = g.tenants || tenants && one.tenants != nil
		g.types = g.types || types && one.metadata[typeKey] != nil
		if !images {
			continue
		}
		for k := range one.metadata {
			if g.properties == nil {
				g.properties = map[string]bool{}
			}
			g.properties[k] = true
		}
	}
	c.groups = *g
}

func (c *Cache) groupOf(id structs.HostID) *group {
	if g := c.groups.of[id]; g != nil {
		return g
	}
	return &ungrouped
}

func (c *Cache) newGroup(in []*structs.Aggregate, number int32) *group {
	g := &group{number: number, metadata: map[string][]string{}}
	for _, a := range in {
		for k, v := range a.Metadata {
			for value := range strings.SplitSeq(v, ",") {
				g.metadata[k] = append(g.metadata[k], strings.TrimSpace(value))
			}
		}
	}
	for k, values := range g.metadata {
		slices.Sort(values)
		g.metadata[k] = slices.Compact(values)
		if strings.HasPrefix(k, tenantKey) {
			g.tenants = append(g.tenants, values...)
		}
	}
	whole := func(s string) (float64, bool) {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		return float64(min(max(n, math.MinInt32), math.MaxInt32)), err == nil
	}
	g.maxIoOps = int32(leastOf(in, "max_io_ops_per_host", maxIoOpsPerHost, whole))
	g.maxInstances = int32(leastOf(in, "max_instances_per_host", maxInstancesPerHost, whole))
	finite := func(s string) (float64, bool) {
		m, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		return m, err == nil && !math.IsNaN(m) && !math.IsInf(m, 0)
	}
	own := c.multipliers
	for w := range weighers {
		own[w] = leastOf(in, weighers[w].option, own[w], finite)
	}
	if own != c.multipliers {
		g.multipliers = &own
	}
	return g
}

// leastOf returns the least number under a key of the aggregates' metadata. Where none has the key, or one has a value that is no such number, it is the default (Nova's
// validate_num_values). A number that is not finite is none here.
func leastOf(in []*structs.Aggregate, key string, def float64, parse func(string) (float64, bool)) float64 {
	least, found := def, false
	for _, a := range in {
		v, ok := a.Metadata[key]
		if !ok {
			continue
		}
		n, ok := parse(v)
		if !ok {
			return def
		}
		if !found || n < least {
			least, found = n, true
		}
	}
	return least
}
