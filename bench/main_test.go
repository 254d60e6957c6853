package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newLoad is a client of a server that answers with handle, and what the client prints.
func newLoad(t *testing.T, handle http.HandlerFunc) (*load, *strings.Builder) {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	var out strings.Builder
	return &load{url: s.URL, http: s.Client(), out: &out, patience: time.Minute}, &out
}

func servers(w http.ResponseWriter, list ...object) {
	if list == nil {
		list = []object{}
	}
	_ = json.NewEncoder(w).Encode(object{"servers": list})
}

// A server gives at most so many in a page, whatever is asked for.
func TestListIsLabelledByWhatItHolds(t *testing.T) {
	t.Parallel()
	const most = 3
	l, out := newLoad(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		list := make([]object, min(n, most))
		for i := range list {
			list[i] = object{"id": strconv.Itoa(i)}
		}
		servers(w, list...)
	})
	require.NoError(t, l.lists(t.Context(), 5000))
	require.Contains(t, out.String(), "GET /servers/detail, 3 ")
	require.NotContains(t, out.String(), "5000")
}

func TestFirstInstanceInErrorEndsTheWait(t *testing.T) {
	t.Parallel()
	var polls atomic.Int64
	l, _ := newLoad(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("status") != "ERROR": // others are built for ever
			polls.Add(1)
			servers(w, object{"id": "a"})
		case polls.Load() < 3:
			servers(w)
		default:
			servers(w, object{"id": "b", "name": "load-7", "fault": object{"message": "No valid host was found."}})
		}
	})
	for _, wait := range []func(context.Context) error{l.waitActive, l.waitGone} {
		require.ErrorContains(t, wait(t.Context()), "instance load-7 is in ERROR: No valid host was found.")
	}
}

// Once nothing is being built any more, whatever failed is reported and not waited for.
func TestErrorAfterTheLastBuild(t *testing.T) {
	t.Parallel()
	var built atomic.Bool
	l, _ := newLoad(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("status") == "BUILD" {
			built.Store(true)
			servers(w)
		} else if built.Load() {
			servers(w, object{"name": "late", "fault": object{"message": "why"}})
		} else {
			servers(w)
		}
	})
	require.ErrorContains(t, l.waitActive(t.Context()), "instance late is in ERROR: why")
}

func TestWaitSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	l, _ := newLoad(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("status") == "ERROR" {
			servers(w)
			return
		}
		servers(w, object{"name": "slow"})
	})
	l.patience = 0
	require.ErrorContains(t, l.waitActive(t.Context()), "instance slow is still in BUILD")
	require.ErrorContains(t, l.waitGone(t.Context()), "instance slow is still there")
}
