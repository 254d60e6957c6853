package native

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// fakeAuth knows admin (of project p1) and users named after their project; off makes every token bad.
type fakeAuth struct{ off atomic.Bool }

func (a *fakeAuth) Verify(text string) (*httpapi.Token, error) {
	if a.off.Load() {
		return nil, structs.Errorf(structs.KindUnauthorized, "no")
	}
	t := &httpapi.Token{UserID: "u", ProjectID: structs.ProjectID(text), Roles: []string{"member", "reader"}, ExpiresAt: structs.TimeOf(time.Now().Add(time.Hour))}
	if text == "admin" {
		t.ProjectID, t.Roles = "p1", []string{"admin", "manager", "member", "reader"}
	}
	return t, nil
}

type world struct {
	t    *testing.T
	core *coretest.Core
	auth *fakeAuth
	srv  *httptest.Server
	host *structs.Host
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, core: coretest.New(), auth: &fakeAuth{}}
	w.core.Info = nomadlike.ClusterInfo{ServerID: "s1", Region: "RegionOne", LeaderID: "s1", LeaderAddr: "10.0.0.1:4747", IsLeader: true,
		Members: []nomadlike.Member{{Name: "s1", Addr: "10.0.0.1:4748", Role: "server", Status: "alive"}}, Peers: []nomadlike.Peer{{ID: "s1", Addr: "10.0.0.1:4747", Voter: true, Leader: true}},
		Duties: []nomadlike.DutyStatus{{Name: "token-keys", Running: true}}}
	w.host = w.core.AddHost("node1")
	metrics := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("kilonova_up 1\n")) })
	h, err := httpapi.NewHandler(w.core, Services(Options{Auth: w.auth, Version: "1.2.3", Metrics: metrics, Heartbeat: 20 * time.Millisecond}), httpapi.Options{Auth: w.auth})
	require.NoError(t, err)
	w.srv = httptest.NewServer(h)
	t.Cleanup(w.srv.Close)
	return w
}

const (
	userData = "c2VjcmV0LXVzZXItZGF0YQ"
	hash     = "$2a$04$secrethash"
	keyBytes = "0123456789abcdefSECRETKEYSECRETK"
)

func (w *world) create(project structs.ProjectID, name string) structs.InstanceID {
	w.t.Helper()
	id := structs.InstanceID(nomadlike.NewUUID())
	op := structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: id, ProjectID: project, UserID: "u", Kind: structs.OpBuild}
	_, err := fsm.InstanceCreate.Propose(context.Background(), w.core, &structs.InstanceCreateRequest{MinCount: 1, Now: structs.TimeOf(time.Now()),
		Instances: []structs.Instance{{ID: id, ProjectID: project, UserID: "u", Name: name, UserData: []byte(userData), PublicKeys: []string{"ssh-secret-key"}, SchedulerHints: []byte(`{"hint":"secret-hint"}`),
			Flavor: structs.Flavor{ID: "1", VCPUs: 1, MemoryMiB: 64, RootGiB: 1}}},
		Operations: []structs.Operation{op}, Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(nomadlike.NewUUID()), InstanceID: id, OperationID: op.ID, Status: structs.EvalPending}}})
	require.NoError(w.t, err)
	return id
}

// secrets puts into the state what no answer may have.
func (w *world) secrets() {
	ctx := context.Background()
	_, err := fsm.IdentityUpsert.Propose(ctx, w.core, &structs.IdentityUpsertRequest{Users: []structs.User{{ID: "u", Name: "secret-user-name", PasswordHash: []byte(hash)}}})
	require.NoError(w.t, err)
	_, err = fsm.TokenKeyRotate.Propose(ctx, w.core, &structs.TokenKeyRotateRequest{Key: structs.TokenKey{ID: "secret-key-id", Key: []byte(keyBytes)}})
	require.NoError(w.t, err)
}

var forbidden = []string{userData, "ssh-secret-key", "secret-hint", hash, keyBytes, "secret-key-id", "secret-user-name", `"table":"token_keys"`, `"table":"users"`, `"session"`}

func (w *world) request(ctx context.Context, method, path, token, body string) *http.Response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, w.srv.URL+"/v1"+path, strings.NewReader(body))
	require.NoError(w.t, err)
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func (w *world) get(path, token string) (int, string, http.Header) {
	w.t.Helper()
	resp := w.request(w.t.Context(), "GET", path, token, "")
	var b strings.Builder
	_, err := bufio.NewReader(resp.Body).WriteTo(&b)
	require.NoError(w.t, err)
	return resp.StatusCode, b.String(), resp.Header
}

