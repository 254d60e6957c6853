package image

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tricks in paths lead to no image, no tag and no member that is not named, and what is refused is refused in Glance's form.
func TestPathTricks(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{"tags": ["t"]}`)
	strange := c.image(member, `{"name": "../../\u202e", "../../etc/passwd": "\u0000", "a/b~c": "d", "tags": ["..", "a/b", "\u0007", "ü"]}`)
	v := c.get(member, "/v2/images/"+strange).want(t, 200).json(t)
	require.Equal(t, []any{"../../\u202e", "\x00", "d", []any{"\a", "..", "a/b", "ü"}}, []any{v["name"], v["../../etc/passwd"], v["a/b~c"], v["tags"]})
	for _, tag := range []string{"%2E%2E", "a%2Fb", "%07", "%C3%BC"} {
		c.do(member, "DELETE", "/v2/images/"+strange+"/tags/"+tag, nil).want(t, 204)
	}
	v = c.patch(member, strange, `[{"op": "remove", "path": "/..~1..~1etc~1passwd"}, {"op": "replace", "path": "/a~1b~0c", "value": "e"}]`).want(t, 200).json(t)
	require.Equal(t, "e", v["a/b~c"])
	require.NotContains(t, v, "../../etc/passwd")

	for _, one := range []string{"%2e%2e", "%00", id + "%00", id + "%20", id[:35], id + "0", "%2e%2e%2f" + id, "*", "%25", "-", long(5000), strings.ReplaceAll(id, "-", "")} {
		for _, path := range []string{"", "/file", "/members", "/members/p2"} {
			a := c.get(member, "/v2/images/"+one+path).want(t, 404)
			var fault struct{ Code string }
			require.NoError(t, json.Unmarshal(a.body, &fault))
			require.Equal(t, "404 Not Found", fault.Code)
		}
		c.patch(member, one, `[]`).want(t, 404)
		c.do(member, "DELETE", "/v2/images/"+one, nil).want(t, 404)
		c.do(member, "PUT", "/v2/images/"+one+"/tags/t", nil).want(t, 404)
		c.put(member, one, []byte("x")).want(t, 404)
		c.do(member, "POST", "/v2/images/"+one+"/actions/deactivate", nil).want(t, 404)
	}
	for _, path := range []string{id + "/../" + strange, id + "/tags/", id + "/tags/a/b", id + "/members/", id + "/", id + "/actions", id + "//file"} {
		require.GreaterOrEqual(t, c.do(member, "DELETE", "/v2/images/"+path, nil).StatusCode, 400, path)
	}
	require.NotNil(t, c.stored(id))
	require.NotNil(t, c.stored(strange))
	require.Equal(t, []string{"t"}, c.stored(id).Tags)
	require.Equal(t, strings.ToLower(id), c.get(member, "/v2/images/"+strings.ToUpper(id)).want(t, 200).json(t)["id"])
}

// A wrong body is 400, on every row that has one, and changes nothing.
func TestWrongBodies(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, `{}`)
	c.share(member, id, "p2").want(t, 200)
	before := *c.stored(id)
	for _, row := range []struct{ token, method, path, kind string }{
		{member, "POST", "/v2/images", "application/json"}, {member, "PATCH", "/v2/images/" + id, patchV21}, {member, "PATCH", "/v2/images/" + id, patchV20},
		{member, "POST", "/v2/images/" + id + "/members", "application/json"}, {other, "PUT", "/v2/images/" + id + "/members/p2", "application/json"},
		{member, "POST", "/v2/images/" + id + "/import", "application/json"}, {admin, "POST", "/v2/tasks", "application/json"},
	} {
		for _, body := range []string{"", "null", "5", `"x"`, "true", "{", "[", "[[]]", "[null]", `{"a":}`, "\xff", "\x00", `{"member": {}, "status": {}, "name": {}}`, `{"member": [], "status": [], "tags": {}}`,
			strings.Repeat("[", 20000), `[{"op": {}, "path": "/name", "value": "x"}]`, `[{"add": {}, "value": "x"}]`} {
			a := c.do(row.token, row.method, row.path, strings.NewReader(body), "Content-Type: "+row.kind)
			require.Equal(t, 400, a.StatusCode, "%v %.60s: %s", row, body, a.body)
			v := a.json(t)
			require.Equal(t, []any{"400 Bad Request", "Bad Request"}, []any{v["code"], v["title"]})
			require.NotEmpty(t, v["message"])
		}
		a := c.do(row.token, row.method, row.path, strings.NewReader(`{}`), "Content-Type: application/xml")
		require.Equal(t, 415, a.StatusCode, "%v", row)
	}
	require.Equal(t, before, *c.stored(id))
	for _, path := range []string{"/v2/images", "/v2/images/" + id, "/v2/images/" + id + "/members", "/v2/images/" + id + "/members/p2", "/v2/images/" + id + "/actions/deactivate", "/v2/info/usage"} {
		c.do(member, http.MethodTrace, path, nil).want(t, 405)
	}
}
