package image

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	for path, status := range map[string]int{"": 300, "/": 300, "/versions": 200, "/v2": 300, "/v2/": 300} {
		a := c.get("", path).want(t, status)
		list := a.json(t)["versions"].([]any)
		first := list[0].(map[string]any)
		require.Equal(t, "v2.17", first["id"])
		require.Equal(t, "CURRENT", first["status"])
		require.Equal(t, c.url+"/image/v2/", first["links"].([]any)[0].(map[string]any)["href"])
		require.Equal(t, "v2.0", list[len(list)-1].(map[string]any)["id"])
	}
	c.get("", "/v2/images").want(t, 401)
}

func TestSchemasAndInfo(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	s := c.get(member, "/v2/schemas/image").want(t, 200).json(t)
	require.Equal(t, "image", s["name"])
	require.Equal(t, map[string]any{"type": "string"}, s["additionalProperties"])
	require.Contains(t, s["properties"], "os_hash_value")
	s = c.get(member, "/v2/schemas/images").want(t, 200).json(t)
	require.Equal(t, "images", s["name"])
	require.Equal(t, []any{"glance-direct", "web-download", "copy-image"}, c.get(member, "/v2/info/import").want(t, 200).json(t)["import-methods"].(map[string]any)["value"])
	require.Equal(t, []any{object{"id": "servers", "description": "The servers' own disks", "default": "true"}}, c.get(member, "/v2/info/stores").want(t, 200).json(t)["stores"])
	require.Equal(t, []any{object{"id": "servers", "description": "The servers' own disks", "default": "true", "type": "file", "weight": 0.0, "properties": object{}}},
		c.get(admin, "/v2/info/stores/detail").want(t, 200).json(t)["stores"])
	c.get(member, "/v2/info/stores/detail").want(t, 403, "You are not authorized to complete stores_info_detail action.")
	for name, has := range map[string][]string{"image": {"kernel_id", "os_hidden", "owner"}, "images": {"images", "first", "next", "schema"}, "member": {"member_id", "image_id", "status", "created_at", "updated_at"},
		"members": {"members", "schema"}, "task": {"type", "input", "result", "message", "expires_at"}, "tasks": {"tasks", "schema"}} {
		s := c.get(reader, "/v2/schemas/"+name).want(t, 200).json(t)
		require.Equal(t, name, s["name"])
		for _, property := range has {
			require.Contains(t, s["properties"], property, name)
		}
	}
	tasks := c.get(reader, "/v2/schemas/tasks").json(t)["properties"].(map[string]any)["tasks"].(map[string]any)["items"].(map[string]any)["properties"]
	require.NotContains(t, tasks, "input", "a list of tasks is without their details")
	c.get(reader, "/v2/schemas/none").want(t, 404)
	c.do(admin, "POST", "/v2/schemas/image", nil).want(t, 405)
}

