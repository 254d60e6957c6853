package compute_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// refused demands a status and the words of a fault.
func (c *cloud) refused(status int, words, token, version, method, path string, body any) {
	c.tb.Helper()
	a := c.want(status, token, version, method, path, body)
	var fault map[string]struct{ Message string }
	if err := json.Unmarshal(a.body, &fault); err != nil {
		c.tb.Fatal(err)
	}
	for _, f := range fault {
		if f.Message != words {
			c.tb.Errorf("%s %s as %s: %q, want %q", method, path, token, f.Message, words)
		}
	}
}

// same demands an answer's body.
func (c *cloud) same(want, token, version, method, path string, body any) {
	c.tb.Helper()
	a := c.want(200, token, version, method, path, body)
	if got := strings.TrimSpace(string(a.body)); got != want {
		c.tb.Errorf("%s %s as %s: %s, want %s", method, path, token, got, want)
	}
}

// alter writes an instance as an operation that is not at hand would.
func (c *cloud) alter(id string, f func(i *structs.Instance)) {
	c.tb.Helper()
	c.core.Write(func(tx *state.Txn) {
		ins := tx.Instance(structs.InstanceID(id)).Copy()
		f(ins)
		tx.PutInstance(ins)
	})
}

func bootable(t *testing.T) (*cloud, map[string]any) {
	t.Helper()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	return c, map[string]any{"imageRef": c.cirros().ID}
}

func TestMetadataOfAnInstance(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	id := c.boot("alice", img)
	url := "/servers/" + id + "/metadata"
	c.same(`{"metadata":{}}`, "reader", "2.1", "GET", url, nil)
	c.same(`{"metadata":{"a":"1","b":"2"}}`, "alice", "2.1", "POST", url, `{"metadata": {"a": "1", "b": "2"}}`)
	c.same(`{"metadata":{"a":"1","b":"3","c":""}}`, "alice", "2.1", "POST", url, `{"metadata": {"b": "3", "c": ""}}`)
	c.same(`{"meta":{"a":"9"}}`, "alice", "2.1", "PUT", url+"/a", `{"meta": {"a": "9"}}`)
	c.same(`{"meta":{"a":"9"}}`, "reader", "2.1", "GET", url+"/a", nil)
	c.want(204, "alice", "2.1", "DELETE", url+"/a", nil)
	c.same(`{"metadata":{"b":"3","c":""}}`, "alice", "2.1", "GET", url, nil)
	c.same(`{"metadata":{"z":"1"}}`, "admin", "2.1", "PUT", url, `{"metadata": {"z": "1"}}`)
	c.same(`{"metadata":{}}`, "alice", "2.1", "PUT", url, `{"metadata": {}}`)

	gone := "Instance " + id + " could not be found."
	for method, body := range map[string]any{"GET": nil, "POST": `{"metadata": {}}`, "PUT": `{"metadata": {}}`} {
		c.refused(404, gone, "bob", "2.1", method, url, body)
	}
	c.refused(404, "Metadata item was not found", "alice", "2.1", "GET", url+"/nosuch", nil)
	c.refused(404, "Metadata item was not found", "alice", "2.1", "DELETE", url+"/nosuch", nil)
	c.refused(400, "Request body and URI mismatch", "alice", "2.1", "PUT", url+"/a", `{"meta": {"b": "1"}}`)
	c.refused(403, "Policy doesn't allow os_compute_api:server-metadata:create to be performed.", "reader", "2.1", "POST", url, `{"metadata": {}}`)
	for _, body := range []string{`{}`, `{"metadata": {"a": 1}}`, `{"metadata": {"a": null}}`, `{"metadata": {"a/b": "1"}}`, `{"metadata": {"": "1"}}`,
		`{"metadata": {"a": "` + strings.Repeat("x", 256) + `"}}`, `{"metadata": {}, "more": 1}`} {
		c.want(400, "alice", "2.1", "POST", url, body)
		c.want(400, "alice", "2.1", "PUT", url, body)
	}
	c.want(400, "alice", "2.1", "PUT", url+"/a", `{"meta": {"a": "1", "b": "2"}}`)
	c.want(400, "alice", "2.1", "PUT", url+"/a", `{"meta": {}}`)
	c.want(400, "alice", "2.102", "GET", url+"?x=1", nil)
}

