package httpapi

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
)

type observed struct {
	service, route, method string
	status                 int
}

type observations struct {
	mu   sync.Mutex
	seen []observed
}

func (o *observations) Observe(service, route, method string, status int, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, observed{service, route, method, status})
}

// TestMetricsLabels: labels are templates and fixed words, whatever clients send.
func TestMetricsLabels(t *testing.T) {
	t.Parallel()
	o := &observations{}
	h := newTestHandler(t, Options{Metrics: o}, compute(conventionRoutes()...))
	do(t, h, "GET", "/compute/v2.1/servers/8f7e", "", member)
	do(t, h, "GET", "/compute/v2.1/"+project+"/servers/8f7e", "", member)
	do(t, h, "GET", "/compute/v2.1/unknown-"+project, "", member)
	do(t, h, "BREW", "/compute/v2.1/servers/8f7e", "", member)
	do(t, h, "GET", "/x/y", "")
	do(t, h, "GET", "/compute/v2.1/panic", "", member)
	assert.Equal(t, []observed{
		{"compute", "/compute/v2.1/servers/{id}", "GET", 200}, {"compute", "/compute/v2.1/servers/{id}", "GET", 200}, {"compute", "unmatched", "GET", 404},
		{"compute", "unmatched", "OTHER", 404}, {"none", "unmatched", "GET", 404}, {"compute", "/compute/v2.1/panic", "GET", 500}}, o.seen)
}

// TestLog: what we broke is logged with the request's id, what clients sent in headers, bodies and queries is not.
func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &out, Level: hclog.Debug, Mutex: &sync.Mutex{}})
	h := newTestHandler(t, Options{Logger: log}, compute(conventionRoutes()...))
	r := do(t, h, "GET", "/compute/v2.1/plain?token=hunter2", "", "X-Auth-Token: member,reader", "X-OpenStack-Request-ID: req-01234567-89ab-cdef-0123-456789abcdef")
	do(t, h, "POST", "/compute/v2.1/servers", `{"server":{"adminPass":"hunter2"}}`, member)
	for _, path := range []string{"/compute/v2.1/os-console-auth-tokens/hunter2", "/compute/v2.1/" + project + "/os-console-auth-tokens/hunter2/more", "/x/os-console%2Dauth-tokens//hunter2"} {
		do(t, h, "GET", path, "", member)
	}
	s := out.String()
	assert.Contains(t, s, "/os-console-auth-tokens/(hidden)")
	assert.Contains(t, s, "secret-in-error")
	assert.Contains(t, s, r.Header.Get("X-OpenStack-Request-ID"))
	assert.Contains(t, s, "global_request_id=req-01234567-89ab-cdef-0123-456789abcdef")
	assert.NotContains(t, s, "hunter2")
	assert.NotContains(t, s, "member,reader")
}

// TestRawRoutes read and write for themselves and may stop in the middle.
func TestRawRoutes(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("x"), 200000)
	s := compute(Route{Method: "PUT", Path: "/file", Rule: MemberOrAdmin("f"), Raw: true, Handler: func(r *Request) (any, error) {
		var b bytes.Buffer
		n, err := b.ReadFrom(r.Request.Body)
		if err != nil {
			return nil, err
		}
		return map[string]int64{"n": n}, nil
	}}, Route{Method: "GET", Path: "/file", Rule: MemberOrAdmin("f"), Raw: true, Handler: func(r *Request) (any, error) {
		r.Writer.Header().Set("Content-Type", "application/octet-stream")
		_, err := r.Writer.Write(big)
		if err != nil {
			return nil, err
		}
		return Written, nil
	}}, Route{Method: "DELETE", Path: "/file", Rule: MemberOrAdmin("f"), Raw: true, Handler: func(r *Request) (any, error) {
		_, _ = r.Writer.Write([]byte("half"))
		return nil, Conflict("too late")
	}})
	h := newTestHandler(t, Options{}, s)
	r := do(t, h, "PUT", "/compute/v2.1/file", string(big), member, "Content-Type: application/octet-stream")
	assert.Equal(t, `{"n":200000}`, text(t, r))
	r = do(t, h, "GET", "/compute/v2.1/file", "", member)
	assert.Len(t, text(t, r), len(big))
	assert.Equal(t, "application/octet-stream", r.Header.Get("Content-Type"))
	assert.Equal(t, "half", text(t, do(t, h, "DELETE", "/compute/v2.1/file", "", member)))
}

// TestReply lets a handler choose its status.
func TestReply(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(Route{Method: "GET", Path: "/x", Rule: ReaderOrAdmin("x"), Handler: func(r *Request) (any, error) {
		r.Writer.Header().Set("Location", "/there")
		return Reply{Status: http.StatusMultipleChoices, Body: []int{1}}, nil
	}}, Route{Method: "HEAD", Path: "/x", Rule: ReaderOrAdmin("x"), Handler: ok([]int{1})}))
	r := do(t, h, "GET", "/compute/v2.1/x", "", member)
	assert.Equal(t, 300, r.StatusCode)
	assert.Equal(t, "[1]", text(t, r))
	assert.Equal(t, "/there", r.Header.Get("Location"))
	r = do(t, h, "HEAD", "/compute/v2.1/x", "", member)
	assert.Equal(t, 200, r.StatusCode)
	assert.Empty(t, text(t, r))
}

type nullWriter struct{ h http.Header }

func (w *nullWriter) Header() http.Header         { return w.h }
func (w *nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *nullWriter) WriteHeader(int)             {}

// BenchmarkGet is the wrapper's own cost: everything from the request to the encoded answer but the handler.
func BenchmarkGet(b *testing.B) {
	h := newTestHandler(b, Options{}, compute(conventionRoutes()...))
	r := httptest.NewRequest("GET", "/compute/v2.1/servers/70a599e0-31e7-49b7-b260-868f441e862b", nil)
	r.Header.Set("X-Auth-Token", "member,reader")
	r.Header.Set("OpenStack-API-Version", "compute 2.96")
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&nullWriter{http.Header{}}, r)
	}
}

func BenchmarkPostServers(b *testing.B) {
	h := newTestHandler(b, Options{}, compute(Route{Method: "POST", Path: "/servers", Rule: MemberOrAdmin("c"), Body: serversSchema, Status: 202, Handler: ok(nil)}))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/compute/v2.1/servers", bytes.NewReader(serversBody))
		r.Header.Set("X-Auth-Token", "member,reader")
		r.Header.Set("OpenStack-API-Version", "compute 2.96")
		h.ServeHTTP(&nullWriter{http.Header{}}, r)
	}
}
