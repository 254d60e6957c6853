package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// aggregate makes an aggregate through the API and returns its path.
func (c *cloud) aggregate(name, zone string) string {
	c.tb.Helper()
	body := map[string]any{"name": name}
	if zone != "" {
		body["availability_zone"] = zone
	}
	a := c.want(200, "admin", "2.104", "POST", "/os-aggregates", map[string]any{"aggregate": body}).json(c.tb)["aggregate"].(map[string]any)
	return fmt.Sprint("/os-aggregates/", a["id"])
}

func addHost(name string) string    { return `{"add_host": {"host": "` + name + `"}}` }
func removeHost(name string) string { return `{"remove_host": {"host": "` + name + `"}}` }
func setMetadata(md string) string  { return `{"set_metadata": {"metadata": ` + md + `}}` }

// TestAggregateLife follows one aggregate from its creation to its end at microversions before and after each that changed something.
func TestAggregateLife(t *testing.T) {
	t.Parallel()
	fields := loadAnswers(t)
	for _, version := range []int{1, 40, 41, 101, 102, 104} {
		t.Run(fmt.Sprint("2.", version), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.core.AddHost("host-1")
			c.core.AddHost("host-2")
			v := fmt.Sprint("2.", version)
			step := func(method, path, route string, body any, want string) {
				t.Helper()
				a := c.want(200, "admin", v, method, path, body)
				if err := fields.check(route, version, a.body); err != nil {
					t.Errorf("%s: %v: %s", route, err, a.body)
				}
				got := a.json(t)
				ag, ok := got["aggregate"].(map[string]any)
				if !ok {
					ag = got["aggregates"].([]any)[0].(map[string]any)
				}
				if said := fmt.Sprint(ag["id"], " ", ag["name"], " ", ag["availability_zone"], " ", ag["hosts"], " ", ag["metadata"], " ", ag["updated_at"] != nil); said != want {
					t.Errorf("%s %s: %s, want %s", method, path, said, want)
				}
			}
			step("POST", "/os-aggregates", "POST /os-aggregates", `{"aggregate": {"name": "a", "availability_zone": "east"}}`, "1 a east <nil> <nil> false")
			step("GET", "/os-aggregates", "GET /os-aggregates", nil, "1 a east [] map[availability_zone:east] false")
			act := func(action, body, want string) {
				t.Helper()
				step("POST", "/os-aggregates/1/action", "POST /os-aggregates/{id}/action "+action, body, want)
			}
			act("add_host", addHost("host-2"), "1 a east [host-2] map[availability_zone:east] false")
			act("add_host", addHost("host-1"), "1 a east [host-2 host-1] map[availability_zone:east] false")
			act("set_metadata", setMetadata(`{"ssd": "true", "x": "1"}`), "1 a east [host-2 host-1] map[availability_zone:east ssd:true x:1] true")
			act("set_metadata", setMetadata(`{"x": null, "absent": null, "ssd": "", "availability_zone": "east"}`), "1 a east [host-2 host-1] map[availability_zone:east ssd:] true")
			step("PUT", "/os-aggregates/1", "PUT /os-aggregates/{id}", `{"aggregate": {"name": " b ", "availability_zone": "west"}}`,
				"1 b west [host-2 host-1] map[availability_zone:west ssd:] true")
			act("remove_host", removeHost("host-2"), "1 b west [host-1] map[availability_zone:west ssd:] true")
			step("GET", "/os-aggregates/1", "GET /os-aggregates/{id}", nil, "1 b west [host-1] map[availability_zone:west ssd:] true")
			act("remove_host", removeHost("host-1"), "1 b west [] map[availability_zone:west ssd:] true")
			if a := c.want(200, "admin", v, "DELETE", "/os-aggregates/1", nil); len(a.body) > 0 {
				t.Errorf("%s", a.body)
			}
			c.want(404, "admin", v, "GET", "/os-aggregates/1", nil)
		})
	}
}

