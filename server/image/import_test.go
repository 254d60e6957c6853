package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// waitFor waits for an image's status.
func (c *cloud) waitFor(id, status string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return string(c.stored(id).Status) == status && c.stored(id).TaskID == "" }, 20*time.Second, 2*time.Millisecond, "the image does not become %s", status)
}

func (c *cloud) stage(token, id string, data []byte) answer {
	c.t.Helper()
	return c.do(token, "PUT", "/v2/images/"+id+"/stage", bytes.NewReader(data), "Content-Type: application/octet-stream")
}

func (c *cloud) doImport(token, id, body string, header ...string) answer {
	c.t.Helper()
	return c.do(token, "POST", "/v2/images/"+id+"/import", strings.NewReader(body), append(header, "Content-Type: application/json")...)
}

// lastTask is the image's newest task.
func (c *cloud) lastTask(id string) map[string]any {
	c.t.Helper()
	tasks := c.get(member, "/v2/images/"+id+"/tasks").want(c.t, 200).json(c.t)["tasks"].([]any)
	require.NotEmpty(c.t, tasks)
	return tasks[0].(map[string]any)
}

const direct, download, copies = `{"method": {"name": "glance-direct"}}`, `{"method": {"name": "web-download", "uri": "http://example.org/disk"}}`, `{"method": {"name": "copy-image"}`

// web is a Fetcher of what the test says; its Check refuses nothing.
type web struct {
	mu   sync.Mutex
	open func(ctx context.Context) (io.ReadCloser, int64, error)
}

func (w *web) Check(string) error { return nil }

func (w *web) Open(ctx context.Context, _ string) (io.ReadCloser, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open(ctx)
}

func (w *web) serve(data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = func(context.Context) (io.ReadCloser, int64, error) {
		return io.NopCloser(strings.NewReader(data)), int64(len(data)), nil
	}
}

// extra is a store in memory that can be made to fail.
type extra struct {
	id   string
	mu   sync.Mutex
	has  map[string][]byte // by SHA-512
	fail error
}

func newExtra(id string) *extra { return &extra{id: id, has: map[string][]byte{}} }

func (x *extra) Info() store.Info {
	return store.Info{ID: x.id, Type: "s3", Properties: map[string]any{"a": "b"}}
}

func (x *extra) setFail(err error) { x.mu.Lock(); defer x.mu.Unlock(); x.fail = err }

func (x *extra) Put(ctx context.Context, core nomadlike.Core, sums nomadlike.BlobSums) ([]structs.ServerID, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fail != nil {
		return nil, x.fail
	}
	r, _, err := core.Blobs().Open(ctx, sums.SHA512)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	x.has[sums.SHA512], err = io.ReadAll(r)
	return nil, err
}

