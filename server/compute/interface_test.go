package compute_test

import (
	"fmt"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// A cloud without a network service has instances without interfaces, addresses and groups; what would give them some is refused as by Nova for what is not there.
func TestInterfacesWithoutNetworks(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	a, id := loadAnswers(t), c.boot("alice", img)
	path := "/servers/" + id
	for _, version := range []string{"2.1", "2.49", "2.70", "2.104"} {
		for route, want := range map[string]string{"ips": `{"addresses":{}}`, "os-interface": `{"interfaceAttachments":[]}`, "os-security-groups": `{"security_groups":[]}`} {
			if got := c.checked(a, "GET /servers/{server_id}/"+route, "reader", version, path+"/"+route, nil); string(got.body) != want {
				t.Errorf("%s at %s: %s", route, version, got.body)
			}
			c.says(404, "Instance "+id+" could not be found.", "bob", version, "GET", path+"/"+route, nil)
		}
		c.says(404, "Instance is not a member of specified network", "reader", version, "GET", path+"/ips/net", nil)
		c.says(404, "Port id "+thing+" could not be found.", "reader", version, "GET", path+"/os-interface/"+thing, nil)
		c.says(404, "Port id "+thing+" could not be found.", "alice", version, "DELETE", path+"/os-interface/"+thing, nil)
		for body, refusal := range map[string]string{
			`{}`:                          "400 none are available for project '" + aliceProject + "'. There is no Network service in this cloud.",
			`{"interfaceAttachment": {}}`: "400 No specific network was requested",
			`{"interfaceAttachment": {"net_id": "` + thing + `"}}`:                               "404 Network " + thing + " could not be found.",
			`{"interfaceAttachment": {"port_id": "` + thing + `"}}`:                              "404 Port id " + thing + " could not be found.",
			`{"interfaceAttachment": {"port_id": "` + thing + `", "net_id": "` + thing + `"}}`:   "400 Must not input both network_id and port_id",
			`{"interfaceAttachment": {"fixed_ips": [{"ip_address": "10.0.0.1"}]}}`:               "400 Must input network_id when request IP address",
			`{"interfaceAttachment": {"fixed_ips": []}}`:                                         "400 Invalid input for field/attribute fixed_ips",
			`{"interfaceAttachment": {"fixed_ips": [{"ip_address": "here"}], "net_id": "here"}}`: "400 Invalid input for field/attribute",
			`{"interfaceAttachment": {"foo": 1}}`:                                                "400 Additional properties are not allowed",
		} {
			status := 0
			_, _ = fmt.Sscan(refusal, &status)
			c.says(status, refusal[4:], "alice", version, "POST", path+"/os-interface", body)
		}
	}
	tag := `{"interfaceAttachment": {"tag": "nic"}}`
	c.says(400, "Additional properties are not allowed ('tag' was unexpected)", "alice", "2.48", "POST", path+"/os-interface", tag)
	c.says(400, "No specific network was requested", "alice", "2.49", "POST", path+"/os-interface", tag)
	c.want(403, "reader", "2.49", "POST", path+"/os-interface", tag)
	c.says(400, "Additional properties are not allowed ('foo' was unexpected)", "alice", "2.102", "GET", path+"/os-interface?foo=1", nil)
	c.want(200, "alice", "2.101", "GET", path+"/os-interface?foo=1", nil)

	for _, version := range []string{"2.1", "2.104"} {
		c.says(404, "Security group web is not found for project "+aliceProject, "alice", version, "POST", path+"/action", `{"addSecurityGroup": {"name": "web"}}`)
		c.says(404, "Security group web is not found for project "+aliceProject, "alice", version, "POST", path+"/action", `{"removeSecurityGroup": {"name": "web"}}`)
		c.says(400, "Security group name cannot be empty", "alice", version, "POST", path+"/action", `{"addSecurityGroup": {"name": " "}}`)
		c.want(400, "alice", version, "POST", path+"/action", `{"addSecurityGroup": {"name": ""}}`)
		c.want(403, "reader", version, "POST", path+"/action", `{"addSecurityGroup": {"name": "web"}}`)
	}
	for body, refusal := range map[string]string{
		`{"addFixedIp": {"networkId": 1}}`:                       "404 Network could not be found for instance " + id + ".",
		`{"removeFixedIp": {"address": "10.0.0.2"}}`:             "400 Instance " + id + " does not have fixed IP '10.0.0.2'.",
		`{"removeFixedIp": {"address": "here"}}`:                 "400 Invalid input for field/attribute address",
		`{"addFloatingIp": {"address": "192.0.2.1"}}`:            "400 Instance network is not ready yet",
		`{"addFloatingIp": {"fixed_address": "10.0.0.2"}}`:       "400 'address' is a required property",
		`{"removeFloatingIp": {"address": "192.0.2.1"}}`:         "404 floating IP not found",
		`{"removeFloatingIp": {"address": "192.0.2.1", "x": 1}}`: "400 Additional properties are not allowed",
	} {
		status := 0
		_, _ = fmt.Sscan(refusal, &status)
		c.says(status, refusal[4:], "alice", "2.43", "POST", path+"/action", body)
		c.want(404, "alice", "2.44", "POST", path+"/action", body)
	}
	for _, body := range []string{`{"addFixedIp": {"networkId": 1}}`, `{"removeFixedIp": {"address": "10.0.0.2"}}`, `{"addFloatingIp": {"address": "192.0.2.1"}}`,
		`{"removeFloatingIp": {"address": "192.0.2.1"}}`} {
		c.want(403, "reader", "2.43", "POST", path+"/action", body)
	}
	c.alter(id, func(i *structs.Instance) { i.Locked = true })
	c.says(400, "Instance "+id+" is locked", "alice", "2.1", "POST", path+"/action", `{"addFixedIp": {"networkId": "x"}}`)
	c.says(400, "Instance "+id+" is locked", "alice", "2.1", "POST", path+"/action", `{"removeFixedIp": {"address": "10.0.0.2"}}`)
	c.says(409, "Instance "+id+" is locked", "alice", "2.1", "DELETE", path+"/os-interface/"+thing, nil)
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	a, path := loadAnswers(t), "/servers/"+id
	for _, version := range []string{"2.1", "2.69", "2.70", "2.104"} {
		for _, p.tag = range []string{"", "nic"} {
			c.checked(a, "GET /servers/{server_id}/os-interface", "reader", version, path+"/os-interface", nil)
			c.checked(a, "GET /servers/{server_id}/os-interface/{id}", "reader", version, path+"/os-interface/"+thing, nil)
			c.checked(a, "POST /servers/{server_id}/os-interface", "alice", version, path+"/os-interface", `{}`)
			p.wasAsked(t, `attach port "" network "" address "" tag ""`)
		}
		c.checked(a, "GET /servers/{server_id}/ips", "reader", version, path+"/ips", nil)
		c.checked(a, "GET /servers/{server_id}/os-security-groups", "reader", version, path+"/os-security-groups", nil)
		if got := c.checked(a, "GET /servers/{server_id}/ips/{id}", "reader", version, path+"/ips/net", nil); string(got.body) !=
			`{"net":[{"version":6,"addr":"2001:db8::2"},{"version":4,"addr":"10.0.0.2"},{"version":4,"addr":"192.0.2.1"}]}` {
			t.Errorf("%s", got.body)
		}
	}
	groups := c.want(200, "alice", "", "GET", path+"/os-security-groups", nil).json(t)["security_groups"].([]any)
	if len(groups) != 2 || groups[0].(map[string]any)["name"] != "a" {
		t.Errorf("%v", groups)
	}
	c.want(200, "alice", "2.49", "POST", path+"/os-interface", `{"interfaceAttachment": {"net_id": "`+thing+`", "fixed_ips": [{"ip_address": "10.0.0.7"}], "tag": "x"}}`)
	c.want(202, "alice", "2.1", "DELETE", path+"/os-interface/"+thing, nil)
	p.wasAsked(t, `attach port "" network "`+thing+`" address "10.0.0.7" tag "x"`, "detach port "+thing)
	c.says(404, "Port id "+other+" could not be found.", "alice", "", "GET", path+"/os-interface/"+other, nil)
	states := []structs.VMState{structs.VMActive, structs.VMPaused, structs.VMStopped}
	c.hotplugStates(id, "2.1", "POST", path+"/os-interface", `{}`, "attach_interface", 200, states...)
	c.hotplugStates(id, "2.1", "DELETE", path+"/os-interface/"+thing, nil, "detach_interface", 202, states...)
	p.asked = nil

	for body, want := range map[string]string{
		`{"addFixedIp": {"networkId": 7}}`:                                            "fixed of 7",
		`{"removeFixedIp": {"address": "10.0.0.2"}}`:                                  "not fixed 10.0.0.2",
		`{"addFloatingIp": {"address": "192.0.2.9"}}`:                                 "192.0.2.9 to 10.0.0.2",
		`{"addFloatingIp": {"address": "192.0.2.9", "fixed_address": "2001:db8::2"}}`: "192.0.2.9 to 2001:db8::2",
		`{"addSecurityGroup": {"name": "web"}}`:                                       "into web",
		`{"removeSecurityGroup": {"name": "web"}}`:                                    "out of web",
	} {
		if got := c.act(202, "alice", "2.43", id, body); len(got.body) != 0 {
			t.Errorf("%s: %s", body, got.body)
		}
		p.wasAsked(t, want)
	}
	c.says(400, "Specified fixed address not assigned to instance", "alice", "2.1", "POST", path+"/action", `{"addFloatingIp": {"address": "192.0.2.9", "fixed_address": "10.0.0.3"}}`)
	c.says(409, "Floating IP 192.0.2.1 is not associated with instance "+id+".", "alice", "2.1", "POST", path+"/action", `{"removeFloatingIp": {"address": "192.0.2.1"}}`)
	p.wasAsked(t)
	c.core.Write(func(tx *state.Txn) {
		ins := tx.Instance(structs.InstanceID(id)).Copy()
		ins.ID = thing
		tx.PutInstance(ins)
	})
	c.act(202, "alice", "2.43", thing, `{"removeFloatingIp": {"address": "192.0.2.1"}}`)
	p.wasAsked(t, "192.0.2.1 to nowhere")
}
