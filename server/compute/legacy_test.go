package compute_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// newLegacy is a cloud whose base is the API before 2.1.
func newLegacy(t *testing.T) *cloud {
	t.Helper()
	core := coretest.New()
	h, err := httpapi.NewHandler(core, compute.Services(compute.Options{}, proxy.Services{}), httpapi.Options{Auth: everybody})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &cloud{t, core, srv, srv.URL + compute.LegacyPrefix}
}

func TestLegacyVersions(t *testing.T) {
	t.Parallel()
	c := newLegacy(t)
	root := c.srv.URL
	list := c.want(200, "", "", "GET", root+"/compute/", nil).json(t)["versions"].([]any)
	if got := fmt.Sprint(list[0]); len(list) != 2 || got != "map[id:v2.0 links:[map[href:"+root+"/compute/v2/ rel:self]] min_version: status:DEPRECATED updated:2025-07-04T12:00:00Z version:]" {
		t.Errorf("%v", list)
	}
	for path, id := range map[string]string{"/v2": "v2.0", "/v2/": "v2.0", "/v2.1": "v2.1", "/v2.1/": "v2.1"} {
		v := c.want(200, "", "", "GET", root+"/compute"+path, nil).json(t)["version"].(map[string]any)
		if v["id"] != id || !strings.Contains(fmt.Sprint(v["links"]), root+"/compute/"+strings.Split(path, "/")[1]+"/ rel:self") {
			t.Errorf("%s: %v", path, v)
		}
	}
	for _, base := range []string{"/compute/v2", "/compute/v2.1"} {
		for id, status := range map[string]int{"v2.0": 200, "v2.1": 200, "v3": 404} {
			c.want(status, "reader", "", "GET", root+base+"/versions/"+id, nil)
		}
		c.want(401, "", "", "GET", root+base+"/versions/v2.1", nil)
	}
	for _, base := range []string{"/compute/v2/", "/compute/v2.1/"} {
		c.says(200, `"status"`, "alice", "", "GET", root+base+aliceProject+"/", nil)
		c.says(400, "Malformed request URL", "alice", "", "GET", root+base+bobProject+"/", nil)
		c.want(401, "", "", "GET", root+base+aliceProject+"/", nil)
	}
	if n := len(c.want(300, "", "", "GET", root+"/compute/v9", nil).json(t)["choices"].([]any)); n != 2 {
		t.Errorf("%d choices", n)
	}
}

func TestLegacyIsTheFirstMicroversion(t *testing.T) {
	t.Parallel()
	c := newLegacy(t)
	c.core.AddHost("host-1")
	c.small()
	image := c.cirros()
	for _, version := range []string{"", "2.104", "2.999", "nonsense"} {
		a := c.want(200, "alice", version, "GET", "/flavors/1", nil)
		v := a.json(t)["flavor"].(map[string]any)
		if _, ok := v["description"]; ok || v["swap"] != "" || !strings.Contains(fmt.Sprint(v["links"]), c.srv.URL+"/compute/v2/flavors/1 rel:self") {
			t.Errorf("with header %q: %v", version, v)
		}
		for _, h := range []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version", "Vary"} {
			if got := a.Header.Get(h); got != "" {
				t.Errorf("with header %q the answer has %s %s", version, h, got)
			}
		}
		if id := a.Header.Get("X-Compute-Request-Id"); id == "" || id != a.Header.Get("X-Openstack-Request-Id") {
			t.Errorf("request id %q", id)
		}
	}
	c.want(200, "alice", "", "GET", "/"+aliceProject+"/images/"+string(image.ID), nil)
	c.says(400, "Malformed request URL", "alice", "", "GET", "/"+bobProject+"/images", nil)
	c.want(410, "alice", "", "GET", "/os-cells", nil)
	c.want(401, "", "", "GET", "/servers", nil)
	c.want(404, "alice", "2.26", "GET", "/servers/x/tags", nil)
	if n := len(c.want(200, "alice", "", "GET", "/extensions", nil).json(t)["extensions"].([]any)); n != 100 {
		t.Errorf("%d extensions", n)
	}
	c.want(200, "alice", "", "GET", "/extensions/OS-EXT-VIF-NET", nil)
	for _, q := range []string{"", "?foo=1"} {
		c.want(200, "alice", "", "GET", "/servers/detail"+q, nil)
	}
}

func TestLegacyDropsUnknownKeys(t *testing.T) {
	t.Parallel()
	c := newLegacy(t)
	c.core.AddHost("host-1")
	c.small()
	image := string(c.cirros().ID)
	c.want(200, "alice", "", "POST", "/os-keypairs", `{"extra": 1, "keypair": {"name": "k", "nonsense": {"a": [1]}, "type": "x509", "public_key": "`+sshKey+`"}}`)
	body := `{"unknown": {"name": 1}, "server": {"name": "vm", "flavorRef": "1", "imageRef": "` + image + `", "it's": 1, "tags": ["a"], "networks": [], "metadata": {"k": "v", "bad/key": "v"}}}`
	id := c.want(202, "alice", "", "POST", "/servers", body).json(t)["server"].(map[string]any)["id"].(string)
	ins := c.core.Stale().Instance(structs.InstanceID(id))
	if len(ins.Tags) != 0 || fmt.Sprint(ins.Metadata) != "map[k:v]" {
		t.Errorf("tags %v, metadata %v", ins.Tags, ins.Metadata)
	}
	c.says(400, "'name' is a required property", "alice", "", "POST", "/servers", `{"x": 1, "server": {"y": 1, "flavorRef": "1"}}`)
	c.says(400, "is not of type", "alice", "", "POST", "/os-keypairs", `{"keypair": {"name": 1, "x": 2}}`)
	c.says(400, "is not of type", "alice", "", "POST", "/os-keypairs", `{"keypair": {"name": "k2", "public_key": 7, "zzz": 2}}`)
	c.says(400, "Malformed request body", "alice", "", "POST", "/os-keypairs", `{"keypair": `)
	c.says(400, "None is not of type 'object'", "alice", "", "POST", "/os-keypairs", "")
	strict := strings.Replace(c.base, compute.LegacyPrefix, compute.Prefix, 1)
	c.says(400, "Additional properties are not allowed ('x' was unexpected)", "alice", "", "POST", strict+"/os-keypairs", `{"x": 1, "keypair": {"name": "k3"}}`)
}

// TestLegacyTable: the API before 2.1 has every row of 2.1 that is served, and no other.
func TestLegacyTable(t *testing.T) {
	t.Parallel()
	old, served := map[string]bool{}, servedRoutes()
	for _, r := range compute.Legacy(compute.Options{}, proxy.Services{}).Routes {
		old[routeKey(r.Method, r.Path, r.Action)] = true
	}
	for _, row := range loadTable(t) {
		k := row.key()
		if want := row.first == 1 && len(served[k]) > 0; old[k] != want {
			t.Errorf("%s: served %t, want %t", row, old[k], want)
		}
	}
}
