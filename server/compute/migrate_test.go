package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (c *cloud) large() structs.Flavor {
	return c.addFlavor(structs.Flavor{ID: "2", Name: "m1.large", VCPUs: 4, MemoryMiB: 4096, RootGiB: 10, Public: true})
}

// twoHosts is a cloud with two hosts and two flavors, and an instance of the small one on the first host.
func twoHosts(t *testing.T, extra map[string]any) (*cloud, string) {
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.core.AddHost("host-2")
	c.small()
	c.large()
	with := map[string]any{"imageRef": c.cirros().ID}
	for k, v := range extra {
		with[k] = v
	}
	return c, c.boot("alice", with)
}

// heldAt holds operations at a step.
func heldAt(step structs.StepName) func(*structs.Operation) bool {
	return func(op *structs.Operation) bool { return op.Step == step }
}

// where is the host that an administrator sees an instance on.
func (c *cloud) where(id string) string {
	c.tb.Helper()
	s := c.want(200, "admin", "2.104", "GET", "/servers/"+id, nil).json(c.tb)["server"].(map[string]any)
	return s["OS-EXT-SRV-ATTR:host"].(string)
}

func (c *cloud) flavorName(id string) string {
	c.tb.Helper()
	s := c.want(200, "alice", "2.104", "GET", "/servers/"+id, nil).json(c.tb)["server"].(map[string]any)
	return s["flavor"].(map[string]any)["original_name"].(string)
}

func (c *cloud) used() string {
	u := c.core.Stale().QuotaUsage(aliceProject)
	return fmt.Sprint(u.Instances, " ", u.Cores, " ", u.MemoryMiB)
}

func (c *cloud) claims(id string) (n int) {
	for range c.core.Stale().Claims(structs.InstanceID(id)) {
		n++
	}
	return n
}

// migrations are the types and statuses of all migrations, newest first.
func (c *cloud) migrations() string {
	c.tb.Helper()
	var out []string
	for _, m := range c.want(200, "admin", "2.80", "GET", "/os-migrations", nil).json(c.tb)["migrations"].([]any) {
		m := m.(map[string]any)
		out = append(out, fmt.Sprint(m["migration_type"], " ", m["status"]))
	}
	return strings.Join(out, ", ")
}

func TestResizeConfirmed(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	first := c.where(id)
	c.core.Hold = heldAt(structs.StepImport)
	c.act(202, "alice", "2.104", id, `{"resize": {"flavorRef": "2", "OS-DCF:diskConfig": "AUTO"}}`)
	if got := c.states(id); got != "RESIZE active resize_prep 1" {
		t.Error(got)
	}
	c.core.Drive(nil)
	if got := c.states(id); got != "RESIZE active resize_migrated 1" {
		t.Error(got)
	}
	if got := c.migrations(); got != "resize post-migrating" {
		t.Error(got)
	}
	if got := c.used(); got != "1 4 4096" {
		t.Errorf("an upsize counts from its beginning: %s", got)
	}
	c.core.Hold = nil
	c.core.Drive(nil)
	if got := c.states(id); got != "VERIFY_RESIZE resized <nil> 1" {
		t.Error(got)
	}
	if c.where(id) == first || c.flavorName(id) != "m1.large" || c.claims(id) != 2 {
		t.Errorf("on %s as %s with %d claims", c.where(id), c.flavorName(id), c.claims(id))
	}
	c.act(409, "alice", "2.104", id, `{"resize": {"flavorRef": "1"}}`)
	c.act(204, "alice", "2.104", id, `{"confirmResize": null}`)
	if got := c.migrations(); got != "resize confirming" {
		t.Error(got)
	}
	if a := c.act(400, "alice", "2.104", id, `{"revertResize": null}`); !strings.Contains(string(a.body), "Instance has not been resized.") {
		t.Errorf("%s", a.body)
	}
	c.core.Drive(nil)
	if got := c.states(id); got != "ACTIVE active <nil> 1" || c.claims(id) != 1 || c.used() != "1 4 4096" || c.migrations() != "resize confirmed" {
		t.Errorf("%s, %d claims, %s, %s", got, c.claims(id), c.used(), c.migrations())
	}
	c.act(409, "alice", "2.104", id, `{"confirmResize": null}`)
}

