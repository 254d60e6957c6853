package directory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// The life of a domain: it is a project, too, its users' tokens end with it, and what is in it goes with it.
func TestDomain(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	made := thing(t, w.Want(201, "POST", "/domains", admin, `{"domain": {"name": " sea ", "description": "blue", "colour": ["deep"], "tags": ["b", "a"], "options": {"immutable": true}}}`), "domain")
	id := made["id"].(string)
	want := map[string]any{"id": id, "name": "sea", "description": "blue", "colour": []any{"deep"}, "enabled": true, "tags": []any{"a", "b"}, "options": map[string]any{"immutable": true},
		"links": map[string]any{"self": "http://cloud:4746/identity/v3/domains/" + id}}
	assert.Equal(t, want, made)
	assert.Equal(t, want, thing(t, w.Want(200, "GET", "/domains/"+id, admin, ""), "domain"))
	project := thing(t, w.Want(200, "GET", "/projects/"+id, admin, ""), "project")
	for k, v := range map[string]any{"is_domain": true, "domain_id": nil, "parent_id": nil, "name": "sea", "colour": []any{"deep"}} {
		assert.Equal(t, v, project[k], k)
	}
	assert.Contains(t, names(t, w.Want(200, "GET", "/projects?is_domain=true", admin, "")), "sea")
	assert.NotContains(t, names(t, w.Want(200, "GET", "/projects", admin, "")), "sea")

	w.Want(403, "PATCH", "/domains/"+id, admin, `{"domain": {"name": "ocean"}}`)
	w.Want(403, "PATCH", "/domains/"+id, admin, `{"domain": {"options": {"immutable": false}, "name": "ocean"}}`)
	w.Want(403, "DELETE", "/domains/"+id, admin, "")
	w.Want(200, "PATCH", "/domains/"+id, admin, `{"domain": {"options": {"immutable": null}}}`)
	got := thing(t, w.Want(200, "PATCH", "/domains/"+id, admin, `{"domain": {"name": "ocean", "description": null}}`), "domain")
	assert.Equal(t, "ocean", got["name"])
	assert.Empty(t, got["description"])
	assert.Contains(t, message(t, w.Want(409, "PATCH", "/domains/"+id, admin, `{"domain": {"name": "DEFAULT"}}`)), "two projects acting as domains with the same name")
	w.Want(409, "POST", "/domains", admin, `{"domain": {"name": "Ocean"}}`)

	const own = "0123456789abcdef0123456789abcdef"
	w.Want(400, "POST", "/domains", admin, `{"domain": {"name": "own", "explicit_domain_id": "own"}}`)
	assert.Equal(t, own, thing(t, w.Want(201, "POST", "/domains", admin, `{"domain": {"name": "own", "explicit_domain_id": "`+own+`"}}`), "domain")["id"])
	w.Want(409, "POST", "/domains", admin, `{"domain": {"name": "own2", "explicit_domain_id": "`+own+`"}}`)
	w.Want(409, "POST", "/domains", admin, `{"domain": {"name": "own3", "explicit_domain_id": "`+p1+`"}}`)

	member := w.callers["member of p1"]
	w.Want(200, "GET", "/users/"+u1, member, "")
	assert.Equal(t, "Cannot delete a domain that is enabled, please disable it first.", message(t, w.Want(403, "DELETE", "/domains/"+d1, admin, "")))
	w.Pass(1e9)
	w.Want(200, "PATCH", "/domains/"+d1, admin, `{"domain": {"enabled": false}}`)
	w.Want(401, "GET", "/users/"+u1, member, "")
	w.Want(400, "POST", "/projects", admin, `{"project": {"name": "late", "domain_id": "`+d1+`"}}`)
	w.Want(200, "PATCH", "/projects/"+d1, admin, `{"project": {"enabled": true}}`) // as the project that it is
	w.Want(401, "GET", "/users/"+u1, member, "")
	w.Pass(1e9)
	w.Want(200, "GET", "/users/"+u1, w.Token(u1, token.Scope{Project: p1}), "")
	w.Want(200, "PATCH", "/domains/"+d1, admin, `{"domain": {"enabled": "off"}}`)
	w.Want(204, "DELETE", "/projects/"+d1, admin, "")
	for _, gone := range []string{"/domains/" + d1, "/projects/" + d1, "/projects/" + p1, "/users/" + u1} {
		w.Want(404, "GET", gone, admin, "")
	}
}