func (x *extra) Open(_ context.Context, _ nomadlike.Core, i *structs.Image) (io.ReadCloser, int64, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	data, ok := x.has[i.SHA512]
	if !ok {
		return nil, 0, structs.Errorf(structs.KindNotFound, "nothing")
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

// withStores adds stores to a cloud.
func withStores(t *testing.T, def string, others ...store.Store) *store.Set {
	t.Helper()
	s, err := store.NewSet(def, others...)
	require.NoError(t, err)
	return s
}

func TestStageAndImport(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	a := c.post(member, `{"name": "x"}`).want(t, 201)
	require.Equal(t, []string{"glance-direct,web-download,copy-image", "servers"}, []string{a.Header.Get("OpenStack-image-import-methods"), a.Header.Get("OpenStack-image-store-ids")})
	id := a.json(t)["id"].(string)
	c.doImport(member, id, direct).want(t, 409, "Image needs to be staged before 'glance-direct' method can be used")
	c.stage(other, id, nil).want(t, 404)
	c.stage(reader, id, nil).want(t, 403, "modify_image")
	c.do(member, "PUT", "/v2/images/"+id+"/stage", nil, "Content-Type: text/plain").want(t, 415)
	c.stage(member, id, []byte("data")).want(t, 204)
	v := c.get(member, "/v2/images/"+id).want(t, 200).json(t)
	require.Equal(t, []any{"uploading", 4.0, nil, nil}, []any{v["status"], v["size"], v["checksum"], v["os_hash_value"]})
	require.NotContains(t, v, "stores")
	c.stage(member, id, []byte("data")).want(t, 409, "Image status transition from uploading to uploading is not allowed")
	c.put(member, id, []byte("data")).want(t, 409, "Image status transition from uploading to saving is not allowed")
	c.get(member, "/v2/images/"+id+"/file").want(t, 204)
	c.doImport(member, id, direct).want(t, 409, "'container_format' needs to be set before import")
	id = c.image(member, rawImage)
	c.stage(member, id, []byte("data")).want(t, 204)
	c.doImport(reader, id, direct).want(t, 403, "modify_image")
	c.doImport(other, id, direct).want(t, 404, "No image found with ID")
	a = c.doImport(member, id, direct).want(t, 202)
	require.Empty(t, a.body)
	c.waitFor(id, "active")
	v = c.get(member, "/v2/images/"+id).want(t, 200).json(t)
	require.Equal(t, []any{"active", 4.0, "8d777f385d3dfec8815d20f7496026dc", "servers", "", ""}, []any{v["status"], v["size"], v["checksum"], v["stores"], v["os_glance_importing_to_stores"], v["os_glance_failed_import"]})
	require.Equal(t, "data", string(c.get(member, "/v2/images/"+id+"/file").want(t, 200).body))
	c.doImport(member, id, direct).want(t, 409, "Image with status active cannot be target for import")
	c.patch(member, id, `[{"op": "replace", "path": "/os_glance_failed_import", "value": "x"}]`).want(t, 403)
	c.patch(member, id, `[{"op": "remove", "path": "/os_glance_failed_import"}]`).want(t, 403)

	task := c.lastTask(id)
	require.Equal(t, []any{"success", "api_image_import", "p1", id, "u", map[string]any{"image_id": id}}, []any{task["status"], task["type"], task["owner"], task["image_id"], task["user_id"], task["result"]})
	require.Equal(t, map[string]any{"image_id": id, "backend": []any{"servers"}, "import_req": map[string]any{"method": map[string]any{"name": "glance-direct"}}}, task["input"])
}

func TestImportRequests(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.Stores = withStores(t, "", newExtra("far")) })
	id := c.image(member, rawImage)
	for _, row := range []struct {
		body, says string
		status     int
	}{
		{`{}`, "requires a 'method' field", 400}, {`{"method": 5}`, "requires a 'method' field", 400}, {`{"method": null}`, "requires a 'method' field", 400},
		{`{"method": {}}`, "requires a 'name' field", 400}, {`{"method": {"name": "glance-download"}}`, "Unknown import method name 'glance-download'.", 400},
		{`{"method": {"name": 7}}`, "Unknown import method name '7'.", 400}, {`{"method": {"name": "web-download"}, "all_stores": 1}`, "'all_stores' must be boolean value only", 400},
		{`{"method": {"name": "web-download"}, "all_stores_must_succeed": "yes"}`, "'all_stores_must_succeed' must be boolean value only", 400},
		{`{"method": {"name": "web-download"}, "stores": []}`, "'stores' must be a list", 400}, {`{"method": {"name": "web-download"}, "stores": [5]}`, "'stores' must be a list", 400},
		{`{"method": {"name": "web-download"}, "stores": ["servers"], "all_stores": true}`, "All_stores parameter can't be used with", 400},
		{`{"method": {"name": "web-download"}, "stores": ["none"]}`, "Unknown scheme 'none' found in URI", 409},
		{`{"method": {"name": "web-download"}}`, "URI for web-download does not pass filtering: None", 400},
		{`{"method": {"name": "web-download", "uri": 5}}`, "does not pass filtering", 400},
		{`{"method": {"name": "web-download", "uri": "file:///etc/passwd"}}`, "does not pass filtering: file:///etc/passwd", 400},
		{`{"method": {"name": "web-download", "uri": "http://example.org:22/"}}`, "does not pass filtering", 400},
		{copies + `}`, "Only images with status active can be targeted for copying", 409},
	} {
		c.doImport(member, id, row.body).want(t, row.status, row.says)
	}
	c.doImport(member, id, `{"method": {"name": "web-download"}, "stores": ["servers"]}`, "X-Image-Meta-Store: far").want(t, 400, "can't be both specified")
	c.doImport(member, "nothing", download).want(t, 404)
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
	c.put(member, id, []byte("data")).want(t, 204)
	c.doImport(member, id, download).want(t, 409, "status active")
	c.doImport(member, id, copies+`}`).want(t, 403, "copy_image")
	c.doImport(admin, id, copies+`}`).want(t, 400, "Image is already present at store 'servers'")
	c.doImport(admin, id, copies+`, "all_stores": true}`).want(t, 202)
	c.waitFor(id, "active")
	require.Equal(t, []string{"servers", "far"}, c.stored(id).Stores)
	c.doImport(admin, id, copies+`, "all_stores": true}`).want(t, 202)
	require.Empty(t, c.stored(id).TaskID, "it is everywhere")

	c = newCloud(t, func(o *Options) { o.ImportMethods = []string{"web-download"} })
	id = c.image(member, rawImage)
	c.stage(member, id, []byte("x")).want(t, 404, "'glance-direct' method is not available at this site.")
	c.doImport(member, id, direct).want(t, 400, "Unknown import method name 'glance-direct'.")
}

