package gophercloud_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
)

const serverVersions = "2.9 2.26 2.37 2.47 2.60 2.67 2.77 2.90 2.96 2.104"

func TestServers(t *testing.T) {
	at(t, serverVersions, func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		c.core.Console = func(_ *structs.Instance, lines int) ([]byte, error) {
			return fmt.Appendf(nil, "\x1b[1mhello %d\r\n", lines), nil
		}
		client, ctx := c.client("alice", version), t.Context()
		opts := servers.CreateOpts{Metadata: map[string]string{"a": "b"}, UserData: []byte("hello"), AdminPass: "pass", AccessIPv4: "192.0.2.1", AccessIPv6: "2001:db8::1",
			AvailabilityZone: "nova", DiskConfig: servers.Manual, ConfigDrive: new(bool)}
		*opts.ConfigDrive = true
		if n := minor(client); n >= 52 {
			opts.Tags = []string{"t"}
			if n >= 90 {
				opts.Hostname = "host-name"
			}
		} else {
			opts.Personality = servers.Personality{{Path: "/etc/x", Contents: []byte("x")}}
		}
		id := c.boot(client, opts, nil)
		equal(t, "files", len(c.core.Stale().Instance(structs.InstanceID(id)).Files), len(opts.Personality))
		got := c.get(client, id)
		equal(t, "server", fmt.Sprint(got.Status, got.Name, got.TenantID, got.UserID, got.Metadata, got.PowerState, got.Progress, got.AccessIPv4, got.AccessIPv6, got.DiskConfig,
			got.AvailabilityZone, got.ConfigDrive, got.Image["id"], got.VmState, got.TaskState), fmt.Sprint("ACTIVE", "vm", aliceProject, aliceUser, map[string]string{"a": "b"},
			servers.PowerState(servers.RUNNING), 0, "192.0.2.1", "2001:db8::1", servers.Manual, "nova", true, c.image, "active", ""))
		if got.Created.IsZero() || time.Since(got.Created) > time.Hour || got.LaunchedAt.IsZero() || !got.TerminatedAt.IsZero() || got.HostID == "" || got.Updated.IsZero() {
			t.Errorf("unexpected %+v", got)
		}
		if n := minor(client); n >= 52 {
			equal(t, "tags", *got.Tags, "[t]")
			equal(t, "locked", *got.Locked, false)
			equal(t, "hostname seen", got.Hostname != nil, n >= 90)
		}
		gopherRead(t, c, client, id)
		gopherHistory(t, c, client, id)
		update := servers.UpdateOpts{Name: "renamed", AccessIPv4: "192.0.2.2", AccessIPv6: "2001:db8::2"}
		if minor(client) >= 90 {
			hostname := "other-name"
			update.Hostname = &hostname
		}
		updated := must[*servers.Server](t)(servers.Update(ctx, client, id, update).Extract())
		equal(t, "update", fmt.Sprint(updated.Name, updated.AccessIPv4, updated.AccessIPv6), "renamed192.0.2.22001:db8::2")
		c.done(servers.Delete(ctx, client, id).ExtractErr())
		c.drive()
		_, err := servers.Get(ctx, client, id).Extract()
		c.refused(404, "Instance "+id+" could not be found.", err)
	})
}

