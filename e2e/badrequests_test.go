//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/compute/computetest"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbG9ub3ZhIHRlc3Qga2V5IHdpdGggbm8gbWVhbmlu test"

// Wrong requests against the built binary: each gets Nova's status and body, and none changes anything.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	a := newDev(t, "-driver", "fake")
	admin, demo := login(t, a.url(), "admin", "kilonova", "admin"), login(t, a.url(), "demo", "kilonova", "demo")
	w := newWorld(t, a, admin, demo)
	base := a.url() + "/compute/v2.1"
	state := func() []byte {
		var all []any
		for _, path := range []string{base + "/servers/detail?all_tenants=1", base + "/flavors/detail?is_public=none", base + "/os-keypairs",
			base + "/os-services", a.url() + "/image/v2/images"} {
			var v any
			require.NoError(t, admin.get(path, &v))
			all = append(all, v)
		}
		b, err := json.Marshal(all)
		require.NoError(t, err)
		return b
	}
	require.GreaterOrEqual(t, len(computetest.BadRequests(w)), 60)
	computetest.Run(t, http.DefaultClient, base, w, state)
}

// newWorld makes what the table speaks of: demo is the member, the administrator the other.
func newWorld(t *testing.T, a *agent, admin, demo *cloud) computetest.World {
	t.Helper()
	ctx := context.Background()
	flavor := func(id string, disk int, public bool) string {
		f, err := flavors.Create(ctx, admin.compute, flavors.CreateOpts{ID: id, Name: id, RAM: 512, VCPUs: 1, Disk: &disk, IsPublic: &public}).Extract()
		require.NoError(t, err)
		return f.ID
	}
	public := images.ImageVisibilityPublic
	image := func(o images.CreateOpts, file string) string {
		o.ContainerFormat, o.Visibility = "bare", &public
		im, err := images.Create(ctx, admin.image, o).Extract()
		require.NoError(t, err)
		if file != "" {
			f, err := os.Open(file)
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, imagedata.Upload(ctx, admin.image, im.ID, f).ExtractErr())
		}
		return im.ID
	}
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small.raw"), filepath.Join(dir, "large.qcow2")
	require.NoError(t, os.WriteFile(small, make([]byte, 4096), 0o600))
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", large, "2G").CombinedOutput()
	require.NoError(t, err, "%s", out)

	w := computetest.World{Member: demo.provider.Token(), Other: admin.provider.Token(), Admin: admin.provider.Token(), Unscoped: unscoped(t, a),
		Flavor: flavor("small", 1, true), Private: flavor("private", 1, false), ZeroDisk: flavor("zero", 0, true), Keypair: "key",
		Image: image(images.CreateOpts{Name: "small", DiskFormat: "raw"}, small), Queued: image(images.CreateOpts{Name: "queued", DiskFormat: "raw"}, ""),
		TooBig: image(images.CreateOpts{Name: "big", DiskFormat: "qcow2"}, large), MinMemory: image(images.CreateOpts{Name: "memory", DiskFormat: "raw", MinRAM: 1024}, small),
		MinDisk: image(images.CreateOpts{Name: "disk", DiskFormat: "raw", MinDisk: 2}, small)}
	w.MemberProject, _ = who(t, demo)
	w.OtherProject, w.OtherUser = who(t, admin)
	demo.compute.Microversion = "2.2"
	_, err = keypairs.Create(ctx, demo.compute, keypairs.CreateOpts{Name: "key", PublicKey: publicKey}).Extract()
	require.NoError(t, err)
	boot := func(c *cloud) string {
		s, err := servers.Create(ctx, c.compute, servers.CreateOpts{Name: "there", ImageRef: w.Image, FlavorRef: w.Flavor}, nil).Extract()
		require.NoError(t, err)
		waitStatus(t, c, 30*time.Second, "ACTIVE", s.ID)
		return s.ID
	}
	w.Active, w.Others = boot(demo), boot(admin)
	var hosts struct {
		Hypervisors []struct {
			ID       string `json:"id"`
			Hostname string `json:"hypervisor_hostname"`
		}
	}
	require.NoError(t, admin.get(admin.compute.Endpoint+"os-hypervisors", &hosts))
	require.Len(t, hosts.Hypervisors, 1)
	w.Host, w.Name = hosts.Hypervisors[0].ID, hosts.Hypervisors[0].Hostname
	return w
}

func who(t *testing.T, c *cloud) (project, user string) {
	t.Helper()
	r := c.provider.GetAuthResult().(tokens.CreateResult)
	p, err := r.ExtractProject()
	require.NoError(t, err)
	u, err := r.ExtractUser()
	require.NoError(t, err)
	return p.ID, u.ID
}

// unscoped logs in without a project; a user's default project would be taken if nothing were said.
func unscoped(t *testing.T, a *agent) string {
	t.Helper()
	body := `{"auth": {"scope": "unscoped", "identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": "kilonova", "domain": {"id": "default"}}}}}}`
	resp, err := http.Post(a.url()+"/identity/v3/auth/tokens", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	return resp.Header.Get("X-Subject-Token")
}
