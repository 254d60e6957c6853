package compute_test

import (
	"fmt"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// A cloud without a volume service has instances without volumes.
func TestAttachmentsWithoutVolumes(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	a, id := loadAnswers(t), c.boot("alice", img)
	path := "/servers/" + id + "/os-volume_attachments"
	for _, version := range []string{"2.1", "2.19", "2.20", "2.49", "2.70", "2.79", "2.84", "2.85", "2.89", "2.100", "2.101", "2.104"} {
		if got := c.checked(a, "GET /servers/{server_id}/os-volume_attachments", "reader", version, path, nil); string(got.body) != `{"volumeAttachments":[]}` {
			t.Errorf("%s", got.body)
		}
		c.says(404, "Instance "+id+" is not attached to volume "+thing, "reader", version, "GET", path+"/"+thing, nil)
		c.says(404, "Volume "+thing+" could not be found.", "alice", version, "POST", path, attach(""))
		c.says(404, "Volume "+thing+" could not be found.", "alice", version, "DELETE", path+"/"+thing, nil)
		c.want(403, "reader", version, "POST", path, attach(""))
		c.want(403, "reader", version, "DELETE", path+"/"+thing, nil)
		c.want(404, "bob", version, "GET", path, nil)
	}
	for _, version := range []string{"2.1", "2.84"} {
		c.says(403, "Policy doesn't allow os_compute_api:os-volumes-attachments:swap to be performed.", "alice", version, "PUT", path+"/"+thing, attach(""))
		c.says(404, "Volume "+thing+" could not be found.", "admin", version, "PUT", path+"/"+thing, attach(""))
	}
	for _, version := range []string{"2.85", "2.104"} {
		c.says(404, "No volume Block Device Mapping with id "+thing+".", "alice", version, "PUT", path+"/"+thing, attach(`, "delete_on_termination": true`))
		c.says(404, "No volume Block Device Mapping with id "+other+".", "admin", version, "PUT", path+"/"+other, attach(""))
		c.says(403, "Policy doesn't allow os_compute_api:os-volumes-attachments:swap to be performed.", "alice", version, "PUT", path+"/"+other, attach(""))
		c.says(403, "Policy doesn't allow os_compute_api:os-volumes-attachments:update to be performed.", "reader", version, "PUT", path+"/"+thing, attach(""))
		c.want(404, "bob", version, "PUT", path+"/"+thing, attach(""))
	}
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMShelvedOffloaded })
	c.says(409, "Cannot 'attach_volume' instance "+id+" while it is in vm_state shelved_offloaded", "alice", "2.19", "POST", path, attach(""))
	c.says(409, "Cannot 'detach_volume' instance "+id+" while it is in vm_state shelved_offloaded", "alice", "2.19", "DELETE", path+"/"+thing, nil)
	c.says(404, "Volume", "alice", "2.20", "POST", path, attach(""))
	c.says(404, "Volume", "alice", "2.20", "DELETE", path+"/"+thing, nil)
}

// attach is a body about the volume thing, with more fields.
func attach(more string) string {
	return fmt.Sprintf(`{"volumeAttachment": {"volumeId": "%s"%s}}`, thing, more)
}

