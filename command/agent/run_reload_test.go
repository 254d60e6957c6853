package agent

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/cli"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// journal is an agent's log.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

// take returns what was logged since it was last called, one line each.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := j.b.String()
	j.b.Reset()
	return text
}

// rigged is a running development agent whose one configuration file can be changed.
type rigged struct {
	*testing.T
	*agent
	dir   string
	flags Flags
	log   *journal
}

const patience = 30 * time.Second

func startAgent(t *testing.T, text string) *rigged {
	r := &rigged{T: t, dir: fixtureDir(t), log: &journal{}}
	conf := writeFile(t, r.dir, "a.hcl", text)
	set, flags := NewFlagSet()
	require.NoError(t, set.Parse([]string{"-dev", "-driver", "fake", "-config", conf, "-data-dir", filepath.Join(r.dir, "data"),
		"-http-addr", "127.0.0.1:0", "-rpc-addr", "127.0.0.1:0", "-serf-addr", "127.0.0.1:0"}))
	flags.machine, r.flags = machine(), *flags
	rt, err := LoadRuntime(r.flags)
	require.NoError(t, err)
	r.agent = newAgent(rt, cli.NewMockUi(), r.log)
	t.Cleanup(r.stop)
	require.NoError(t, r.start(t.Context()))
	require.Eventually(t, func() bool { return r.host() != nil && r.host().DriverHealthy }, patience, 5*time.Millisecond)
	return r
}

func (r *rigged) host() *structs.Host {
	for h := range r.server.Stale().Hosts() {
		return h
	}
	return nil
}

// hangup reads the changed file as SIGHUP does, and returns what the agent says.
func (r *rigged) hangup(text string) string {
	writeFile(r.T, r.dir, "a.hcl", text)
	next, err := Reload(r.flags, r.agent.now)
	require.NoError(r, err)
	r.log.take()
	r.reload(r.Context(), next)
	return r.log.take()
}

func (r *rigged) pluginPID() (pid int, command []string) {
	text, err := os.ReadFile(filepath.Join(r.dir, "data", "client", "plugins", "fake.plugin.json"))
	if err != nil {
		return 0, nil
	}
	var record struct {
		PID     int
		Address string
		Command []string
	}
	if json.Unmarshal(text, &record) != nil || record.Address == "" {
		return 0, nil
	}
	return record.PID, record.Command
}

// What the agent says that it took over it did take over, and what waits is said again until it is taken back.
func TestReload(t *testing.T) {
	t.Parallel()
	r := startAgent(t, ``)
	epoch := r.host().Epoch
	said := r.hangup(`
		zone = "other"
		log_level = "debug"
		server {
		  scheduler { cpu_ratio = 7 }
		}
		client {
		  reserved { vcpus = 3 }
		}
		plugin "fake" {
		  config { vcpus = 17 }
		}`)
	require.Contains(t, said, `taken_over="client.reserved.vcpus, log_level, plugin \"fake\".config, server.scheduler.cpu_ratio"`)
	require.Contains(t, said, "only holds after a restart of the agent: settings=zone\n")
	require.True(t, r.logger.IsDebug())
	require.Eventually(t, func() bool {
		h := r.host()
		return h.Reserved == structs.Resources{VCPUs: 3} && h.Total.VCPUs == 17 && r.server.Stale().ClusterSettings().CPURatio == 7
	}, patience, 5*time.Millisecond)
	require.Equal(t, epoch, r.host().Epoch, "it is the same session")
	require.Equal(t, "nova", r.host().Zone)

	said = r.hangup(`
		zone = "other"
		server {
		  scheduler { filters = ["NoSuchFilter"] }
		}
		plugin "fake" {
		  config { vcpus = "many" }
		}`)
	require.Contains(t, said, `taken_over="client.reserved.vcpus, log_level"`)
	require.Contains(t, said, `is not taken over; what was there goes on: part="plugin \"fake\".config"`)
	require.Contains(t, said, "NoSuchFilter")
	require.Contains(t, said, "settings=zone\n", "it still waits")
	require.Eventually(t, func() bool { return r.host().Reserved == structs.Resources{} }, patience, 5*time.Millisecond)
	require.EqualValues(t, 17, r.host().Total.VCPUs)

	said = r.hangup(`
		plugin "fake" {
		  config { vcpus = 17 }
		}`)
	require.Contains(t, said, "taken_over=nothing")
	require.NotContains(t, said, "restart")
}

