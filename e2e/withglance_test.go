//go:build e2e

package e2e

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/stretchr/testify/require"
)

// An operator's own Keystone and Glance: Debian's. Instances are built of Glance's images, and those made of instances go there.
func TestWithGlance(t *testing.T) {
	t.Parallel()
	keystone, _ := startKeystone(t)
	s := newOperator(t, keystone)
	glance, killGlance := startGlance(t, keystone)
	f := &fleet{t: t, net: nextNet()}
	a := f.config("one", f.net+".1", fmt.Sprintf(`
server {
  enabled = true
  bootstrap_expect = 1
  identity {
    mode          = "keystone"
    auth_url      = %q
    username      = "kilonova"
    password_file = %q
    project       = "service"
  }
  image {
    mode     = "glance"
    endpoint = %q
  }
}
client {
  enabled = true
  drivers = ["fake"]
}
plugin "fake" {
  config {
    image_formats = ["raw", "qcow2"]
  }
}
`, keystone, s.secret, glance))
	s.serves("compute", "nova", a.url()+"/compute/v2.1")
	s.serves("image", "glance", glance)
	anna := s.anna()
	a.start()
	a.healthy()
	resp, err := http.Get(a.url() + "/image/v2/images")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 404, resp.StatusCode, "the Image API is Glance's alone")

	disk := filepath.Join(t.TempDir(), "disk")
	data := []byte(strings.Repeat("a disk ", 100_000))
	require.NoError(t, os.WriteFile(disk, data, 0o600))
	s.run("flavor", "create", "--ram", "64", "--disk", "1", "--vcpus", "1", "small")
	s.run("image", "create", "--disk-format", "raw", "--container-format", "bare", "--public", "--property", "os_distro=debian", "--file", disk, "base")
	s.run("image", "create", "--disk-format", "raw", "--container-format", "bare", "--private", "--file", disk, "admins")
	anna.run("server", "create", "--flavor", "small", "--image", "base", "--wait", "first")
	sum := sha512.Sum512(data)
	require.NotEmpty(t, glob(t, a.dir, hex.EncodeToString(sum[:])), "the host has the image's bytes")

	var first, admins struct{ ID string }
	anna.json(&first, "server", "show", "first")
	s.json(&admins, "image", "show", "admins")
	g := &glanceUser{cloud: loginAt(t, keystone, "anna", "anna-s3cret", "web"), stock: anna, agent: a, instance: first.ID}
	t.Run("what Glance does not show is not there", func(t *testing.T) {
		_, err := g.send(http.MethodPost, g.url()+"/action", fmt.Sprintf(`{"rebuild": {"imageRef": %q}}`, admins.ID))
		require.ErrorContains(t, err, "Can not find requested image")
		code, text := send(t, http.MethodGet, a.url()+"/compute/v2.1/images/detail", g.provider.Token())
		require.Equal(t, 200, code, text)
		require.Contains(t, text, `"base"`)
		require.NotContains(t, text, `"admins"`)
		require.Contains(t, text, glance+"/images/")
	})
	t.Run("a snapshot goes to Glance", g.snapshot)
	t.Run("backups are rotated there", g.backups)
	t.Run("a shelved instance's disk is there for as long as it is shelved", g.shelve)
	t.Run("without Glance what runs goes on", func(t *testing.T) {
		killGlance()
		g.act(`{"os-stop": null}`)
		waitStatus(t, g.cloud, time.Minute, "SHUTOFF", first.ID)
		code, text := send(t, http.MethodGet, a.url()+"/compute/v2.1/images", g.provider.Token())
		require.Equal(t, 503, code, text)
		require.Contains(t, text, "The Image service cannot be asked now; try again.")
	})
}

// glanceUser is somebody with an instance, whose images are in Glance.
type glanceUser struct {
	*cloud
	stock    *stock
	agent    *agent
	instance string
}

func (g *glanceUser) url() string { return g.agent.url() + "/compute/v2.1/servers/" + g.instance }

// act has something done with the instance.
func (g *glanceUser) act(body string) {
	g.t.Helper()
	_, err := g.send(http.MethodPost, g.url()+"/action", body)
	require.NoError(g.t, err)
}

// pollImages waits until the user's images have the names and statuses.
func (g *glanceUser) pollImages(want ...string) {
	g.t.Helper()
	eventually(g.t, time.Minute, "Glance has "+strings.Join(want, ", "), func() error {
		var got []string
		pages, err := images.List(g.image, images.ListOpts{Owner: imageOwner(g.cloud)}).AllPages(context.Background())
		if err != nil {
			return err
		}
		list, err := images.ExtractImages(pages)
		for _, i := range list {
			got = append(got, i.Name+" "+string(i.Status))
		}
		if slices.Sort(got); err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("it has %q", got)
		}
		return err
	})
}

func (g *glanceUser) snapshot(t *testing.T) {
	g.stock.run("server", "image", "create", "--name", "snap", "--wait", "first")
	var snap struct {
		ID, Status string
		Properties map[string]any
	}
	g.stock.json(&snap, "image", "show", "snap")
	require.Equal(t, "active", snap.Status)
	require.Equal(t, "debian", snap.Properties["os_distro"])
	require.Equal(t, "snapshot", snap.Properties["image_type"])
	g.act(fmt.Sprintf(`{"rebuild": {"imageRef": %q}}`, snap.ID))
	waitStatus(t, g.cloud, time.Minute, "ACTIVE", g.instance)
}

func (g *glanceUser) backups(t *testing.T) {
	for n, have := range [][]string{{"monday active", "snap active"}, {"monday active", "snap active", "tuesday active"}, {"snap active", "tuesday active", "wednesday active"}} {
		eventually(t, time.Minute, "another backup begins", func() error { // the one before is in Glance a little earlier than its task ends
			_, err := g.send(http.MethodPost, g.url()+"/action", fmt.Sprintf(`{"createBackup": {"name": %q, "backup_type": "daily", "rotation": 2}}`, []string{"monday", "tuesday", "wednesday"}[n]))
			return err
		})
		g.pollImages(have...)
	}
}

func (g *glanceUser) shelve(t *testing.T) {
	eventually(t, time.Minute, "shelving begins", func() error {
		_, err := g.send(http.MethodPost, g.url()+"/action", `{"shelve": null}`)
		return err
	})
	waitStatus(t, g.cloud, time.Minute, "SHELVED_OFFLOADED", g.instance)
	g.pollImages("first-shelved active", "snap active", "tuesday active", "wednesday active")
	g.act(`{"unshelve": null}`)
	waitStatus(t, g.cloud, time.Minute, "ACTIVE", g.instance)
	g.pollImages("snap active", "tuesday active", "wednesday active")
}

// imageOwner is the project of the login.
func imageOwner(c *cloud) string {
	r, ok := c.provider.GetAuthResult().(tokens.CreateResult)
	require.True(c.t, ok)
	p, err := r.ExtractProject()
	require.NoError(c.t, err)
	return p.ID
}

// glob returns the files below a folder whose names begin so.
func glob(t *testing.T, dir, prefix string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), prefix) {
			found = append(found, path)
		}
		return nil
	}))
	return found
}

// send makes one request with a token and returns the status and the body.
func send(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	req.Header.Set("X-Auth-Token", token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}