func TestAttachmentSchemas(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	path := "/servers/" + c.boot("alice", img) + "/os-volume_attachments"
	for _, one := range []struct {
		body        string
		first, last int // microversions that take it
	}{
		{`, "device": null`, 1, 104}, {`, "device": "/dev/vdb"`, 1, 104}, {`, "device": "vdb"`, 1000, 0}, {`, "tag": "x"`, 49, 104}, {`, "tag": "x,y"`, 1000, 0},
		{`, "delete_on_termination": "yes"`, 79, 104}, {`, "delete_on_termination": "maybe"`, 1000, 0}, {`, "serverId": "` + thing + `"`, 1000, 0}, {`, "foo": 1`, 1000, 0},
	} {
		for _, v := range []int{1, 48, 49, 78, 79, 104} {
			want := 400
			if v >= one.first && v <= one.last {
				want = 404 // there is no such volume
			}
			c.want(want, "alice", fmt.Sprint("2.", v), "POST", path, attach(one.body))
		}
	}
	for _, body := range []string{`, "device": "/dev/vdb"`, `, "tag": "x"`, `, "delete_on_termination": "no"`, `, "serverId": "` + thing + `"`, `, "id": "` + thing + `"`} {
		c.want(400, "admin", "2.84", "PUT", path+"/"+thing, attach(body))
		c.want(404, "admin", "2.85", "PUT", path+"/"+thing, attach(body))
	}
	c.want(400, "alice", "", "POST", path, `{"volumeAttachment": {}}`)
	c.want(400, "alice", "", "POST", path, `{"volumeAttachment": {"volumeId": "v"}}`)
	c.want(400, "alice", "", "GET", path+"?limit=x", nil)
	c.want(200, "alice", "2.74", "GET", path+"?foo=1", nil)
	c.want(400, "alice", "2.75", "GET", path+"?foo=1", nil)
	c.want(404, "alice", "2.104", "GET", path+"/"+thing+"?foo=1", nil)
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	a, path := loadAnswers(t), "/servers/"+id+"/os-volume_attachments"
	const list, one = "/servers/{server_id}/os-volume_attachments", "/servers/{server_id}/os-volume_attachments/{id}"
	spare := `{"volumeAttachment": {"volumeId": "` + other + `"}}`
	for _, version := range []string{"2.1", "2.69", "2.70", "2.78", "2.79", "2.88", "2.89", "2.100", "2.101", "2.104"} {
		for _, p.tag = range []string{"", "disk"} {
			c.checked(a, "GET "+list, "reader", version, path, nil)
			c.checked(a, "GET "+one, "reader", version, path+"/"+thing, nil)
		}
	}
	for _, version := range []string{"2.1", "2.69", "2.70", "2.79", "2.89", "2.100"} {
		c.checked(a, "POST "+list, "alice", version, path, spare)
		p.wasAsked(t, `attach volume `+other+` device "" tag "" delete false`)
	}
	if got := c.want(202, "alice", "2.101", "POST", path, `{"volumeAttachment": {"volumeId": "`+other+`", "device": "/dev/vdx", "tag": "t", "delete_on_termination": "on"}}`); len(got.body) != 0 {
		t.Errorf("%s", got.body)
	}
	p.wasAsked(t, `attach volume `+other+` device "/dev/vdx" tag "t" delete true`)
	c.same(`{"volumeAttachments":[]}`, "alice", "", "GET", path+"?offset=1", nil)
	c.says(400, "Invalid volume: volume "+thing+" already attached", "alice", "", "POST", path, attach(""))
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMShelvedOffloaded })
	c.says(400, "Tagged volume attachment is not supported for shelved-offloaded instances.", "alice", "2.49", "POST", path,
		`{"volumeAttachment": {"volumeId": "`+other+`", "tag": "t"}}`)
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMActive })
	p.wasAsked(t)

	states := []structs.VMState{structs.VMActive, structs.VMPaused, structs.VMStopped, structs.VMResized, structs.VMSoftDeleted, structs.VMShelved, structs.VMShelvedOffloaded}
	c.hotplugStates(id, "2.20", "POST", path, spare, "attach_volume", 200, states...)
	p.asked = nil
	c.hotplugStates(id, "2.20", "DELETE", path+"/"+thing, nil, "detach_volume", 202, states...)
	if len(p.asked) != len(states)+1 || p.asked[0] != "detach volume "+thing {
		t.Errorf("%q", p.asked)
	}
	p.asked = nil
	c.says(404, "Instance "+id+" is not attached to volume "+other, "alice", "", "DELETE", path+"/"+other, nil)
	p.root = true
	c.says(400, "Cannot detach a root device volume", "alice", "", "DELETE", path+"/"+thing, nil)
	p.wasAsked(t)
}