// Only where a domain is made an id may be named for it, and it is not shown again. Elsewhere the word is one that the API does not know: it is kept and shown.
func TestExplicitDomainID(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	const own = "0123456789abcdef0123456789abcdef"
	for body, says := range map[string]string{
		`"explicit_domain_id": "0123456789ABCDEF0123456789ABCDEF"`: "Domain ID does not conform to required UUID format.",
		`"explicit_domain_id": "0123456789abcdef"`:                 "Domain ID does not conform to required UUID format.",
		`"explicit_domain_id": ""`:                                 "", `"explicit_domain_id": null`: "", `"explicit_domain_id": "bad!"`: "", `"explicit_domain_id": 1`: "",
	} {
		assert.Contains(t, message(t, w.Want(400, "POST", "/domains", admin, `{"domain": {"name": "own", `+body+`}}`)), says, body)
	}
	made := thing(t, w.Want(201, "POST", "/domains", admin, `{"domain": {"name": "own", "explicit_domain_id": "`+own+`"}}`), "domain")
	assert.Equal(t, own, made["id"])
	assert.NotContains(t, made, "explicit_domain_id")
	assert.NotContains(t, thing(t, w.Want(200, "GET", "/domains/"+own, admin, ""), "domain"), "explicit_domain_id")

	changed := thing(t, w.Want(200, "PATCH", "/domains/"+own, admin, `{"domain": {"explicit_domain_id": "a word!"}}`), "domain")
	assert.Equal(t, []any{own, "a word!"}, []any{changed["id"], changed["explicit_domain_id"]})
	project := thing(t, w.Want(201, "POST", "/projects", admin, `{"project": {"name": "other", "is_domain": true, "explicit_domain_id": "`+d1+`"}}`), "project")
	assert.NotEqual(t, d1, project["id"])
	assert.Equal(t, d1, project["explicit_domain_id"])
}

// Domains have no configuration of their own: reads say so as Keystone does, and writes are refused.
func TestDomainConfig(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{Security: base.Security{PasswordRegex: "^.{8,}$", PasswordRegexWords: "eight characters"}})
	admin := w.AdminToken()
	const of = "/domains/default/config"
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", of, "", 404, "Could not find any options in domain configuration for domain default."},
		{"GET", of + "/ldap", "", 404, "Could not find group ldap in domain configuration for domain default."},
		{"GET", of + "/ldap/url", "", 404, "Could not find option url in group ldap in domain configuration for domain default."},
		{"GET", of + "/sql", "", 403, "Invalid domain specific configuration: Group sql is not supported for domain specific configurations."},
		{"GET", of + "/ldap/colour", "", 403, "Option colour in group ldap"},
		{"GET", "/domains/none/config", "", 404, "Could not find domain: none."},
		{"PUT", of, `{"config": {"identity": {"driver": "ldap"}}}`, 403, "no domain has options of its own"},
		{"PUT", of, `{"config": []}`, 400, ""},
		{"PATCH", of, `{"config": {"identity": {"driver": "ldap"}}}`, 403, "no domain has options of its own"},
		{"PATCH", of + "/ldap", `{"config": {"ldap": {"url": "x"}}}`, 404, "Could not find group ldap"},
		{"PATCH", of + "/ldap/url", `{"config": {"url": "x"}}`, 404, "Could not find option url"},
		{"DELETE", of + "/ldap", "", 404, "Could not find group ldap"},
		{"DELETE", of, "", 204, ""},
		{"GET", of + "/security_compliance", "", 200, `{"config":{"security_compliance":{"password_regex":"^.{8,}$","password_regex_description":"eight characters"}}}`},
		{"GET", of + "/security_compliance/password_regex", "", 200, `{"config":{"password_regex":"^.{8,}$"}}`},
		{"HEAD", of + "/security_compliance/password_regex", "", 200, ""},
		{"GET", of + "/security_compliance/lockout_duration", "", 403, "password_regex_description is not allowed"},
		{"GET", "/domains/" + d1 + "/config/security_compliance", "", 403, "other than the default domain"},
		{"GET", "/domains/config/default", "", 200, `"identity":{"driver":"sql","list_limit":null}`},
		{"GET", "/domains/config/identity/default", "", 200, `{"config":{"identity":{"driver":"sql","list_limit":null}}}`},
		{"GET", "/domains/config/ldap/url/default", "", 200, `{"config":{"url":null}}`},
		{"GET", "/domains/config/sql/default", "", 403, "Group sql is not supported"},
	} {
		a := w.Want(c.status, c.method, c.path, admin, c.body)
		assert.Contains(t, a.Body, c.says, "%s %s", c.method, c.path)
	}
	w2 := newTown(t, base.Options{})
	assert.Contains(t, w2.Want(200, "GET", of+"/security_compliance", w2.callers["member of p1"], "").Body, `"password_regex":null`)
	require.Equal(t, 401, w2.Do("GET", of+"/security_compliance", "", "").Status)
}