func TestCreateShowsWhatWasGiven(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	const id = "0AC3FD4C-62C6-4C9B-B8F6-0A4E8F2C1D11"
	a := c.post(member, `{"id": "`+id+`", "name": "ubuntu", "disk_format": "qcow2", "container_format": "bare", "visibility": "private",
		"min_disk": 5, "min_ram": 512, "protected": true, "tags": ["b", "a", "b"], "os_hidden": true, "hw_disk_bus": "scsi",
		"owner_specified.openstack.md5": ""}`).want(t, 201)
	v := a.json(t)
	low := strings.ToLower(id)
	require.Equal(t, c.url+"/image/v2/images/"+low, a.Header.Get("Location"))
	for k, want := range map[string]any{"id": low, "name": "ubuntu", "disk_format": "qcow2", "container_format": "bare", "visibility": "private",
		"min_disk": 5.0, "min_ram": 512.0, "protected": true, "tags": []any{"a", "b"}, "os_hidden": true, "hw_disk_bus": "scsi",
		"owner_specified.openstack.md5": "", "owner": "p1", "status": "queued", "size": nil, "virtual_size": nil, "checksum": nil, "os_hash_algo": nil,
		"os_hash_value": nil, "self": "/v2/images/" + low, "file": "/v2/images/" + low + "/file", "schema": "/v2/schemas/image"} {
		got, there := v[k]
		require.True(t, there, k)
		require.Equal(t, want, got, k)
	}
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, v["created_at"])
	require.Equal(t, v, c.get(member, "/v2/images/"+id).want(t, 200).json(t), "any letter case")
	c.post(member, `{"id": "`+id+`"}`).want(t, 409, "already exists")

	v = c.post(member, `{}`).want(t, 201).json(t)
	require.Nil(t, v["name"])
	require.Nil(t, v["disk_format"])
	require.Equal(t, "shared", v["visibility"])
	require.Equal(t, []any{}, v["tags"])
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.MaxProperties, o.MaxTags = 2, 2 })
	for body, w := range map[string]struct {
		status int
		says   string
	}{
		`{"status": "active"}`:             {403, "Attribute 'status' is read-only."},
		`{"size": 5}`:                      {403, "read-only"},
		`{"self": "x"}`:                    {403, "read-only"},
		`{"deleted": "x"}`:                 {403, "Attribute 'deleted' is reserved."},
		`{"locations": []}`:                {403, "Attribute 'locations' is reserved."},
		`{"stores": "x", "min_disk": "x"}`: {403, "Attribute 'stores' is read-only."},
		`{"status": "x", "min_disk": "x"}`: {400, "Provided object does not match schema 'image'"},
		`{"owner": null}`:                  {403, "You are not permitted to create images owned by 'None'"},
		`{"kernel_id": "x"}`:               {400, "kernel_id"},
		`{"kernel_id": null}`:              {201, ""},
		`{"ramdisk_id": "0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d11", "disk_format": "ami", "container_format": "ami"}`: {201, ""},
		``: {400, "Body expected in request."},
		`{"name": "\u0000\u202e\ud83d\ude00", "../../etc": "../\u0007"}`: {201, "../../etc"},
		`{"os_glance_importing": "x"}`:                                   {403, "reserved"},
		`{"visibility": "public"}`:                                       {403, "publicize_image"},
		`{"visibility": "secret"}`:                                       {400, "secret"},
		`{"owner": "p2"}`:                                                {403, "p2"},
		`{"disk_format": "floppy"}`:                                      {400, "floppy"},
		`{"container_format": 5}`:                                        {400, "container_format"},
		`{"min_disk": -1}`:                                               {400, "min_disk"},
		`{"min_ram": 4294967296}`:                                        {400, "min_ram"},
		`{"id": "nope"}`:                                                 {400, "id"},
		`{"prop": 5}`:                                                    {400, "prop"},
		`{"": "x"}`:                                                      {400, "name"},
		`{"tags": ["a", "b", "c"]}`:                                      {413, "Maximum: 2"},
		`{"a": "1", "b": "2", "c": "3"}`:                                 {413, "Maximum: 2"},
		`{"big": "` + long(114000) + `"}`:                                {201, ""},
		`[]`:                                                             {400, ""},
		`{`:                                                              {400, "Malformed"},
		`{"name": "` + long(256) + `"}`:                                  {400, "name"},
		`{"` + long(256) + `": "x"}`:                                     {400, "255"},
		`{"tags": ["` + long(256) + `"]}`:                                {400, "too long"},
		`{"name": null, "disk_format":null}`:                             {201, ""},
	} {
		c.post(member, body).want(t, w.status, w.says)
	}
	c.post(reader, `{}`).want(t, 403)
	c.post(admin, `{"visibility": "public", "owner": "p2"}`).want(t, 201, `"owner":"p2"`)
}

func long(n int) string { return strings.Repeat("x", n) }