func TestWebDownload(t *testing.T) {
	t.Parallel()
	w := &web{}
	c := newCloud(t, func(o *Options) { o.Fetch, o.MaxSize = w, 100 })
	id := c.image(member, rawImage)
	for _, row := range []struct {
		open func(context.Context) (io.ReadCloser, int64, error)
		says string
	}{
		{func(context.Context) (io.ReadCloser, int64, error) { return nil, 0, errors.New("cannot be reached") }, "cannot be reached"},
		{func(context.Context) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader("")), 1000, nil
		}, "too large"},
		{func(context.Context) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader(strings.Repeat("x", 101))), -1, nil
		}, "too large"},
		{func(context.Context) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader("")), -1, nil
		}, "no data"},
		{func(context.Context) (io.ReadCloser, int64, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("ab"), failing{})), -1, nil
		}, "broke"},
		{func(context.Context) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader("QFI\xfb\x00\x00\x00\x03" + strings.Repeat("\x00", 92))), -1, nil
		}, "qcow2"},
	} {
		w.mu.Lock()
		w.open = row.open
		w.mu.Unlock()
		c.doImport(member, id, download).want(t, 202)
		c.waitFor(id, "queued")
		i := c.stored(id)
		require.Equal(t, []any{"", int64(0), ""}, []any{i.SHA512, i.Size, i.Properties[structs.PropertyImporting]})
		task := c.lastTask(id)
		require.Equal(t, "failure", task["status"])
		require.Contains(t, task["message"], row.says)
		require.NotNil(t, task["expires_at"])
	}
	w.serve("downloaded")
	c.doImport(member, id, download).want(t, 202)
	c.waitFor(id, "active")
	require.Equal(t, "downloaded", string(c.get(member, "/v2/images/"+id+"/file").want(t, 200).body))
	require.Len(t, c.get(member, "/v2/images/"+id+"/tasks").want(t, 200).json(t)["tasks"], 7)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line broke") }

// gate is a download that does not end before the test says.
type gate struct {
	begun, end chan struct{}
	once       sync.Once
}

func newGate() *gate { return &gate{begun: make(chan struct{}), end: make(chan struct{})} }

