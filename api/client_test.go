package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an agent that answers each "METHOD /path" as told.
type fake map[string]http.HandlerFunc

func (f fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := f[r.Method+" "+r.URL.Path]; ok {
		h(w, r)
		return
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = fmt.Fprintf(w, `{"error": {"kind": "not found", "message": "no route %s", "request_id": "req-1"}}`, r.URL.Path)
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
}

func client(t *testing.T, f fake, token TokenFunc) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	c, err := New(Config{Address: server.URL + "/identity/v3", Token: token, HTTP: &http.Client{Transport: transport}})
	require.NoError(t, err)
	require.Equal(t, server.URL, c.Address(), "only the agent's place is kept of an address")
	return c
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "localhost", "127.0.0.1:4746", "ftp://x", "http://", "://"} {
		_, err := New(Config{Address: bad})
		require.ErrorContains(t, err, "is no address of an agent", bad)
	}
	c, err := New(Config{Address: "https://x:1"})
	require.NoError(t, err)
	require.Equal(t, http.DefaultClient, c.http)
}

func TestRefusalsKeepWhatTheAgentSaid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	c := client(t, fake{
		"GET /v1/agent/self":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a proxy's words", http.StatusBadGateway) },
		"GET /v1/agent/health":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, long, http.StatusServiceUnavailable) },
		"GET /v1/agent/members": text(`{"members": 3}`),
		"GET /v1/status/leader": text(`<html>`),
	}, nil)
	_, err := c.Host(t.Context(), "a/b")
	require.EqualError(t, err, "no route /v1/hosts/a/b (req-1)")
	require.True(t, IsStatus(err, 500, 404))
	require.False(t, IsStatus(err, 500))
	require.False(t, IsStatus(io.EOF, 404))
	_, err = c.Self(t.Context())
	require.ErrorContains(t, err, "/v1/agent/self answered 502: a proxy's words")
	require.ErrorContains(t, c.Health(t.Context()), "answered 503: Service Unavailable")
	_, err = c.Members(t.Context())
	require.ErrorContains(t, err, "the answer to /v1/agent/members cannot be read")
	_, err = c.Leader(t.Context())
	require.ErrorContains(t, err, "the answer to /v1/status/leader cannot be read")
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(fake{})
	server.Close()
	c, err := New(Config{Address: server.URL})
	require.NoError(t, err)
	_, err = c.Peers(t.Context())
	require.ErrorContains(t, err, "no agent can be reached at "+server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Peers(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("X-Auth-Token") != "new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, `{"joined": %d}`, strings.Count(string(body), "a"))
	}
	tokens := map[bool]string{false: "old", true: "new"}
	c := client(t, fake{"PUT /v1/agent/join": handler}, func(_ context.Context, fresh bool) (string, error) { return tokens[fresh], nil })
	n, err := c.Join(t.Context(), []string{"x"})
	require.NoError(t, err)
	require.Equal(t, 1, n, "the body must be sent again") // the a of "addresses"
	require.EqualValues(t, 2, asked.Load())

	tokens[true] = "bad"
	_, err = c.Join(t.Context(), nil)
	require.True(t, IsStatus(err, http.StatusUnauthorized))
	require.EqualValues(t, 4, asked.Load())

	c = client(t, fake{}, func(context.Context, bool) (string, error) { return "", errors.New("no login") })
	_, err = c.Hosts(t.Context())
	require.EqualError(t, err, "no login")
}

func TestListsReadAllPages(t *testing.T) {
	t.Parallel()
	var queries []string
	c := client(t, fake{"GET /v1/operations": func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		switch r.URL.Query().Get("marker") {
		case "":
			_, _ = io.WriteString(w, `{"operations": [{"id": "1"}, {"id": "2"}], "next": "http://elsewhere/v1/x?instance=i&marker=2"}`)
		case "2":
			_, _ = io.WriteString(w, `{"operations": [{"id": "3", "finished_at": "", "created_at": "2026-01-02T03:04:05.000000006Z"}]}`)
		}
	}}, nil)
	found, err := c.Operations(t.Context(), OperationFilter{InstanceID: "i", Active: true, AllProjects: true})
	require.NoError(t, err)
	require.Len(t, found, 3)
	require.True(t, found[2].FinishedAt.IsZero())
	require.Equal(t, 6, found[2].CreatedAt.Nanosecond())
	require.Equal(t, []string{"active=true&all_projects=true&instance=i", "instance=i&marker=2"}, queries)
	again, err := json.Marshal(found[2])
	require.NoError(t, err)
	require.Contains(t, string(again), `"created_at":"2026-01-02T03:04:05.000000006Z"`)
	require.Contains(t, string(again), `"finished_at":""`)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	c := client(t, fake{"GET /v1/event/stream": func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "all_projects=true&index=7&table=instances&table=hosts", r.URL.RawQuery)
		_, _ = io.WriteString(w, `{}`+"\n"+`{"index": 8, "events": [{"table": "hosts", "deleted": true, "entity": {"id": "h"}}]}`+"\n"+`{}`+"\n"+
			`{"error": {"kind": "conflict", "message": "changes were dropped"}}`+"\n"+`{"index": 9, "ev`)
	}}, nil)
	events, err := c.Events(t.Context(), EventFilter{Index: 7, Tables: []string{"instances", "hosts"}, AllProjects: true})
	require.NoError(t, err)
	commit, err := events.Next()
	require.NoError(t, err)
	require.EqualValues(t, 8, commit.Index)
	require.True(t, commit.Events[0].Deleted)
	_, err = events.Next()
	require.EqualError(t, err, "changes were dropped")
	_, err = events.Next()
	require.ErrorIs(t, err, io.EOF, "a stream that is cut has ended")
	require.NoError(t, events.Close())
}

func TestRemovals(t *testing.T) {
	t.Parallel()
	var asked []string
	gone := func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		w.WriteHeader(http.StatusNoContent)
	}
	c := client(t, fake{"DELETE /v1/operator/raft/peers/a b": gone, "DELETE /v1/hosts/h": gone}, nil)
	require.NoError(t, c.RemovePeer(t.Context(), "a b", false))
	require.NoError(t, c.DeleteHost(t.Context(), "h", true))
	require.Equal(t, []string{"/v1/operator/raft/peers/a%20b", "/v1/hosts/h?force=true"}, asked)
	require.True(t, IsStatus(c.DeleteHost(t.Context(), "other", false), http.StatusNotFound))
}

func TestBootstrapSendsOnlyWhatIsSaid(t *testing.T) {
	t.Parallel()
	c := client(t, fake{"PUT /v1/identity/bootstrap": func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		require.JSONEq(t, `{"user_name": "u"}`, string(body))
		require.Empty(t, r.Header.Get("X-Auth-Token"))
		_, _ = io.WriteString(w, `{"user_name": "u", "password": "p", "auth_url": "http://x/identity/v3"}`)
	}}, nil)
	admin, err := c.Bootstrap(t.Context(), BootstrapRequest{UserName: "u"})
	require.NoError(t, err)
	require.Equal(t, Administrator{UserName: "u", Password: "p", AuthURL: "http://x/identity/v3"}, admin)
}

func TestTimes(t *testing.T) {
	t.Parallel()
	var times []Time
	require.NoError(t, json.Unmarshal([]byte(`["", null, "2026-01-02T03:04:05Z"]`), &times))
	require.True(t, times[0].IsZero() && times[1].IsZero())
	require.Equal(t, 2026, times[2].Year())
	require.Error(t, json.Unmarshal([]byte(`["yesterday"]`), &times))
}