// TestAccess walks every row: the cluster's things are for administrators, others' instances are not there, nothing secret is anywhere.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secrets()
	mine, other := w.create("p1", "mine"), w.create("p2", "other")
	w.core.Drive(nil)
	opOf := func(i structs.InstanceID) string {
		for o := range w.core.Stale().OperationsOfInstance(i) {
			return string(o.ID)
		}
		return ""
	}
	host := string(w.host.ID)
	cases := []struct {
		path              string
		none, user, admin int
	}{
		{"/agent/self", 401, 403, 200}, {"/agent/members", 401, 403, 200}, {"/agent/health", 200, 200, 200}, {"/status/leader", 401, 403, 200}, {"/status/peers", 401, 403, 200},
		{"/operator/raft/peers", 401, 403, 200}, {"/hosts", 401, 403, 200}, {"/hosts/" + host, 401, 403, 200}, {"/hosts/node1", 401, 403, 200}, {"/hosts/nosuch", 401, 403, 404},
		{"/instances", 401, 200, 200}, {"/instances?all_projects=true", 401, 403, 200}, {"/instances?project=p2", 401, 403, 200}, {"/instances/" + string(mine), 401, 200, 200},
		{"/instances/" + string(other), 401, 404, 200}, {"/instances/nosuch", 401, 404, 404}, {"/operations", 401, 200, 200}, {"/operations?all_projects", 401, 403, 200},
		{"/operations?instance=" + string(other), 401, 200, 200}, {"/operations/" + opOf(mine), 401, 200, 200}, {"/operations/" + opOf(other), 401, 404, 200}, {"/operations/nosuch", 401, 404, 404},
		{"/event/stream?table=token_keys", 401, 400, 400}, {"/event/stream?table=users", 401, 400, 400}, {"/event/stream?all_projects=true&table=hosts", 401, 403, -1},
		{"/instances?foo=1", 401, 400, 400}, {"/instances?index=x", 401, 400, 400}, {"/instances?index=1&wait=soon", 401, 400, 400}, {"/nosuch", 404, 404, 404}, {"/metrics", 200, 200, 200},
	}
	for _, c := range cases {
		for token, want := range map[string]int{"": c.none, "p1": c.user, "admin": c.admin} {
			if want < 0 {
				continue
			}
			code, body, _ := w.get(c.path, token)
			assert.Equal(t, want, code, "%q %s %s", token, c.path, body)
			for _, s := range forbidden {
				assert.NotContains(t, body, s, c.path)
			}
			if token == "p1" && code == 200 && strings.HasPrefix(c.path, "/instances") || strings.HasPrefix(c.path, "/operations") && token == "p1" {
				assert.NotContains(t, body, "node1", "users do not learn hosts")
				assert.NotContains(t, body, host)
				if !strings.Contains(c.path, string(other)) {
					assert.NotContains(t, body, string(other))
				}
			}
		}
	}
	for _, r := range (&service{opts: Options{Metrics: http.NotFoundHandler()}}).routes() {
		template := regexp.MustCompile("^" + strings.ReplaceAll(r.Path, "{id}", "[^/?]+") + `(\?|$)`)
		assert.True(t, r.Method != "GET" || slices.ContainsFunc(cases, func(c struct {
			path              string
			none, user, admin int
		}) bool {
			return template.MatchString(c.path)
		}), "nobody tried %s", r.Path)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create("p1", "vm")
	_, body, _ := w.get("/instances/"+string(id), "admin")
	var v instanceView
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	require.NotNil(t, v.Operation, "the operation that runs is shown")
	assert.Equal(t, "place", v.Operation.Step)
	w.core.Drive(nil)
	_, body, _ = w.get("/instances/"+string(id), "admin")
	v = instanceView{}
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	assert.Equal(t, "active", v.VMState)
	assert.Equal(t, "node1", v.Host)
	assert.Equal(t, "up", v.HostStatus)
	assert.Nil(t, v.Operation)

	_, body, _ = w.get("/hosts/node1", "admin")
	var h hostView
	require.NoError(t, json.Unmarshal([]byte(body), &h))
	assert.Equal(t, int64(1), *h.Instances)
	assert.Equal(t, int64(4000), h.Capacity.VCPUs)
	assert.Equal(t, int64(64), h.Used.MemoryMiB)

	_, body, _ = w.get("/operations?instance="+string(id), "p1")
	var ops struct{ Operations []operationView }
	require.NoError(t, json.Unmarshal([]byte(body), &ops))
	require.Len(t, ops.Operations, 1)
	assert.Equal(t, "succeeded", ops.Operations[0].Status)
	assert.NotEmpty(t, ops.Operations[0].History)
}

