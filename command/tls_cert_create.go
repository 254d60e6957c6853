package command

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kilonova-cloud/kilonova/command/ca"
)

func init() {
	registerParent("tls cert", "Make certificates", "Makes certificates that the authority of `kilonova tls ca create` signs.")
	register(func() *definition {
		c := &tlsCertCreate{}
		return &definition{
			name: "tls cert create", usage: "-server|-client|-cli [options]", synopsis: "Make an agent's certificate", flags: c.flags, run: c.run,
			prose: "Writes a new certificate and its key for cert_file and key_file of one agent,\nnamed after its role and region. A server that is a client as well takes -server\nand -client. localhost and its addresses are always in it.",
		}
	})
}

type tlsCertCreate struct {
	server, client, cli bool
	dir, caCert, caKey  string
	region, name        string
	names               names
	days                int
}

// names is a flag that may be given several times.
type names []string

func (n *names) String() string { return "" }

// Set takes one of them.
func (n *names) Set(text string) error {
	if text == "" {
		return fmt.Errorf("a DNS name or IP address is right")
	}
	*n = append(*n, text)
	return nil
}

func (c *tlsCertCreate) flags(set *flag.FlagSet) {
	set.BoolVar(&c.server, "server", false, "For a server")
	set.BoolVar(&c.client, "client", false, "For a client")
	set.BoolVar(&c.cli, "cli", false, "For a person's programs, where verify_https_client holds")
	set.StringVar(&c.dir, "dir", ".", "`DIRECTORY` to write to")
	set.StringVar(&c.caCert, "ca", caFile, "`FILE` with the CA's certificate")
	set.StringVar(&c.caKey, "ca-key", caKeyFile, "`FILE` with the CA's key")
	set.StringVar(&c.region, "region", "RegionOne", "`NAME` of the cluster's region")
	set.StringVar(&c.name, "name", "", "`NAME` of the files. Default: the role, with -0, -1, ...")
	set.Var(&c.names, "san", "One more DNS `NAME` or IP address that the agent is reached at. May be given several times")
	set.IntVar(&c.days, "days", 365, "How many `DAYS` it holds")
}

func (c *tlsCertCreate) run(_ context.Context, s *session, _ []string) error {
	var roles []ca.Role
	for _, r := range []struct {
		role ca.Role
		on   bool
	}{{ca.Server, c.server}, {ca.Client, c.client}, {ca.CLI, c.cli}} {
		if r.on {
			roles = append(roles, r.role)
		}
	}
	switch {
	case len(roles) == 0:
		return usagef("whom is it for? -server, -client, both, or -cli is right")
	case c.days < 1:
		return usagef("-days %d: 1 or more is right", c.days)
	}
	authority, err := c.authority()
	if err != nil {
		return err
	}
	pair, err := authority.Issue(ca.Request{Roles: roles, Region: c.region, Names: c.names, Lifetime: time.Duration(c.days) * day})
	if err != nil {
		return err
	}
	base := filepath.Join(c.dir, c.fileName(roles[0]))
	return writePair(s.Out, base+".pem", base+"-key.pem", pair)
}

func (c *tlsCertCreate) authority() (*ca.Authority, error) {
	certificate, err := os.ReadFile(c.caCert)
	if err != nil {
		return nil, fmt.Errorf("%w; `kilonova tls ca create` makes a CA", err)
	}
	key, err := os.ReadFile(c.caKey)
	if err != nil {
		return nil, err
	}
	return ca.Load(ca.Pair{Certificate: certificate, Key: key})
}

// fileName is the first of ROLE-0, ROLE-1, ... that no file has.
func (c *tlsCertCreate) fileName(role ca.Role) string {
	if c.name != "" {
		return c.name
	}
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s-%d", role, n)
		if _, err := os.Lstat(filepath.Join(c.dir, name+".pem")); os.IsNotExist(err) {
			return name
		}
	}
}
