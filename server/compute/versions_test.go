package compute_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8FIhjWOnf5yb7BmAM+dDsv3e8r7LXhRRcVWKUOqGcd alice@example"

// boundaries are all microversions at which some answer of some route changes, and those before.
func boundaries(a answers) []int {
	all := map[int]bool{1: true, 104: true}
	for _, fields := range a {
		for _, f := range fields {
			for _, v := range []int{f.lo - 1, f.lo, f.hi, f.hi + 1} {
				if v >= 1 && v <= 104 {
					all[v] = true
				}
			}
		}
	}
	var list []int
	for v := range all {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

// TestAnswersAtEveryBoundary asks every route at every microversion at which an answer changes, as administrator and as user, and compares the keys
// and types of the answers with Nova's.
func TestAnswersAtEveryBoundary(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.core.AddHost("host-1")
	c.small()
	img := c.cirros()
	c.want(201, "alice", "2.2", "POST", "/os-keypairs", map[string]any{"keypair": map[string]any{"name": "k", "public_key": sshKey}})
	active := c.boot("alice", map[string]any{"imageRef": img.ID, "key_name": "k", "user_data": "aGVsbG8=", "config_drive": true, "tags": []string{"x"},
		"metadata": map[string]string{"a": "b"}, "description": "d", "trusted_image_certificates": []string{"c1"}})
	c.want(202, "alice", "2.104", "POST", "/servers", map[string]any{"server": map[string]any{"name": "new", "flavorRef": "1", "imageRef": img.ID, "networks": "none"}})
	failed := c.want(202, "alice", "2.104", "POST", "/servers", map[string]any{"os:scheduler_hints": map[string]any{"different_host": active},
		"server": map[string]any{"name": "bad", "flavorRef": "1", "imageRef": img.ID, "networks": "none"}})
	bad := failed.json(t)["server"].(map[string]any)["id"].(string)
	c.core.Drive(func(op *structs.Operation) string {
		if string(op.InstanceID) == bad {
			return "the disk is broken"
		}
		return ""
	})
	requests := c.want(200, "alice", "2.58", "GET", "/servers/"+active+"/os-instance-actions", nil).json(t)["instanceActions"].([]any)
	request := requests[0].(map[string]any)["request_id"].(string)

	table := []struct {
		route, path string
		lo, hi      int
		body        string
		admin       bool
	}{
		{route: "GET /servers", path: "/servers?limit=1"},
		{route: "GET /servers/detail", path: "/servers/detail?limit=3"},
		{route: "GET /servers/detail", path: "/servers/detail?all_tenants=1", admin: true},
		{route: "GET /servers/{id}", path: "/servers/" + active},
		{route: "GET /servers/{id}", path: "/servers/" + bad},
		{route: "PUT /servers/{id}", path: "/servers/" + active, body: `{"server": {"name": "vm", "OS-DCF:diskConfig": "AUTO", "accessIPv4": "1.2.3.4", "accessIPv6": "80fe::"}}`},
		{route: "GET /flavors", path: "/flavors?limit=1"},
		{route: "GET /flavors/detail", path: "/flavors/detail"},
		{route: "GET /flavors/{id}", path: "/flavors/1"},
		{route: "PUT /flavors/{id}", path: "/flavors/1", lo: 55, body: `{"flavor": {"description": "new"}}`, admin: true},
		{route: "GET /flavors/{flavor_id}/os-extra_specs", path: "/flavors/1/os-extra_specs"},
		{route: "GET /flavors/{flavor_id}/os-extra_specs/{id}", path: "/flavors/1/os-extra_specs/hw:cpu_policy"},
		{route: "GET /os-keypairs", path: "/os-keypairs?limit=1"},
		{route: "GET /os-hypervisors", path: "/os-hypervisors?limit=1", admin: true},
		{route: "GET /os-hypervisors", path: "/os-hypervisors?with_servers=true", lo: 53, admin: true},
		{route: "GET /os-hypervisors/detail", path: "/os-hypervisors/detail", admin: true},
		{route: "GET /os-hypervisors/statistics", path: "/os-hypervisors/statistics", hi: 87, admin: true},
		{route: "GET /os-hypervisors/{id}", path: "/os-hypervisors/1", hi: 52, admin: true},
		{route: "GET /os-hypervisors/{id}", path: "/os-hypervisors/" + string(h.ID) + "?with_servers=1", lo: 53, admin: true},
		{route: "GET /os-hypervisors/{id}/search", path: "/os-hypervisors/host/search", hi: 52, admin: true},
		{route: "GET /os-hypervisors/{id}/servers", path: "/os-hypervisors/host/servers", hi: 52, admin: true},
		{route: "GET /os-services", path: "/os-services", admin: true},
		{route: "PUT /os-services/{id}", path: "/os-services/disable-log-reason", hi: 52, body: `{"host": "host-1", "binary": "nova-compute", "disabled_reason": "r"}`,
			admin: true},
		{route: "PUT /os-services/{id}", path: "/os-services/force-down", lo: 11, hi: 52, body: `{"host": "host-1", "binary": "nova-compute", "forced_down": false}`,
			admin: true},
		{route: "PUT /os-services/{id}", path: "/os-services/" + string(h.ID), lo: 53, body: `{"status": "enabled"}`, admin: true},
		{route: "GET /os-availability-zone", path: "/os-availability-zone"},
		{route: "GET /os-availability-zone/detail", path: "/os-availability-zone/detail", admin: true},
		{route: "GET /limits", path: "/limits"},
		{route: "GET /servers/{server_id}/os-instance-actions", path: "/servers/" + active + "/os-instance-actions"},
		{route: "GET /servers/{server_id}/os-instance-actions", path: "/servers/" + active + "/os-instance-actions?limit=1", lo: 58},
		{route: "GET /servers/{server_id}/os-instance-actions/{id}", path: "/servers/" + active + "/os-instance-actions/" + request},
	}
	a := loadAnswers(t)
	for _, v := range boundaries(a) {
		for _, row := range table {
			if v < row.lo || row.hi != 0 && v > row.hi {
				continue
			}
			for _, who := range []string{"admin", "alice"} {
				if row.admin && who != "admin" || who == "admin" && strings.Contains(row.route, "keypairs") {
					continue
				}
				method, _, _ := strings.Cut(row.route, " ")
				var body any
				if row.body != "" {
					body = row.body
				}
				got := c.want(200, who, fmt.Sprintf("2.%d", v), method, row.path, body)
				if err := a.check(row.route, v, got.body); err != nil {
					t.Errorf("%s at 2.%d as %s: %v in %s", row.route, v, who, err, got.body)
				}
			}
		}
		checkCreations(t, c, a, v, string(img.ID))
	}
}

// checkCreations checks the answers of requests that make something, and takes it away again.
func checkCreations(t *testing.T, c *cloud, a answers, v int, image string) {
	t.Helper()
	version := fmt.Sprintf("2.%d", v)
	networks := ""
	if v >= 37 {
		networks = `, "networks": "none"`
	}
	got := c.want(202, "admin", version, "POST", "/servers", `{"server": {"name": "x", "flavorRef": 1, "imageRef": "`+image+`"`+networks+`}}`)
	if err := a.check("POST /servers", v, got.body); err != nil {
		t.Errorf("POST /servers at %s: %v in %s", version, err, got.body)
	}
	c.want(204, "admin", version, "DELETE", "/servers/"+got.json(t)["server"].(map[string]any)["id"].(string), nil)
	flavor := fmt.Sprintf("f-%d", v)
	got = c.want(200, "admin", version, "POST", "/flavors", `{"flavor": {"name": "`+flavor+`", "id": "`+flavor+`", "ram": "64", "vcpus": 1, "disk": 0}}`)
	if err := a.check("POST /flavors", v, got.body); err != nil {
		t.Errorf("POST /flavors at %s: %v in %s", version, err, got.body)
	}
	c.want(202, "admin", version, "DELETE", "/flavors/"+flavor, nil)
	status, gone := 201, 204
	if v < 2 {
		status, gone = 200, 202
	}
	got = c.want(status, "alice", version, "POST", "/os-keypairs", `{"keypair": {"name": "k2", "public_key": "`+sshKey+`"}}`)
	if err := a.check("POST /os-keypairs", v, got.body); err != nil {
		t.Errorf("POST /os-keypairs at %s: %v in %s", version, err, got.body)
	}
	got = c.want(200, "alice", version, "GET", "/os-keypairs/k2", nil)
	if err := a.check("GET /os-keypairs/{id}", v, got.body); err != nil {
		t.Errorf("GET /os-keypairs/{id} at %s: %v in %s", version, err, got.body)
	}
	c.want(gone, "alice", version, "DELETE", "/os-keypairs/k2", nil)
}
