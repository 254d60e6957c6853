package gophercloud_test

import (
	"fmt"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/aggregates"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/availabilityzones"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/hypervisors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/services"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
)

func TestHypervisors(t *testing.T) {
	at(t, "2.28 2.33 2.52 2.53 2.75 2.87 2.88 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 3, proxy.Services{})
		for h := range c.core.Stale().Hosts() {
			again := *h
			again.Attributes = map[string]string{"uptime": "up 3 days"}
			propose(c, fsm.HostRegister, &structs.HostRegisterRequest{Host: again, Now: h.CreatedAt})
		}
		ctx, client := t.Context(), c.client("admin", version)
		n := minor(client)
		id := c.boot(c.client("alice", version), servers.CreateOpts{}, nil)
		list, _ := everything(t, hypervisors.List(client, nil), hypervisors.ExtractHypervisors)
		if len(list) != 3 || list[0].HypervisorHostname != "host-1" || list[0].State != "up" || list[0].Status != "enabled" || list[0].HypervisorType != "fake" ||
			list[0].HypervisorVersion != 1000000 || n < 88 && (list[0].VCPUs != 1000 || list[0].MemoryMB != 8<<20 || list[0].LocalGB != 100000) {
			t.Errorf("hypervisors %+v", list)
		}
		one := must[*hypervisors.Hypervisor](t)(hypervisors.Get(ctx, client, list[1].ID).Extract())
		if one.HypervisorHostname != "host-2" || one.Service.Host != "host-2" || one.Service.ID == "" {
			t.Errorf("hypervisor %+v", one)
		}
		if n >= 53 {
			gopherServersOfHypervisors(t, c, client, id)
		}
		if n < 88 {
			s := must[*hypervisors.Statistics](t)(hypervisors.GetStatistics(ctx, client).Extract())
			if s.Count != 3 || s.VCPUs != 3000 || s.VCPUsUsed != 1 || s.RunningVMs != 1 || s.MemoryMBUsed < 512 || s.LocalGB != 300000 {
				t.Errorf("statistics %+v", s)
			}
			up := must[*hypervisors.Uptime](t)(hypervisors.GetUptime(ctx, client, list[1].ID).Extract())
			equal(t, "uptime", up.HypervisorHostname+" "+up.State+" "+up.Status+" "+up.Uptime, "host-2 up enabled up 3 days")
		} else {
			_, err := hypervisors.GetStatistics(ctx, client).Extract()
			c.refused(404, "", err)
			_, err = hypervisors.GetUptime(ctx, client, list[1].ID).Extract()
			c.refused(404, "", err)
		}
	})
}

func gopherServersOfHypervisors(t *testing.T, c *cloud, client *gophercloud.ServiceClient, id string) {
	host := c.get(client, id).Host
	pattern, yes, two := host, true, 2
	list, _ := everything(t, hypervisors.List(client, hypervisors.ListOpts{HypervisorHostnamePattern: &pattern, WithServers: &yes}), hypervisors.ExtractHypervisors)
	if len(list) != 1 || list[0].HypervisorHostname != host || list[0].Servers == nil || (*list[0].Servers)[0].UUID != id {
		t.Errorf("hypervisors with servers %+v", list)
	}
	one := must[*hypervisors.Hypervisor](t)(hypervisors.GetExt(t.Context(), client, list[0].ID, hypervisors.GetOpts{WithServers: &yes}).Extract())
	if one.Servers == nil || (*one.Servers)[0].UUID != id {
		t.Errorf("hypervisor with servers %+v", one)
	}
	paged, pages := everything(t, hypervisors.List(client, hypervisors.ListOpts{Limit: &two}), hypervisors.ExtractHypervisors)
	if len(paged) != 3 || pages != 2 {
		t.Errorf("%d hypervisors on %d pages", len(paged), pages)
	}
}

