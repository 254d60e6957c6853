package metrics

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	p, err := New(reg)
	require.NoError(t, err)
	p.Observe("compute", "/compute/v2.1/servers/{id}", "GET", 200, time.Millisecond)
	p.Observe("compute", "/compute/v2.1/servers/{id}", "GET", 200, time.Millisecond)
	rec := httptest.NewRecorder()
	Handler(reg).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	assert.Contains(t, rec.Body.String(), `kilonova_http_requests_total{method="GET",route="/compute/v2.1/servers/{id}",service="compute",status="200"} 2`)
	assert.Contains(t, rec.Body.String(), `kilonova_http_request_seconds_count{method="GET",route="/compute/v2.1/servers/{id}",service="compute"} 2`)
	_, err = New(reg)
	assert.Error(t, err, "a registry takes them once")
}

func BenchmarkObserve(b *testing.B) {
	p, err := New(prometheus.NewRegistry())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		p.Observe("compute", "/compute/v2.1/servers/{id}", "GET", 200, time.Millisecond)
	}
}
