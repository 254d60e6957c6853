//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/stretchr/testify/require"
)

// slowTools puts a qemu-img into PATH that takes its time, so that a test can act while an image is being converted.
func slowTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = convert ] && sleep 2\nexec /usr/bin/qemu-img \"$@\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "qemu-img"), []byte(script), 0o755))
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

// The agent, server and client in one, is killed with -9 in the middle of a build, at each of its steps: the build ends ACTIVE, once, with one claim.
func TestAgentKilledAtEachStep(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "slow.hcl")
	require.NoError(t, os.WriteFile(conf, []byte("plugin \"fake\" {\n config {\n  latency = { create = \"2s\", destroy = \"1s\", stop = \"1s\" }\n  image_formats = [\"qcow2\"]\n }\n}\n"), 0o600))
	a := &agent{t: t, name: "dev", ip: nextNet() + ".1", dir: t.TempDir(), env: []string{slowTools(t)}}
	a.args = []string{"-dev", "-driver", "fake", "-config", conf, "-data-dir", a.dir, "-bind", a.ip, "-name", "dev"}
	a.start()
	t.Cleanup(a.cleanup)
	a.waitReady()
	c := login(t, a.url(), "admin", "kilonova", "admin")
	f := &fleet{t: t, cloud: c, servers: []*agent{a}}
	var ids []string
	for i, step := range []string{"place", "image", "spawn", "image", "spawn"} {
		// Each build has an image of its own, which has yet to be fetched and converted.
		image, flavor := f.prepareNamed(c, bytes.Repeat([]byte{byte(i + 1)}, 1<<20), fmt.Sprintf("image-%d", i))
		s, err := servers.Create(context.Background(), c.compute, servers.CreateOpts{Name: fmt.Sprintf("n-%d", i), ImageRef: image, FlavorRef: flavor}, nil).Extract()
		require.NoError(t, err)
		if step != "place" {
			waitStep(t, c, a, s.ID, step)
		}
		a.kill()
		a.start()
		a.waitReady()
		waitStatus(t, c, 60*time.Second, "ACTIVE", s.ID)
		ids = append(ids, s.ID)
	}
	claims := f.claims(c)
	require.Len(t, claims, len(ids))

	// A delete and a stop that are interrupted end as well.
	_, err := servers.Get(context.Background(), c.compute, ids[0]).Extract()
	require.NoError(t, err)
	require.NoError(t, servers.Stop(context.Background(), c.compute, ids[1]).ExtractErr())
	require.NoError(t, servers.Delete(context.Background(), c.compute, ids[0]).ExtractErr())
	a.kill()
	a.start()
	a.waitReady()
	waitStatus(t, c, 30*time.Second, "SHUTOFF", ids[1])
	eventually(t, 30*time.Second, "the deleted instance is gone", func() error {
		_, err := servers.Get(context.Background(), c.compute, ids[0]).Extract()
		if err == nil || !strings.Contains(err.Error(), "404") {
			return fmt.Errorf("get answers %v", err)
		}
		return nil
	})
	require.Len(t, f.claims(c), len(ids)-1)
}

// waitStep waits until the instance's operation is at a step, by the native API.
func waitStep(t *testing.T, c *cloud, a *agent, instance, step string) {
	t.Helper()
	eventually(t, 30*time.Second, "the build is at step "+step, func() error {
		var l struct {
			Operations []struct{ Kind, Status, Step string }
		}
		if err := c.get(a.url()+"/v1/operations?instance="+instance, &l); err != nil {
			return err
		}
		for _, o := range l.Operations {
			if o.Kind == "create" && o.Step == step && o.Status == "running" {
				return nil
			}
		}
		return fmt.Errorf("operations: %+v", l.Operations)
	})
}

// A driver's process that dies before or after a call had its effect, at any call of a build: the build ends ACTIVE, made once.
func TestDriverCrashesInBuild(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"before", "after"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			conf := filepath.Join(t.TempDir(), "crash.hcl")
			require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "plugin \"fake\" {\n config {\n  crashes = [{ method = \"create\", nth = 2, point = %q }]\n }\n}\n", point), 0o600))
			a := newDev(t, "-driver", "fake", "-config", conf)
			c := login(t, a.url(), "admin", "kilonova", "admin")
			f := &fleet{t: t, cloud: c, servers: []*agent{a}}
			image, flavor := f.prepareNamed(c, []byte(strings.Repeat("x", 4096)), "image")
			var ids []string
			for i := range 4 {
				s, err := servers.Create(context.Background(), c.compute, servers.CreateOpts{Name: fmt.Sprintf("n-%d", i), ImageRef: image, FlavorRef: flavor}, nil).Extract()
				require.NoError(t, err)
				ids = append(ids, s.ID)
			}
			waitStatus(t, c, 60*time.Second, "ACTIVE", ids...)
			require.Contains(t, a.out.String(), "driver plugin", "the driver's process did crash")
		})
	}
}
