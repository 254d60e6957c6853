package compute_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// states is an instance's status, vm_state and task_state as an administrator sees them.
func (c *cloud) states(id string) string {
	c.tb.Helper()
	s := c.want(200, "admin", "2.104", "GET", "/servers/"+id, nil).json(c.tb)["server"].(map[string]any)
	return fmt.Sprint(s["status"], " ", s["OS-EXT-STS:vm_state"], " ", s["OS-EXT-STS:task_state"], " ", s["OS-EXT-STS:power_state"])
}

func (c *cloud) act(status int, token, version, id, body string) answer {
	c.tb.Helper()
	return c.want(status, token, version, "POST", "/servers/"+id+"/action", body)
}

// Each action is accepted in its state, shows what is under way, and ends in the state that Nova's would; in that one it is refused.
func TestActions(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	for _, one := range []struct {
		body          string
		status        int
		during, after string
		refused       string // by whom tries again: the words of the refusal
	}{
		{`{"pause": null}`, 202, "ACTIVE active pausing 1", "PAUSED paused <nil> 3", "Cannot 'pause' instance " + id + " while it is in vm_state paused"},
		{`{"unpause": null}`, 202, "PAUSED paused unpausing 3", "ACTIVE active <nil> 1", "Cannot 'unpause' instance " + id + " while it is in vm_state active"},
		{`{"suspend": null}`, 202, "ACTIVE active suspending 1", "SUSPENDED suspended <nil> 7", "Cannot 'suspend'"},
		{`{"resume": null}`, 202, "SUSPENDED suspended resuming 7", "ACTIVE active <nil> 1", "Cannot 'resume'"},
		{`{"rescue": null}`, 200, "ACTIVE active rescuing 1", "RESCUE rescued <nil> 1", "Cannot 'rescue'"},
		{`{"unrescue": null}`, 202, "RESCUE rescued unrescuing 1", "ACTIVE active <nil> 1", "Cannot 'unrescue'"},
		{`{"changePassword": {"adminPass": "x"}}`, 202, "PASSWORD active updating_password 1", "ACTIVE active <nil> 1", ""},
		{`{"trigger_crash_dump": null}`, 202, "ACTIVE active <nil> 1", "ACTIVE active <nil> 1", ""},
		{`{"os-stop": null}`, 202, "ACTIVE active powering-off 1", "SHUTOFF stopped <nil> 4", "Cannot 'stop'"},
	} {
		c.act(one.status, "alice", "2.104", id, one.body)
		if got := c.states(id); got != one.during {
			t.Errorf("%s: under way %s, want %s", one.body, got, one.during)
		}
		c.core.Drive(nil)
		if got := c.states(id); got != one.after {
			t.Errorf("%s: ends %s, want %s", one.body, got, one.after)
		}
		if one.refused != "" {
			if a := c.act(409, "alice", "2.104", id, one.body); !strings.Contains(string(a.body), one.refused) {
				t.Errorf("%s", a.body)
			}
		}
	}
	for _, op := range collectOperations(c, id) {
		if op.Args.Secret != "" {
			t.Errorf("the password of a finished %s is kept", op.Kind)
		}
	}
	c.act(404, "alice", "2.16", id, `{"trigger_crash_dump": null}`)
	c.act(404, "bob", "2.104", id, `{"pause": null}`)
	c.act(403, "reader", "2.104", id, `{"pause": null}`)
}

func collectOperations(c *cloud, id string) (ops []*structs.Operation) {
	for op := range c.core.Stale().OperationsOfInstance(structs.InstanceID(id)) {
		ops = append(ops, op)
	}
	return ops
}

