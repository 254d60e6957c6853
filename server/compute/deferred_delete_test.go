package compute_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
)

// With a time to reclaim, a deleted instance is off and hidden, takes no quota, and can be restored while there is room for it, or deleted for good.
func TestDeferredDelete(t *testing.T) {
	t.Parallel()
	core := coretest.New()
	srv := httptest.NewServer(newHandler(t, core, compute.Options{ReclaimAfter: time.Hour}))
	t.Cleanup(srv.Close)
	c := &cloud{t, core, srv, srv.URL + compute.Prefix}
	core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	names := func(token, query string) string {
		var all []string
		for _, s := range c.want(200, token, "2.100", "GET", "/servers?"+query, nil).json(t)["servers"].([]any) {
			all = append(all, s.(map[string]any)["name"].(string))
		}
		return strings.Join(all, " ")
	}
	used := func() int64 { return core.Stale().QuotaUsage(aliceProject).Instances }
	c.act(409, "alice", "2.1", id, `{"restore": null}`)
	c.want(204, "alice", "", "DELETE", "/servers/"+id, nil)
	if got := c.states(id); got != "ACTIVE active soft-deleting 1" {
		t.Error(got)
	}
	core.Drive(nil)
	if got := c.states(id); got != "SOFT_DELETED soft-delete <nil> 4" {
		t.Error(got)
	}
	if used() != 0 {
		t.Errorf("it takes %d of the quota", used())
	}
	for query, want := range map[string]string{"": "", "deleted=false&all_tenants=1": "", "deleted=true&all_tenants=1": "vm", "deleted=true&soft_deleted=false&all_tenants=1": "",
		"deleted=false&soft_deleted=true&all_tenants=1": "vm"} {
		if got := names("admin", query); got != want {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
	propose(t, core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: structs.QuotaLimits{Instances: 0, Cores: -1, MemoryMiB: -1}}})
	if a := c.act(403, "alice", "2.1", id, `{"restore": null}`); !strings.Contains(string(a.body), "Quota exceeded for instances") {
		t.Errorf("%s", a.body)
	}
	propose(t, core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: structs.UnlimitedQuota()}})
	c.act(202, "alice", "2.1", id, `{"restore": null}`)
	core.Drive(nil)
	if got := c.states(id) + fmt.Sprint(" ", used()); got != "ACTIVE active <nil> 1 1" {
		t.Error(got)
	}
	for _, last := range []func(){
		func() { c.want(204, "alice", "", "DELETE", "/servers/"+id, nil) },
		func() { c.act(202, "alice", "2.1", id, `{"forceDelete": null}`) },
	} {
		c.want(404, "bob", "", "DELETE", "/servers/"+id, nil)
		last()
		core.Drive(nil)
	}
	c.want(404, "alice", "", "GET", "/servers/"+id, nil)
	if used() != 0 || core.Stale().HostUsage(core.Stale().HostByName("host-1").ID).Used != (structs.Resources{}) {
		t.Error("it takes something still")
	}
}
