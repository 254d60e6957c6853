package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (c *cloud) setHost(h structs.Host) *structs.Host {
	c.tb.Helper()
	return propose(c.tb, c.core, fsm.HostRegister, &structs.HostRegisterRequest{Host: h, Now: someTime})
}

func TestHypervisorFacts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.setHost(structs.Host{ID: "11111111-2222-4333-8444-555555555555", Name: "host-1", Zone: "nova", RPCAddr: "10.0.0.5:4747", DriverHealthy: true,
		HypervisorType: "QEMU", HypervisorVersion: 8002002,
		HypervisorHostname: "host-1.example", Total: structs.Resources{VCPUs: 8, MemoryMiB: 16384, DiskGiB: 100}, Reserved: structs.Resources{MemoryMiB: 512},
		CPUInfo:    structs.CPUInfo{Arch: "x86_64", Model: "Skylake", Vendor: "Intel", Sockets: 1, Cores: 4, Threads: 2, Features: []string{"vmx"}},
		Attributes: map[string]string{"uptime": " 08:32:11 up 93 days"}})
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	show := func(version, path string) map[string]any {
		t.Helper()
		return c.want(200, "admin", version, "GET", path, nil).json(t)["hypervisor"].(map[string]any)
	}
	v := show("2.28", "/os-hypervisors/1")
	for k, want := range map[string]string{"id": "1", "vcpus": "8", "vcpus_used": "1", "memory_mb": "16384", "memory_mb_used": "1024", "free_ram_mb": "15360",
		"local_gb":      "100",
		"local_gb_used": "1", "free_disk_gb": "99", "running_vms": "1", "current_workload": "0", "host_ip": "10.0.0.5", "hypervisor_version": "8.002002e+06",
		"state": "up", "status": "enabled",
		"cpu_info": "map[arch:x86_64 features:[vmx] model:Skylake topology:map[cores:4 sockets:1 threads:2] vendor:Intel]",
		"service":  "map[disabled_reason:<nil> host:host-1 id:1]"} {
		if got := fmt.Sprint(v[k]); got != want {
			t.Errorf("%s is %s, want %s", k, got, want)
		}
	}
	if got := show("2.1", "/os-hypervisors/1")["cpu_info"].(string); !strings.Contains(got, `"model":"Skylake"`) {
		t.Errorf("cpu_info %s", got)
	}
	if got := show("2.87", "/os-hypervisors/"+string(h.ID)+"/uptime"); got["uptime"] != " 08:32:11 up 93 days" || got["id"] != string(h.ID) {
		t.Errorf("uptime %v", got)
	}
	v = show("2.88", "/os-hypervisors/"+string(h.ID)+"?with_servers=yes")
	if v["uptime"] != " 08:32:11 up 93 days" || v["vcpus"] != nil || fmt.Sprint(v["servers"]) != "[map[name:instance-00000001 uuid:"+id+"]]" {
		t.Errorf("unexpected %v", v)
	}
	sum := c.want(200, "admin", "2.87", "GET", "/os-hypervisors/statistics", nil).json(t)["hypervisor_statistics"].(map[string]any)
	if sum["count"] != 1.0 || sum["vcpus_used"] != 1.0 {
		t.Errorf("statistics %v", sum)
	}
	c.want(204, "alice", "", "DELETE", "/servers/"+id, nil)
	c.core.Drive(nil)
	for version, has := range map[string]bool{"2.74": false, "2.75": true} {
		v := show(version, "/os-hypervisors/"+string(h.ID)+"?with_servers=yes")
		if _, ok := v["servers"]; ok != has {
			t.Errorf("servers at %s: %v", version, v["servers"])
		}
	}
}

func TestHypervisorPages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 5 {
		c.core.AddHost(fmt.Sprintf("host-%d", i))
	}
	for _, version := range []string{"2.33", "2.53", "2.104"} {
		next, seen := c.base+"/os-hypervisors/detail?limit=2", []string{}
		for next != "" {
			v := c.want(200, "admin", version, "GET", next, nil).json(t)
			for _, h := range v["hypervisors"].([]any) {
				seen = append(seen, h.(map[string]any)["hypervisor_hostname"].(string))
			}
			next = ""
			if l, ok := v["hypervisors_links"].([]any); ok {
				next = l[0].(map[string]any)["href"].(string)
			}
		}
		if got := strings.Join(seen, " "); got != "host-0 host-1 host-2 host-3 host-4" {
			t.Errorf("at %s: %s", version, got)
		}
	}
	if n := len(c.want(200, "admin", "2.32", "GET", "/os-hypervisors?limit=2", nil).json(t)["hypervisors"].([]any)); n != 5 {
		t.Errorf("%d before pages existed", n)
	}
	if n := len(c.want(200, "admin", "2.53", "GET", "/os-hypervisors?hypervisor_hostname_pattern=T-3", nil).json(t)["hypervisors"].([]any)); n != 1 {
		t.Errorf("%d match", n)
	}
}