// TestExplanation: why no host was found is with the instance; hosts' names are for administrators.
func TestExplanation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create("p1", "vm")
	var p structs.Placement
	for e := range w.core.Stale().PendingEvaluations() {
		p = structs.Placement{EvaluationID: e.ID, InstanceID: e.InstanceID, OperationID: e.OperationID,
			Explanation: &structs.Explanation{Hosts: 1, Refused: []structs.FilterCount{{Filter: "ComputeFilter", Count: 1, Example: "node1: host is down"}}}}
	}
	_, err := fsm.PlanApply.Propose(t.Context(), w.core, &structs.PlanApplyRequest{Placements: []structs.Placement{p}, Now: 1})
	require.NoError(t, err)
	_, body, _ := w.get("/instances/"+string(id), "admin")
	assert.Contains(t, body, `"explanation":{"hosts":1,"refused":[{"filter":"ComputeFilter","count":1,"example":"node1: host is down"}]}`)
	_, body, _ = w.get("/instances/"+string(id), "p1")
	assert.Contains(t, body, `"explanation":{"hosts":1,"refused":[{"filter":"ComputeFilter","count":1}]}`)
	assert.Contains(t, body, "ComputeFilter refused 1")
	assert.NotContains(t, body, "node1", "nor does the fault name it")
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.create("p1", "vm")
	}
	type body struct {
		Instances []instanceView
		Next      string
	}
	var first, second body
	_, b, h := w.get("/instances?limit=2&index=1", "p1")
	require.NoError(t, json.Unmarshal([]byte(b), &first))
	assert.Len(t, first.Instances, 2)
	assert.Contains(t, first.Next, "marker="+first.Instances[1].ID)
	assert.NotContains(t, first.Next, "index=")
	assert.Equal(t, strconv.FormatUint(w.core.Stale().Index(), 10), h.Get("X-Kilonova-Index"))
	_, b, _ = w.get(strings.TrimPrefix(first.Next, w.srv.URL+"/v1"), "p1")
	require.NoError(t, json.Unmarshal([]byte(b), &second))
	assert.Len(t, second.Instances, 1)
	assert.Empty(t, second.Next)
}

// TestBlocking: an answer waits for a change that concerns it, and for no other.
func TestBlocking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	index := w.core.Stale().Index()
	ask := func(path string) chan string {
		out := make(chan string, 1)
		go func() {
			_, body, _ := w.get(path, "p1")
			out <- body
		}()
		return out
	}
	at := "&index=" + strconv.FormatUint(index, 10)
	mine := ask("/instances?wait=1m" + at)
	foreign := w.create("p2", "other")
	id := w.create("p1", "mine")
	select {
	case body := <-mine:
		assert.Contains(t, body, string(id))
		assert.NotContains(t, body, string(foreign))
	case <-time.After(20 * time.Second):
		t.Fatal("the change did not wake the query")
	}
	// an index of the past answers at once, also when the change came before the question
	assert.Contains(t, <-ask("/instances?wait=1m"+at), string(id))
	// nothing changes: the wait ends
	started := time.Now()
	_, _, h := w.get("/instances?wait=50ms&index="+strconv.FormatUint(w.core.Stale().Index(), 10), "p1")
	assert.GreaterOrEqual(t, time.Since(started), 50*time.Millisecond)
	assert.Equal(t, strconv.FormatUint(w.core.Stale().Index(), 10), h.Get("X-Kilonova-Index"))
	_, _, h = w.get("/instances?stale=true", "p1")
	assert.NotEmpty(t, h.Get("X-Kilonova-Index"))
}

func TestAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, body, _ := w.get("/agent/self", "admin")
	assert.Contains(t, body, `"version":"1.2.3"`)
	assert.Contains(t, body, `"duties":[{"name":"token-keys","running":true,"runs":0,"last_error":""}]`)
	_, body, _ = w.get("/status/leader", "admin")
	assert.JSONEq(t, `{"id":"s1","addr":"10.0.0.1:4747"}`, body)
	_, body, _ = w.get("/operator/raft/peers", "admin")
	assert.Contains(t, body, `{"id":"s1","addr":"10.0.0.1:4747","voter":true,"leader":true}`)
	assert.Equal(t, 403, w.request(t.Context(), "PUT", "/agent/join", "p1", `{"addresses":["a:1"]}`).StatusCode)
	assert.Equal(t, 400, w.request(t.Context(), "PUT", "/agent/join", "admin", `{"addresses":[]}`).StatusCode)
	assert.Equal(t, 200, w.request(t.Context(), "PUT", "/agent/join", "admin", `{"addresses":["a:1"]}`).StatusCode)
}

func TestRemovePeer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.core.Info.Peers = append(w.core.Info.Peers, nomadlike.Peer{ID: "s2", Voter: true}, nomadlike.Peer{ID: "s3", Voter: true})
	w.core.Removable = func(id structs.ServerID, force bool) error {
		if id == "s1" || id == "s2" && !force {
			return structs.Errorf(structs.KindConflict, "not %s", id)
		}
		return nil
	}
	const peers = "/operator/raft/peers/"
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"s3", "", 401}, {"s3", "p1", 403}, {"s9", "admin", 404}, {"s1", "admin", 409}, {"s1?force=true", "admin", 409}, {"s2", "admin", 409}, {"s2?force=false", "admin", 409},
		{"s3?force=perhaps", "admin", 400}, {"s3?index=1", "admin", 400}, {"s2?force=true", "admin", 204}, {"s3", "admin", 204}, {"s3", "admin", 404},
	} {
		assert.Equal(t, c.want, w.request(t.Context(), "DELETE", peers+c.path, c.token, "").StatusCode, "%q %s", c.token, c.path)
	}
	assert.Len(t, w.core.Cluster().Peers, 1)
}

func TestDeleteHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create("p1", "vm")
	w.core.Drive(nil)
	remove := func(path, token string) int {
		return w.request(t.Context(), "DELETE", "/hosts/"+path, token, "").StatusCode
	}
	assert.Equal(t, 401, remove("node1", ""))
	assert.Equal(t, 403, remove("node1", "p1"))
	assert.Equal(t, 404, remove("nosuch", "admin"))
	assert.Equal(t, 400, remove("node1?force=perhaps", "admin"))
	assert.Equal(t, 409, remove("node1?force=true", "admin"), "it is up and has an instance")
	_, err := fsm.HostStatus.Propose(t.Context(), w.core, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: w.host.ID, Epoch: 1, Status: structs.HostDown}}})
	require.NoError(t, err)
	_, err = fsm.OperationCreate.Propose(t.Context(), w.core, &structs.OperationCreateRequest{Operation: structs.Operation{ID: "op", InstanceID: id, ProjectID: "p1", Kind: structs.OpDelete}})
	require.NoError(t, err)
	assert.Equal(t, 409, remove("node1", "admin"), "the guest may be left")
	assert.NotNil(t, w.core.Stale().Host(w.host.ID))
	assert.Equal(t, 204, remove("node1?force", "admin"))
	assert.Nil(t, w.core.Stale().Host(w.host.ID))
	assert.Equal(t, 404, remove(string(w.host.ID), "admin"))
	again := w.core.AddHost("node1")
	_, err = fsm.HostStatus.Propose(t.Context(), w.core, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: again.ID, Epoch: again.Epoch, Status: structs.HostDown}}})
	require.NoError(t, err)
	assert.Equal(t, 204, remove(string(again.ID), "admin"))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		info nomadlike.ClusterInfo
		ok   bool
	}{
		{nomadlike.ClusterInfo{IsLeader: true, LeaderID: "a"}, true}, {nomadlike.ClusterInfo{LeaderID: "a", LastContactMS: 100}, true},
		{nomadlike.ClusterInfo{}, false}, {nomadlike.ClusterInfo{LeaderID: "a", LastContactMS: 60000}, false},
	} {
		ok, _ := healthy(&c.info)
		assert.Equal(t, c.ok, ok)
	}
	core := coretest.New()
	h, err := httpapi.NewHandler(core, Services(Options{}), httpapi.Options{})
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/v1/agent/health", nil))
	assert.Equal(t, 503, rec.Code)
	assert.JSONEq(t, `{"healthy":false,"message":"there is no leader"}`, rec.Body.String())
}
