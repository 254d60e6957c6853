package delegation_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func credentialBody(user, project, kind, blob string) string {
	b, _ := json.Marshal(map[string]any{"credential": map[string]any{"user_id": user, "project_id": project, "type": kind, "blob": blob}})
	return string(b)
}

func (c *cloud) credential(text, kind, blob string) string {
	c.T.Helper()
	m := c.object(201, "POST", "/credentials", text, credentialBody(string(ann), string(c.project), kind, blob), "credential")
	return m["id"].(string)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	made := c.object(201, "POST", "/credentials", c.on(ann), credentialBody(string(ann), string(c.project), "ec2", `{"access":"181920","secret":"secretKey"}`), "credential")
	assert.Equal(t, "3d3367228f9c7665266604462ec60029bcd83ad89614021a80b2eb879c572510", made["id"], "the SHA-256 of the access key, as Keystone's api-ref has it")
	assert.JSONEq(t, `{"access":"181920","secret":"secretKey"}`, made["blob"].(string))
	c.Want(409, "POST", "/credentials", c.on(ann), credentialBody(string(ann), string(c.project), "ec2", `{"access":"181920","secret":"x"}`))
	cert := c.object(201, "POST", "/credentials", c.on(ann), `{"credential":{"user_id":"`+string(ann)+`","type":"cert","blob":"PEM","colour":"red"}}`, "credential")
	assert.Nil(t, cert["project_id"])
	assert.Equal(t, "red", cert["colour"])
	id := cert["id"].(string)
	assert.Len(t, id, 32)
	list := func(query string) int {
		return len(c.Want(200, "GET", "/credentials"+query, c.on(ann), "").JSON(t)["credentials"].([]any))
	}
	assert.Equal(t, []int{2, 1, 1, 0, 2, 0}, []int{list(""), list("?type=ec2"), list("?type=cert"), list("?type=x"), list("?user_id=" + string(ann)), list("?user_id=" + string(bob))})
	changed := c.object(200, "PATCH", "/credentials/"+id, c.on(ann), `{"credential":{"blob":"PEM2","colour":null,"project_id":"`+string(c.project)+`"}}`, "credential")
	assert.Equal(t, "PEM2", changed["blob"])
	assert.Equal(t, string(c.project), changed["project_id"])
	c.Want(200, "PATCH", "/credentials/"+id, c.on(ann), `{"credential":{"project_id":null}}`)
	assert.Nil(t, c.object(200, "GET", "/credentials/"+id, c.on(ann), "", "credential")["project_id"])
	c.Want(204, "DELETE", "/credentials/"+id, c.on(ann), "")
	c.Want(404, "GET", "/credentials/"+id, c.AdminToken(), "")
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	me, p := string(ann), string(c.project)
	for body, want := range map[string]string{
		`{}`: "'credential' is a required property",
		`{"credential":{"type":"x","user_id":"` + me + `"}}`:                       "'blob' is a required property",
		`{"credential":{"type":"ec2","blob":"{}","user_id":"` + me + `"}}`:         "'project_id' is a required property",
		credentialBody(me, p, "ec2", "no JSON"):                                    "Invalid blob in credential",
		credentialBody(me, p, "ec2", `[]`):                                         "Invalid blob in credential",
		credentialBody(me, p, "ec2", `{}`):                                         "Expecting to find blob in credential.",
		credentialBody(me, p, "ec2", `{"secret":"s3cret"}`):                        "Expecting to find access in credential.",
		credentialBody(me, p, "ec2", `{"access":7,"secret":"s3cret"}`):             "Expecting to find access in credential.",
		credentialBody(me, p, "ec2", `{"access":"a","secret":"b","trust_id":"x"}`): "trust_id can not be set",
		`{"credential":{"type":"x","user_id":"` + me + `","blob":{"s3cret":1}}}`:   "is not of type 'string'",
	} {
		a := c.Want(400, "POST", "/credentials", c.on(ann), body)
		assert.Contains(t, a.Body, want, body)
		assert.NotContains(t, a.Body, "s3cret")
	}
	c.Want(404, "POST", "/credentials", c.on(ann), credentialBody(me, "nothing", "cert", "x"))
	c.Want(404, "POST", "/credentials", c.AdminToken(), credentialBody("nobody", p, "cert", "x"))
	id := c.credential(c.on(ann), "ec2", `{"access":"a","secret":"b"}`)
	for body, want := range map[string]string{
		`{"credential":{}}`:                  "properties",
		`{"credential":{"project_id":null}}`: "Expecting to find project_id in credential.",
		`{"credential":{"blob":"x"}}`:        "Invalid blob in credential",
		`{"credential":{"blob":"{\"access\":\"a\",\"app_cred_id\":\"x\"}"}}`: "app_cred_id can not be updated for credential",
		`{"credential":{"blob":"{\"access\":\"a\",\"access_id\":[\"x\"]}"}}`: "access_id can not be updated for credential",
		`{"credential":{"id":"another"}}`:                                    "Cannot change credential ID",
	} {
		assert.Contains(t, c.Want(400, "PATCH", "/credentials/"+id, c.on(ann), body).Body, want, body)
	}
}

func TestAccessOfCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.grantSystem(cat, "reader")
	id := c.credential(c.on(ann), "cert", "PEM")
	who := map[string]string{"ann": c.on(ann), "bob": c.on(bob), "admin": c.AdminToken(), "reader": c.system(cat), "nobody": ""}
	for _, x := range []struct {
		method, path, body string
		want               map[string]int
	}{
		{"GET", "/credentials/" + id, "", map[string]int{"ann": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", "/credentials/nothing", "", map[string]int{"ann": 403, "bob": 403, "admin": 404, "reader": 404, "nobody": 401}},
		{"GET", "/credentials", "", map[string]int{"ann": 200, "bob": 200, "admin": 200, "reader": 200, "nobody": 401}},
		{"POST", "/credentials", credentialBody(string(ann), string(c.project), "cert", "x"), map[string]int{"ann": 201, "bob": 403, "admin": 201, "reader": 403, "nobody": 401}},
		{"PATCH", "/credentials/" + id, `{"credential":{"blob":"x"}}`, map[string]int{"ann": 200, "bob": 403, "admin": 200, "reader": 403, "nobody": 401}},
		{"PATCH", "/credentials/" + id, `{"credential":{"user_id":"` + string(bob) + `"}}`, map[string]int{"ann": 403, "bob": 403}},
		{"DELETE", "/credentials/" + id, "", map[string]int{"bob": 403, "reader": 403, "nobody": 401}},
		{"DELETE", "/credentials/" + id, "", map[string]int{"admin": 204}},
	} {
		for name, want := range x.want {
			assert.Equal(t, want, c.Do(x.method, x.path, who[name], x.body).Status, "%s %s %s", name, x.method, x.path)
		}
	}
	count := func(text string) int {
		return len(c.Want(200, "GET", "/credentials", text, "").JSON(t)["credentials"].([]any))
	}
	assert.Equal(t, []int{2, 0, 2, 2}, []int{count(who["ann"]), count(who["bob"]), count(who["admin"]), count(who["reader"])}, "each sees what it may")
}

func TestEC2Credentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	path := "/users/" + string(ann) + "/credentials/OS-EC2"
	body := fmt.Sprintf(`{"tenant_id":%q}`, c.project)
	made := c.object(201, "POST", path, c.on(ann), body, "credential")
	access := made["access"].(string)
	assert.Equal(t, "http://cloud:4746/identity/v3"+path+"/"+access, made["links"].(map[string]any)["self"])
	assert.Equal(t, made, c.object(200, "GET", path+"/"+access, c.on(ann), "", "credential"))
	assert.Contains(t, c.Want(200, "GET", path, c.on(ann), "").Body, access)
	assert.Contains(t, c.Want(200, "GET", "/credentials?type=ec2", c.on(ann), "").Body, access)
	c.Want(404, "POST", path, c.on(ann), `{"tenant_id":"nothing"}`)
	c.Want(400, "POST", path, c.on(ann), `{}`)
	c.Want(403, "POST", path, c.on(bob), body)
	c.Want(403, "GET", path, c.on(bob), "")
	c.Want(403, "GET", path+"/"+access, c.on(bob), "")
	c.Want(403, "GET", "/users/"+string(bob)+"/credentials/OS-EC2/"+access, c.on(bob), "")
	c.Want(403, "DELETE", path+"/"+access, c.on(bob), "")
	c.Want(404, "GET", path+"/nothing", c.AdminToken(), "")
	c.Want(404, "GET", "/users/nobody/credentials/OS-EC2", c.AdminToken(), "")
	c.Want(404, "POST", "/users/nobody/credentials/OS-EC2", c.AdminToken(), body)
	c.Want(204, "DELETE", path+"/"+access, c.on(ann), "")
	c.Want(404, "DELETE", path+"/"+access, c.AdminToken(), "")
	require.Empty(t, c.Want(200, "GET", path, c.on(ann), "").JSON(t)["credentials"])
}
