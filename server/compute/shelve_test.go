package compute_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
)

// A shelved instance holds nothing of a host; it comes back from its image, which then goes.
func TestShelve(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	one := c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	instance := func() *structs.Instance { return c.core.Stale().Instance(structs.InstanceID(id)) }
	c.act(409, "alice", "2.1", id, `{"unshelve": null}`)
	c.act(403, "alice", "2.1", id, `{"shelveOffload": null}`)
	c.act(202, "alice", "2.1", id, `{"shelve": null}`)
	if got := c.states(id); got != "ACTIVE active shelving 1" {
		t.Error(got)
	}
	var img *structs.Image
	for i := range c.core.Stale().Images() {
		if i.Name == "vm-shelved" {
			img = i
		}
	}
	if img == nil || img.ProjectID != aliceProject {
		t.Fatalf("the image of the shelved disk: %+v", img)
	}
	propose(t, c.core, fsm.ImageFinish, &structs.ImageFinishRequest{ID: img.ID, SHA512: "x", Now: img.CreatedAt})
	c.core.Drive(func(op *structs.Operation) string {
		if op.Kind == structs.OpShelveOffload {
			return "not now"
		}
		return ""
	})
	if got := c.states(id); got != "SHELVED shelved <nil> 4" {
		t.Errorf("with an offloading that failed: %s", got)
	}
	c.act(202, "admin", "2.1", id, `{"shelveOffload": null}`)
	c.core.Drive(nil)
	if got := c.states(id); got != "SHELVED_OFFLOADED shelved_offloaded <nil> 0" {
		t.Error(got)
	}
	if ins := instance(); ins.HostID != "" || ins.ShelvedImageID != img.ID || c.core.Stale().HostUsage(one.ID).Used != (structs.Resources{}) {
		t.Errorf("it still holds something: %+v", ins)
	}
	if got := c.events("alice", "2.51", id); !strings.HasPrefix(got[0], "shelveOffload") {
		t.Errorf("%v", got)
	}
	for _, bad := range []struct {
		status               int
		token, version, body string
	}{
		{400, "alice", "2.77", `{"unshelve": {}}`},
		{400, "alice", "2.77", `{"unshelve": {"availability_zone": "nowhere"}}`},
		{400, "alice", "2.77", `{"unshelve": {"availability_zone": null}}`},
		{400, "alice", "2.90", `{"unshelve": {"host": "host-1"}}`},
		{403, "alice", "2.91", `{"unshelve": {"host": "host-1"}}`},
		{400, "admin", "2.91", `{"unshelve": {"host": "nobody"}}`},
		{409, "alice", "2.91", `{"pause": null}`},
	} {
		c.act(bad.status, bad.token, bad.version, id, bad.body)
	}
	down := *one
	propose(t, c.core, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: down.ID, Epoch: down.Epoch, Status: structs.HostDown}}})
	c.act(202, "alice", "2.1", id, `{"unshelve": "anything"}`)
	c.core.Drive(nil)
	if got := c.states(id); got != "SHELVED_OFFLOADED shelved_offloaded <nil> 0" {
		t.Errorf("without a host it stays as it was: %s", got)
	}
	c.core.AddHost("host-2")
	c.act(202, "admin", "2.91", id, `{"unshelve": {"host": "host-2", "availability_zone": null}}`)
	c.core.Drive(nil)
	if got := c.states(id); got != "ACTIVE active <nil> 1" {
		t.Error(got)
	}
	if ins := instance(); ins.Host != "host-2" || ins.ShelvedImageID != "" || c.core.Stale().Image(img.ID) != nil {
		t.Errorf("after it came back: %+v", ins)
	}
}

// With a time to keep its host, a shelved instance stays there until it is over or an administrator asks.
func TestShelveKeepsItsHost(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{time.Hour, -time.Second} {
		core := coretest.New()
		srv := httptest.NewServer(newHandler(t, core, compute.Options{OffloadAfter: after}))
		t.Cleanup(srv.Close)
		c := &cloud{t, core, srv, srv.URL + compute.Prefix}
		core.AddHost("host-1")
		c.small()
		id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
		c.act(202, "alice", "2.1", id, `{"shelve": null}`)
		core.Drive(nil)
		if got := c.states(id); got != "SHELVED shelved <nil> 4" || c.claims(id) != 1 {
			t.Errorf("%s, %d claims", got, c.claims(id))
		}
		c.act(202, "admin", "2.1", id, `{"shelveOffload": null}`)
		core.Drive(nil)
		if got := c.states(id); got != "SHELVED_OFFLOADED shelved_offloaded <nil> 0" || c.claims(id) != 0 {
			t.Errorf("%s, %d claims", got, c.claims(id))
		}
	}
}
