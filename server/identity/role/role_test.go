package role_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// world is a cloud with a second domain, a user, a group and a project in each, and tokens of people of every kind.
type world struct {
	*identitytest.Cloud
	user, group, project, tokens map[string]string // by domain, or by person
}

func newWorld(t *testing.T) *world {
	w := &world{Cloud: identitytest.New(t, base.Options{}), user: map[string]string{}, group: map[string]string{}, project: map[string]string{}, tokens: map[string]string{}}
	ctx := t.Context()
	must := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	for _, d := range []string{"default", "other"} {
		if d == "other" {
			must(fsm.DomainWrite.Propose(ctx, w.Core, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "other", Name: "Other", Enabled: true}}))
		}
		w.user[d], w.group[d], w.project[d] = d+"-user", d+"-group", d+"-project"
		must(fsm.UserWrite.Propose(ctx, w.Core, &structs.UserWriteRequest{User: structs.User{ID: structs.UserID(w.user[d]), DomainID: structs.DomainID(d), Name: w.user[d], Enabled: true}}))
		must(fsm.GroupWrite.Propose(ctx, w.Core, &structs.GroupWriteRequest{Group: structs.Group{ID: structs.GroupID(w.group[d]), DomainID: structs.DomainID(d), Name: w.group[d]}}))
		must(fsm.ProjectWrite.Propose(ctx, w.Core, &structs.ProjectWriteRequest{Project: structs.Project{ID: structs.ProjectID(w.project[d]), DomainID: structs.DomainID(d), Name: w.project[d], Enabled: true}}))
	}
	person := func(name, role string, g structs.Grant, s token.Scope) {
		u := structs.User{ID: structs.UserID(name), DomainID: "default", Name: name, Enabled: true}
		must(fsm.UserWrite.Propose(ctx, w.Core, &structs.UserWriteRequest{User: u}))
		g.UserID, g.RoleID = u.ID, w.Role(role)
		must(fsm.GrantWrite.Propose(ctx, w.Core, &structs.GrantWriteRequest{Grant: g}))
		w.tokens[name] = w.Token(u.ID, s)
	}
	w.tokens["admin"], w.tokens["member"] = w.AdminToken(), w.DemoToken()
	person("system reader", "reader", structs.Grant{System: true}, token.Scope{System: true})
	for _, role := range []string{"reader", "manager", "admin"} {
		person("domain "+role, role, structs.Grant{DomainID: "default"}, token.Scope{Domain: "default"})
	}
	return w
}

// TestRoles is the life of a role, of all domains and of one.
func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.tokens["admin"]
	id := w.Make("roles", "role", `{"name": "operator", "description": "operates", "colour": "red"}`)
	one := func(a identitytest.Answer) map[string]any { return a.JSON(t)["role"].(map[string]any) }
	got := one(w.Want(200, "GET", "/roles/"+id, admin, ""))
	assert.Equal(t, map[string]any{"id": id, "name": "operator", "description": "operates", "colour": "red", "domain_id": nil, "options": map[string]any{},
		"links": map[string]any{"self": "http://cloud:4746/identity/v3/roles/" + id}}, got)
	w.Want(409, "POST", "/roles", admin, `{"role": {"name": "OPERATOR"}}`)
	own := w.Make("roles", "role", `{"name": "operator", "domain_id": "other"}`)
	assert.Len(t, w.Want(200, "GET", "/roles", admin, "").JSON(t)["roles"], 6, "a domain's own are not among them")
	assert.Len(t, w.Want(200, "GET", "/roles?domain_id=other", admin, "").JSON(t)["roles"], 1)
	assert.Len(t, w.Want(200, "GET", "/roles?name__contains=opera", admin, "").JSON(t)["roles"], 1)
	w.Want(400, "PATCH", "/roles/"+own, admin, `{"role": {"domain_id": "default"}}`)

	assert.Equal(t, "works", one(w.Want(200, "PATCH", "/roles/"+id, admin, `{"role": {"description": "works", "colour": null}}`))["description"])
	w.Want(200, "PATCH", "/roles/"+id, admin, `{"role": {"options": {"immutable": true}}}`)
	w.Want(403, "PATCH", "/roles/"+id, admin, `{"role": {"name": "x"}}`)
	w.Want(403, "DELETE", "/roles/"+id, admin, "")
	w.Want(200, "PATCH", "/roles/"+id, admin, `{"role": {"options": {"immutable": false}}}`)
	w.Want(204, "DELETE", "/roles/"+id, admin, "")
	w.Want(404, "GET", "/roles/"+id, admin, "")
	for body, says := range map[string]string{`{"role": {}}`: "'name' is a required property", `{"role": {"name": ""}}`: "Invalid input for field 'name'", `{"role": {"name": " "}}`: "'name'",
		`{"role": {"name": "x", "options": {"x": 1}}}`: "Additional properties", `{"role": {"name": 1}}`: "is not of type 'string'", `{}`: "'role' is a required property"} {
		assert.Contains(t, w.Want(400, "POST", "/roles", admin, body).Body, says, body)
	}
	w.Want(404, "POST", "/roles", admin, `{"role": {"name": "x", "domain_id": "none"}}`)
}

