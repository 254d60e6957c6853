package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const fuzzedImage = "11111111-2222-4333-8444-555555555555"

// newFuzzed is a service with three images: one whose bytes are there in name only, one that waits for its bytes, and one that is shared.
func newFuzzed(tb testing.TB, store *blob.Store) (http.Handler, *coretest.Core) {
	tb.Helper()
	core := coretest.New()
	core.BlobStore, core.Info = &blobs{Single: blob.Single{Store: store, ServerID: "s1"}}, nomadlike.ClusterInfo{ServerID: "s1", Peers: []nomadlike.Peer{{ID: "s1"}}}
	for n, status := range []structs.ImageStatus{structs.ImageActive, structs.ImageQueued} {
		i := structs.Image{ID: structs.ImageID(fmt.Sprint(n+1) + fuzzedImage[1:]), Name: "n", Status: status, Visibility: "private", ProjectID: "p1", Tags: []string{"t"}, Properties: map[string]string{"a": "b"}, CreatedAt: 1}
		if _, err := fsm.ImageUpsert.Propose(tb.Context(), core, &structs.ImageUpsertRequest{Image: i, Create: true}); err != nil {
			tb.Fatal(err)
		}
	}
	i := structs.Image{ID: structs.ImageID("3" + fuzzedImage[1:]), Visibility: "shared", Status: structs.ImageQueued, ProjectID: "p1", CreatedAt: 1}
	if _, err := fsm.ImageCreate.Propose(tb.Context(), core, &structs.ImageCreateRequest{Image: i}); err != nil {
		tb.Fatal(err)
	}
	if _, err := fsm.ImageMemberAdd.Propose(tb.Context(), core, &structs.ImageMemberAddRequest{ImageID: i.ID, ProjectID: "p3", Max: -1, Now: 1}); err != nil {
		tb.Fatal(err)
	}
	h, err := httpapi.NewHandler(core, New(Options{}), httpapi.Options{Auth: tokens{}})
	if err != nil {
		tb.Fatal(err)
	}
	return h, core
}

func persisted(tb testing.TB, core *coretest.Core) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := core.Stale().Persist(&b); err != nil {
		tb.Fatal(err)
	}
	i := bytes.Index(b.Bytes(), []byte("claims"))
	if i < 0 {
		tb.Fatal("a snapshot has no table of claims")
	}
	return b.Bytes()[i : b.Len()-9]
}

