package gophercloud_test

import (
	"fmt"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"

	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
)

func TestFlavors(t *testing.T) {
	at(t, "2.55 2.61 2.75 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 0, proxy.Services{})
		ctx, client := t.Context(), c.client("admin", version)
		description := ""
		if minor(client) >= 55 {
			description = "d"
		}
		disk, swap, ephemeral, yes := 2, 64, 1, true
		factor := map[bool]float64{true: 1.5, false: 0}[minor(client) < 102] // Nova takes none from 2.102 on
		for i := range 3 {
			f := must[*flavors.Flavor](t)(flavors.Create(ctx, client, flavors.CreateOpts{Name: fmt.Sprintf("f%d", i), ID: fmt.Sprintf("%d0", i), RAM: 8192 << i, VCPUs: 1 + i, Disk: &disk,
				Swap: &swap, Ephemeral: &ephemeral, RxTxFactor: factor, IsPublic: &yes, Description: description}).Extract())
			equal(t, "flavor", *f, flavors.Flavor{ID: fmt.Sprintf("%d0", i), Disk: 2, RAM: 8192 << i, Name: fmt.Sprintf("f%d", i), RxTxFactor: factor, Swap: 64, VCPUs: 1 + i, IsPublic: true,
				Ephemeral: 1, Description: description, ExtraSpecs: map[string]string{}})
		}
		if description != "" {
			equal(t, "description", must[*flavors.Flavor](t)(flavors.Update(ctx, client, "10", flavors.UpdateOpts{Description: "new"}).Extract()).Description, "new")
		} else {
			_, err := flavors.Update(ctx, client, "10", flavors.UpdateOpts{Description: "new"}).Extract()
			c.refused(404, "", err) // it came with 2.55
		}
		list, pages := everything(t, flavors.ListDetail(client, flavors.ListOpts{Limit: 3, SortKey: "memory_mb", SortDir: "desc"}), flavors.ExtractFlavors)
		if len(list) != 5 || pages != 2 || list[0].ID != "20" || list[4].ID != "1" {
			t.Errorf("%d flavors on %d pages: %+v", len(list), pages, list)
		}
		for want, opts := range map[string]flavors.ListOpts{"2 with much memory": {MinRAM: 16384}, "1 with much disk": {MinDisk: 3}, "0 private": {AccessType: flavors.PrivateAccess},
			"5 public": {AccessType: flavors.PublicAccess}, "5 in all": {AccessType: flavors.AllAccess}} {
			some, _ := everything(t, flavors.ListDetail(client, opts), flavors.ExtractFlavors)
			equal(t, "flavors", fmt.Sprint(len(some), want[1:]), want)
		}
		c.done(flavors.Delete(ctx, client, "10").ExtractErr())
		_, err := flavors.Get(ctx, client, "10").Extract()
		c.refused(404, "Flavor 10 could not be found.", err)
	})
}

func TestFlavorAccess(t *testing.T) {
	at(t, "2.7 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 0, proxy.Services{})
		ctx, client, alice := t.Context(), c.client("admin", version), c.client("alice", version)
		disk, no := 2, false
		f := must[*flavors.Flavor](t)(flavors.Create(ctx, client, flavors.CreateOpts{Name: "secret", RAM: 512, VCPUs: 1, Disk: &disk, IsPublic: &no}).Extract())
		_, err := flavors.Get(ctx, alice, f.ID).Extract()
		c.refused(404, "Flavor "+f.ID+" could not be found.", err)
		want := []flavors.FlavorAccess{{FlavorID: f.ID, TenantID: aliceProject}}
		equal(t, "added", must[[]flavors.FlavorAccess](t)(flavors.AddAccess(ctx, client, f.ID, flavors.AddAccessOpts{Tenant: aliceProject}).Extract()), want)
		list, _ := everything(t, flavors.ListAccesses(client, f.ID), flavors.ExtractAccesses)
		equal(t, "listed", list, want)
		equal(t, "seen", must[*flavors.Flavor](t)(flavors.Get(ctx, alice, f.ID).Extract()).IsPublic, false)
		_, err = flavors.AddAccess(ctx, client, f.ID, flavors.AddAccessOpts{Tenant: aliceProject}).Extract()
		c.refused(409, "Flavor access already exists", err)
		equal(t, "removed", must[[]flavors.FlavorAccess](t)(flavors.RemoveAccess(ctx, client, f.ID, flavors.RemoveAccessOpts{Tenant: aliceProject}).Extract()), "[]")
	})
}

