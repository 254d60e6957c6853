package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (c *cloud) newGroup(token, version, fields string) string {
	c.tb.Helper()
	a := c.want(200, token, version, "POST", "/os-server-groups", `{"server_group": {`+fields+`}}`)
	return a.json(c.tb)["server_group"].(map[string]any)["id"].(string)
}

func TestServerGroups(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.newGroup("alice", "2.64", `"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": "3"}`)
	one := "/os-server-groups/" + id
	c.same(`{"server_group":{"id":"`+id+`","members":[],"metadata":{},"name":"g","policies":["anti-affinity"]}}`, "reader", "2.1", "GET", one, nil)
	c.same(`{"server_group":{"id":"`+id+`","members":[],"metadata":{},"name":"g","policies":["anti-affinity"],"project_id":"`+aliceProject+`","user_id":"`+aliceUser+
		`"}}`, "alice", "2.13", "GET", one, nil)
	c.same(`{"server_group":{"id":"`+id+`","members":[],"name":"g","policy":"anti-affinity","project_id":"`+aliceProject+`","rules":{"max_server_per_host":3},"user_id":"`+
		aliceUser+`"}}`, "admin", "2.64", "GET", one, nil)
	other := c.newGroup("bob", "2.15", `"name": "g", "policies": ["soft-affinity"]`)
	c.same(`{"server_group":{"id":"`+other+`","members":[],"name":"g","policy":"soft-affinity","project_id":"`+bobProject+`","rules":{},"user_id":"`+bobUser+`"}}`,
		"bob", "2.64", "GET", "/os-server-groups/"+other, nil)
	second := c.newGroup("alice", "2.1", `"name": "h", "policies": ["affinity"]`)
	list := func(token, query string) string {
		ids := []string{}
		for _, g := range c.want(200, token, "2.74", "GET", "/os-server-groups"+query, nil).json(t)["server_groups"].([]any) {
			ids = append(ids, g.(map[string]any)["id"].(string))
		}
		return strings.Join(ids, " ")
	}
	for _, x := range []struct{ token, query, want string }{
		{"alice", "", id + " " + second}, {"alice", "?all_projects=1", id + " " + second}, {"admin", "", ""}, {"admin", "?all_projects", id + " " + other + " " + second},
		{"alice", "?limit=1", id}, {"alice", "?limit=1&offset=1", second}, {"alice", "?offset=7", ""}, {"alice", "?limit=0", id + " " + second}} {
		if got := list(x.token, x.query); got != x.want {
			t.Errorf("%s %s: %s, want %s", x.token, x.query, got, x.want)
		}
	}
	gone := "Instance group " + id + " could not be found."
	c.refused(404, gone, "bob", "2.1", "GET", one, nil)
	c.refused(404, gone, "bob", "2.1", "DELETE", one, nil)
	c.want(204, "alice", "2.1", "DELETE", one, nil)
	c.refused(404, gone, "alice", "2.1", "GET", one, nil)
	c.refused(404, gone, "alice", "2.1", "DELETE", one, nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-server-groups:create to be performed.", "reader", "2.1", "POST", "/os-server-groups",
		`{"server_group": {"name": "x", "policies": ["affinity"]}}`)
	c.refused(400, "Only anti-affinity policy supports rules.", "alice", "2.64", "POST", "/os-server-groups",
		`{"server_group": {"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 1}}}`)
	for _, x := range []struct{ version, fields string }{{"2.1", `"name": "x"`}, {"2.1", `"name": "x", "policies": []`}, {"2.14", `"name": "x", "policies": ["soft-affinity"]`},
		{"2.63", `"name": "x", "policy": "affinity"`}, {"2.64", `"name": "x", "policies": ["affinity"]`}, {"2.64", `"name": "x"`}, {"2.1", `"name": " x", "policies": ["affinity"]`},
		{"2.1", `"name": "x", "policies": ["affinity", "anti-affinity"]`}, {"2.64", `"name": "x", "policy": "legacy"`},
		{"2.64", `"name": "x", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}`}, {"2.64", `"name": "x", "policy": "anti-affinity", "rules": {"x": 1}`}} {
		c.want(400, "alice", x.version, "POST", "/os-server-groups", `{"server_group": {`+x.fields+`}}`)
	}
	c.want(400, "alice", "2.75", "GET", "/os-server-groups?foo=1", nil)
	c.want(400, "alice", "2.1", "GET", "/os-server-groups?limit=-1", nil)
}

