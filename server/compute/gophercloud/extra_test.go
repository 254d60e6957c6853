package gophercloud_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/apiversions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/diagnostics"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/extensions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/remoteconsoles"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/tags"
	"github.com/gophercloud/gophercloud/v2/pagination"

	common "github.com/gophercloud/gophercloud/v2/openstack/common/extensions"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
)

func TestSnapshots(t *testing.T) {
	at(t, "2.44 2.45 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		client := c.client("alice", version)
		id := c.boot(client, servers.CreateOpts{}, nil)
		made := must[string](t)(servers.CreateImage(t.Context(), client, id, servers.CreateImageOpts{Name: "snap", Metadata: map[string]string{"k": "v"}}).ExtractImageID())
		img := c.core.Stale().Image(structs.ImageID(made))
		if img == nil || img.Name != "snap" || img.ProjectID != aliceProject || img.Properties["k"] != "v" {
			t.Fatalf("image %+v", img)
		}
		equal(t, "under way", c.get(client, id).TaskState, "image_snapshot_pending")
		c.drive()
		equal(t, "after it", c.get(client, id).TaskState, "")
		_, err := servers.CreateImage(t.Context(), client, id, servers.CreateImageOpts{Name: ""}).ExtractImageID()
		if err == nil {
			t.Error("without a name")
		}
	})
}

func TestGuestPassword(t *testing.T) {
	at(t, "2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		client := c.client("alice", version)
		id := c.boot(client, servers.CreateOpts{}, nil)
		equal(t, "none", must[string](t)(servers.GetPassword(t.Context(), client, id).ExtractPassword(nil)), "")
		key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
		//lint:ignore SA1019 guests encrypt their passwords so, for every client that there is
		secret := base64.StdEncoding.EncodeToString(must[[]byte](t)(rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, []byte("secret"))))
		c.core.Write(func(tx *state.Txn) {
			ins := tx.Instance(structs.InstanceID(id)).Copy()
			ins.Password = secret
			tx.PutInstance(ins)
		})
		equal(t, "raw", must[string](t)(servers.GetPassword(t.Context(), client, id).ExtractPassword(nil)), secret)
		equal(t, "read", must[string](t)(servers.GetPassword(t.Context(), client, id).ExtractPassword(key)), "secret")
	})
}

func TestDiagnostics(t *testing.T) {
	at(t, "2.47 2.48 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		c.core.Measure = func(*structs.Instance) (*structs.Diagnostics, error) {
			return &structs.Diagnostics{State: "running", MemoryMaxMiB: 512, CPUs: []structs.CPUDiagnostics{{Nanoseconds: 5}}}, nil
		}
		id := c.boot(c.client("alice", version), servers.CreateOpts{}, nil)
		admin := c.client("admin", version)
		got := must[map[string]any](t)(diagnostics.Get(t.Context(), admin, id).Extract())
		if minor(admin) >= 48 {
			equal(t, "diagnostics", fmt.Sprint(got["state"], " ", got["num_cpus"]), "running 1")
		} else {
			equal(t, "diagnostics", fmt.Sprint(got["memory"], " ", got["cpu0_time"]), "524288 5")
		}
		_, err := diagnostics.Get(t.Context(), c.client("alice", version), id).Extract()
		c.refused(403, "os-server-diagnostics", err)
	})
}

// No host has a remote console, and Nova's answer then is 400.
func TestRemoteConsoles(t *testing.T) {
	at(t, "2.6 2.104", func(t *testing.T, version string) {
		c := newCloud(t, 1, proxy.Services{})
		client := c.client("alice", version)
		id := c.boot(client, servers.CreateOpts{}, nil)
		_, err := remoteconsoles.Create(t.Context(), client, id, remoteconsoles.CreateOpts{Protocol: remoteconsoles.ConsoleProtocolVNC, Type: remoteconsoles.ConsoleTypeNoVNC}).Extract()
		if version == "" { // the request came with 2.6
			c.refused(404, "", err)
			return
		}
		c.refused(400, "Unavailable console type novnc.", err)
	})
}

func TestTags(t *testing.T) {
	for _, version := range []string{"2.26", "2.60", "2.104"} {
		c := newCloud(t, 1, proxy.Services{})
		client, ctx := c.client("alice", version), t.Context()
		id := c.boot(client, servers.CreateOpts{}, nil)
		all := func() []string { return sorted(must[[]string](t)(tags.List(ctx, client, id).Extract())) }
		equal(t, "at first", all(), "[]")
		for _, tag := range []string{"a", "b"} {
			c.done(tags.Add(ctx, client, id, tag).ExtractErr())
		}
		c.done(tags.Add(ctx, client, id, "a").ExtractErr()) // again
		equal(t, "added", all(), "[a b]")
		equal(t, "has a", must[bool](t)(tags.Check(ctx, client, id, "a").Extract()), true)
		equal(t, "has x", must[bool](t)(tags.Check(ctx, client, id, "x").Extract()), false)
		c.done(tags.Delete(ctx, client, id, "a").ExtractErr())
		equal(t, "one less", all(), "[b]")
		replaced := must[[]string](t)(tags.ReplaceAll(ctx, client, id, tags.ReplaceAllOpts{Tags: []string{"x", "y"}}).Extract())
		equal(t, "replaced", sorted(replaced), "[x y]")
		c.done(tags.DeleteAll(ctx, client, id).ExtractErr())
		equal(t, "none", all(), "[]")
	}
}

func TestExtensions(t *testing.T) {
	at(t, "2.104", func(t *testing.T, version string) {
		c := newCloud(t, 0, proxy.Services{})
		client := c.client("alice", version)
		list, _ := everything(t, extensions.List(client), extensions.ExtractExtensions)
		one := must[*common.Extension](t)(extensions.Get(t.Context(), client, "os-server-groups").Extract())
		if len(list) != 99 || one.Alias != "os-server-groups" || one.Name != "ServerGroups" {
			t.Errorf("%d extensions, %+v", len(list), one)
		}
		_, err := extensions.Get(t.Context(), client, "nothing").Extract()
		c.refused(404, "", err)
		equal(t, "URL", extensions.ActionURL(client, "x"), client.Endpoint+"servers/x/action")
	})
}

func TestVersions(t *testing.T) {
	at(t, "2.104", func(t *testing.T, version string) {
		c := newCloud(t, 0, proxy.Services{})
		client := c.client("alice", version)
		list := must[[]apiversions.APIVersion](t)(apiversions.ExtractAPIVersions(must[pagination.Page](t)(apiversions.List(client).AllPages(t.Context()))))
		one := must[*apiversions.APIVersion](t)(apiversions.Get(t.Context(), client, "v2.1").Extract())
		for _, v := range append(list, *one) {
			equal(t, "version", fmt.Sprint(v.ID, " ", v.Status, " ", v.MinVersion, " ", v.Version, " ", v.Updated.IsZero()), "v2.1 CURRENT 2.1 2.104 false")
		}
		equal(t, "versions", len(list), 1)
	})
}
