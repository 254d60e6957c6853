package agent

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Flags are the agent's command line. Make them with NewFlagSet; the zero value is an agent without any flag.
type Flags struct {
	Paths  []string // -config, files and directories in their order
	Dev    bool
	Driver string // -driver, of -dev: libvirt, fake, or "" for what the machine can do
	Hosts  int    // -hosts, of -dev
	TLS    bool   // -tls, of -dev

	said    loaded // what the other flags say of Config
	Getenv  func(string) string
	machine *system // of tests
}

// NewFlagSet returns the agent's flags, each with its help text, and where their values go. Parse errors are returned,
// not printed.
func NewFlagSet() (*flag.FlagSet, *Flags) {
	f := &Flags{said: loaded{config: &Config{}, sources: sources{}}, Getenv: os.Getenv}
	set := flag.NewFlagSet("agent", flag.ContinueOnError)
	set.Func("config", "`PATH` of a configuration file, or of a directory whose *.hcl and *.json are read in the order of their names. "+
		"May be given several times; what comes later wins", func(v string) error {
		f.Paths = append(f.Paths, v)
		return nil
	})
	set.BoolVar(&f.Dev, "dev", false, "Server and client in one process on 127.0.0.1, with data in a new temporary directory: for trying out. "+
		"-config and the flags below still hold")
	set.StringVar(&f.Driver, "driver", "", "With -dev: `NAME` of the driver, libvirt or fake. Default: libvirt where its socket is, else fake")
	set.IntVar(&f.Hosts, "hosts", 0, "With -dev: simulate `N` compute hosts with the fake driver")
	set.BoolVar(&f.TLS, "tls", false, "With -dev: make a CA and certificates in the data directory, and use TLS on HTTP and RPC")
	f.text(set, "data-dir", "data_dir", "Absolute `PATH` of the data directory", func(c *Config, v string) { c.DataDir = &v })
	f.text(set, "name", "name", "`NAME` of this agent. Default: the machine's", func(c *Config, v string) { c.Name = &v })
	f.text(set, "region", "region", "`NAME` of the cluster's region", func(c *Config, v string) { c.Region = &v })
	f.text(set, "zone", "zone", "`NAME` of the availability zone of this agent's hosts", func(c *Config, v string) { c.Zone = &v })
	f.text(set, "bind", "bind_addr", "IP `ADDRESS` to listen on", func(c *Config, v string) { c.BindAddr = &v })
	f.text(set, "log-level", "log_level", "`LEVEL` of the log: trace, debug, info, warn or error", func(c *Config, v string) { c.LogLevel = &v })
	f.flag(set, "log-json", "log_json", "Log as JSON lines", func(c *Config, v bool) { c.LogJSON = &v })
	f.flag(set, "server", "server.enabled", "Be a server", func(c *Config, v bool) { c.Server = &ServerConfig{Enabled: &v} })
	f.flag(set, "client", "client.enabled", "Be a client", func(c *Config, v bool) { c.Client = &ClientConfig{Enabled: &v} })
	f.number(set, "bootstrap-expect", "server.bootstrap_expect", "How many servers (`N`) start a new cluster together",
		func(c *Config, v int) { c.Server = &ServerConfig{BootstrapExpect: &v} })
	f.joins(set)
	f.endpoint(set, "http-addr", "http", "`HOST:PORT` that the HTTP APIs listen on", func(a *AddressesConfig, p *PortsConfig) (**string, **int) { return &a.HTTP, &p.HTTP })
	f.endpoint(set, "rpc-addr", "rpc", "`HOST:PORT` that RPC and Raft listen on", func(a *AddressesConfig, p *PortsConfig) (**string, **int) { return &a.RPC, &p.RPC })
	f.endpoint(set, "serf-addr", "serf", "`HOST:PORT` that Serf listens on", func(a *AddressesConfig, p *PortsConfig) (**string, **int) { return &a.Serf, &p.Serf })
	return set, f
}

func (f *Flags) say(flagName, path string, c *Config) {
	f.said.overlay(c, sources{path: "-" + flagName})
}

func (f *Flags) text(set *flag.FlagSet, name, path, help string, put func(*Config, string)) {
	set.Func(name, help, func(v string) error {
		c := &Config{}
		put(c, v)
		f.say(name, path, c)
		return nil
	})
}

func (f *Flags) flag(set *flag.FlagSet, name, path, help string, put func(*Config, bool)) {
	set.BoolFunc(name, help, func(v string) error {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("true or false is right")
		}
		c := &Config{}
		put(c, on)
		f.say(name, path, c)
		return nil
	})
}

func (f *Flags) number(set *flag.FlagSet, name, path, help string, put func(*Config, int)) {
	set.Func(name, help, func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("a whole number is right")
		}
		c := &Config{}
		put(c, n)
		f.say(name, path, c)
		return nil
	})
}

// joins adds -retry-join, which holds for whichever roles are enabled.
func (f *Flags) joins(set *flag.FlagSet) {
	var addrs []string
	set.Func("retry-join", "`HOST[:PORT]` of another agent's Serf, tried until it answers. May be given several times", func(v string) error {
		for part := range strings.SplitSeq(v, ",") {
			addrs = append(addrs, strings.TrimSpace(part))
		}
		f.say("retry-join", "server.retry_join", &Config{Server: &ServerConfig{RetryJoin: addrs}})
		f.say("retry-join", "client.retry_join", &Config{Client: &ClientConfig{RetryJoin: addrs}})
		return nil
	})
}

func (f *Flags) endpoint(set *flag.FlagSet, name, service, help string, fields func(*AddressesConfig, *PortsConfig) (**string, **int)) {
	set.Func(name, help, func(v string) error {
		host, text, err := net.SplitHostPort(v)
		port, notNumber := strconv.Atoi(text)
		if err != nil || notNumber != nil || host == "" {
			return fmt.Errorf("HOST:PORT such as 127.0.0.1:%d is right", defaultHTTPPort)
		}
		addresses, ports := &AddressesConfig{}, &PortsConfig{}
		a, p := fields(addresses, ports)
		*a, *p = &host, &port
		f.say(name, "addresses."+service, &Config{Addresses: addresses})
		f.say(name, "ports."+service, &Config{Ports: ports})
		return nil
	})
}

// LoadRuntime reads everything that the flags name and returns what the agent is to be. The error is Problems: all that
// is wrong, not only the first.
func LoadRuntime(f Flags) (*Runtime, error) {
	l := &loaded{config: &Config{}, sources: sources{}}
	problems := f.checkDev()
	if f.Dev {
		config, from := f.DevConfig()
		l.overlay(config, from)
	}
	problems = append(problems, l.loadFiles(f.Paths)...)
	if l.broken {
		return nil, problems
	}
	if f.Getenv != nil {
		l.loadEnvironment(f.Getenv)
	}
	l.overlay(f.said.config, f.said.sources)
	sys := realSystem()
	if f.machine != nil {
		sys = *f.machine
	}
	dev, more := f.prepareDev(l, len(problems) == 0)
	problems = append(problems, more...)
	rt, more := resolve(l, f.Dev, sys)
	if problems = append(problems, more...); len(problems) > 0 {
		dev.undo()
		return nil, problems
	}
	rt.TempDataDir = dev.tempDir != ""
	rt.Notes = append(dev.notes, rt.Notes...)
	return rt, nil
}
