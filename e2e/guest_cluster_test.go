//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Three servers and two clients with a libvirtd each: the stock client boots a real guest, which outlives the death of the leader and of its host's client.
func TestClusterRealGuest(t *testing.T) {
	t.Parallel()
	f := startFleet(t, func(i int) string {
		return fmt.Sprintf("drivers = [\"libvirt\"]\n state_dir = %q\n", shortDir(t))
	}, func(i int) string {
		return fmt.Sprintf("plugin \"libvirt\" {\n config {\n  socket = %q\n  virt_type = \"qemu\"\n }\n}\n", libvirtd(t))
	})
	s := f.stock(f.servers[0])
	s.run("image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", guestImage(t), "guest")
	s.run("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "small")
	s.run("server", "create", "--image", "guest", "--flavor", "small", "guest-one")
	s.waitStatus("guest-one", "ACTIVE", time.Minute)
	waitConsole(s, "guest-one", 2*time.Minute, "the guest has booted", func(c string) bool { return strings.Contains(c, "KILONOVA-GUEST-READY hostname=guest-one") })

	var v struct {
		Host string `json:"OS-EXT-SRV-ATTR:host"`
	}
	s.json(&v, "server", "show", "guest-one")
	leader := f.leader()
	leader.kill()
	s = f.stock(f.follower())
	before := uptime(waitConsole(s, "guest-one", time.Minute, "the console can be read without the leader", func(c string) bool { return uptime(c) > 0 }))
	for _, c := range f.clients {
		if c.name == v.Host {
			c.kill()
			c.start()
		}
	}
	waitConsole(s, "guest-one", time.Minute, "the guest's uptime goes on", func(c string) bool {
		return uptime(c) > before && strings.Count(c, "KILONOVA-GUEST-READY") == 1
	})
	s.run("server", "stop", "guest-one")
	s.waitStatus("guest-one", "SHUTOFF", 90*time.Second)
	s.run("server", "start", "guest-one")
	s.waitStatus("guest-one", "ACTIVE", time.Minute)
	s.run("server", "delete", "--wait", "guest-one")
	require.NotContains(t, s.run("server", "list"), "guest-one")
}

// shortDir is a folder with a short path, for unix sockets lie below it.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "kn-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// stock is the stock client against one server of the fleet.
func (f *fleet) stock(a *agent) *stock {
	f.t.Helper()
	clouds := fmt.Sprintf("clouds:\n  test:\n    region_name: RegionOne\n    identity_api_version: 3\n    auth:\n      auth_url: %s/identity/v3\n      username: admin\n      password: %s\n"+
		"      project_name: admin\n      user_domain_name: Default\n      project_domain_name: Default\n", a.url(), f.password)
	path := filepath.Join(a.dir, "clouds.yaml")
	require.NoError(f.t, os.WriteFile(path, []byte(clouds), 0o600))
	return newStock(f.t, a, "test")
}
