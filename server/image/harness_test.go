package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/image/importer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The tokens of the tests are ROLE@PROJECT.
const (
	admin  = "admin@boss"
	member = "member@p1"
	reader = "reader@p1"
	other  = "member@p2"
)

type tokens struct{}

func (tokens) Verify(text string) (*httpapi.Token, error) {
	role, project, ok := strings.Cut(text, "@")
	implied := map[string][]string{"admin": {"admin", "manager", "member", "reader"}, "member": {"member", "reader"}, "reader": {"reader"}}[role]
	if !ok || implied == nil {
		return nil, errors.New("no token")
	}
	return &httpapi.Token{UserID: "u", ProjectID: structs.ProjectID(project), Roles: implied}, nil
}

// blobs is a store of one server whose Spread can be made to fail or to wait.
type blobs struct {
	blob.Single
	spread func(ctx context.Context) error
	stream bool // Open hides that it can seek
}

func (b *blobs) Spread(ctx context.Context, sha string) ([]structs.ServerID, error) {
	if b.spread != nil {
		if err := b.spread(ctx); err != nil {
			return nil, err
		}
	}
	return b.Single.Spread(ctx, sha)
}

func (b *blobs) Open(ctx context.Context, sha string) (io.ReadCloser, int64, error) {
	r, size, err := b.Single.Open(ctx, sha)
	if err == nil && b.stream {
		r = struct{ io.ReadCloser }{r}
	}
	return r, size, err
}

// cloud is the service over HTTP on a core of one server.
type cloud struct {
	t     testing.TB
	core  *coretest.Core
	blobs *blobs
	url   string
	rules *policy.Live
	stop  func() // ends the imports
}

func newCloud(t testing.TB, change func(*Options)) *cloud {
	t.Helper()
	store, err := blob.Open(t.TempDir(), nil)
	require.NoError(t, err)
	c := &cloud{t: t, core: coretest.New(), rules: policy.NewLive(nil), blobs: &blobs{Single: blob.Single{Store: store, ServerID: "s1"}}}
	c.core.BlobStore, c.core.Info = c.blobs, nomadlike.ClusterInfo{ServerID: "s1", IsLeader: true, Peers: []nomadlike.Peer{{ID: "s1"}}}
	opts := Options{}
	if change != nil {
		change(&opts)
	}
	if opts.Imports == nil {
		opts.Imports = NewImports(opts)
	}
	c.run(opts.Imports)
	h, err := httpapi.NewHandler(c.core, New(opts), httpapi.Options{Auth: tokens{}, Policy: c.rules})
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// run does imports until the test ends or stop is called.
func (c *cloud) run(e *importer.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx, c.core) }()
	c.stop = func() { cancel(); <-done }
	c.t.Cleanup(c.stop)
}

// answer is an HTTP answer read to its end.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(a.body, &v), string(a.body))
	return v
}

// do sends a request; header lines are "Name: value". Paths begin below /image.
func (c *cloud) do(token, method, path string, body io.Reader, header ...string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/image"+path, body)
	require.NoError(c.t, err)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Accept", "application/json")
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	return c.send(req)
}

func (c *cloud) send(req *http.Request) answer {
	c.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(c.t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	return answer{res, b}
}

// want demands a status, and that the body says something.
func (a answer) want(t testing.TB, status int, says ...string) answer {
	t.Helper()
	require.Equal(t, status, a.StatusCode, string(a.body))
	for _, s := range says {
		require.Contains(t, string(a.body), s)
	}
	return a
}

func (c *cloud) post(token, body string) answer {
	c.t.Helper()
	return c.do(token, "POST", "/v2/images", strings.NewReader(body), "Content-Type: application/json")
}

// image makes an image and returns its id.
func (c *cloud) image(token, body string) string {
	c.t.Helper()
	return c.post(token, body).want(c.t, 201).json(c.t)["id"].(string)
}

func (c *cloud) get(token, path string) answer {
	c.t.Helper()
	return c.do(token, "GET", path, nil)
}

func (c *cloud) patch(token, id, body string) answer {
	c.t.Helper()
	return c.do(token, "PATCH", "/v2/images/"+id, strings.NewReader(body), "Content-Type: "+patchV21)
}

func (c *cloud) put(token, id string, data []byte) answer {
	c.t.Helper()
	return c.do(token, "PUT", "/v2/images/"+id+"/file", bytes.NewReader(data), "Content-Type: application/octet-stream")
}

// policy puts a policy file in force.
func (c *cloud) policy(text string) {
	c.t.Helper()
	defaults, err := httpapi.PolicyRules(New(Options{}))
	require.NoError(c.t, err)
	set, err := policy.Parse("policy.yaml", []byte(text), defaults)
	require.NoError(c.t, err)
	require.Empty(c.t, set.Notes())
	c.rules.Replace(set)
}

// stored is the image's record.
func (c *cloud) stored(id string) *structs.Image {
	return c.core.Stale().Image(structs.ImageID(id))
}

const rawImage = `{"name": "cirros", "disk_format": "raw", "container_format": "bare"}`
