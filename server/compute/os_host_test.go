package compute_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// bare is a body without spaces after commas and colons, to compare.
func bare(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestHosts(t *testing.T) {
	t.Parallel()
	fields := loadAnswers(t)
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	image := c.cirros()
	get := func(path, route string) map[string]any {
		t.Helper()
		a := c.want(200, "admin", "2.42", "GET", path, nil)
		if err := fields.check("GET "+route, 42, a.body); err != nil {
			t.Errorf("%s: %v", route, err)
		}
		return a.json(t)
	}
	all := `[{"host_name":"server-1","service":"scheduler","zone":"internal"},{"host_name":"server-1","service":"conductor","zone":"internal"},{"host_name":"host-1","service":"compute","zone":"nova"}]`
	if got := bare(t, get("/os-hosts", "/os-hosts")["hosts"]); got != all {
		t.Errorf("%s", got)
	}
	if got := bare(t, get("/os-hosts?zone=nova&other=1", "/os-hosts")["hosts"]); got != `[{"host_name":"host-1","service":"compute","zone":"nova"}]` {
		t.Errorf("%s", got)
	}
	c.boot("bob", map[string]any{"imageRef": image.ID})
	c.boot("alice", map[string]any{"imageRef": image.ID})
	gone := c.boot("alice", map[string]any{"imageRef": image.ID})
	c.boot("alice", map[string]any{"imageRef": image.ID})
	c.want(204, "alice", "2.1", "DELETE", "/servers/"+gone, nil)
	c.core.Drive(nil)
	var rows []string
	for _, row := range get("/os-hosts/host-1", "/os-hosts/{id}")["host"].([]any) {
		v := row.(map[string]any)["resource"].(map[string]any)
		rows = append(rows, fmt.Sprint(v["host"], " ", v["project"], " ", v["cpu"], " ", v["memory_mb"], " ", v["disk_gb"]))
	}
	want := "host-1 (total) 1000 8.388608e+06 100000, host-1 (used_now) 3 1536 3, host-1 (used_max) 3 1536 3, host-1 " + aliceProject + " 2 1024 2, host-1 " + bobProject + " 1 512 1"
	if got := strings.Join(rows, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, path := range []string{"/os-hosts", "/os-hosts/host-1", "/os-hosts/host-1/reboot"} {
		c.want(403, "alice", "2.42", "GET", path, nil)
		c.want(404, "admin", "2.43", "GET", path, nil)
	}
	c.want(404, "admin", "2.43", "PUT", "/os-hosts/host-1", `{"status": "enable"}`)
	for _, path := range []string{"/os-hosts/nobody", "/os-hosts/server-1", "/os-hosts/nobody/startup"} {
		a := c.want(404, "admin", "2.42", "GET", path, nil)
		if name := strings.Split(path, "/")[2]; !strings.Contains(string(a.body), "Host '"+name+"' is not mapped to any cell") {
			t.Errorf("%s", a.body)
		}
	}
}

// TestHostUpdate: what the driver cannot is 501, what its host does not answer is 400, and a disabled host is not in the list.
func TestHostUpdate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.core.AddHost("host-1")
	put := func(status int, body, want string) {
		t.Helper()
		if a := c.want(status, "admin", "2.1", "PUT", "/os-hosts/host-1", body); !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	put(200, `{"status": "Disable"}`, `{"host":"host-1","status":"disabled"}`)
	if got := bare(t, c.want(200, "admin", "2.1", "GET", "/os-hosts?zone=nova", nil).json(t)); got != `{"hosts":[]}` {
		t.Errorf("%s", got)
	}
	if !c.core.Stale().Host(h.ID).Disabled {
		t.Error("the host is not disabled")
	}
	put(200, `{"status": "ENABLE"}`, `{"host":"host-1","status":"enabled"}`)
	put(501, `{"maintenance_mode": "enable"}`, "The requested functionality is not supported.")
	for body, why := range map[string]string{`{}`: "is not valid under any of the given schemas", `{"status": "on"}`: "is not one of", `{"status": "enable", "x": 1}`: "Additional properties are not allowed"} {
		put(400, body, why)
	}
	var asked []string
	var fail error
	c.core.HostCalls.Maintenance = func(id structs.HostID, on bool) error {
		asked = append(asked, fmt.Sprint(id == h.ID, " ", on))
		return fail
	}
	put(200, `{"maintenance_mode": "enable", "status": "disable"}`, `{"host":"host-1","maintenance_mode":"on_maintenance","status":"disabled"}`)
	put(200, `{"maintenance_mode": "disable"}`, `{"host":"host-1","maintenance_mode":"off_maintenance"}`)
	fail = structs.Errorf(structs.KindUnavailable, "no route")
	put(400, `{"maintenance_mode": "disable"}`, "Compute service of host-1 is unavailable at this time.")
	if got := fmt.Sprint(asked); got != "[true true true false true false]" {
		t.Errorf("%s", got)
	}
}

func TestHostPower(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	for _, verb := range []string{"startup", "shutdown", "reboot"} {
		if a := c.want(501, "admin", "2.42", "GET", "/os-hosts/host-1/"+verb, nil); !strings.Contains(string(a.body), "The requested functionality is not supported.") {
			t.Errorf("%s", a.body)
		}
	}
	asked := ""
	var fail error
	c.core.HostCalls.Power = func(_ structs.HostID, action string) error { asked = action; return fail }
	for _, verb := range []string{"startup", "shutdown", "reboot"} {
		if a := c.want(200, "admin", "2.42", "GET", "/os-hosts/host-1/"+verb, nil); string(a.body) != `{"host":"host-1","power_action":"`+verb+`"}` || asked != verb {
			t.Errorf("%s: %s", asked, a.body)
		}
	}
	for kind, want := range map[structs.Kind]string{structs.KindTimeout: "400 Compute service of host-1 is unavailable", structs.KindConflict: "400 it is busy", structs.KindInternal: "500 Unexpected API Error."} {
		fail = structs.Errorf(kind, "it is busy")
		status, says, _ := strings.Cut(want, " ")
		if a := c.call("admin", "2.42", "GET", "/os-hosts/host-1/reboot", nil); fmt.Sprint(a.StatusCode) != status || !strings.Contains(string(a.body), says) {
			t.Errorf("%s: %d %s", kind, a.StatusCode, a.body)
		}
	}
}

// TestAggregateImages: every host of the aggregate is to be told, and the answer does not wait for them.
func TestAggregateImages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-0")
	h1, h2 := c.core.AddHost("host-1"), c.core.AddHost("host-2")
	a, b := c.cirros(), c.cirros()
	path := c.aggregate("a", "")
	told := func() (list []string) {
		for i := range c.core.Stale().ImageCachings() {
			list = append(list, fmt.Sprint(i.Aggregate.Hosts, i.Images))
		}
		return list
	}
	for _, name := range []string{"host-2", "host-1"} {
		c.want(200, "admin", "", "POST", path+"/action", addHost(name))
	}
	list := func(ids ...any) string {
		var parts []string
		for _, id := range ids {
			parts = append(parts, fmt.Sprintf(`{"id": %q}`, id))
		}
		return `{"cache": [` + strings.Join(parts, ", ") + `]}`
	}
	const nobody = "deadbeef-dead-4eef-8ead-deadbeefdead"
	for _, q := range []struct {
		status              int
		version, path, body string
		says                string
	}{
		{404, "2.80", path, list(a.ID), ""},
		{400, "2.81", path, list(a.ID, a.ID), "Duplicate images in request"},
		{400, "2.81", path, list(a.ID, nobody), "Image " + nobody + " could not be found."},
		{400, "2.81", path, `{"cache": []}`, "is too short"},
		{400, "2.81", path, `{"cache": [{"id": "x"}]}`, "is not a 'uuid'"},
		{400, "2.81", "/os-aggregates/x", list(a.ID), "Invalid input received: id must be an integer"},
		{404, "2.81", "/os-aggregates/99", list(a.ID), "Aggregate 99 could not be found."},
	} {
		got := c.want(q.status, "admin", q.version, "POST", q.path+"/images", q.body)
		if !strings.Contains(string(got.body), q.says) {
			t.Errorf("%s: %s", q.body, got.body)
		}
	}
	c.want(403, "alice", "2.81", "POST", path+"/images", list(a.ID))
	if told() != nil {
		t.Errorf("refused, but told %s", told())
	}
	if got := c.want(202, "admin", "2.81", "POST", path+"/images", list(b.ID, a.ID)); len(got.body) > 0 {
		t.Errorf("%s", got.body)
	}
	if want := fmt.Sprint([]structs.HostID{h2.ID, h1.ID}, []structs.ImageID{b.ID, a.ID}); len(told()) != 1 || told()[0] != want {
		t.Errorf("told %s, want %s", told(), want)
	}
}
