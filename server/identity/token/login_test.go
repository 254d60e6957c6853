package token

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func TestPasswordLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	byName := `{"project":{"name":"DEMO","domain":{"id":"default"}}}`
	for name, scope := range map[string]string{"default project": "", "by name": byName, "by id": `{"project":{"id":"` + string(w.demo.DefaultProjectID) + `"}}`} {
		a := w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", demoPassword, scope))
		require.Equal(t, 201, a.status, "%s %s", name, a.body)
		tok := a.json(t)["token"].(map[string]any)
		assert.Equal(t, string(w.demo.DefaultProjectID), tok["project"].(map[string]any)["id"])
		assert.Equal(t, map[string]any{"id": "default", "name": "Default"}, tok["user"].(map[string]any)["domain"])
		assert.Equal(t, []any{"password"}, tok["methods"])
		assert.Len(t, tok["audit_ids"], 1)
		assert.Equal(t, w.clock.UTC().Format("2006-01-02T15:04:05.000000Z"), tok["issued_at"])
		assert.Equal(t, w.clock.UTC().Add(time.Hour).Format("2006-01-02T15:04:05.000000Z"), tok["expires_at"])
		var roles []string
		for _, r := range tok["roles"].([]any) {
			roles = append(roles, r.(map[string]any)["name"].(string))
		}
		assert.ElementsMatch(t, []string{"member", "reader"}, roles, "implied roles are listed")
		var types []string
		for _, c := range tok["catalog"].([]any) {
			c := c.(map[string]any)
			types = append(types, c["type"].(string))
			var faces []string
			for _, e := range c["endpoints"].([]any) {
				e := e.(map[string]any)
				faces = append(faces, e["interface"].(string))
				assert.True(t, strings.HasPrefix(e["url"].(string), "http://cloud:4746/"))
				assert.Equal(t, "RegionOne", e["region_id"])
			}
			assert.Equal(t, []string{"public", "internal", "admin"}, faces)
		}
		assert.Equal(t, []string{"compute", "identity", "image"}, types, "only what is there")
		v, err := w.auth.Verify(a.header.Get("X-Subject-Token"))
		require.NoError(t, err)
		assert.Equal(t, w.demo.ID, v.UserID)
	}
	a := w.do("POST", "/identity/v3/auth/tokens?nocatalog", "", passwordBody("demo", demoPassword, ""))
	assert.NotContains(t, a.body, "catalog")
	a = w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", demoPassword, `"unscoped"`))
	require.Equal(t, 201, a.status)
	assert.NotContains(t, a.body, `"project"`)
	assert.NotContains(t, a.body, `"roles"`)
}