func (g *gate) open(ctx context.Context) (io.ReadCloser, int64, error) {
	g.once.Do(func() { close(g.begun) })
	select {
	case <-g.end:
		return io.NopCloser(strings.NewReader("late")), 4, nil
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// An import outlives the process that does it, and the server: the leader does what a lost one was at. What that one writes then is refused.
func TestImportsAreTakenUp(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		g := newGate()
		w := &web{open: g.open}
		var opts Options
		c := newCloud(t, func(o *Options) { o.Fetch = w; o.Imports = NewImports(*o); opts = *o })
		id := c.image(member, rawImage)
		c.doImport(member, id, download).want(t, 202)
		<-g.begun
		v := c.get(member, "/v2/images/"+id).want(t, 200).json(t)
		require.Equal(t, []any{"importing", "servers"}, []any{v["status"], v["os_glance_importing_to_stores"]})
		require.Equal(t, "processing", c.lastTask(id)["status"])
		c.doImport(member, id, download).want(t, 409, "queued")
		c.put(member, id, []byte("x")).want(t, 409)
		ids, err := Recover(t.Context(), c.core)
		require.NoError(t, err)
		require.Empty(t, ids, "it is the import's")
		c.stop()
		require.Equal(t, structs.ImageImporting, c.stored(id).Status)
		if lost {
			task := c.core.Stale().ImageTask(c.stored(id).TaskID)
			_, err := fsm.ImageTaskClaim.Propose(t.Context(), c.core, &structs.ImageTaskClaim{ID: task.ID, Attempt: task.Attempt, ServerID: "dead"})
			require.NoError(t, err)
		}
		w.serve("second")
		c.run(NewImports(opts))
		c.waitFor(id, "active")
		require.Equal(t, "second", string(c.get(member, "/v2/images/"+id+"/file").want(t, 200).body))
		require.Equal(t, "success", c.lastTask(id)["status"])
	}
}

func TestImportsThatNobodyBringsToAnEnd(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	c.stop()
	id := c.image(member, rawImage)
	c.stage(member, id, []byte("data")).want(t, 204)
	c.doImport(member, id, direct).want(t, 202)
	require.Equal(t, "pending", c.lastTask(id)["status"])
	for try := range 5 {
		_, err := fsm.ImageTaskClaim.Propose(t.Context(), c.core, &structs.ImageTaskClaim{ID: c.stored(id).TaskID, Attempt: try, ServerID: "s1"})
		require.NoError(t, err)
	}
	c.run(NewImports(Options{}))
	c.waitFor(id, "queued")
	require.Contains(t, c.lastTask(id)["message"], "begun 5 times and never came to its end")

	c.stop()
	c.stage(member, id, []byte("more")).want(t, 204)
	c.doImport(member, id, direct).want(t, 202)
	require.NoError(t, c.blobs.Store.Delete(c.stored(id).SHA512))
	c.run(NewImports(Options{}))
	c.waitFor(id, "queued")
	require.Contains(t, c.lastTask(id)["message"], "staged data cannot be read")

	w := &web{open: newGate().open}
	c = newCloud(t, func(o *Options) { o.Fetch = w })
	id = c.image(member, rawImage)
	c.doImport(member, id, download).want(t, 202)
	task := c.stored(id).TaskID
	c.do(member, "DELETE", "/v2/images/"+id, nil).want(t, 204)
	c.stop()
	w.serve("late")
	c.run(NewImports(Options{Fetch: w}))
	require.Eventually(t, func() bool { return c.core.Stale().ImageTask(task).Status.Ended() }, 20*time.Second, 2*time.Millisecond)
	require.Equal(t, "Image has been deleted, aborting import.", c.core.Stale().ImageTask(task).Message)
}

func TestImportToStores(t *testing.T) {
	t.Parallel()
	a, b := newExtra("a"), newExtra("b")
	c := newCloud(t, func(o *Options) { o.Stores = withStores(t, "a", a, b) })
	staged := func() string {
		id := c.image(member, rawImage)
		c.stage(member, id, []byte("data")).want(t, 204)
		return id
	}
	show := func(id string) []any {
		v := c.get(member, "/v2/images/"+id).want(t, 200).json(t)
		return []any{v["status"], v["stores"], v["os_glance_importing_to_stores"], v["os_glance_failed_import"]}
	}
	id := staged()
	c.doImport(member, id, direct).want(t, 202)
	c.waitFor(id, "active")
	require.Equal(t, []any{"active", "a", "", ""}, show(id))
	require.Nil(t, c.core.Stale().ImageWithBytes(c.stored(id).SHA512), "the servers need not have it")
	require.Equal(t, "data", string(c.get(member, "/v2/images/"+id+"/file").want(t, 200).body))

	b.setFail(structs.Errorf(structs.KindUnavailable, "b is down"))
	id = staged()
	c.doImport(member, id, `{"method": {"name": "glance-direct"}, "stores": ["servers", "b"]}`).want(t, 202)
	c.waitFor(id, "queued")
	require.Equal(t, []any{"queued", nil, "", "b"}, show(id))
	require.Equal(t, "b is down", c.lastTask(id)["message"])
	c.stage(member, id, []byte("data")).want(t, 204)
	c.doImport(member, id, `{"method": {"name": "glance-direct"}, "all_stores": true, "all_stores_must_succeed": false}`).want(t, 202)
	c.waitFor(id, "active")
	require.Equal(t, []any{"active", "servers,a", "", "b"}, show(id))
	require.Equal(t, "success", c.lastTask(id)["status"])
	c.doImport(admin, id, copies+`, "stores": ["b"]}`).want(t, 202)
	require.Eventually(t, func() bool { return c.lastTask(id)["status"] == "failure" }, 20*time.Second, 2*time.Millisecond)
	require.Equal(t, []any{"active", "servers,a", "", "b"}, show(id))
	b.setFail(nil)
	all := staged()
	c.doImport(member, all, `{"method": {"name": "glance-direct"}, "stores": ["servers", "b"]}`).want(t, 202)
	c.waitFor(all, "active")
	require.Equal(t, []structs.ServerID{"s1"}, c.stored(all).Servers, "although another store came after them")
	c.doImport(admin, id, copies+`, "stores": ["b"]}`).want(t, 202)
	c.waitFor(id, "active")
	require.Equal(t, []any{"active", "servers,a,b", "", ""}, show(id))
	c.doImport(member, staged(), `{"method": {"name": "glance-direct"}, "stores": ["b"], "all_stores_must_succeed": false}`).want(t, 202)

	c.do(member, "DELETE", "/v2/stores/b/"+id, nil).want(t, 403, "delete_image_location")
	c.do(admin, "DELETE", "/v2/stores/none/"+id, nil).want(t, 409, "The selected store none is not available on this node.")
	c.do(admin, "DELETE", "/v2/stores/servers/"+id, nil).want(t, 204)
	c.do(admin, "DELETE", "/v2/stores/servers/"+id, nil).want(t, 404, "is not stored in store servers.")
	c.do(admin, "DELETE", "/v2/stores/b/"+id, nil).want(t, 204)
	c.do(admin, "DELETE", "/v2/stores/a/"+id, nil).want(t, 403, "Cannot delete image data from the only store containing it.")
	c.do(admin, "DELETE", "/v2/stores/a/"+c.image(member, `{}`), nil).want(t, 409, "status is not 'active'")
	c.do(admin, "DELETE", "/v2/stores/a/nothing", nil).want(t, 404, "Failed to find image nothing")
	c.do(other, "DELETE", "/v2/stores/a/"+id, nil).want(t, 404)
	require.Equal(t, "data", string(c.get(member, "/v2/images/"+id+"/file?prefer=b,a").want(t, 200).body))
}

func TestUploadToAStore(t *testing.T) {
	t.Parallel()
	a := newExtra("a")
	c := newCloud(t, func(o *Options) { o.Stores = withStores(t, "", a) })
	put := func(id, to string) answer {
		return c.do(member, "PUT", "/v2/images/"+id+"/file", strings.NewReader("data"), "Content-Type: application/octet-stream", "X-Image-Meta-Store: "+to)
	}
	id := c.image(member, rawImage)
	put(id, "none").want(t, 400, "Unknown scheme 'none' found in URI")
	a.setFail(structs.Errorf(structs.KindUnavailable, "a is down"))
	put(id, "a").want(t, 503, "a is down")
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
	a.setFail(nil)
	put(id, "a").want(t, 204)
	require.Equal(t, []string{"a"}, c.stored(id).Stores)
	v := c.get(member, "/v2/info/stores").want(t, 200).json(t)["stores"].([]any)
	require.Equal(t, object{"id": "a"}, v[1])
	v = c.get(admin, "/v2/info/stores/detail").want(t, 200).json(t)["stores"].([]any)
	require.Equal(t, object{"id": "a", "type": "s3", "weight": 0.0, "properties": object{"a": "b"}}, v[1])
}

func TestTasks(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.Imports = NewImports(*o) })
	for n, ends := range []time.Duration{-time.Second, time.Hour, time.Hour, time.Hour} {
		status := structs.ImageTaskSuccess
		if n == 3 {
			status = structs.ImageTaskFailure
		}
		at := structs.TimeOf(time.Now())
		_, err := fsm.ImageTaskCreate.Propose(t.Context(), c.core, &structs.ImageTaskCreate{Task: structs.ImageTask{ID: structs.ImageTaskID(fmt.Sprintf("0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d1%d", n)), ImageID: "i", Method: structs.ImportDirect,
			Status: status, ProjectID: "p1", CreatedAt: structs.Time(n), UpdatedAt: at, ExpiresAt: at.Add(ends)}})
		require.NoError(t, err)
	}
	list := func(query string) string {
		var ids []string
		for _, v := range c.get(admin, "/v2/tasks"+query).want(t, 200).json(t)["tasks"].([]any) {
			id := v.(map[string]any)["id"].(string)
			ids = append(ids, id[len(id)-1:])
		}
		return strings.Join(ids, "")
	}
	const one = "0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d1"
	require.Equal(t, "321", list(""))
	require.Equal(t, "123", list("?sort_dir=asc"))
	require.Equal(t, "3", list("?status=failure"))
	require.Equal(t, "", list("?type=import"))
	require.Equal(t, "21", list("?marker="+one+"3"))
	v := c.get(admin, "/v2/tasks?limit=2&status=success").want(t, 200).json(t)
	require.Equal(t, "/v2/tasks?limit=2&marker="+one+"1&status=success", v["next"])
	for query, says := range map[string]string{"status=x": "Invalid status value: x", "type=x": "Invalid type value: x", "marker=x": "Invalid marker format", "limit=x": "must be an integer", "limit=-1": "must be positive",
		"sort_dir=x": "Invalid sort direction: x", "sort_key=x": "Invalid sort key: x"} {
		c.get(admin, "/v2/tasks?"+query).want(t, 400, says)
	}
	c.get(admin, "/v2/tasks?marker=0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d1f").want(t, 404)
	c.get(member, "/v2/tasks").want(t, 403, "tasks_api_access")
	c.get(admin, "/v2/tasks/"+one+"1").want(t, 200, `"self":"/v2/tasks/`+one+`1"`)
	c.get(admin, "/v2/tasks/"+one+"0").want(t, 404, "No task found with ID")
	a := c.do(admin, "DELETE", "/v2/tasks/"+one+"1", nil).want(t, 405, "currently not permitted on Glance Tasks")
	require.Equal(t, "GET", a.Header.Get("Allow"))
	post := func(body string) answer {
		return c.do(admin, "POST", "/v2/tasks", strings.NewReader(body), "Content-Type: application/json")
	}
	post(`{"input": {}}`).want(t, 400, "Task 'type' is required")
	post(`{"type": "import"}`).want(t, 400, "Task 'input' is required")
	post(`{"type": "eat", "input": {}}`).want(t, 400, "is not one of")
	post(`{"type": "import", "input": {"import_from": "file:///x"}}`).want(t, 400, "URI for legacy import task does not pass filtering")
	a = post(`{"type": "import", "input": {"import_from": "http://example.org/x"}}`).want(t, 201, `"status":"failure"`)
	c.get(admin, strings.TrimPrefix(a.Header.Get("Location"), c.url+"/image")).want(t, 200, "/import")

	c.run(NewImports(Options{}))
	require.Eventually(t, func() bool { return c.core.Stale().ImageTask(one+"0") == nil }, 20*time.Second, 2*time.Millisecond, "it has expired")
	require.NotNil(t, c.core.Stale().ImageTask(one+"1"))
}

