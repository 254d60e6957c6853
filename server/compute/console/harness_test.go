// Package console shows what the Compute API does for remote consoles: the URLs that it hands out, what it refuses, and whom their tokens lead where.
package console_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The people of the tests. Their tokens are their names.
const (
	adminProject = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	aliceProject = "11111111111111111111111111111111"
	bobProject   = "22222222222222222222222222222222"
)

type people map[string]*httpapi.Token

func (p people) Verify(token string) (*httpapi.Token, error) {
	if t := p[token]; t != nil {
		return t, nil
	}
	return nil, errors.New("no such token")
}

var everybody = people{
	"admin":  {UserID: "a0", ProjectID: adminProject, Roles: []string{"admin", "manager", "member", "reader"}},
	"alice":  {UserID: "a1", ProjectID: aliceProject, Roles: []string{"member", "reader"}},
	"bob":    {UserID: "b2", ProjectID: bobProject, Roles: []string{"member", "reader"}},
	"reader": {UserID: "b2", ProjectID: aliceProject, Roles: []string{"reader"}},
}

// everyConsole enables all kinds.
var everyConsole = base.Consoles{VNCURL: "http://127.0.0.1:6080/vnc_auto.html", SPICEURL: "http://127.0.0.1:6082/spice_auto.html",
	SPICEDirectURL: "http://127.0.0.1:13002/nova", SerialURL: "ws://127.0.0.1:6083/", MKSURL: "http://127.0.0.1:6090/mks.html"}

const accessPath = "51af38c3-555e-4884-a314-6c8cdde37444"

// endpoint is where guests have their consoles.
func endpoint(_ *structs.Instance, kind string) (*structs.ConsoleEndpoint, error) {
	switch kind {
	case "serial":
		return &structs.ConsoleEndpoint{Host: "localhost", Port: 5900, Path: accessPath}, nil
	case "spice":
		return &structs.ConsoleEndpoint{Host: "127.0.0.1", Port: 6969, TLSPort: 6970}, nil
	}
	return &structs.ConsoleEndpoint{Host: "127.0.0.1", Port: 6969}, nil
}

// screens is a cloud with an instance of alice's and a clock.
type screens struct {
	tb   testing.TB
	core *coretest.Core
	srv  *httptest.Server
	id   string
	late atomic.Int64 // by how much its clock is ahead
	log  bytes.Buffer // whole once the server is closed
}

func newScreens(t *testing.T, o base.Consoles) *screens {
	t.Helper()
	s := &screens{tb: t, core: coretest.New(), id: "7e4c8d9f-8a7b-4c59-9c55-0d0c5b5c2f11"}
	now := func() time.Time { return time.Now().Add(time.Duration(s.late.Load())) }
	h, err := httpapi.NewHandler(s.core, compute.Services(compute.Options{Consoles: o, Now: now}, proxy.Services{}), httpapi.Options{Auth: everybody,
		Logger: hclog.New(&hclog.LoggerOptions{Output: &s.log, Level: hclog.Trace})})
	if err != nil {
		t.Fatal(err)
	}
	s.srv = httptest.NewServer(h)
	t.Cleanup(s.srv.Close)
	s.core.AddHost("host-1")
	ids, err := fsm.InstanceCreate.Propose(t.Context(), s.core, &structs.InstanceCreateRequest{Now: 1, MinCount: 1,
		Instances:   []structs.Instance{{ID: structs.InstanceID(s.id), Name: "vm", ProjectID: aliceProject, UserID: "a1", Flavor: structs.Flavor{ID: "1", VCPUs: 1, MemoryMiB: 512}}},
		Operations:  []structs.Operation{{ID: "build", InstanceID: structs.InstanceID(s.id), ProjectID: aliceProject, Kind: structs.OpBuild}},
		Evaluations: []structs.Evaluation{{ID: "e", InstanceID: structs.InstanceID(s.id), OperationID: "build", Status: structs.EvalPending}}})
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	s.core.Drive(nil)
	if vm := s.core.Stale().Instance(ids[0]).VM; vm != structs.VMActive {
		t.Fatal(vm)
	}
	s.core.Endpoint = endpoint
	return s
}

// answer is an HTTP answer with its body read.
type answer struct {
	*http.Response
	body []byte
}

func (s *screens) call(token, version, method, path, body string) answer {
	s.tb.Helper()
	req, err := http.NewRequestWithContext(s.tb.Context(), method, s.srv.URL+compute.Prefix+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("OpenStack-API-Version", "compute "+version)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.srv.Client().Do(req)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	return answer{resp, text}
}

// want is call that demands a status.
func (s *screens) want(status int, token, version, method, path, body string) answer {
	s.tb.Helper()
	a := s.call(token, version, method, path, body)
	if a.StatusCode != status {
		s.tb.Fatalf("%s %s at %s as %s: %d, want %d: %s", method, path, version, token, a.StatusCode, status, a.body)
	}
	return a
}

func (s *screens) ask(token, version, protocol, kind string) answer {
	s.tb.Helper()
	return s.call(token, version, "POST", "/servers/"+s.id+"/remote-consoles", fmt.Sprintf(`{"remote_console": {"protocol": %q, "type": %q}}`, protocol, kind))
}

// open asks for a console and returns its token.
func (s *screens) open(protocol, kind string) string {
	s.tb.Helper()
	a := s.ask("alice", "2.99", protocol, kind)
	_, rest, _ := strings.Cut(string(a.body), `"url":"`)
	text, _, _ := strings.Cut(rest, `"`)
	u, err := url.Parse(text)
	if err != nil {
		s.tb.Fatal(err)
	}
	token := u.Query().Get("token")
	if token == "" {
		_, token, _ = strings.Cut(u.Query().Get("path"), "?token=")
	}
	if a.StatusCode != 200 || token == "" {
		s.tb.Fatalf("%s %s: %d %s", protocol, kind, a.StatusCode, a.body)
	}
	return token
}

// leads demands what a token leads to.
func (s *screens) leads(want, version, token string) {
	s.tb.Helper()
	if a := s.want(200, "admin", version, "GET", "/os-console-auth-tokens/"+token, ""); strings.TrimSpace(string(a.body)) != want {
		s.tb.Errorf("%s, want %s", a.body, want)
	}
}

// closed demands that a token leads nowhere.
func (s *screens) closed(token string) {
	s.tb.Helper()
	a := s.want(404, "admin", "2.31", "GET", "/os-console-auth-tokens/"+token, "")
	if !strings.Contains(string(a.body), "Token not found") {
		s.tb.Errorf("%s", a.body)
	}
}

// alter writes the instance as an operation that is not at hand would.
func (s *screens) alter(f func(i *structs.Instance)) {
	s.core.Write(func(tx *state.Txn) {
		ins := tx.Instance(structs.InstanceID(s.id)).Copy()
		f(ins)
		tx.PutInstance(ins)
	})
}