// TestImplications is what roles imply, and what may not be implied.
func TestImplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.tokens["admin"]
	a, b := w.Make("roles", "role", `{"name": "a"}`), w.Make("roles", "role", `{"name": "b"}`)
	path := "/roles/" + a + "/implies/" + b
	w.Want(404, "GET", path, admin, "")
	w.Want(404, "HEAD", path, admin, "")
	made := w.Want(201, "PUT", path, admin, "").JSON(t)["role_inference"].(map[string]any)
	assert.Equal(t, "a", made["prior_role"].(map[string]any)["name"])
	assert.Equal(t, "b", made["implies"].(map[string]any)["name"])
	w.Want(201, "PUT", path, admin, "")
	w.Want(204, "HEAD", path, admin, "")
	w.Want(400, "PUT", "/roles/"+b+"/implies/"+a, admin, "")
	w.Want(403, "PUT", "/roles/"+a+"/implies/"+string(w.Role("admin")), admin, "")
	w.Want(404, "PUT", "/roles/"+a+"/implies/none", admin, "")
	assert.Len(t, w.Want(200, "GET", "/roles/"+a+"/implies", admin, "").JSON(t)["role_inference"].(map[string]any)["implies"], 1)
	assert.Len(t, w.Want(200, "GET", "/role_inferences", admin, "").JSON(t)["role_inferences"], 4, "admin, manager, member and a imply one each")
	w.Want(204, "DELETE", path, admin, "")
	w.Want(404, "DELETE", path, admin, "")
	w.Want(200, "GET", "/role_inferences", w.tokens["system reader"], "")
	w.Want(403, "GET", "/role_inferences", w.tokens["member"], "")
	w.Want(403, "PUT", path, w.tokens["domain manager"], "")
}