func TestMetadataIsJudgedByLockStateAndQuota(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	id := c.boot("alice", img)
	url := "/servers/" + id + "/metadata"
	c.want(200, "alice", "2.1", "POST", url, `{"metadata": {"a": "1"}}`)
	c.alter(id, func(i *structs.Instance) { i.Locked = true })
	locked := "Instance " + id + " is locked"
	c.refused(409, locked, "alice", "2.1", "POST", url, `{"metadata": {"a": "2"}}`)
	c.refused(409, locked, "alice", "2.1", "DELETE", url+"/a", nil)
	c.want(200, "admin", "2.1", "POST", url, `{"metadata": {"a": "2"}}`)
	c.want(200, "alice", "2.1", "GET", url, nil)
	c.alter(id, func(i *structs.Instance) { i.Locked = false })
	for _, vm := range []structs.VMState{structs.VMActive, structs.VMPaused, structs.VMSuspended, structs.VMStopped} {
		c.alter(id, func(i *structs.Instance) { i.VM = vm })
		c.want(200, "alice", "2.1", "PUT", url, `{"metadata": {"a": "3"}}`)
	}
	for _, vm := range []structs.VMState{structs.VMBuilding, structs.VMError, structs.VMShelved, structs.VMRescued, structs.VMResized} {
		c.alter(id, func(i *structs.Instance) { i.VM = vm })
		c.refused(409, "Cannot 'update metadata' instance "+id+" while it is in vm_state "+string(vm), "alice", "2.1", "PUT", url, `{"metadata": {}}`)
		c.refused(409, "Cannot 'delete metadata' instance "+id+" while it is in vm_state "+string(vm), "alice", "2.1", "DELETE", url+"/a", nil)
	}
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMActive })

	limits := structs.DefaultQuotaLimits()
	limits.MetadataItems = 2
	propose(t, c.core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: limits}})
	over := "Maximum number of metadata items exceeds 2"
	c.want(200, "alice", "2.1", "POST", url, `{"metadata": {"b": "1"}}`)
	c.refused(403, over, "alice", "2.1", "POST", url, `{"metadata": {"c": "1"}}`)
	c.refused(403, over, "alice", "2.1", "PUT", url+"/c", `{"meta": {"c": "1"}}`)
	c.refused(403, over, "alice", "2.1", "PUT", url, `{"metadata": {"x": "1", "y": "1", "z": "1"}}`)
	c.same(`{"metadata":{"a":"3","b":"1"}}`, "alice", "2.1", "GET", url, nil)

	// Two requests at once cannot both take the last of the quota.
	c.want(200, "alice", "2.1", "PUT", url, `{"metadata": {"a": "1"}}`)
	var wg sync.WaitGroup
	statuses := make(chan int, 8)
	for i := range 8 {
		wg.Go(func() {
			statuses <- c.call("alice", "2.1", "POST", url, fmt.Sprintf(`{"metadata": {"k%d": "1"}}`, i)).StatusCode
		})
	}
	wg.Wait()
	close(statuses)
	taken := 0
	for s := range statuses {
		if s == http.StatusOK {
			taken++
		} else if s != http.StatusForbidden {
			t.Errorf("status %d", s)
		}
	}
	if taken != 1 {
		t.Errorf("%d requests took the one item that was left", taken)
	}
}

