package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/drivers"
)

// The defaults that more than one place needs; testdata/golden shows them all.
const (
	defaultHTTPPort = 4746
	defaultRPCPort  = 4747
	defaultSerfPort = 4748

	defaultRegion = "RegionOne"
	defaultZone   = "nova"
)

// resolver makes a Runtime of a Config and collects what is wrong with it.
type resolver struct {
	config   *Config
	sources  sources
	rt       *Runtime
	problems Problems
	system   system
}

// system is what resolving asks of the machine; tests put their own in.
type system struct {
	hostname   func() (string, error)
	interfaces func() ([]net.Addr, error)
	outgoing   func(v4 bool) net.IP // source address of the default route, nil when there is none
	drivers    []string             // that this program serves itself, so that they need no plugin block with a path
}

func realSystem() system {
	return system{hostname: os.Hostname, interfaces: net.InterfaceAddrs, outgoing: outgoing, drivers: drivers.Names()}
}

// resolve returns the Runtime of what was loaded, or every problem of it.
func resolve(l *loaded, dev bool, sys system) (*Runtime, Problems) {
	r := &resolver{config: withBlocks(l.config), sources: l.sources, system: sys, rt: &Runtime{Dev: dev, Files: l.files}}
	r.top()
	r.server()
	r.client()
	r.roles()
	r.gossip()
	r.endpoints()
	r.tls()
	r.telemetry()
	r.plugins()
	return r.rt, r.problems
}

// withBlocks returns c with an empty block in place of each that was not said, so that nobody has to ask.
func withBlocks(c *Config) *Config {
	full := &Config{Server: &ServerConfig{Scheduler: &SchedulerConfig{}, Notifications: &NotificationsConfig{}, Consoles: &ConsolesConfig{}, Image: &ImageConfig{WebDownload: &WebDownloadConfig{}}, Identity: &IdentityConfig{}}, Client: &ClientConfig{Reserved: &ReservedConfig{}},
		TLS: &TLSConfig{}, Ports: &PortsConfig{}, Addresses: &AddressesConfig{}, Advertise: &AddressesConfig{}, Telemetry: &TelemetryConfig{}}
	l := &loaded{config: full, sources: sources{}}
	l.overlay(c, nil)
	return l.config
}

func (r *resolver) refuse(path, format string, args ...any) {
	r.problems.add(r.sources.of(path), path+": "+format, args...)
}

func (r *resolver) note(format string, args ...any) {
	r.rt.Notes = append(r.rt.Notes, fmt.Sprintf(format, args...))
}

func value[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

// duration reads "90s" and the like, at least min.
func (r *resolver) duration(path string, text *string, fallback, min time.Duration) time.Duration {
	if text == nil {
		return fallback
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		r.refuse(path, "%q is no duration; a number with a unit such as \"90s\" or \"5m\" is right", *text)
		return fallback
	}
	if d < min {
		r.refuse(path, "%s is too short; %s or more is right", *text, min)
		return fallback
	}
	return d
}

// atLeast reads a whole number that has a lower bound.
func (r *resolver) atLeast(path string, number *int, fallback, min int) int {
	n := value(number, fallback)
	if n < min {
		r.refuse(path, "%d is too small; %d or more is right", n, min)
		return fallback
	}
	return n
}

// nameForm is what names of agents, regions and zones look like: they stand in certificates, tags, files and URLs.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`)

func (r *resolver) name(path string, text *string, fallback string) string {
	name := value(text, fallback)
	if !nameForm.MatchString(name) {
		r.refuse(path, "%q cannot be a name; up to 128 letters, digits, dots, dashes and underscores, with a letter or digit at both ends, are right", name)
	}
	return name
}

func (r *resolver) top() {
	c := r.config
	hostname, err := r.system.hostname()
	if err != nil && c.Name == nil {
		r.refuse("name", "the machine's own name cannot be read (%v); set name", err)
		hostname = "unknown"
	}
	r.rt.Name = r.name("name", c.Name, hostname)
	r.rt.Region = r.name("region", c.Region, defaultRegion)
	r.rt.Zone = r.name("zone", c.Zone, defaultZone)
	r.rt.LogJSON = value(c.LogJSON, false)
	r.rt.LogLevel = strings.ToLower(value(c.LogLevel, "info"))
	if level := hclog.LevelFromString(r.rt.LogLevel); level == hclog.NoLevel {
		r.refuse("log_level", "%q is not known; trace, debug, info, warn, error or off is right", r.rt.LogLevel)
	}
	r.dataDir()
}

func (r *resolver) dataDir() {
	switch dir := value(r.config.DataDir, ""); {
	case dir == "":
		r.refuse("data_dir", "is needed; an absolute path such as /var/lib/kilonova is right")
	case !filepath.IsAbs(dir):
		r.refuse("data_dir", "%q is relative; an absolute path such as /var/lib/kilonova is right", dir)
	default:
		r.rt.DataDir = filepath.Clean(dir)
		r.writable("data_dir", r.rt.DataDir)
	}
}

// writable makes sure that dir exists and takes files. Asking is not enough: to root a read-only file system looks
// writable until the first write.
func (r *resolver) writable(path, dir string) {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(dir, ".probe-*"); err == nil {
			_ = probe.Close()
			err = os.Remove(probe.Name())
		}
	}
	if err != nil {
		r.refuse(path, "%s cannot be written: %v; a directory that this user (uid %d) may write to is right", dir, withoutPath(err), os.Getuid())
	}
}

