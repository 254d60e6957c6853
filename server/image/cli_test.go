package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keystone answers as much of Identity as a client needs to find the image endpoint: any password gives the token.
func (c *cloud) keystone(token string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method != http.MethodPost {
			_, _ = fmt.Fprintf(w, `{"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": "http://%s/v3/"}]}}`, r.Host)
			return
		}
		w.Header().Set("X-Subject-Token", token)
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token": {"methods": ["password"], "expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2020-01-01T00:00:00.000000Z",
			"user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}}, "project": {"id": "p1", "name": "p1", "domain": {"id": "default", "name": "Default"}},
			"roles": [], "audit_ids": ["a"], "catalog": [{"type": "image", "name": "glance", "id": "i", "endpoints": [
			{"id": "e", "interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": "%s/image"}]}]}}`, c.url)
	}))
	c.t.Cleanup(server.Close)
	return server.URL
}

// openstack runs the stock command; it returns what -f json answered.
func (c *cloud) openstack(identity string, args ...string) (any, error) {
	c.t.Helper()
	all := append([]string{"--os-auth-url", identity + "/v3", "--os-username", "u", "--os-password", "x", "--os-project-name", "p1",
		"--os-user-domain-id", "default", "--os-project-domain-id", "default", "image"}, args...)
	cmd := exec.CommandContext(c.t.Context(), "openstack", all...)
	cmd.Env = append(os.Environ(), "HOME="+c.t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		c.t.Logf("openstack image %v: %v\n%s", args, err, stderr.String())
		return nil, err
	}
	var v any
	if stdout.Len() > 0 {
		require.NoError(c.t, json.Unmarshal(stdout.Bytes(), &v), stdout.String())
	}
	return v, nil
}

// needsClient skips the test where a stock client is missing, unless that is demanded as real guests are: continuous integration installs both.
func needsClient(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	switch {
	case err != nil && os.Getenv("KILONOVA_TEST_LIBVIRT") == "1":
		t.Fatalf("KILONOVA_TEST_LIBVIRT=1, and %s is missing: install Debian's python3-openstackclient and python3-glanceclient", name)
	case err != nil:
		t.Skipf("%s is not installed", name)
	case testing.Short():
		t.Skip("starts python several times")
	}
}

// TestStockClient runs python-openstackclient where it is installed.
func TestStockClient(t *testing.T) {
	t.Parallel()
	needsClient(t, "openstack")
	c := newCloud(t, func(o *Options) { o.DefaultLimit = 2 })
	identity := c.keystone(member)
	run := func(args ...string) any {
		t.Helper()
		v, err := c.openstack(identity, args...)
		require.NoError(t, err, "%v", args)
		return v
	}
	file := filepath.Join(t.TempDir(), "disk.raw")
	data := bytes.Repeat([]byte("disk"), 10_000)
	require.NoError(t, os.WriteFile(file, data, 0o600))
	v := run("create", "-f", "json", "--file", file, "--disk-format", "raw", "--container-format", "bare", "--private", "--property", "hw_disk_bus=scsi",
		"--tag", "one", "--min-disk", "1", "cirros").(map[string]any)
	require.Equal(t, "queued", v["status"], "the client shows what it got before the upload")
	require.EqualValues(t, "active", c.stored(v["id"].(string)).Status)
	list := run("list", "-f", "json", "--long", "--tag", "one").([]any)
	require.Len(t, list, 1)
	for range 3 {
		c.image(member, `{}`)
	}
	require.Len(t, run("list", "-f", "json"), 4, "over several pages")
	v = run("show", "-f", "json", "cirros").(map[string]any)
	require.EqualValues(t, len(data), v["size"])
	saved := filepath.Join(t.TempDir(), "saved")
	run("save", "--file", saved, "cirros")
	got, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.Equal(t, data, got)
	run("set", "--name", "renamed", "--property", "os_distro=cirros", "--tag", "two", "--protected", "cirros")
	rec := c.stored(v["id"].(string))
	require.Equal(t, "renamed", rec.Name)
	require.Equal(t, []string{"one", "two"}, rec.Tags)
	require.Equal(t, "cirros", rec.Properties["os_distro"])
	run("unset", "--property", "os_distro", "--tag", "one", "renamed")
	_, err = c.openstack(identity, "delete", "renamed")
	require.Error(t, err, "protected")
	run("set", "--unprotected", "renamed")
	run("delete", "renamed")
	require.Nil(t, c.stored(string(rec.ID)))
	v = run("create", "-f", "json", "--import", "--file", file, "--disk-format", "raw", "--container-format", "bare", "imported").(map[string]any)
	c.waitFor(v["id"].(string), "active")
	require.EqualValues(t, len(data), c.stored(v["id"].(string)).Size)
}

// TestGlanceClient runs python-glanceclient, which reads the schemas, where it is installed.
func TestGlanceClient(t *testing.T) {
	t.Parallel()
	needsClient(t, "glance")
	c := newCloud(t, nil)
	run := c.glance(member)
	const id = "0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d11"
	file := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, os.WriteFile(file, []byte("disk"), 0o600))
	out := run("image-create", "--id", id, "--name", "cirros", "--disk-format", "raw", "--container-format", "bare", "--file", file, "--property", "a=b")
	require.Contains(t, out, "active")
	require.Contains(t, run("image-list"), id)
	require.Contains(t, run("image-update", "--remove-property", "a", "--name", "renamed", id), "renamed")
	saved := filepath.Join(t.TempDir(), "saved")
	run("image-download", "--file", saved, id)
	got, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.Equal(t, "disk", string(got))
	run("image-tag-update", id, "x")
	run("image-delete", id)
	require.Nil(t, c.stored(id))
	out, err = c.runGlance(member, "image-show", id)
	require.Error(t, err)
	require.Contains(t, out, "HTTP 404 Not Found: No image found with ID "+id)
}

// glance returns what runs python-glanceclient, which has to succeed.
func (c *cloud) glance(token string) func(args ...string) string {
	return func(args ...string) string {
		c.t.Helper()
		out, err := c.runGlance(token, args...)
		require.NoError(c.t, err, out)
		return out
	}
}

// runGlance runs python-glanceclient and returns all that it says.
func (c *cloud) runGlance(token string, args ...string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "glance", append([]string{"--os-auth-url", c.keystone(token) + "/v3", "--os-username", "u", "--os-password", "x",
		"--os-project-name", "p1", "--os-user-domain-id", "default", "--os-project-domain-id", "default"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+c.t.TempDir())
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestGlanceClientImport has python-glanceclient import in all the ways that it knows.
func TestGlanceClientImport(t *testing.T) {
	t.Parallel()
	needsClient(t, "glance")
	w := &web{}
	w.serve("fetched")
	c := newCloud(t, func(o *Options) { o.Fetch, o.Stores = w, withStores(t, "", newExtra("far")) })
	run, boss := c.glance(member), c.glance(admin)
	const staged, fetched = "0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d11", "0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d12"
	file := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, os.WriteFile(file, []byte("disk"), 0o600))
	require.Contains(t, run("import-info"), "web-download")
	require.Contains(t, run("stores-info"), "far")
	c.image(member, `{"id": "`+staged+`", "disk_format": "raw", "container_format": "bare"}`)
	run("image-stage", "--file", file, staged)
	require.Contains(t, run("image-show", staged), "uploading")
	run("image-import", "--import-method", "glance-direct", "--stores", "far", staged)
	c.waitFor(staged, "active")
	require.Contains(t, run("image-tasks", staged), "success")
	c.image(member, `{"id": "`+fetched+`", "disk_format": "raw", "container_format": "bare"}`)
	run("image-import", "--import-method", "web-download", "--uri", "http://example.org/disk", "--all-stores", "true", fetched)
	c.waitFor(fetched, "active")
	require.Equal(t, []string{"servers", "far"}, c.stored(fetched).Stores)
	boss("image-import", "--import-method", "copy-image", "--stores", "servers", staged)
	require.Eventually(t, func() bool { return c.stored(staged).InStore("servers") && c.stored(staged).TaskID == "" }, 20*time.Second, 5*time.Millisecond)
	boss("stores-delete", "--store", "far", staged)
	require.Equal(t, []string{"servers"}, c.stored(staged).Stores)
	require.Contains(t, boss("task-list"), "api_image_import")
	task := c.lastTask(staged)["id"].(string)
	require.Contains(t, boss("task-show", task), "success")
}
