package httpapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

func newRequestID() string { return "req-" + uuid.NewString() }

// globalID is the request's name at the client, when it has the form req-<uuid>; anything else could be an attempt to forge log lines.
func globalID(h http.Header) string {
	id := h.Get("X-Openstack-Request-Id")
	if rest, ok := strings.CutPrefix(id, "req-"); ok && len(rest) == 36 && canonicalUUID(rest) {
		return id
	}
	return ""
}

func longestFirst(services []*Service) []*Service {
	out := slices.Clone(services)
	slices.SortStableFunc(out, func(a, b *Service) int { return cmp.Compare(len(b.Prefix), len(a.Prefix)) })
	return out
}

// recorder remembers whether and with what status an answer was begun.
type recorder struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	status   int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.due()
	r.ResponseWriter.WriteHeader(status)
}

// Flush sends what was written so far; http.ResponseController finds the rest through Unwrap.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// code is the status of the answer; a handler that wrote nothing gets the server's 200.
func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}