// gopherRead lists servers in all ways.
func gopherRead(t *testing.T, c *cloud, client *gophercloud.ServiceClient, id string) {
	for range 2 {
		c.boot(client, servers.CreateOpts{}, nil)
	}
	list, pages := everything(t, servers.List(client, servers.ListOpts{Limit: 2}), servers.ExtractServers)
	if len(list) != 3 || pages != 2 || list[2].ID != id || list[0].Status != "ACTIVE" {
		t.Errorf("%d servers on %d pages, the oldest %s", len(list), pages, list[len(list)-1].ID)
	}
	simple, pages := everything(t, servers.ListSimple(client, servers.ListOpts{Limit: 1}), servers.ExtractServers)
	if len(simple) != 3 || pages != 3 || simple[2].ID != id || simple[2].Name != "vm" || simple[2].Status != "" {
		t.Errorf("%d servers on %d pages: %+v", len(simple), pages, simple)
	}
	for want, opts := range map[string]servers.ListOpts{
		"3 of the image": {Image: c.image}, "3 of the flavor": {Flavor: "1"}, "0 of the other flavor": {Flavor: "2"}, "3 with the name": {Name: "^v"}, "0 stopped": {Status: "SHUTOFF"},
		"3 changed": {ChangesSince: "2020-01-01T00:00:00Z"}, "1 after the marker": {Marker: list[1].ID}, "0 with the address": {IP: "192.0.2"}} {
		some, _ := everything(t, servers.List(client, opts), servers.ExtractServers)
		equal(t, "servers", fmt.Sprint(len(some), want[1:]), want)
	}
	admin := c.client("admin", client.Microversion)
	all, _ := everything(t, servers.List(admin, servers.ListOpts{AllTenants: true, TenantID: aliceProject, Host: "host-1", UserID: aliceUser}), servers.ExtractServers)
	equal(t, "an administrator's list", len(all), 3)
	own, _ := everything(t, servers.List(admin, nil), servers.ExtractServers)
	equal(t, "an administrator's own", len(own), 0)
	equal(t, "host", all[0].Host+all[0].HypervisorHostname, "host-1host-1")
	if minor(client) >= 52 {
		for want, opts := range map[string]servers.ListOpts{"1 with": {Tags: "t"}, "1 with any": {TagsAny: "t,u"}, "2 without": {NotTags: "t"}, "2 without any": {NotTagsAny: "t,u"}} {
			some, _ := everything(t, servers.List(client, opts), servers.ExtractServers)
			equal(t, "servers", fmt.Sprint(len(some), want[1:]), want)
		}
	}
}

// gopherHistory reads what was done with a server.
func gopherHistory(t *testing.T, c *cloud, client *gophercloud.ServiceClient, id string) {
	ctx := t.Context()
	c.done(servers.Stop(ctx, client, id).ExtractErr())
	c.drive()
	c.done(servers.Start(ctx, client, id).ExtractErr())
	c.drive()
	out := must[string](t)(servers.ShowConsoleOutput(ctx, client, id, servers.ShowConsoleOutputOpts{Length: 7}).Extract())
	equal(t, "console output", out, "[1mhello 7\n")
	opts := instanceactions.ListOpts{}
	if minor(client) >= 58 {
		since := time.Now().Add(-time.Hour)
		opts = instanceactions.ListOpts{ChangesSince: &since}
	}
	actions := must[[]instanceactions.InstanceAction](t)(instanceactions.ExtractInstanceActions(must[pagination.Page](t)(
		instanceactions.List(client, id, opts).AllPages(ctx))))
	if len(actions) != 3 || actions[0].Action != "start" || actions[2].Action != "create" || actions[0].UserID != aliceUser || actions[0].InstanceUUID != id {
		t.Errorf("actions %+v", actions)
	}
	one := must[instanceactions.InstanceActionDetail](t)(instanceactions.Get(ctx, client, id, actions[1].RequestID).Extract())
	if one.Action != "stop" || one.ProjectID != aliceProject || minor(client) >= 51 && (len(*one.Events) != 1 || (*one.Events)[0].Event != "compute_stop_instance") {
		t.Errorf("action %+v", one)
	}
}

// step is an action, what shows while it is under way, and what when it is done.
type step struct {
	name          string
	act           func() error
	during, after string // status and task state
}

func (c *cloud) walk(client *gophercloud.ServiceClient, id string, steps []step) {
	c.t.Helper()
	look := func() string {
		s := c.get(client, id)
		return s.Status + " " + s.TaskState
	}
	for _, s := range steps {
		if err := s.act(); err != nil {
			c.t.Fatalf("%s: %v", s.name, err)
		}
		equal(c.t, s.name+" under way", look(), s.during)
		c.drive()
		equal(c.t, s.name+" done", look(), s.after)
	}
}

