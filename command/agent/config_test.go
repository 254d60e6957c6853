package agent

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func fullFixture(t testing.TB) (dir, path string) {
	text, err := os.ReadFile(filepath.Join("testdata", "full.hcl"))
	require.NoError(t, err)
	dir = fixtureDir(t)
	return dir, writeFile(t, dir, "full.hcl", string(text))
}

func TestFullFixtureSaysEverySetting(t *testing.T) {
	t.Parallel()
	_, path := fullFixture(t)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	config, _, problems := parse(path, text)
	require.Empty(t, problems)
	requireSaid(t, "", reflect.ValueOf(*config))
}

// requireSaid fails for a field that no block says; of a list of blocks each field must be said by one of them.
func requireSaid(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		name, _ := hclTag(v.Type().Field(i))
		at, field := joinPath(path, name), v.Field(i)
		require.False(t, field.IsZero(), "testdata/full.hcl does not say %s: add it with a value that is not the default", at)
		switch {
		case isLabelled(field.Type()):
			merged := reflect.New(field.Type().Elem().Elem()).Elem()
			for j := range field.Len() {
				merged.Field(0).Set(field.Index(j).Elem().Field(0))
				mergeStruct(merged, field.Index(j).Elem())
			}
			requireSaid(t, at, merged)
		case field.Kind() == reflect.Pointer && field.Type().Elem().Kind() == reflect.Struct:
			requireSaid(t, at, field.Elem())
		}
	}
}

func TestFullFixtureReachesTheRuntime(t *testing.T) {
	t.Parallel()
	dir, path := fullFixture(t)
	rt, problems := load(t, "-config", path)
	require.Empty(t, problems)
	defaults, problems := load(t, "-dev", "-driver", "libvirt", "-data-dir", t.TempDir())
	require.Empty(t, problems)
	var same []string
	compareAll("", reflect.ValueOf(*rt), reflect.ValueOf(*defaults), func(path string, equal bool) {
		if equal {
			same = append(same, path)
		}
	})
	// What the fixture cannot tell apart: roles that -dev has too, and what no setting says.
	require.ElementsMatch(t, []string{"server.enabled", "client.enabled", "notes", "temp_data_dir"}, except(same, "tls.verify_server_hostname"))
	require.Equal(t, "server.north.kilonova", rt.ServerName())
	require.Equal(t, []string{"-v"}, rt.Plugin("acme").Args)
	require.JSONEq(t, `{"latency":"5ms","failures":{"spawn":2},"on":[true,null,1.5]}`, string(rt.Plugin("fake").Config))
	require.JSONEq(t, `{}`, string(rt.Plugin("other").Config))
	golden(t, "full.json", dir, rt)
}

