package notification

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hook is a webhook's server. answer decides on each request by its number, from 0.
type hook struct {
	*httptest.Server
	mu       sync.Mutex
	requests int
	taken    []string // display names of what was answered 2xx
	ids      []string
	wrong    []string
}

func newHook(t *testing.T, secret string, answer func(n int, w http.ResponseWriter, r *http.Request) int) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var n Notification
		if err == nil {
			err = json.Unmarshal(body, &n)
		}
		h.mu.Lock()
		number := h.requests
		h.requests++
		switch {
		case err != nil:
			h.wrong = append(h.wrong, err.Error())
		case r.Header.Get(HeaderEvent) != n.EventType || r.Header.Get(HeaderDelivery) != n.MessageID || r.Header.Get("Content-Type") != "application/json":
			h.wrong = append(h.wrong, "the headers do not fit the body")
		case secret != "" && r.Header.Get(HeaderSignature) != "sha256="+Sign([]byte(secret), body), secret == "" && r.Header.Get(HeaderSignature) != "":
			h.wrong = append(h.wrong, "the signature is wrong")
		}
		h.mu.Unlock()
		status := answer(number, w, r)
		h.mu.Lock()
		defer h.mu.Unlock()
		if status < 300 {
			data, _ := n.Payload[keyData].(map[string]any)
			h.taken = append(h.taken, text(data["display_name"]))
			h.ids = append(h.ids, n.MessageID)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.taken...)
}

// A webhook that fails, is too slow, asks for patience, redirects and hangs up gets everything in order in the end, signed; what it answers 400 to is given up.
func TestWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	release := make(chan struct{})
	h := newHook(t, "s3cret", func(n int, rw http.ResponseWriter, r *http.Request) int {
		switch n {
		case 0:
			return 500
		case 1:
			return 429
		case 2:
			return 408
		case 3:
			rw.Header().Set("Location", "http://127.0.0.1:1/")
			return 307
		case 4:
			<-release // longer than the timeout
			return 500
		case 5:
			panic(http.ErrAbortHandler)
		case 8:
			return 400
		}
		return 204
	})
	h.Config.ErrorLog = nil
	defer close(release)
	sink := NewWebhook(WebhookConfig{Name: "w", URL: h.URL + "/?token=t0ken", Secret: []byte("s3cret"), Timeout: 300 * time.Millisecond})
	r := w.runner(nil, sink)
	stop := runIn(t, r, w.core)
	w.renames(1, 10)
	eventually(t, func() bool { return len(h.got()) == 9 }, "not all were taken")
	stop()
	require.Empty(t, h.wrong)
	require.Equal(t, append(renamed(1, 2), renamed(4, 10)...), h.got(), "the third got 400")
	require.EqualValues(t, 1, r.workers[0].dropped.Load())
	require.EqualValues(t, 6, r.workers[0].failed.Load())
}

// Errors of a webhook that cannot be reached do not tell its URL.
func TestWebhookErrorsAreQuiet(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	sink := NewWebhook(WebhookConfig{Name: "w", URL: "http://user:hunter2@" + addr + "/?token=t0ken", Timeout: time.Second})
	defer sink.Close()
	err = sink.Deliver(t.Context(), &Notification{EventType: "x"})
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrRefused)
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, err.Error(), "t0ken")
	for _, bad := range []string{"", "ftp://x", "http://", "http://user:hunter2@ /", "/path"} {
		err := CheckWebhookURL(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.NoError(t, CheckWebhookURL("https://user:pw@example.org/x"))
}
