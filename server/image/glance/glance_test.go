package glance_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity"
	idbase "github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/image/glance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a cloud of its own as the Image service elsewhere, a core that uses it, and a client between them; the real Glance is asked in e2e.
type world struct {
	*identitytest.Cloud
	there  *httptest.Server
	core   *coretest.Core
	client *glance.Client
	log    bytes.Buffer
	now    time.Time
	change func(*http.Request, *httptest.ResponseRecorder) // of an answer, when it is not nil
	asked  atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Cloud: identitytest.New(t, idbase.Options{TokenTTL: 12 * time.Hour}), core: coretest.New(), now: time.Now()}
	store, err := blob.Open(t.TempDir(), nil)
	require.NoError(t, err)
	w.Core.BlobStore = blob.Single{Store: store, ServerID: "s"}
	h, err := httpapi.NewHandler(w.Core, append(identity.Services(w.Auth, idbase.Options{Now: w.Now, Passwords: idbase.NewPasswords(4, 0, 0)}), image.New(image.Options{})...), httpapi.Options{Auth: w.Auth})
	require.NoError(t, err)
	w.there = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		if w.change == nil {
			h.ServeHTTP(rw, r)
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		w.change(r, rec)
		for k, v := range rec.Header() {
			rw.Header()[k] = v
		}
		rw.Header().Del("Content-Length")
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(rec.Body.Bytes())
	}))
	t.Cleanup(w.there.Close)
	transport := &http.Transport{DisableKeepAlives: true}
	w.client = glance.New(glance.Config{Endpoint: w.there.URL + "/image/", AuthURL: w.there.URL + "/identity/v3", Username: "admin", Password: identitytest.AdminPassword, Project: "admin", PageSize: 3,
		Transport: transport, Now: func() time.Time { return w.now }, Logger: hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Trace})})
	return w
}

// as is a request of somebody to this core.
func (w *world) as(token string) *httpapi.Request {
	r := httptest.NewRequestWithContext(w.T.Context(), http.MethodGet, "http://kilonova.example.org/compute/v2.1", nil)
	r.Header.Set("X-Auth-Token", token)
	return &httpapi.Request{Request: r, Core: w.core}
}

// image makes one there, with data unless that is nil.
func (w *world) image(token, body string, data []byte) string {
	w.T.Helper()
	id := w.ask(201, token, http.MethodPost, "/v2/images", body, "application/json")
	if data != nil {
		w.ask(204, token, http.MethodPut, "/v2/images/"+id+"/file", string(data), "application/octet-stream")
	}
	return id
}