// FuzzRequest sends any request but those for an image's bytes: never a 5xx, and no change by what is refused.
func FuzzRequest(f *testing.F) {
	const one = "/image/v2/images/" + fuzzedImage
	const shared = "/image/v2/images/31111111-2222-4333-8444-555555555555"
	patch := "application/openstack-images-v2.1-json-patch"
	for _, s := range []struct{ method, target, kind, body string }{
		{"POST", "/image/v2/images", "application/json", `{"name":"x","disk_format":"qcow2","container_format":"bare","visibility":"private","min_disk":1,"tags":["a"],"hw_disk_bus":"virtio"}`},
		{"POST", "/image/v2/images", "application/json", `{"name":null,"min_disk":1e400,"id":"x"}`}, {"POST", "/image/v2/images", "application/json", "null"}, {"POST", "/image/v2/images", "", "["},
		{"POST", "/image/v2/images", "application/json", `{"min_ram":9223372036854775808,"protected":"yes","owner":"p2","a":{"b":1},"id":"` + fuzzedImage + `"}`},
		{"PATCH", one, patch, `[{"op":"replace","path":"/name","value":"y"},{"op":"add","path":"/x~1y","value":"z"},{"op":"remove","path":"/a"}]`},
		{"PATCH", one, patch, `[{"op":"replace","path":"/tags","value":["a","a",null]}]`}, {"PATCH", one, patch, `[{"op":"add","path":"/tags/-","value":1}]`}, {"PATCH", one, patch, `[{}]`},
		{"PATCH", one, patch, `[null]`}, {"PATCH", one, patch, `{"op":"x"}`}, {"PATCH", one, patch, `[{"op":"add","path":"","value":{}}]`}, {"PATCH", one, patch, `[{"op":"replace","path":"/min_disk","value":1e99}]`},
		{"PATCH", one, "application/openstack-images-v2.0-json-patch", `[{"replace":"/name","value":"y"}]`}, {"PATCH", one, "text/plain", "[]"}, {"PATCH", one, patch, `[{"op":"add","path":"/locations","value":[]}]`},
		{"GET", "/image/v2/images?limit=0&marker=x&sort_key=name&sort_dir=up", "", ""}, {"GET", "/image/v2/images?sort=name:asc,%zz&size_min=x&created_at=gt:y&name=in:%22", "", ""},
		{"PUT", one + "/tags/a%2Fb", "", ""}, {"PUT", one + "/tags/%ff", "", ""}, {"DELETE", one + "/tags/t", "", ""}, {"DELETE", one, "", ""}, {"GET", "/image/v2/images/%00", "", ""},
		{"POST", shared + "/members", "application/json", `{"member":"p2"}`}, {"POST", one + "/members", "application/json", `{"member":"p2"}`}, {"GET", shared + "/members", "", ""}, {"GET", shared + "/members/p3", "", ""},
		{"PUT", shared + "/members/p3", "application/json", `{"status":"accepted"}`}, {"DELETE", shared + "/members/p3", "", ""}, {"POST", one + "/actions/deactivate", "", ""}, {"POST", one + "/actions/reactivate", "", ""},
		{"GET", "/image/v2/images?member_status=all&visibility=shared&os_hidden=true", "", ""}, {"GET", "/image/v2/info/usage", "", ""}, {"GET", "/image/v2/schemas/tasks", "", ""},
		{"PATCH", one, patch, `[{"op":"add","path":"/locations/-","value":{"url":"x","metadata":{}}},{"op":"replace","path":"/kernel_id","value":null}]`},
		{"POST", "/image/v2/images/2" + fuzzedImage[1:] + "/import", "application/json", `{"method":{"name":"web-download","uri":"http://example.org/x"},"stores":["servers"],"all_stores_must_succeed":false}`},
		{"POST", one + "/import", "application/json", `{"method":{"name":"copy-image"},"all_stores":true}`}, {"POST", one + "/import", "application/json", `{"method":{"name":"glance-direct","uri":{}},"stores":[null]}`},
		{"GET", one + "/tasks", "", ""}, {"GET", "/image/v2/tasks?limit=1&sort_key=status&sort_dir=asc&marker=x", "", ""}, {"POST", "/image/v2/tasks", "application/json", `{"type":"import","input":{"import_from":"http://x.org/"}}`},
		{"DELETE", "/image/v2/stores/servers/" + fuzzedImage, "", ""}, {"GET", "/image/v2/info/stores/detail", "", ""}, {"DELETE", "/image/v2/cache", "", ""}, {"POST", "/image/v2/cache/clean", "", ""},
		{"GET", "/image/v2/schemas/image", "", ""}, {"GET", "/image/versions", "", ""}, {"HEAD", one, "", ""}, {"OPTIONS", one, "", ""},
	} {
		f.Add(s.method, s.target, s.kind, []byte(s.body))
	}
	store, err := blob.Open(f.TempDir(), nil)
	if err != nil {
		f.Fatal(err)
	}
	var h http.Handler
	var core *coretest.Core
	var before []byte
	f.Fuzz(func(t *testing.T, method, target, kind string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.ContainsAny(target, " \t\r\n") || strings.ContainsFunc(method, func(c rune) bool { return c < 'A' || c > 'Z' }) || method == "" || strings.ContainsAny(kind, "\r\n\x00") {
			t.Skip("no HTTP request")
		}
		if strings.HasSuffix(u.Path, "/file") || strings.HasSuffix(u.Path, "/stage") {
			t.Skip("bytes have tests of their own")
		}
		if h == nil {
			h, core = newFuzzed(t, store)
			before = persisted(t, core)
		}
		r := httptest.NewRequest(method, "/", bytes.NewReader(body))
		r.URL, r.RequestURI = u, target
		r.Header.Set("X-Auth-Token", member)
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		refused := w.Code >= 400
		if w.Code >= 500 || !refused && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %.500s", method, target, w.Code, w.Body)
		}
		if !bytes.Equal(before, persisted(t, core)) {
			if refused || method == http.MethodGet {
				t.Errorf("%s %s %.300q: %d %.300s, and the state has changed", method, target, body, w.Code, w.Body)
			}
			r = httptest.NewRequest(http.MethodGet, "/image/v2/images", nil)
			r.Header.Set("X-Auth-Token", admin)
			w = httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
				t.Errorf("after %s %s %.300q: %d %.500s", method, target, body, w.Code, w.Body)
			}
			h = nil
		}
	})
}