func (r *resolver) client() {
	c, out := r.config.Client, &r.rt.Client
	out.Enabled = value(c.Enabled, false)
	out.Drivers = c.Drivers
	if c.Drivers == nil {
		out.Drivers = []string{"libvirt"}
	}
	out.StateDir = value(c.StateDir, filepath.Join(r.rt.DataDir, "client"))
	if out.Enabled && c.StateDir != nil {
		if filepath.IsAbs(out.StateDir) {
			r.writable("client.state_dir", out.StateDir)
		} else {
			r.refuse("client.state_dir", "%q is relative; an absolute path is right", out.StateDir)
		}
	}
	out.Reserved.VCPUs = int64(r.atLeast("client.reserved.vcpus", c.Reserved.VCPUs, 0, 0))
	out.Reserved.MemoryMiB = int64(r.atLeast("client.reserved.memory_mib", c.Reserved.MemoryMiB, 0, 0))
	out.Reserved.DiskGiB = int64(r.atLeast("client.reserved.disk_gib", c.Reserved.DiskGiB, 0, 0))
	out.CPUMetrics = value(c.CPUMetrics, false)
	out.SimulatedHosts = r.atLeast("client.simulated_hosts", c.SimulatedHosts, 0, 0)
	if out.Enabled {
		r.drivers()
	}
}

func (r *resolver) drivers() {
	names := r.rt.Client.Drivers
	if len(names) == 0 {
		r.refuse("client.drivers", "is empty; at least one driver such as [\"libvirt\"] is right")
	}
	if len(names) > 1 {
		r.refuse("client.drivers", "names %d (%s), but a host has one driver: each would promise the whole machine to its own guests; drivers = [%q] is right",
			len(names), strings.Join(names, ", "), names[0])
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		own := func(p *PluginConfig) bool { return p.Name == name && p.Path != nil }
		if !slices.Contains(r.system.drivers, name) && !slices.ContainsFunc(r.config.Plugins, own) {
			r.refuse("client.drivers", "%q is not built in (%s are); a block plugin %q { path = \"/path/of/program\" } makes it known",
				name, strings.Join(r.system.drivers, ", "), name)
		}
	}
	if r.rt.Client.SimulatedHosts > 0 && !slices.Equal(names, []string{"fake"}) {
		r.refuse("client.simulated_hosts", "only the fake driver can simulate hosts; drivers = [\"fake\"] or simulated_hosts = 0 is right")
	}
}

// roles refuses what server and client say when put together.
func (r *resolver) roles() {
	if !r.rt.Server.Enabled && !r.rt.Client.Enabled {
		where := "configuration"
		if len(r.rt.Files) > 0 {
			where = r.rt.Files[0]
		}
		r.problems.add(where, "this agent would be neither server nor client; server { enabled = true }, client { enabled = true } or agent -dev is right")
	}
}

func (r *resolver) telemetry() {
	c := r.config.Telemetry
	r.rt.Telemetry.Prometheus = value(c.Prometheus, true)
}

func (r *resolver) plugins() {
	names := map[string]bool{}
	for _, plugin := range r.config.Plugins {
		names[plugin.Name] = true
		r.rt.Plugins = append(r.rt.Plugins, r.plugin(plugin))
	}
	for _, name := range r.rt.Client.Drivers {
		if r.rt.Client.Enabled && !names[name] {
			r.rt.Plugins = append(r.rt.Plugins, PluginRuntime{Name: name, Config: r.settings(name, nil)})
		}
	}
	slices.SortFunc(r.rt.Plugins, func(a, b PluginRuntime) int { return strings.Compare(a.Name, b.Name) })
}

func (r *resolver) plugin(c *PluginConfig) PluginRuntime {
	path := pluginPath(c.Name)
	if !nameForm.MatchString(c.Name) {
		r.refuse(path, "cannot be a driver's name; letters, digits, dots, dashes and underscores are right")
	}
	out := PluginRuntime{Name: c.Name, Path: value(c.Path, ""), Args: c.Args}
	if c.Path != nil {
		if info, err := os.Stat(out.Path); !filepath.IsAbs(out.Path) {
			r.refuse(joinPath(path, "path"), "%q is relative; an absolute path is right", out.Path)
		} else if err != nil {
			r.refuse(joinPath(path, "path"), "%s: %v", out.Path, withoutPath(err))
		} else if !info.Mode().IsRegular() {
			r.refuse(joinPath(path, "path"), "%s is no file; the driver's program is right", out.Path)
		}
	} else if !slices.Contains(r.system.drivers, c.Name) {
		r.refuse(path, "is not built in (%s are) and has no path; path = \"/path/of/program\" is right", strings.Join(r.system.drivers, ", "))
	} else if len(c.Args) > 0 {
		r.refuse(joinPath(path, "args"), "a built-in driver takes no arguments; config { } is for its settings")
	}
	var settings map[string]any
	if c.Settings != nil {
		settings = c.Settings.Values
	}
	out.Config = r.settings(c.Name, settings)
	return out
}

// driverDirs are the settings of built-in drivers that name directories: below data_dir unless they were said.
var driverDirs = map[string]map[string]string{
	"libvirt": {"instances_dir": "instances", "state_dir": "libvirt"},
}

func (r *resolver) settings(driver string, said map[string]any) json.RawMessage {
	settings := map[string]any{}
	for key, dir := range driverDirs[driver] {
		settings[key] = filepath.Join(r.rt.DataDir, dir)
	}
	maps.Copy(settings, said)
	text, err := json.Marshal(settings)
	if err != nil {
		r.refuse(joinPath(pluginPath(driver), "config"), "%v", err)
		return json.RawMessage("{}")
	}
	return text
}
