package compute_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// plant makes an instance as it is, without the API; its id ends in its number.
func (c *cloud) plant(ins structs.Instance, at time.Time, place bool) string {
	c.tb.Helper()
	if ins.ID == "" {
		ins.ID = structs.InstanceID(nomadlike.NewUUID())
	}
	if ins.ProjectID == "" {
		ins.ProjectID, ins.UserID = aliceProject, aliceUser
	}
	op := structs.OperationID(nomadlike.NewUUID())
	propose(c.tb, c.core, fsm.InstanceCreate, &structs.InstanceCreateRequest{Now: structs.TimeOf(at), Instances: []structs.Instance{ins},
		Operations:  []structs.Operation{{ID: op, InstanceID: ins.ID, Kind: structs.OpBuild, RequestID: "req-" + string(op)}},
		Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: ins.ID, OperationID: op, Status: structs.EvalPending}}})
	if place {
		c.core.Drive(nil)
	}
	return string(ins.ID)
}

func at(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }

// gallery has one instance of each sort: web-1, web-2 (ACTIVE), db (SHUTOFF), broken (ERROR), dead (deleted), new (BUILD), and bob's.
func gallery(c *cloud) map[string]string {
	c.core.AddHost("host-1")
	c.small()
	big := c.addFlavor(structs.Flavor{ID: "big", Name: "big", VCPUs: 2, MemoryMiB: 1024, Public: true})
	small := structs.Flavor{ID: "1", Name: "m1.small", VCPUs: 1, MemoryMiB: 512}
	ids := map[string]string{}
	ids["web-1"] = c.plant(structs.Instance{Name: "web-1", Flavor: small, Tags: []string{"prod", "web"}, KeyName: "k1", ReservationID: "r-1"}, at(1), true)
	ids["web-2"] = c.plant(structs.Instance{Name: "web-2", Flavor: small, Tags: []string{"test", "web"}, Locked: true, LockedBy: "owner", ConfigDrive: true}, at(2), true)
	ids["db"] = c.plant(structs.Instance{Name: "db", Flavor: big, Tags: []string{"prod"}, ImageID: "70a599e0-31e7-49b7-b260-868f441e862b", Hostname: "db.example"},
		at(3), true)
	c.want(202, "alice", "", "POST", "/servers/"+ids["db"]+"/action", `{"os-stop": null}`)
	c.core.Drive(nil)
	broken := c.plant(structs.Instance{Name: "broken", Flavor: small}, at(4), false)
	c.core.Drive(func(op *structs.Operation) string { return "no luck" })
	ids["broken"] = broken
	ids["dead"] = c.plant(structs.Instance{Name: "dead", Flavor: small}, at(5), true)
	c.want(204, "alice", "", "DELETE", "/servers/"+ids["dead"], nil)
	c.core.Drive(nil)
	ids["bobs"] = c.plant(structs.Instance{Name: "bobs", Flavor: small, ProjectID: bobProject, UserID: bobUser}, at(6), true)
	ids["new"] = c.plant(structs.Instance{Name: "new", Flavor: small}, at(7), false)
	return ids
}

func (c *cloud) names(token, version, query string) []string {
	c.tb.Helper()
	a := c.want(200, token, version, "GET", "/servers?"+query, nil)
	list := []string{}
	for _, s := range a.json(c.tb)["servers"].([]any) {
		list = append(list, s.(map[string]any)["name"].(string))
	}
	return list
}

