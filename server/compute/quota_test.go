package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// withProjects makes the projects of the tests' people known to Identity.
func (c *cloud) withProjects() {
	c.tb.Helper()
	c.core.Write(func(tx *state.Txn) {
		for _, p := range []structs.ProjectID{adminProject, aliceProject, bobProject} {
			tx.PutProject(&structs.Project{ID: p, Name: string(p), DomainID: "default"})
		}
	})
}

func (c *cloud) quota(token, version, path string) map[string]any {
	c.tb.Helper()
	return c.want(200, token, version, "GET", "/os-quota-sets/"+path, nil).json(c.tb)["quota_set"].(map[string]any)
}

func (c *cloud) values(what map[string]any, want map[string]float64) {
	c.tb.Helper()
	for k, v := range want {
		if what[k] != v {
			c.tb.Errorf("%s is %v, want %v", k, what[k], v)
		}
	}
}

func set(values string) string { return `{"quota_set": {` + values + `}}` }

func TestQuotaLookup(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.withProjects()
	q, user := "/os-quota-sets/"+aliceProject, "?user_id="+aliceUser
	c.values(c.quota("alice", "2.1", aliceProject), map[string]float64{"instances": 10, "cores": 20, "ram": 51200, "key_pairs": 100, "metadata_items": 128,
		"server_groups": 10, "server_group_members": 10, "injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255,
		"fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1})

	c.want(200, "admin", "2.1", "PUT", "/os-quota-class-sets/default", `{"quota_class_set": {"instances": 30, "cores": "31"}}`)
	c.want(200, "admin", "2.1", "PUT", "/os-quota-class-sets/other", `{"quota_class_set": {"instances": 99}}`)
	c.values(c.quota("alice", "2.1", aliceProject), map[string]float64{"instances": 30, "cores": 31, "ram": 51200})
	c.values(c.quota("bob", "2.1", aliceProject+"/defaults"), map[string]float64{"instances": 30, "cores": 31})

	got := c.want(200, "admin", "2.1", "PUT", q, set(`"instances": 20, "floating_ips": 7`)).json(t)["quota_set"].(map[string]any)
	c.values(got, map[string]float64{"instances": 20, "cores": 31, "floating_ips": 7})
	if _, ok := got["id"]; ok {
		t.Error("the answer to an update has the id")
	}
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"instances": 5, "key_pairs": 3`))
	c.values(c.quota("alice", "2.1", aliceProject+user), map[string]float64{"instances": 5, "cores": 31, "key_pairs": 3})
	c.values(c.quota("alice", "2.1", aliceProject), map[string]float64{"instances": 20, "key_pairs": 100})
	c.values(c.quota("admin", "2.1", bobProject), map[string]float64{"instances": 30})
	limits := c.want(200, "alice", "2.1", "GET", "/limits", nil).json(t)["limits"].(map[string]any)["absolute"].(map[string]any)
	c.values(limits, map[string]float64{"maxTotalInstances": 20, "maxTotalCores": 31})
	limits = c.want(200, "admin", "2.1", "GET", "/limits?tenant_id="+aliceProject, nil).json(t)["limits"].(map[string]any)["absolute"].(map[string]any)
	c.values(limits, map[string]float64{"maxTotalInstances": 20})

	c.want(200, "admin", "2.1", "PUT", "/os-quota-class-sets/default", `{"quota_class_set": {"cores": 8}}`) // takes effect at once
	c.values(c.quota("alice", "2.1", aliceProject), map[string]float64{"instances": 20, "cores": 8})
	c.want(202, "admin", "2.1", "DELETE", q+user, nil)
	c.values(c.quota("alice", "2.1", aliceProject+user), map[string]float64{"instances": 20, "key_pairs": 100})
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"instances": 4`))
	c.want(202, "admin", "2.1", "DELETE", q, nil)
	c.values(c.quota("alice", "2.1", aliceProject+user), map[string]float64{"instances": 30, "floating_ips": -1})
	class := c.want(200, "admin", "2.50", "GET", "/os-quota-class-sets/other", nil).json(t)["quota_class_set"].(map[string]any)
	c.values(class, map[string]float64{"instances": 99, "cores": 20})
	if class["id"] != "other" {
		t.Errorf("id %v", class["id"])
	}
}

