package delegation_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

func TestApplicationCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	path := "/users/" + string(ann) + "/application_credentials"
	expires := c.Now().UTC().Add(30 * time.Minute).Format("2006-01-02T15:04:05.000000")
	made := c.appCred(ann, c.on(ann), "monitoring", `"description":"d","roles":[{"name":"reader"}],"expires_at":"`+expires+`",
		"access_rules":[{"service":"compute","method":"GET","path":"/v2.1/servers/**"},{"service":"identity","method":"GET","path":"/v3/users/{user}"}]`)
	secret := made["secret"].(string)
	assert.Len(t, secret, 86)
	assert.Equal(t, expires, made["expires_at"])
	assert.Equal(t, string(c.project), made["project_id"])
	assert.Equal(t, false, made["unrestricted"])
	assert.Len(t, made["roles"], 1)
	assert.Len(t, made["access_rules"], 2)
	assert.Equal(t, "http://cloud:4746/identity/v3"+path+"/"+made["id"].(string), made["links"].(map[string]any)["self"])
	shown := c.Want(200, "GET", path+"/"+made["id"].(string), c.on(ann), "")
	assert.NotContains(t, shown.Body, "secret")
	assert.NotContains(t, c.Want(200, "GET", path, c.on(ann), "").Body, secret)
	assert.Empty(t, c.Want(200, "HEAD", path, c.on(ann), "").Body)
	assert.Contains(t, c.Want(200, "GET", path+"?name=MONITORING", c.on(ann), "").Body, `"monitoring"`)
	assert.Contains(t, c.Want(200, "GET", path+"?name=x", c.on(ann), "").Body, `"application_credentials":[]`)
	conflict := c.Want(409, "POST", path, c.on(ann), `{"application_credential":{"name":"monitoring"}}`)
	assert.Contains(t, conflict.Body, "Duplicate entry found with name monitoring")

	// Its login is on its project, until it ends, with its roles alone; by name as well.
	a := c.login(byAppCred(made["id"].(string), secret), "")
	require.Equal(t, 201, a.Status, a.Body)
	tok := a.JSON(t)["token"].(map[string]any)
	assert.Equal(t, []any{"application_credential"}, tok["methods"])
	assert.Equal(t, expires+"Z", tok["expires_at"])
	app := tok["application_credential"].(map[string]any)
	assert.Equal(t, true, app["restricted"])
	assert.Len(t, app["access_rules"], 2)
	assert.Equal(t, []string{"reader"}, c.rolesOf(a.Header.Get("X-Subject-Token")))
	byName := `{"methods":["application_credential"],"application_credential":{"name":"monitoring","secret":"` + secret + `","user":{"name":"ann","domain":{"id":"default"}}}}`
	assert.Equal(t, 201, c.login(byName, "").Status)

	// A service that knows nothing of access rules does not see the token.
	subject := a.Header.Get("X-Subject-Token")
	assert.Equal(t, 404, c.Do("GET", "/auth/tokens", c.AdminToken(), "", "X-Subject-Token", subject).Status)
	assert.Equal(t, 200, c.Do("GET", "/auth/tokens", c.AdminToken(), "", "X-Subject-Token", subject, "OpenStack-Identity-Access-Rules", "1.0").Status)
	// And the token is for what its rules say.
	assert.Equal(t, 200, c.Do("GET", "/users/"+string(ann), subject, "").Status)
	assert.Equal(t, 401, c.Do("GET", "/users/"+string(ann)+"/projects", subject, "").Status)
	assert.Equal(t, 401, c.Do("GET", "/auth/catalog", subject, "").Status)

	c.Pass(31 * time.Minute)
	assert.Equal(t, 401, c.login(byName, "").Status, "it is over")
	c.Want(204, "DELETE", path+"/"+made["id"].(string), c.on(ann), "")
	c.Want(404, "GET", path+"/"+made["id"].(string), c.on(ann), "")
}