func TestResizeReverted(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	c.act(202, "alice", "2.1", id, `{"os-stop": null}`)
	c.core.Drive(nil)
	first := c.where(id)
	c.act(202, "alice", "2.1", id, `{"resize": {"flavorRef": 2}}`)
	c.core.Drive(nil)
	if got := c.states(id); got != "VERIFY_RESIZE resized <nil> 4" {
		t.Error(got)
	}
	c.act(202, "alice", "2.1", id, `{"revertResize": null}`)
	if got := c.states(id); got != "REVERT_RESIZE resized resize_reverting 4" {
		t.Error(got)
	}
	c.core.Drive(nil)
	if got := c.states(id); got != "SHUTOFF stopped <nil> 4" || c.where(id) != first || c.flavorName(id) != "m1.small" || c.claims(id) != 1 || c.used() != "1 1 512" {
		t.Errorf("%s on %s as %s, %d claims, %s", got, c.where(id), c.flavorName(id), c.claims(id), c.used())
	}
	if got := c.migrations(); got != "resize reverted" {
		t.Error(got)
	}
}

func TestResizeRefusals(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	c.addFlavor(structs.Flavor{ID: "zero", Name: "zero", VCPUs: 1, MemoryMiB: 512, Public: true})
	c.addFlavor(structs.Flavor{ID: "huge", Name: "huge", VCPUs: 64, MemoryMiB: 512, RootGiB: 1, Public: true})
	c.addFlavor(structs.Flavor{ID: "secret", Name: "secret", VCPUs: 1, MemoryMiB: 512, RootGiB: 1})
	before := c.state()
	for _, one := range []struct {
		status     int
		body, says string
	}{
		{400, `{"resize": {"flavorRef": "none"}}`, "Flavor none could not be found."},
		{400, `{"resize": {"flavorRef": "secret"}}`, "Flavor secret could not be found."},
		{400, `{"resize": {"flavorRef": "1"}}`, "When resizing, instances must change flavor!"},
		{400, `{"resize": {"flavorRef": "zero"}}`, "Resize to zero disk flavor is not allowed."},
		{403, `{"resize": {"flavorRef": "huge"}}`, "Quota exceeded for cores: Requested 63, but already used 1 of 20 cores"},
		{400, `{"resize": {}}`, "'flavorRef' is a required property"},
		{400, `{"resize": {"flavorRef": "2", "OS-DCF:diskConfig": "auto"}}`, "diskConfig"},
		{409, `{"confirmResize": null}`, "while it is in vm_state active"},
		{409, `{"revertResize": null}`, "while it is in vm_state active"},
	} {
		if a := c.act(one.status, "alice", "2.104", id, one.body); !strings.Contains(string(a.body), one.says) {
			t.Errorf("%s: %s", one.body, a.body)
		}
	}
	if string(before) != string(c.state()) {
		t.Error("a refused resize changed the state")
	}
	c.act(404, "bob", "2.104", id, `{"resize": {"flavorRef": "2"}}`)
	c.act(403, "reader", "2.104", id, `{"resize": {"flavorRef": "2"}}`)
}

// A resize that finds no host, or fails on the way, leaves the instance as it was, with its migration in error.
func TestResizeFails(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	c.act(202, "alice", "2.104", id, `{"resize": {"flavorRef": "2"}}`)
	c.core.Drive(func(op *structs.Operation) string {
		if op.Step == structs.StepImport && op.Status == structs.OpRunning {
			return "no room on the disk"
		}
		return ""
	})
	if got := c.states(id); got != "ACTIVE active <nil> 1" || c.claims(id) != 1 || c.used() != "1 1 512" || c.migrations() != "resize error" || c.flavorName(id) != "m1.small" {
		t.Errorf("%s, %d claims, %s, %s", got, c.claims(id), c.used(), c.migrations())
	}
	actions := c.want(200, "alice", "2.104", "GET", "/servers/"+id+"/os-instance-actions", nil).json(t)["instanceActions"].([]any)
	if a := actions[0].(map[string]any); a["action"] != "resize" || a["message"] != "Error" {
		t.Errorf("%v", a)
	}
}