func TestServicesAndZones(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	one, two := c.core.AddHost("host-1"), c.core.AddHost("host-2")
	c.setHost(structs.Host{ID: "33333333-2222-4333-8444-555555555555", Name: "host-3", Zone: "mars", DriverHealthy: true})
	put := func(version, id, body string) map[string]any {
		t.Helper()
		return c.want(200, "admin", version, "PUT", "/os-services/"+id, body).json(t)["service"].(map[string]any)
	}
	rows := func(version, query string) string {
		t.Helper()
		var list []string
		for _, s := range c.want(200, "admin", version, "GET", "/os-services"+query, nil).json(t)["services"].([]any) {
			v := s.(map[string]any)
			list = append(list, fmt.Sprint(v["host"], "/", v["binary"], " ", v["zone"], " ", v["status"], " ", v["state"], " ", v["disabled_reason"]))
		}
		return strings.Join(list, "\n")
	}
	if got := fmt.Sprint(put("2.1", "disable", `{"host": "host-1", "binary": "nova-compute"}`)); got != "map[binary:nova-compute host:host-1 status:disabled]" {
		t.Error(got)
	}
	if got := fmt.Sprint(put("2.11", "force-down", `{"host": "host-2", "binary": "nova-compute", "forced_down": "yes"}`)); got != "map[binary:nova-compute forced_down:true host:host-2]" {
		t.Error(got)
	}
	put("2.1", "disable-log-reason", `{"host": "host-3", "binary": "nova-compute", "disabled_reason": "dust storm"}`)
	want := "server-1/nova-scheduler internal enabled up <nil>\nserver-1/nova-conductor internal enabled up <nil>\nhost-1/nova-compute nova disabled up <nil>\n" +
		"host-2/nova-compute nova enabled down <nil>\nhost-3/nova-compute mars disabled up dust storm"
	for _, version := range []string{"2.1", "2.53", "2.104"} {
		if got := rows(version, ""); got != want {
			t.Errorf("at %s:\n%s", version, got)
		}
	}
	if got := rows("2.1", "?host=host-3&binary=nova-compute"); got != "host-3/nova-compute mars disabled up dust storm" {
		t.Error(got)
	}
	if got := c.want(200, "alice", "", "GET", "/os-availability-zone", nil); string(got.body) !=
		`{"availabilityZoneInfo":[{"zoneName":"nova","zoneState":{"available":true},"hosts":null},{"zoneName":"mars","zoneState":{"available":false},"hosts":null}]}` {
		t.Errorf("%s", got.body)
	}
	detail := c.want(200, "admin", "", "GET", "/os-availability-zone/detail", nil).json(t)["availabilityZoneInfo"].([]any)
	if len(detail) != 3 || detail[0].(map[string]any)["zoneName"] != "internal" || fmt.Sprint(detail[2].(map[string]any)["hosts"]) != "<nil>" {
		t.Errorf("zones %v", detail)
	}
	v := put("2.53", string(one.ID), `{"status": "enabled"}`)
	if v["status"] != "enabled" || v["disabled_reason"] != nil || v["id"] != string(one.ID) {
		t.Errorf("unexpected %v", v)
	}
	if v := put("2.53", string(two.ID), `{"forced_down": false}`); v["forced_down"] != false || v["state"] != "up" {
		t.Errorf("unexpected %v", v)
	}
	id := c.want(200, "admin", "2.53", "GET", "/os-services?binary=nova-scheduler", nil).json(t)["services"].([]any)[0].(map[string]any)["id"].(string)
	if a := c.want(400, "admin", "2.53", "PUT", "/os-services/"+id, `{"status": "disabled"}`); !strings.Contains(string(a.body),
		"Updating a nova-scheduler service is not supported.") {
		t.Errorf("%s", a.body)
	}
}

