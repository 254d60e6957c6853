package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestAggregatesAreRead: `openstack hypervisor show` asks for the aggregates, and shows nothing when that fails.
func TestAggregatesAreRead(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	if got := string(c.want(200, "admin", "2.1", "GET", "/os-aggregates", nil).body); got != `{"aggregates":[]}` {
		t.Errorf("%s", got)
	}
	c.want(403, "alice", "2.1", "GET", "/os-aggregates", nil)
	c.want(404, "admin", "2.1", "GET", "/os-aggregates/1", nil)
}

// TestUnhealthyDriverDisables: a host whose driver lost its hypervisor shows as Nova's compute service that disabled itself, until it is back.
func TestUnhealthyDriverDisables(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.core.AddHost("host-1")
	look := func() string {
		s := c.want(200, "admin", "2.90", "GET", "/os-services?binary=nova-compute", nil).json(t)["services"].([]any)[0].(map[string]any)
		v := c.want(200, "admin", "2.90", "GET", "/os-hypervisors/"+string(h.ID), nil).json(t)["hypervisor"].(map[string]any)
		if of := v["service"].(map[string]any); of["disabled_reason"] != s["disabled_reason"] || v["status"] != s["status"] {
			t.Errorf("the hypervisor says %v, the service %v", v, s)
		}
		return fmt.Sprint(s["state"], " ", s["status"], " ", s["disabled_reason"])
	}
	report := func(healthy bool, why string) {
		t.Helper()
		again := *h
		again.DriverHealthy, again.DriverHealth = healthy, why
		propose(t, c.core, fsm.HostRegister, &structs.HostRegisterRequest{Host: again, Now: someTime})
	}
	disable := func(off bool, why string) {
		t.Helper()
		propose(t, c.core, fsm.HostAdmin, &structs.HostAdminRequest{HostID: h.ID, Disabled: &off, DisabledReason: why})
	}
	for _, c := range []struct {
		do   func()
		want string
	}{
		{func() {}, "up enabled <nil>"},
		{func() { report(false, "libvirtd is gone") }, "up disabled AUTO: libvirtd is gone"},
		{func() { report(false, "") }, "up disabled AUTO: the driver is unhealthy"},
		{func() { disable(true, "maintenance") }, "up disabled maintenance"},
		{func() { report(true, "") }, "up disabled maintenance"},
		{func() { disable(false, "") }, "up enabled <nil>"},
	} {
		c.do()
		if got := look(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestRemoteConsoles: none is enabled, which is said as Nova says it, after everything else was judged.
func TestRemoteConsoles(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	const vnc = `{"remote_console":{"protocol":"vnc","type":"novnc"}}`
	for _, q := range []struct {
		status               int
		token, version, path string
		body, says           string
	}{
		{400, "alice", "2.6", "/servers/" + id + "/remote-consoles", vnc, "Unavailable console type novnc."},
		{400, "alice", "2.104", "/servers/" + id + "/remote-consoles", `{"remote_console":{"protocol":"spice","type":"spice-direct"}}`, "Unavailable console type spice-direct."},
		{400, "alice", "2.98", "/servers/" + id + "/remote-consoles", `{"remote_console":{"protocol":"spice","type":"spice-direct"}}`, "is not one of"},
		{400, "alice", "2.5", "/servers/" + id + "/action", `{"os-getVNCConsole":{"type":"xvpvnc"}}`, "Unavailable console type xvpvnc."},
		{400, "alice", "2.5", "/servers/" + id + "/action", `{"os-getSPICEConsole":{"type":"spice-html5"}}`, "Unavailable console type spice-html5."},
		{400, "alice", "2.5", "/servers/" + id + "/action", `{"os-getSerialConsole":{"type":"serial"}}`, "Unavailable console type serial."},
		{400, "alice", "2.5", "/servers/" + id + "/action", `{"os-getSerialConsole":{"type":"novnc"}}`, "is not one of"},
		{404, "alice", "2.6", "/servers/" + id + "/action", `{"os-getVNCConsole":{"type":"novnc"}}`, "The resource could not be found."},
		{404, "alice", "2.5", "/servers/" + id + "/remote-consoles", vnc, "The resource could not be found."},
		{404, "bob", "2.6", "/servers/" + id + "/remote-consoles", vnc, "Instance " + id + " could not be found."},
		{403, "reader", "2.6", "/servers/" + id + "/remote-consoles", vnc, "os_compute_api:os-remote-consoles"},
	} {
		a := c.want(q.status, q.token, q.version, "POST", q.path, q.body)
		if fault := fmt.Sprint(a.json(t)); !strings.Contains(fault, q.says) {
			t.Errorf("%s at %s: %s", q.body, q.version, fault)
		}
	}
}