func TestExtraSpecs(t *testing.T) {
	at(t, "2.61 2.86 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 0, proxy.Services{})
		ctx, client := t.Context(), c.client("admin", version)
		all := func() map[string]string {
			return must[map[string]string](t)(flavors.ListExtraSpecs(ctx, client, "1").Extract())
		}
		equal(t, "at first", all(), "map[]")
		specs := flavors.ExtraSpecsOpts{"hw:cpu_policy": "shared", "hw:mem_page_size": "small"}
		equal(t, "made", must[map[string]string](t)(flavors.CreateExtraSpecs(ctx, client, "1", specs).Extract()), specs)
		one := flavors.ExtraSpecsOpts{"hw:cpu_policy": "dedicated"}
		equal(t, "updated", must[map[string]string](t)(flavors.UpdateExtraSpec(ctx, client, "1", one).Extract()), one)
		equal(t, "one", must[map[string]string](t)(flavors.GetExtraSpec(ctx, client, "1", "hw:cpu_policy").Extract()), one)
		c.done(flavors.DeleteExtraSpec(ctx, client, "1", "hw:mem_page_size").ExtractErr())
		equal(t, "at last", all(), one)
		if minor(client) >= 61 {
			equal(t, "in the flavor", must[*flavors.Flavor](t)(flavors.Get(ctx, client, "1").Extract()).ExtraSpecs, one)
		}
		_, err := flavors.GetExtraSpec(ctx, client, "1", "x").Extract()
		c.refused(404, "Flavor 1 has no extra specs with key x.", err)
	})
}

func TestKeypairs(t *testing.T) {
	at(t, "2.2 2.10 2.35 2.91 2.92 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 0, proxy.Services{})
		ctx, client, admin := t.Context(), c.client("alice", version), c.client("admin", version)
		n := minor(client)
		for _, name := range []string{"b", "a"} {
			opts := keypairs.CreateOpts{Name: name, PublicKey: sshKey}
			if n >= 2 {
				opts.Type = "ssh"
			}
			k := must[*keypairs.KeyPair](t)(keypairs.Create(ctx, client, opts).Extract())
			if k.Fingerprint != "76:96:26:01:4e:5f:ea:d5:05:9c:e3:01:b8:93:9e:f1" || k.UserID != aliceUser || k.Name != name { // as ssh-keygen -l -E md5 says
				t.Errorf("keypair %+v", k)
			}
		}
		list, _ := everything(t, keypairs.List(client, nil), keypairs.ExtractKeyPairs)
		first := map[bool]string{true: "a", false: "b"}[n >= 35]
		if len(list) != 2 || list[0].Name != first || n >= 2 && list[0].Type != "ssh" {
			t.Errorf("keypairs %+v", list)
		}
		got := must[*keypairs.KeyPair](t)(keypairs.Get(ctx, client, "a", nil).Extract())
		if got.PublicKey != sshKey || got.UserID != aliceUser || got.PrivateKey != "" {
			t.Errorf("keypair %+v", got)
		}
		if n < 92 {
			made := must[*keypairs.KeyPair](t)(keypairs.Create(ctx, client, keypairs.CreateOpts{Name: "made"}).Extract())
			if made.PrivateKey == "" || made.PublicKey == "" {
				t.Errorf("keypair %+v", made)
			}
		} else {
			_, err := keypairs.Create(ctx, client, keypairs.CreateOpts{Name: "made"}).Extract()
			c.refused(400, "public_key", err)
		}
		if n >= 10 { // an administrator's ones of others
			must[*keypairs.KeyPair](t)(keypairs.Create(ctx, admin, keypairs.CreateOpts{Name: "theirs", PublicKey: sshKey, UserID: aliceUser}).Extract())
			list, _ := everything(t, keypairs.List(admin, keypairs.ListOpts{UserID: aliceUser}), keypairs.ExtractKeyPairs)
			equal(t, "keypairs", len(list), map[bool]int{true: 4, false: 3}[n < 92])
			equal(t, "owner", must[*keypairs.KeyPair](t)(keypairs.Get(ctx, admin, "theirs", keypairs.GetOpts{UserID: aliceUser}).Extract()).UserID, aliceUser)
			c.done(keypairs.Delete(ctx, admin, "theirs", keypairs.DeleteOpts{UserID: aliceUser}).ExtractErr())
		}
		c.done(keypairs.Delete(ctx, client, "a", nil).ExtractErr())
		_, err := keypairs.Get(ctx, client, "a", nil).Extract()
		c.refused(404, "Keypair a not found for user "+aliceUser, err)
	})
}
