//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/stretchr/testify/require"
)

// gossipKey is any 32 bytes: the clusters of these tests gossip encrypted, as the documentation says production should.
const gossipKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// fleet is a cluster of processes: servers 1 to n and clients, each on its own loopback address.
type fleet struct {
	t        *testing.T
	net      string
	servers  []*agent
	clients  []*agent
	password string
	cloud    *cloud
}

const leaseTTL = 5 * time.Second

func (f *fleet) config(name, ip, role string) *agent {
	a := &agent{t: f.t, name: name, ip: ip, dir: f.t.TempDir()}
	path := filepath.Join(a.dir, "agent.hcl")
	require.NoError(f.t, os.WriteFile(path, []byte(fmt.Sprintf("name = %q\nbind_addr = %q\ndata_dir = %q\n%s", name, ip, a.dir, role)), 0o600))
	a.args = []string{"-config", path}
	f.t.Cleanup(a.cleanup)
	return a
}

// newFleet starts three servers and two clients with the fake driver, and logs in as the administrator that it bootstraps. driverConfig is added to the clients' files.
func newFleet(t *testing.T, driverConfig string) *fleet {
	t.Helper()
	return startFleet(t, func(int) string { return "drivers = [\"fake\"]\n" }, func(int) string { return driverConfig })
}

// startFleet starts three servers and two clients, whose client blocks and files have the lines that the functions return.
func startFleet(t *testing.T, clientBlock, clientFile func(i int) string) *fleet {
	t.Helper()
	return fleetSpec{clients: 2, lease: leaseTTL, clientBlock: clientBlock, clientFile: clientFile}.start(t)
}

// fleetSpec is three servers and some clients.
type fleetSpec struct {
	clients     int
	lease       time.Duration
	server      string // lines of each server block
	clientBlock func(i int) string
	clientFile  func(i int) string
	controlled  bool // the fake drivers follow a control file
}

func (s fleetSpec) start(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, net: nextNet()}
	join := fmt.Sprintf("encrypt = %q\n retry_join = [\"%s.1\", \"%s.2\", \"%s.3\"]\n retry_interval = \"200ms\"\n", gossipKey, f.net, f.net, f.net)
	for i := 1; i <= 3; i++ {
		f.servers = append(f.servers, f.config(fmt.Sprintf("server-%d", i), fmt.Sprintf("%s.%d", f.net, i),
			fmt.Sprintf("server {\n enabled = true\n bootstrap_expect = 3\n lease_ttl = %q\n heartbeat_interval = \"1s\"\n %s %s}\n", s.lease, s.server, join)))
	}
	for i := 1; i <= s.clients; i++ {
		f.clients = append(f.clients, f.config(fmt.Sprintf("client-%d", i), fmt.Sprintf("%s.%d", f.net, 10+i),
			fmt.Sprintf("client {\n enabled = true\n %s %s}\n%s", s.clientBlock(i), join, s.clientFile(i))))
	}
	for _, a := range f.clients {
		if s.controlled {
			conf := filepath.Join(a.dir, "control.hcl")
			require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "plugin \"fake\" {\n config {\n control_file = %q\n }\n}\n", controlFile(a)), 0o600))
			a.args = append(a.args, "-config", conf)
		}
	}
	for _, a := range append(f.servers, f.clients...) {
		a.start()
	}
	f.bootstrap()
	f.cloud = login(t, f.servers[0].url(), "admin", f.password, "admin")
	f.waitHosts(s.clients)
	return f
}

func (f *fleet) bootstrap() {
	eventually(f.t, 30*time.Second, "the cluster makes its administrator", func() error {
		for _, a := range f.servers {
			if !a.running() {
				f.t.Fatalf("%s ended: %s", a.name, tail(a.out.String(), 20))
			}
		}
		req, _ := http.NewRequest(http.MethodPut, f.servers[0].url()+"/v1/identity/bootstrap", strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var b struct{ Password string }
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%d %s", resp.StatusCode, body.String())
		}
		if err := json.Unmarshal(body.Bytes(), &b); err != nil {
			return err
		}
		f.password = b.Password
		return nil
	})
}

// native reads the native API over a server that runs.
func (f *fleet) native(path string, into any) error {
	for _, a := range f.servers {
		if a.running() {
			return f.cloud.get(a.url()+path, into)
		}
	}
	return fmt.Errorf("no server runs")
}

func (f *fleet) waitHosts(n int) {
	f.t.Helper()
	eventually(f.t, 20*time.Second, fmt.Sprintf("%d hosts are up", n), func() error {
		var list struct {
			Hypervisors []struct{ State, Status string }
		}
		if err := f.cloud.get(f.cloud.compute.Endpoint+"os-hypervisors/detail", &list); err != nil {
			return err
		}
		up := 0
		for _, h := range list.Hypervisors {
			if h.State == "up" {
				up++
			}
		}
		if up != n {
			return fmt.Errorf("%d are", up)
		}
		return nil
	})
}

