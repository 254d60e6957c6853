// Package fuzz_test sends requests that nobody would send to every row of the Compute API, on a cloud of one process.
package fuzz_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// What a fuzzed answer may take. Both are far above what any request of such a small cloud needs: they find what grows without bound.
const (
	fuzzTime = 20 * time.Second
	fuzzSize = 4 << 20
)

const (
	adminProject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	aliceProject = "11111111111111111111111111111111"
	bobProject   = "22222222222222222222222222222222"
	adminUser    = "a0000000000000000000000000000000"
	aliceUser    = "a1111111111111111111111111111111"
	sampleImage  = "70a599e0-31e7-49b7-b260-868f441e862b"
	sshKey       = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA8FIhjWOnf5yb7BmAM+dDsv3e8r7LXhRRcVWKUOqGcd alice@example"
)

var someTime = structs.TimeOf(time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC))

// people are the callers by their tokens.
type people map[string]*httpapi.Token

// Verify finds a caller.
func (p people) Verify(token string) (*httpapi.Token, error) {
	if t := p[token]; t != nil {
		return t, nil
	}
	return nil, errors.New("no such token")
}

var everybody = people{
	"admin":    {UserID: adminUser, ProjectID: adminProject, Roles: []string{"admin", "manager", "member", "reader"}},
	"alice":    {UserID: aliceUser, ProjectID: aliceProject, Roles: []string{"member", "reader"}},
	"reader":   {UserID: adminUser, ProjectID: aliceProject, Roles: []string{"reader"}},
	"unscoped": {UserID: aliceUser},
}

func propose[Req, Resp any](tb testing.TB, core *coretest.Core, cmd fsm.Command[Req, Resp], req *Req) {
	tb.Helper()
	if _, err := cmd.Propose(context.Background(), core, req); err != nil {
		tb.Fatal(err)
	}
}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// rowKey names a row as Nova's table and ours both do.
func rowKey(method, path, action string) string {
	return method + " " + variable.ReplaceAllString(path, "{}") + " " + action
}

// fuzzStates are the states of the prepared instances; the number is the one of fuzzInstance.
var fuzzStates = []func(*structs.Instance){
	func(*structs.Instance) {},
	func(i *structs.Instance) { i.VM, i.Power = structs.VMStopped, structs.PowerShutdown },
	func(i *structs.Instance) { i.VM, i.Power = structs.VMPaused, structs.PowerPaused },
	func(i *structs.Instance) { i.VM, i.Power = structs.VMSuspended, structs.PowerSuspended },
	func(i *structs.Instance) { i.VM = structs.VMRescued },
	func(i *structs.Instance) { i.VM, i.Power = structs.VMShelved, structs.PowerShutdown },
	func(i *structs.Instance) { i.VM, i.Power = structs.VMShelvedOffloaded, structs.PowerShutdown },
	func(i *structs.Instance) { i.VM, i.DeletedAt = structs.VMSoftDeleted, someTime },
	func(i *structs.Instance) {
		i.VM, i.Fault = structs.VMError, &structs.Fault{Code: 500, Message: "m", Details: "d", At: someTime}
	},
	func(i *structs.Instance) { i.Locked, i.LockedBy = true, "owner" },
	func(i *structs.Instance) { i.Task = structs.TaskRebooting },
	func(i *structs.Instance) { i.ImageID, i.ImageProps = "", nil },
}

func fuzzInstance(n int) structs.InstanceID {
	return structs.InstanceID(fmt.Sprintf("00000000-2222-4333-8444-%012d", n))
}

const (
	fuzzHost  = "11111111-2222-4333-8444-555555555555"
	fuzzGroup = "22222222-2222-4333-8444-555555555555"
)

// swappedCore is a core that can be replaced under its handler, which takes long to make.
type swappedCore struct{ *coretest.Core }

// fuzzCloud is a cloud whose instances have ports, volumes and shares, and the same one before every request.
type fuzzCloud struct {
	core   *swappedCore
	h      http.Handler
	asked  *neighbours
	log    bytes.Buffer
	dirty  bool // it is not the prepared one
	routes []httpapi.Route
	byKey  map[string]*httpapi.Route
	honest map[string]bool // rows that may answer 501
}