// ask asks the service there and returns the id in the answer, if there is one.
func (w *world) ask(status int, token, method, path, body, media string) string {
	w.T.Helper()
	req, err := http.NewRequestWithContext(w.T.Context(), method, w.there.URL+"/image"+path, strings.NewReader(body))
	require.NoError(w.T, err)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Content-Type", media)
	req.Header.Set("Accept", "application/json")
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	require.NoError(w.T, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(w.T, err)
	require.Equal(w.T, status, resp.StatusCode, "%s", b)
	_, id, _ := strings.Cut(string(b), `"id":"`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

const raw = `{"name": "base", "disk_format": "raw", "container_format": "bare", "min_disk": 1, "min_ram": 64, "os_distro": "debian", "tags": ["a"]}`

func (w *world) known(id string) *structs.Image { return w.core.Stale().Image(structs.ImageID(id)) }

// Who asks sees what Glance shows it, and what hosts need to know of an image that is used is in the state, once.
func TestUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := []byte("the data")
	id := w.image(w.DemoToken(), raw, data)
	sum := sha512.Sum512(data)
	i, err := w.client.Use(w.as(w.DemoToken()), strings.ToUpper(id))
	require.NoError(t, err)
	require.Equal(t, []any{"base", structs.ImageActive, hex.EncodeToString(sum[:]), int64(len(data)), int64(1), int64(64), "debian", w.Demo.DefaultProjectID},
		[]any{i.Name, i.Status, i.SHA512, i.Size, i.MinDiskGiB, i.MinMemoryMiB, i.Properties["os_distro"], i.ProjectID})
	k := w.known(id)
	require.True(t, k.External)
	require.Equal(t, []string{structs.StoreGlance}, k.StoreIDs())
	_, err = w.client.Use(w.as(w.DemoToken()), id)
	require.NoError(t, err)
	require.Equal(t, k.ModifyIndex, w.known(id).ModifyIndex, "nothing is new")
	w.ask(200, w.DemoToken(), http.MethodPatch, "/v2/images/"+id, `[{"op": "add", "path": "/hw_disk_bus", "value": "scsi"}]`, "application/openstack-images-v2.1-json-patch")
	_, err = w.client.Use(w.as(w.AdminToken()), id)
	require.NoError(t, err)
	require.Equal(t, "scsi", w.known(id).Properties["hw_disk_bus"])

	bare := w.image(w.DemoToken(), `{"name": "bare", "disk_format": "raw", "container_format": "bare"}`, data)
	for range 2 {
		_, err = w.client.Use(w.as(w.DemoToken()), bare)
		require.NoError(t, err)
		require.Equal(t, w.known(bare).CreateIndex, w.known(bare).ModifyIndex, "neither tags nor properties are nothing new")
	}

	hers := w.image(w.AdminToken(), raw, data)
	for _, id := range []string{hers, "00000000-0000-0000-0000-000000000000", "../images/" + id, "?x"} {
		_, err = w.client.Use(w.as(w.DemoToken()), id)
		require.Equal(t, structs.KindNotFound, structs.KindOf(err), "%s: %v", id, err)
	}
	require.Nil(t, w.known(hers))
	empty := w.image(w.DemoToken(), raw, nil)
	i, err = w.client.Use(w.as(w.DemoToken()), empty)
	require.NoError(t, err)
	require.Equal(t, structs.ImageQueued, i.Status)
	require.Nil(t, w.known(empty), "nobody can build of it")
	_, err = w.client.Use(w.as("no token"), id)
	require.Equal(t, structs.KindUnauthorized, structs.KindOf(err))
}

// Without a SHA-512 nobody could check what a host boots.
func TestUseWithoutHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.image(w.DemoToken(), raw, []byte("data"))
	w.change = func(_ *http.Request, rec *httptest.ResponseRecorder) {
		rec.Body = bytes.NewBuffer(bytes.ReplaceAll(rec.Body.Bytes(), []byte(`"sha512"`), []byte(`"md5"`)))
	}
	_, err := w.client.Use(w.as(w.DemoToken()), id)
	require.ErrorContains(t, err, "has no SHA-512")
	require.Equal(t, structs.KindInvalid, structs.KindOf(err))
	require.Nil(t, w.known(id))
}

func TestListChangeDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for range 7 {
		ids = append(ids, w.image(w.DemoToken(), raw, nil))
		w.Pass(time.Second)
	}
	w.image(w.AdminToken(), raw, nil)
	list := func(also string) (got []string) {
		seq, err := w.client.List(w.as(w.DemoToken()), also)
		require.NoError(t, err)
		for i := range seq {
			got = append(got, string(i.ID))
		}
		return got
	}
	require.ElementsMatch(t, ids, list(""))
	hidden := w.image(w.DemoToken(), `{"name": "h", "os_hidden": true}`, nil)
	require.NotContains(t, list(""), hidden)
	require.Contains(t, list(hidden), hidden)
	require.Len(t, list("00000000-0000-0000-0000-000000000000"), len(ids), "what is not there is left out")

	r, id := w.as(w.DemoToken()), structs.ImageID(ids[0])
	require.NoError(t, w.client.Change(r, id, func(i *structs.Image) error {
		i.Properties = map[string]string{"os_distro": "fedora", "a/b~c": "1"}
		return nil
	}))
	i, err := w.client.Show(r, ids[0])
	require.NoError(t, err)
	require.Equal(t, map[string]string{"os_distro": "fedora", "a/b~c": "1"}, i.Properties)
	require.NoError(t, w.client.Change(r, id, func(i *structs.Image) error { delete(i.Properties, "os_distro"); return nil }))
	i, err = w.client.Show(r, ids[0])
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a/b~c": "1"}, i.Properties)
	asked := w.asked.Load()
	require.NoError(t, w.client.Change(r, id, func(*structs.Image) error { return nil }))
	require.Equal(t, asked+1, w.asked.Load(), "no change is not sent")

	public := w.image(w.AdminToken(), strings.Replace(raw, `"tags"`, `"visibility": "public", "tags"`, 1), nil)
	require.Equal(t, structs.KindForbidden, structs.KindOf(w.client.Delete(r, public)))
	require.NoError(t, w.client.Delete(r, ids[1]))
	require.Equal(t, structs.KindNotFound, structs.KindOf(w.client.Delete(r, ids[1])))
}

