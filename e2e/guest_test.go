//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// guestImage is the image that `make guest-image` builds; it is built here when absent.
func guestImage(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../build/guest-image")
	require.NoError(t, err)
	path := filepath.Join(dir, "disk.qcow2")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	out, err := exec.Command("../scripts/guest-image/build", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// libvirtd starts a libvirtd of this test alone and returns its socket. Real guests need root and the packages: where they are missing the test fails, for
// otherwise nothing would show that guests boot.
func libvirtd(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kn-lv-") // short: unix sockets lie below
	require.NoError(t, err)
	out, err := exec.Command("../scripts/libvirtd/start", dir).CombinedOutput()
	require.NoError(t, err, "real guests need root, libvirt and QEMU (scripts/deps): %s", out)
	t.Cleanup(func() {
		out, err := exec.Command("../scripts/libvirtd/stop", "--guests", dir).CombinedOutput()
		if err != nil {
			t.Errorf("stop libvirtd: %v %s", err, out)
		}
		_ = os.RemoveAll(dir)
	})
	lines := strings.Fields(strings.TrimSpace(string(out)))
	return lines[len(lines)-1]
}

// newLibvirtDev starts a development agent with real guests.
func newLibvirtDev(t *testing.T) *agent {
	t.Helper()
	socket := libvirtd(t)
	dir, err := os.MkdirTemp("", "kn-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conf := filepath.Join(dir, "plugin.hcl")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "plugin \"libvirt\" {\n config {\n  socket = %q\n  virt_type = \"qemu\"\n }\n}\nserver {\n lease_ttl = \"5s\"\n heartbeat_interval = \"1s\"\n}\n", socket), 0o600))
	a := &agent{t: t, name: "dev", ip: nextNet() + ".1", dir: filepath.Join(dir, "d"), socket: socket, env: []string{"KILONOVA_GUEST_IMAGE=" + guestImage(t)}}
	require.NoError(t, os.Mkdir(a.dir, 0o700))
	a.args = []string{"-dev", "-driver", "libvirt", "-config", conf, "-data-dir", a.dir, "-bind", a.ip, "-name", "dev"}
	a.start()
	t.Cleanup(a.cleanup)
	a.waitReady()
	return a
}

var ticks = regexp.MustCompile(`KILONOVA-GUEST: tick uptime=([0-9.]+)`)

// uptime is the newest uptime that the guest has told, 0 when none.
func uptime(console string) float64 {
	all := ticks.FindAllStringSubmatch(console, -1)
	if len(all) == 0 {
		return 0
	}
	f, _ := strconv.ParseFloat(all[len(all)-1][1], 64)
	return f
}

// waitConsole waits until the guest's console has text that f takes.
func waitConsole(s *stock, name string, limit time.Duration, what string, f func(console string) bool) string {
	s.t.Helper()
	var last string
	eventually(s.t, limit, what, func() error {
		out, err := s.try("console", "log", "show", name)
		if err != nil {
			return err
		}
		if last = out; !f(out) {
			return fmt.Errorf("the console ends: %q", tail(out, 5))
		}
		return nil
	})
	return last
}

type serverView struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Fault  any    `json:"fault"`
}

func (s *stock) waitStatus(name, status string, limit time.Duration) {
	s.t.Helper()
	eventually(s.t, limit, name+" is "+status, func() error {
		var v serverView
		s.json(&v, "server", "show", name)
		if v.Status != status {
			return fmt.Errorf("it is %s %v", v.Status, v.Fault)
		}
		return nil
	})
}

