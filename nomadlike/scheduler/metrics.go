package scheduler

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// unmeasured is what a host weighs that lacks a metric, unless the settings say otherwise: Nova's [metrics]weight_of_unavailable.
const unmeasured = -10000

// metricRatio is one element of Nova's [metrics]weight_setting.
type metricRatio struct {
	metric string
	ratio  float64
}

// metricRatiosOf returns the settings' ratios, by name. Sums of floats depend on their order.
func metricRatiosOf(s *structs.ClusterSettings) ([]metricRatio, error) {
	known := new(structs.HostMetrics).List()
	var out []metricRatio
	for _, name := range slices.Sorted(maps.Keys(s.MetricWeights)) {
		if !slices.ContainsFunc(known, func(m structs.HostMetric) bool { return m.Name == name }) {
			var names []string
			for _, m := range known {
				names = append(names, m.Name)
			}
			slices.Sort(names)
			return nil, structs.Errorf(structs.KindInvalid, "there is no metric %q; the metrics are %s", name, strings.Join(names, ", "))
		}
		ratio := s.MetricWeights[name]
		if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
			return nil, structs.Errorf(structs.KindInvalid, "the ratio of the metric %s is %v; it must be a finite number", name, ratio)
		}
		out = append(out, metricRatio{name, ratio})
	}
	if m := s.MetricMissing; m != nil && (math.IsNaN(*m) || math.IsInf(*m, 0)) {
		return nil, structs.Errorf(structs.KindInvalid, "the weight of hosts that lack a metric is %v; it must be a finite number", *m)
	}
	return out, nil
}

// measure fills what MetricsWeigher and MetricsFilter read. Clients tell all metrics or none; one that the machine cannot know is 0.
func (c *Cache) measure(h *candidate) {
	h.metric, h.measured = 0, len(c.metrics) == 0 || h.host.Metrics != nil
	if !h.measured {
		h.metric = unmeasured
		if m := c.settings.MetricMissing; m != nil {
			h.metric = *m
		}
		return
	}
	for _, r := range c.metrics {
		for _, m := range h.host.Metrics.List() {
			if m.Name != r.metric {
				continue
			}
			value := float64(m.Value)
			if strings.HasSuffix(m.Name, ".percent") { // as in Nova, which tells percents and weighs fractions
				value /= 100
			}
			h.metric += value * r.ratio
		}
	}
}

// metricsFilter is Nova's MetricsFilter: the host tells the metrics that are weighed.
type metricsFilter struct{}

func (metricsFilter) name() string                     { return "MetricsFilter" }
func (metricsFilter) applies(q *query) bool            { return len(q.scheduler.cache.metrics) > 0 }
func (metricsFilter) pass(_ *query, h *candidate) bool { return h.measured }
func (metricsFilter) why(*query, *candidate) string    { return "its client tells no metrics" }

// metricsRequired reports whether hosts without the metrics that are weighed are refused although MetricsFilter is not configured: Nova fails such a request.
func metricsRequired(s *structs.ClusterSettings) bool {
	return len(s.MetricWeights) > 0 && !s.MetricsOptional
}

// SameMetrics reports whether both settings weigh metrics alike.
func SameMetrics(a, b *structs.ClusterSettings) bool {
	missing := func(s *structs.ClusterSettings) float64 { return *cmp.Or(s.MetricMissing, ptr(float64(unmeasured))) }
	return maps.Equal(a.MetricWeights, b.MetricWeights) && a.MetricsOptional == b.MetricsOptional && missing(a) == missing(b)
}

func ptr[T any](v T) *T { return &v }
