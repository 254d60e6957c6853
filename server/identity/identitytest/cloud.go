// Package identitytest is a cloud with an Identity service for the tests of its rooms: a core with the real state machine, an administrator, a demo user, and a
// clock that stands still until a test moves it.
package identitytest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/bootstrap"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// The passwords of the two users.
const (
	AdminPassword = "admin-s3cret-Pw"
	DemoPassword  = "demo-s3cret-Pw"
)

// Cloud is what a test talks to.
type Cloud struct {
	T       testing.TB
	Core    *coretest.Core
	Auth    *token.Authenticator
	Handler http.Handler
	Admin   structs.User // admin on the project admin and on the system
	Demo    structs.User // member on the project demo
	// Passwords are the service's.
	Passwords *base.Passwords

	mu    sync.Mutex
	clock time.Time
}

// New returns a cloud with an Identity service of the options; its passwords are cheap and its clock is the cloud's.
func New(t testing.TB, o base.Options) *Cloud {
	t.Helper()
	c := &Cloud{T: t, Core: coretest.New(), clock: time.Now().Truncate(time.Microsecond)}
	req, err := bootstrap.Request(bootstrap.Options{AdminPassword: AdminPassword, DemoPassword: DemoPassword, BcryptCost: bcrypt.MinCost, Now: structs.TimeOf(c.clock)})
	require.NoError(t, err)
	c.Admin, c.Demo = req.Users[0], req.Users[1]
	c.Upsert(req)
	_, err = fsm.TokenKeyRotate.Propose(t.Context(), c.Core, &structs.TokenKeyRotateRequest{Key: nomadlike.NewTokenKey(structs.TimeOf(c.clock))})
	require.NoError(t, err)
	c.Passwords = base.NewPasswords(bcrypt.MinCost, 0, 0)
	o.Now, o.Passwords = c.Now, c.Passwords
	if o.TokenTTL == 0 {
		o.TokenTTL = time.Hour
	}
	if o.Endpoints == nil {
		o.Endpoints = []base.Endpoint{base.Compute, base.Identity, base.Image}
	}
	c.Auth = token.NewAuthenticator(c.Core, c.Now)
	c.Handler, err = httpapi.NewHandler(c.Core, identity.Services(c.Auth, o), httpapi.Options{Auth: c.Auth})
	require.NoError(t, err)
	return c
}

// Now is the cloud's clock.
func (c *Cloud) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

// Pass moves the clock.
func (c *Cloud) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock = c.clock.Add(d)
}

// Upsert writes identities past the API.
func (c *Cloud) Upsert(req *structs.IdentityUpsertRequest) {
	c.T.Helper()
	_, err := fsm.IdentityUpsert.Propose(context.Background(), c.Core, req)
	require.NoError(c.T, err)
}

// Role is the id of a role of all domains.
func (c *Cloud) Role(name string) structs.RoleID {
	c.T.Helper()
	x := c.Core.Stale().RoleByName("", name)
	require.NotNil(c.T, x, name)
	return x.ID
}

// Token issues a token for a user past the API.
func (c *Cloud) Token(u structs.UserID, s token.Scope) string {
	c.T.Helper()
	text, err := c.Auth.IssueScoped(u, s, time.Hour, "password")
	require.NoError(c.T, err)
	return text
}

// AdminToken is the administrator's on its project, DemoToken the demo user's on its.
func (c *Cloud) AdminToken() string {
	c.T.Helper()
	return c.Token(c.Admin.ID, token.Scope{Project: c.Admin.DefaultProjectID})
}

// DemoToken is the demo user's on its project.
func (c *Cloud) DemoToken() string {
	c.T.Helper()
	return c.Token(c.Demo.ID, token.Scope{Project: c.Demo.DefaultProjectID})
}

// Answer is what the service answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// JSON is the body, decoded.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.Body), &m), a.Body)
	return m
}

// Do sends a request below /identity/v3, or to a path that begins with /identity. Headers are names and values in turn.
func (c *Cloud) Do(method, path, token, body string, header ...string) Answer {
	c.T.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	if !strings.HasPrefix(path, "/identity") {
		path = "/identity/v3" + path
	}
	r := httptest.NewRequest(method, path, rd)
	r.Host = "cloud:4746"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	c.Handler.ServeHTTP(rec, r)
	return Answer{rec.Code, rec.Header(), rec.Body.String()}
}

// Want sends a request and demands its status.
func (c *Cloud) Want(status int, method, path, token, body string, header ...string) Answer {
	c.T.Helper()
	a := c.Do(method, path, token, body, header...)
	require.Equal(c.T, status, a.Status, "%s %s %s: %s", method, path, body, a.Body)
	return a
}

// Make creates a thing as an administrator and returns its id: Make("users", "user", `{"name": "u"}`).
func (c *Cloud) Make(path, key, body string) string {
	c.T.Helper()
	a := c.Want(http.StatusCreated, http.MethodPost, "/"+path, c.AdminToken(), `{"`+key+`": `+body+`}`)
	m, _ := a.JSON(c.T)[key].(map[string]any)
	id, _ := m["id"].(string)
	require.NotEmpty(c.T, id, a.Body)
	return id
}

// Login is a login with a password; scope is JSON, or "".
func Login(user, password, scope string) string {
	b := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"` + user + `","domain":{"name":"Default"},"password":"` + password + `"}}}`
	if scope != "" {
		b += `,"scope":` + scope
	}
	return b + "}}"
}
