package compute_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/availabilityzones"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/hypervisors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/services"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (c *cloud) client(token, version string) *gophercloud.ServiceClient {
	return &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{TokenID: token, HTTPClient: *c.srv.Client()}, Endpoint: c.base + "/", Type: "compute",
		Microversion: version}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// everything collects all pages of a list.
func everything[T any](t *testing.T, p pagination.Pager, extract func(pagination.Page) ([]T, error)) (all []T, pages int) {
	t.Helper()
	err := p.EachPage(t.Context(), func(_ context.Context, page pagination.Page) (bool, error) {
		list, err := extract(page)
		all, pages = append(all, list...), pages+1
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, pages
}

func TestGophercloudServers(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "2.37", "2.67", "2.104"} {
		t.Run("at "+version, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.core.Console = func(_ *structs.Instance, lines int) ([]byte, error) {
				return fmt.Appendf(nil, "\x1b[1mhello %d\r\n", lines), nil
			}
			c.core.AddHost("host-1")
			c.small()
			image := string(c.cirros().ID)
			gopherServers(t, c, c.client("alice", version), image)
		})
	}
}

func gopherServers(t *testing.T, c *cloud, client *gophercloud.ServiceClient, image string) {
	ctx := t.Context()
	opts := servers.CreateOpts{Name: "vm", ImageRef: image, FlavorRef: "1", Metadata: map[string]string{"a": "b"}, UserData: []byte("hello")}
	if client.Microversion != "" {
		opts.Networks = "none"
	}
	made := must[*servers.Server](t)(servers.Create(ctx, client, opts, nil).Extract())
	c.core.Drive(nil)
	got := must[*servers.Server](t)(servers.Get(ctx, client, made.ID).Extract())
	if got.Status != "ACTIVE" || got.Name != "vm" || got.TenantID != aliceProject || got.Metadata["a"] != "b" || got.PowerState != servers.RUNNING || got.LaunchedAt.IsZero() {
		t.Errorf("unexpected %+v", got)
	}
	if got.Created.IsZero() || time.Since(got.Created) > time.Hour {
		t.Errorf("created %v", got.Created)
	}
	updated := must[*servers.Server](t)(servers.Update(ctx, client, made.ID, servers.UpdateOpts{Name: "renamed"}).Extract())
	if updated.Name != "renamed" {
		t.Errorf("name %q", updated.Name)
	}
	for range 2 {
		must[*servers.Server](t)(servers.Create(ctx, client, opts, nil).Extract())
	}
	list, pages := everything(t, servers.List(client, servers.ListOpts{Limit: 2}), servers.ExtractServers)
	if len(list) != 3 || pages != 2 || list[2].ID != made.ID {
		t.Errorf("%d servers on %d pages, the oldest %s", len(list), pages, list[len(list)-1].ID)
	}
	for _, step := range []struct {
		act    func() error
		status string
	}{
		{func() error { return servers.Stop(ctx, client, made.ID).ExtractErr() }, "SHUTOFF"},
		{func() error { return servers.Start(ctx, client, made.ID).ExtractErr() }, "ACTIVE"},
		{func() error {
			return servers.Reboot(ctx, client, made.ID, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr()
		}, "ACTIVE"},
	} {
		if err := step.act(); err != nil {
			t.Fatal(err)
		}
		c.core.Drive(nil)
		if got := must[*servers.Server](t)(servers.Get(ctx, client, made.ID).Extract()); got.Status != step.status {
			t.Errorf("status %s, want %s", got.Status, step.status)
		}
	}
	if out := must[string](t)(servers.ShowConsoleOutput(ctx, client, made.ID, servers.ShowConsoleOutputOpts{Length: 7}).Extract()); out != "[1mhello 7\n" {
		t.Errorf("console output %q", out)
	}
	actions := must[[]instanceactions.InstanceAction](t)(extractActions(t, client, made.ID))
	if len(actions) != 4 || actions[0].Action != "reboot" || actions[3].Action != "create" {
		t.Errorf("actions %+v", actions)
	}
	one := must[instanceactions.InstanceActionDetail](t)(instanceactions.Get(ctx, client, made.ID, actions[1].RequestID).Extract())
	if one.Action != "start" || client.Microversion == "2.104" && (len(*one.Events) != 1 || (*one.Events)[0].Event != "compute_start_instance") {
		t.Errorf("action %+v", one)
	}
	if err := servers.Delete(ctx, client, made.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.core.Drive(nil)
	if _, err := servers.Get(ctx, client, made.ID).Extract(); !gophercloud.ResponseCodeIs(err, 404) {
		t.Errorf("after deletion: %v", err)
	}
}

func extractActions(t *testing.T, client *gophercloud.ServiceClient, id string) ([]instanceactions.InstanceAction, error) {
	page, err := instanceactions.List(client, id, nil).AllPages(t.Context())
	if err != nil {
		return nil, err
	}
	return instanceactions.ExtractInstanceActions(page)
}

func TestGophercloudFlavors(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ctx := t.Context()
	client := c.client("admin", "2.61")
	disk := 2
	for i := range 3 {
		f := must[*flavors.Flavor](t)(flavors.Create(ctx, client, flavors.CreateOpts{Name: fmt.Sprintf("f%d", i), ID: fmt.Sprint(i), RAM: 512 << i, VCPUs: 1 + i, Disk: &disk,
			Description: "d"}).Extract())
		if f.Description != "d" || f.RAM != 512<<i || f.Disk != 2 || !f.IsPublic || f.RxTxFactor != 1 {
			t.Errorf("unexpected %+v", f)
		}
	}
	if f := must[*flavors.Flavor](t)(flavors.Update(ctx, client, "1", flavors.UpdateOpts{Description: "new"}).Extract()); f.Description != "new" {
		t.Errorf("description %q", f.Description)
	}
	list, pages := everything(t, flavors.ListDetail(client, flavors.ListOpts{Limit: 2, SortKey: "memory_mb", SortDir: "desc"}), flavors.ExtractFlavors)
	if len(list) != 3 || pages != 2 || list[0].ID != "2" {
		t.Errorf("%d flavors on %d pages: %+v", len(list), pages, list)
	}
	list, _ = everything(t, flavors.ListDetail(client, flavors.ListOpts{MinRAM: 1024}), flavors.ExtractFlavors)
	if len(list) != 2 {
		t.Errorf("%d flavors with 1024 MiB", len(list))
	}
	if specs := must[map[string]string](t)(flavors.ListExtraSpecs(ctx, client, "1").Extract()); len(specs) != 0 {
		t.Errorf("extra specs %v", specs)
	}
	if err := flavors.Delete(ctx, client, "1").ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if _, err := flavors.Get(ctx, client, "1").Extract(); !gophercloud.ResponseCodeIs(err, 404) {
		t.Errorf("after deletion: %v", err)
	}
}

func TestGophercloudKeypairs(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "2.2", "2.35", "2.104"} {
		t.Run("at "+version, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			ctx := t.Context()
			client := c.client("alice", version)
			for _, name := range []string{"b", "a"} {
				k := must[*keypairs.KeyPair](t)(keypairs.Create(ctx, client, keypairs.CreateOpts{Name: name, PublicKey: sshKey}).Extract())
				if k.Fingerprint != "76:96:26:01:4e:5f:ea:d5:05:9c:e3:01:b8:93:9e:f1" { // as ssh-keygen -l -E md5 says
					t.Errorf("fingerprint %q", k.Fingerprint)
				}
			}
			list, _ := everything(t, keypairs.List(client, nil), keypairs.ExtractKeyPairs)
			first := "b"
			if version == "2.35" || version == "2.104" {
				first = "a"
			}
			if len(list) != 2 || list[0].Name != first {
				t.Errorf("keypairs %+v", list)
			}
			got := must[*keypairs.KeyPair](t)(keypairs.Get(ctx, client, "a", nil).Extract())
			if got.PublicKey != sshKey || got.UserID != aliceUser {
				t.Errorf("keypair %+v", got)
			}
			if err := keypairs.Delete(ctx, client, "a", nil).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			if _, err := keypairs.Get(ctx, client, "a", nil).Extract(); !gophercloud.ResponseCodeIs(err, 404) {
				t.Errorf("after deletion: %v", err)
			}
		})
	}
}