func TestQuotaIsEnforcedPerUser(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	c.withProjects()
	q, user := "/os-quota-sets/"+aliceProject, "?user_id="+aliceUser
	c.want(200, "admin", "2.1", "PUT", q, set(`"instances": 5`))
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"instances": 2, "cores": 3`))
	create := func(least, most int) map[string]any {
		return map[string]any{"server": map[string]any{"name": "n", "flavorRef": "1", "imageRef": img["imageRef"], "networks": "none", "min_count": least, "max_count": most}}
	}
	c.want(202, "alice", "2.104", "POST", "/servers", create(1, 4)) // two of them, which is the user's quota
	c.core.Drive(nil)
	c.refused(403, "Quota exceeded for instances: Requested 1, but already used 2 of 2 instances", "alice", "2.104", "POST", "/servers", create(1, 1))
	detail := c.quota("alice", "2.1", aliceProject+"/detail"+user)
	if got := fmt.Sprint(detail["instances"], detail["cores"], detail["ram"]); got !=
		"map[in_use:2 limit:2 reserved:0] map[in_use:2 limit:3 reserved:0] map[in_use:1024 limit:51200 reserved:0]" {
		t.Error(got)
	}
	other := "?user_id=" + bobUser
	if got := fmt.Sprint(c.quota("alice", "2.1", aliceProject+"/detail"+other)["instances"]); got != "map[in_use:0 limit:5 reserved:0]" {
		t.Error(got)
	}
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"instances": 3`))
	c.want(202, "alice", "2.104", "POST", "/servers", create(1, 1))
	c.core.Drive(nil)
	c.refused(403, "Quota exceeded for cores, instances: Requested 1, 1, but already used 3, 3 of 3, 3 cores, instances", "alice", "2.104", "POST", "/servers", create(1, 1))
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"metadata_items": 1`))
	c.want(403, "alice", "2.1", "POST", "/servers", `{"server": {"name": "n", "flavorRef": "1", "imageRef": "`+string(img["imageRef"].(structs.ImageID))+
		`", "metadata": {"a": "1", "b": "2"}}}`)
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"key_pairs": 0`))
	c.refused(403, "Quota exceeded, too many key pairs.", "alice", "2.1", "POST", "/os-keypairs", `{"keypair": {"name": "k", "public_key": "`+sshKey+`"}}`)
}

func TestQuotaUpdatesAreJudged(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	c.withProjects()
	q, user, other := "/os-quota-sets/"+aliceProject, "?user_id="+aliceUser, "?user_id="+bobUser
	c.boot("alice", img)
	c.boot("alice", img)
	below := func(limit int, name string, used int) string {
		return fmt.Sprintf("Quota limit %d for %s must be greater than or equal to already used and reserved %d.", limit, name, used)
	}
	above := func(limit int, name string, most int) string {
		return fmt.Sprintf("Quota limit %d for %s must be less than or equal to %d.", limit, name, most)
	}
	c.refused(400, below(1, "instances", 2), "admin", "2.1", "PUT", q, set(`"instances": 1`))
	c.refused(400, below(1000, "ram", 1024), "admin", "2.1", "PUT", q, set(`"cores": 19, "ram": 1000`))
	c.values(c.quota("alice", "2.1", aliceProject), map[string]float64{"instances": 10, "cores": 20})
	c.want(200, "admin", "2.1", "PUT", q, set(`"instances": 1, "force": "True"`))
	c.values(c.quota("alice", "2.1", aliceProject), map[string]float64{"instances": 1})
	c.want(200, "admin", "2.1", "PUT", q, set(`"instances": "10"`))

	c.refused(400, below(1, "instances", 2), "admin", "2.1", "PUT", q+user, set(`"instances": 1`))
	c.refused(400, above(11, "instances", 10), "admin", "2.1", "PUT", q+user, set(`"instances": 11`))
	c.refused(400, above(-1, "instances", 10), "admin", "2.1", "PUT", q+user, set(`"instances": -1`))
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"instances": 6`))
	c.refused(400, above(5, "instances", 4), "admin", "2.1", "PUT", q+other, set(`"instances": 5`)) // the rest is another user's
	c.want(200, "admin", "2.1", "PUT", q+other, set(`"instances": 4`))
	c.refused(400, below(9, "instances", 10), "admin", "2.1", "PUT", q, set(`"instances": 9`)) // given to users
	c.want(200, "admin", "2.1", "PUT", q+other, set(`"instances": 99, "force": true`))
	c.want(200, "admin", "2.1", "PUT", q, set(`"instances": -1`))
	c.want(200, "admin", "2.1", "PUT", q+user, set(`"instances": -1`))

	for _, body := range []string{`{}`, set(`"nosuch": 1`), set(`"instances": -2`), set(`"instances": 2147483648`), set(`"instances": "x"`), set(`"instances": null`),
		set(`"instances": ""`), set(`"force": 7`)} {
		c.want(400, "admin", "2.1", "PUT", q, body)
	}
	c.want(400, "admin", "2.36", "PUT", q, set(`"floating_ips": 1`))
	c.want(400, "admin", "2.57", "PUT", q, set(`"injected_files": 1`))
	c.want(400, "admin", "2.75", "PUT", q+"?foo=1", set(`"instances": 20`))
	c.want(400, "admin", "2.50", "PUT", "/os-quota-class-sets/default", `{"quota_class_set": {"floating_ips": 1}}`)
	c.want(400, "admin", "2.1", "PUT", "/os-quota-class-sets/default", `{"quota_class_set": {"force": true}}`)
	nobody := "Project ID nosuch is not a valid project."
	c.refused(400, nobody, "admin", "2.1", "PUT", "/os-quota-sets/nosuch", set(`"instances": 1`))
	c.refused(400, nobody, "admin", "2.1", "GET", "/os-quota-sets/nosuch", nil)
	c.refused(400, nobody, "alice", "2.1", "GET", "/os-quota-sets/nosuch/defaults", nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.", "bob", "2.1", "GET", q, nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-quota-sets:detail to be performed.", "bob", "2.1", "GET", q+"/detail", nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-quota-sets:update to be performed.", "alice", "2.1", "PUT", q, set(`"instances": 1`))
	c.refused(403, "Policy doesn't allow os_compute_api:os-quota-class-sets:show to be performed.", "alice", "2.1", "GET", "/os-quota-class-sets/default", nil)
}