// What no driver can do is refused before anything is begun.
func TestActionsThatTheDriverLacks(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	c.large()
	poor := *h
	poor.Methods = []string{"Resume"}
	propose(t, c.core, fsm.HostRegister, &structs.HostRegisterRequest{Host: poor})
	for _, body := range []string{`{"pause": null}`, `{"suspend": null}`, `{"rescue": {}}`, `{"changePassword": {"adminPass": ""}}`, `{"resize": {"flavorRef": "2"}}`} {
		if a := c.act(501, "alice", "2.104", id, body); !strings.Contains(string(a.body), "cannot") {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	if got := c.states(id); got != "ACTIVE active <nil> 1" {
		t.Errorf("after the refusals: %s", got)
	}
}

// Who locked decides who unlocks; who is locked out changes nothing.
func TestLock(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	lock := func() string {
		s := c.want(200, "alice", "2.73", "GET", "/servers/"+id, nil).json(t)["server"].(map[string]any)
		return fmt.Sprint(s["locked"], " ", s["locked_reason"])
	}
	c.act(202, "alice", "2.1", id, `{"lock": {"any": "thing"}}`)
	if got := lock(); got != "true <nil>" {
		t.Error(got)
	}
	c.act(409, "alice", "2.1", id, `{"pause": null}`)
	c.act(202, "admin", "2.1", id, `{"pause": null}`)
	c.core.Drive(nil)
	c.act(202, "alice", "2.73", id, `{"lock": {"locked_reason": "mine"}}`)
	if got := lock(); got != "true mine" {
		t.Error(got)
	}
	c.act(400, "alice", "2.73", id, `{"lock": {"reason": "mine"}}`)
	c.act(400, "alice", "2.73", id, `{"lock": {"locked_reason": ""}}`)
	c.act(202, "alice", "2.73", id, `{"unlock": null}`)
	if got := lock(); got != "false <nil>" {
		t.Error(got)
	}
	c.act(202, "admin", "2.73", id, `{"lock": null}`)
	if a := c.act(403, "alice", "2.73", id, `{"unlock": null}`); !strings.Contains(string(a.body), "unlock_override") {
		t.Errorf("%s", a.body)
	}
	c.act(202, "admin", "2.73", id, `{"unlock": null}`)
	if got := c.events("alice", "2.51", id); got[0] != "unlock <nil>" || got[1] != "lock <nil>" {
		t.Errorf("%v", got)
	}
}

func TestResetState(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	c.act(403, "alice", "2.1", id, `{"os-resetState": {"state": "active"}}`)
	c.act(400, "admin", "2.1", id, `{"os-resetState": {"state": "stopped"}}`)
	c.act(202, "alice", "2.1", id, `{"pause": null}`)
	c.act(202, "admin", "2.1", id, `{"os-resetState": {"state": "error"}}`)
	if got := c.states(id); got != "ERROR error <nil> 1" {
		t.Error(got)
	}
	c.core.Drive(nil)
	if got := c.states(id); got != "ERROR error <nil> 1" {
		t.Errorf("what ran before goes on: %s", got)
	}
	c.act(202, "admin", "2.1", id, `{"os-resetState": {"state": "active"}}`)
	if got := c.states(id); got != "ACTIVE active <nil> 1" {
		t.Error(got)
	}
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID, "metadata": map[string]string{"old": "1"}})
	other := c.addImage(structs.Image{Name: "other", Size: 1 << 20})
	large := c.addImage(structs.Image{Name: "large", Size: 1 << 20, MinDiskGiB: 100})
	body := func(image any, rest string) string {
		return fmt.Sprintf(`{"rebuild": {"imageRef": "%v"%s}}`, image, rest)
	}
	for _, bad := range []struct{ body, says string }{
		{body("11111111-2222-3333-4444-555555555555", ""), "Can not find requested image"},
		{body(large.ID, ""), "Flavor's disk is smaller"},
		{body(other.ID, `, "key_name": "nobody's"`), "Invalid key_name provided."},
		{body(other.ID, `, "user_data": "%%%"`), "user_data"},
		{`{"rebuild": {}}`, "'imageRef' is a required property"},
		{body(other.ID, `, "preserve_ephemeral": true`), "preserving ephemeral"},
	} {
		if a := c.act(400, "alice", "2.100", id, bad.body); !strings.Contains(string(a.body), bad.says) {
			t.Errorf("%s: %s", bad.body, a.body)
		}
	}
	data := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh"))
	a := c.act(202, "alice", "2.100", id, body(other.ID, `, "name": "new", "metadata": {"new": "2"}, "description": "d", "user_data": "`+data+`", "adminPass": "secret"`))
	s := a.json(t)["server"].(map[string]any)
	if s["status"] != "REBUILD" || s["name"] != "new" || s["adminPass"] != "secret" || s["user_data"] != data || s["description"] != "d" || s["key_name"] != nil ||
		fmt.Sprint(s["metadata"]) != "map[new:2]" || s["image"].(map[string]any)["id"] != string(other.ID) || !strings.HasSuffix(a.Header.Get("Location"), "/servers/"+id) {
		t.Errorf("unexpected %s", a.body)
	}
	c.core.Drive(nil)
	if got := c.states(id); got != "ACTIVE active <nil> 1" {
		t.Error(got)
	}
	c.act(202, "alice", "2.1", id, `{"os-stop": null}`)
	c.core.Drive(nil)
	old := c.act(202, "alice", "2.1", id, body(other.ID, "")).json(t)["server"].(map[string]any)
	for _, key := range []string{"locked", "description", "key_name", "user_data", "tags", "OS-EXT-STS:vm_state"} {
		if _, ok := old[key]; ok {
			t.Errorf("%s is shown at 2.1", key)
		}
	}
	c.core.Drive(nil)
	if got := c.states(id); got != "SHUTOFF stopped <nil> 4" {
		t.Errorf("what was stopped stays so: %s", got)
	}
	c.act(202, "alice", "2.1", id, body(other.ID, ""))
	c.core.Drive(func(*structs.Operation) string { return "no" })
	if got := c.states(id); got != "ERROR error <nil> 4" {
		t.Error(got)
	}
	c.act(202, "alice", "2.1", id, body(other.ID, ""))
	c.core.Drive(nil)
	if got := c.states(id); got != "ACTIVE active <nil> 1" {
		t.Errorf("a rebuild heals: %s", got)
	}
}