func except(list []string, one string) (rest []string) {
	for _, s := range list {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

func compareAll(path string, a, b reflect.Value, visit func(string, bool)) {
	if a.Kind() == reflect.Struct {
		for i := range a.NumField() {
			compareAll(joinPath(path, jsonName(a.Type().Field(i))), a.Field(i), b.Field(i), visit)
		}
		return
	}
	visit(path, reflect.DeepEqual(a.Interface(), b.Interface()))
}

func TestDefaultsAreStated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := writeFile(t, dir, "a.hcl", `
		data_dir = "DIR/data"
		server {
		  enabled = true
		  bootstrap_expect = 1
		  scheduler { workers = 2 }
		}
		client { enabled = true }`)
	rt, problems := load(t, "-config", path)
	require.Empty(t, problems)
	golden(t, "defaults.json", dir, rt)
}

// golden compares sanitized output with testdata/golden; `go test ./command/agent -run Golden -rewrite` writes it.
func golden(t *testing.T, name, dir string, rt *Runtime) {
	t.Helper()
	text, err := json.MarshalIndent(rt.Sanitized(), "", "  ")
	require.NoError(t, err)
	got := strings.ReplaceAll(string(text), dir, "DIR") + "\n"
	require.NotContains(t, got, "hunter2")
	require.NotContains(t, got, "AAECAwQF")
	path := filepath.Join("testdata", "golden", name)
	if *rewrite {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestLaterSourcesWin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "conf/20.hcl", `
		log_json = false
		server { bootstrap_expect = 1 }
		plugin "libvirt" {
		  config { cpu_model = "qemu64" }
		}`)
	writeFile(t, dir, "conf/10.json", `{
		"name": "from-json", "log_json": true, "data_dir": "DIR/data", "bind_addr": "127.0.0.1",
		"server": {"enabled": true, "bootstrap_expect": 5, "retry_join": ["a", "b"]},
		"client": {"enabled": true},
		"plugin": {"libvirt": {"config": {"cpu_model": "x", "vnc": "none"}}}}`)
	writeFile(t, dir, "conf/30.hcl.off", `nonsense`)
	writeFile(t, dir, "conf/.40.hcl", `nonsense`)
	last := writeFile(t, dir, "last.hcl", `server { retry_join = ["c:1"] }`)
	set, flags := NewFlagSet()
	require.NoError(t, set.Parse([]string{"-config", filepath.Join(dir, "conf"), "-log-level", "warn", "-config", last, "-http-addr=127.0.0.1:8000"}))
	flags.machine = machine()
	flags.Getenv = func(name string) string {
		return map[string]string{"KILONOVA_LOG_LEVEL": "error", "KILONOVA_ZONE": "z9", "KILONOVA_ENCRYPT": strings.Repeat("A", 43) + "="}[name]
	}
	rt, err := LoadRuntime(*flags)
	require.NoError(t, err)
	require.Equal(t, "from-json", rt.Name)
	require.False(t, rt.LogJSON, "a later false must win over an earlier true")
	require.Equal(t, 1, rt.Server.BootstrapExpect)
	require.Equal(t, []string{"c:1"}, rt.Gossip.RetryJoin, "lists are replaced")
	require.Equal(t, "warn", rt.LogLevel, "a flag wins over the environment")
	require.Equal(t, "z9", rt.Zone)
	require.Len(t, rt.Gossip.Encrypt, 32)
	require.Equal(t, Endpoint{Bind: "127.0.0.1:8000", Advertise: "127.0.0.1:8000"}, rt.HTTP)
	require.Equal(t, "127.0.0.1:4747", rt.RPC.Bind)
	require.JSONEq(t, `{"cpu_model":"qemu64","vnc":"none","instances_dir":"`+dir+`/data/instances","state_dir":"`+dir+`/data/libvirt"}`,
		string(rt.Plugin("libvirt").Config))
	require.Equal(t, []string{filepath.Join(dir, "conf/10.json"), filepath.Join(dir, "conf/20.hcl"), last}, rt.Files)
}

func TestDev(t *testing.T) {
	t.Parallel()
	rt, problems := load(t, "-dev", "-hosts", "3", "-http-addr", "127.0.0.1:0")
	require.Empty(t, problems)
	t.Cleanup(func() { _ = os.RemoveAll(rt.DataDir) })
	require.True(t, rt.Dev && rt.TempDataDir && rt.Server.Enabled && rt.Client.Enabled)
	require.Equal(t, []string{"fake"}, rt.Client.Drivers)
	require.Equal(t, 3, rt.Client.SimulatedHosts)
	require.Equal(t, "127.0.0.1:0", rt.HTTP.Bind)
	require.Equal(t, "127.0.0.1:4747", rt.RPC.Bind)
	require.Len(t, rt.Plugins, 1)
	require.Contains(t, strings.Join(rt.Notes, "\n"), rt.DataDir)

	rt2, problems := load(t, "-dev", "-driver", "libvirt", "-data-dir", t.TempDir())
	require.Empty(t, problems)
	require.False(t, rt2.TempDataDir)
	require.Equal(t, []string{"libvirt"}, rt2.Client.Drivers)
}

func TestDevTLSKeepsItsCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rt, problems := load(t, "-dev", "-driver", "fake", "-data-dir", dir, "-tls")
	require.Empty(t, problems)
	require.True(t, rt.TLS.HTTP && rt.TLS.RPC && rt.TLS.VerifyServerHostname)
	first, err := os.ReadFile(rt.TLS.CertFile)
	require.NoError(t, err)
	again, problems := load(t, "-dev", "-driver", "fake", "-data-dir", dir, "-tls")
	require.Empty(t, problems)
	second, err := os.ReadFile(again.TLS.CertFile)
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func TestRefusedDevLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, problems := load(t, "-dev", "-driver", "fake", "-log-level", "loud")
	require.Len(t, problems, 1)
	entries, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestReloadKeepsTheTemporaryDirectory(t *testing.T) {
	t.Parallel()
	set, flags := NewFlagSet()
	conf := writeFile(t, t.TempDir(), "a.hcl", `log_level = "info"`)
	require.NoError(t, set.Parse([]string{"-dev", "-driver", "fake", "-config", conf}))
	flags.machine = machine()
	rt, err := LoadRuntime(*flags)
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(rt.DataDir) })
	writeFile(t, filepath.Dir(conf), "a.hcl", `
		log_level = "debug"
		zone = "other"
		server {
		  scheduler { cpu_ratio = 2 }
		}
		client {
		  reserved { vcpus = 2 }
		}`)
	for range 2 {
		next, err := Reload(*flags, rt)
		require.NoError(t, err)
		require.Equal(t, rt.DataDir, next.DataDir)
		changed, restart := Reloadable(rt, next)
		require.Equal(t, []string{"client.reserved.vcpus", "log_level", "server.scheduler.cpu_ratio"}, changed)
		require.Equal(t, []string{"zone"}, restart)
	}
	writeFile(t, filepath.Dir(conf), "a.hcl", `log_level = "loud"`)
	_, err = Reload(*flags, rt)
	require.ErrorContains(t, err, "a.hcl:1,1: log_level")
}

func TestReloadableNamesOnlyPathsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	rt := reflect.ValueOf(Runtime{})
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		known[path] = true
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				name := jsonName(v.Type().Field(i))
				require.NotEmpty(t, name, "field %s has no json name", v.Type().Field(i).Name)
				walk(joinPath(path, name), v.Field(i))
			}
		}
	}
	walk("", rt)
	for _, path := range append(reloadable, unimportant...) {
		require.True(t, known[path], "reloadable names %s, which Runtime does not have", path)
	}
}

func TestReloadableOrNot(t *testing.T) {
	t.Parallel()
	base := Runtime{DataDir: "/a", Client: ClientRuntime{Enabled: true, Drivers: []string{"x"}}, TLS: TLSRuntime{RPC: true, CAFile: "1"},
		Plugins: []PluginRuntime{{Name: "libvirt", Config: []byte(`{"instances_dir":"/a/instances"}`)}, {Name: "x", Path: "/x", Config: []byte(`{}`)}, {Name: "y"}}}
	server := base
	server.Server.Enabled, server.Client.Enabled = true, false
	libvirt := base
	libvirt.Client.Drivers = []string{"libvirt"}
	for _, c := range []struct {
		name             string
		of               Runtime
		change           func(*Runtime)
		changed, restart []string
	}{
		{"settings of the driver", base, func(r *Runtime) { r.Plugins[1].Config = []byte(`{"a":1}`) }, []string{`plugin "x".config`}, nil},
		{"program of the driver", base, func(r *Runtime) { r.Plugins[1].Path, r.Plugins[1].Args = "/z", []string{"a"} }, []string{`plugin "x".args`, `plugin "x".path`}, nil},
		{"another's settings", base, func(r *Runtime) { r.Plugins[2].Config = []byte(`{"a":1}`) }, nil, nil},
		{"another driver", base, func(r *Runtime) { r.Client.Drivers = []string{"y"} }, nil, []string{"client.drivers"}},
		{"a server's drivers", server, func(r *Runtime) { r.Plugins[1].Path = "/z" }, nil, nil},
		{"the scheduler of a client", base, func(r *Runtime) { r.Server.Scheduler.Workers = 9 }, nil, nil},
		{"the scheduler of a server", server, func(r *Runtime) { r.Server.Scheduler.Workers, r.Server.Scheduler.Filters = 9, []string{"F"} },
			[]string{"server.scheduler.filters"}, []string{"server.scheduler.workers"}},
		{"names in certificates", base, func(r *Runtime) { r.TLS.VerifyServerHostname = true }, []string{"tls.verify_server_hostname"}, nil},
		{"certificates", base, func(r *Runtime) { r.TLS.CAFile = "2" }, []string{"tls.ca_file"}, nil},
		{"TLS off", base, func(r *Runtime) { r.TLS = TLSRuntime{} }, nil, []string{"tls.ca_file", "tls.rpc"}},
		{"data directory", libvirt, func(r *Runtime) { r.DataDir, r.Plugins[0].Config = "/b", []byte(`{"instances_dir":"/b/instances"}`) }, nil, []string{"data_dir"}},
		{"instances directory", libvirt, func(r *Runtime) { r.Plugins[0].Config = []byte(`{"instances_dir":"/b/instances"}`) }, []string{`plugin "libvirt".config`}, nil},
		{"reserved", base, func(r *Runtime) { r.Client.Reserved.DiskGiB = 1 }, []string{"client.reserved.disk_gib"}, nil},
	} {
		next := c.of
		next.Plugins = slices.Clone(c.of.Plugins)
		c.change(&next)
		changed, restart := Reloadable(&c.of, &next)
		require.Equal(t, c.changed, changed, c.name)
		require.Equal(t, c.restart, restart, c.name)
	}
}

func TestAdvertise(t *testing.T) {
	t.Parallel()
	base := `
		data_dir = "DIR/data"
		server {
		  enabled = true
		  bootstrap_expect = 1
		}
	`
	for _, c := range []struct{ name, text, rpc string }{
		{"the only address", ``, "192.168.7.8:4747"},
		{"bind address", `bind_addr = "10.9.8.7"`, "10.9.8.7:4747"},
		{"own port", `advertise { rpc = "example.org" }`, "example.org:4747"},
		{"own of all", `advertise { rpc = "[fd00::1]:99" }`, "[fd00::1]:99"},
	} {
		dir := t.TempDir()
		rt, problems := load(t, "-config", writeFile(t, dir, "a.hcl", base+c.text))
		require.Empty(t, problems, c.name)
		require.Equal(t, c.rpc, rt.RPC.Advertise, c.name)
	}
}
