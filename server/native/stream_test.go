package native

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// lineReader reads a stream's lines.
type lineReader struct {
	t    *testing.T
	resp *http.Response
	scan *bufio.Scanner
	all  strings.Builder
}

func (w *world) open(path, token string) (*lineReader, context.CancelFunc) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	w.t.Cleanup(cancel)
	resp := w.request(ctx, "GET", path, token, "")
	require.Equal(w.t, 200, resp.StatusCode)
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 1<<20)
	return &lineReader{t: w.t, resp: resp, scan: s}, cancel
}

type anyLine struct {
	Index  uint64
	Events []struct {
		Table   string
		Deleted bool
		Entity  map[string]any
	}
	Error *lastWords
}

// next returns the next line that is no heartbeat; ok is false at the end.
func (l *lineReader) next() (line anyLine, ok bool) {
	for l.scan.Scan() {
		l.all.WriteString(l.scan.Text() + "\n")
		line = anyLine{}
		require.NoError(l.t, json.Unmarshal(l.scan.Bytes(), &line))
		if line.Index != 0 || line.Error != nil {
			return line, true
		}
	}
	return anyLine{}, false
}

// until reads on until an instance of that name is active.
func (l *lineReader) until(name string) {
	for {
		line, ok := l.next()
		require.True(l.t, ok, "the stream ended before %s", name)
		for _, e := range line.Events {
			if e.Table == "instances" && e.Entity["name"] == name && e.Entity["vm_state"] == "active" {
				return
			}
		}
	}
}

// TestStreamShowsOnesOwn: a user sees its project's instances and operations, no hosts, and never a secret.
func TestStreamShowsOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, _ := w.open("/event/stream", "p1")
	admin, _ := w.open("/event/stream?all_projects=true", "admin")
	hosts, _ := w.open("/event/stream?table=hosts&index=0", "admin")
	w.secrets()
	other := w.create("p2", "other")
	w.core.Drive(nil)
	w.create("p1", "mine")
	w.core.Drive(nil)
	user.until("mine")
	admin.until("mine")
	line, ok := hosts.next()
	require.True(t, ok)
	assert.Equal(t, "hosts", line.Events[0].Table)
	seen := user.all.String()
	assert.NotContains(t, seen, string(other))
	assert.NotContains(t, seen, "node1")
	assert.NotContains(t, seen, `"table":"hosts"`)
	assert.Contains(t, seen, `"table":"operations"`)
	assert.Contains(t, admin.all.String(), string(other))
	assert.Contains(t, admin.all.String(), `"table":"claims"`)
	for _, s := range forbidden {
		assert.NotContains(t, seen+admin.all.String()+hosts.all.String(), s)
	}
}

// TestStreamHeartbeats: a quiet stream says that it is open, at once and then again.
func TestStreamHeartbeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, cancel := w.open("/event/stream", "p1")
	for range 3 {
		require.True(t, l.scan.Scan())
		assert.Equal(t, "{}", l.scan.Text())
	}
	cancel()
}

// TestStreamEndsWithToken: what voids the token ends the stream.
func TestStreamEndsWithToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, _ := w.open("/event/stream", "p1")
	w.auth.off.Store(true)
	line, ok := l.next()
	require.True(t, ok)
	assert.Equal(t, "unauthorized", line.Error.Kind)
	_, ok = l.next()
	assert.False(t, ok)
}

// TestStreamGap: who asks for what is no longer kept is told so.
func TestStreamGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 4200 { // one change each: more than the broker keeps
		h := w.host.Copy()
		h.Attributes = map[string]string{"n": fmt.Sprint(i)}
		_, err := fsm.HostRegister.Propose(t.Context(), w.core, &structs.HostRegisterRequest{Host: *h, Now: 1})
		require.NoError(t, err)
	}
	resp := w.request(t.Context(), "GET", "/event/stream?index=1", "p1", "")
	assert.Equal(t, 409, resp.StatusCode)
}

// TestStreamNotifications: who asks for them gets Nova's versioned notifications; a user those of its project, without hosts; an administrator all.
func TestStreamNotifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, _ := w.open("/event/stream?table=notifications&index=0", "p1")
	other, _ := w.open("/event/stream?table=notifications", "p2")
	own, _ := w.open("/event/stream?table=notifications&index=0", "admin")
	admin, _ := w.open("/event/stream?table=notifications,instances&all_projects=true&index=0", "admin")
	plain, _ := w.open("/event/stream", "p1")
	mine := w.create("p1", "mine")
	w.core.Drive(nil)
	theirs := w.create("p2", "theirs")
	w.core.Drive(nil)
	until := func(l *lineReader, id structs.InstanceID) {
		t.Helper()
		for {
			line, ok := l.next()
			require.True(t, ok, "the stream ended")
			for _, e := range line.Events {
				if e.Table == "notifications" && e.Entity["event_type"] == "instance.create.end" && strings.Contains(fmt.Sprint(e.Entity), string(id)) {
					return
				}
			}
		}
	}
	until(user, mine)
	until(other, theirs)
	until(own, mine)
	until(admin, theirs)
	plain.until("mine")
	assert.Contains(t, user.all.String(), `"publisher_id":"nova-compute:kilonova"`)
	assert.NotContains(t, user.all.String(), "node1")
	assert.NotContains(t, user.all.String(), string(theirs))
	assert.NotContains(t, user.all.String(), `"table":"instances"`)
	assert.NotContains(t, other.all.String(), string(mine))
	assert.Contains(t, own.all.String(), "service.create")
	assert.Contains(t, own.all.String(), `"host":"node1"`)
	assert.Contains(t, admin.all.String(), string(mine))
	assert.Contains(t, admin.all.String(), `"table":"instances"`)
	assert.NotContains(t, plain.all.String(), "nova_object")
	for _, s := range []string{userData, "ssh-secret-key"} {
		assert.NotContains(t, user.all.String()+admin.all.String(), s)
	}
	status, text, _ := w.get("/event/stream?table=nonsense", "p1")
	assert.Equal(t, 400, status)
	assert.Contains(t, text, "notifications")
}
