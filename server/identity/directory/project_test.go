package directory_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// line makes projects below each other and returns their ids, topmost first.
func (w *town) line(t *testing.T, n int) []string {
	t.Helper()
	parent := d1
	var ids []string
	for i := range n {
		parent = w.Make("projects", "project", fmt.Sprintf(`{"name": "n%d", "domain_id": "%s", "parent_id": "%s"}`, i+1, d1, parent))
		ids = append(ids, parent)
	}
	return ids
}

func TestProject(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	made := thing(t, w.Want(201, "POST", "/projects", admin, `{"project": {"name": " sea ", "tags": [" b ", "a"], "is_domain": false, "colour": {"deep": 1}, "enabled": "True"}}`), "project")
	id := made["id"].(string)
	want := map[string]any{"id": id, "name": "sea", "description": "", "domain_id": "default", "parent_id": "default", "enabled": true, "is_domain": false, "tags": []any{"a", "b"},
		"options": map[string]any{}, "colour": map[string]any{"deep": 1.0}, "links": map[string]any{"self": "http://cloud:4746/identity/v3/projects/" + id}}
	assert.Equal(t, want, made)
	assert.Equal(t, want, thing(t, w.Want(200, "GET", "/projects/"+id, admin, ""), "project"))
	w.Want(200, "HEAD", "/projects/"+id, admin, "")
	assert.Equal(t, d1, thing(t, w.Want(201, "POST", "/projects", w.callers["manager of d1"], `{"project": {"name": "mine", "domain_id": "`+d1+`"}}`), "project")["domain_id"])

	of := "/projects/" + id
	for body, status := range map[string]int{
		`{"project": {"name": "SEA"}}`: 200, `{"project": {"name": "ADMIN"}}`: 409, `{"project": {"id": "x"}}`: 400, `{"project": {"domain_id": "` + d1 + `"}}`: 400,
		`{"project": {"domain_id": "default", "parent_id": "default"}}`: 200, `{"project": {"parent_id": "` + p1 + `"}}`: 403, `{"project": {"parent_id": null}}`: 403,
		`{"project": {"is_domain": true}}`: 400, `{"project": {"is_domain": "0"}}`: 200, `{"project": {}}`: 200, `{"project": {"description": null}}`: 200,
	} {
		w.Want(status, "PATCH", of, admin, body)
	}
	assert.Equal(t, "SEA", thing(t, w.Want(200, "GET", of, admin, ""), "project")["name"])
	w.Want(200, "PATCH", of, admin, `{"project": {"options": {"immutable": true}}}`)
	for _, c := range [][3]string{{"PATCH", of, `{"project": {"name": "x"}}`}, {"DELETE", of, ""}, {"PUT", of + "/tags", `{"tags": []}`}, {"PUT", of + "/tags/x", ""}, {"DELETE", of + "/tags", ""},
		{"DELETE", of + "/tags/a", ""}} {
		assert.Contains(t, message(t, w.Want(403, c[0], c[1], admin, c[2])), "immutable", c)
	}
	w.Want(200, "PATCH", of, admin, `{"project": {"options": {"immutable": false}}}`)
	w.Want(204, "DELETE", of, admin, "")
	w.Want(404, "GET", of, admin, "")
	w.Want(404, "DELETE", of, admin, "")
	w.Want(404, "PATCH", of, admin, `{"project": {"name": "x"}}`)

	for body, says := range map[string]string{
		`"domain_id": "none"`: "Could not find domain: none.", `"parent_id": "none"`: "Could not find project: none.",
		`"parent_id": "` + p1 + `"`: "a parent in a different domain", `"parent_id": "` + d1 + `"`: "is acting as a domain",
		`"is_domain": true, "domain_id": "default"`: "only root projects", `"is_domain": true, "parent_id": "` + d1 + `"`: "only root projects",
	} {
		assert.Contains(t, message(t, w.Want(400, "POST", "/projects", admin, `{"project": {"name": "x", `+body+`}}`)), says)
	}
	d := w.Make("projects", "project", `{"name": "land", "is_domain": true, "domain_id": null, "parent_id": null}`)
	w.Want(200, "GET", "/domains/"+d, admin, "")
	w.Want(200, "PATCH", "/projects/"+d, admin, `{"project": {"name": "country", "domain_id": null, "is_domain": true}}`)
	w.Want(400, "PATCH", "/projects/"+d, admin, `{"project": {"domain_id": "default"}}`)
	w.Want(400, "PATCH", "/projects/"+d, admin, `{"project": {"is_domain": false}}`)
	w.Want(403, "DELETE", "/projects/"+d, admin, "")
}