// prepare uploads an image and makes a flavor; it returns their ids.
func (f *fleet) prepare(c *cloud, imageFile []byte) (image, flavor string) {
	return f.prepareNamed(c, imageFile, "test")
}

func (f *fleet) prepareNamed(c *cloud, imageFile []byte, name string) (image, flavor string) {
	ctx := context.Background()
	im, err := images.Create(ctx, c.image, images.CreateOpts{Name: name, DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	require.NoError(f.t, err)
	require.NoError(f.t, imagedata.Upload(ctx, c.image, im.ID, bytes.NewReader(imageFile)).ExtractErr())
	disk := 0
	fl, err := flavors.Create(ctx, c.compute, flavors.CreateOpts{Name: "flavor-" + name, RAM: 64, VCPUs: 1, Disk: &disk}).Extract()
	require.NoError(f.t, err)
	return im.ID, fl.ID
}

// leader returns the agent that leads, by its own word.
func (f *fleet) leader() *agent {
	f.t.Helper()
	var found *agent
	eventually(f.t, 30*time.Second, "a leader is known", func() error {
		var l struct {
			LeaderAddr string `json:"leader_addr"`
		}
		if err := f.native("/v1/agent/self", &l); err != nil {
			return err
		}
		for _, a := range f.servers {
			if a.running() && strings.HasPrefix(l.LeaderAddr, a.ip+":") {
				found = a
				return nil
			}
		}
		return fmt.Errorf("the leader is said to be %+v", l)
	})
	return found
}

func (f *fleet) follower() *agent {
	l := f.leader()
	for _, a := range f.servers {
		if a != l && a.running() {
			return a
		}
	}
	f.t.Fatal("no follower runs")
	return nil
}

// waitStatus waits until every instance has the status.
func waitStatus(t *testing.T, c *cloud, limit time.Duration, status string, ids ...string) {
	t.Helper()
	eventually(t, limit, "instances become "+status, func() error {
		for _, id := range ids {
			s, err := servers.Get(context.Background(), c.compute, id).Extract()
			if err != nil {
				return err
			}
			if s.Status == "ERROR" && status != "ERROR" {
				t.Fatalf("instance %s is in error: %s", id, s.Fault.Message)
			}
			if s.Status != status {
				return fmt.Errorf("%s is %s", id, s.Status)
			}
		}
		return nil
	})
}

// claims counts the allocations of each instance, as Placement shows them.
func (f *fleet) claims(c *cloud) map[string]int {
	f.t.Helper()
	var providers struct {
		ResourceProviders []struct{ UUID string } `json:"resource_providers"`
	}
	base := c.compute.Endpoint[:strings.Index(c.compute.Endpoint, "/compute")]
	require.NoError(f.t, c.get(base+"/placement/resource_providers", &providers))
	count := map[string]int{}
	for _, p := range providers.ResourceProviders {
		var a struct{ Allocations map[string]any }
		require.NoError(f.t, c.get(base+"/placement/resource_providers/"+p.UUID+"/allocations", &a))
		for id := range a.Allocations {
			count[id]++
		}
	}
	return count
}

// The leader is killed with -9 while 50 creates are in flight: every one that got a 202 becomes ACTIVE, none is made twice, claims equal instances.
func TestLeaderKilledWhileCreating(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "plugin \"fake\" {\n config {\n latency = { create = \"50ms\" }\n }\n}\n")
	image, flavor := f.prepare(f.cloud, bytes.Repeat([]byte("x"), 1<<20))
	survivor := f.follower()
	c := login(t, survivor.url(), "admin", f.password, "admin")
	victim := f.leader()
	var mu sync.Mutex
	var accepted []string
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s, err := servers.Create(context.Background(), c.compute, servers.CreateOpts{Name: fmt.Sprintf("n-%d", i), ImageRef: image, FlavorRef: flavor}, nil).Extract()
			if err == nil {
				mu.Lock()
				accepted = append(accepted, s.ID)
				mu.Unlock()
			}
		}()
		if i == 20 {
			victim.kill()
		}
	}
	wg.Wait()
	t.Logf("%d of 50 creates were accepted", len(accepted))
	require.NotEmpty(t, accepted)
	waitStatus(t, c, 60*time.Second, "ACTIVE", accepted...)
	pages, err := servers.List(c.compute, servers.ListOpts{}).AllPages(context.Background())
	require.NoError(t, err)
	all, err := servers.ExtractServers(pages)
	require.NoError(t, err)
	names := map[string]string{}
	for _, s := range all {
		require.Empty(t, names[s.Name], "%s was made twice", s.Name)
		names[s.Name] = s.ID
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	waitStatus(t, c, 60*time.Second, "ACTIVE", ids...)
	claims := f.claims(c)
	require.Len(t, claims, len(all), "claims equal instances")
	for id, n := range claims {
		require.Equal(t, 1, n, "%s has one claim", id)
	}
	victim.start() // and it finds its way back
	eventually(t, 30*time.Second, "the killed server serves again", func() error {
		var s map[string]any
		return c.get(victim.url()+"/compute/v2.1/servers/"+accepted[0], &s)
	})
}