func newFuzzCloud(tb testing.TB) *fuzzCloud {
	tb.Helper()
	p := &neighbours{}
	c := &fuzzCloud{core: &swappedCore{}, asked: p, byKey: map[string]*httpapi.Route{}, honest: map[string]bool{}}
	to := proxy.Services{Networks: p, FloatingIPs: p, SecurityGroups: p, Volumes: p, Snapshots: p, Interfaces: p, Attachments: p, Shares: p}
	services := compute.Services(compute.Options{}, to)
	log := hclog.New(&hclog.LoggerOptions{Output: &c.log, Level: hclog.Warn})
	h, err := httpapi.NewHandler(c.core, services, httpapi.Options{Auth: everybody, Logger: log})
	if err != nil {
		tb.Fatal(err)
	}
	c.h = h
	c.routes = slices.Clone(services[0].Routes) // the handler keeps its own in their order
	slices.SortStableFunc(c.routes, func(a, b httpapi.Route) int { return strings.Compare(a.String(), b.String()) })
	for i := range c.routes {
		r := &c.routes[i]
		c.byKey[r.String()] = r
	}
	text, err := os.ReadFile("../testdata/routes.tsv")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, "\t"); line[0] != '#' && strings.Contains(f[6], "501") {
			c.honest[rowKey(f[0], f[1], f[2])] = true
		}
	}
	c.prepare(tb)
	return c
}

// prepare makes the cloud anew.
func (c *fuzzCloud) prepare(tb testing.TB) {
	tb.Helper()
	core := coretest.New()
	core.Info = nomadlike.ClusterInfo{Members: []nomadlike.Member{{Name: "server-1", Role: "server", Status: "alive"}}}
	core.Console = func(*structs.Instance, int) ([]byte, error) { return []byte("a\nb \xff\n"), nil }
	core.Measure = func(*structs.Instance) (*structs.Diagnostics, error) {
		return &structs.Diagnostics{State: "running", CPUs: []structs.CPUDiagnostics{{ID: 0}}, NICs: []structs.NICDiagnostics{{MAC: "m"}}}, nil
	}
	// Both succeed: a PUT /os-hosts/{id} with a status and a maintenance that fails has changed the status, as in Nova.
	core.HostCalls = coretest.HostCalls{Power: func(structs.HostID, string) error { return nil }, Maintenance: func(structs.HostID, bool) error { return nil }}
	c.core.Core = core
	for _, name := range []string{"host-1", "host-2"} {
		id := structs.HostID(strings.Replace(fuzzHost, "11", name[5:]+"1", 1))
		propose(tb, core, fsm.HostRegister, &structs.HostRegisterRequest{Now: someTime, Host: structs.Host{ID: id, Name: name, Zone: "nova", Session: "s", Driver: "fake", DriverHealthy: true, HypervisorType: "fake", HypervisorHostname: name,
			HypervisorVersion: 1000, Architectures: []string{"x86_64"}, Total: structs.Resources{VCPUs: 100, MemoryMiB: 1 << 20, DiskGiB: 10000}}})
	}
	core.Write(func(tx *state.Txn) {
		for _, p := range []structs.ProjectID{aliceProject, adminProject, bobProject} {
			tx.PutProject(&structs.Project{ID: p, Name: string(p), DomainID: "default"})
		}
	})
	f := structs.Flavor{ID: "1", Name: "m1.small", VCPUs: 1, MemoryMiB: 512, RootGiB: 1, Public: true, ExtraSpecs: map[string]string{"hw:cpu_policy": "shared"}}
	for _, f := range []structs.Flavor{f, {ID: "p", Name: "private", VCPUs: 1, MemoryMiB: 512, RootGiB: 1},
		{ID: "6", Name: "large", VCPUs: 2, MemoryMiB: 1024, RootGiB: 10, SwapMiB: 10, EphemeralGiB: 1, Public: true}} {
		f.RxTxFactor, f.CreatedAt = 1, someTime
		propose(tb, core, fsm.FlavorCreate, &structs.FlavorCreateRequest{Flavor: f})
	}
	image := structs.Image{ID: sampleImage, Name: "cirros", Size: 1 << 20, Properties: map[string]string{"architecture": "x86_64", "my_own": "x"}, Status: structs.ImageActive, Visibility: "public", ProjectID: adminProject, CreatedAt: someTime}
	propose(tb, core, fsm.ImageUpsert, &structs.ImageUpsertRequest{Image: image, Create: true})
	propose(tb, core, fsm.KeypairCreate, &structs.KeypairCreateRequest{Keypair: structs.Keypair{UserID: aliceUser, Name: "key", Type: "ssh", PublicKey: sshKey, Fingerprint: "f", CreatedAt: someTime}})
	propose(tb, core, fsm.AggregateCreate, &structs.AggregateCreateRequest{UUID: thing, Name: "agg", Metadata: map[string]string{"k": "v"}, Now: someTime})
	propose(tb, core, fsm.AggregateCreate, &structs.AggregateCreateRequest{UUID: other, Name: "empty", Metadata: map[string]string{"availability_zone": "z"}, Now: someTime})
	propose(tb, core, fsm.AggregateAddHost, &structs.AggregateHostRequest{ID: 1, HostID: fuzzHost})
	propose(tb, core, fsm.FlavorAccessAdd, &structs.FlavorAccessRequest{ID: "p", ProjectID: aliceProject, Now: someTime})
	propose(tb, core, fsm.ServerGroupCreate, &structs.ServerGroupCreateRequest{Group: structs.ServerGroup{ID: fuzzGroup, ProjectID: aliceProject, UserID: aliceUser,
		Name: "g", Policy: "anti-affinity", CreatedAt: someTime}})
	limits := structs.UnlimitedQuota()
	limits.Instances = 100 // a request may ask for thousands, which takes long
	propose(tb, core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: limits}})
	text := "about"
	for n := range fuzzStates {
		id, op := fuzzInstance(n), structs.OperationID(fmt.Sprintf("00000000-3333-4333-8444-%012d", n))
		ins := structs.Instance{ID: id, ProjectID: aliceProject, UserID: aliceUser, Name: fmt.Sprint("vm-", n), Hostname: "vm", Description: &text, ReservationID: "r-1",
			Flavor: f, ImageID: image.ID, ImageProps: map[string]string{"architecture": "x86_64"}, DiskConfig: "MANUAL", KeyName: "key", Metadata: map[string]string{"role": "web"}, Tags: []string{"prod"}}
		propose(tb, core, fsm.InstanceCreate, &structs.InstanceCreateRequest{Now: someTime, Instances: []structs.Instance{ins},
			Operations:  []structs.Operation{{ID: op, InstanceID: id, Kind: structs.OpBuild, RequestID: fmt.Sprint("req-", op)}},
			Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(op), InstanceID: id, OperationID: op, Status: structs.EvalPending}}})
	}
	core.Drive(nil)
	core.Write(func(tx *state.Txn) {
		for n, alter := range fuzzStates {
			ins := tx.Instance(fuzzInstance(n)).Copy()
			alter(ins)
			tx.PutInstance(ins)
		}
	})
	c.dirty = false
}