// TestRefusals: whatever is wrong, the answer says no more than that it is; and a password is in none.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	off := w.demo
	off.ID, off.Name, off.Enabled = structs.UserID(strings.Repeat("a", 32)), "off", false
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{off}})
	for name, c := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"wrong password":        {passwordBody("demo", "wr0ng", ""), 401, generic401},
		"unknown user":          {passwordBody("nobody", "wr0ng", ""), 401, generic401},
		"disabled user":         {passwordBody("off", demoPassword, ""), 401, generic401},
		"unknown domain":        {strings.Replace(passwordBody("demo", demoPassword, ""), "Default", "Nope", 1), 401, generic401},
		"unknown project":       {passwordBody("demo", demoPassword, `{"project":{"id":"nope"}}`), 401, generic401},
		"foreign project":       {passwordBody("demo", demoPassword, `{"project":{"id":"`+string(w.admin.DefaultProjectID)+`"}}`), 401, generic401},
		"longer than bcrypt's":  {passwordBody("demo", demoPassword+strings.Repeat("x", 80), ""), 401, generic401},
		"unknown token":         {`{"auth":{"identity":{"methods":["token"],"token":{"id":"gAAAAwr0ng"}}}}`, 404, "Failed to validate token"},
		"domain scope":          {passwordBody("demo", demoPassword, `{"domain":{"id":"default"}}`), 401, generic401},
		"unknown domain scope":  {passwordBody("demo", demoPassword, `{"domain":{"name":"none"}}`), 401, generic401},
		"system scope":          {passwordBody("demo", demoPassword, `{"system":{"all":true}}`), 401, generic401},
		"unknown trust":         {passwordBody("demo", demoPassword, `{"OS-TRUST:trust":{"id":"none"}}`), 401, generic401},
		"two scopes":            {passwordBody("demo", demoPassword, `{"system":{"all":true},"domain":{"id":"default"}}`), 400, "Expecting to find system, project, domain, OS-TRUST:trust or unscoped in scope."},
		"unsupported method":    {`{"auth":{"identity":{"methods":["saml2"],"saml2":{}}}}`, 401, "unsupported method"},
		"no methods":            {`{"auth":{"identity":{"password":{"user":{"id":"x","password":"wr0ng"}}}}}`, 400, "Expecting to find methods"},
		"no body":               {``, 400, "no authentication request"},
		"no auth":               {`{}`, 400, "Expecting to find auth in request body."},
		"wrong type":            {`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":1,"password":"wr0ng"}}}}}`, 400, "wrong type"},
		"name without domain":   {`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"demo","password":"wr0ng"}}}}}`, 400, "Expecting to find domain in user."},
		"password part missing": {`{"auth":{"identity":{"methods":["password"]}}}`, 400, "Expecting to find password in identity."},
		"empty scope":           {passwordBody("demo", demoPassword, `{}`), 400, "in scope."},
	} {
		a := w.do("POST", "/identity/v3/auth/tokens", "", c.body)
		assert.Equal(t, c.status, a.status, name)
		assert.Contains(t, a.body, c.want, name)
		assert.NotContains(t, a.body, "wr0ng", name)
		assert.NotContains(t, a.body, demoPassword, name)
		if c.status == 401 {
			assert.Equal(t, `Keystone uri="http://cloud:4746/identity"`, a.header.Get("WWW-Authenticate"), name)
		}
		assert.Empty(t, a.header.Get("X-Subject-Token"), name)
	}
}

// TestEqualWork counts rather than times: an unknown user, a disabled one and a wrong password all hash once, at the same cost.
func TestEqualWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	off, bare := w.demo, w.demo
	off.ID, off.Name, off.Enabled = "off", "off", false
	bare.ID, bare.Name, bare.PasswordHash = "bare", "bare", nil
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{off, bare}})
	for _, name := range []string{"demo", "off", "bare", "nobody"} {
		var costs []int
		w.passwords.Observe = func(cost int) { costs = append(costs, cost) }
		require.Equal(t, 401, w.do("POST", "/identity/v3/auth/tokens", "", passwordBody(name, "x", "")).status)
		assert.Equal(t, []int{4}, costs, name)
	}
}

func TestTokenMethod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unscoped := w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", demoPassword, `"unscoped"`)).header.Get("X-Subject-Token")
	w.clock = w.clock.Add(30 * time.Minute)
	body := fmt.Sprintf(`{"auth":{"identity":{"methods":["token"],"token":{"id":%q}},"scope":{"project":{"id":%q}}}}`, unscoped, w.demo.DefaultProjectID)
	a := w.do("POST", "/identity/v3/auth/tokens", "", body)
	require.Equal(t, 201, a.status, a.body)
	first, err := w.auth.Verify(unscoped)
	require.NoError(t, err)
	scoped, err := w.auth.Verify(a.header.Get("X-Subject-Token"))
	require.NoError(t, err)
	assert.Equal(t, first.ExpiresAt, scoped.ExpiresAt, "a chain ends when its first token would have")
	assert.Equal(t, []string{"password", "token"}, scoped.Methods)
	assert.Equal(t, []any{scoped.AuditID, first.AuditID}, a.json(t)["token"].(map[string]any)["audit_ids"])
}

// TestBothMethods: a token and a password have to be one user's.
func TestBothMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := func(tok string) string {
		return fmt.Sprintf(`{"auth":{"identity":{"methods":["password","token"],"token":{"id":%q},"password":{"user":{"id":%q,"password":%q}}}}}`, tok, w.demo.ID, demoPassword)
	}
	assert.Equal(t, 201, w.do("POST", "/identity/v3/auth/tokens", "", body(w.issue(w.demo))).status)
	assert.Equal(t, 401, w.do("POST", "/identity/v3/auth/tokens", "", body(w.issue(w.admin))).status)
}