func TestNoCache(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	for _, row := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"PUT", "/i"}, {"DELETE", "/i"}, {"GET", "/nodes/i"}, {"POST", "/clean"}, {"POST", "/prune"}} {
		c.do(admin, row[0], "/v2/cache"+row[1], nil).want(t, 404, "Caching via API is not supported at this site.")
		c.do(member, row[0], "/v2/cache"+row[1], nil).want(t, 403)
	}
	c.get(admin, "/v2/queued_images").want(t, 404)
}

// Staged bytes are kept while an image names them, and count as staged.
func TestStagedBytes(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) {
		o.Limits = structs.ImageLimits{structs.ImageStageTotal: 1, structs.ImageSizeTotal: 0}
	})
	id := c.image(member, rawImage)
	big := make([]byte, 3<<20)
	c.stage(member, id, big).want(t, 413, "image_stage_total")
	require.Equal(t, structs.ImageQueued, c.stored(id).Status)
	c.stage(member, id, big[:1<<20]).want(t, 204)
	require.NotNil(t, c.core.Stale().ImageWithBytes(c.stored(id).SHA512))
	require.Contains(t, string(c.get(member, "/v2/info/usage").want(t, 200).body), `"image_stage_total":{"limit":1,"usage":1}`)
	c.doImport(member, id, direct).want(t, 202)
	c.waitFor(id, "queued")
	require.Contains(t, c.lastTask(id)["message"], "image_size_total is over limit of 0")
}

