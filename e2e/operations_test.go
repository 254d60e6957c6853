//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/stretchr/testify/require"
)

// act sends an action of an instance.
func (c *cloud) act(id, body string) error {
	_, err := c.send(http.MethodPost, c.compute.Endpoint+"servers/"+id+"/action", body)
	return err
}

// waitRunning waits until an operation of the kind is under way on the instance.
func waitRunning(t *testing.T, c *cloud, a *agent, instance, kind string) {
	t.Helper()
	eventually(t, 20*time.Second, kind+" is under way", func() error {
		var l struct {
			Operations []struct{ Kind, Status, Step string }
		}
		if err := c.get(a.url()+"/v1/operations?instance="+instance, &l); err != nil {
			return err
		}
		for _, o := range l.Operations {
			if o.Kind == kind && o.Status == "running" {
				return nil
			}
		}
		return fmt.Errorf("operations: %+v", l.Operations)
	})
}

// The agent, server and client in one, is killed with -9 in the middle of every operation on an instance: each is done after the restart, and nothing is stuck.
func TestAgentKilledInEveryOperation(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "slow.hcl")
	require.NoError(t, os.WriteFile(conf, []byte(`plugin "fake" {
 config {
  latency = { destroy = "1s", stop = "1s", start = "1s", reboot = "1s", pause = "1s", unpause = "1s", suspend = "1s", resume = "1s", rescue = "1s", unrescue = "1s",
   rebuild = "1s", snapshot = "1s", set_admin_password = "1s" }
 }
}
`), 0o600))
	a := newDev(t, "-driver", "fake", "-config", conf)
	c := login(t, a.url(), "admin", "kilonova", "admin")
	f := &fleet{t: t, cloud: c, servers: []*agent{a}}
	image, flavor := f.prepareNamed(c, bytes.Repeat([]byte("x"), 1<<20), "image")
	s, err := servers.Create(context.Background(), c.compute, servers.CreateOpts{Name: "n", ImageRef: image, FlavorRef: flavor}, nil).Extract()
	require.NoError(t, err)
	waitStatus(t, c, 30*time.Second, "ACTIVE", s.ID)
	for _, one := range []struct{ body, kind, status string }{
		{`{"pause": null}`, "pause", "PAUSED"},
		{`{"unpause": null}`, "unpause", "ACTIVE"},
		{`{"suspend": null}`, "suspend", "SUSPENDED"},
		{`{"resume": null}`, "resume", "ACTIVE"},
		{`{"rescue": null}`, "rescue", "RESCUE"},
		{`{"unrescue": null}`, "unrescue", "ACTIVE"},
		{`{"changePassword": {"adminPass": "s3cret"}}`, "changePassword", "ACTIVE"},
		{`{"reboot": {"type": "HARD"}}`, "reboot-hard", "ACTIVE"},
		{fmt.Sprintf(`{"rebuild": {"imageRef": %q}}`, image), "rebuild", "ACTIVE"},
		{`{"createImage": {"name": "snap"}}`, "createImage", "ACTIVE"},
		{`{"os-stop": null}`, "stop", "SHUTOFF"},
		{`{"os-start": null}`, "start", "ACTIVE"},
		{`{"shelve": null}`, "shelve", "SHELVED_OFFLOADED"},
		{`{"unshelve": null}`, "unshelve", "ACTIVE"},
	} {
		require.NoError(t, c.act(s.ID, one.body))
		if one.kind != "unshelve" { // too quick to be seen: the kill comes at any of its steps
			waitRunning(t, c, a, s.ID, one.kind)
		}
		a.kill()
		a.start()
		a.waitReady()
		eventually(t, 40*time.Second, one.kind+" ends", func() error {
			var v struct{ Server map[string]any }
			if err := c.get(c.compute.Endpoint+"servers/"+s.ID, &v); err != nil {
				return err
			}
			if v.Server["status"] != one.status || v.Server["OS-EXT-STS:task_state"] != nil {
				return fmt.Errorf("%v/%v: %v", v.Server["status"], v.Server["OS-EXT-STS:task_state"], v.Server["fault"])
			}
			return nil
		})
	}
	var l struct {
		Images []struct{ Name, Status string }
	}
	require.NoError(t, c.get(a.url()+"/image/v2/images", &l))
	names := map[string]string{}
	for _, i := range l.Images {
		names[i.Name] = i.Status
	}
	require.Equal(t, "active", names["snap"], "%v", names)
	require.NotContains(t, names, "n-shelved", "the image of a shelved disk outlives the shelving")
	require.Len(t, f.claims(c), 1)
}