func TestAccessRules(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	rule := `{"service":"compute","method":"GET","path":"/v2.1/servers"}`
	one := c.appCred(ann, c.on(ann), "one", `"access_rules":[`+rule+`,`+rule+`]`)
	ids := one["access_rules"].([]any)
	require.Len(t, ids, 1, "the same rule is one")
	id := ids[0].(map[string]any)["id"].(string)
	two := c.appCred(ann, c.on(ann), "two", `"access_rules":[{"id":"`+id+`"}]`)
	assert.Equal(t, id, two["access_rules"].([]any)[0].(map[string]any)["id"])
	path := "/users/" + string(ann) + "/access_rules"
	assert.Contains(t, c.Want(200, "GET", path+"?service=compute", c.on(ann), "").Body, id)
	assert.NotContains(t, c.Want(200, "GET", path+"?service=image", c.on(ann), "").Body, id)
	c.Want(200, "GET", path+"/"+id, c.on(ann), "")
	c.Want(403, "GET", path+"/"+id, c.on(bob), "")
	c.Want(404, "GET", "/users/"+string(bob)+"/access_rules/"+id, c.on(bob), "")
	c.Want(404, "DELETE", "/users/"+string(bob)+"/access_rules/"+id, c.on(bob), "")
	c.Want(403, "DELETE", path+"/"+id, c.AdminToken(), "")
	assert.Contains(t, c.Want(403, "DELETE", path+"/"+id, c.on(ann), "").Body, "May not delete access rule in use")
	assert.Equal(t, 404, c.Do("POST", "/users/"+string(bob)+"/application_credentials", c.on(bob), `{"application_credential":{"name":"x","access_rules":[{"id":"`+id+`"}]}}`).Status, "another's rule")
	for _, x := range []map[string]any{one, two} {
		c.Want(204, "DELETE", "/users/"+string(ann)+"/application_credentials/"+x["id"].(string), c.on(ann), "")
	}
	c.Want(204, "DELETE", path+"/"+id, c.system(c.Admin.ID), "")
	c.Want(404, "GET", path+"/"+id, c.on(ann), "")
	none := c.appCred(ann, c.on(ann), "three", `"access_rules":[]`)
	c.Want(200, "GET", "/auth/catalog", c.appToken(none), "")
}

func TestWrongApplicationCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	path := "/users/" + string(ann) + "/application_credentials"
	long := strings.Repeat("x", 256)
	for body, want := range map[string]string{
		`{}`:                            "'application_credential' is a required property",
		`{"application_credential":{}}`: "'name' is a required property",
		`{"application_credential":{"name":" "}}`:                                                       "does not match",
		`{"application_credential":{"name":"` + long + `"}}`:                                            "too long",
		`{"application_credential":{"name":"a","x":1}}`:                                                 "Additional properties are not allowed",
		`{"application_credential":{"name":"a","expires_at":"tomorrow"}}`:                               "Timestamp not in expected format.",
		`{"application_credential":{"name":"a","expires_at":"2001-01-01T00:00:00"}}`:                    "The 'expires_at' must not be before now.",
		`{"application_credential":{"name":"a","roles":[{}]}}`:                                          "roles",
		`{"application_credential":{"name":"a","roles":[{"name":"admin"}]}}`:                            "Cannot create an application credential with unassigned role",
		`{"application_credential":{"name":"a","access_rules":[{"path":"x"}]}}`:                         "does not match",
		`{"application_credential":{"name":"a","access_rules":[{"method":"OPTIONS"}]}}`:                 "is not one of",
		`{"application_credential":{"name":"a","access_rules":[{"method":"GET","path":"/"}]}}`:          "Expecting to find service, method and path",
		`{"application_credential":{"name":"a","secret":"` + strings.Repeat("s3cret", 4096/6+1) + `"}}`: "4096",
	} {
		a := c.Want(400, "POST", path, c.on(ann), body)
		assert.Contains(t, a.Body, want, body)
		assert.NotContains(t, a.Body, "s3cret")
	}
	c.Want(404, "POST", path, c.on(ann), `{"application_credential":{"name":"a","roles":[{"name":"nothing"}]}}`)
	c.Want(404, "POST", path, c.on(ann), `{"application_credential":{"name":"a","access_rules":[{"id":"nothing"}]}}`)
	c.Want(400, "POST", path, c.Token(ann, token.Scope{}), `{"application_credential":{"name":"a"}}`)
	for identity, status := range map[string]int{
		`{"methods":["application_credential"],"application_credential":{}}`:                                  400,
		`{"methods":["application_credential"],"application_credential":{"name":"x"}}`:                        400,
		`{"methods":["application_credential"],"application_credential":{"name":"x","user":{"name":"ann"}}}`:  400,
		`{"methods":["application_credential"],"application_credential":[]}`:                                  400,
		`{"methods":["application_credential"]}`:                                                              400,
		`{"methods":["application_credential"],"application_credential":{"name":"x","user":{"id":"nobody"}}}`: 401,
		`{"methods":["application_credential"],"application_credential":{"id":"nothing","secret":"x"}}`:       401,
		`{"methods":["application_credential"],"application_credential":{"id":"nothing"}}`:                    401,
	} {
		assert.Equal(t, status, c.login(identity, "").Status, identity)
	}
}