// newSnapshot announces an image of an instance, as the Compute API does.
func (w *world) newSnapshot(kind string) (*structs.Image, func()) {
	w.T.Helper()
	i := &structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Name: "snap", Visibility: "private", Status: structs.ImageQueued, ContainerFormat: "bare", DiskFormat: "qcow2", MinDiskGiB: 1,
		Properties: map[string]string{"image_type": kind, "instance_uuid": "ins", "checksum": "is no property", "os_glance_x": "nor this"}}
	undo, err := w.client.Create(w.as(w.DemoToken()), i)
	require.NoError(w.T, err)
	return i, undo
}

// An image of an instance is announced with the caller's token, and its bytes come by the servers' own user, in the format that the host made. A second try finds
// that all is done.
func TestCreateAndReceive(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	i, undo := w.newSnapshot("snapshot")
	require.True(t, i.External)
	require.Equal(t, w.Demo.DefaultProjectID, i.ProjectID)
	require.Equal(t, map[string]string{"image_type": "snapshot", "instance_uuid": "ins"}, i.Properties)
	data := []byte("a raw disk")
	sum := sha512.Sum512(data)
	sums := nomadlike.BlobSums{Size: int64(len(data)), SHA512: hex.EncodeToString(sum[:])}
	for range 2 {
		require.NoError(t, w.client.Receive(ctx, i, "raw", sums, bytes.NewReader(data)))
	}
	got, err := w.client.Show(w.as(w.DemoToken()), string(i.ID))
	require.NoError(t, err)
	require.Equal(t, []any{structs.ImageActive, "raw", sums.SHA512}, []any{got.Status, got.DiskFormat, got.SHA512})
	sums.SHA512 = "other"
	require.Equal(t, structs.KindConflict, structs.KindOf(w.client.Receive(ctx, i, "raw", sums, strings.NewReader("other data"))))

	r, size, err := w.client.Open(ctx, nil, got)
	require.NoError(t, err)
	require.Equal(t, int64(len(data)), size)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, data, b)
	require.NoError(t, r.Close())
	wrong := got.Copy()
	wrong.SHA512 = strings.Repeat("0", 128)
	r, _, err = w.client.Open(ctx, nil, wrong)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.ErrorContains(t, err, "damaged")
	require.NoError(t, r.Close())

	undo()
	_, err = w.client.Show(w.as(w.DemoToken()), string(i.ID))
	require.Equal(t, structs.KindNotFound, structs.KindOf(err))
	require.Equal(t, structs.KindNotFound, structs.KindOf(w.client.Receive(ctx, i, "raw", sums, bytes.NewReader(data))), "it was deleted meanwhile")
	_, _, err = w.client.Open(ctx, nil, got)
	require.Equal(t, structs.KindNotFound, structs.KindOf(err))
}

// put writes what is known of an image into the state.
func (w *world) put(i structs.Image) structs.Image {
	w.T.Helper()
	_, err := fsm.ImageMirror.Propose(context.Background(), w.core, &structs.ImageMirrorRequest{Image: i})
	require.NoError(w.T, err)
	return *w.known(string(i.ID))
}

// Rotation counts the backups that there are: those that a user deleted in Glance are forgotten before the next one.
func TestDeletedBackupsDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	properties := map[string]string{"image_type": "backup", "instance_uuid": "ins"}
	there := w.image(w.DemoToken(), raw, []byte("x"))
	for _, id := range []string{there, "gone"} {
		w.put(structs.Image{ID: structs.ImageID(id), Status: structs.ImageActive, Properties: properties})
	}
	w.put(structs.Image{ID: "another's", Status: structs.ImageActive, Properties: map[string]string{"image_type": "backup", "instance_uuid": "other"}})
	w.newSnapshot("snapshot")
	require.NotNil(t, w.known("gone"), "this is about backups")
	w.newSnapshot("backup")
	require.Nil(t, w.known("gone"))
	require.NotNil(t, w.known(there))
	require.NotNil(t, w.known("another's"))
}