// A disabled project has no tokens and nothing enabled below it.
func TestProjectsBelowEachOther(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{MaxProjectDepth: 3})
	admin := w.AdminToken()
	n := w.line(t, 3)
	assert.Equal(t, "Max hierarchy depth reached for "+n[2]+" branch.", message(t, w.Want(403, "POST", "/projects", admin, `{"project": {"name": "n4", "domain_id": "`+d1+`", "parent_id": "`+n[2]+`"}}`)))
	off, on := `{"project": {"enabled": false}}`, `{"project": {"enabled": true}}`
	assert.Contains(t, message(t, w.Want(403, "PATCH", "/projects/"+n[0], admin, off)), "its subtree contains enabled projects")
	w.Want(200, "PATCH", "/projects/"+n[2], admin, off)
	w.Want(200, "PATCH", "/projects/"+n[1], admin, off)
	assert.Contains(t, message(t, w.Want(403, "PATCH", "/projects/"+n[2], admin, on)), "it has disabled parents")
	assert.Contains(t, message(t, w.Want(400, "POST", "/projects", admin, `{"project": {"name": "x", "domain_id": "`+d1+`", "parent_id": "`+n[1]+`"}}`)), n[1])
	w.Want(200, "PATCH", "/projects/"+n[1], admin, on)
	w.Want(200, "PATCH", "/projects/"+n[2], admin, on)
	assert.Contains(t, message(t, w.Want(403, "DELETE", "/projects/"+n[0], admin, "")), "not a leaf")

	member := w.callers["member of p1"]
	w.Want(200, "GET", "/projects/"+p1, member, "")
	w.Pass(1e9)
	w.Want(200, "PATCH", "/projects/"+p1, admin, off)
	w.Want(401, "GET", "/projects/"+p1, member, "")
	assert.Equal(t, []string{"p1"}, names(t, w.Want(200, "GET", "/users/"+u1+"/projects", admin, "")))
	assert.Empty(t, names(t, w.Want(200, "GET", "/users/"+u1+"/projects?enabled=true", admin, "")))
	w.Want(200, "PATCH", "/projects/"+p1, admin, on)
	w.Want(401, "GET", "/projects/"+p1, member, "") // it was from before
}

func TestFamily(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	n := w.line(t, 3)
	side := w.Make("projects", "project", `{"name": "side", "domain_id": "`+d1+`", "parent_id": "`+n[0]+`"}`)
	w.Upsert(&structs.IdentityUpsertRequest{Grants: []structs.Grant{{UserID: u1, ProjectID: structs.ProjectID(n[0]), RoleID: w.Role("reader")}, {UserID: u1, ProjectID: structs.ProjectID(n[1]), RoleID: w.Role("reader")},
		{UserID: u1, ProjectID: structs.ProjectID(side), RoleID: w.Role("reader")}}})
	me := w.Token(u1, token.Scope{Project: structs.ProjectID(n[1])})
	get := func(token, path string) map[string]any {
		return thing(t, w.Want(200, "GET", "/projects/"+path, token, ""), "project")
	}
	listed := func(v any) (out []string) {
		for _, x := range v.([]any) {
			p := x.(map[string]any)["project"].(map[string]any)
			out = append(out, p["name"].(string))
		}
		return out
	}
	v := get(me, n[1]+"?parents_as_list&subtree_as_list&include_limits")
	assert.Equal(t, []string{"n1"}, listed(v["parents"]))
	assert.Empty(t, listed(v["subtree"]), "only what the caller has a role on")
	assert.Equal(t, []any{}, v["parents"].([]any)[0].(map[string]any)["project"].(map[string]any)["limits"])
	assert.NotContains(t, get(me, n[1]+"?parents_as_list=0"), "parents")
	admin := w.AdminToken()
	assert.Equal(t, map[string]any{n[1]: map[string]any{n[0]: map[string]any{d1: nil}}}, get(admin, n[2]+"?parents_as_ids")["parents"])
	assert.Equal(t, map[string]any{n[1]: map[string]any{n[2]: nil}, side: nil}, get(admin, n[0]+"?subtree_as_ids")["subtree"])
	assert.Equal(t, map[string]any{p1: nil, n[0]: map[string]any{n[1]: map[string]any{n[2]: nil}, side: nil}}, get(admin, d1+"?subtree_as_ids")["subtree"])
	assert.Nil(t, get(admin, n[2]+"?subtree_as_ids")["subtree"])
	assert.Nil(t, get(admin, d1+"?parents_as_ids")["parents"])
	mine := w.Token(u1, token.Scope{Project: structs.ProjectID(n[0])})
	assert.ElementsMatch(t, []string{"n2", "side"}, listed(get(mine, n[0]+"?subtree_as_list")["subtree"]))
	w.Want(400, "GET", "/projects/"+n[0]+"?parents_as_list&parents_as_ids", admin, "")
	w.Want(400, "GET", "/projects/"+n[0]+"?subtree_as_list=1&subtree_as_ids=1", admin, "")
}

