package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/command/ca"
)

// machine is a test's: a fixed name, one address, no default route.
func machine() *system {
	return &system{
		hostname: func() (string, error) { return "host1", nil },
		interfaces: func() ([]net.Addr, error) {
			return []net.Addr{
				&net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(8, 32)},
				&net.IPNet{IP: net.IPv4(192, 168, 7, 8), Mask: net.CIDRMask(24, 32)},
			}, nil
		},
		outgoing: func(bool) net.IP { return nil },
		drivers:  []string{"fake", "libvirt"},
	}
}

// fixtureDir has what testdata/full.hcl names: certificates, a plugin's program, a policy file, secrets of notifications.
func fixtureDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	authority, root, err := ca.New("test", time.Hour)
	require.NoError(t, err)
	pair, err := authority.Issue(ca.Request{Roles: []ca.Role{ca.Server}, Region: "north", Lifetime: time.Minute})
	require.NoError(t, err)
	for name, text := range map[string][]byte{"ca.pem": root.Certificate, "agent.pem": pair.Certificate, "agent-key.pem": pair.Key, "acme": []byte("#!/bin/sh\n"),
		"webhook.url": []byte("https://hooks.example.org/hunter2\n"), "webhook.secret": []byte("hunter2\n"), "amqp.url": []byte("amqp://nova:hunter2@mq\n"),
		"keystone-password": []byte("hunter2\n"), "glance-password": []byte("hunter2\n"), "s3.secret": []byte("hunter2\n"), "policy.yaml": []byte("\"os_compute_api:limits\": \"@\"\n")} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o700))
	}
	return dir
}

// writeFile writes a configuration file in which DIR is dir, and returns its path.
func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600))
	return path
}

// load runs LoadRuntime as the command does, on a test's machine and without environment.
func load(t testing.TB, args ...string) (*Runtime, Problems) {
	t.Helper()
	set, flags := NewFlagSet()
	require.NoError(t, set.Parse(args))
	flags.machine, flags.Getenv = machine(), nil
	rt, err := LoadRuntime(*flags)
	var problems Problems
	if err != nil {
		require.True(t, errors.As(err, &problems))
	}
	return rt, problems
}