func TestServerActions(t *testing.T) {
	at(t, serverVersions, func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		client, admin, ctx := c.client("alice", version), c.client("admin", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		c.walk(client, id, []step{
			{"pause", func() error { return servers.Pause(ctx, client, id).ExtractErr() }, "ACTIVE pausing", "PAUSED "},
			{"unpause", func() error { return servers.Unpause(ctx, client, id).ExtractErr() }, "PAUSED unpausing", "ACTIVE "},
			{"suspend", func() error { return servers.Suspend(ctx, client, id).ExtractErr() }, "ACTIVE suspending", "SUSPENDED "},
			{"resume", func() error { return servers.Resume(ctx, client, id).ExtractErr() }, "SUSPENDED resuming", "ACTIVE "},
			{"stop", func() error { return servers.Stop(ctx, client, id).ExtractErr() }, "ACTIVE powering-off", "SHUTOFF "},
			{"start", func() error { return servers.Start(ctx, client, id).ExtractErr() }, "SHUTOFF powering-on", "ACTIVE "},
			{"soft reboot", func() error {
				return servers.Reboot(ctx, client, id, servers.RebootOpts{Type: servers.SoftReboot}).ExtractErr()
			}, "REBOOT rebooting", "ACTIVE "},
			{"hard reboot", func() error {
				return servers.Reboot(ctx, client, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr()
			}, "HARD_REBOOT rebooting_hard", "ACTIVE "},
			{"rescue", func() error {
				pass, err := servers.Rescue(ctx, client, id, servers.RescueOpts{AdminPass: "pass", RescueImageRef: c.image}).Extract()
				equal(t, "password", pass, "pass")
				return err
			}, "ACTIVE rescuing", "RESCUE "},
			{"unrescue", func() error { return servers.Unrescue(ctx, client, id).ExtractErr() }, "RESCUE unrescuing", "ACTIVE "},
			{"change of the password", func() error { return servers.ChangeAdminPassword(ctx, client, id, "new").ExtractErr() }, "PASSWORD updating_password", "ACTIVE "},
			{"rebuild", func() error {
				s, err := servers.Rebuild(ctx, client, id, servers.RebuildOpts{ImageRef: c.image, Name: "rebuilt", AdminPass: "pass", AccessIPv4: "192.0.2.7", DiskConfig: servers.Auto,
					Metadata: map[string]string{"k": "v"}}).Extract()
				equal(t, "rebuilt", fmt.Sprint(s.ID, s.Name, s.AdminPass, s.AccessIPv4, s.Metadata, s.Image["id"], s.DiskConfig), fmt.Sprint(id, "rebuilt", "pass", "192.0.2.7",
					map[string]string{"k": "v"}, c.image, servers.Auto))
				return err
			}, "REBUILD rebuilding", "ACTIVE "},
			{"state of error", func() error { return servers.ResetState(ctx, admin, id, servers.StateError).ExtractErr() }, "ERROR ", "ERROR "},
			{"state of activity", func() error { return servers.ResetState(ctx, admin, id, servers.StateActive).ExtractErr() }, "ACTIVE ", "ACTIVE "},
			{"injection", func() error { return servers.InjectNetworkInfo(ctx, admin, id).ExtractErr() }, "ACTIVE ", "ACTIVE "},
			{"shelve", func() error { return servers.Shelve(ctx, client, id).ExtractErr() }, "ACTIVE shelving", "SHELVED_OFFLOADED "},
			{"unshelve", func() error {
				opts := servers.UnshelveOpts{}
				if minor(client) >= 77 {
					opts.AvailabilityZone = "nova"
				}
				return servers.Unshelve(ctx, client, id, opts).ExtractErr()
			}, "SHELVED_OFFLOADED unshelving", "ACTIVE "},
		})
		c.refused(410, "", servers.ResetNetwork(ctx, client, id).ExtractErr())
		if err := servers.WaitForStatus(ctx, client, id, "ACTIVE"); err != nil {
			t.Error(err)
		}
		gopherLocks(t, c, client, id)
		c.done(servers.ForceDelete(ctx, admin, id).ExtractErr())
		c.drive()
		equal(t, "after the deletion", c.instance(id).VM, structs.VMDeleted)
	})
}

func gopherLocks(t *testing.T, c *cloud, client *gophercloud.ServiceClient, id string) {
	ctx := t.Context()
	c.done(servers.Lock(ctx, client, id).ExtractErr())
	if locked := c.get(client, id).Locked; minor(client) >= 9 && !*locked || minor(client) < 9 && locked != nil {
		t.Error("it does not say that it is locked")
	}
	admin := c.client("admin", client.Microversion)
	c.done(servers.Lock(ctx, admin, id).ExtractErr())
	c.refused(409, "is locked", servers.Pause(ctx, client, id).ExtractErr())
	c.done(servers.Unlock(ctx, admin, id).ExtractErr())
	if c.instance(id).Locked {
		t.Error("still locked")
	}
}

// A shelved instance that was not offloaded, because its host would not, is offloaded by an administrator.
func TestShelveOffload(t *testing.T) {
	at(t, "2.77 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		client, ctx := c.client("alice", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		c.core.Hold = func(op *structs.Operation) bool { return op.Kind == structs.OpShelveOffload }
		c.done(servers.Shelve(ctx, client, id).ExtractErr())
		c.drive()
		got := c.get(client, id)
		equal(t, "shelved", got.Status+" "+got.TaskState, "SHELVED shelving_offloading")
		c.core.Hold = nil
		c.core.Drive(func(*structs.Operation) string { return "not now" })
		equal(t, "not offloaded", c.get(client, id).Status, "SHELVED")
		c.refused(403, "", servers.ShelveOffload(ctx, client, id).ExtractErr())
		c.done(servers.ShelveOffload(ctx, c.client("admin", version), id).ExtractErr())
		c.drive()
		got = c.get(client, id)
		equal(t, "offloaded", fmt.Sprint(got.Status, got.PowerState, got.HostID), "SHELVED_OFFLOADEDNOSTATE")
	})
}