// TestLongPassword: bcrypt looks at 72 bytes; what is longer is another password all the same.
func TestLongPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("p", base.MaxPassword)
	u := w.demo
	var err error
	u.PasswordHash, err = base.HashPassword(long, 4)
	require.NoError(t, err)
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
	assert.Equal(t, 201, w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", long, "")).status)
	assert.Equal(t, 401, w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", long+"x", "")).status)
}

func TestValidateAndRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, demo := w.issue(w.admin), w.issue(w.demo)
	const path = "/identity/v3/auth/tokens"
	for _, who := range []string{admin, demo} {
		a := w.do("GET", path, who, "", "X-Subject-Token", demo)
		assert.Equal(t, 200, a.status)
		assert.Equal(t, "demo", a.json(t)["token"].(map[string]any)["user"].(map[string]any)["name"])
		assert.Equal(t, demo, a.header.Get("X-Subject-Token"))
	}
	a := w.do("HEAD", path, demo, "", "X-Subject-Token", demo)
	assert.Equal(t, 200, a.status)
	assert.Empty(t, a.body)
	a = w.do("GET", path, demo, "", "X-Subject-Token", admin)
	assert.Equal(t, 403, a.status, "a user may not look into another's token")
	assert.Contains(t, a.body, "You are not authorized to perform the requested action: identity:validate_token.")
	assert.Equal(t, 404, w.do("GET", path, admin, "", "X-Subject-Token", "gAAAA").status)
	assert.Equal(t, 404, w.do("GET", path, admin, "").status)
	assert.Equal(t, 401, w.do("GET", path, "", "", "X-Subject-Token", demo).status)

	assert.Equal(t, 403, w.do("DELETE", path, demo, "", "X-Subject-Token", admin).status)
	assert.Equal(t, 204, w.do("DELETE", path, admin, "", "X-Subject-Token", demo).status)
	assert.Equal(t, 404, w.do("GET", path, admin, "", "X-Subject-Token", demo).status)
	assert.Equal(t, 401, w.do("GET", path, demo, "", "X-Subject-Token", demo).status)
}

func TestNoKeyYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for k := range w.core.Stale().TokenKeys() {
		w.addKey(structs.TokenKey{ID: "broken", CreatedAt: 1}, k.ID, "broken")
	}
	a := w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", demoPassword, ""))
	assert.Equal(t, 503, a.status)
	assert.NotEmpty(t, a.header.Get("Retry-After"))
}

// TestNoStateYet: a server that has heard of no users cannot tell a wrong password or token from a right one, so it says that it
// cannot answer, not that they are wrong.
func TestNoStateYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok := w.issue(w.demo)
	full := w.core
	stateless := func(key bool) {
		w.core = coretest.New()
		if key { // the leader's first writes have arrived, the administrator has not
			w.addKey(nomadlike.NewTokenKey(w.now()))
		}
		w.serve()
	}
	for _, key := range []bool{false, true} {
		stateless(key)
		token := `{"auth":{"identity":{"methods":["token"],"token":{"id":"` + tok + `"}}}}`
		for name, a := range map[string]answer{
			"password": w.do("POST", "/identity/v3/auth/tokens", "", passwordBody("demo", demoPassword, "")),
			"token":    w.do("POST", "/identity/v3/auth/tokens", "", token),
			"use":      w.do("GET", "/identity/v3/auth/catalog", tok, ""),
		} {
			require.Equal(t, 503, a.status, "%s %s", name, a.body)
			require.Equal(t, "1", a.header.Get("Retry-After"), name)
			require.Empty(t, a.header.Get("WWW-Authenticate"), name)
			require.Contains(t, a.json(t)["error"].(map[string]any)["message"], "knows no users yet", name)
		}
		a := w.do("GET", "/identity/v3/auth/catalog", "", "")
		require.Equal(t, 401, a.status, "no token is no token, whatever the state: %s", a.body)
		a = w.do("POST", "/identity/v3/auth/tokens", "", "{}")
		require.Equal(t, 400, a.status, "a wrong request stays wrong: %s", a.body)
	}
	w.core = full
	w.serve()
	require.Equal(t, 200, w.do("GET", "/identity/v3/auth/catalog", tok, "").status)
	require.Equal(t, 401, w.do("GET", "/identity/v3/auth/catalog", tok[1:], "").status)
}
