package placement

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type roles struct{}

func (roles) Verify(text string) (*httpapi.Token, error) {
	return &httpapi.Token{UserID: "u1", ProjectID: "p1", Roles: strings.Split(text, ",")}, nil
}

type world struct {
	t       *testing.T
	core    *coretest.Core
	handler http.Handler
	host    *structs.Host
	vm      structs.InstanceID
}

// newWorld has one host with a trait and one instance on it, and one bare host.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, core: coretest.New()}
	ctx, now := context.Background(), structs.TimeOf(time.Now())
	h := w.core.AddHost("node1").Copy()
	h.Traits, h.Reserved = []string{"COMPUTE_NODE", "HW_CPU_X86_SSE2"}, structs.Resources{VCPUs: 2, MemoryMiB: 512, DiskGiB: 1}
	var err error
	w.host, err = fsm.HostRegister.Propose(ctx, w.core, &structs.HostRegisterRequest{Host: *h, Now: now})
	require.NoError(t, err)
	w.vm = structs.InstanceID(nomadlike.NewUUID())
	op := structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: w.vm, ProjectID: "p1", UserID: "u1", Kind: structs.OpBuild}
	_, err = fsm.InstanceCreate.Propose(ctx, w.core, &structs.InstanceCreateRequest{MinCount: 1, Now: now,
		Instances:  []structs.Instance{{ID: w.vm, ProjectID: "p1", UserID: "u1", Name: "vm", Flavor: structs.Flavor{ID: "1", VCPUs: 2, MemoryMiB: 1024, RootGiB: 10}}},
		Operations: []structs.Operation{op}, Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: w.vm, OperationID: op.ID, Status: structs.EvalPending}}})
	require.NoError(t, err)
	w.core.Drive(nil)
	bare, err := fsm.HostRegister.Propose(ctx, w.core, &structs.HostRegisterRequest{Now: now, Host: structs.Host{ID: structs.HostID(nomadlike.NewUUID()), Name: "node2", HypervisorHostname: "node2.example"}})
	require.NoError(t, err)
	require.NotNil(t, bare)
	w.handler, err = httpapi.NewHandler(w.core, Services(), httpapi.Options{Auth: roles{}})
	require.NoError(t, err)
	return w
}

func (w *world) get(version, role, path string) (int, string, http.Header) {
	r := httptest.NewRequest("GET", "/placement"+path, nil)
	if role != "" {
		r.Header.Set("X-Auth-Token", role)
	}
	r.Header.Set("OpenStack-API-Version", "placement "+version)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String(), rec.Header()
}

