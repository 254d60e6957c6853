package agent

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// applyScheduler brings the cluster's settings to what this server's configuration says of the scheduler, as soon as there is a leader. What it does not say
// stays as it is; servers that say different things have the last word in the order of their starts.
func (a *agent) applyScheduler(ctx context.Context, s SchedulerRuntime) {
	r, err := a.server.Read(ctx)
	for err != nil {
		if ctx.Err() != nil {
			return
		}
		r, err = a.server.Read(ctx) // each waits for a leader
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	next := overlaySettings(*r.ClusterSettings(), s)
	if equalSettings(*r.ClusterSettings(), next) {
		return
	}
	if err := scheduler.Validate(&next); err != nil {
		a.logger.Error("scheduler settings are not taken over", "error", err)
		return
	}
	if _, err := fsm.ClusterSettingsSet.Propose(ctx, a.server, &structs.ClusterSettingsRequest{Settings: next}); err != nil {
		a.logger.Error("scheduler settings are not taken over", "error", err)
	}
}

func overlaySettings(c structs.ClusterSettings, s SchedulerRuntime) structs.ClusterSettings {
	if len(s.Filters) > 0 {
		c.Filters = s.Filters
	}
	if len(s.Weights) > 0 {
		c.Weights = s.Weights
	}
	if len(s.MetricWeights) > 0 {
		c.MetricWeights = s.MetricWeights
	}
	if s.MetricsRequired != nil {
		c.MetricsOptional = !*s.MetricsRequired
	}
	if s.MetricMissing != nil {
		c.MetricMissing = s.MetricMissing
	}
	for dst, v := range map[*float64]*float64{&c.CPURatio: s.CPURatio, &c.MemoryRatio: s.MemoryRatio, &c.DiskRatio: s.DiskRatio} {
		if v != nil {
			*dst = *v
		}
	}
	return c
}

func equalSettings(a, b structs.ClusterSettings) bool {
	return slices.Equal(a.Filters, b.Filters) && maps.Equal(a.Weights, b.Weights) && a.CPURatio == b.CPURatio && a.MemoryRatio == b.MemoryRatio && a.DiskRatio == b.DiskRatio &&
		scheduler.SameMetrics(&a, &b)
}