func TestFilters(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ids := gallery(c)
	all := "new broken db web-2 web-1"
	soon := url.QueryEscape(time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	for _, row := range []struct{ token, version, query, want string }{
		{"alice", "", "", all},
		{"reader", "", "", all},
		{"bob", "", "", "bobs"},
		{"admin", "", "", ""},
		{"admin", "", "all_tenants", "new bobs broken db web-2 web-1"},
		{"admin", "", "all_tenants=false", ""},
		{"admin", "", "all_tenants=1&tenant_id=" + bobProject, "bobs"},
		{"admin", "", "all_tenants=1&project_id=" + bobProject, "bobs"},
		{"admin", "", "tenant_id=" + bobProject, ""},
		{"admin", "", "all_tenants=1&user_id=" + bobUser, "bobs"},
		{"alice", "", "project_id=" + bobProject, all},
		{"alice", "", "name=web", "web-2 web-1"},
		{"alice", "", "name=WEB-1", "web-1"},
		{"alice", "", "name=%5Eb", "broken"},
		{"alice", "", "status=ACTIVE", "web-2 web-1"},
		{"alice", "", "status=active&status=shutoff", "db web-2 web-1"},
		{"alice", "", "status=error", "broken"},
		{"alice", "", "status=BUILD", "new"},
		{"alice", "", "status=RESIZE", ""},
		{"alice", "2.37", "status=tired", ""},
		{"alice", "", "flavor=big", "db"},
		{"alice", "", "flavor=nosuch", ""},
		{"alice", "", "image=70a599e0-31e7-49b7-b260-868f441e862b", "db"},
		{"alice", "", "reservation_id=r-1", "web-1"},
		{"alice", "", "ip=10.0.0", ""},
		{"alice", "2.4", "ip6=fe80", all},
		{"alice", "2.5", "ip6=fe80", ""},
		{"alice", "2.25", "tags=web", all},
		{"alice", "2.26", "tags=web", "web-2 web-1"},
		{"alice", "2.26", "tags=web,prod", "web-1"},
		{"alice", "2.26", "tags-any=test,prod", "db web-2 web-1"},
		{"alice", "2.26", "not-tags=web,prod", "new broken db web-2"},
		{"alice", "2.26", "not-tags-any=web,prod", "new broken"},
		{"alice", "2.72", "locked=true", all},
		{"alice", "2.73", "locked=true", "web-2"},
		{"alice", "2.73", "locked=0", "new broken db web-1"},
		{"alice", "2.82", "key_name=k1", all},
		{"alice", "2.83", "key_name=k1", "web-1"},
		{"alice", "2.83", "config_drive=True", "web-2"},
		{"alice", "2.83", "power_state=4", "db"},
		{"alice", "2.83", "vm_state=stopped", "db"},
		{"alice", "2.83", "task_state=scheduling", "new"},
		{"alice", "2.83", "availability_zone=nova", "broken db web-2 web-1"}, // where the build failed
		{"alice", "2.83", "created_at=00:03", "db"},
		{"alice", "2.83", "user_id=" + aliceUser, all},
		{"alice", "2.90", "hostname=db%5C.example", "db"},
		{"admin", "", "all_tenants=1&host=host-1", "bobs db web-2 web-1"},
		{"admin", "", "all_tenants=1&node=HOST", "bobs db web-2 web-1"},
		{"admin", "", "all_tenants=1&uuid=" + ids["db"], "db"},
		{"admin", "", "all_tenants=1&locked_by=owner", "web-2"},
		{"admin", "", "all_tenants=1&deleted=true", "dead"},
		{"admin", "", "all_tenants=1&status=deleted", "dead"},
		{"alice", "", "deleted=true", all},
		{"alice", "", "changes-since=2025-01-01T00:00:00Z", "new dead broken db web-2 web-1"},
		{"alice", "", "changes-since=" + soon, ""},
		{"alice", "2.66", "changes-before=2020-01-01T00:00:00Z", ""},
		{"alice", "2.66", "changes-before=" + soon, "new dead broken db web-2 web-1"},
		{"admin", "", "all_tenants=1&changes-since=2025-01-01&deleted=false", "new bobs broken db web-2 web-1"},
		{"alice", "2.74", "foo=bar", all},
	} {
		if got := strings.Join(c.names(row.token, row.version, row.query), " "); got != row.want {
			t.Errorf("%s at %s %q: %q, want %q", row.token, row.version, row.query, got, row.want)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	gallery(c)
	for _, row := range []struct{ token, version, query, want string }{
		{"alice", "", "sort_dir=asc", "web-1 web-2 db broken new"},
		{"alice", "", "sort_key=display_name", "web-2 web-1 new db broken"},
		{"alice", "", "sort_key=display_name&sort_dir=asc", "broken db new web-1 web-2"},
		{"alice", "", "sort_key=vm_state&sort_key=display_name&sort_dir=asc&sort_dir=desc", "web-2 web-1 new broken db"},
		{"alice", "", "sort_key=vm_state&sort_key=display_name&sort_dir=asc", "web-1 web-2 new broken db"},
		{"alice", "", "sort_key=vcpus&sort_dir=asc", "new broken db web-2 web-1"},
		{"alice", "2.73", "sort_key=locked&sort_dir=desc", "web-2 new broken db web-1"},
		{"admin", "", "all_tenants=1&sort_key=host&sort_dir=desc", "bobs db web-2 web-1 new broken"},
		{"admin", "", "all_tenants=1&sort_key=project_id&sort_dir=desc", "bobs new broken db web-2 web-1"},
	} {
		if got := strings.Join(c.names(row.token, row.version, row.query), " "); got != row.want {
			t.Errorf("%s %q: %q, want %q", row.token, row.query, got, row.want)
		}
	}
}

// TestPages walks every kind of list with every page size and expects the whole list, each time.
func TestPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	small := structs.Flavor{ID: "1", VCPUs: 1, MemoryMiB: 512}
	propose(t, c.core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: structs.UnlimitedQuota()}})
	for i := range 12 { // three at each moment, as of one request
		c.plant(structs.Instance{Name: fmt.Sprintf("i%02d", i), Flavor: small}, at(i/3), false)
		if i%4 == 0 {
			c.plant(structs.Instance{Name: fmt.Sprintf("b%02d", i), Flavor: small, ProjectID: bobProject}, at(i/3), false)
		}
	}
	for _, row := range []struct{ token, query string }{{"alice", ""}, {"alice", "&sort_dir=asc"}, {"alice", "&sort_key=display_name"}, {"admin", "&all_tenants=1"},
		{"alice", "&name=i0"}, {"admin", "&all_tenants=1&changes-since=2020-01-01"}, {"admin", "&all_tenants=1&sort_key=project_id&sort_dir=asc"}} {
		whole := c.names(row.token, "", row.query)
		if len(whole) < 10 {
			t.Fatalf("%s: only %v", row.query, whole)
		}
		for limit := 1; limit <= 16; limit++ {
			var got []string
			next, pages := fmt.Sprintf("%s/servers?limit=%d%s", c.base, limit, row.query), 0
			for next != "" {
				body := c.want(200, row.token, "", "GET", next, nil).json(t)
				for _, s := range body["servers"].([]any) {
					got = append(got, s.(map[string]any)["name"].(string))
				}
				full := len(body["servers"].([]any)) == limit
				links, has := body["servers_links"].([]any)
				if full != has {
					t.Fatalf("%s limit %d: full %v, next %v", row.query, limit, full, links)
				}
				if next = ""; has {
					next = links[0].(map[string]any)["href"].(string)
				}
				if pages++; pages > 40 {
					t.Fatal("no end")
				}
			}
			if !slices.Equal(got, whole) {
				t.Errorf("%s limit %d: %v, want %v", row.query, limit, got, whole)
			}
		}
	}
	if got := c.want(200, "alice", "", "GET", "/servers?limit=0", nil); string(got.body) != `{"servers":[]}` {
		t.Errorf("limit=0: %s", got.body)
	}
	if got := c.names("alice", "", "limit=999999999999999999999999"); len(got) != 12 {
		t.Errorf("a huge limit gives %d", len(got))
	}
}

func TestMarkerMayBeDeleted(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ids := gallery(c)
	if got := strings.Join(c.names("alice", "", "marker="+ids["dead"]), " "); got != "broken db web-2 web-1" {
		t.Errorf("after a deleted marker: %s", got)
	}
}
