package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestFlavorAccess(t *testing.T) {
	t.Parallel()
	c, a := newCloud(t), loadAnswers(t)
	c.core.AddHost("host-1")
	c.small()
	c.addFlavor(structs.Flavor{ID: "mine", Name: "mine", VCPUs: 1, MemoryMiB: 64, RootGiB: 1})
	c.withProjects()
	image := c.cirros().ID
	access := func(verb, token, version, flavor, project string, status int, says string) {
		t.Helper()
		c.says(status, says, token, version, "POST", "/flavors/"+flavor+"/action", map[string]any{verb: map[string]string{"tenant": project}})
	}
	list := func() string {
		t.Helper()
		return string(c.checked(a, "GET /flavors/{flavor_id}/os-flavor-access", "admin", "2.104", "/flavors/mine/os-flavor-access", nil).body)
	}
	ids := func(token, query string) string {
		t.Helper()
		var all []string
		for _, f := range c.want(200, token, "2.1", "GET", "/flavors"+query, nil).json(t)["flavors"].([]any) {
			all = append(all, f.(map[string]any)["id"].(string))
		}
		return strings.Join(all, " ")
	}
	boots := func(status int) {
		t.Helper()
		c.want(status, "alice", "2.104", "POST", "/servers", map[string]any{"server": map[string]any{"name": "vm", "flavorRef": "mine", "imageRef": image, "networks": "none"}})
	}
	if got := list(); got != `{"flavor_access":[]}` {
		t.Error(got)
	}
	c.want(404, "alice", "2.104", "GET", "/flavors/mine", nil)
	boots(400)
	access("addTenantAccess", "alice", "", "mine", aliceProject, 403, "Policy doesn't allow os_compute_api:os-flavor-access:add_tenant_access to be performed.")
	access("addTenantAccess", "admin", "", "mine", "nosuch", 400, "Project ID nosuch is not a valid project.")
	access("addTenantAccess", "admin", "", "nosuch", aliceProject, 404, "Flavor nosuch could not be found.")
	access("addTenantAccess", "admin", "", "mine", "", 400, "is too short")
	both := `{"flavor_access":[{"flavor_id":"mine","tenant_id":"` + aliceProject + `"},{"flavor_id":"mine","tenant_id":"` + bobProject + `"}]}`
	access("addTenantAccess", "admin", "", "mine", bobProject, 200, `{"flavor_access":[{"flavor_id":"mine","tenant_id":"`+bobProject+`"}]}`)
	access("addTenantAccess", "admin", "2.104", "mine", aliceProject, 200, both)
	access("addTenantAccess", "admin", "", "mine", aliceProject, 409, "Flavor access already exists for flavor mine and project "+aliceProject+" combination.")
	if got := list(); got != both {
		t.Error(got)
	}
	c.want(200, "alice", "2.104", "GET", "/flavors/mine", nil)
	boots(202)
	for who, want := range map[string]string{"alice": "1 mine", "admin": "1"} {
		if got := ids(who, ""); got != want {
			t.Errorf("%s sees %s", who, got)
		}
	}
	for query, want := range map[string]string{"?is_public=false": "mine", "?is_public=none": "1 mine", "?is_public=true": "1"} {
		if got := ids("admin", query); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	access("removeTenantAccess", "admin", "", "mine", aliceProject, 200, `{"flavor_access":[{"flavor_id":"mine","tenant_id":"`+bobProject+`"}]}`)
	access("removeTenantAccess", "admin", "", "mine", aliceProject, 404, "Flavor access not found for mine / "+aliceProject+" combination.")
	access("removeTenantAccess", "alice", "", "mine", aliceProject, 403, "remove_tenant_access")
	c.want(404, "alice", "2.104", "GET", "/flavors/mine", nil)
	c.says(404, "Access list not available for public flavors.", "admin", "", "GET", "/flavors/1/os-flavor-access", nil)
	c.want(403, "alice", "", "GET", "/flavors/mine/os-flavor-access", nil)
	access("addTenantAccess", "admin", "2.7", "1", aliceProject, 409, "Can not add access to a public flavor.")
	access("addTenantAccess", "admin", "2.6", "1", aliceProject, 200, aliceProject)
}

func TestFlavorExtraSpecs(t *testing.T) {
	t.Parallel()
	c, a := newCloud(t), loadAnswers(t)
	c.addFlavor(structs.Flavor{ID: "f", Name: "f", VCPUs: 1, MemoryMiB: 64, Public: true})
	path := "/flavors/f/os-extra_specs"
	specs := func(want string) {
		t.Helper()
		if got := c.checked(a, "GET /flavors/{flavor_id}/os-extra_specs", "alice", "2.104", path, nil); string(got.body) != want {
			t.Errorf("%s, want %s", got.body, want)
		}
	}
	write := func(method, version, to, body string) {
		t.Helper()
		route := "/flavors/{flavor_id}/os-extra_specs"
		if method == "PUT" {
			route += "/{id}"
		}
		if got := c.checked(a, method+" "+route, "admin", version, to, body); string(got.body) != body {
			t.Errorf("%s is not the request's body", got.body)
		}
	}
	write("POST", "2.1", path, `{"extra_specs": {"hw:cpu_policy": "nonsense", "n": 1.5}}`)
	specs(`{"extra_specs":{"hw:cpu_policy":"nonsense","n":"1.5"}}`)
	write("POST", "2.86", path, `{"extra_specs": {"hw:cpu_policy": "dedicated", "resources:CUSTOM_X": 2}}`)
	write("PUT", "2.104", path+"/own", `{"own": "text"}`)
	specs(`{"extra_specs":{"hw:cpu_policy":"dedicated","n":"1.5","own":"text","resources:CUSTOM_X":"2"}}`)
	for _, body := range []string{`{"extra_specs": {}}`, `{"extra_specs": {"n": "1"}}`} {
		write("POST", "2.104", path, body)
	}
	if got := c.want(200, "admin", "2.1", "DELETE", path+"/own", nil); len(got.body) != 0 {
		t.Errorf("%s", got.body)
	}
	c.says(404, "Flavor f has no extra specs with key own.", "admin", "2.1", "DELETE", path+"/own", nil)
	specs(`{"extra_specs":{"hw:cpu_policy":"dedicated","n":"1","resources:CUSTOM_X":"2"}}`)
	before := string(c.state())
	for body, want := range map[string]string{
		`{"extra_specs": {"a": "b", "hw:cpu_policy": "x"}}`:          "Validation failed; 'x' is not one of: dedicated, shared, mixed.",
		`{"extra_specs": {"hw:maxphysaddr_mode": "emulate"}}`:        "Validation failed; extra spec 'hw:maxphysaddr_mode' does not appear to be a valid extra spec.",
		`{"extra_specs": {"a!": "b"}}`:                               "not match any of the regexes",
		`{"extra_specs": {"a": true}}`:                               "is not of type",
		`{"extra_specs": {"a": null}}`:                               "is not of type",
		`{}`:                                                         "'extra_specs' is a required property",
		`{"extra_specs": {"a": ` + strings.Repeat("1", 256) + `}}`:   "extra_specs value has 256 characters, more than 255.",
		`{"extra_specs": {"a": "` + strings.Repeat("x", 256) + `"}}`: "is too long",
	} {
		c.says(400, want, "admin", "2.86", "POST", path, body)
	}
	c.says(400, "Request body and URI mismatch", "admin", "", "PUT", path+"/a", `{"b": "c"}`)
	c.says(400, "too many properties", "admin", "", "PUT", path+"/a", `{"a": "c", "b": "c"}`)
	c.says(404, "Flavor nosuch could not be found.", "admin", "", "POST", "/flavors/nosuch/os-extra_specs", `{"extra_specs": {"a": "b"}}`)
	c.says(403, "os_compute_api:os-flavor-extra-specs:create", "alice", "", "POST", path, `{"extra_specs": {"a": "b"}}`)
	c.says(403, "os_compute_api:os-flavor-extra-specs:update", "alice", "", "PUT", path+"/a", `{"a": "b"}`)
	c.says(403, "os_compute_api:os-flavor-extra-specs:delete", "alice", "", "DELETE", path+"/n", nil)
	if string(c.state()) != before {
		t.Error("a refused request changed the state")
	}
}

// A flavor's answers have its extra specs from 2.61 on.
func TestFlavorEmbedsExtraSpecs(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	f := c.want(200, "admin", "2.61", "POST", "/flavors", `{"flavor": {"name": "n", "id": "n", "ram": 1, "vcpus": 1, "disk": 0}}`).json(t)["flavor"].(map[string]any)
	if got := fmt.Sprint(f["extra_specs"]); got != "map[]" {
		t.Errorf("created with %s", got)
	}
	c.want(200, "admin", "2.1", "PUT", "/flavors/n/os-extra_specs/a", `{"a": "b"}`)
	for version, want := range map[string]string{"2.60": "<nil>", "2.61": "map[a:b]"} {
		shown := c.want(200, "admin", version, "GET", "/flavors/n", nil).json(t)["flavor"].(map[string]any)
		put := c.want(200, "admin", version, "PUT", "/flavors/n", `{"flavor": {"description": "d"}}`).json(t)["flavor"].(map[string]any)
		listed := c.want(200, "admin", version, "GET", "/flavors/detail", nil).json(t)["flavors"].([]any)[0].(map[string]any)
		for what, v := range map[string]map[string]any{"show": shown, "update": put, "list": listed} {
			if got := fmt.Sprint(v["extra_specs"]); got != want {
				t.Errorf("%s at %s: %s, want %s", what, version, got, want)
			}
		}
	}
	unscoped := c.want(200, "unscoped", "2.104", "GET", "/flavors/n", nil).json(t)["flavor"].(map[string]any)
	if _, ok := unscoped["extra_specs"]; ok {
		t.Error("extra specs without a project's role")
	}
}

// A marker that the caller may not see is none: it would tell that the flavor is there.
func TestFlavorMarkerIsVisible(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	c.addFlavor(structs.Flavor{ID: "0", Name: "private", VCPUs: 1, MemoryMiB: 64})
	c.says(400, "marker [0] not found", "alice", "", "GET", "/flavors?marker=0", nil)
	c.want(200, "admin", "", "GET", "/flavors?marker=0", nil)
}