func TestMetadata(t *testing.T) {
	at(t, "2.26 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		client, ctx := c.client("alice", version), t.Context()
		id := c.boot(client, servers.CreateOpts{Metadata: map[string]string{"a": "1"}}, nil)
		all := func() map[string]string {
			return must[map[string]string](t)(servers.Metadata(ctx, client, id).Extract())
		}
		equal(t, "at first", all(), map[string]string{"a": "1"})
		equal(t, "update", must[map[string]string](t)(servers.UpdateMetadata(ctx, client, id, servers.MetadataOpts{"b": "2"}).Extract()), map[string]string{"a": "1", "b": "2"})
		equal(t, "one made", must[map[string]string](t)(servers.CreateMetadatum(ctx, client, id, servers.MetadatumOpts{"c": "3"}).Extract()), map[string]string{"c": "3"})
		equal(t, "one read", must[map[string]string](t)(servers.Metadatum(ctx, client, id, "b").Extract()), map[string]string{"b": "2"})
		c.done(servers.DeleteMetadatum(ctx, client, id, "a").ExtractErr())
		equal(t, "one less", all(), map[string]string{"b": "2", "c": "3"})
		equal(t, "reset", must[map[string]string](t)(servers.ResetMetadata(ctx, client, id, servers.MetadataOpts{"d": "4"}).Extract()), map[string]string{"d": "4"})
		equal(t, "at last", all(), map[string]string{"d": "4"})
		_, err := servers.Metadatum(ctx, client, id, "a").Extract()
		c.refused(404, "Metadata item was not found", err)
	})
}

// Several servers in one request, with what the scheduler is told.
func TestServersWithHints(t *testing.T) {
	at(t, "2.52 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 3, proxy.Services{})
		client := c.client("alice", version)
		first := c.boot(client, servers.CreateOpts{}, nil)
		id := c.boot(client, servers.CreateOpts{Min: 2, Max: 2}, servers.SchedulerHintOpts{DifferentHost: []string{first}, AdditionalProperties: map[string]any{"x": "y"}})
		list, _ := everything(t, servers.List(client, nil), servers.ExtractServers)
		var names []string
		for _, s := range list {
			names = append(names, s.Name)
		}
		if slices.Sort(names); fmt.Sprint(names) != "[vm vm-1 vm-2]" {
			t.Errorf("names %v", names)
		}
		if h := c.instance(id).SchedulerHints; len(h) == 0 {
			t.Errorf("hints %s", h)
		}
	})
}