func TestTags(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	for _, of := range []string{"/projects/" + p1 + "/tags", "/projects/" + d1 + "/tags"} {
		a := w.Want(200, "PUT", of, admin, `{"tags": ["red", " blue "]}`)
		assert.JSONEq(t, `{"tags": ["red", "blue"], "links": {"self": "http://cloud:4746/identity/v3`+of+`"}}`, a.Body)
		assert.Contains(t, w.Want(200, "GET", of, admin, "").Body, `["blue","red"]`)
		a = w.Want(201, "PUT", of+"/deep%20green", admin, "")
		assert.Equal(t, "http://cloud:4746/identity/v3"+of+"/deep%20green", a.Header.Get("Location"))
		w.Want(204, "GET", of+"/deep%20green", admin, "")
		w.Want(204, "HEAD", of+"/red", admin, "")
		w.Want(404, "GET", of+"/Red", admin, "")
		w.Want(400, "PUT", of+"/red", admin, "")
		w.Want(204, "DELETE", of+"/red", admin, "")
		assert.Equal(t, "Could not find project tag: red.", message(t, w.Want(404, "DELETE", of+"/red", admin, "")))
		for _, bad := range []string{"a,b", "a/b", strings.Repeat("x", 256), " "} {
			w.Want(400, "PUT", of+"/"+url.PathEscape(bad), admin, "")
			w.Want(400, "PUT", of, admin, `{"tags": ["`+bad+`x/"]}`)
		}
		many := make([]string, 80)
		for i := range many {
			many[i] = fmt.Sprint("t", i)
		}
		w.Want(200, "PUT", of, admin, `{"tags": ["`+strings.Join(many, `","`)+`"]}`)
		w.Want(400, "PUT", of+"/t80", admin, "")
		w.Want(400, "PUT", of, admin, `{"tags": ["`+strings.Join(append(many, "t80"), `","`)+`"]}`)
		for _, bad := range []string{`{}`, `{"tags": ["a", "a"]}`, `{"tags": [""]}`, `{"tags": [1]}`, `{"tags": [], "x": 1}`} {
			w.Want(400, "PUT", of, admin, bad)
		}
		w.Want(204, "DELETE", of, admin, "")
		assert.Contains(t, w.Want(200, "GET", of, admin, "").Body, `"tags":[]`)
	}
}

func TestProjectFilters(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	for name, tags := range map[string]string{"x": `"red", "blue"`, "y": `"red"`, "z": ""} {
		w.Make("projects", "project", `{"name": "`+name+`", "domain_id": "`+d2+`", "parent_id": "`+p2+`", "enabled": `+fmt.Sprint(name != "z")+`, "tags": [`+tags+`]}`)
	}
	for q, want := range map[string]string{
		"domain_id=" + d2: "p2 x y z", "parent_id=" + p2: "x y z", "parent_id=" + d2: "p2", "name=X": "x", "domain_id=" + d2 + "&enabled=0": "z", "name__startswith=p": "p1 p2",
		"name__icontains=P2": "p2", "domain_id=none": "", "is_domain=true&name=d1": "d1", "is_domain=0&name=d1": "", "is_domain&domain_id=" + d1: "",
		"parent_id=" + p2 + "&tags=red": "x y", "parent_id=" + p2 + "&tags=red,blue": "x", "parent_id=" + p2 + "&tags-any=blue,none": "x", "parent_id=" + p2 + "&not-tags=red,blue": "y z",
		"parent_id=" + p2 + "&not-tags-any=red,blue": "z", "parent_id=" + p2 + "&tags=red&not-tags-any=blue": "y", "parent_id=" + p2 + "&colour=red": "x y z",
	} {
		a := w.Want(200, "GET", "/projects?"+q, admin, "")
		assert.ElementsMatch(t, strings.Fields(want), names(t, a), q)
	}
	for _, q := range []string{"limit=-1", "limit=x", "enabled=perhaps", "name=" + strings.Repeat("x", 65), "domain_id=a/b"} {
		w.Want(400, "GET", "/projects?"+q, admin, "")
	}
}

// Pages are by id and lead to each other until the last, which is not full.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	for _, kind := range []string{"domains", "users", "projects"} {
		all := names(t, w.Want(200, "GET", "/"+kind, admin, ""))
		var got []string
		pages := 0
		for next := "/identity/v3/" + kind + "?limit=2"; next != ""; pages++ {
			a := w.Want(200, "GET", next, admin, "")
			got = append(got, names(t, a)...)
			link, _ := thing(t, a, "links")["next"].(string)
			next = strings.TrimPrefix(link, "http://cloud:4746")
			assert.Equal(t, next != "", a.JSON(t)["truncated"] == true)
		}
		assert.Equal(t, all, got)
		require.Equal(t, len(all)/2+1, pages)
	}
	assert.Equal(t, "Marker none could not be found.", message(t, w.Want(404, "GET", "/users?limit=1&marker=none", admin, "")))
}
