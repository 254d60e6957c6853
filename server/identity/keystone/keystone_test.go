package keystone_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/keystone"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// world is a cloud of its own as the Keystone, and an authenticator that asks it; the real Keystone is asked in e2e.
type world struct {
	*identitytest.Cloud
	auth   *keystone.Authenticator
	asked  atomic.Int64 // about tokens
	logins atomic.Int64
	down   atomic.Bool
	log    bytes.Buffer
	mu     sync.Mutex
	now    time.Time
	slow   chan struct{} // when it is not nil, what is asked about tokens waits for it
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if w.down.Load() {
		return nil, errors.New("no route to host")
	}
	if r.Method == http.MethodPost {
		w.logins.Add(1)
	} else {
		w.asked.Add(1)
		if w.slow != nil {
			<-w.slow
		}
	}
	rec := httptest.NewRecorder()
	r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1"
	w.Handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

func (w *world) pass(d time.Duration) { w.mu.Lock(); w.now = w.now.Add(d); w.mu.Unlock(); w.Pass(d) }

func newWorld(t *testing.T, change ...func(*keystone.Config)) *world {
	t.Helper()
	w := &world{Cloud: identitytest.New(t, base.Options{TokenTTL: time.Hour})}
	w.now = w.Now()
	cfg := keystone.Config{AuthURL: "http://keystone.example.org/identity/v3", Username: "admin", Password: identitytest.AdminPassword, Project: "admin", Transport: w, Now: w.clock, CacheTime: keystone.DefaultCacheTime,
		Logger: hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Trace})}
	for _, f := range change {
		f(&cfg)
	}
	w.auth = keystone.New(cfg)
	return w
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.auth.Check(t.Context()))
	got, err := w.auth.Verify(w.DemoToken())
	require.NoError(t, err)
	assert.Equal(t, w.Demo.ID, got.UserID)
	assert.Equal(t, "demo", got.UserName)
	assert.Equal(t, structs.DomainID("default"), got.UserDomain)
	assert.Equal(t, w.Demo.DefaultProjectID, got.ProjectID)
	assert.Equal(t, structs.DomainID("default"), got.ProjectDomain)
	assert.ElementsMatch(t, []string{"member", "reader"}, got.Roles)
	system, err := w.auth.Verify(w.Token(w.Admin.ID, token.Scope{System: true}))
	require.NoError(t, err)
	assert.True(t, system.System)
	assert.Empty(t, system.ProjectID)
	for _, bad := range []string{"", "x", "gAAAAA", string(make([]byte, 9000))} {
		_, err := w.auth.Verify(bad)
		assert.Equal(t, structs.KindUnauthorized, structs.KindOf(err), "%.10q", bad)
	}
	assert.EqualValues(t, 1, w.logins.Load(), "one login does for all")
}

// What Keystone said is believed for the cache's time and no longer, nor beyond the token's own.
func TestCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *keystone.Config) { c.CacheTime = time.Minute })
	text := w.DemoToken()
	for range 3 {
		_, err := w.auth.Verify(text)
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, w.asked.Load())
	w.Want(204, "DELETE", "/auth/tokens", w.AdminToken(), "", "X-Subject-Token", text)
	_, err := w.auth.Verify(text)
	require.NoError(t, err, "as keystonemiddleware's cache has it")
	w.pass(time.Minute)
	_, err = w.auth.Verify(text)
	assert.Equal(t, structs.KindUnauthorized, structs.KindOf(err))
	asked := w.asked.Load()
	_, err = w.auth.Verify(text)
	assert.Equal(t, structs.KindUnauthorized, structs.KindOf(err))
	assert.Equal(t, asked, w.asked.Load(), "a refusal is believed for a while, too")

	short, err := w.Auth.IssueScoped(w.Demo.ID, token.Scope{Project: w.Demo.DefaultProjectID}, 30*time.Second, "password")
	require.NoError(t, err)
	_, err = w.auth.Verify(short)
	require.NoError(t, err)
	w.pass(31 * time.Second)
	_, err = w.auth.Verify(short)
	assert.Equal(t, structs.KindUnauthorized, structs.KindOf(err), "an expired token is none, cached or not")
}

// The authenticator's own token ends and is renewed; a wrong password is told to the operator without being told.
func TestOwnLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.auth.Verify(w.DemoToken())
	require.NoError(t, err)
	w.pass(2 * time.Hour)
	_, err = w.auth.Verify(w.DemoToken())
	require.NoError(t, err)
	assert.EqualValues(t, 2, w.logins.Load())

	wrong := newWorld(t, func(c *keystone.Config) { c.Password = "wr0ng-s3cret" })
	require.ErrorContains(t, wrong.auth.Check(t.Context()), "Unauthorized")
	text := wrong.DemoToken()
	_, err = wrong.auth.Verify(text)
	assert.Equal(t, structs.KindUnavailable, structs.KindOf(err), "a client's token is not to be thrown away for it")
	assert.NotContains(t, wrong.log.String(), "wr0ng-s3cret")
	assert.NotContains(t, wrong.log.String(), text)
	assert.Contains(t, wrong.log.String(), "Unauthorized")
}

// A Keystone that is down leaves those in whom it vouched for, and has the others come back.
func TestDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	known, other := w.DemoToken(), w.AdminToken()
	_, err := w.auth.Verify(known)
	require.NoError(t, err)
	w.down.Store(true)
	_, err = w.auth.Verify(known)
	require.NoError(t, err)
	_, err = w.auth.Verify(other)
	require.Equal(t, structs.KindUnavailable, structs.KindOf(err))
	require.Error(t, keystone.New(keystone.Config{AuthURL: "http://keystone.example.org/identity/v3", Username: "admin", Password: "x", Transport: w}).Check(t.Context()))
	w.down.Store(false)
	_, err = w.auth.Verify(other)
	require.NoError(t, err)
}

// Many requests with one new token are one question.
func TestOneQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.auth.Check(t.Context()))
	w.slow = make(chan struct{})
	text := w.DemoToken()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := w.auth.Verify(text)
			assert.NoError(t, err)
		})
	}
	require.Eventually(t, func() bool { return w.asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(w.slow)
	wg.Wait()
	assert.EqualValues(t, 1, w.asked.Load())
}

func BenchmarkVerify(b *testing.B) {
	w := &world{Cloud: identitytest.New(b, base.Options{TokenTTL: time.Hour})}
	w.now = w.Now()
	auth := keystone.New(keystone.Config{AuthURL: "http://keystone.example.org/identity/v3", Username: "admin", Password: identitytest.AdminPassword, Project: "admin", Transport: w, Now: w.clock, CacheTime: time.Hour})
	text := w.DemoToken()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := auth.Verify(text); err != nil {
			b.Fatal(err)
		}
	}
}