// TestGrantPlaces makes, finds, lists and takes away a grant everywhere that there can be one, and sees it in the list of assignments.
func TestGrantPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, role := w.tokens["admin"], string(w.Role("member"))
	for _, c := range []struct{ list, one string }{
		{"/projects/default-project/users/other-user/roles", "/" + role}, {"/projects/default-project/groups/default-group/roles", "/" + role},
		{"/domains/other/users/default-user/roles", "/" + role}, {"/domains/other/groups/default-group/roles", "/" + role},
		{"/system/users/default-user/roles", "/" + role}, {"/system/groups/default-group/roles", "/" + role},
		{"/OS-INHERIT/projects/default-project/users/other-user/roles", "/" + role + "/inherited_to_projects"},
		{"/OS-INHERIT/projects/default-project/groups/other-group/roles", "/" + role + "/inherited_to_projects"},
		{"/OS-INHERIT/domains/other/users/default-user/roles", "/" + role + "/inherited_to_projects"},
		{"/OS-INHERIT/domains/other/groups/default-group/roles", "/" + role + "/inherited_to_projects"},
	} {
		path, list := c.list+c.one, c.list
		if len(c.one) > len(role)+1 {
			list += "/inherited_to_projects"
		}
		before := len(w.Want(200, "GET", "/role_assignments", admin, "").JSON(t)["role_assignments"].([]any))
		w.Want(404, "HEAD", path, admin, "")
		w.Want(404, "DELETE", path, admin, "")
		w.Want(204, "PUT", path, admin, "")
		w.Want(204, "PUT", path, admin, "")
		w.Want(204, "HEAD", path, admin, "")
		w.Want(204, "GET", path, admin, "")
		assert.Len(t, w.Want(200, "GET", list, admin, "").JSON(t)["roles"], 1, list)
		all := w.Want(200, "GET", "/role_assignments?include_names", admin, "")
		assert.Len(t, all.JSON(t)["role_assignments"], before+1)
		assert.Contains(t, all.Body, `"assignment":"http://cloud:4746/identity/v3`+path+`"`)
		w.Want(204, "DELETE", path, admin, "")
		assert.Empty(t, w.Want(200, "GET", list, admin, "").JSON(t)["roles"], list)
	}
	for _, path := range []string{"/projects/none/users/default-user/roles/" + role, "/projects/default-project/users/none/roles/" + role,
		"/projects/default-project/users/default-user/roles/none", "/domains/none/groups/default-group/roles/" + role, "/system/users/none/roles/" + role} {
		w.Want(404, "PUT", path, admin, "")
	}
	own := w.Make("roles", "role", `{"name": "own", "domain_id": "other"}`)
	w.Want(403, "PUT", "/projects/default-project/users/default-user/roles/"+own, admin, "")
	w.Want(204, "PUT", "/projects/other-project/users/default-user/roles/"+own, admin, "")
	w.Want(403, "PUT", "/system/users/default-user/roles/"+own, admin, "")
}

// TestWhoMay is the table of people and requests. What one may not see is refused alike whether it is there or not.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	member, root := string(w.Role("member")), string(w.Role("admin"))
	people := []string{"admin", "system reader", "domain admin", "domain manager", "domain reader", "member"}
	for _, c := range []struct {
		method, path string
		status       []int
	}{
		{"GET", "/roles", []int{200, 200, 200, 200, 403, 403}},
		{"GET", "/roles/" + member, []int{200, 200, 200, 200, 403, 403}},
		{"GET", "/roles/" + root, []int{200, 200, 200, 403, 403, 403}},
		{"GET", "/roles/none", []int{404, 404, 404, 403, 403, 403}},
		{"DELETE", "/roles/none", []int{404, 403, 404, 403, 403, 403}},
		{"GET", "/roles?domain_id=default", []int{200, 200, 200, 403, 403, 403}},
		{"GET", "/projects/default-project/users/default-user/roles", []int{200, 200, 200, 200, 200, 403}},
		{"GET", "/projects/other-project/users/default-user/roles", []int{200, 200, 200, 403, 403, 403}},
		{"GET", "/projects/default-project/users/other-user/roles", []int{200, 200, 200, 403, 403, 403}},
		{"GET", "/projects/none/users/default-user/roles", []int{404, 404, 404, 403, 403, 403}},
		{"PUT", "/projects/default-project/users/default-user/roles/" + member, []int{204, 403, 204, 204, 403, 403}},
		{"PUT", "/projects/default-project/users/default-user/roles/" + root, []int{204, 403, 204, 403, 403, 403}},
		{"PUT", "/projects/default-project/groups/default-group/roles/" + member, []int{204, 403, 204, 204, 403, 403}},
		{"PUT", "/domains/default/users/default-user/roles/" + member, []int{204, 403, 204, 204, 403, 403}},
		{"PUT", "/domains/other/users/default-user/roles/" + member, []int{204, 403, 204, 403, 403, 403}},
		{"PUT", "/projects/other-project/users/default-user/roles/" + member, []int{204, 403, 204, 403, 403, 403}},
		{"PUT", "/OS-INHERIT/domains/default/users/default-user/roles/" + member + "/inherited_to_projects", []int{204, 403, 204, 204, 403, 403}},
		{"PUT", "/system/users/default-user/roles/" + member, []int{204, 403, 204, 403, 403, 403}},
		{"GET", "/system/users/default-user/roles", []int{200, 200, 200, 403, 403, 403}},
		{"GET", "/role_assignments", []int{200, 200, 200, 200, 200, 403}},
		{"GET", "/role_assignments?include_subtree&scope.project.id=default-project", []int{200, 200, 200, 200, 200, 403}},
		{"GET", "/role_assignments?include_subtree&scope.project.id=other-project", []int{200, 200, 200, 403, 403, 403}},
	} {
		for i, who := range people {
			assert.Equal(t, c.status[i], w.Do(c.method, c.path, w.tokens[who], "").Status, "%s %s by %s", c.method, c.path, who)
		}
		assert.Equal(t, http.StatusUnauthorized, w.Do(c.method, c.path, "", "").Status)
	}
	for _, a := range w.Want(200, "GET", "/role_assignments?include_names", w.tokens["domain reader"], "").JSON(t)["role_assignments"].([]any) {
		scope := a.(map[string]any)["scope"].(map[string]any)
		if d, ok := scope["domain"].(map[string]any); ok {
			assert.Equal(t, "default", d["id"])
		} else {
			assert.Equal(t, "default", scope["project"].(map[string]any)["domain"].(map[string]any)["id"], "a domain reader sees its domain alone")
		}
	}
}