// changes returns the tables that have changed since a log index. A command that is refused moves the index, but changes nothing.
func (c *fuzzCloud) changes(tb testing.TB, since uint64) (tables []string) {
	tb.Helper()
	sub, ok := c.core.Events().Subscribe(since)
	if !ok {
		return []string{"more than are kept"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // there is nothing to wait for
	events, _, err := sub.Next(ctx)
	if err != nil {
		return nil
	}
	for _, e := range events {
		tables = append(tables, e.Table)
	}
	return tables
}

// route returns the row that a text names, or any one for a text that names none. Corpora name rows in words, so that they stay what they are when
// rows come and go.
func (c *fuzzCloud) route(text string, fits func(*httpapi.Route) bool) *httpapi.Route {
	if r := c.byKey[text]; r != nil && fits(r) {
		return r
	}
	h := fnv.New32a()
	h.Write([]byte(text))
	for n := int(h.Sum32() % uint32(len(c.routes))); ; n++ {
		if r := &c.routes[n%len(c.routes)]; fits(r) {
			return r
		}
	}
}

// within returns a microversion that has the row: the one asked for when it has.
func within(r *httpapi.Route, minor uint8) httpapi.Microversion {
	lo, hi := max(r.Min, 1), r.Max
	if hi == 0 {
		hi = compute.MaxVersion
	}
	if v := httpapi.Microversion(minor); v >= lo && v <= hi {
		return v
	}
	return lo + httpapi.Microversion(minor)%(hi-lo+1)
}

// fuzzNames are what a path's variable means after a segment.
var fuzzNames = map[string][]string{
	"flavors": {"1", "p", "6"}, "os-extra_specs": {"hw:cpu_policy", "hw:numa_nodes"}, "images": {sampleImage}, "metadata": {"role", "my_own", "foo", "auto_disk_config"}, "os-aggregates": {"1", "2"}, "os-hosts": {"host-1"},
	"os-hypervisors": {fuzzHost, "1", "host-1"}, "os-keypairs": {"key"}, "os-quota-sets": {aliceProject}, "os-quota-class-sets": {"default"},
	"os-server-groups": {fuzzGroup}, "os-services": {fuzzHost, strings.Replace(fuzzHost, "11", "21", 1), "1", "enable", "disable", "disable-log-reason", "force-down"},
	"os-simple-tenant-usage": {aliceProject}, "tags": {"prod"}, "os-instance-actions": {"req-00000000-3333-4333-8444-000000000000"}, "ips": {"net"}, "extensions": {"os-hosts"},
	"versions": {"v2.1"},
}

// path fills a row's variables with things that are there.
func (c *fuzzCloud) path(r *httpapi.Route, pick uint8) string {
	segments := strings.Split(r.Path, "/")
	for i, s := range segments {
		if !strings.Contains(s, "{") {
			continue
		}
		names := fuzzNames[segments[i-1]]
		switch {
		case segments[i-1] == "servers" || segments[i-1] == "os-volumes_boot":
			segments[i] = string(fuzzInstance(int(pick) % len(fuzzStates)))
		case len(names) > 0:
			segments[i] = names[int(pick)%len(names)]
		default:
			segments[i] = thing
		}
	}
	if pick >= 0x40 && r.Min <= compute.MinVersion { // the API before 2.1 has them, too
		return compute.LegacyPrefix + strings.Join(segments, "/")
	}
	return compute.Prefix + strings.Join(segments, "/")
}

// ask makes a request as a server would, nil when no server would pass it on.
func ask(method, target, body string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil || strings.ContainsAny(target, " \t\r\n") {
		return nil
	}
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL, r.RequestURI = u, target
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	return r
}

// fuzzWho is who asks, by the lowest bits of the pick.
func fuzzWho(pick uint8) string { return []string{"alice", "admin"}[pick&1] }

// try sends a request to a row and judges the answer.
func (c *fuzzCloud) try(t *testing.T, r *httpapi.Route, minor, pick uint8, query, body string) *httptest.ResponseRecorder {
	t.Helper()
	target := c.path(r, pick>>1)
	if query != "" {
		target += "?" + query
	}
	req := ask(r.Method, target, body)
	if req == nil {
		t.Skip("no HTTP request")
	}
	req.Header.Set("X-Auth-Token", fuzzWho(pick))
	req.Header.Set("OpenStack-API-Version", fmt.Sprintf("compute 2.%d", within(r, minor)))
	req.Header.Set("X-OpenStack-Nova-API-Version", fmt.Sprintf("2.%d", within(r, minor)))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	w := c.send(t, req, c.honest[rowKey(r.Method, r.Path, r.Action)])
	if w.Code == http.StatusBadRequest && strings.Contains(w.Body.String(), `"Malformed request body"`) && wellFormed(r, body) {
		t.Errorf("%s: the schema accepts what the handler cannot read: %.500s", r, body)
	}
	return w
}

// wellFormed reports whether a body is JSON that no one refuses for its form alone.
func wellFormed(r *httpapi.Route, body string) bool {
	var v any
	d := json.NewDecoder(strings.NewReader(body))
	if d.UseNumber(); !utf8.ValidString(body) || !json.Valid([]byte(body)) || d.Decode(&v) != nil || hugeExponent.MatchString(body) {
		return false
	}
	m, ok := v.(map[string]any)
	return r.Action == "" || ok && len(m) == 1
}

var hugeExponent = regexp.MustCompile(`[0-9][eE][+-]?[0-9]{3}`)

// send sends a request and judges the answer: no 5xx, a fault where there is one, no change by what is refused, and nothing written that cannot be read.
func (c *fuzzCloud) send(t *testing.T, req *http.Request, honest bool) *httptest.ResponseRecorder {
	t.Helper()
	c.log.Reset()
	c.asked.asked = nil
	what := fmt.Sprintf("%s %.300s", req.Method, req.RequestURI)
	since := c.core.Stale().Index()
	w, started := httptest.NewRecorder(), time.Now()
	c.h.ServeHTTP(w, req)
	if took := time.Since(started); took > fuzzTime {
		t.Errorf("%s took %s", what, took)
	}
	body := w.Body.Bytes()
	if len(body) > fuzzSize {
		t.Errorf("%s: an answer of %d bytes", what, len(body))
	}
	switch {
	case w.Code >= 500 && (w.Code != http.StatusNotImplemented || !honest):
		t.Errorf("%s: %d %.500s\n%s", what, w.Code, body, c.log.String())
	case w.Code >= 400:
		if wrong := faulty(w); wrong != "" {
			t.Errorf("%s: %d %s: %.500s", what, w.Code, wrong, body)
		}
	case len(body) > 0 && (!json.Valid(body) || !utf8.Valid(body)):
		t.Errorf("%s: %d is no JSON: %.500s", what, w.Code, body)
	}
	for k, v := range w.Header() {
		if strings.ContainsFunc(strings.Join(v, ""), func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%s: header %s is %q", what, k, v)
		}
	}
	changed := c.changes(t, since)
	if len(changed) > 0 && (w.Code >= 400 || req.Method == http.MethodGet) {
		t.Errorf("%s: %d %.300s, and the state has changed: %s", what, w.Code, body, changed)
	}
	if len(c.asked.asked) > 0 && w.Code >= 400 {
		t.Errorf("%s: %d %.300s, and another service was asked to %s", what, w.Code, body, c.asked.asked)
	}
	if len(changed) > 0 {
		c.dirty = true
		c.readable(t, what)
	}
	return w
}

// again makes the cloud what it was, if it is not.
func (c *fuzzCloud) again(tb testing.TB) {
	tb.Helper()
	if c.dirty {
		c.prepare(tb)
	}
}

// ownWords are of Go's errors and of formats without their values, which no client should read.
var ownWords = regexp.MustCompile(`json: |strconv\.|cannot unmarshal|runtime error|unexpected end of JSON|invalid character '|structs\.|%![a-z]?\(|error parsing regexp|parsing time|<nil>|memdb`)

// faulty says what is wrong with the body of a refusal, "" when nothing is.
func faulty(w *httptest.ResponseRecorder) string {
	var fault map[string]struct {
		Code    int     `json:"code"`
		Message *string `json:"message"`
	}
	body := w.Body.Bytes()
	switch {
	case w.Code == http.StatusNotFound && !strings.HasPrefix(w.Header().Get("X-Openstack-Nova-Api-Version"), "2."):
		return "" // of a path that no version has: in WebOb's form
	case json.Unmarshal(body, &fault) != nil:
		return "is no fault"
	case len(fault) != 1:
		return "has not one fault"
	}
	for name, f := range fault {
		if f.Code != w.Code {
			return name + " has another code"
		}
		if f.Message == nil || *f.Message == "" {
			return name + " says nothing"
		}
		if leak := ownWords.FindString(*f.Message); leak != "" {
			return name + " says " + leak
		}
	}
	return ""
}

// fuzzReads are lists in which what was written would be seen.
var fuzzReads = []string{"/servers/detail?all_tenants=1&limit=100", "/flavors/detail?is_public=none", "/os-aggregates", "/os-keypairs?user_id=" + aliceUser, "/os-server-groups?all_projects=1",
	"/os-hypervisors/detail", "/os-services", "/os-quota-sets/" + aliceProject, "/os-simple-tenant-usage?detailed=1", "/servers/" + "00000000-2222-4333-8444-000000000000"}

// readable demands that the written state can be listed and kept in a snapshot.
func (c *fuzzCloud) readable(t *testing.T, what string) {
	t.Helper()
	for _, path := range fuzzReads {
		req := ask(http.MethodGet, compute.Prefix+path, "")
		req.Header.Set("X-Auth-Token", "admin")
		req.Header.Set("OpenStack-API-Version", "compute 2.101")
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, req)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("after %s: GET %s: %d %.500s\n%s", what, path, w.Code, w.Body, c.log.String())
		}
	}
	var first, second bytes.Buffer
	if err := c.core.Stale().Persist(&first); err != nil {
		t.Fatal(err)
	}
	again := state.NewStore()
	if err := again.Restore(bytes.NewReader(first.Bytes())); err != nil {
		t.Fatalf("after %s: %v", what, err)
	}
	if err := again.Snapshot().Persist(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("after %s: a restored snapshot differs (%v)", what, err)
	}
}
