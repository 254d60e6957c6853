package gophercloud_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/migrations"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
)

const migrateVersions = "2.13 2.14 2.23 2.25 2.30 2.34 2.46 2.47 2.56 2.60 2.68 2.80 2.95 2.104"

func flavorOf(s *servers.Server) string {
	if name, ok := s.Flavor["original_name"].(string); ok {
		return name
	}
	return fmt.Sprint(s.Flavor["id"])
}

func TestResize(t *testing.T) {
	at(t, migrateVersions, func(t *testing.T, version string) {
		c := newCloud(t, 2, proxy.Services{})
		client, admin, ctx := c.client("alice", version), c.client("admin", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		first := c.get(admin, id).Host
		small, large := "1", "2"
		if minor(client) >= 47 {
			small, large = "m1.small", "m1.large"
		}
		resize := func() error {
			return servers.Resize(ctx, client, id, servers.ResizeOpts{FlavorRef: "2", DiskConfig: servers.Manual}).ExtractErr()
		}
		c.walk(client, id, []step{{"resize", resize, "RESIZE resize_prep", "VERIFY_RESIZE "}})
		got := c.get(admin, id)
		if flavorOf(got) != large || got.Host == first || got.DiskConfig != servers.Manual {
			t.Errorf("resized: %s on %s, %s", flavorOf(got), got.Host, got.DiskConfig)
		}
		c.walk(client, id, []step{{"revert", func() error { return servers.RevertResize(ctx, client, id).ExtractErr() }, "REVERT_RESIZE resize_reverting", "ACTIVE "}})
		if got := c.get(admin, id); flavorOf(got) != small || got.Host != first {
			t.Errorf("reverted: %s on %s", flavorOf(got), got.Host)
		}
		c.walk(client, id, []step{
			{"resize", resize, "RESIZE resize_prep", "VERIFY_RESIZE "},
			{"confirm", func() error { return servers.ConfirmResize(ctx, client, id).ExtractErr() }, "VERIFY_RESIZE ", "ACTIVE "}})
		if got := c.get(admin, id); flavorOf(got) != large || got.Host == first {
			t.Errorf("confirmed: %s on %s", flavorOf(got), got.Host)
		}
		c.refused(409, "Cannot 'confirmResize' instance", servers.ConfirmResize(ctx, client, id).ExtractErr())
		c.refused(400, "When resizing, instances must change flavor!", resize())
		gopherMigrations(t, c, admin, id)
	})
}

// gopherMigrations lists the resize that was confirmed and the one before it, which was reverted.
func gopherMigrations(t *testing.T, c *cloud, admin *gophercloud.ServiceClient, id string) {
	list, _ := everything(t, migrations.List(admin, nil), migrations.ExtractMigrations)
	if len(list) != 2 {
		t.Fatalf("migrations %+v", list)
	}
	by := map[string]migrations.Migration{}
	for _, m := range list {
		by[m.Status] = m
	}
	equal(t, "statuses", slices.Sorted(maps.Keys(by)), "[confirmed reverted]")
	m := by["confirmed"]
	if m.ID == 0 || m.InstanceID != id || m.SourceCompute == m.DestCompute || m.SourceNode == "" || m.DestNode == "" || m.OldInstanceTypeID == m.NewInstanceTypeID ||
		m.CreatedAt.IsZero() || time.Since(m.CreatedAt) > time.Hour || m.UpdatedAt.IsZero() {
		t.Errorf("migration %+v", m)
	}
	n := minor(admin)
	equal(t, "type and uuid and people", fmt.Sprint(m.MigrationType, m.UUID != "", m.UserID, m.ProjectID), fmt.Sprint(map[bool]string{true: "resize"}[n >= 23], n >= 59,
		map[bool]string{true: aliceUser + aliceProject}[n >= 80]))
	filters := map[string]migrations.ListOpts{"1 with the status": {Status: &m.Status}, "2 of the instance": {InstanceID: &id}, "2 of the host": {Host: &m.SourceCompute},
		"2 from the host": {SourceCompute: &m.SourceCompute}}
	resize, none := "resize", "evacuation"
	filters["2 of the type"], filters["0 of another type"] = migrations.ListOpts{MigrationType: &resize}, migrations.ListOpts{MigrationType: &none}
	if n >= 59 {
		one, since := 1, time.Now().Add(-time.Hour)
		filters["1 on the page"], filters["2 since"] = migrations.ListOpts{Limit: &one}, migrations.ListOpts{ChangesSince: &since}
		filters["1 after the newest"] = migrations.ListOpts{Marker: &m.UUID}
		if n >= 66 {
			filters["0 before"] = migrations.ListOpts{ChangesBefore: &since}
		}
		if n >= 80 {
			user, project := aliceUser, adminProject
			filters["2 of the user"], filters["0 of the project"] = migrations.ListOpts{UserID: &user}, migrations.ListOpts{ProjectID: &project}
		}
	}
	for want, opts := range filters {
		some, _ := everything(t, migrations.List(admin, opts), migrations.ExtractMigrations)
		equal(t, "migrations", fmt.Sprint(len(some), want[1:]), want)
	}
	_, err := migrations.List(c.client("alice", admin.Microversion), nil).AllPages(t.Context())
	c.refused(403, "os_compute_api:os-migrations:index", err)
}

func TestMigrate(t *testing.T) {
	at(t, migrateVersions, func(t *testing.T, version string) {
		c := newCloud(t, 2, proxy.Services{})
		client, admin, ctx := c.client("alice", version), c.client("admin", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		first := c.get(admin, id).Host
		c.refused(403, "os-migrate-server:migrate", servers.Migrate(ctx, client, id).ExtractErr())
		c.walk(client, id, []step{
			{"migrate", func() error { return servers.Migrate(ctx, admin, id).ExtractErr() }, "RESIZE resize_prep", "VERIFY_RESIZE "},
			{"confirm", func() error { return servers.ConfirmResize(ctx, admin, id).ExtractErr() }, "VERIFY_RESIZE ", "ACTIVE "}})
		if got := c.get(admin, id); got.Host == first {
			t.Error("it did not move")
		}
	})
}

func TestLiveMigrate(t *testing.T) {
	at(t, migrateVersions, func(t *testing.T, version string) {
		c := newCloud(t, 2, proxy.Services{})
		client, admin, ctx := c.client("alice", version), c.client("admin", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		first := c.get(admin, id).Host
		yes, no := true, false
		opts := servers.LiveMigrateOpts{BlockMigration: &yes}
		if minor(admin) < 25 {
			opts.DiskOverCommit = &no
		} else {
			c.refused(400, "disk_over_commit", servers.LiveMigrate(ctx, admin, id, servers.LiveMigrateOpts{BlockMigration: &yes, DiskOverCommit: &no}).ExtractErr())
		}
		c.whileDriven(func() error { return servers.LiveMigrate(ctx, admin, id, opts).ExtractErr() })
		second := c.get(admin, id)
		if second.Host == first || second.Status != "ACTIVE" || second.TaskState != "" {
			t.Errorf("%s %s on %s", second.Status, second.TaskState, second.Host)
		}
		opts.Host = &first
		c.whileDriven(func() error { return servers.LiveMigrate(ctx, admin, id, opts).ExtractErr() })
		equal(t, "host", c.get(admin, id).Host, first)
	})
}

// whileDriven makes a request that waits, before 2.34, for what the hosts say.
func (c *cloud) whileDriven(request func() error) {
	c.t.Helper()
	answer := make(chan error)
	go func() { answer <- request() }()
	for {
		select {
		case err := <-answer:
			c.done(err)
			c.drive()
			return
		default:
			c.core.Drive(nil)
		}
	}
}

// without is a request that gophercloud has no options for: its own send onSharedStorage, which Nova refuses from 2.14 on.
type without struct{ host string }

func (w without) ToEvacuateMap() (map[string]any, error) {
	return map[string]any{"evacuate": map[string]any{"host": w.host}}, nil
}

func TestEvacuate(t *testing.T) {
	at(t, migrateVersions, func(t *testing.T, version string) {
		c := newCloud(t, 2, proxy.Services{})
		client, admin, ctx := c.client("alice", version), c.client("admin", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		first := c.get(admin, id).Host
		target := map[string]string{"host-1": "host-2", "host-2": "host-1"}[first]
		host := c.core.Stale().HostByName(first)
		propose(c, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: host.ID, Epoch: host.Epoch, Status: structs.HostDown}}})
		opts := servers.EvacuateOptsBuilder(servers.EvacuateOpts{Host: target, AdminPass: "pass"})
		if minor(admin) >= 14 {
			_, err := servers.Evacuate(ctx, admin, id, opts).ExtractAdminPass()
			c.refused(400, "onSharedStorage", err)
			opts = without{target}
		}
		pass := must[string](t)(servers.Evacuate(ctx, admin, id, opts).ExtractAdminPass())
		equal(t, "password", pass, map[bool]string{true: "pass"}[minor(admin) < 14])
		equal(t, "under way", c.get(client, id).Status, "REBUILD")
		c.drive()
		want := "ACTIVE"
		if minor(admin) >= 95 {
			want = "SHUTOFF"
		}
		got := c.get(admin, id)
		equal(t, "evacuated", got.Status+" "+got.Host, want+" "+target)
	})
}
