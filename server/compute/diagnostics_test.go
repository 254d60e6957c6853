package compute_test

import (
	"fmt"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestDiagnostics(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	a, id := loadAnswers(t), c.boot("alice", img)
	path, route := "/servers/"+id+"/diagnostics", "GET /servers/{server_id}/diagnostics"
	c.says(501, "The requested functionality is not supported.", "admin", "2.1", "GET", path, nil)
	failure := error(nil)
	c.core.Measure = func(ins *structs.Instance) (*structs.Diagnostics, error) {
		if string(ins.ID) != id {
			return nil, fmt.Errorf("measured %s", ins.ID)
		}
		return &structs.Diagnostics{State: "running", UptimeSeconds: 7, MemoryMaxMiB: 512, MemoryUsedMiB: 100, CPUs: []structs.CPUDiagnostics{{Nanoseconds: 5}, {ID: 1, Percent: 14.6}},
			Disks: []structs.DiskDiagnostics{{Device: "vda", ReadBytes: 1, ReadRequests: 2, WriteBytes: 3, WriteRequests: 4, ErrorsCount: 5}},
			NICs:  []structs.NICDiagnostics{{MAC: "fa:16:3e:00:00:01", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDrops: 4, TxBytes: 6, TxPackets: 7, TxErrors: 8, TxDrops: 9, TxRate: 10}}}, failure
	}
	for _, version := range []string{"2.1", "2.47", "2.48", "2.104"} {
		c.checked(a, route, "admin", version, path, nil)
		c.says(403, "Policy doesn't allow os_compute_api:os-server-diagnostics to be performed.", "alice", version, "GET", path, nil)
	}
	c.same(`{"cpu0_time":5,"cpu1_time":0,"memory":524288,"vda_errors":5,"vda_read":1,"vda_read_req":2,"vda_write":3,"vda_write_req":4,"vnet0_rx":1,"vnet0_rx_drop":4,`+
		`"vnet0_rx_errors":3,"vnet0_rx_packets":2,"vnet0_tx":6,"vnet0_tx_drop":9,"vnet0_tx_errors":8,"vnet0_tx_packets":7}`, "admin", "2.47", "GET", path, nil)
	c.same(`{"config_drive":false,"cpu_details":[{"id":0,"time":5,"utilisation":null},{"id":1,"time":0,"utilisation":15}],`+
		`"disk_details":[{"errors_count":5,"read_bytes":1,"read_requests":2,"write_bytes":3,"write_requests":4}],"driver":"libvirt","hypervisor":"fake","hypervisor_os":null,`+
		`"memory_details":{"maximum":512,"used":100},"nic_details":[{"mac_address":"fa:16:3e:00:00:01","rx_drop":4,"rx_errors":3,"rx_octets":1,"rx_packets":2,"rx_rate":null,`+
		`"tx_drop":9,"tx_errors":8,"tx_octets":6,"tx_packets":7,"tx_rate":10}],"num_cpus":2,"num_disks":1,"num_nics":1,"state":"running","uptime":7}`, "admin", "2.48", "GET", path, nil)
	c.want(400, "admin", "2.102", "GET", path+"?foo=1", nil)
	for _, one := range []struct {
		kind   structs.Kind
		status int
	}{{structs.KindConflict, 409}, {structs.KindNotFound, 404}, {structs.KindNotSupported, 501}, {structs.KindUnavailable, 503}} {
		failure = structs.Errorf(one.kind, "no")
		c.want(one.status, "admin", "2.48", "GET", path, nil)
	}
	failure = nil
	c.alter(id, func(i *structs.Instance) { i.Power = structs.PowerShutdown })
	c.says(409, "Cannot 'get_diagnostics' instance "+id+" while it is in power state shutdown", "admin", "2.48", "GET", path, nil)
	c.alter(id, func(i *structs.Instance) { i.Power, i.HostID = structs.PowerRunning, "" })
	c.says(409, "Instance "+id+" is not ready", "admin", "2.1", "GET", path, nil)
	c.want(404, "admin", "2.1", "GET", "/servers/"+thing+"/diagnostics", nil)
}

func TestTopology(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	a, id := loadAnswers(t), c.boot("alice", img)
	path := "/servers/" + id + "/topology"
	for _, token := range []string{"reader", "admin"} {
		for _, version := range []string{"2.78", "2.104"} {
			if got := c.checked(a, "GET /servers/{server_id}/topology", token, version, path, nil); string(got.body) != `{"nodes":[],"pagesize_kb":null}` {
				t.Errorf("%s", got.body)
			}
		}
	}
	c.want(404, "reader", "2.77", "GET", path, nil)
	c.says(404, "Instance "+id+" could not be found.", "bob", "2.78", "GET", path, nil)
	c.want(400, "reader", "2.102", "GET", path+"?foo=1", nil)
}

// The password that a guest reported is shown until it is cleared.
func TestServerPassword(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	a, id := loadAnswers(t), c.boot("alice", img)
	path, route := "/servers/"+id+"/os-server-password", "GET /servers/{server_id}/os-server-password"
	shows := func(want string) {
		t.Helper()
		if got := c.checked(a, route, "reader", "2.1", path, nil); string(got.body) != `{"password":"`+want+`"}` {
			t.Errorf("%s, want %s", got.body, want)
		}
	}
	shows("")
	propose(t, c.core, fsm.InstancePassword, &structs.InstancePasswordRequest{ID: structs.InstanceID(id), Password: "c2VjcmV0", Now: someTime})
	shows("c2VjcmV0")
	c.want(403, "reader", "2.1", "DELETE", path, nil)
	c.says(404, "Instance "+id+" could not be found.", "bob", "2.1", "DELETE", path, nil)
	c.want(404, "bob", "2.1", "GET", path, nil)
	shows("c2VjcmV0")
	for range 2 {
		if got := c.want(204, "alice", "2.104", "DELETE", path, nil); len(got.body) != 0 {
			t.Errorf("%s", got.body)
		}
		shows("")
	}
	c.want(400, "reader", "2.102", "GET", path+"?foo=1", nil)
}

// A token that nobody was given leads nowhere, and there are no consoles of Hyper-V.
func TestConsoleTokens(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	id, path, malformed := c.boot("alice", img), "/os-console-auth-tokens/"+thing, "The server could not comply with the request since it is either malformed or otherwise incorrect."
	for _, version := range []string{"2.1", "2.30"} {
		c.says(400, malformed, "admin", version, "GET", path, nil)
	}
	for _, version := range []string{"2.31", "2.98", "2.99", "2.104"} {
		c.says(404, "Token not found", "admin", version, "GET", path, nil)
	}
	c.want(404, "admin", "2.98", "GET", path+"?foo=1", nil)
	c.want(400, "admin", "2.99", "GET", path+"?foo=1", nil)
	c.want(403, "alice", "2.99", "GET", path, nil)
	for _, body := range []string{`{"os-getRDPConsole": {"type": "rdp-html5"}}`, `{"os-getRDPConsole": null}`} {
		for _, version := range []string{"2.1", "2.5"} {
			if got := c.act(400, "reader", version, id, body); string(got.body) != `{"badRequest":{"code":400,"message":"`+malformed+`"}}` {
				t.Errorf("%s", got.body)
			}
		}
		c.act(404, "alice", "2.6", id, body)
	}
}
