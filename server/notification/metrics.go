package notification

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	metricDelivered = newDesc("delivered_total", "Notifications that the sink has taken from this server.")
	metricFailed    = newDesc("failures_total", "Attempts at a delivery that failed and were repeated.")
	metricDropped   = newDesc("dropped_total", "Notifications that the sink refused for good and that were given up.")
	metricGaps      = newDesc("gaps_total", "How often the sink was so far behind that changes were lost to it.")
	metricLag       = newDesc("lag_entries", "Log entries between the newest change and what the sink has taken; 0 on servers that do not lead.")
)

func newDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("kilonova_notifications_"+name, help, []string{"sink"}, nil)
}

// Collector reads the runner's metrics when it is asked.
func (r *Runner) Collector() prometheus.Collector { return collector{r} }

type collector struct{ r *Runner }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{metricDelivered, metricFailed, metricDropped, metricGaps, metricLag} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, w := range c.r.workers {
		name := w.route.Sink.Name()
		count := func(d *prometheus.Desc, v uint64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), name)
		}
		count(metricDelivered, w.delivered.Load())
		count(metricFailed, w.failed.Load())
		count(metricDropped, w.dropped.Load())
		count(metricGaps, w.gaps.Load())
		ch <- prometheus.MustNewConstMetric(metricLag, prometheus.GaugeValue, float64(w.lag()), name)
	}
}

func (w *worker) lag() uint64 {
	stream, reached := w.stream.Load(), w.reached.Load()
	if stream == nil {
		return 0
	}
	return max(stream.Newest(), reached) - reached
}