func TestIsolation(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	private := c.image(member, `{"visibility": "private"}`)
	shared := c.image(member, `{}`)
	community := c.image(member, `{"visibility": "community"}`)
	public := c.image(admin, `{"visibility": "public"}`)
	for _, id := range []string{private, shared} {
		path := "/v2/images/" + id
		c.get(other, path).want(t, 404, "No image found with ID "+id)
		c.get(admin, path).want(t, 200)
		c.get(reader, path).want(t, 200)
		c.patch(other, id, `[]`).want(t, 404)
		c.do(other, "DELETE", path, nil).want(t, 404)
		c.do(other, "PUT", path+"/tags/x", nil).want(t, 404)
		c.put(other, id, []byte("x")).want(t, 404)
		c.get(other, path+"/file").want(t, 404)
	}
	for _, id := range []string{community, public} {
		path := "/v2/images/" + id
		c.get(other, path).want(t, 200)
		c.patch(other, id, `[]`).want(t, 403, "modify_image")
		c.do(other, "DELETE", path, nil).want(t, 403, "delete_image")
		c.do(other, "PUT", path+"/tags/x", nil).want(t, 403)
		c.put(other, id, []byte("x")).want(t, 403, "upload_image")
		c.get(other, path+"/file").want(t, 204)
	}
	c.patch(reader, private, `[]`).want(t, 403)
	c.do(reader, "DELETE", "/v2/images/"+private, nil).want(t, 403)
}

// What was there before a limit was lowered does not stand in the way of other changes.
func TestLoweredLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.MaxProperties, o.MaxTags = 1, 1 })
	id := structs.ImageID("i")
	c.seed(structs.Image{ID: id, ProjectID: "p1", Visibility: "private", Status: "queued", Tags: []string{"a", "b"}, Properties: map[string]string{"x": "1", "y": "2"}})
	c.patch(member, "i", `[{"op": "replace", "path": "/name", "value": "n"}, {"op": "replace", "path": "/x", "value": "3"}]`).want(t, 200)
	c.patch(member, "i", `[{"op": "add", "path": "/z", "value": "n"}]`).want(t, 413, "number of allowed image properties. Attempted: 3, Maximum: 1")
	none := newCloud(t, func(o *Options) { o.MaxProperties, o.MaxTags, o.MaxMembers = -1, -1, -1 })
	none.post(member, `{"a": "1", "b": "2", "tags": ["a", "b"]}`).want(t, 201)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{"protected": true}`)
	path := "/v2/images/" + id
	c.do(member, "DELETE", path, nil).want(t, 403, "protected and cannot be deleted")
	c.patch(member, id, `[{"op": "replace", "path": "/protected", "value": false}]`).want(t, 200)
	a := c.do(member, "DELETE", path, nil).want(t, 204)
	require.Empty(t, a.Header.Values("Content-Type"))
	c.get(member, path).want(t, 404)
	c.do(member, "DELETE", path, nil).want(t, 404, "Failed to find image "+id+" to delete")
}

func TestTags(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.MaxTags = 2 })
	id := c.image(member, `{}`)
	path := "/v2/images/" + id
	c.do(member, "PUT", path+"/tags/b", nil).want(t, 204)
	c.do(member, "PUT", path+"/tags/a%20tag%2Fslash", nil).want(t, 204)
	c.do(member, "PUT", path+"/tags/b", nil).want(t, 204)
	require.Equal(t, []any{"a tag/slash", "b"}, c.get(member, path).json(t)["tags"])
	c.do(member, "PUT", path+"/tags/c", nil).want(t, 413, "Image tag limit exceeded for image "+id, "Attempted: 3, Maximum: 2")
	c.patch(member, id, `[{"op": "replace", "path": "/tags", "value": ["x", "y", "z"]}]`).want(t, 413, "number of allowed image tags. Attempted: 3, Maximum: 2")
	c.do(member, "PUT", path+"/tags/%ff", nil).want(t, 400, "UTF-8")
	c.do(member, "PUT", "/v2/images/00000000-0000-0000-0000-000000000000/tags/x", nil).want(t, 404, "Image 00000000-0000-0000-0000-000000000000 not found.")
	c.do(member, "PUT", path+"/tags/"+long(256), nil).want(t, 400)
	c.do(member, "DELETE", path+"/tags/b", nil).want(t, 204)
	c.do(member, "DELETE", path+"/tags/b", nil).want(t, 404)
}

func TestPatch(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{"name": "old", "gone": "x", "kept": "y", "with/slash~": "z"}`)
	v := c.patch(member, id, `[{"op": "replace", "path": "/name", "value": "new"}, {"op": "add", "path": "/os_distro", "value": "debian"},
		{"op": "remove", "path": "/gone"}, {"op": "replace", "path": "/with~1slash~0", "value": "zz"}, {"op": "add", "path": "/disk_format", "value": "raw"},
		{"op": "replace", "path": "/tags", "value": ["q"]}, {"op": "add", "path": "/kept", "value": "yy"}, {"op": "replace", "path": "/min_disk", "value": 3}]`).want(t, 200).json(t)
	for k, want := range map[string]any{"name": "new", "os_distro": "debian", "with/slash~": "zz", "disk_format": "raw", "tags": []any{"q"}, "kept": "yy", "min_disk": 3.0} {
		require.Equal(t, want, v[k], k)
	}
	require.NotContains(t, v, "gone")
	require.Equal(t, v, c.get(member, "/v2/images/"+id).json(t))

	old := func(body string) answer {
		return c.do(member, "PATCH", "/v2/images/"+id, strings.NewReader(body), "Content-Type: "+patchV20)
	}
	old(`[{"replace": "/name", "value": "older"}, {"add": "/fresh", "value": "1"}]`).want(t, 200, `"older"`, `"fresh":"1"`)
	old(`[{"add": "/fresh", "value": "2"}]`).want(t, 409, "Property fresh already present.")
	old(`[{"remove": "/fresh"}]`).want(t, 200)
	old(`[{"remove": "/a", "add": "/b", "value": "c"}]`).want(t, 400, "only one member")
	old(`[{"add": 5, "value": "c"}]`).want(t, 400, "does not start with")
	old(`[{"value": "c"}]`).want(t, 400, "exactly one member")
}

