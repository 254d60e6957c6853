package compute_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
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

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func benchmarkList(b *testing.B, token, path string) {
	core := coretest.New()
	fill(b, core, 1000)
	h := newHandler(b, core, compute.Options{})
	req := httptest.NewRequest(http.MethodGet, compute.Prefix+path, nil)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("X-OpenStack-Nova-API-Version", "2.104")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		b.Fatal(w.Body)
	}
	b.SetBytes(int64(w.Body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(discard{http.Header{}}, req)
	}
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
