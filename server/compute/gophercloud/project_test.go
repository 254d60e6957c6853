package gophercloud_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servergroups"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/usage"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
)

func TestQuotas(t *testing.T) {
	at(t, "2.35 2.36 2.50 2.57 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		ctx, client, admin := t.Context(), c.client("alice", version), c.client("admin", version)
		c.boot(client, servers.CreateOpts{}, nil)
		n := minor(client)
		got := must[*quotasets.QuotaSet](t)(quotasets.Get(ctx, client, aliceProject).Extract())
		want := quotasets.QuotaSet{ID: aliceProject, KeyPairs: 100, MetadataItems: 128, RAM: 51200, Cores: 20, Instances: 10, ServerGroups: 10, ServerGroupMembers: 10}
		if n < 36 {
			want.FixedIPs, want.FloatingIPs, want.SecurityGroups, want.SecurityGroupRules = -1, -1, -1, -1
		}
		if n < 57 {
			want.InjectedFiles, want.InjectedFileContentBytes, want.InjectedFilePathBytes = 5, 10240, 255
		}
		equal(t, "quota", *got, want)
		detail := must[quotasets.QuotaDetailSet](t)(quotasets.GetDetail(ctx, client, aliceProject).Extract())
		equal(t, "detail", fmt.Sprint(detail.ID, detail.Instances, detail.Cores, detail.RAM), aliceProject+"{1 0 10} {1 0 20} {512 0 51200}")
		thirty, none := 30, 0
		set := must[*quotasets.QuotaSet](t)(quotasets.Update(ctx, admin, aliceProject, quotasets.UpdateOpts{Instances: &thirty, Cores: &thirty}).Extract())
		equal(t, "updated", fmt.Sprint(set.Instances, set.Cores, set.RAM), "30 30 51200")
		_, err := quotasets.Update(ctx, admin, aliceProject, quotasets.UpdateOpts{Instances: &none}).Extract()
		c.refused(400, "must be greater than or equal to already used", err)
		set = must[*quotasets.QuotaSet](t)(quotasets.Update(ctx, admin, aliceProject, quotasets.UpdateOpts{Instances: &none, Force: true}).Extract())
		equal(t, "forced", set.Instances, 0)
		_, err = quotasets.Update(ctx, client, aliceProject, quotasets.UpdateOpts{Instances: &thirty}).Extract()
		c.refused(403, "os-quota-sets:update", err)
		gopherLimits(t, c, client, admin)
		c.done(quotasets.Delete(ctx, admin, aliceProject).Err)
		equal(t, "deleted", must[*quotasets.QuotaSet](t)(quotasets.Get(ctx, client, aliceProject).Extract()).Instances, 10)
	})
}

// gopherLimits reads alice's, who has one instance and may have none, as she and as an administrator.
func gopherLimits(t *testing.T, c *cloud, client, admin *gophercloud.ServiceClient) {
	n := minor(client)
	for _, l := range []*limits.Limits{must[*limits.Limits](t)(limits.Get(t.Context(), client, nil).Extract()),
		must[*limits.Limits](t)(limits.Get(t.Context(), admin, limits.GetOpts{TenantID: aliceProject}).Extract())} {
		a := l.Absolute
		equal(t, "limits", fmt.Sprint(a.MaxTotalInstances, a.TotalInstancesUsed, a.MaxTotalCores, a.TotalCoresUsed, a.MaxTotalRAMSize, a.TotalRAMUsed, a.MaxServerMeta,
			a.MaxTotalKeypairs, a.MaxServerGroups, a.MaxServerGroupMembers), "0 1 30 1 51200 512 128 100 10 10")
		equal(t, "limits of once", fmt.Sprint(a.MaxTotalFloatingIps, a.MaxPersonality), fmt.Sprint(map[bool]int{true: -1}[n < 36], map[bool]int{true: 5}[n < 57]))
	}
}

