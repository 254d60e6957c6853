package compute_test

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
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The people of the tests. Their tokens are their names.
const (
	adminProject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	aliceProject = "11111111111111111111111111111111"
	bobProject   = "22222222222222222222222222222222"
	adminUser    = "a0000000000000000000000000000000"
	aliceUser    = "a1111111111111111111111111111111"
	bobUser      = "b2222222222222222222222222222222"
)

type people map[string]*httpapi.Token

func (p people) Verify(token string) (*httpapi.Token, error) {
	if t := p[token]; t != nil {
		return t, nil
	}
	return nil, errors.New("no such token")
}

var everybody = people{
	"admin":    {UserID: adminUser, ProjectID: adminProject, Roles: []string{"admin", "manager", "member", "reader"}},
	"alice":    {UserID: aliceUser, ProjectID: aliceProject, Roles: []string{"member", "reader"}},
	"bob":      {UserID: bobUser, ProjectID: bobProject, Roles: []string{"member", "reader"}},
	"reader":   {UserID: bobUser, ProjectID: aliceProject, Roles: []string{"reader"}},
	"unscoped": {UserID: aliceUser},
}

// cloud is a served compute API over an in-process core.
type cloud struct {
	tb   testing.TB
	core *coretest.Core
	srv  *httptest.Server
	base string // …/compute/v2.1
}

func newHandler(tb testing.TB, core *coretest.Core, o compute.Options) http.Handler {
	tb.Helper()
	h, err := httpapi.NewHandler(core, []*httpapi.Service{compute.New(o), compute.Versions()}, httpapi.Options{Auth: everybody})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func newCloud(tb testing.TB) *cloud {
	tb.Helper()
	core := coretest.New()
	core.Info = nomadlike.ClusterInfo{Members: []nomadlike.Member{{Name: "server-1", Role: "server", Status: "alive"}}}
	srv := httptest.NewServer(newHandler(tb, core, compute.Options{}))
	tb.Cleanup(srv.Close)
	return &cloud{tb, core, srv, srv.URL + compute.Prefix}
}

// answer is an HTTP answer with its body read.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) json(tb testing.TB) map[string]any {
	tb.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		tb.Fatalf("answer %d is no JSON object: %v: %.300s", a.StatusCode, err, a.body)
	}
	return v
}

// call sends a request at a microversion ("" is none) and reads the answer. body is text, or a value to encode, or nil.
func (c *cloud) call(token, version, method, path string, body any) answer {
	c.tb.Helper()
	var rd io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		rd = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.tb.Fatal(err)
		}
		rd = bytes.NewReader(text)
	}
	url := path
	if !strings.HasPrefix(url, "http") {
		url = c.base + path
	}
	req, err := http.NewRequestWithContext(context.Background(), method, url, rd)
	if err != nil {
		c.tb.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	if version != "" {
		req.Header.Set("OpenStack-API-Version", "compute "+version)
		req.Header.Set("X-OpenStack-Nova-API-Version", version)
	}
	if rd != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.srv.Client().Do(req)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.tb.Fatal(err)
	}
	return answer{resp, text}
}

// want is call that demands a status.
func (c *cloud) want(status int, token, version, method, path string, body any) answer {
	c.tb.Helper()
	a := c.call(token, version, method, path, body)
	if a.StatusCode != status {
		c.tb.Fatalf("%s %s at %s as %s: %d, want %d: %s", method, path, version, token, a.StatusCode, status, a.body)
	}
	return a
}

func propose[Req, Resp any](tb testing.TB, core *coretest.Core, cmd fsm.Command[Req, Resp], req *Req) Resp {
	tb.Helper()
	v, err := cmd.Propose(context.Background(), core, req)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

var someTime = structs.TimeOf(time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC))

func (c *cloud) addFlavor(f structs.Flavor) structs.Flavor {
	c.tb.Helper()
	if f.RxTxFactor == 0 {
		f.RxTxFactor = 1
	}
	f.CreatedAt = someTime
	propose(c.tb, c.core, fsm.FlavorCreate, &structs.FlavorCreateRequest{Flavor: f})
	return f
}

func (c *cloud) small() structs.Flavor {
	return c.addFlavor(structs.Flavor{ID: "1", Name: "m1.small", VCPUs: 1, MemoryMiB: 512, RootGiB: 1, Public: true, ExtraSpecs: map[string]string{"hw:cpu_policy": "shared"}})
}

func (c *cloud) addImage(i structs.Image) structs.Image {
	c.tb.Helper()
	if i.ID == "" {
		i.ID = structs.ImageID(nomadlike.NewUUID())
	}
	if i.Status == "" {
		i.Status = structs.ImageActive
	}
	if i.Visibility == "" {
		i.Visibility = "public"
	}
	i.ProjectID, i.CreatedAt = adminProject, someTime
	propose(c.tb, c.core, fsm.ImageUpsert, &structs.ImageUpsertRequest{Image: i, Create: true})
	return i
}

func (c *cloud) cirros() structs.Image {
	return c.addImage(structs.Image{Name: "cirros", Size: 1 << 20, Properties: map[string]string{"architecture": "x86_64", "my_own": "x"}})
}

// boot makes an instance through the API and brings it to its end; it returns the id.
func (c *cloud) boot(token string, extra map[string]any) string {
	c.tb.Helper()
	server := map[string]any{"name": "vm", "flavorRef": "1", "networks": "none"}
	for k, v := range extra {
		server[k] = v
	}
	a := c.want(202, token, "2.104", "POST", "/servers", map[string]any{"server": server})
	c.core.Drive(nil)
	return a.json(c.tb)["server"].(map[string]any)["id"].(string)
}

// state is the whole state as a snapshot has it, less the head and the checksum: the log's index moves with commands that are refused, too.
func (c *cloud) state() []byte {
	c.tb.Helper()
	var b bytes.Buffer
	if err := c.core.Stale().Persist(&b); err != nil {
		c.tb.Fatal(err)
	}
	i := bytes.Index(b.Bytes(), []byte("claims")) // the name of the first table
	if i < 0 {
		c.tb.Fatal("a snapshot has no table of claims")
	}
	return b.Bytes()[i : b.Len()-9]
}