func TestAttachmentUpdate(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	path := "/servers/" + id + "/os-volume_attachments/" + thing
	p.tag = "disk"
	same := `, "id": "` + thing + `", "serverId": "` + id + `", "device": "/dev/vdb", "tag": "disk"`
	c.want(202, "alice", "2.85", "PUT", path, attach(same+`, "delete_on_termination": "0"`))
	p.wasAsked(t, "delete "+thing+" false")
	c.want(202, "alice", "2.85", "PUT", path, attach(same))
	p.wasAsked(t)
	for field, value := range map[string]string{"id": other, "serverId": other, "device": "/dev/vdc", "tag": "x"} {
		c.says(400, "The "+field+" property is not mutable", "alice", "2.85", "PUT", path, attach(`, "`+field+`": "`+value+`"`))
	}
	c.says(400, "The device property is not mutable", "alice", "2.85", "PUT", path, attach(`, "device": null`))

	swap := `{"volumeAttachment": {"volumeId": "` + other + `"}}`
	for _, version := range []string{"2.1", "2.85"} {
		p.migrating = false
		c.says(409, "volume "+thing+" is not migrating; this API should only be called by Cinder", "service", version, "PUT", path, swap)
		p.migrating = true
		c.says(400, "Volume "+id+" could not be found.", "service", version, "PUT", path, `{"volumeAttachment": {"volumeId": "`+id+`"}}`)
		p.wasAsked(t)
		c.want(202, "service", version, "PUT", path, swap)
		p.wasAsked(t, "swap "+thing+" for "+other)
		c.want(403, "alice", version, "PUT", path, swap)
	}
	c.want(404, "service", "2.1", "PUT", "/servers/"+thing+"/os-volume_attachments/"+thing, swap)
	c.hotplugStates(id, "2.1", "PUT", path, swap, "swap_volume", 202, structs.VMActive, structs.VMPaused, structs.VMResized)
}

func TestAssistedSnapshots(t *testing.T) {
	t.Parallel()
	const all = "/os-assisted-volume-snapshots"
	body := `{"snapshot": {"volume_id": "` + thing + `", "create_info": {"snapshot_id": "s", "type": "qcow2", "new_file": "f", "id": "` + other + `"}}}`
	remove := all + "/s?delete_info=%7B%22volume_id%22:%22" + thing + "%22%7D"
	none := newCloud(t)
	for _, version := range []string{"2.1", "2.104"} {
		none.says(400, "No volume Block Device Mapping with id "+thing+".", "admin", version, "POST", all, body)
		none.says(400, "No volume Block Device Mapping with id "+thing+".", "admin", version, "DELETE", remove, nil)
		none.want(403, "alice", version, "POST", all, body)
		none.want(403, "alice", version, "DELETE", remove, nil)
		none.says(400, "'delete_info'", "admin", version, "DELETE", all+"/s", nil)
		none.says(400, "'volume_id'", "admin", version, "DELETE", all+"/s?delete_info=%7B%7D", nil)
		none.want(400, "admin", version, "DELETE", all+"/s?delete_info=x", nil)
		none.want(400, "admin", version, "DELETE", all+"/s?delete_info=%7B%22volume_id%22:7%7D", nil)
		none.want(400, "admin", version, "POST", all, `{"snapshot": {"volume_id": "v", "create_info": {"snapshot_id": "s", "type": "raw", "new_file": "f"}}}`)
	}
	none.want(400, "admin", "2.75", "DELETE", remove+"&foo=1", nil)
	c, p, _ := newConnected(t)
	c.checked(loadAnswers(t), "POST "+all, "service", "2.1", all, body)
	p.wasAsked(t, "snapshot {VolumeID:"+thing+" SnapshotID:s ID:"+other+" Type:qcow2 NewFile:f}")
	c.want(204, "service", "2.74", "DELETE", remove+"&foo=1", nil)
	p.wasAsked(t, `no snapshot s of `+thing+`: {"volume_id":"`+thing+`"}`)
}
