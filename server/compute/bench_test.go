package compute_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
)

// fill makes n active-looking instances of alice's on one host.
func fill(tb testing.TB, core *coretest.Core, n int) {
	tb.Helper()
	core.AddHost("host-1")
	propose(tb, core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: structs.UnlimitedQuota()}})
	description := "a description of ordinary length"
	for i := range n {
		id := structs.InstanceID(nomadlike.NewUUID())
		op := structs.OperationID(nomadlike.NewUUID())
		propose(tb, core, fsm.InstanceCreate, &structs.InstanceCreateRequest{Now: someTime + structs.Time(i), Instances: []structs.Instance{{ID: id, ProjectID: aliceProject,
			UserID: aliceUser, Name: fmt.Sprintf("web-%04d", i), Hostname: fmt.Sprintf("web-%04d", i), Description: &description, ReservationID: "r-12345678",
			Flavor: structs.Flavor{ID: "1", Name: "m1.small", VCPUs: 1, MemoryMiB: 512, RootGiB: 1, ExtraSpecs: map[string]string{"hw:cpu_policy": "shared",
				"hw:numa_nodes": "1"}},
			ImageID: "70a599e0-31e7-49b7-b260-868f441e862b", ImageProps: map[string]string{"architecture": "x86_64", "os_distro": "debian"}, DiskConfig: "MANUAL",
			Metadata: map[string]string{"role": "web", "tier": "front"}, Tags: []string{"prod", "web"}, KeyName: "k", UserData: []byte("#!/bin/sh\necho hello\n")}},
			Operations:  []structs.Operation{{ID: op, InstanceID: id, Kind: structs.OpBuild, RequestID: "req-" + string(op)}},
			Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: id, OperationID: op, Status: structs.EvalPending}}})
	}
	if n <= 3000 { // as many as the one host holds
		core.Drive(nil)
	}
}

// manyInstances is how many one project has where a list has to be cut and searched.
const manyInstances = 10000

// fillMany makes manyInstances of alice's: nine of ten run, the others are stopped and have the tag and the name that few have.
func fillMany(tb testing.TB, core *coretest.Core) {
	tb.Helper()
	fill(tb, core, manyInstances)
	core.Write(func(tx *state.Txn) {
		var host *structs.Host
		for h := range tx.Hosts() {
			host = h
		}
		n := 0
		for i := range tx.Instances(aliceProject) {
			i = i.Copy()
			i.OperationID, i.Task, i.HostID, i.Host, i.LaunchedAt, i.Zone = "", structs.TaskNone, host.ID, host.Name, someTime, "nova"
			if i.VM, i.Power = structs.VMActive, structs.PowerRunning; n%10 == 0 {
				i.VM, i.Power, i.Tags, i.Name = structs.VMStopped, structs.PowerShutdown, []string{"few", "prod", "web"}, "few-"+i.Name
			}
			tx.PutInstance(i)
			n++
		}
	})
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// request makes one below the service's prefix at the newest microversion.
func request(token, method, path, body string) *http.Request {
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, compute.Prefix+path, rd)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("X-OpenStack-Nova-API-Version", "2.104")
	return req
}

// benchmarkGet asks again and again for a path. n is how many instances must be in the answer, -1 any number.
func benchmarkGet(b *testing.B, h http.Handler, token, path string, n int) {
	b.Helper()
	req := request(token, http.MethodGet, path, "")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if got := strings.Count(w.Body.String(), `"rel":"self"`); w.Code != http.StatusOK || n >= 0 && got != n {
		b.Fatalf("%d with %d instances, want %d: %.300s", w.Code, got, n, w.Body)
	}
	b.SetBytes(int64(w.Body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{http.Header{}}, req)
	}
}

func benchmarkList(b *testing.B, token, path string) {
	core := coretest.New()
	fill(b, core, 1000)
	benchmarkGet(b, newHandler(b, core, compute.Options{}), token, path, -1)
}

// BenchmarkServersDetail1000 is GET /servers/detail of a page of 1000 instances through the whole wrapper.
func BenchmarkServersDetail1000(b *testing.B) { benchmarkList(b, "alice", "/servers/detail") }

// BenchmarkServersDetail1000Admin is the same with the administrators' attributes of all projects.
func BenchmarkServersDetail1000Admin(b *testing.B) {
	benchmarkList(b, "admin", "/servers/detail?all_tenants=1")
}

// BenchmarkServers1000 is the list of names.
func BenchmarkServers1000(b *testing.B) { benchmarkList(b, "alice", "/servers") }

// BenchmarkServersName1000 searches names with a regular expression.
func BenchmarkServersName1000(b *testing.B) { benchmarkList(b, "alice", "/servers?name=web-09") }

// BenchmarkServer is GET /servers/{id}.
func BenchmarkServer(b *testing.B) {
	core := coretest.New()
	fill(b, core, 10)
	id := ""
	for i := range core.Stale().Instances(aliceProject) {
		id = string(i.ID)
	}
	benchmarkGet(b, newHandler(b, core, compute.Options{}), "alice", "/servers/"+id, 1)
}

// benchmarkCreate sends a body to POST /servers again and again; nothing is scheduled.
func benchmarkCreate(b *testing.B, h http.Handler, body string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("alice", http.MethodPost, "/servers", body))
		if w.Code != http.StatusAccepted {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkCreateServer is POST /servers of one instance, with its command applied to the state in process.
func BenchmarkCreateServer(b *testing.B) {
	core := coretest.New()
	fill(b, core, 1)
	c := &cloud{tb: b, core: core}
	c.small()
	image := c.cirros().ID
	benchmarkCreate(b, newHandler(b, core, compute.Options{}), createBody(string(image)))
}

func createBody(image string) string {
	return fmt.Sprintf(`{"server": {"name": "vm", "flavorRef": "1", "imageRef": %q, "networks": "none", "metadata": {"role": "web"}, "tags": ["prod"]}}`, image)
}

// BenchmarkServersMany is what a list costs a project that has ten thousand instances: its first page, a search, and the pages behind markers.
func BenchmarkServersMany(b *testing.B) {
	core := coretest.New()
	fillMany(b, core)
	h := newHandler(b, core, compute.Options{})
	for _, s := range []struct {
		name, query string
		n           int
	}{{"tag", "tags=few", 1000}, {"name", "name=few-", 1000}, {"status", "status=SHUTOFF", 1000}, {"nothing", "name=nosuch", 0}, {"sorted", "sort_key=display_name&sort_dir=asc", 1000}} {
		b.Run(s.name, func(b *testing.B) { benchmarkGet(b, h, "alice", "/servers/detail?"+s.query, s.n) })
	}
	marker, seen := "", 0
	var markers []string // the last of each page of 1000
	for i := range core.Stale().Instances(aliceProject) {
		if seen++; seen%1000 == 0 {
			markers = append(markers, string(i.ID))
		}
	}
	for _, page := range []int{1, 5, 10} {
		if page > 1 {
			marker = "marker=" + markers[page-2]
		}
		b.Run(fmt.Sprintf("page%d", page), func(b *testing.B) { benchmarkGet(b, h, "alice", "/servers/detail?"+marker, 1000) })
		b.Run(fmt.Sprintf("short%d", page), func(b *testing.B) { benchmarkGet(b, h, "alice", "/servers?limit=10&"+marker, 10) })
	}
}