// The stock client from Debian, a real guest, every verb of this milestone.
func TestStockClientRealGuest(t *testing.T) {
	t.Parallel()
	a := newLibvirtDev(t)
	s := newStock(t, a, "kilonova-admin")
	var token struct{ ID string }
	s.json(&token, "token", "issue")
	require.NotEmpty(t, token.ID)
	var catalog []struct{ Type string }
	s.json(&catalog, "catalog", "list")
	var types []string
	for _, c := range catalog {
		types = append(types, c.Type)
	}
	require.ElementsMatch(t, []string{"compute", "identity", "image", "placement"}, types)

	var image struct{ ID, Status string }
	s.json(&image, "image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", guestImage(t), "mine")
	s.json(&image, "image", "show", "mine") // what create prints is from before the upload
	require.Equal(t, "active", image.Status)
	s.run("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "small")
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte(s.run("keypair", "create", "k1")), 0o600))
	require.Contains(t, s.run("keypair", "list"), "k1")

	s.run("server", "create", "--image", "mine", "--flavor", "small", "--key-name", "k1", "guest-one")
	s.waitStatus("guest-one", "ACTIVE", time.Minute)
	require.Contains(t, s.run("server", "list"), "guest-one")
	console := waitConsole(s, "guest-one", 2*time.Minute, "the guest has booted", func(c string) bool { return strings.Contains(c, "KILONOVA-GUEST-READY hostname=guest-one") })
	require.Contains(t, console, "hostname=guest-one")

	t.Run("stop, start, reboot", func(t *testing.T) {
		s.run("server", "stop", "guest-one")
		s.waitStatus("guest-one", "SHUTOFF", 90*time.Second)
		s.run("server", "start", "guest-one")
		s.waitStatus("guest-one", "ACTIVE", time.Minute)
		waitConsole(s, "guest-one", 2*time.Minute, "the guest has booted again", func(c string) bool { return strings.Count(c, "KILONOVA-GUEST-READY") == 2 })
		s.run("server", "reboot", "guest-one")
		s.waitStatus("guest-one", "ACTIVE", 2*time.Minute)
		waitConsole(s, "guest-one", 2*time.Minute, "the guest has rebooted", func(c string) bool { return strings.Count(c, "KILONOVA-GUEST-READY") == 3 })
	})
	t.Run("pause and suspend keep the guest's memory", func(t *testing.T) {
		survives(t, a, s, func() {
			for _, one := range [][3]string{{"pause", "PAUSED", "unpause"}, {"suspend", "SUSPENDED", "resume"}} {
				s.run("server", one[0], "guest-one")
				s.waitStatus("guest-one", one[1], time.Minute)
				s.run("server", one[2], "guest-one")
				s.waitStatus("guest-one", "ACTIVE", time.Minute)
			}
		})
		_, err := s.try("server", "rescue", "guest-one")
		require.ErrorContains(t, err, "cannot rescue", "what the driver lacks is refused before anything is done")
		require.Equal(t, "ACTIVE", strings.TrimSpace(s.run("server", "show", "guest-one", "-f", "value", "-c", "status")))
	})
	t.Run("its disk becomes an image while it runs, and leaves its host and comes back", func(t *testing.T) {
		survives(t, a, s, func() { s.run("server", "image", "create", "--name", "snap", "--wait", "guest-one") })
		s.run("server", "create", "--image", "snap", "--flavor", "small", "copy")
		s.waitStatus("copy", "ACTIVE", time.Minute)
		waitConsole(s, "copy", 2*time.Minute, "the copy has booted", func(c string) bool { return strings.Contains(c, "KILONOVA-GUEST-READY hostname=") })
		s.run("server", "shelve", "copy")
		s.waitStatus("copy", "SHELVED_OFFLOADED", 3*time.Minute)
		s.run("server", "unshelve", "copy")
		s.waitStatus("copy", "ACTIVE", 2*time.Minute)
		waitConsole(s, "copy", 2*time.Minute, "the copy has booted from its shelved disk", func(c string) bool { return strings.Contains(c, "KILONOVA-GUEST-READY hostname=") })
		s.run("server", "delete", "--wait", "copy")
		s.run("image", "delete", "snap")
	})
	t.Run("the driver's process is killed", func(t *testing.T) { survives(t, a, s, func() { killPlugin(t, a) }) })
	t.Run("the agent is killed", func(t *testing.T) {
		survives(t, a, s, func() {
			before := a.pluginPIDs()
			a.kill()
			a.start()
			a.waitReady()
			require.Equal(t, before, a.pluginPIDs(), "the new agent re-attaches to the driver's process")
		})
	})
	t.Run("stop and start work afterwards", func(t *testing.T) {
		s.run("server", "stop", "guest-one")
		s.waitStatus("guest-one", "SHUTOFF", 90*time.Second)
		s.run("server", "start", "guest-one")
		s.waitStatus("guest-one", "ACTIVE", time.Minute)
		waitConsole(s, "guest-one", 2*time.Minute, "the guest has booted", func(c string) bool { return strings.Count(c, "KILONOVA-GUEST-READY") == 4 })
	})
	t.Run("a guest that goes off by itself is noticed", func(t *testing.T) {
		var v serverView
		s.json(&v, "server", "show", "guest-one")
		out, err := exec.Command("virsh", "-c", "qemu+unix:///system?socket="+a.socket, "destroy", "kilonova-"+v.ID).CombinedOutput()
		require.NoError(t, err, "%s", out)
		s.waitStatus("guest-one", "SHUTOFF", 20*time.Second)
	})
	s.run("server", "delete", "--wait", "guest-one")
	require.NotContains(t, s.run("server", "list"), "guest-one")
	left, err := exec.Command("pgrep", "-f", "guest=kilonova-.*"+filepath.Base(filepath.Dir(a.dir))).Output()
	require.Error(t, err, "no process of the guest is left: %s", left)
	s.run("image", "delete", "mine")
	s.run("flavor", "delete", "small")
	s.run("keypair", "delete", "k1")
}

func killPlugin(t *testing.T, a *agent) {
	t.Helper()
	pids := a.pluginPIDs()
	require.Len(t, pids, 1)
	p, err := os.FindProcess(pids[0])
	require.NoError(t, err)
	require.NoError(t, p.Kill())
	eventually(t, 20*time.Second, "another driver process runs", func() error {
		if now := a.pluginPIDs(); len(now) != 1 || now[0] == pids[0] {
			return fmt.Errorf("driver processes: %v", now)
		}
		return nil
	})
}

// survives shows by the guest's own uptime that it ran through what was done to Kilonova.
func survives(t *testing.T, a *agent, s *stock, f func()) {
	t.Helper()
	before := uptime(waitConsole(s, "guest-one", time.Minute, "the guest tells its uptime", func(c string) bool { return uptime(c) > 0 }))
	boots := strings.Count(s.run("console", "log", "show", "guest-one"), "KILONOVA-GUEST-READY")
	f()
	after := waitConsole(s, "guest-one", time.Minute, "the guest's uptime goes on", func(c string) bool { return uptime(c) > before })
	require.Equal(t, boots, strings.Count(after, "KILONOVA-GUEST-READY"), "the guest did not boot again")
	s.waitStatus("guest-one", "ACTIVE", 10*time.Second)
}