// A driver's changed program is not started before its process has to be.
func TestReloadOfTheDriversProgram(t *testing.T) {
	t.Parallel()
	r := startAgent(t, ``)
	before, _ := r.pluginPID()
	self, err := os.Executable()
	require.NoError(t, err)
	said := r.hangup(`
		plugin "fake" {
		  path = "` + self + `"
		  args = ["driver", "fake", "another"]
		  config { vcpus = 18 }
		}`)
	require.Contains(t, said, `taken_over="plugin \"fake\".config"`)
	require.Contains(t, said, `only holds from the next start of the driver's process on: settings="plugin \"fake\".args, plugin \"fake\".path"`)
	require.NotContains(t, said, "restart of the agent")
	require.Eventually(t, func() bool { return r.host().Total.VCPUs == 18 }, patience, 5*time.Millisecond)
	pid, _ := r.pluginPID()
	require.Equal(t, before, pid)

	p, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, p.Kill())
	require.Eventually(t, func() bool {
		now, command := r.pluginPID()
		return now != 0 && now != pid && strings.Join(command, " ") == self+" driver fake another"
	}, patience, 5*time.Millisecond)
}

// verify_server_hostname and renewed files hold without a restart, unless TLS itself is turned on or off: that waits as a whole.
func TestReloadOfTLS(t *testing.T) {
	t.Parallel()
	base := `
		region = "north"
		tls {
		  rpc = true
		  ca_file = "DIR/ca.pem"
		  cert_file = "DIR/agent.pem"
		  key_file = "DIR/agent-key.pem"
		  MORE
		}`
	with := func(more string) string { return strings.ReplaceAll(base, "MORE", more) }
	r := startAgent(t, with(""))
	require.True(t, r.now.TLS.VerifyServerHostname)
	said := r.hangup(with("verify_server_hostname = false"))
	require.Contains(t, said, "taken_over=tls.verify_server_hostname\n")
	require.NotContains(t, said, "restart")
	require.False(t, r.now.TLS.VerifyServerHostname)
	require.Empty(t, r.tlsFiles(r.now.TLS).ServerName)
	said = r.hangup(with(""))
	require.Contains(t, said, "TLS files read again")
	require.True(t, r.now.TLS.VerifyServerHostname)

	said = r.hangup(`region = "north"`)
	require.Contains(t, said, "taken_over=nothing")
	require.Contains(t, said, `settings="tls.ca_file, tls.cert_file, tls.key_file, tls.rpc, tls.verify_server_hostname"`)
	require.True(t, r.now.TLS.VerifyServerHostname, "what runs with TLS goes on with it")
}

// Renewed certificates are served, and clients' certificates are checked against the renewed authority, from SIGHUP on.
func TestReloadOfCertificates(t *testing.T) {
	t.Parallel()
	conf := `
		region = "north"
		tls {
		  http = true
		  verify_https_client = true
		  ca_file = "DIR/ca.pem"
		  cert_file = "DIR/agent.pem"
		  key_file = "DIR/agent-key.pem"
		}`
	r := startAgent(t, conf)
	connect := func(certDir string) (serial string, err error) {
		own, err := tls.LoadX509KeyPair(filepath.Join(certDir, "agent.pem"), filepath.Join(certDir, "agent-key.pem"))
		require.NoError(t, err)
		c, err := tls.Dial("tcp", strings.TrimPrefix(r.httpURL(), "https://"), &tls.Config{Certificates: []tls.Certificate{own}, InsecureSkipVerify: true})
		if err != nil {
			return "", err
		}
		defer c.Close()
		_, err = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 1)) // the server's word on our certificate comes with its first bytes
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), err
	}
	before, err := connect(r.dir)
	require.NoError(t, err)
	others := fixtureDir(t)
	_, err = connect(others)
	require.Error(t, err, "of an authority that is not ours")

	for _, name := range []string{"ca.pem", "agent.pem", "agent-key.pem"} {
		text, err := os.ReadFile(filepath.Join(others, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(r.dir, name), text, 0o600))
	}
	require.Contains(t, r.hangup(conf), "TLS files read again")
	after, err := connect(others)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
}
