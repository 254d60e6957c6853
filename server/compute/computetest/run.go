package computetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Run sends every bad request of a world to base (…/compute/v2.1) and checks the refusals. Where the world has no Reader, that caller's are left out. state, when not nil, returns something that every change of
// the cloud changes; it must be the same after each request.
func Run(t *testing.T, client *http.Client, base string, w World, state func() []byte) {
	for _, b := range BadRequests(w) {
		if b.As == Reader && w.Reader == "" {
			continue
		}
		t.Run(b.Name, func(t *testing.T) {
			var before []byte
			if state != nil {
				before = state()
			}
			b.send(t, client, base, w)
			if state != nil && !bytes.Equal(before, state()) {
				t.Error("a refused request changed the state")
			}
		})
	}
}

func (b BadRequest) send(t *testing.T, client *http.Client, base string, w World) {
	t.Helper()
	method := b.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+b.Path, strings.NewReader(b.Body))
	if err != nil {
		t.Fatal(err)
	}
	if token := w.Token(b.As); token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	if b.Version != "" {
		req.Header.Set("OpenStack-API-Version", "compute "+b.Version)
		req.Header.Set("X-OpenStack-Nova-API-Version", b.Version)
	}
	if b.Body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.Type != "" {
		req.Header.Set("Content-Type", b.Type)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b.judge(t, resp, body)
}

func (b BadRequest) judge(t *testing.T, resp *http.Response, body []byte) {
	t.Helper()
	if resp.StatusCode != b.Status {
		t.Fatalf("status %d, want %d: %.500s", resp.StatusCode, b.Status, body)
	}
	if !strings.HasPrefix(resp.Header.Get("X-Openstack-Request-Id"), "req-") || resp.Header.Get("X-Compute-Request-Id") != resp.Header.Get("X-Openstack-Request-Id") {
		t.Errorf("request ids %q and %q", resp.Header.Get("X-Openstack-Request-Id"), resp.Header.Get("X-Compute-Request-Id"))
	}
	if b.Fault == "" {
		return
	}
	var fault map[string]struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &fault); err != nil {
		t.Fatalf("%v: %.500s", err, body)
	}
	f, ok := fault[b.Fault]
	if !ok || len(fault) != 1 || f.Code != b.Status {
		t.Fatalf("not a fault %q with code %d: %.500s", b.Fault, b.Status, body)
	}
	if !b.Matches(f.Message) {
		t.Errorf("message %q,\nwant %q", f.Message, b.Message)
	}
}