// What the state machine has done with is deleted in Glance and forgotten; what nothing needs is forgotten after a day, and stays where it is.
func TestKeeper(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	k := w.client.NewKeeper()
	round := func() { require.NoError(t, k.Round(ctx, w.core.Stale(), w.core)) }
	use := func() string {
		id := w.image(w.DemoToken(), raw, []byte("x"))
		_, err := w.client.Use(w.as(w.DemoToken()), id)
		require.NoError(t, err)
		return id
	}
	drop := func(id string) {
		_, err := fsm.ImageDelete.Propose(ctx, w.core, &structs.ImageDeleteRequest{ID: structs.ImageID(id)})
		require.NoError(t, err)
	}
	done, unused, used, protected := use(), use(), use(), use()
	w.ask(200, w.DemoToken(), http.MethodPatch, "/v2/images/"+protected, `[{"op": "replace", "path": "/protected", "value": true}]`, "application/openstack-images-v2.1-json-patch")
	drop(done)
	drop(protected)
	w.put(structs.Image{ID: "gone", Status: structs.ImageActive})
	drop("gone")
	_, err := fsm.FlavorCreate.Propose(ctx, w.core, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "f", Name: "f"}})
	require.NoError(t, err)
	_, err = fsm.QuotaSet.Propose(ctx, w.core, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p", Limits: structs.UnlimitedQuota()}})
	require.NoError(t, err)
	_, err = fsm.InstanceCreate.Propose(ctx, w.core, &structs.InstanceCreateRequest{Instances: []structs.Instance{{ID: "i", ProjectID: "p", ImageID: structs.ImageID(used)}},
		Operations: []structs.Operation{{ID: "o", InstanceID: "i", ProjectID: "p", Kind: structs.OpBuild}}, Evaluations: []structs.Evaluation{{ID: "e", InstanceID: "i", OperationID: "o", Status: structs.EvalPending}}})
	require.NoError(t, err)

	w.change = func(_ *http.Request, rec *httptest.ResponseRecorder) { rec.Code = 503 }
	round()
	require.NotNil(t, w.known(done), "the service cannot be asked: it is tried again")
	w.change = nil
	round()
	for _, id := range []string{done, protected, "gone"} {
		require.Nil(t, w.known(id))
	}
	w.ask(404, w.DemoToken(), http.MethodGet, "/v2/images/"+done, "", "")
	w.ask(200, w.DemoToken(), http.MethodGet, "/v2/images/"+protected, "", "")
	w.now = w.now.Add(25 * time.Hour)
	round()
	require.Nil(t, w.known(unused))
	require.NotNil(t, w.known(used))
	w.ask(200, w.DemoToken(), http.MethodGet, "/v2/images/"+unused, "", "")
}

// Neither passwords nor tokens are in logs and errors.
func TestSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.client.Check(t.Context()))
	wrong := glance.New(glance.Config{Endpoint: w.there.URL + "/image", AuthURL: w.there.URL + "/identity/v3", Username: "admin", Password: "wr0ng-s3cret", Project: "admin",
		Transport: &http.Transport{DisableKeepAlives: true}, Logger: hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Trace})})
	err := wrong.Check(t.Context())
	require.Equal(t, structs.KindUnavailable, structs.KindOf(err))
	require.ErrorContains(t, err, "Unauthorized")
	w.there.Close()
	text := w.DemoToken()
	_, show := w.client.Show(w.as(text), "x")
	require.Equal(t, structs.KindUnavailable, structs.KindOf(show))
	for _, said := range []string{w.log.String(), err.Error(), show.Error()} {
		for _, secret := range []string{"wr0ng-s3cret", identitytest.AdminPassword, text} {
			require.NotContains(t, said, secret)
		}
	}
	require.True(t, slices.Contains(strings.Fields(w.log.String()), "cannot"))
}
