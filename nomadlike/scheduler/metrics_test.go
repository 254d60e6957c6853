package scheduler

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// placed returns the host that a small request gets, "" when it gets none.
func placed(t *testing.T, w *world, cache *Cache) structs.HostID {
	return w.scheduler(t, cache).Place([]Request{small(1)})[0].HostID
}

// Of hosts that tell metrics the one is taken whose weighed sum is the greatest; percents are fractions. One without metrics is refused, or weighs what it is said to.
func TestMetrics(t *testing.T) {
	t.Parallel()
	calm, busy, silent := hostNo(0), hostNo(1), hostNo(2)
	calm.Metrics = &structs.HostMetrics{CPUPercent: 10, Frequency: 800}
	busy.Metrics = &structs.HostMetrics{CPUPercent: 90, Frequency: 3000}
	for _, c := range []struct {
		name  string
		hosts []*structs.Host
		set   func(s *structs.ClusterSettings)
		want  *structs.Host
	}{
		{"the calm one", []*structs.Host{busy, calm, silent}, func(s *structs.ClusterSettings) { s.MetricWeights = map[string]float64{"cpu.percent": -1} }, calm},
		{"the busy one", []*structs.Host{busy, calm, silent}, func(s *structs.ClusterSettings) { s.MetricWeights = map[string]float64{"cpu.percent": 1} }, busy},
		{"a sum", []*structs.Host{busy, calm}, func(s *structs.ClusterSettings) {
			s.MetricWeights = map[string]float64{"cpu.percent": -1, "cpu.frequency": 1}
		}, busy},
		{"fractions", []*structs.Host{busy, calm}, func(s *structs.ClusterSettings) {
			s.MetricWeights = map[string]float64{"cpu.percent": 1000, "cpu.frequency": -1}
		}, calm},
		{"the multiplier", []*structs.Host{busy, calm}, func(s *structs.ClusterSettings) {
			s.MetricWeights, s.Weights = map[string]float64{"cpu.percent": 1}, map[string]float64{"MetricsWeigher": -1}
		}, calm},
		{"one without", []*structs.Host{silent}, func(s *structs.ClusterSettings) { s.MetricWeights = map[string]float64{"cpu.percent": 1} }, nil},
		{"one without, optional", []*structs.Host{silent}, func(s *structs.ClusterSettings) {
			s.MetricWeights, s.MetricsOptional = map[string]float64{"cpu.percent": 1}, true
		}, silent},
		{"one without, optional, by the filter", []*structs.Host{silent}, func(s *structs.ClusterSettings) {
			s.MetricWeights, s.MetricsOptional, s.Filters = map[string]float64{"cpu.percent": 1}, true, []string{"MetricsFilter"}
		}, nil},
		{"one without comes last", []*structs.Host{busy, silent}, func(s *structs.ClusterSettings) {
			s.MetricWeights, s.MetricsOptional = map[string]float64{"cpu.percent": -1}, true
		}, busy},
		{"one without comes first", []*structs.Host{busy, silent}, func(s *structs.ClusterSettings) {
			s.MetricWeights, s.MetricsOptional, s.MetricMissing = map[string]float64{"cpu.percent": -1}, true, ptr(1.0)
		}, silent},
		{"nothing is weighed", []*structs.Host{silent}, func(s *structs.ClusterSettings) { s.Filters = []string{"MetricsFilter"} }, silent},
	} {
		w := newWorld()
		w.put(c.hosts...)
		w.settle(c.set)
		got := placed(t, w, NewCache())
		if c.want == nil {
			require.Empty(t, got, c.name)
		} else {
			require.Equal(t, c.want.ID, got, c.name)
		}
	}
}

func TestMetricSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for _, s := range []structs.ClusterSettings{{MetricWeights: map[string]float64{"cpu.heat": 1}}, {MetricWeights: map[string]float64{"cpu.percent": math.NaN()}}, {MetricMissing: ptr(math.Inf(1))}} {
		require.True(t, structs.IsKind(Validate(&s), structs.KindInvalid))
	}
	require.NoError(t, Validate(&structs.ClusterSettings{MetricWeights: map[string]float64{"cpu.percent": -1}, MetricMissing: ptr(0.0)}))
}

// Settings that change alone are adopted, and so are metrics.
func TestMetricsAreFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	a, b := hostNo(0), hostNo(1)
	a.Metrics, b.Metrics = &structs.HostMetrics{CPUPercent: 1}, &structs.HostMetrics{CPUPercent: 50}
	w.put(a, b)
	cache := NewCache()
	best := func() structs.HostID { return placed(t, w, cache) }
	w.settle(func(s *structs.ClusterSettings) { s.MetricWeights = map[string]float64{"cpu.percent": -1} })
	require.Equal(t, a.ID, best())
	w.settle(func(s *structs.ClusterSettings) { s.MetricWeights = map[string]float64{"cpu.percent": 1} })
	require.Equal(t, b.ID, best())
	next := a.Copy()
	next.Metrics = &structs.HostMetrics{CPUPercent: 99}
	w.put(next)
	require.Equal(t, a.ID, best())
}
