package directory_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	made := thing(t, w.Want(201, "POST", "/groups", admin, `{"group": {"name": " crew ", "description": "sails", "colour": "blue", "domain_id": "`+d1+`"}}`), "group")
	id := made["id"].(string)
	of := "/groups/" + id
	want := map[string]any{"id": id, "name": "crew", "description": "sails", "colour": "blue", "domain_id": d1, "links": map[string]any{"self": "http://cloud:4746/identity/v3" + of}}
	assert.Equal(t, want, made)
	assert.Equal(t, want, thing(t, w.Want(200, "GET", of, admin, ""), "group"))
	for body, status := range map[string]int{`{"name": "CREW"}`: 200, `{"description": null}`: 200, `{}`: 400, `{"id": "x"}`: 400, `{"domain_id": "` + d2 + `"}`: 400, `{"name": ""}`: 400, `{"name": 1}`: 400} {
		w.Want(status, "PATCH", of, admin, `{"group": `+body+`}`)
	}
	other := w.Make("groups", "group", `{"name": "other", "domain_id": "`+d1+`"}`)
	w.Want(409, "PATCH", "/groups/"+other, admin, `{"group": {"name": "crew"}}`)
	w.Want(409, "POST", "/groups", admin, `{"group": {"name": "Crew", "domain_id": "`+d1+`"}}`)
	w.Want(404, "POST", "/groups", admin, `{"group": {"name": "x", "domain_id": "none"}}`)
	assert.Equal(t, "default", thing(t, w.Want(201, "POST", "/groups", admin, `{"group": {"name": "crew"}}`), "group")["domain_id"])

	for range 2 { // to be in it already is no mistake
		w.Want(204, "PUT", of+"/users/"+u1, admin, "")
	}
	w.Want(204, "HEAD", of+"/users/"+u1, admin, "")
	assert.Equal(t, "User '"+u2+"' not found in group '"+id+"'.", message(t, w.Want(404, "GET", of+"/users/"+u2, admin, "")))
	assert.Equal(t, "Could not find user: none.", message(t, w.Want(404, "PUT", of+"/users/none", admin, "")))
	assert.Equal(t, "Could not find group: none.", message(t, w.Want(404, "PUT", "/groups/none/users/none", admin, "")))
	assert.Equal(t, []string{"u1"}, names(t, w.Want(200, "GET", of+"/users", admin, "")))
	assert.Empty(t, names(t, w.Want(200, "GET", of+"/users?enabled=false", admin, "")))
	w.Want(400, "GET", of+"/users?password_expires_at=x", admin, "")
	assert.Equal(t, []string{"CREW"}, names(t, w.Want(200, "GET", "/users/"+u1+"/groups", admin, "")))
	assert.Empty(t, names(t, w.Want(200, "GET", "/users/"+u1+"/groups?name=other", admin, "")))
	assert.Equal(t, []string{"CREW"}, names(t, w.Want(200, "GET", "/groups?name=crew&domain_id="+d1, admin, "")))
	w.Want(204, "DELETE", of+"/users/"+u1, admin, "")
	w.Want(404, "DELETE", of+"/users/"+u1, admin, "")
	w.Want(204, "PUT", of+"/users/"+u1, admin, "")
	w.Want(204, "DELETE", of, admin, "")
	w.Want(404, "GET", of, admin, "")
	assert.Empty(t, names(t, w.Want(200, "GET", "/users/"+u1+"/groups", admin, "")))
}

// What each kind's bodies may not be.
func TestWrongBodies(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	for key, path := range map[string]string{"domain": "/domains", "project": "/projects", "user": "/users", "group": "/groups"} {
		long := "x123456789012345678901234567890123456789012345678901234567890123456789"
		for _, body := range []string{``, `null`, `[]`, `{}`, `{"x": {"name": "a"}}`, `{"` + key + `": []}`, `{"` + key + `": {}}`, `{"` + key + `": {"name": ""}}`, `{"` + key + `": {"name": "  "}}`, `{"` + key + `": {"name": null}}`,
			`{"` + key + `": {"name": "a", "domain_id": ""}}`, `{"` + key + `": {"name": "a", "domain_id": "a b"}}`, `{"` + key + `": {"name": "a", "description": 1}}`, `{"` + key + `": {"name": "a"}, "more": 1}`,
			`{"` + key + `": {"name": "a", "enabled": "perhaps"}}`, `{"` + key + `": {"name": "` + long + long + long + long + `"}}`, `{"` + key + `": {"name": "` + long + `"}}`,
			`{"` + key + `": {"name": "a", "options": {"x": true}}}`, `{"` + key + `": {"name": "a", "options": {"immutable": "yes"}}}`, `{"` + key + `": {"name": "a", "tags": ["a,b"]}}`,
		} {
			a := w.Do("POST", path, admin, body)
			kept := key == "group" && (contains(body, "enabled") || contains(body, "options")) || (key == "group" || key == "user") && (contains(body, "tags") || body == `{"`+key+`": {"name": "`+long+`"}}`) ||
				key == "domain" && contains(body, "domain_id")
			if kept { // no field of this kind
				assert.Less(t, a.Status, 500)
				continue
			}
			assert.Equal(t, 400, a.Status, "%s %s: %s", path, body, a.Body)
		}
	}
	many := `"` + long(16<<10) + `"`
	assert.Equal(t, 413, w.Do("POST", "/groups", admin, `{"group": {"name": "a", "x": `+many+`}}`).Status)
}