// A host whose client is gone is down within its lease time, and its instances say so.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "")
	image, flavor := f.prepare(f.cloud, bytes.Repeat([]byte("x"), 1<<20))
	var ids []string
	for i := range 6 {
		s, err := servers.Create(context.Background(), f.cloud.compute, servers.CreateOpts{Name: fmt.Sprintf("n-%d", i), ImageRef: image, FlavorRef: flavor}, nil).Extract()
		require.NoError(t, err)
		ids = append(ids, s.ID)
	}
	waitStatus(t, f.cloud, 30*time.Second, "ACTIVE", ids...)
	gone := f.clients[0]
	gone.kill()
	f.waitHosts(1) // gossip alone makes it suspect; the end of the lease makes it down
	eventually(t, 3*leaseTTL, "the lost host is down", func() error {
		var l struct {
			Hosts []struct{ Name, Status string }
		}
		if err := f.native("/v1/hosts", &l); err != nil {
			return err
		}
		for _, h := range l.Hosts {
			if h.Name == gone.name && h.Status == "down" {
				return nil
			}
		}
		return fmt.Errorf("hosts: %+v", l.Hosts)
	})
	on := 0
	for _, id := range ids {
		var s struct {
			Server map[string]any
		}
		require.NoError(t, f.cloud.get(f.cloud.compute.Endpoint+"servers/"+id, &s))
		want := "UP"
		if s.Server["OS-EXT-SRV-ATTR:host"] == gone.name {
			want = "UNKNOWN" // Nova's word for a host that does not report; DOWN is one that an operator forced down
			on++
			var v map[string]any
			require.NoError(t, f.native("/v1/instances/"+id, &v))
			require.Equal(t, "down", v["host_status"], "the native API says it plainly: %v", v)
		}
		require.Equal(t, want, s.Server["host_status"], "%v", s.Server)
	}
	require.NotZero(t, on, "some instance was on the host that is gone")
	gone.start()
	f.waitHosts(2)
}

// All servers stopped and started: the API answers the same.
func TestAllServersRestarted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "")
	image, flavor := f.prepare(f.cloud, bytes.Repeat([]byte("x"), 1<<20))
	var ids []string
	for i := range 5 {
		s, err := servers.Create(context.Background(), f.cloud.compute, servers.CreateOpts{Name: fmt.Sprintf("n-%d", i), ImageRef: image, FlavorRef: flavor}, nil).Extract()
		require.NoError(t, err)
		ids = append(ids, s.ID)
	}
	waitStatus(t, f.cloud, 30*time.Second, "ACTIVE", ids...)
	answers := func() map[string]any {
		out := map[string]any{}
		for _, path := range []string{"/compute/v2.1/servers/detail", "/compute/v2.1/flavors/detail", "/image/v2/images", "/placement/resource_providers"} {
			var v map[string]any
			require.NoError(t, f.cloud.get(f.servers[0].url()+path, &v))
			delete(v, "resource_providers_links")
			out[path] = v
		}
		return out
	}
	before := answers()
	for _, a := range f.servers {
		a.stop()
	}
	for _, a := range f.servers {
		a.start()
	}
	eventually(t, 40*time.Second, "the servers answer again", func() error {
		var v map[string]any
		return f.cloud.get(f.servers[0].url()+"/compute/v2.1/servers", &v)
	})
	f.waitHosts(2)
	require.Equal(t, before["/compute/v2.1/servers/detail"], answers()["/compute/v2.1/servers/detail"])
	require.Equal(t, before["/image/v2/images"], answers()["/image/v2/images"])
	require.Equal(t, before["/compute/v2.1/flavors/detail"], answers()["/compute/v2.1/flavors/detail"])
	s, err := servers.Create(context.Background(), f.cloud.compute, servers.CreateOpts{Name: "after", ImageRef: image, FlavorRef: flavor}, nil).Extract()
	require.NoError(t, err)
	waitStatus(t, f.cloud, 30*time.Second, "ACTIVE", s.ID)
}
