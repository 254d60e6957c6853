package agent

import (
	"errors"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/command/ca"
)

// libvirtSocket is where the machine's libvirtd listens.
const libvirtSocket = "/run/libvirt/libvirt-sock"

// devCertificates is how long what -tls makes holds.
const devCertificates = 30 * 24 * time.Hour

// checkDev refuses flags that mean nothing together.
func (f *Flags) checkDev() (problems Problems) {
	if !f.Dev {
		for _, one := range []struct {
			name  string
			given bool
		}{{"-driver", f.Driver != ""}, {"-hosts", f.Hosts != 0}, {"-tls", f.TLS}} {
			if one.given {
				problems.add(one.name, "only holds together with -dev; client and tls blocks in a file of -config are right otherwise")
			}
		}
		return problems
	}
	if f.Driver != "" && f.Driver != "libvirt" && f.Driver != "fake" {
		problems.add("-driver", "%q is not for trying out; libvirt or fake is right", f.Driver)
	}
	if f.Hosts < 0 {
		problems.add("-hosts", "%d is negative; 1 or more is right", f.Hosts)
	}
	if f.Hosts > 0 && f.Driver == "libvirt" {
		problems.add("-hosts", "only the fake driver can simulate hosts; -driver fake is right")
	}
	return problems
}

// DevConfig is what -dev means: one process is server and client, by itself, on this machine only. Files, environment
// and other flags lie over it.
func (f *Flags) DevConfig() (*Config, map[string]string) {
	c := &Config{
		BindAddr: new("127.0.0.1"),
		Server:   &ServerConfig{Enabled: new(true), BootstrapExpect: new(1)},
		Client:   &ClientConfig{Enabled: new(true), Drivers: []string{f.devDriver()}},
	}
	if f.Hosts > 0 {
		c.Client.SimulatedHosts = &f.Hosts
	}
	return c, map[string]string{"bind_addr": "-dev", "server": "-dev", "client": "-dev"}
}

func (f *Flags) devDriver() string {
	switch {
	case f.Driver != "":
		return f.Driver
	case f.Hosts > 0 || !isSocket(libvirtSocket):
		return "fake"
	}
	return "libvirt"
}

func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Type() == fs.ModeSocket
}

// prepared is what was made on disk for a development agent.
type prepared struct {
	tempDir string // "" when the operator chose the directory
	notes   []string
}

// undo removes it, for an agent that does not start after all.
func (p *prepared) undo() {
	if p.tempDir != "" {
		_ = os.RemoveAll(p.tempDir)
	}
}

// prepareDev makes what -dev needs on disk and lays it under what was said.
func (f *Flags) prepareDev(l *loaded, sound bool) (p prepared, problems Problems) {
	if !f.Dev || !sound {
		return p, nil
	}
	if f.Driver == "" && f.Hosts == 0 && f.devDriver() == "fake" {
		p.notes = append(p.notes, "no libvirtd at "+libvirtSocket+": the fake driver is used, its guests are only pretended; "+
			"start libvirtd, or choose with -driver")
	}
	if l.config.DataDir == nil {
		dir, err := os.MkdirTemp("", "kilonova-dev-")
		if err != nil {
			problems.add("-dev", "make a temporary data directory: %v; -data-dir with one that can be written is right", err)
			return p, problems
		}
		p.tempDir = dir
		p.notes = append(p.notes, "data is in "+dir+"; it stays when the agent ends, since guests may go on")
		l.overlay(&Config{DataDir: &dir}, sources{"data_dir": "-dev"})
	}
	if f.TLS && filepath.IsAbs(*l.config.DataDir) {
		if err := devTLS(l, filepath.Join(*l.config.DataDir, "tls")); err != nil {
			problems.add("-tls", "%v", err)
		}
	}
	return p, problems
}

// devTLS makes certificates in dir, or takes those that an earlier run made there, and says TLS of both HTTP and RPC.
func devTLS(l *loaded, dir string) error {
	files := map[string]string{"ca": filepath.Join(dir, "ca.pem"), "cert": filepath.Join(dir, "agent.pem"), "key": filepath.Join(dir, "agent-key.pem")}
	if !allExist(files) {
		if err := makeDevTLS(files, dir, value(l.config.Region, defaultRegion), l.config.hosts()); err != nil {
			return err
		}
	}
	ca, cert, key := files["ca"], files["cert"], files["key"]
	l.overlay(&Config{TLS: &TLSConfig{HTTP: new(true), RPC: new(true), CAFile: &ca, CertFile: &cert, KeyFile: &key}}, sources{"tls": "-tls"})
	return nil
}

func allExist(files map[string]string) bool {
	return !slices.ContainsFunc(slices.Collect(maps.Values(files)), func(path string) bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// hosts are the addresses and names that others reach the agent at, as far as they were said.
func (c *Config) hosts() (out []string) {
	all := []*string{c.BindAddr}
	for _, a := range []*AddressesConfig{c.Addresses, c.Advertise} {
		if a != nil {
			all = append(all, a.HTTP, a.RPC)
		}
	}
	for _, one := range all {
		if one == nil {
			continue
		}
		host := *one
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) && !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}

func makeDevTLS(files map[string]string, dir, region string, hosts []string) error {
	authority, root, err := ca.New("Kilonova development CA", devCertificates+time.Hour)
	if err != nil {
		return err
	}
	pair, err := authority.Issue(ca.Request{Roles: []ca.Role{ca.Server, ca.Client}, Region: region, Names: hosts, Lifetime: devCertificates})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The key last: only a whole set is taken by a later run.
	for _, one := range []struct {
		path string
		text []byte
	}{{files["ca"], root.Certificate}, {files["cert"], pair.Certificate}, {files["key"], pair.Key}} {
		if err := os.WriteFile(one.path, one.text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