func TestServerGroupQuota(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.withProjects()
	for range 10 {
		c.newGroup("alice", "2.1", `"name": "g", "policies": ["affinity"]`)
	}
	c.refused(403, "Quota exceeded, too many server groups.", "alice", "2.1", "POST", "/os-server-groups", `{"server_group": {"name": "g", "policies": ["affinity"]}}`)
	c.newGroup("bob", "2.1", `"name": "g", "policies": ["affinity"]`)
	limits := c.want(200, "alice", "2.1", "GET", "/limits", nil).json(t)["limits"].(map[string]any)["absolute"].(map[string]any)
	c.values(limits, map[string]float64{"maxServerGroups": 10, "totalServerGroupsUsed": 10})
	if got := fmt.Sprint(c.quota("alice", "2.1", aliceProject+"/detail")["server_groups"]); got != "map[in_use:10 limit:10 reserved:0]" {
		t.Error(got)
	}
}

func TestInstancesOfAServerGroup(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	c.core.AddHost("host-2")
	group := c.newGroup("alice", "2.64", `"name": "g", "policy": "anti-affinity"`)
	create := func(hint string, count int) string {
		return fmt.Sprintf(`{"os:scheduler_hints": {"group": %s}, "server": {"name": "x", "flavorRef": "1", "imageRef": "%s", "networks": "none", "max_count": %d, "min_count": %d}}`,
			hint, img["imageRef"], count, count)
	}
	quoted := `"` + group + `"`
	var ids []string
	for _, hint := range []string{quoted, "[" + quoted + "]", quoted} {
		ids = append(ids, c.want(202, "alice", "2.104", "POST", "/servers", create(hint, 1)).json(t)["server"].(map[string]any)["id"].(string))
		c.core.Drive(nil)
	}
	hosts := map[structs.HostID]int{}
	for _, id := range ids {
		hosts[c.core.Stale().Instance(structs.InstanceID(id)).HostID]++
	}
	if len(hosts) != 3 || hosts[""] != 1 {
		t.Errorf("instances by host: %v", hosts)
	}
	show := func(version, id string) any {
		return c.want(200, "alice", version, "GET", "/servers/"+id, nil).json(t)["server"].(map[string]any)["server_groups"]
	}
	if got := fmt.Sprint(show("2.71", ids[0]), show("2.70", ids[0])); got != "["+group+"] <nil>" {
		t.Error(got)
	}
	members := func() string {
		g := c.want(200, "alice", "2.64", "GET", "/os-server-groups/"+group, nil).json(t)["server_group"].(map[string]any)
		return strings.Trim(fmt.Sprint(g["members"]), "[]")
	}
	if got := members(); got != strings.Join(ids, " ") {
		t.Errorf("members %s, want %s", got, ids)
	}
	c.want(204, "alice", "2.1", "DELETE", "/servers/"+ids[1], nil)
	c.core.Drive(nil)
	if got := members(); got != ids[0]+" "+ids[2] {
		t.Errorf("members %s after a deletion", got)
	}

	const unknown = "11111111-2222-4333-8444-555555555555"
	c.refused(400, "Instance group "+unknown+" could not be found.", "alice", "2.104", "POST", "/servers", create(`"`+unknown+`"`, 1))
	c.refused(400, "Instance group "+group+" could not be found.", "bob", "2.104", "POST", "/servers", create(quoted, 1))
	c.want(400, "alice", "2.104", "POST", "/servers", create(`"no uuid"`, 1))
	c.withProjects()
	c.want(200, "admin", "2.1", "PUT", "/os-quota-sets/"+aliceProject, set(`"server_group_members": 5`))
	c.refused(403, "Quota exceeded, too many servers in group", "alice", "2.104", "POST", "/servers", create(quoted, 4))

	c.want(204, "alice", "2.1", "DELETE", "/os-server-groups/"+group, nil)
	if got := fmt.Sprint(show("2.71", ids[0])); got != "[]" {
		t.Errorf("server_groups %s of a group that is gone", got)
	}
}