func TestColdMigration(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	first := c.where(id)
	other := map[string]string{"host-1": "host-2", "host-2": "host-1"}[first]
	c.act(403, "alice", "2.104", id, `{"migrate": null}`)
	for body, says := range map[string]string{`{"migrate": {"host": "` + first + `"}}`: "Cannot migrate to the host where the server exists.",
		`{"migrate": {"host": "nowhere"}}`: "Compute host nowhere could not be found.", `{"migrate": {"host": 5}}`: "host", `{"migrate": {"hots": "x"}}`: "Additional properties"} {
		if a := c.act(400, "admin", "2.56", id, body); !strings.Contains(string(a.body), says) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	c.act(202, "admin", "2.56", id, `{"migrate": {"host": "`+other+`"}}`)
	c.core.Drive(nil)
	if got := c.states(id); got != "VERIFY_RESIZE resized <nil> 1" || c.where(id) != other || c.migrations() != "migration finished" {
		t.Errorf("%s on %s: %s", got, c.where(id), c.migrations())
	}
	c.act(202, "alice", "2.1", id, `{"revertResize": null}`)
	c.core.Drive(nil)
	if c.where(id) != first {
		t.Error("it did not come back")
	}
	c.act(202, "admin", "2.1", id, `{"migrate": "anything"}`)
	c.core.Drive(nil)
	c.want(204, "alice", "2.104", "DELETE", "/servers/"+id, nil)
	c.core.Drive(nil)
	if got := c.migrations(); got != "migration confirmed, migration reverted" || c.claims(id) != 0 || c.used() != "0 0 0" {
		t.Errorf("deleted while resized: %s, %d claims, %s", got, c.claims(id), c.used())
	}
}

func TestLiveMigration(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	first := c.where(id)
	c.core.Moving = func(*structs.Migration) (*structs.MigrationProgress, error) {
		return &structs.MigrationProgress{MemoryTotal: 100, MemoryRemaining: 30}, nil
	}
	for body, says := range map[string]string{
		`{"os-migrateLive": {"host": null, "block_migration": "auto", "force": true}}`: "Can't force to a non-provided destination",
		`{"os-migrateLive": {"host": "` + first + `", "block_migration": "auto"}}`:     "to current host",
		`{"os-migrateLive": {"host": "nowhere", "block_migration": false}}`:            "Compute host nowhere could not be found.",
		`{"os-migrateLive": {"block_migration": false}}`:                               "'host' is a required property",
	} {
		if a := c.act(400, "admin", "2.67", id, body); !strings.Contains(string(a.body), says) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	c.act(400, "admin", "2.24", id, `{"os-migrateLive": {"host": null, "block_migration": "auto", "disk_over_commit": false}}`)
	c.act(400, "admin", "2.25", id, `{"os-migrateLive": {"host": null, "block_migration": "auto", "disk_over_commit": false}}`)
	c.act(400, "admin", "2.68", id, `{"os-migrateLive": {"host": "host-2", "block_migration": "auto", "force": false}}`)
	c.core.Hold = heldAt(structs.StepMigrate)
	c.act(202, "admin", "2.34", id, `{"os-migrateLive": {"host": null, "block_migration": "auto"}}`)
	c.core.Drive(nil)
	if got := c.states(id); got != "MIGRATING active migrating 1" {
		t.Error(got)
	}
	m := c.want(200, "admin", "2.80", "GET", "/servers/"+id+"/migrations", nil).json(t)["migrations"].([]any)[0].(map[string]any)
	if m["status"] != "running" || m["memory_processed_bytes"] != 70.0 || m["disk_total_bytes"] != nil || m["source_compute"] != first {
		t.Errorf("%v", m)
	}
	path := fmt.Sprintf("/servers/%s/migrations/%v", id, m["id"])
	c.want(200, "admin", "2.23", "GET", path, nil)
	c.want(404, "admin", "2.22", "GET", path, nil)
	c.want(404, "admin", "2.23", "GET", "/servers/"+id+"/migrations/77", nil)
	links := c.want(200, "admin", "2.23", "GET", "/os-migrations", nil).json(t)["migrations"].([]any)[0].(map[string]any)["links"].([]any)
	if href := links[0].(map[string]any)["href"].(string); !strings.HasSuffix(href, path) {
		t.Error(href)
	}
	c.want(202, "admin", "2.22", "POST", path+"/action", `{"force_complete": null}`)
	c.want(400, "admin", "2.22", "POST", "/servers/"+id+"/migrations/77/action", `{"force_complete": null}`)
	c.core.Hold = nil
	c.core.Drive(nil)
	if got := c.states(id); got != "ACTIVE active <nil> 1" || c.where(id) == first || c.claims(id) != 1 || c.migrations() != "live-migration completed" {
		t.Errorf("%s on %s: %s", got, c.where(id), c.migrations())
	}
	c.want(404, "admin", "2.23", "GET", path, nil)
	if a := c.want(409, "admin", "2.24", "DELETE", path, nil); !strings.Contains(string(a.body), "Cannot 'abort live migration' instance "+id+" while it is in task_state None") {
		t.Errorf("%s", a.body)
	}
}

func TestLiveMigrationAborted(t *testing.T) {
	t.Parallel()
	for _, at := range []structs.StepName{structs.StepCheckSource, structs.StepMigrate} {
		c, id := twoHosts(t, nil)
		first := c.where(id)
		c.core.Hold = heldAt(at)
		c.act(202, "admin", "2.104", id, `{"os-migrateLive": {"host": null, "block_migration": true}}`)
		c.core.Drive(nil)
		m := c.want(200, "admin", "2.80", "GET", "/servers/"+id+"/migrations", nil).json(t)["migrations"].([]any)[0].(map[string]any)
		path := fmt.Sprintf("/servers/%s/migrations/%v", id, m["id"])
		if at == structs.StepCheckSource {
			if a := c.want(400, "admin", "2.64", "DELETE", path, nil); !strings.Contains(string(a.body), "is preparing. Cannot abort live migration") {
				t.Errorf("%s", a.body)
			}
		}
		c.want(404, "admin", "2.65", "DELETE", "/servers/"+id+"/migrations/99", nil)
		c.want(202, "admin", "2.65", "DELETE", path, nil)
		c.core.Hold = nil
		c.core.Drive(func(op *structs.Operation) string {
			if op.Step == structs.StepMigrate {
				return "aborted"
			}
			return ""
		})
		if got := c.states(id); got != "ACTIVE active <nil> 1" || c.where(id) != first || c.claims(id) != 1 || c.migrations() != "live-migration cancelled" {
			t.Errorf("%s on %s: %s", got, c.where(id), c.migrations())
		}
	}
}

// Before 2.34 the checks before a live migration are part of the request.
func TestLiveMigrationPreChecks(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	for _, why := range []string{"", "the CPUs differ"} {
		answers := make(chan answer)
		go func() {
			answers <- c.call("admin", "2.33", "POST", "/servers/"+id+"/action", `{"os-migrateLive": {"host": null, "block_migration": false}}`)
		}()
		want := 202
		for done := false; !done; {
			select {
			case a := <-answers:
				if why != "" {
					want = 400
				}
				if a.StatusCode != want || !strings.Contains(string(a.body), why) {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				done = true
			default:
				c.core.Drive(func(op *structs.Operation) string {
					if op.Step == structs.StepCheckSource {
						return why
					}
					return ""
				})
			}
		}
		c.core.Drive(nil)
	}
}

func TestEvacuate(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ version, body, answer, after string }{
		{"2.13", `{"evacuate": {"onSharedStorage": false, "adminPass": "x"}}`, `{"adminPass":"x"}`, "ACTIVE active <nil> 1"},
		{"2.94", `{"evacuate": {}}`, "", "ACTIVE active <nil> 1"},
		{"2.95", `{"evacuate": {"host": "host-2"}}`, "", "SHUTOFF stopped <nil> 4"},
	} {
		c, id := twoHosts(t, nil)
		first := c.where(id)
		host := c.core.Stale().HostByName(first)
		if a := c.act(400, "admin", one.version, id, one.body); first != "host-2" && !strings.Contains(string(a.body), "Compute service of "+first+" is still in use.") {
			t.Errorf("%s", a.body)
		}
		propose(t, c.core, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: host.ID, Epoch: host.Epoch, Status: structs.HostDown}}})
		c.act(403, "alice", one.version, id, one.body)
		c.act(404, "admin", "2.104", id, `{"evacuate": {"host": "nowhere"}}`)
		c.act(400, "admin", "2.104", id, `{"evacuate": {"host": "`+first+`"}}`)
		if one.version == "2.95" && first == "host-2" {
			continue
		}
		a := c.act(200, "admin", one.version, id, one.body)
		if got := strings.TrimSpace(string(a.body)); got != one.answer {
			t.Errorf("%s: answer %q", one.version, got)
		}
		if got := c.states(id); got != "REBUILD active rebuilding 1" {
			t.Error(got)
		}
		c.core.Drive(nil)
		if got := c.states(id); got != one.after || c.where(id) == first || c.claims(id) != 1 || c.migrations() != "evacuation done" {
			t.Errorf("%s: %s on %s: %s", one.version, got, c.where(id), c.migrations())
		}
	}
}

