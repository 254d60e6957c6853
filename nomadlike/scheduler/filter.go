package scheduler

import (
	"math"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxFilters bounds how many filters run, so that a verdict about a class fits a byte: those that always do, and the
// configured ones, of which none comes twice.
const maxFilters = 64

// filter decides which hosts may take a request. A filter is a staticFilter, a liveFilter or both; it then refuses a host when
// either part does.
type filter interface {
	// name is Nova's where Nova has such a filter.
	name() string
}

// staticFilter reads of a host only its zone, its group and what ClassOf hashes, and of a request only its profile. INVARIANT: a field that a
// refuse method newly reads is added to ClassOf, with a new classLayout, or to classKey; else a verdict is remembered for the wrong hosts.
type staticFilter interface {
	filter
	// refuse says why the host is refused, without the host's name; "" passes.
	refuse(p *profile, h *candidate) string
}

// That the filters are what they are meant to be: one whose refuse had another signature would never be asked.
var _ = []staticFilter{availabilityZone{}, placementTraits{}, placementCapacity{}, computeCapabilitiesFilter{}, imagePropertiesFilter{}, aggregateInstanceExtraSpecs{},
	aggregateImageProperties{}, aggregateMultiTenancy{}, aggregateTypeAffinity{}}

// liveFilter reads load, health, or a host's own name: what differs between hosts of one class.
type liveFilter interface {
	filter
	// applies reports whether the request asks for anything that pass would look at.
	applies(q *query) bool
	// pass decides about one host. It runs per host and request: no allocation.
	pass(q *query, h *candidate) bool
	// why words the refusal by pass, without the host's name.
	why(q *query, h *candidate) string
}

// always are the filters that no setting takes away, in their order: what Nova gets by its query to Placement.
var always = []filter{requestedHost{}, availabilityZone{}, avoidHosts{}, moveHosts{}, placementTraits{}, placementCapacity{}}

// known are the filters that ClusterSettings.Filters may name.
var known = []filter{allHostsFilter{}, computeFilter{}, computeCapabilitiesFilter{}, imagePropertiesFilter{}, sameHostFilter{},
	differentHostFilter{}, simpleCIDRAffinityFilter{}, jsonFilter{}, ioOpsFilter{}, numInstancesFilter{},
	aggregateInstanceExtraSpecs{}, aggregateImageProperties{}, aggregateMultiTenancy{}, aggregateTypeAffinity{}, aggregateIoOps{}, aggregateNumInstances{},
	antiAffinityFilter{}, affinityFilter{}, metricsFilter{}}

// enforced run first when they are not configured, because the plan applier refuses what they refuse.
var enforced = []filter{computeFilter{}, antiAffinityFilter{}, affinityFilter{}}

// defaultFilters are Nova's default [filter_scheduler]enabled_filters.
var defaultFilters = []string{"ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter"}

// goneFilters are filters that Nova had, with the release that dropped them and what does their work.
var goneFilters = map[string]string{
	"AvailabilityZoneFilter": "28.0.0 (2023.2); zones are always respected",
	"CoreFilter":             "22.0.0 (Victoria); capacity is always respected",
	"DiskFilter":             "22.0.0 (Victoria); capacity is always respected",
	"RamFilter":              "22.0.0 (Victoria); capacity is always respected",
	"RetryFilter":            "22.0.0 (Victoria); hosts where a build failed are always avoided",
	"AggregateCoreFilter":    "22.0.0 (Victoria); capacity is always respected",
	"AggregateDiskFilter":    "22.0.0 (Victoria); capacity is always respected",
	"AggregateRamFilter":     "22.0.0 (Victoria); capacity is always respected",
	"ExactCoreFilter":        "18.0.0 (Rocky)",
	"ExactDiskFilter":        "18.0.0 (Rocky)",
	"ExactRamFilter":         "18.0.0 (Rocky)",
	"TypeAffinityFilter":     "17.0.0 (Queens)",
	"TrustedFilter":          "17.0.0 (Queens)",
}

// missingFilters are Nova's filters about things that this cluster's model does not have.
var missingFilters = []string{"IsolatedHostsFilter", "NUMATopologyFilter", "PciPassthroughFilter"}

// FilterNames returns the names that ClusterSettings.Filters may have.
func FilterNames() []string { return names(known) }

// DefaultFilters returns what an empty ClusterSettings.Filters means.
func DefaultFilters() []string { return slices.Clone(defaultFilters) }

func names(fs []filter) []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.name()
	}
	return out
}

