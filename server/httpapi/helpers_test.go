package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	project = "0123456789abcdef0123456789abcdef"
	other   = "ffffffffffffffffffffffffffffffff"
)

// tokens is an authenticator of fixed tokens: the name of a role, or several with a comma.
type tokens struct{}

func (tokens) Verify(text string) (*Token, error) {
	if text == "bad" {
		return nil, structs.Errorf(structs.KindUnauthorized, "secret reason")
	}
	t := &Token{UserID: "u1", ProjectID: project, Roles: strings.Split(text, ",")}
	if text == "unscoped" {
		t.ProjectID, t.Roles = "", nil
	}
	return t, nil
}

func novaVersions() *Versioning {
	return &Versioning{Type: "compute", LegacyHeader: "X-OpenStack-Nova-API-Version", Major: 2, Min: 1, Max: 104}
}

// compute is a service of Nova's kind with the rows given.
func compute(routes ...Route) *Service {
	return &Service{Name: "compute", Prefix: "/compute/v2.1", Versioning: novaVersions(), Faults: NovaFaults, ProjectInPath: true, Routes: routes}
}

func ok(v any) Handler { return func(*Request) (any, error) { return v, nil } }

func fails(err error) Handler { return func(*Request) (any, error) { return nil, err } }

func newTestHandler(t testing.TB, opts Options, services ...*Service) http.Handler {
	t.Helper()
	if opts.Auth == nil {
		opts.Auth = tokens{}
	}
	h, err := NewHandler(coretest.New(), services, opts)
	require.NoError(t, err)
	return h
}

// call is one request; header lines are "Name: value".
func do(t testing.TB, h http.Handler, method, path, body string, header ...string) *http.Response {
	t.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, rd)
	r.Host = "cloud:4746"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		k, v, _ := strings.Cut(line, ": ")
		if k == "Content-Type" {
			r.Header.Del(k)
		}
		if v != "" {
			r.Header.Add(k, v)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

const member = "X-Auth-Token: member,reader"

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// faultOf returns the one key of a Nova fault with its code and message.
func faultOf(t testing.TB, r *http.Response) (name string, code int, message string) {
	t.Helper()
	var m map[string]novaFault
	b := text(t, r)
	require.NoError(t, json.Unmarshal([]byte(b), &m), b)
	require.Len(t, m, 1)
	for k, f := range m {
		name, code, message = k, f.Code, f.Message
	}
	return
}