// TestAssignmentFilters is the list with every filter.
func TestAssignmentFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, member := w.tokens["admin"], string(w.Role("member"))
	must := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	must(fsm.ProjectWrite.Propose(t.Context(), w.Core, &structs.ProjectWriteRequest{Project: structs.Project{ID: "below", DomainID: "default", ParentID: "default-project", Name: "below", Enabled: true}}))
	must(fsm.MembershipWrite.Propose(t.Context(), w.Core, &structs.MembershipWriteRequest{Membership: structs.Membership{UserID: "default-user", GroupID: "default-group"}}))
	w.Want(204, "PUT", "/OS-INHERIT/projects/default-project/groups/default-group/roles/"+member+"/inherited_to_projects", admin, "")
	count := func(query string) int {
		t.Helper()
		return len(w.Want(200, "GET", "/role_assignments?"+query, admin, "").JSON(t)["role_assignments"].([]any))
	}
	assert.Equal(t, 1, count("group.id=default-group"))
	assert.Equal(t, 0, count("user.id=default-user"))
	assert.Equal(t, 2, count("user.id=default-user&effective"), "member on the project below, and reader, which it implies")
	assert.Equal(t, 1, count("user.id=default-user&effective&role.id="+string(w.Role("reader"))))
	assert.Equal(t, 2, count("effective&scope.project.id=below"))
	assert.Equal(t, 0, count("effective&scope.project.id=default-project"))
	assert.Equal(t, 2, count("effective&scope.project.id=default-project&include_subtree"))
	assert.Equal(t, 1, count("scope.OS-INHERIT:inherited_to=projects"))
	assert.Equal(t, 1, count("scope.project.id=default-project"))
	assert.Equal(t, 3, count("scope.domain.id=default"))
	assert.Equal(t, 2, count("scope.system=all"))
	a := w.Want(200, "GET", "/role_assignments?effective&include_names&user.id=default-user&role.id="+string(w.Role("reader")), admin, "").JSON(t)["role_assignments"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"membership": "http://cloud:4746/identity/v3/groups/default-group/users/default-user",
		"prior_role": "http://cloud:4746/identity/v3/prior_role/" + string(w.Role("reader")) + "/implies/" + member,
		"assignment": "http://cloud:4746/identity/v3/OS-INHERIT/projects/default-project/groups/default-group/roles/" + member + "/inherited_to_projects"}, a["links"])
	for _, query := range []string{"scope.domain.id=default&scope.project.id=below", "scope.domain.id=default&scope.system=all", "scope.project.id=below&scope.system=all",
		"user.id=a&group.id=b", "effective&group.id=a", "effective&scope.domain.id=default&scope.OS-INHERIT:inherited_to=projects", "include_subtree"} {
		w.Want(400, "GET", "/role_assignments?"+query, admin, "")
	}
}
