package compute_test

import (
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestSharesWithoutAService(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	a, id := loadAnswers(t), c.boot("alice", img)
	path, body := "/servers/"+id+"/shares", `{"share": {"share_id": "`+thing+`"}}`
	for _, version := range []string{"2.97", "2.104"} {
		if got := c.checked(a, "GET /servers/{server_id}/shares", "reader", version, path, nil); string(got.body) != `{"shares":[]}` {
			t.Errorf("%s", got.body)
		}
		c.says(404, "Share "+thing+" could not be found.", "reader", version, "GET", path+"/"+thing, nil)
		c.says(409, "Cannot 'create share' instance "+id+" while it is in vm_state active", "alice", version, "POST", path, body)
		c.says(409, "Cannot 'delete share' instance "+id+" while it is in vm_state active", "alice", version, "DELETE", path+"/"+thing, nil)
		c.want(403, "reader", version, "POST", path, body)
		c.want(403, "reader", version, "DELETE", path+"/"+thing, nil)
		c.want(404, "bob", version, "POST", path, body)
		c.want(400, "alice", version, "GET", path+"?foo=1", nil)
		c.want(400, "alice", version, "POST", path, `{"share": {"share_id": "x"}}`)
		c.want(400, "alice", version, "POST", path, `{"share": {"share_id": "`+thing+`", "tag": "a b"}}`)
	}
	c.want(404, "alice", "2.96", "GET", path, nil)
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMStopped })
	c.says(404, "Share "+thing+" could not be found.", "alice", "2.97", "POST", path, body)
	c.says(404, "Share "+thing+" could not be found.", "alice", "2.97", "DELETE", path+"/"+thing, nil)
}

func TestShares(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	a, path, body := loadAnswers(t), "/servers/"+id+"/shares", `{"share": {"share_id": "`+thing+`"}}`
	c.alter(id, func(i *structs.Instance) { i.VM, i.Locked = structs.VMStopped, true })
	c.checked(a, "GET /servers/{server_id}/shares", "reader", "2.97", path, nil)
	user := c.checked(a, "GET /servers/{server_id}/shares/{id}", "reader", "2.97", path+"/"+thing, nil)
	admin := c.checked(a, "GET /servers/{server_id}/shares/{id}", "admin", "2.97", path+"/"+thing, nil)
	if strings.Contains(string(user.body), "export") || !strings.Contains(string(admin.body), `"export_location":"192.0.2.1:/x"`) {
		t.Errorf("%s, %s", user.body, admin.body)
	}
	made := c.want(201, "alice", "2.97", "POST", path, body)
	if err := a.check("POST /servers/{server_id}/shares", 97, made.body); err != nil {
		t.Error(err)
	}
	c.want(201, "alice", "2.97", "POST", path, `{"share": {"share_id": "`+thing+`", "tag": "mine"}}`)
	p.wasAsked(t, "share "+thing+" as "+thing, "share "+thing+" as mine")
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMError })
	c.want(409, "alice", "2.97", "POST", path, body)
	if got := c.want(200, "alice", "2.97", "DELETE", path+"/"+thing, nil); len(got.body) != 0 {
		t.Errorf("%s", got.body)
	}
	p.wasAsked(t, "no share "+thing)
	c.want(404, "alice", "2.97", "GET", path+"/"+other, nil)
}