func TestGophercloudOperators(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2.1", "2.28", "2.52", "2.53", "2.87", "2.88", "2.104"} {
		t.Run("at "+version, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			addHosts(c.core)
			gopherOperators(t, c.client("admin", version))
		})
	}
}

func addHosts(core *coretest.Core) {
	for i := range 3 {
		core.AddHost(fmt.Sprintf("host-%d", i+1))
	}
}

func gopherOperators(t *testing.T, client *gophercloud.ServiceClient) {
	ctx := t.Context()
	list, _ := everything(t, hypervisors.List(client, nil), hypervisors.ExtractHypervisors)
	if len(list) != 3 || list[0].HypervisorHostname != "host-1" || list[0].State != "up" || list[0].HypervisorType != "fake" {
		t.Errorf("hypervisors %+v", list)
	}
	one := must[*hypervisors.Hypervisor](t)(hypervisors.Get(ctx, client, list[1].ID).Extract())
	if one.HypervisorHostname != "host-2" || one.Service.Host != "host-2" {
		t.Errorf("hypervisor %+v", one)
	}
	if client.Microversion < "2.88" && client.Microversion != "2.104" {
		if s := must[*hypervisors.Statistics](t)(hypervisors.GetStatistics(ctx, client).Extract()); s.Count != 3 || s.VCPUs != 3000 {
			t.Errorf("statistics %+v", s)
		}
	}
	rows, _ := everything(t, services.List(client, services.ListOpts{Binary: "nova-compute"}), services.ExtractServices)
	if len(rows) != 3 || rows[2].Host != "host-3" || rows[2].Zone != "nova" || rows[2].State != "up" {
		t.Errorf("services %+v", rows)
	}
	if client.Microversion >= "2.53" || client.Microversion == "2.104" {
		row := must[*services.Service](t)(services.Update(ctx, client, rows[0].ID, services.UpdateOpts{Status: services.ServiceDisabled, DisabledReason: "repair",
			ForcedDown: true}).Extract())
		if row.Status != "disabled" || row.DisabledReason != "repair" || row.State != "down" || !row.ForcedDown {
			t.Errorf("service %+v", row)
		}
	}
	zones := must[[]availabilityzones.AvailabilityZone](t)(availabilityzones.ExtractAvailabilityZones(must[pagination.Page](t)(availabilityzones.ListDetail(client).AllPages(ctx))))
	if len(zones) != 2 || zones[1].ZoneName != "nova" || !zones[1].ZoneState.Available || len(zones[0].Hosts) != 1 {
		t.Errorf("zones %+v", zones)
	}
	l := must[*limits.Limits](t)(limits.Get(ctx, client, nil).Extract())
	if l.Absolute.MaxTotalInstances != 10 || l.Absolute.MaxTotalRAMSize != 51200 {
		t.Errorf("limits %+v", l)
	}
}