// TestAggregateRefusals: each changes nothing.
func TestAggregateRefusals(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	east, west, plain := c.aggregate("east", "east"), c.aggregate("west", "west"), c.aggregate("plain", "")
	c.want(200, "admin", "", "POST", east+"/action", addHost("host-1"))
	c.want(200, "admin", "", "POST", plain+"/action", addHost("host-1"))
	c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	before := string(c.state())
	zone := func(z string) string { return `{"aggregate": {"availability_zone": ` + z + `}}` }
	for _, q := range []struct {
		status             int
		method, path, body string
		says               string
	}{
		{409, "POST", "/os-aggregates", `{"aggregate": {"name": "east"}}`, "Aggregate east already exists."},
		{400, "POST", "/os-aggregates", `{"aggregate": {}}`, "'name' is a required property"},
		{400, "POST", "/os-aggregates", `{"aggregate": {"name": " x"}}`, "An invalid 'name' value was provided."},
		{400, "POST", "/os-aggregates", `{"aggregate": {"name": "x", "availability_zone": ""}}`, "Invalid input for field/attribute availability_zone."},
		{400, "POST", "/os-aggregates", `{"aggregate": {"name": "x", "availability_zone": "a:b"}}`, "Invalid input for field/attribute availability_zone."},
		{400, "POST", "/os-aggregates", `{"aggregate": {"name": "x", "more": 1}}`, "Additional properties are not allowed"},
		{400, "GET", "/os-aggregates/one", "", "Invalid input received: id must be an integer"},
		{404, "GET", "/os-aggregates/99", "", "Aggregate 99 could not be found."},
		{404, "PUT", "/os-aggregates/99", `{"aggregate": {"name": "x"}}`, "Aggregate 99 could not be found."},
		{409, "PUT", plain, `{"aggregate": {"name": "east"}}`, "Aggregate east already exists."},
		{400, "PUT", plain, `{"aggregate": {}}`, "is not valid under any of the given schemas"},
		{400, "PUT", plain, zone("null"), "Cannot update aggregate 3. Reason: Aggregate plain does not support empty named availability zone."},
		{400, "PUT", plain, zone(`"west"`), "Cannot update aggregate 3. Reason: One or more hosts already in availability zone(s) ['east']."},
		{400, "PUT", east, zone(`"north"`), "Cannot update aggregate 1. Reason: One or more hosts contain instances in this zone."},
		{400, "POST", east + "/action", setMetadata(`{"availability_zone": "north"}`), "Cannot update metadata of aggregate 1. Reason: One or more hosts contain instances in this zone."},
		{400, "POST", east + "/action", setMetadata(`{"availability_zone": null}`), "Cannot update metadata of aggregate 1. Reason: Aggregate east does not support empty named availability zone."},
		{400, "POST", east + "/action", setMetadata(`{"a/b": "x"}`), "does not match any of the regexes"},
		{404, "POST", "/os-aggregates/99/action", setMetadata(`{}`), "Aggregate 99 could not be found."},
		{400, "DELETE", "/os-aggregates/x", "", "Invalid input received: id must be an integer"},
		{404, "DELETE", "/os-aggregates/99", "", "Aggregate 99 could not be found."},
		{400, "DELETE", east, "", "Cannot remove host from aggregate 1. Reason: Host aggregate is not empty."},
		{404, "POST", east + "/action", addHost("nobody"), "Compute host nobody could not be found."},
		{404, "POST", "/os-aggregates/99/action", addHost("host-1"), "Aggregate 99 could not be found."},
		{409, "POST", east + "/action", addHost("host-1"), "Aggregate 1 already has host host-1."},
		{409, "POST", west + "/action", addHost("host-1"), "Cannot add host to aggregate 2. Reason: One or more hosts already in availability zone(s) ['east']."},
		{400, "POST", west + "/action", `{"add_host": {"host": "a b"}}`, "Invalid input for field/attribute host."},
		{404, "POST", west + "/action", removeHost("host-1"), "Cannot remove host host-1 in aggregate 2"},
		{404, "POST", east + "/action", removeHost("nobody"), "Cannot remove host nobody in aggregate 1"},
		{404, "POST", "/os-aggregates/99/action", removeHost("host-1"), "Cannot remove host host-1 in aggregate 99"},
		{409, "POST", east + "/action", removeHost("host-1"), "would change from 'east' to 'nova' but the host already has 1 instance(s)."},
	} {
		var body any
		if q.body != "" {
			body = q.body
		}
		a := c.want(q.status, "admin", "2.104", q.method, q.path, body)
		if !strings.Contains(fmt.Sprint(a.json(t)), q.says) {
			t.Errorf("%s %s %s: %s", q.method, q.path, q.body, a.body)
		}
		if q.status != 400 { // what a schema refuses, it refuses first
			c.want(403, "alice", "2.104", q.method, q.path, body)
		}
	}
	if string(c.state()) != before {
		t.Error("a refused request changed the state")
	}
}

// zones reads GET /os-availability-zone/detail as "zone available hosts".
func (c *cloud) zones() string {
	c.tb.Helper()
	var out []string
	for _, z := range c.want(200, "admin", "2.104", "GET", "/os-availability-zone/detail", nil).json(c.tb)["availabilityZoneInfo"].([]any) {
		v := z.(map[string]any)
		hosts, _ := v["hosts"].(map[string]any)
		out = append(out, fmt.Sprint(v["zoneName"], " ", v["zoneState"].(map[string]any)["available"], " ", len(hosts)))
	}
	return strings.Join(out, ", ")
}

// TestZonesFollowAggregates: the zone that an aggregate is shows everywhere, and instances are placed by it.
func TestZonesFollowAggregates(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	h := c.core.AddHost("host-2")
	c.small()
	image := c.cirros()
	if got := c.zones(); got != "internal true 1, nova true 2" {
		t.Errorf("%s", got)
	}
	east := c.aggregate("a", "east")
	if got := c.zones(); got != "internal true 1, nova true 2" {
		t.Errorf("a zone without hosts is none: %s", got)
	}
	c.want(200, "admin", "", "POST", east+"/action", addHost("host-2"))
	if got := c.zones(); got != "east true 1, internal true 1, nova true 1" {
		t.Errorf("%s", got)
	}
	s := c.want(200, "admin", "", "GET", "/os-services?host=host-2", nil).json(t)["services"].([]any)[0].(map[string]any)
	if s["zone"] != "east" {
		t.Errorf("the service says %v", s)
	}
	c.want(202, "alice", "", "POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": image.ID, "availability_zone": "east"}})
	c.want(400, "alice", "", "POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": image.ID, "availability_zone": "west"}})
	off := true
	propose(t, c.core, fsm.HostAdmin, &structs.HostAdminRequest{HostID: h.ID, Disabled: &off})
	if got := c.zones(); got != "internal true 1, nova true 1, east false 0" {
		t.Errorf("%s", got)
	}
	list := c.want(200, "alice", "", "GET", "/os-availability-zone", nil).json(t)["availabilityZoneInfo"]
	if got := fmt.Sprint(list); got != "[map[hosts:<nil> zoneName:nova zoneState:map[available:true]] map[hosts:<nil> zoneName:east zoneState:map[available:false]]]" {
		t.Errorf("%s", got)
	}
}