func TestServerGroups(t *testing.T) {
	at(t, "2.13 2.15 2.63 2.64 2.71 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 3, proxy.Services{})
		ctx, client := t.Context(), c.client("alice", version)
		n := minor(client)
		opts := servergroups.CreateOpts{Name: "g", Policies: []string{"anti-affinity"}}
		if n >= 64 {
			opts = servergroups.CreateOpts{Name: "g", Policy: "anti-affinity", Rules: &servergroups.Rules{MaxServerPerHost: 2}}
		}
		made := must[*servergroups.ServerGroup](t)(servergroups.Create(ctx, client, opts).Extract())
		id := c.boot(client, servers.CreateOpts{}, servers.SchedulerHintOpts{Group: made.ID})
		got := must[*servergroups.ServerGroup](t)(servergroups.Get(ctx, client, made.ID).Extract())
		equal(t, "group", fmt.Sprint(got.Name, got.Members, got.UserID, got.ProjectID), fmt.Sprint("g", []string{id}, map[bool]string{true: aliceUser + aliceProject}[n >= 13]))
		if n >= 64 {
			equal(t, "policy", fmt.Sprint(*got.Policy, got.Rules.MaxServerPerHost), "anti-affinity2")
		} else {
			equal(t, "policies", got.Policies, "[anti-affinity]")
		}
		if n >= 71 {
			equal(t, "of the server", *c.get(client, id).ServerGroups, []string{made.ID})
		}
		must[*servergroups.ServerGroup](t)(servergroups.Create(ctx, client, servergroups.CreateOpts{Name: "h", Policies: opts.Policies, Policy: opts.Policy}).Extract())
		list, _ := everything(t, servergroups.List(client, nil), servergroups.ExtractServerGroups)
		equal(t, "groups", len(list), 2)
		page, _ := everything(t, servergroups.List(client, servergroups.ListOpts{Limit: 1, Offset: 1}), servergroups.ExtractServerGroups)
		if len(page) != 1 || page[0].ID != list[1].ID {
			t.Errorf("second page %+v", page)
		}
		all, _ := everything(t, servergroups.List(c.client("admin", version), servergroups.ListOpts{AllProjects: true}), servergroups.ExtractServerGroups)
		equal(t, "groups of all", len(all), 2)
		c.done(servergroups.Delete(ctx, client, made.ID).ExtractErr())
		_, err := servergroups.Get(ctx, client, made.ID).Extract()
		c.refused(404, "Instance group "+made.ID+" could not be found.", err)
	})
}

func TestUsage(t *testing.T) {
	at(t, "2.39 2.40 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		noon := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
		for _, id := range []string{"a", "b"} {
			c.core.Write(func(tx *state.Txn) {
				tx.PutInstance(&structs.Instance{ID: structs.InstanceID(id), ProjectID: aliceProject, Name: "n-" + id, VM: structs.VMDeleted, LaunchedAt: structs.TimeOf(noon),
					TerminatedAt: structs.TimeOf(noon.Add(90 * time.Minute)), DeletedAt: structs.TimeOf(noon.Add(90 * time.Minute)),
					Flavor: structs.Flavor{Name: "small", VCPUs: 2, MemoryMiB: 512, RootGiB: 3, EphemeralGiB: 1}})
			})
		}
		client, admin := c.client("alice", version), c.client("admin", version)
		from, to := noon.Add(-time.Hour), noon.Add(3*time.Hour)
		opts := usage.SingleTenantOpts{Start: &from, End: &to}
		var u *usage.TenantUsage
		c.done(usage.SingleTenant(client, aliceProject, opts).EachPage(t.Context(), func(_ context.Context, p pagination.Page) (_ bool, err error) {
			if u == nil {
				u, err = usage.ExtractSingleTenant(p)
			}
			return true, err
		}))
		equal(t, "usage", fmt.Sprint(u.TenantID, " ", u.TotalHours, u.TotalVCPUsUsage, u.TotalMemoryMBUsage, u.TotalLocalGBUsage, len(u.ServerUsages), u.Start, u.Stop),
			fmt.Sprint(aliceProject, " ", 3.0, 6.0, 1536.0, 12.0, 2, from, to))
		s := u.ServerUsages[0]
		equal(t, "usage of a server", fmt.Sprint(s.InstanceID, s.Name, s.Flavor, s.State, s.Hours, s.Uptime, s.VCPUs, s.MemoryMB, s.LocalGB, s.StartedAt, s.EndedAt, s.TenantID),
			fmt.Sprint("a", "n-a", "small", "terminated", 1.5, 5400, 2, 512, 4, noon, noon.Add(90*time.Minute), aliceProject))
		all, _ := everything(t, usage.AllTenants(admin, usage.AllTenantsOpts{Start: &from, End: &to, Detailed: true}), usage.ExtractAllTenants)
		if len(all) != 1 || all[0].TenantID != aliceProject || all[0].TotalHours != 3 || len(all[0].ServerUsages) != 2 {
			t.Errorf("usage of all %+v", all)
		}
		if minor(client) >= 40 {
			hours, seen := 0.0, ""
			c.done(usage.SingleTenant(client, aliceProject, usage.SingleTenantOpts{Start: &from, End: &to, Limit: 1}).EachPage(t.Context(), func(_ context.Context, p pagination.Page) (bool, error) {
				one, err := usage.ExtractSingleTenant(p) // the last page is an empty one, as Nova's is
				for _, s := range one.ServerUsages {
					hours, seen = hours+one.TotalHours, seen+s.InstanceID
				}
				return true, err
			}))
			equal(t, "on all pages", fmt.Sprint(seen, " ", hours), "ab 3")
			all, pages := everything(t, usage.AllTenants(admin, usage.AllTenantsOpts{Start: &from, End: &to, Limit: 1}), usage.ExtractAllTenants)
			equal(t, "pages of all", fmt.Sprint(len(all), " ", pages), "2 2")
		}
	})
}
