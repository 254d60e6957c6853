// Package metrics counts HTTP answers for Prometheus.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Prometheus implements httpapi.Metrics.
type Prometheus struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
}

var _ httpapi.Metrics = (*Prometheus)(nil)

// New registers the metrics.
func New(reg prometheus.Registerer) (*Prometheus, error) {
	p := &Prometheus{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "kilonova", Subsystem: "http", Name: "requests_total",
			Help: "HTTP requests answered, by service, route template, method and status."}, []string{"service", "route", "method", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "kilonova", Subsystem: "http", Name: "request_seconds",
			Help: "Time from a request's arrival to the end of its answer, by service, route template and method.", Buckets: prometheus.ExponentialBuckets(0.00025, 4, 9)},
			[]string{"service", "route", "method"}),
	}
	for _, c := range []prometheus.Collector{p.requests, p.latency} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Observe counts one answer.
func (p *Prometheus) Observe(service, route, method string, status int, took time.Duration) {
	p.requests.WithLabelValues(service, route, method, strconv.Itoa(status)).Inc()
	p.latency.WithLabelValues(service, route, method).Observe(took.Seconds())
}

// Handler writes what a registry has gathered, for native.Options.Metrics.
func Handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{})
}
