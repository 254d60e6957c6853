package token

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (w *world) grant(g structs.Grant) {
	w.t.Helper()
	_, err := fsm.GrantWrite.Propose(context.Background(), w.core, &structs.GrantWriteRequest{Grant: g})
	require.NoError(w.t, err)
}

func (w *world) role(name string) structs.RoleID {
	w.t.Helper()
	x := w.core.Stale().RoleByName("", name)
	require.NotNil(w.t, x)
	return x.ID
}

// Tokens on a domain and on the system, and what each of them says.
func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.grant(structs.Grant{UserID: w.demo.ID, DomainID: "default", RoleID: w.role("manager")})
	for _, scope := range []string{`{"domain":{"id":"default"}}`, `{"domain":{"name":"DEFAULT"}}`} {
		a := w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", demoPassword, scope))
		require.Equal(t, 201, a.status, a.body)
		tok := a.json(t)["token"].(map[string]any)
		assert.Equal(t, map[string]any{"id": "default", "name": "Default"}, tok["domain"])
		assert.NotContains(t, tok, "project")
		assert.NotContains(t, tok, "is_domain")
		assert.NotEmpty(t, tok["catalog"])
		v, err := w.auth.Verify(a.header.Get("X-Subject-Token"))
		require.NoError(t, err)
		assert.Equal(t, []string{"manager", "member", "reader"}, v.Roles)
		assert.Equal(t, structs.DomainID("default"), v.DomainID)
		assert.Empty(t, v.ProjectID)
	}
	a := w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("admin", adminPassword, `{"system":{"all":true}}`))
	require.Equal(t, 201, a.status, a.body)
	tok := a.json(t)["token"].(map[string]any)
	assert.Equal(t, map[string]any{"all": true}, tok["system"])
	assert.Len(t, tok["roles"], 4)
	system := a.header.Get("X-Subject-Token")
	rescope := `{"auth":{"identity":{"methods":["token"],"token":{"id":"` + system + `"}},"scope":{"project":{"id":"` + string(w.admin.DefaultProjectID) + `"}}}}`
	a = w.do("POST", "/identity/v3/auth/tokens", "", rescope)
	assert.Equal(t, 403, a.status, "a token on the system makes none on a project: %s", a.body)
	assert.JSONEq(t, `{"system":[{"all":true}],"links":{"self":"http://cloud:4746/identity/v3/auth/system"}}`, w.do("GET", "/identity/v3/auth/system", system, "").body)
	assert.Contains(t, w.do("GET", "/identity/v3/auth/system", w.issue(w.demo), "").body, `"system":[]`)
	assert.Contains(t, w.do("GET", "/identity/v3/auth/domains", w.issue(w.demo), "").body, `"name":"Default"`)
}

// The longest tokens that there are: an id of another form than Keystone's is longer, and comes from nowhere but another Keystone.
func TestTokenLength(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hex := strings.Repeat("0f", 16)
	far := structs.TimeOf(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
	for name, c := range map[string]claims{
		"project":                {user: structs.UserID(hex), project: structs.ProjectID(hex), methods: methodNames, issued: far, expires: far, audit: newAuditID(), parent: newAuditID()},
		"application credential": {user: structs.UserID(hex), project: structs.ProjectID(hex), appCred: hex, methods: methodNames, issued: far, expires: far, audit: newAuditID(), parent: newAuditID()},
		"trust":                  {user: structs.UserID(hex), project: structs.ProjectID(hex), trust: hex, methods: methodNames, issued: far, expires: far, audit: newAuditID(), parent: newAuditID()},
		"domain":                 {user: structs.UserID(hex), domain: structs.DomainID(hex), methods: methodNames, issued: far, expires: far, audit: newAuditID(), parent: newAuditID()},
	} {
		text, err := w.auth.sign(w.core.Stale(), c)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(text), 255, name)
	}
}

// What a group has its members have, from the next request on, and no longer than they are in it.
func TestGroupsInTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	_, err := fsm.GroupWrite.Propose(ctx, w.core, &structs.GroupWriteRequest{Group: structs.Group{ID: "g", DomainID: "default", Name: "g"}})
	require.NoError(t, err)
	w.grant(structs.Grant{GroupID: "g", ProjectID: w.demo.DefaultProjectID, RoleID: w.role("admin")})
	tok := w.issue(w.demo)
	roles := func() []string {
		v, err := w.auth.Verify(tok)
		require.NoError(t, err)
		return v.Roles
	}
	assert.Equal(t, []string{"member", "reader"}, roles())
	in := structs.Membership{UserID: w.demo.ID, GroupID: "g"}
	_, err = fsm.MembershipWrite.Propose(ctx, w.core, &structs.MembershipWriteRequest{Membership: in})
	require.NoError(t, err)
	assert.Equal(t, []string{"admin", "manager", "member", "reader"}, roles())
	_, err = fsm.MembershipWrite.Propose(ctx, w.core, &structs.MembershipWriteRequest{Membership: in, Remove: true})
	require.NoError(t, err)
	assert.Equal(t, []string{"member", "reader"}, roles())
}

// A user, project or domain that was disabled and is enabled again has no tokens from before.
func TestTokensFrom(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"user": func(w *world) {
			u := w.demo
			u.TokensFrom = w.now() + 1
			w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
		},
		"project": func(w *world) {
			p := *w.core.Stale().Project(w.demo.DefaultProjectID)
			p.TokensFrom = w.now() + 1
			w.upsert(&structs.IdentityUpsertRequest{Projects: []structs.Project{p}})
		},
		"domain": func(w *world) {
			d := *w.core.Stale().Domain("default")
			d.TokensFrom = w.now() + 1
			w.upsert(&structs.IdentityUpsertRequest{Domains: []structs.Domain{d}})
		},
	} {
		w := newWorld(t)
		before := w.issue(w.demo)
		change(w)
		_, err := w.auth.Verify(before)
		require.ErrorIs(t, err, errInvalid, name)
		w.clock = w.clock.Add(time.Second)
		_, err = w.auth.Verify(w.issue(w.demo))
		require.NoError(t, err, name)
	}
}