func TestPatchRefuses(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{"name": "old"}`)
	for body, w := range map[string]struct {
		status int
		says   string
	}{
		`{}`:                                {400, "JSON array"},
		``:                                  {400, "Body expected"},
		`[5]`:                               {400, "JSON objects"},
		`[{"path": "/name", "value": "x"}]`: {400, "Unable to find `op`"},
		`[{"op": "move", "path": "/name", "value": "x"}]`:                                             {400, "Invalid operation: `move`"},
		`[{"op": "add", "value": "x"}]`:                                                               {400, "Unable to find 'path'"},
		`[{"op": "add", "path": "name", "value": "x"}]`:                                               {400, "does not start with"},
		`[{"op": "add", "path": "/name/", "value": "x"}]`:                                             {400, "end with"},
		`[{"op": "add", "path": "/a/b", "value": "x"}]`:                                               {400, "Invalid JSON pointer"},
		`[{"op": "add", "path": "/a~2", "value": "x"}]`:                                               {400, "escape"},
		`[{"op": "add", "path": "/a"}]`:                                                               {400, "requires a member named \\\"value\\\""},
		`[{"op": "add", "path": "/a", "value": 5}]`:                                                   {400, "a"},
		`[{"op": "replace", "path": "/min_ram", "value": "x"}]`:                                       {400, "min_ram"},
		`[{"op": "replace", "path": "/status", "value": "active"}]`:                                   {403, "read-only"},
		`[{"op": "replace", "path": "/id", "value": "x"}]`:                                            {403, "read-only"},
		`[{"op": "add", "path": "/locations", "value": []}]`:                                          {400, "Invalid JSON pointer for this resource: '/locations'"},
		`[{"op": "add", "path": "/locations/-", "value": {"url": "file:///x", "metadata": {}}}]`:      {403, "It's not allowed to add locations if locations are invisible."},
		`[{"op": "add", "path": "/locations/-", "value": "file:///x"}]`:                               {400, "does not match schema 'image'"},
		`[{"op": "replace", "path": "/locations", "value": []}]`:                                      {403, "Cannot set locations to empty list."},
		`[{"op": "replace", "path": "/locations", "value": [{"url": "x", "metadata": {}}]}]`:          {403, "It's not allowed to update locations if locations are invisible."},
		`[{"op": "remove", "path": "/locations/0"}]`:                                                  {403, "delete_image_location"},
		`[{"op": "add", "path": "/os_glance_x", "value": "x"}]`:                                       {403, "Attribute 'os_glance_x' is reserved."},
		`[{"op": "add", "path": "/deleted_at", "value": "x"}]`:                                        {403, "reserved"},
		`[{"op": "add", "path": "/a//b", "value": "x"}]`:                                              {400, "contains adjacent"},
		`[{"op": "add", "path": "/a~", "value": "x"}]`:                                                {400, "escape"},
		`[{"op": "add", "path": "/", "value": "x"}]`:                                                  {400, "name"},
		`[{"op": "add", "path": 5, "value": "x"}]`:                                                    {400, "path"},
		`[{"op": "add", "path": "/owner", "value": "p2"}]`:                                            {403, "Owner can't be updated by non admin."},
		`[{"op": "add", "path": "/kernel_id", "value": "no-uuid"}]`:                                   {400, "kernel_id"},
		`[{"op": "add", "path": "/tags/-", "value": "x"}]`:                                            {400, "Invalid JSON pointer"},
		`[{"op": "add", "path": "/` + long(256) + `", "value": "x"}]`:                                 {400, "255"},
		`[{"op": "replace", "path": "/missing", "value": "x"}]`:                                       {409, "Property missing does not exist."},
		`[{"op": "remove", "path": "/missing"}]`:                                                      {409, "does not exist"},
		`[{"op": "remove", "path": "/name"}]`:                                                         {403, "may not be removed"},
		`[{"op": "replace", "path": "/owner", "value": "p2"}]`:                                        {403, "Owner can't be updated by non admin."},
		`[{"op": "replace", "path": "/visibility", "value": "public"}]`:                               {403, "publicize_image"},
		`[{"op": "replace", "path": "/visibility", "value": "whatever"}]`:                             {400, "whatever"},
		`[{"op": "replace", "path": "/name", "value": "half"}, {"op": "remove", "path": "/missing"}]`: {409, ""},
	} {
		c.patch(member, id, body).want(t, w.status, w.says)
	}
	require.Equal(t, "old", c.stored(id).Name, "all or none")
	a := c.do(member, "PATCH", "/v2/images/"+id, strings.NewReader(`[]`), "Content-Type: application/json").want(t, 415, patchV21)
	require.Contains(t, a.Header.Get("Accept-Patch"), patchV21)
	c.patch(member, "00000000-0000-0000-0000-000000000000", `[]`).want(t, 404)
	c.patch(admin, id, `[{"op": "replace", "path": "/owner", "value": "p2"}]`).want(t, 200, `"owner":"p2"`)
	c.get(member, "/v2/images/"+id).want(t, 404)
}

func TestConcurrentPatchesLoseNothing(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{}`)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			a := c.patch(member, id, fmt.Sprintf(`[{"op": "add", "path": "/p%d", "value": "x"}]`, n))
			if a.StatusCode != 200 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
	wg.Wait()
	require.Len(t, c.stored(id).Properties, 8)
}