// Who may do what with ann's application credentials and rules.
func TestAccessOfApplicationCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.grantSystem(cat, "reader")
	made := c.appCred(ann, c.on(ann), "a", `"access_rules":[{"service":"compute","method":"GET","path":"/"}]`)
	id, rule := made["id"].(string), made["access_rules"].([]any)[0].(map[string]any)["id"].(string)
	who := map[string]string{"ann": c.on(ann), "bob": c.on(bob), "admin": c.AdminToken(), "reader": c.system(cat), "nobody": "", "system": c.system(c.Admin.ID)}
	base := "/users/" + string(ann)
	for _, x := range []struct {
		method, path, body string
		want               map[string]int
	}{
		{"GET", base + "/application_credentials", "", map[string]int{"ann": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401, "system": 200}},
		{"GET", base + "/application_credentials/" + id, "", map[string]int{"ann": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", "/users/" + string(bob) + "/application_credentials/" + id, "", map[string]int{"bob": 403}}, // it is ann's whatever the path says
		{"GET", base + "/application_credentials/nothing", "", map[string]int{"ann": 404, "bob": 403, "admin": 404, "reader": 404, "nobody": 401}},
		{"POST", base + "/application_credentials", `{"application_credential":{"name":"b"}}`, map[string]int{"bob": 403, "admin": 403, "reader": 403, "nobody": 401, "system": 403}},
		{"GET", base + "/access_rules", "", map[string]int{"ann": 200, "bob": 403, "admin": 403, "reader": 200, "nobody": 401, "system": 200}},
		{"GET", base + "/access_rules/" + rule, "", map[string]int{"ann": 200, "bob": 403, "admin": 403, "reader": 200, "nobody": 401}},
		{"DELETE", base + "/access_rules/" + rule, "", map[string]int{"bob": 403, "admin": 403, "reader": 403, "nobody": 401}},
		{"DELETE", base + "/application_credentials/" + id, "", map[string]int{"bob": 403, "reader": 403, "nobody": 401}},
		{"DELETE", "/users/" + string(bob) + "/application_credentials/" + id, "", map[string]int{"bob": 403}},
		{"DELETE", base + "/application_credentials/" + id, "", map[string]int{"admin": 204}},
	} {
		for name, want := range x.want {
			assert.Equal(t, want, c.Do(x.method, x.path, who[name], x.body).Status, "%s %s %s", name, x.method, x.path)
		}
	}
	assert.Equal(t, http.StatusNotFound, c.Do("GET", base+"/application_credentials/"+id, who["ann"], "").Status)
}

func (c *cloud) grantSystem(u structs.UserID, role string) {
	c.T.Helper()
	c.Upsert(&structs.IdentityUpsertRequest{Grants: []structs.Grant{{UserID: u, System: true, RoleID: c.Role(role)}}})
}
