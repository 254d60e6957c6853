package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// events returns an instance's actions as lines: action, message, then its events newest first.
func (c *cloud) events(token, version, id string) []string {
	c.tb.Helper()
	var lines []string
	path := "/servers/" + id + "/os-instance-actions"
	for _, a := range c.want(200, token, version, "GET", path, nil).json(c.tb)["instanceActions"].([]any) {
		v := a.(map[string]any)
		line := fmt.Sprint(v["action"], " ", v["message"])
		one := c.want(200, token, version, "GET", path+"/"+v["request_id"].(string), nil).json(c.tb)["instanceAction"].(map[string]any)
		list, _ := one["events"].([]any)
		for _, e := range list {
			v := e.(map[string]any)
			line += fmt.Sprint(" | ", v["event"], " ", v["result"])
			for _, k := range []string{"host", "details", "traceback"} {
				if x, ok := v[k]; ok {
					line += fmt.Sprint(" ", k, "=", x)
				}
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestActionEvents(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	img := c.cirros()
	id := c.boot("alice", map[string]any{"imageRef": img.ID})
	c.want(202, "alice", "", "POST", "/servers/"+id+"/action", `{"os-stop": null}`)
	want := "stop <nil> | compute_stop_instance <nil> host=host-1 details=<nil> traceback=<nil>"
	if got := c.events("admin", "2.84", id)[0]; got != want {
		t.Errorf("under way: %s", got)
	}
	c.core.Drive(func(*structs.Operation) string { return "it would not" })
	for _, row := range []struct{ token, version, want string }{
		{"alice", "2.1", "stop Error; create <nil>"},
		{"alice", "2.50", "stop Error; create <nil>"},
		{"alice", "2.51", "stop Error | compute_stop_instance Error; create <nil> | compute__do_build_and_run_instance Success"},
		{"alice", "2.84", "stop Error | compute_stop_instance Error; create <nil> | compute__do_build_and_run_instance Success"},
		{"admin", "2.1", "stop Error | compute_stop_instance Error traceback=it would not; create <nil> | compute__do_build_and_run_instance Success traceback=<nil>"},
		{"admin", "2.62", "stop Error | compute_stop_instance Error host=host-1 traceback=it would not; create <nil> | compute__do_build_and_run_instance Success host=host-1 traceback=<nil>"},
		{"admin", "2.84", "stop Error | compute_stop_instance Error host=host-1 details=it would not traceback=it would not; " +
			"create <nil> | compute__do_build_and_run_instance Success host=host-1 details=<nil> traceback=<nil>"},
	} {
		if got := strings.Join(c.events(row.token, row.version, id), "; "); got != row.want {
			t.Errorf("%s at %s:\n%s\nwant\n%s", row.token, row.version, got, row.want)
		}
	}
	c.want(204, "alice", "", "DELETE", "/servers/"+id, nil)
	c.core.Drive(nil)
	c.want(404, "alice", "2.20", "GET", "/servers/"+id+"/os-instance-actions", nil)
	if got := c.events("alice", "2.51", id); len(got) != 3 || got[0] != "delete <nil> | compute_terminate_instance Success" {
		t.Errorf("of a deleted one: %v", got)
	}
}

func TestActionsOfABuildWithoutHost(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	if got := c.events("alice", "2.51", id); len(got) != 1 || got[0] != "create Error | conductor_schedule_and_build_instances Error" {
		t.Errorf("%v", got)
	}
	s := c.want(200, "alice", "2.1", "GET", "/servers/"+id, nil).json(t)["server"].(map[string]any)
	fault, _ := s["fault"].(map[string]any)
	if s["status"] != "ERROR" || !strings.HasPrefix(fmt.Sprint(fault["message"]), "No valid host was found.") || s["hostId"] != "" {
		t.Errorf("unexpected %v", s)
	}
	c.want(409, "alice", "2.1", "POST", "/servers/"+id+"/action", `{"os-start": null}`)
}

func TestFaultDetailsAreForAdministrators(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	a := c.want(202, "alice", "", "POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": c.cirros().ID}})
	id := a.json(t)["server"].(map[string]any)["id"].(string)
	c.core.Drive(func(*structs.Operation) string { return "the disk is broken" })
	for token, has := range map[string]bool{"alice": false, "admin": true} {
		fault := c.want(200, token, "", "GET", "/servers/"+id, nil).json(t)["server"].(map[string]any)["fault"].(map[string]any)
		message, _ := fault["message"].(string)
		if _, ok := fault["details"]; ok != has || !strings.Contains(message, "failed at step image") || strings.Contains(message, "the disk is broken") != has {
			t.Errorf("%s sees %v", token, fault)
		}
		if strings.Contains(message, "host-1") != has {
			t.Errorf("%s reads of the host's name: %s", token, message)
		}
	}
}

func TestActionPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	for _, a := range []string{`{"os-stop": null}`, `{"os-start": null}`} {
		c.want(202, "alice", "", "POST", "/servers/"+id+"/action", a)
		c.core.Drive(nil)
	}
	next, seen := c.base+"/servers/"+id+"/os-instance-actions?limit=2", []string{}
	for next != "" {
		v := c.want(200, "alice", "2.58", "GET", next, nil).json(t)
		for _, a := range v["instanceActions"].([]any) {
			seen = append(seen, a.(map[string]any)["action"].(string))
		}
		next = ""
		if l, ok := v["links"].([]any); ok {
			next = l[0].(map[string]any)["href"].(string)
		}
	}
	if got := strings.Join(seen, " "); got != "start stop create" {
		t.Errorf("actions %s", got)
	}
	for query, n := range map[string]int{"changes-since=2020-01-01": 3, "changes-since=2100-01-01": 0, "changes-before=2100-01-01": 3, "changes-before=2020-01-01": 0} {
		if got := len(c.want(200, "alice", "2.66", "GET", "/servers/"+id+"/os-instance-actions?"+query, nil).json(t)["instanceActions"].([]any)); got != n {
			t.Errorf("%s: %d", query, got)
		}
	}
}