func TestMigrationList(t *testing.T) {
	t.Parallel()
	c, id := twoHosts(t, nil)
	for range 3 {
		c.act(202, "admin", "2.1", id, `{"migrate": null}`)
		c.core.Drive(nil)
		c.act(202, "alice", "2.1", id, `{"revertResize": null}`)
		c.core.Drive(nil)
	}
	list := func(version, query string) []any {
		return c.want(200, "admin", version, "GET", "/os-migrations"+query, nil).json(t)["migrations"].([]any)
	}
	all := list("2.80", "")
	if len(all) != 3 {
		t.Fatal(len(all))
	}
	second := all[1].(map[string]any)["uuid"].(string)
	for query, n := range map[string]int{"?status=reverted": 3, "?status=error": 0, "?migration_type=migration": 3, "?migration_type=resize": 0, "?host=host-1": 3,
		"?source_compute=" + c.where(id): 3, "?source_compute=nobody": 0, "?instance_uuid=" + id: 3, "?limit=2": 2, "?marker=" + second: 1, "?user_id=" + adminUser: 3,
		"?project_id=" + bobProject: 0, "?changes-since=2999-01-01T00:00:00Z": 0, "?changes-before=2999-01-01T00:00:00Z": 3} {
		if got := list("2.80", query); len(got) != n {
			t.Errorf("%s: %d, want %d", query, len(got), n)
		}
	}
	if _, ok := list("2.22", "")[0].(map[string]any)["migration_type"]; ok {
		t.Error("migration_type before its time")
	}
	if next := c.want(200, "admin", "2.59", "GET", "/os-migrations?limit=1", nil).json(t)["migrations_links"]; next == nil {
		t.Error("no link to the next page")
	}
	c.want(400, "admin", "2.59", "GET", "/os-migrations?unknown=1", nil)
	c.want(200, "admin", "2.58", "GET", "/os-migrations?unknown=1", nil)
	c.want(400, "admin", "2.59", "GET", "/os-migrations?marker=nothing", nil)
	c.want(400, "admin", "2.66", "GET", "/os-migrations?changes-since=2020-01-02T00:00:00Z&changes-before=2020-01-01T00:00:00Z", nil)
	c.want(400, "admin", "2.65", "GET", "/os-migrations?changes-before=2020-01-01T00:00:00Z", nil)
	c.want(403, "alice", "2.80", "GET", "/os-migrations", nil)
}