// Validate refuses settings that a scheduler could not follow, with KindInvalid: filters or weighers that do not exist,
// multipliers and ratios that are no finite numbers, ratios below 0. To be asked before settings are stored.
func Validate(s *structs.ClusterSettings) error {
	if _, err := filtersOf(s); err != nil {
		return err
	}
	for _, r := range []struct {
		name  string
		ratio float64
	}{{"VCPU", s.CPURatio}, {"MEMORY_MB", s.MemoryRatio}, {"DISK_GB", s.DiskRatio}} {
		if math.IsNaN(r.ratio) || math.IsInf(r.ratio, 0) || r.ratio < 0 {
			return structs.Errorf(structs.KindInvalid, "the allocation ratio of %s is %v; it must be a number from 0 up", r.name, r.ratio)
		}
	}
	if _, err := metricRatiosOf(s); err != nil {
		return err
	}
	_, err := multipliersOf(s)
	return err
}

// filtersOf returns the filters that the settings ask for, in order of refusal: those that always run, then the configured
// ones.
func filtersOf(s *structs.ClusterSettings) ([]filter, error) {
	want := s.Filters
	if len(want) == 0 {
		want = defaultFilters
	}
	out := slices.Clone(always)
	for _, f := range enforced {
		if !slices.Contains(want, f.name()) {
			out = append(out, f)
		}
	}
	if metricsRequired(s) && !slices.Contains(want, metricsFilter{}.name()) {
		out = append(out, metricsFilter{})
	}
	for i, name := range want {
		if slices.Contains(want[:i], name) {
			return nil, structs.Errorf(structs.KindInvalid, "host filter %q is listed twice", name)
		}
		f, err := filterNamed(name)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func filterNamed(name string) (filter, error) {
	for _, f := range known {
		if f.name() == name {
			return f, nil
		}
	}
	choice := "the filters are " + strings.Join(names(known), ", ")
	if why, ok := goneFilters[name]; ok {
		return nil, structs.Errorf(structs.KindInvalid, "host filter %q was removed from Nova in %s: take it out of the list; %s", name, why, choice)
	}
	if slices.Contains(missingFilters, name) {
		return nil, structs.Errorf(structs.KindInvalid, "host filter %q is one of Nova's, but this version of Kilonova does not have it; %s", name, choice)
	}
	if slices.Contains(names(always), name) {
		return nil, structs.Errorf(structs.KindInvalid, "host filter %q always runs: take it out of the list; %s", name, choice)
	}
	return nil, structs.Errorf(structs.KindInvalid, "there is no host filter %q; %s", name, choice)
}

// placedLive is a live filter at its position.
type placedLive struct {
	at     int
	filter liveFilter
}

// liveFilters returns the live filters that the request needs, in order. The slice is reused by the next call.
func (c *Cache) liveFilters(q *query) []placedLive {
	c.liveNow = c.liveNow[:0]
	for _, l := range c.live {
		if l.filter.applies(q) {
			c.liveNow = append(c.liveNow, l)
		}
	}
	return c.liveNow
}

// setFilters adopts the settings' filters. Verdicts are about positions in the old list, so they go.
func (c *Cache) setFilters(s *structs.ClusterSettings) error {
	fs, err := filtersOf(s)
	if err != nil {
		return err
	}
	c.filters, c.live = fs, nil
	for i, f := range fs {
		if l, ok := f.(liveFilter); ok {
			c.live = append(c.live, placedLive{i, l})
		}
	}
	clear(c.profiles)
	return nil
}