func TestServices(t *testing.T) {
	at(t, "2.11 2.52 2.53 2.69 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 3, proxy.Services{})
		ctx, client := t.Context(), c.client("admin", version)
		n := minor(client)
		rows, _ := everything(t, services.List(client, services.ListOpts{Binary: "nova-compute"}), services.ExtractServices)
		if len(rows) != 3 || rows[2].Host != "host-3" || rows[2].Zone != "nova" || rows[2].State != "up" || rows[2].Status != "enabled" || rows[2].UpdatedAt.IsZero() {
			t.Errorf("services %+v", rows)
		}
		one, _ := everything(t, services.List(client, services.ListOpts{Host: "host-2"}), services.ExtractServices)
		equal(t, "services of a host", len(one), 1)
		c.refused(409, "Host host-1 is up", services.Delete(ctx, client, rows[0].ID).ExtractErr())
		if n >= 53 {
			row := must[*services.Service](t)(services.Update(ctx, client, rows[0].ID, services.UpdateOpts{Status: services.ServiceDisabled, DisabledReason: "repair",
				ForcedDown: true}).Extract())
			if row.Status != "disabled" || row.DisabledReason != "repair" || row.State != "down" || !row.ForcedDown {
				t.Errorf("service %+v", row)
			}
		} else {
			_, err := services.Update(ctx, client, rows[0].ID, services.UpdateOpts{Status: services.ServiceDisabled}).Extract()
			c.refused(400, "'binary' is a required property", err) // an id came with 2.53
		}
		host := c.core.Stale().HostByName("host-1")
		propose(c, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: host.ID, Epoch: host.Epoch, Status: structs.HostDown}}})
		c.done(services.Delete(ctx, client, rows[0].ID).ExtractErr())
		left, _ := everything(t, services.List(client, services.ListOpts{Binary: "nova-compute"}), services.ExtractServices)
		equal(t, "services left", len(left), 2)
	})
}

func TestAggregates(t *testing.T) {
	at(t, "2.40 2.41 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 2, proxy.Services{})
		ctx, client := t.Context(), c.client("admin", version)
		made := must[*aggregates.Aggregate](t)(aggregates.Create(ctx, client, aggregates.CreateOpts{Name: "agg", AvailabilityZone: "zone"}).Extract())
		if made.ID != 1 || made.Name != "agg" || made.AvailabilityZone != "zone" || made.CreatedAt.IsZero() || made.Deleted || (made.UUID != "") != (minor(client) >= 41) {
			t.Errorf("aggregate %+v", made)
		}
		a := must[*aggregates.Aggregate](t)(aggregates.Update(ctx, client, 1, aggregates.UpdateOpts{Name: "renamed", AvailabilityZone: "other"}).Extract())
		equal(t, "updated", a.Name+" "+a.AvailabilityZone, "renamed other")
		a = must[*aggregates.Aggregate](t)(aggregates.AddHost(ctx, client, 1, aggregates.AddHostOpts{Host: "host-1"}).Extract())
		equal(t, "hosts", a.Hosts, "[host-1]")
		a = must[*aggregates.Aggregate](t)(aggregates.SetMetadata(ctx, client, 1, aggregates.SetMetadataOpts{Metadata: map[string]any{"ssd": "true", "availability_zone": "third"}}).Extract())
		equal(t, "metadata", a.Metadata, map[string]string{"ssd": "true", "availability_zone": "third"})
		a = must[*aggregates.Aggregate](t)(aggregates.SetMetadata(ctx, client, 1, aggregates.SetMetadataOpts{Metadata: map[string]any{"ssd": nil}}).Extract())
		equal(t, "less metadata", a.Metadata, map[string]string{"availability_zone": "third"})
		list, _ := everything(t, aggregates.List(client), aggregates.ExtractAggregates)
		a = must[*aggregates.Aggregate](t)(aggregates.Get(ctx, client, 1).Extract())
		equal(t, "list", list, []aggregates.Aggregate{*a})
		gopherZones(t, c, version)
		c.refused(400, "Host aggregate is not empty", aggregates.Delete(ctx, client, 1).ExtractErr())
		a = must[*aggregates.Aggregate](t)(aggregates.RemoveHost(ctx, client, 1, aggregates.RemoveHostOpts{Host: "host-1"}).Extract())
		equal(t, "hosts", a.Hosts, "[]")
		c.done(aggregates.Delete(ctx, client, 1).ExtractErr())
		_, err := aggregates.Get(ctx, client, 1).Extract()
		c.refused(404, "Aggregate 1 could not be found.", err)
	})
}

// gopherZones sees host-1 in the zone third, as everybody and as an administrator.
func gopherZones(t *testing.T, c *cloud, version string) {
	names := func(p pagination.Pager) (all []string) {
		t.Helper()
		for _, z := range must[[]availabilityzones.AvailabilityZone](t)(availabilityzones.ExtractAvailabilityZones(must[pagination.Page](t)(p.AllPages(t.Context())))) {
			for host, of := range z.Hosts {
				s := of["nova-compute"]
				all = append(all, fmt.Sprint(z.ZoneName, " ", host, " ", s.Active, s.Available, s.UpdatedAt.IsZero()))
			}
			if z.Hosts == nil {
				all = append(all, fmt.Sprint(z.ZoneName, " ", z.ZoneState.Available))
			}
		}
		return sorted(all)
	}
	equal(t, "zones", names(availabilityzones.List(c.client("alice", version))), "[nova true third true]")
	equal(t, "zones in detail", names(availabilityzones.ListDetail(c.client("admin", version))), "[nova host-2 true true false third host-1 true true false]")
}