// A host that is gone goes with its service: by its number before 2.53, by its UUID after.
func TestDeleteService(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	one, two := c.core.AddHost("host-1"), c.core.AddHost("host-2")
	c.small()
	refuse := func(status int, version, id, says string) {
		t.Helper()
		if a := c.want(status, "admin", version, "DELETE", "/os-services/"+id, nil); !strings.Contains(string(a.body), says) {
			t.Errorf("%s", a.body)
		}
	}
	number := func(h *structs.Host) string { return fmt.Sprint(h.Num) }
	refuse(409, "2.1", number(one), "Host host-1 is up: stop its client first")
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	on := c.core.Stale().Host(c.core.Stale().Instance(structs.InstanceID(id)).HostID)
	free := two
	if on.ID == two.ID {
		free = one
	}
	down := func(h *structs.Host) {
		propose(t, c.core, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: h.ID, Epoch: h.Epoch, Status: structs.HostDown}}})
	}
	down(on)
	refuse(409, "2.53", string(on.ID), "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
	c.want(204, "alice", "", "DELETE", "/servers/"+id, nil)
	refuse(409, "2.53", string(on.ID), "may still have the guests of 1 deleted instances")
	c.want(403, "alice", "2.53", "DELETE", "/os-services/"+string(free.ID), nil)
	down(free)
	if a := c.want(204, "admin", "2.52", "DELETE", "/os-services/"+number(free), nil); len(a.body) > 0 {
		t.Errorf("%s", a.body)
	}
	refuse(404, "2.52", number(free), "Service "+number(free)+" not found.")
	refuse(404, "2.53", string(free.ID), "not found.")
	spare := c.core.AddHost("host-3")
	down(spare)
	c.want(204, "admin", "2.104", "DELETE", "/os-services/"+string(spare.ID), nil)
	if n := len(c.want(200, "admin", "", "GET", "/os-services?binary=nova-compute", nil).json(t)["services"].([]any)); n != 1 {
		t.Errorf("%d services are left", n)
	}
	for _, version := range []string{"2.1", "2.53"} {
		row := c.want(200, "admin", version, "GET", "/os-services?binary=nova-conductor", nil).json(t)["services"].([]any)[0].(map[string]any)
		server := fmt.Sprint(row["id"])
		if n, ok := row["id"].(float64); ok {
			server = fmt.Sprintf("%.0f", n)
		}
		refuse(400, version, server, "Deleting a nova-conductor service is not supported. Only nova-compute services can be deleted.")
	}
}

func TestHostStatusOfInstances(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	status := func(token string) any {
		t.Helper()
		return c.want(200, token, "2.16", "GET", "/servers/"+id, nil).json(t)["server"].(map[string]any)["host_status"]
	}
	if got := status("admin"); got != "UP" {
		t.Error(got)
	}
	if got := status("alice"); got != nil {
		t.Error(got)
	}
	on, off := true, false
	propose(t, c.core, fsm.HostAdmin, &structs.HostAdminRequest{HostID: h.ID, Disabled: &on})
	if got := status("admin"); got != "MAINTENANCE" {
		t.Error(got)
	}
	propose(t, c.core, fsm.HostAdmin, &structs.HostAdminRequest{HostID: h.ID, Disabled: &off, ForcedDown: &on})
	if got := status("admin"); got != "DOWN" {
		t.Error(got)
	}
	propose(t, c.core, fsm.HostAdmin, &structs.HostAdminRequest{HostID: h.ID, ForcedDown: &off})
	propose(t, c.core, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: h.ID, Epoch: h.Epoch, Status: structs.HostDown,
		Reason: "lease"}}})
	if got := status("admin"); got != "UNKNOWN" {
		t.Error(got)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
	propose(t, c.core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: bobProject, Limits: structs.UnlimitedQuota()}})
	for query, want := range map[string][3]float64{"alice": {10, 1, 512}, "bob": {-1, 0, 0}, "admin?tenant_id=" + aliceProject: {10, 1, 512}} {
		who, q, _ := strings.Cut(query, "?")
		l := c.want(200, who, "2.57", "GET", "/limits?"+q, nil).json(t)["limits"].(map[string]any)["absolute"].(map[string]any)
		if got := [3]float64{l["maxTotalInstances"].(float64), l["totalInstancesUsed"].(float64), l["totalRAMUsed"].(float64)}; got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}