// A server that died while it received staged data leaves an image that can be staged again.
func TestStagingThatBrokeOff(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id, staged := c.image(member, rawImage), c.image(member, rawImage)
	c.stage(member, staged, []byte("data")).want(t, 204)
	_, err := change(t.Context(), c.core, structs.ImageID(id), func(i *structs.Image) error {
		i.Status, i.Servers = structs.ImageUploading, []structs.ServerID{"s1"}
		return nil
	})
	require.NoError(t, err)
	c.doImport(member, id, direct).want(t, 409, "Image needs to be staged")
	ids, err := Recover(t.Context(), c.core)
	require.NoError(t, err)
	require.Equal(t, []structs.ImageID{structs.ImageID(id)}, ids)
	require.Equal(t, structs.ImageUploading, c.stored(staged).Status, "what is staged whole stays")
	c.stage(member, id, []byte("data")).want(t, 204)

	pr, pw := io.Pipe()
	id = c.image(member, rawImage)
	go func() {
		_, _ = pw.Write([]byte("half"))
		_ = pw.CloseWithError(errors.New("gone"))
	}()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", c.url+"/image/v2/images/"+id+"/stage", pr)
	require.NoError(t, err)
	req.Header.Set("X-Auth-Token", member)
	req.Header.Set("Content-Type", "application/octet-stream")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	_, err = client.Do(req) //nolint:bodyclose // there is no answer
	require.Error(t, err)
	require.Eventually(t, func() bool { return c.stored(id).Status == structs.ImageQueued }, 20*time.Second, 2*time.Millisecond)
}