func TestTagsOfAnInstance(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	id := c.boot("alice", img)
	url := "/servers/" + id + "/tags"
	c.same(`{"tags":[]}`, "reader", "2.26", "GET", url, nil)
	c.want(404, "alice", "2.25", "GET", url, nil)
	a := c.want(201, "alice", "2.26", "PUT", url+"/blue", nil)
	if want := c.base + url + "/blue"; a.Header.Get("Location") != want || len(a.body) > 0 {
		t.Errorf("Location %q, want %q; body %q", a.Header.Get("Location"), want, a.body)
	}
	c.want(204, "alice", "2.26", "PUT", url+"/blue", nil)
	c.want(204, "reader", "2.26", "GET", url+"/blue?any=1", nil)
	a = c.want(201, "alice", "2.26", "PUT", url+"/a%20b", nil)
	if want := c.base + url + "/a%20b"; a.Header.Get("Location") != want {
		t.Errorf("Location %q, want %q", a.Header.Get("Location"), want)
	}
	c.same(`{"tags":["a b","blue"]}`, "alice", "2.26", "GET", url, nil)
	c.want(204, "alice", "2.26", "DELETE", url+"/blue", nil)
	c.refused(404, "Server "+id+" has no tag 'blue'", "alice", "2.26", "DELETE", url+"/blue", nil)
	c.refused(404, "Server "+id+" has no tag 'blue'", "alice", "2.26", "GET", url+"/blue", nil)
	c.same(`{"tags":["x","y"]}`, "alice", "2.26", "PUT", url, `{"tags": ["y", "x", "y"]}`)
	list := c.want(200, "alice", "2.26", "GET", "/servers?tags=x,y", nil).json(t)["servers"].([]any)
	if len(list) != 1 {
		t.Errorf("%d servers with the tags", len(list))
	}
	c.want(204, "alice", "2.26", "DELETE", url, nil)
	c.same(`{"tags":[]}`, "alice", "2.26", "GET", url, nil)

	for _, tag := range []string{"a,b", "a%2Fb"} {
		c.want(400, "alice", "2.26", "PUT", url+"/"+tag, nil)
	}
	c.refused(400, "Tag 'a,b' is invalid. It must be a non empty string without characters '/' and ','. Validation error message: 'a,b' does not match '^[^,/]*$'",
		"alice", "2.26", "PUT", url+"/a,b", nil)
	c.want(400, "alice", "2.26", "PUT", url+"/"+strings.Repeat("t", 61), nil)
	c.want(400, "alice", "2.26", "PUT", url+"/x", `{}`)
	for _, body := range []string{`{}`, `{"tags": ["a,b"]}`, `{"tags": [""]}`, `{"tags": [1]}`, `{"tags": [], "x": 1}`} {
		c.want(400, "alice", "2.26", "PUT", url, body)
	}
	c.refused(404, "Instance "+id+" could not be found.", "bob", "2.26", "PUT", url+"/x", nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-server-tags:delete_all to be performed.", "reader", "2.26", "DELETE", url, nil)
}

func TestTagsAreJudgedByNumberAndState(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	id := c.boot("alice", img)
	url := "/servers/" + id + "/tags"
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("t%02d", i)
	}
	c.want(400, "alice", "2.26", "PUT", url, map[string]any{"tags": append(many[:50:50], "one-more")})
	c.want(200, "alice", "2.26", "PUT", url, map[string]any{"tags": many[:49]})
	c.want(201, "alice", "2.26", "PUT", url+"/t49", nil)
	full := "The number of tags exceeded the per-server limit 50"
	c.refused(400, full, "alice", "2.26", "PUT", url+"/one-more", nil)
	c.refused(400, full, "alice", "2.26", "PUT", url+"/t49", nil)

	c.alter(id, func(i *structs.Instance) { i.Locked = true })
	c.want(204, "alice", "2.26", "DELETE", url+"/t49", nil) // a lock does not matter
	c.alter(id, func(i *structs.Instance) { i.VM = structs.VMError })
	cannot := func(what string) string {
		return "Cannot '" + what + "' instance " + id + " while it is in vm_state error"
	}
	c.refused(409, cannot("update tag"), "alice", "2.26", "PUT", url+"/x", nil)
	c.refused(409, cannot("update tags"), "alice", "2.26", "PUT", url, `{"tags": []}`)
	c.refused(409, cannot("delete tag"), "alice", "2.26", "DELETE", url+"/t01", nil)
	c.refused(409, cannot("delete tags"), "alice", "2.26", "DELETE", url, nil)
	c.want(200, "alice", "2.26", "GET", url, nil)
}
