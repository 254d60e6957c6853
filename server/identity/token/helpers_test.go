package token

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/bootstrap"
)

const (
	adminPassword = "admin-s3cret-Pw"
	demoPassword  = "demo-s3cret-Pw"
)

// world is a core with an administrator, a demo user, a token key, and the identity service on a clock of its own.
type world struct {
	t       testing.TB
	core    *coretest.Core
	auth    *Authenticator
	handler http.Handler
	clock   time.Time
	admin   structs.User
	demo    structs.User
	issued  string // by a test, for its helpers

	passwords *base.Passwords
	security  base.Security
	receipts  time.Duration
	hashers   int // passwords that are hashed at a time; 0: half of the processors
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, core: coretest.New(), clock: time.Now().Truncate(time.Microsecond)}
	req, err := bootstrap.Request(bootstrap.Options{AdminPassword: adminPassword, DemoPassword: demoPassword, BcryptCost: bcrypt.MinCost, Now: w.now()})
	require.NoError(t, err)
	w.admin, w.demo = req.Users[0], req.Users[1]
	w.upsert(req)
	w.addKey(nomadlike.NewTokenKey(w.now()))
	w.serve()
	return w
}

// serve puts the service on the core that w has now.
func (w *world) serve() {
	w.t.Helper()
	now := func() time.Time { return w.clock }
	w.passwords = base.NewPasswords(10, w.hashers, 0) // what is not the users' own cost
	w.auth = NewAuthenticator(w.core, now)
	o := base.Options{Endpoints: []base.Endpoint{base.Compute, base.Identity, base.Image}, TokenTTL: time.Hour, Passwords: w.passwords, Now: now, Security: w.security, ReceiptTTL: w.receipts}
	s := &httpapi.Service{Name: "identity", Prefix: "/identity/v3", Faults: httpapi.KeystoneFaults, Routes: Routes(w.auth, o), Scopes: httpapi.DomainScope | httpapi.SystemScope}
	var err error
	w.handler, err = httpapi.NewHandler(w.core, []*httpapi.Service{s}, httpapi.Options{Auth: w.auth})
	require.NoError(w.t, err)
}

func (w *world) now() structs.Time { return structs.TimeOf(w.clock) }

func (w *world) upsert(req *structs.IdentityUpsertRequest) {
	w.t.Helper()
	_, err := fsm.IdentityUpsert.Propose(context.Background(), w.core, req)
	require.NoError(w.t, err)
}

func (w *world) addKey(k structs.TokenKey, drop ...string) {
	w.t.Helper()
	_, err := fsm.TokenKeyRotate.Propose(context.Background(), w.core, &structs.TokenKeyRotateRequest{Key: k, Drop: drop})
	require.NoError(w.t, err)
}

// issue returns a token of a user on its own project.
func (w *world) issue(u structs.User) string {
	w.t.Helper()
	tok, err := w.auth.Issue(u.ID, u.DefaultProjectID, time.Hour, "password")
	require.NoError(w.t, err)
	return tok
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &m), a.body)
	return m
}

func (w *world) do(method, path, token, body string, header ...string) answer {
	w.t.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, rd)
	r.Host = "cloud:4746"
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

func passwordBody(user, password, scope string) string {
	b := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"` + user + `","domain":{"name":"Default"},"password":"` + password + `"}}}`
	if scope != "" {
		b += `,"scope":` + scope
	}
	return b + "}}"
}

const generic401 = `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`