// An image of an instance is queued with the operation that makes it, and gone when that fails; backups beyond their rotation go.
func TestCreateImage(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	from := c.cirros()
	id := c.boot("alice", map[string]any{"imageRef": from.ID})
	image := func(a answer) *structs.Image {
		t.Helper()
		i := c.core.Stale().Image(structs.ImageID(a.json(t)["image_id"].(string)))
		if i == nil {
			t.Fatalf("no image of %s", a.body)
		}
		return i
	}
	img := image(c.act(202, "alice", "2.45", id, `{"createImage": {"name": "snap", "metadata": {"mine": "1"}}}`))
	p := img.Properties
	if img.Status != structs.ImageQueued || img.Name != "snap" || img.ProjectID != aliceProject || img.Visibility != "private" || p["image_type"] != "snapshot" ||
		p["instance_uuid"] != id || p["base_image_ref"] != string(from.ID) || p["mine"] != "1" || p["my_own"] != "x" {
		t.Errorf("unexpected %+v", img)
	}
	if got := c.states(id); got != "ACTIVE active image_snapshot_pending 1" {
		t.Error(got)
	}
	if a := c.act(409, "alice", "2.45", id, `{"createImage": {"name": "again"}}`); !strings.Contains(string(a.body), "task_state image_snapshot_pending") {
		t.Errorf("%s", a.body)
	}
	c.core.Drive(func(*structs.Operation) string { return "the disk is broken" })
	if got := c.states(id); got != "ACTIVE active <nil> 1" {
		t.Errorf("a snapshot that failed does nothing to the instance: %s", got)
	}
	if c.core.Stale().Image(img.ID) != nil {
		t.Error("the image of a snapshot that failed is left")
	}
	a := c.act(202, "alice", "2.44", id, `{"createImage": {"name": "old way"}}`)
	if !strings.Contains(a.Header.Get("Location"), "/image/v2/images/") || len(a.body) > 0 {
		t.Errorf("%v %s", a.Header, a.body)
	}
	c.act(202, "alice", "2.45", id, `{"lock": null}`) // a lock does not matter
	c.core.Drive(nil)
	backup := func(kind string, rotation int) *structs.Image {
		t.Helper()
		i := image(c.act(202, "alice", "2.45", id, fmt.Sprintf(`{"createBackup": {"name": "b", "backup_type": "%s", "rotation": "%d"}}`, kind, rotation)))
		propose(t, c.core, fsm.ImageFinish, &structs.ImageFinishRequest{ID: i.ID, SHA512: string(i.ID), Now: i.CreatedAt})
		c.core.Drive(nil)
		return i
	}
	one, two, other := backup("daily", 2), backup("daily", 2), backup("weekly", 1)
	three := backup("daily", 2)
	for i, left := range map[*structs.Image]bool{one: false, two: true, three: true, other: true} {
		if (c.core.Stale().Image(i.ID) != nil) != left {
			t.Errorf("%v: left is not %v", i.Properties, left)
		}
	}
	if none := backup("hourly", 0); c.core.Stale().Image(none.ID) != nil {
		t.Error("a backup with rotation 0 is kept")
	}
	c.act(400, "alice", "2.45", id, `{"createBackup": {"name": "b", "backup_type": "daily", "rotation": -1}}`)
	c.act(404, "bob", "2.45", id, `{"createImage": {"name": "x"}}`)

	doomed := image(c.act(202, "alice", "2.45", id, `{"createImage": {"name": "doomed"}}`))
	c.act(202, "alice", "2.45", id, `{"unlock": null}`)
	c.want(204, "alice", "", "DELETE", "/servers/"+id, nil)
	c.core.Drive(nil)
	if c.core.Stale().Image(doomed.ID) != nil {
		t.Error("the image of a snapshot that a delete superseded is left")
	}
}
