package compute_test

import (
	"strings"
	"testing"
)

func TestLifeOfAnInstance(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	img := c.cirros()
	a := c.want(202, "alice", "2.104", "POST", "/servers", map[string]any{"server": map[string]any{"name": "My Server", "flavorRef": "1",
		"imageRef": img.ID, "networks": "auto", "tags": []string{"b", "a"}, "metadata": map[string]string{"k": "v"}, "user_data": "aGVsbG8="}})
	s := a.json(t)["server"].(map[string]any)
	id := s["id"].(string)
	if got, want := a.Header.Get("Location"), c.base+"/servers/"+id; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	if p, _ := s["adminPass"].(string); len(p) != 12 {
		t.Errorf("adminPass %q", p)
	}
	show := func() map[string]any {
		return c.want(200, "alice", "2.104", "GET", "/servers/"+id, nil).json(t)["server"].(map[string]any)
	}
	if got := show()["status"]; got != "BUILD" {
		t.Errorf("status %v", got)
	}
	c.core.Drive(nil)
	v := show()
	if v["status"] != "ACTIVE" || v["OS-EXT-SRV-ATTR:hostname"] != "my-server" || v["hostId"] == "" {
		t.Errorf("unexpected %v", v)
	}
	for _, step := range []struct{ action, status, task string }{
		{`{"os-stop": null}`, "SHUTOFF", "powering-off"}, {`{"os-start": null}`, "ACTIVE", "powering-on"},
		{`{"reboot": {"type": "SOFT"}}`, "ACTIVE", "rebooting"}, {`{"reboot": {"type": "hard"}}`, "ACTIVE", "rebooting_hard"}} {
		if a := c.want(202, "alice", "2.1", "POST", "/servers/"+id+"/action", step.action); len(a.body) != 0 {
			t.Errorf("%s has the body %s", step.action, a.body)
		}
		if got := show()["OS-EXT-STS:task_state"]; got != step.task {
			t.Errorf("%s: task_state %v", step.action, got)
		}
		c.core.Drive(nil)
		if got := show()["status"]; got != step.status {
			t.Errorf("%s: status %v", step.action, got)
		}
	}
	c.want(204, "alice", "", "DELETE", "/servers/"+id, nil)
	c.core.Drive(nil)
	if a := c.want(404, "alice", "", "GET", "/servers/"+id, nil); !strings.Contains(string(a.body), "Instance "+id+" could not be found.") {
		t.Errorf("%s", a.body)
	}
}