// TestShapes holds the bodies of the Placement API reference at the microversions where they change.
func TestShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.core.Stale()
	id, gen := string(w.host.ID), generation(st, st.Host(w.host.ID))
	var claimed uint64
	for c := range st.Claims(w.vm) {
		claimed = c.Generation
	}
	self := "/placement/resource_providers/" + id
	link := func(rels ...string) string {
		out := []string{`{"rel":"self","href":"` + self + `"}`}
		for _, r := range rels {
			out = append(out, `{"rel":"`+r+`","href":"`+self+"/"+r+`"}`)
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	cpu := `"allocation_ratio":4,"max_unit":1000,"min_unit":1,"reserved":2,"step_size":1,"total":1000`
	used := `{"DISK_GB":10,"MEMORY_MB":1024,"VCPU":2}`
	for _, c := range []struct{ version, path, want string }{
		{"1.0", "/", `{"versions":[{"id":"v1.0","max_version":"1.39","min_version":"1.0","status":"CURRENT","links":[{"rel":"self","href":""}]}]}`},
		{"1.0", "/resource_providers/ID", `{"uuid":"ID","name":"node1","generation":GEN,"links":` + link("inventories", "usages") + `}`},
		{"1.6", "/resource_providers?uuid=ID", `{"resource_providers":[{"uuid":"ID","name":"node1","generation":GEN,"links":` + link("inventories", "usages", "aggregates", "traits") + `}]}`},
		{"1.39", "/resource_providers?name=node1", `{"resource_providers":[{"uuid":"ID","name":"node1","generation":GEN,"parent_provider_uuid":null,"root_provider_uuid":"ID","links":` +
			link("inventories", "usages", "aggregates", "traits", "allocations") + `}]}`},
		{"1.0", "/resource_providers/ID/inventories/VCPU", `{` + cpu + `,"resource_provider_generation":GEN}`},
		{"1.0", "/resource_providers/ID/inventories", `{"inventories":{"VCPU":{` + cpu + `},
			"MEMORY_MB":{"allocation_ratio":1,"max_unit":8388608,"min_unit":1,"reserved":512,"step_size":1,"total":8388608},
			"DISK_GB":{"allocation_ratio":1,"max_unit":100000,"min_unit":1,"reserved":1,"step_size":1,"total":100000}},"resource_provider_generation":GEN}`},
		{"1.0", "/resource_providers/ID/usages", `{"usages":` + used + `,"resource_provider_generation":GEN}`},
		{"1.0", "/resource_providers/ID/allocations", `{"allocations":{"VM":{"resources":` + used + `}},"resource_provider_generation":GEN}`},
		{"1.28", "/resource_providers/ID/allocations", `{"allocations":{"VM":{"resources":` + used + `,"consumer_generation":CGEN}},"resource_provider_generation":GEN}`},
		{"1.1", "/resource_providers/ID/aggregates", `{"aggregates":[]}`},
		{"1.19", "/resource_providers/ID/aggregates", `{"aggregates":[],"resource_provider_generation":GEN}`},
		{"1.6", "/resource_providers/ID/traits", `{"traits":["COMPUTE_NODE","HW_CPU_X86_SSE2"],"resource_provider_generation":GEN}`},
		{"1.0", "/allocations/VM", `{"allocations":{"ID":{"generation":GEN,"resources":` + used + `}}}`},
		{"1.12", "/allocations/VM", `{"allocations":{"ID":{"generation":GEN,"resources":` + used + `}},"project_id":"p1","user_id":"u1"}`},
		{"1.38", "/allocations/VM", `{"allocations":{"ID":{"generation":GEN,"resources":` + used + `}},"project_id":"p1","user_id":"u1","consumer_generation":CGEN,"consumer_type":"INSTANCE"}`},
		{"1.38", "/allocations/none", `{"allocations":{}}`},
		{"1.9", "/usages?project_id=p1", `{"usages":` + used + `}`},
		{"1.9", "/usages?project_id=p1&user_id=other", `{"usages":{}}`},
		{"1.38", "/usages?project_id=p1", `{"usages":{"INSTANCE":{"consumer_count":1,"DISK_GB":10,"MEMORY_MB":1024,"VCPU":2}}}`},
		{"1.38", "/usages?project_id=p1&consumer_type=all", `{"usages":{"all":{"consumer_count":1,"DISK_GB":10,"MEMORY_MB":1024,"VCPU":2}}}`},
		{"1.38", "/usages?project_id=p1&consumer_type=MIGRATION", `{"usages":{}}`},
		{"1.6", "/traits", `{"traits":["COMPUTE_NODE","HW_CPU_X86_SSE2"]}`},
		{"1.6", "/traits?name=startswith:HW_", `{"traits":["HW_CPU_X86_SSE2"]}`},
		{"1.6", "/traits?name=in:COMPUTE_NODE,X", `{"traits":["COMPUTE_NODE"]}`},
		{"1.6", "/traits?associated=false", `{"traits":[]}`},
		{"1.2", "/resource_classes/VCPU", `{"name":"VCPU","links":[{"rel":"self","href":"/placement/resource_classes/VCPU"}]}`},
	} {
		fill := strings.NewReplacer("CGEN", fmt.Sprint(claimed), "GEN", fmt.Sprint(gen), "ID", id, "VM", string(w.vm)).Replace
		code, body, h := w.get(c.version, "service", strings.NewReplacer("ID", id, "VM", string(w.vm)).Replace(c.path))
		if strings.Contains(c.path, "project_id") {
			code, body, h = w.get(c.version, "reader", c.path)
		}
		require.Equal(t, 200, code, "%s %s", c.path, body)
		want := strings.ReplaceAll(fill(strings.ReplaceAll(c.want, "_MB", "~")), "~", "_MB")
		assert.JSONEq(t, want, body, "%s at %s", c.path, c.version)
		assert.Equal(t, "placement "+c.version, h.Get("OpenStack-API-Version"))
		if minor := c.version[2:]; len(minor) == 2 && minor >= "15" && c.path != "/" {
			assert.NotEmpty(t, h.Get("Last-Modified"), c.path)
			assert.Equal(t, "no-cache", h.Get("Cache-Control"))
		} else {
			assert.Empty(t, h.Get("Last-Modified"), c.path)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		version, query string
		want           int
	}{
		{"1.39", "", 2}, {"1.39", "name=node2.example", 1}, {"1.39", "name=node2", 0}, {"1.39", "in_tree=" + string(w.host.ID), 1}, {"1.39", "member_of=x", 0}, {"1.39", "member_of=!x", 2},
		{"1.39", "resources=VCPU:2,MEMORY_MB:1024", 1}, {"1.39", "resources=VCPU:1001", 0}, {"1.39", "resources=VCPU:1000", 1}, {"1.39", "resources=MEMORY_MB:8388608", 0},
		{"1.39", "required=COMPUTE_NODE", 1}, {"1.39", "required=!COMPUTE_NODE", 1}, {"1.39", "required=COMPUTE_NODE,!HW_CPU_X86_SSE2", 0},
		{"1.39", "required=in:NOPE,COMPUTE_NODE", 1}, {"1.39", "required=in:COMPUTE_NODE&required=NOPE", 0},
		{"1.39", "resources=PONY:1", -1}, {"1.39", "resources=VCPU", -1}, {"1.39", "resources=VCPU:0", -1}, {"1.39", "required=", -1}, {"1.38", "required=in:A", -1}, {"1.21", "required=!A", -1},
		{"1.17", "required=A", -1}, {"1.13", "in_tree=" + string(w.host.ID), -1}, {"1.39", "uuid=x", -1}, {"1.39", "foo=1", -1},
	} {
		code, body, _ := w.get(c.version, "admin", "/resource_providers?"+c.query)
		if c.want < 0 {
			assert.Equal(t, 400, code, c.query)
			assert.Contains(t, body, `"errors":[{"status":400`)
			continue
		}
		var got struct {
			Providers []any `json:"resource_providers"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		assert.Len(t, got.Providers, c.want, "%s: %s", c.query, body)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, body, _ := w.get("1.39", "", "/")
	assert.Equal(t, 200, code, body)
	for _, r := range routes()[2:] {
		path := strings.NewReplacer("{uuid}", string(w.host.ID), "{class}", "VCPU", "{name}", "VCPU", "{consumer}", "x").Replace(r.Path)
		if r.Path == "/usages" {
			path += "?project_id=p2"
		}
		if r.Path == "/traits/{name}" {
			path = "/traits/COMPUTE_NODE"
		}
		for role, want := range map[string]int{"member,reader": 403, "service": 200, "admin": 200} {
			code, body, _ := w.get("1.39", role, path)
			if want == 200 && r.Path == "/traits/{name}" {
				want = 204
			}
			assert.Equal(t, want, code, "%s %s %s", role, path, body)
		}
		if r.Min > 0 {
			code, _, _ := w.get(fmt.Sprintf("1.%d", r.Min-1), "admin", path)
			assert.Equal(t, 404, code, path)
		}
	}
	for _, path := range []string{"/resource_providers/nosuch", "/resource_providers/nosuch/usages", "/resource_providers/" + string(w.host.ID) + "/inventories/PONY", "/traits/NOPE", "/resource_classes/PONY"} {
		code, body, _ := w.get("1.39", "admin", path)
		assert.Equal(t, 404, code, path)
		assert.Contains(t, body, `"code":"placement.undefined_code"`)
	}
	_, body, _ = w.get("1.22", "admin", "/resource_providers/nosuch")
	assert.NotContains(t, body, `"code"`, "errors have a code since 1.23")
}
