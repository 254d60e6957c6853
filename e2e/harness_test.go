//go:build e2e

// Package e2e shows on the built binary, with real processes, what the documentation promises. It needs root where guests are real.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/stretchr/testify/require"
)

// binary builds the agent once for all tests, or takes the one that KILONOVA_BIN names.
var binary = sync.OnceValues(func() (string, error) {
	if p := os.Getenv("KILONOVA_BIN"); p != "" {
		return filepath.Abs(p)
	}
	dir, err := os.MkdirTemp("", "kilonova-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kilonova")
	out, err := exec.Command("go", "build", "-o", path, "github.com/kilonova-cloud/kilonova").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %v\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if p, err := binary(); err == nil && os.Getenv("KILONOVA_BIN") == "" {
		_ = os.RemoveAll(filepath.Dir(p))
	}
	if clientsStarted.Load() {
		p, _ := clients()
		p.stop()
	}
	os.Exit(code)
}

// network gives every agent a loopback address of its own, so that all may use the default ports.
var network atomic.Int32

func nextNet() string {
	return fmt.Sprintf("127.%d.%d", 20+os.Getpid()%200, network.Add(1))
}

// agent is one process of the binary.
type agent struct {
	t      *testing.T
	name   string
	ip     string
	dir    string
	args   []string
	env    []string
	socket string // of the libvirtd that its guests run on, where they are real
	cmd    *exec.Cmd
	out    *output
	done   chan struct{} // closed when the process has ended
}

// output is what a process printed; safe to read while it runs.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}
func (o *output) String() string { o.mu.Lock(); defer o.mu.Unlock(); return o.buf.String() }

// start begins the process, anew or again on the same directory.
func (a *agent) start() {
	a.t.Helper()
	bin, err := binary()
	require.NoError(a.t, err)
	a.out = &output{}
	a.cmd = exec.Command(bin, append([]string{"agent"}, a.args...)...)
	a.cmd.Stdout, a.cmd.Stderr = a.out, a.out
	a.cmd.Env = append(append(os.Environ(), "E2E_AGENT="+a.dir), a.env...) // its drivers have it too: pluginPIDs looks for it
	a.cmd.WaitDelay = time.Second
	require.NoError(a.t, a.cmd.Start())
	done := make(chan struct{})
	a.done = done
	cmd := a.cmd
	go func() { _ = cmd.Wait(); close(done) }()
}

func (a *agent) running() bool {
	select {
	case <-a.done:
		return false
	default:
		return a.cmd != nil
	}
}

// kill is kill -9: no goodbye.
func (a *agent) kill() {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Kill())
	<-a.done
}

// stop asks the process to end and waits.
func (a *agent) stop() {
	if a.cmd == nil || !a.running() {
		return
	}
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-a.done:
	case <-time.After(20 * time.Second):
		_ = a.cmd.Process.Kill()
		<-a.done
		a.t.Errorf("%s did not end within 20 s of SIGTERM", a.name)
	}
}

// pluginPIDs are the driver processes of this agent: a killed agent leaves its own to be re-attached.
func (a *agent) pluginPIDs() []int {
	bin, err := binary()
	require.NoError(a.t, err)
	out, _ := exec.Command("pgrep", "-f", filepath.Base(bin)+" driver ").Output()
	var pids []int
	for _, f := range strings.Fields(string(out)) {
		env, err := os.ReadFile("/proc/" + f + "/environ")
		if err == nil && bytes.Contains(env, []byte(a.dir)) {
			var pid int
			_, _ = fmt.Sscan(f, &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

func (a *agent) cleanup() {
	a.stop()
	for _, pid := range a.pluginPIDs() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if a.t.Failed() {
		a.t.Logf("---- output of %s\n%s", a.name, tail(a.out.String(), 60))
	}
}

func tail(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func (a *agent) url() string { return "http://" + a.ip + ":4746" }

// newDev starts `agent -dev` and waits until it says that it is ready.
func newDev(t *testing.T, args ...string) *agent {
	t.Helper()
	a := &agent{t: t, name: "dev", ip: nextNet() + ".1", dir: t.TempDir()}
	a.args = append([]string{"-dev", "-data-dir", a.dir, "-bind", a.ip, "-name", "dev"}, args...)
	a.start()
	t.Cleanup(a.cleanup)
	a.waitReady()
	return a
}

func (a *agent) waitReady() {
	a.t.Helper()
	eventually(a.t, 30*time.Second, "the agent says that it is ready", func() error {
		if !a.running() {
			return fmt.Errorf("it ended: %s", tail(a.out.String(), 20))
		}
		if !strings.Contains(a.out.String(), "is ready") {
			return fmt.Errorf("it says: %s", tail(a.out.String(), 20))
		}
		return nil
	})
}

// eventually polls a state until it holds or the deadline passes; the last error says what is missing.
func eventually(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		<-time.After(30 * time.Millisecond)
	}
}

// cloud is a gophercloud login.
type cloud struct {
	t        *testing.T
	provider *gophercloud.ProviderClient
	compute  *gophercloud.ServiceClient
	image    *gophercloud.ServiceClient
}

func login(t *testing.T, url, user, password, project string) *cloud {
	t.Helper()
	return loginAt(t, url+"/identity/v3", user, password, project)
}

// loginAt logs in at the v3 endpoint of an Identity service.
func loginAt(t *testing.T, auth, user, password, project string) *cloud {
	t.Helper()
	c := &cloud{t: t}
	eventually(t, 20*time.Second, "login", func() error {
		var err error
		c.provider, err = openstack.AuthenticatedClient(context.Background(), gophercloud.AuthOptions{IdentityEndpoint: auth, Username: user,
			Password: password, DomainName: "Default", TenantName: project, AllowReauth: true})
		return err
	})
	var err error
	c.compute, err = openstack.NewComputeV2(c.provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	require.NoError(t, err)
	c.image, err = openstack.NewImageV2(c.provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	require.NoError(t, err)
	return c
}

// get reads JSON from the agent with the login's token.
func (c *cloud) get(url string, into any) error {
	b, err := c.send(http.MethodGet, url, "")
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// send sends a request with the login's token and returns the answer's body; a refusal is an error.
func (c *cloud) send(method, url, body string) ([]byte, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Auth-Token", c.provider.Token())
	req.Header.Set("X-Subject-Token", c.provider.Token()) // what a look at the token itself asks about
	req.Header.Set("OpenStack-API-Version", "compute 2.90")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s %s: %d %s", method, url, body, resp.StatusCode, b)
	}
	return b, err
}

// stock runs Debian's openstack client against an agent.
type stock struct {
	t     *testing.T
	env   []string
	quick bool // in a fork of a client that is loaded already, where the commands are not what is tested
}

func newStock(t *testing.T, a *agent, cloud string) *stock {
	if _, err := exec.LookPath("openstack"); err != nil {
		t.Fatal("the stock client is missing: install Debian's python3-openstackclient")
	}
	return &stock{t: t, env: append(os.Environ(), "OS_CLIENT_CONFIG_FILE="+filepath.Join(a.dir, "clouds.yaml"), "OS_CLOUD="+cloud, "PYTHONWARNINGS=ignore")}
}

func (s *stock) try(args ...string) (string, error) {
	if s.quick {
		return preloadedClient(s.t, "openstack", s.env)(args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openstack", args...)
	cmd.Env = s.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("openstack %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out), nil
}

func (s *stock) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	require.NoError(s.t, err)
	return out
}

// json runs a command with -f json and decodes its answer.
func (s *stock) json(into any, args ...string) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.run(append(args, "-f", "json")...)), into))
}