// TestAnswersOfProjects asks the routes about projects and their things at every microversion at which an answer changes.
func TestAnswersOfProjects(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	c.withProjects()
	img["metadata"], img["tags"] = map[string]string{"a": "b"}, []string{"x"}
	id := c.boot("alice", img)
	q := "/os-quota-sets/" + aliceProject
	group := c.newGroup("alice", "2.64", `"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}`)
	c.alter(id, func(i *structs.Instance) { i.ServerGroupID = structs.ServerGroupID(group) })
	table := []struct {
		route, path, body, as string
		lo                    int
	}{
		{"GET /servers/{server_id}/metadata", "/servers/" + id + "/metadata", "", "alice", 0},
		{"POST /servers/{server_id}/metadata", "/servers/" + id + "/metadata", `{"metadata": {"c": "d"}}`, "alice", 0},
		{"PUT /servers/{server_id}/metadata", "/servers/" + id + "/metadata", `{"metadata": {"a": "d"}}`, "alice", 0},
		{"GET /servers/{server_id}/metadata/{id}", "/servers/" + id + "/metadata/a", "", "alice", 0},
		{"PUT /servers/{server_id}/metadata/{id}", "/servers/" + id + "/metadata/a", `{"meta": {"a": "d"}}`, "alice", 0},
		{"GET /servers/{server_id}/tags", "/servers/" + id + "/tags", "", "alice", 26},
		{"PUT /servers/{server_id}/tags", "/servers/" + id + "/tags", `{"tags": ["x", "y"]}`, "alice", 26},
		{"GET /os-quota-sets/{id}", q, "", "alice", 0},
		{"GET /os-quota-sets/{id}", q + "?user_id=" + aliceUser, "", "admin", 0},
		{"GET /os-quota-sets/{id}/detail", q + "/detail", "", "alice", 0},
		{"GET /os-quota-sets/{id}/defaults", q + "/defaults", "", "alice", 0},
		{"PUT /os-quota-sets/{id}", q, set(`"instances": 20`), "admin", 0},
		{"GET /os-quota-class-sets/{id}", "/os-quota-class-sets/default", "", "admin", 0},
		{"PUT /os-quota-class-sets/{id}", "/os-quota-class-sets/default", `{"quota_class_set": {"cores": 40}}`, "admin", 0},
		{"GET /os-server-groups", "/os-server-groups", "", "alice", 0},
		{"GET /os-server-groups", "/os-server-groups?all_projects=1", "", "admin", 0},
		{"GET /os-server-groups/{id}", "/os-server-groups/" + group, "", "alice", 0},
		{"GET /servers/{id}", "/servers/" + id, "", "alice", 0},
		{"GET /os-simple-tenant-usage", "/os-simple-tenant-usage?limit=1&start=2026-01-01T00:00:00", "", "admin", 0},
		{"GET /os-simple-tenant-usage", "/os-simple-tenant-usage?detailed=1&start=2026-01-01T00:00:00", "", "admin", 0},
		{"GET /os-simple-tenant-usage/{id}", "/os-simple-tenant-usage/" + aliceProject + "?limit=1&start=2026-01-01T00:00:00", "", "alice", 0},
		{"GET /os-instance_usage_audit_log", "/os-instance_usage_audit_log", "", "admin", 0},
		{"GET /os-instance_usage_audit_log/{id}", "/os-instance_usage_audit_log/2012-07-05%2010:00:00", "", "admin", 0},
	}
	a := loadAnswers(t)
	for _, v := range boundaries(a) {
		for _, row := range table {
			if v < row.lo {
				continue
			}
			if v < 40 {
				row.path = strings.Replace(row.path, "limit=1&", "", 1)
			}
			var body any
			if row.body != "" {
				body = row.body
			}
			method, _, _ := strings.Cut(row.route, " ")
			got := c.want(200, row.as, fmt.Sprintf("2.%d", v), method, row.path, body)
			if err := a.check(row.route, v, got.body); err != nil {
				t.Errorf("%s at 2.%d: %v in %s", row.route, v, err, got.body)
			}
		}
		fields := `"name": "x", "policies": ["affinity"]`
		if v >= 64 {
			fields = `"name": "x", "policy": "affinity"`
		}
		made := c.want(200, "alice", fmt.Sprintf("2.%d", v), "POST", "/os-server-groups", `{"server_group": {`+fields+`}}`)
		if err := a.check("POST /os-server-groups", v, made.body); err != nil {
			t.Errorf("POST /os-server-groups at 2.%d: %v in %s", v, err, made.body)
		}
		c.want(204, "alice", "2.1", "DELETE", "/os-server-groups/"+made.json(t)["server_group"].(map[string]any)["id"].(string), nil)
	}
}
