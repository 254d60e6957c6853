package directory_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/directory"
)

func (w *town) group(t *testing.T, g structs.GroupID, u structs.UserID, d structs.DomainID) {
	t.Helper()
	_, err := fsm.GroupWrite.Propose(context.Background(), w.Core, &structs.GroupWriteRequest{Group: structs.Group{ID: g, Name: string(g), DomainID: d}})
	require.NoError(t, err)
	_, err = fsm.MembershipWrite.Propose(context.Background(), w.Core, &structs.MembershipWriteRequest{Membership: structs.Membership{UserID: u, GroupID: g}})
	require.NoError(t, err)
}

// rights are who may do what, by the rules' names: a request about d1's things, and about one that is not there. Administrators may do all of it. Everybody else
// gets 403, for what is there and for what is not, and without a token 401.
var rights = []struct {
	rule, method, path, body string
	status                   int
	missing                  string // the path of what is not there
	who                      string // beside the administrators
}{
	{"list_domains", "GET", "/domains", "", 200, "", "system reader, reader of d1, manager of d1, reader of d2, manager of d2"},
	{"get_domain", "GET", "/domains/" + d1, "", 200, "/domains/none", "system reader, reader of d1, manager of d1, member of p1, project reader"},
	{"create_domain", "POST", "/domains", `{"domain": {"name": "NEW"}}`, 201, "", ""},
	{"update_domain", "PATCH", "/domains/" + d1, `{"domain": {"description": "x"}}`, 200, "/domains/none", ""},
	{"delete_domain", "DELETE", "/domains/" + d1, "", 403, "/domains/none", ""},
	{"get_domain_config", "GET", "/domains/" + d1 + "/config", "", 404, "/domains/none/config", "system reader"},
	{"get_domain_config", "GET", "/domains/" + d1 + "/config/ldap", "", 404, "", "system reader"},
	{"get_domain_config_default", "GET", "/domains/config/default", "", 200, "", "system reader"},
	{"create_domain_config", "PUT", "/domains/" + d1 + "/config", `{"config": {"identity": {"driver": "ldap"}}}`, 403, "", ""},
	{"update_domain_config", "PATCH", "/domains/" + d1 + "/config", `{"config": {"identity": {"driver": "ldap"}}}`, 403, "", ""},
	{"delete_domain_config", "DELETE", "/domains/" + d1 + "/config", "", 204, "/domains/none/config", ""},
	{"get_security_compliance_domain_config", "GET", "/domains/default/config/security_compliance", "", 200, "",
		"system reader, reader of d1, manager of d1, reader of d2, manager of d2, member of p1, member of p2, project reader, unscoped u1"},

	{"list_projects", "GET", "/projects", "", 200, "", "system reader, reader of d1, manager of d1, reader of d2, manager of d2"},
	{"get_project", "GET", "/projects/" + p1, "", 200, "/projects/none", "system reader, reader of d1, manager of d1, member of p1, project reader"},
	{"get_project", "GET", "/projects/" + d1, "", 200, "", "system reader"},
	{"create_project", "POST", "/projects", `{"project": {"name": "NEW", "domain_id": "` + d1 + `"}}`, 201, "", "manager of d1"},
	{"create_project", "POST", "/projects", `{"project": {"name": "NEW", "is_domain": true}}`, 201, "", ""},
	{"update_project", "PATCH", "/projects/" + p1, `{"project": {"description": "x"}}`, 200, "/projects/none", "manager of d1"},
	{"update_project", "PATCH", "/projects/" + d1, `{"project": {"description": "x"}}`, 200, "", ""},
	{"delete_project", "DELETE", "/projects/NEWP", "", 204, "/projects/none", "manager of d1"},
	{"list_project_tags", "GET", "/projects/" + p1 + "/tags", "", 200, "/projects/none/tags", "system reader, reader of d1, manager of d1, member of p1, project reader"},
	{"get_project_tag", "GET", "/projects/" + p1 + "/tags/blue", "", 204, "/projects/" + p1 + "/tags/red!", "system reader, reader of d1, manager of d1, member of p1, project reader"},
	{"update_project_tags", "PUT", "/projects/" + p1 + "/tags", `{"tags": ["blue"]}`, 200, "/projects/none/tags", "manager of d1"},
	{"create_project_tag", "PUT", "/projects/" + p1 + "/tags/NEW", "", 201, "/projects/none/tags/x", "manager of d1"},
	{"delete_project_tag", "DELETE", "/projects/" + p1 + "/tags/blue", "", 204, "/projects/none/tags/x", "manager of d1"},
	{"delete_project_tags", "DELETE", "/projects/" + p1 + "/tags", "", 204, "/projects/none/tags", "manager of d1"},

	{"list_users", "GET", "/users", "", 200, "", "system reader, reader of d1, manager of d1, reader of d2, manager of d2"},
	{"get_user", "GET", "/users/" + u1, "", 200, "/users/none", "system reader, reader of d1, manager of d1, member of p1, unscoped u1"},
	{"list_user_projects", "GET", "/users/" + u1 + "/projects", "", 200, "/users/none/projects", "system reader, reader of d1, manager of d1, member of p1, unscoped u1"},
	{"list_groups_for_user", "GET", "/users/" + u1 + "/groups", "", 200, "/users/none/groups", "system reader, reader of d1, manager of d1, member of p1, unscoped u1"},
	{"create_user", "POST", "/users", `{"user": {"name": "NEW", "domain_id": "` + d1 + `"}}`, 201, "", "manager of d1"},
	{"update_user", "PATCH", "/users/" + u1, `{"user": {"description": "x"}}`, 200, "/users/none", "manager of d1"},
	{"delete_user", "DELETE", "/users/NEWU", "", 204, "/users/none", "manager of d1"},

	{"list_groups", "GET", "/groups", "", 200, "", "system reader, reader of d1, manager of d1, reader of d2, manager of d2"},
	{"get_group", "GET", "/groups/" + g1, "", 200, "/groups/none", "system reader, reader of d1, manager of d1"},
	{"create_group", "POST", "/groups", `{"group": {"name": "NEW", "domain_id": "` + d1 + `"}}`, 201, "", "manager of d1"},
	{"update_group", "PATCH", "/groups/" + g1, `{"group": {"description": "x"}}`, 200, "/groups/none", "manager of d1"},
	{"delete_group", "DELETE", "/groups/NEWG", "", 204, "/groups/none", "manager of d1"},
	{"list_users_in_group", "GET", "/groups/" + g1 + "/users", "", 200, "/groups/none/users", "system reader, reader of d1, manager of d1"},
	{"check_user_in_group", "GET", "/groups/" + g1 + "/users/" + u1, "", 204, "/groups/" + g1 + "/users/none", "system reader, reader of d1, manager of d1"},
	{"check_user_in_group", "GET", "/groups/" + g1 + "/users/" + u2, "", 404, "/groups/none/users/" + u1, "system reader"},
	{"add_user_to_group", "PUT", "/groups/" + g1 + "/users/" + u1, "", 204, "/groups/" + g1 + "/users/none", "manager of d1"},
	{"add_user_to_group", "PUT", "/groups/" + g1 + "/users/" + u2, "", 204, "/groups/none/users/" + u1, ""},
	{"remove_user_from_group", "DELETE", "/groups/" + g1 + "/users/" + u1, "", 204, "/groups/" + g1 + "/users/none", "manager of d1"},
}

// TestRights walks who may do what. It has a row for every rule of the room.
func TestRights(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range rights {
		seen["identity:"+c.rule] = true
		t.Run(c.rule+" "+c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, base.Options{})
			w.groups(t)
			may := append(strings.Split(c.who, ", "), "admin", "system admin")
			for i, who := range slices.Sorted(maps.Keys(w.callers)) {
				want := 403
				switch {
				case who == "":
					want = 401
				case slices.Contains(may, who):
					want = c.status
				}
				// what a request makes or takes away is another for each
				path, body := w.fresh(c.path, i), strings.ReplaceAll(c.body, "NEW", "new "+who)
				w.again(c.rule)
				a := w.Do(c.method, path, w.callers[who], body)
				assert.Equal(t, want, a.Status, "%q: %s", who, a.Body)
				if c.missing != "" && who != "" {
					lost := 403 // nobody's domain is that of what is not there
					if listed := slices.Contains(may, who); listed && (strings.HasSuffix(who, "admin") || who == "system reader" || strings.HasPrefix(c.missing, "/projects/"+p1)) {
						lost = 404
					}
					b := w.Do(c.method, c.missing, w.callers[who], body)
					assert.Equal(t, lost, b.Status, "%q, of what is not there: %s", who, b.Body)
				}
			}
		})
	}
	for _, r := range directory.Routes(base.Options{}) {
		assert.True(t, r.Rule == httpapi.Anyone || seen[r.Rule.Name()], "no row for %s", r.Rule.Name())
	}
}

// fresh makes what a request is to remove.
func (w *town) fresh(path string, n int) string {
	name := "gone" + string(rune('a'+n))
	switch {
	case strings.Contains(path, "NEWP"):
		return strings.Replace(path, "NEWP", w.Make("projects", "project", `{"name": "`+name+`", "domain_id": "`+d1+`"}`), 1)
	case strings.Contains(path, "NEWU"):
		return strings.Replace(path, "NEWU", w.Make("users", "user", `{"name": "`+name+`", "domain_id": "`+d1+`"}`), 1)
	case strings.Contains(path, "NEWG"):
		return strings.Replace(path, "NEWG", w.Make("groups", "group", `{"name": "`+name+`", "domain_id": "`+d1+`"}`), 1)
	}
	return strings.Replace(path, "NEW", name, 1)
}

// again puts back what the caller before may have taken away.
func (w *town) again(rule string) {
	switch rule {
	case "delete_project_tag", "delete_project_tags":
		w.Want(http.StatusOK, "PUT", "/projects/"+p1+"/tags", w.AdminToken(), `{"tags": ["blue"]}`)
	case "remove_user_from_group":
		w.Want(http.StatusNoContent, "PUT", "/groups/"+g1+"/users/"+u1, w.AdminToken(), "")
	}
}

// TestScopeOfLists: a token on a domain sees what is in it, whatever it asks for.
func TestScopeOfLists(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	w.groups(t)
	w.Want(204, "PUT", "/groups/"+g1+"/users/"+u2, w.AdminToken(), "")
	for path, want := range map[string]string{
		"/domains": "d1", "/projects": "p1", "/projects?is_domain=true": "", "/projects?domain_id=" + d2: "", "/groups": g1, "/groups?domain_id=" + d2: "",
		"/users?name=u1": "u1", "/users?name=u2": "", "/groups/" + g1 + "/users": "u1", "/users/" + u1 + "/groups": g1,
	} {
		a := w.Want(200, "GET", path, w.callers["reader of d1"], "")
		assert.Equal(t, want, strings.Join(names(t, a), ","), path)
	}
	assert.ElementsMatch(t, []string{"u1", "u2"}, names(t, w.Want(200, "GET", "/groups/"+g1+"/users", w.AdminToken(), "")))
	// a token on a domain makes things in it
	for _, kind := range []string{"user", "group", "project"} {
		w.Want(403, "POST", "/"+kind+"s", w.callers["manager of d1"], `{"`+kind+`": {"name": "x", "domain_id": "`+d2+`"}}`)
		w.Want(403, "POST", "/"+kind+"s", w.callers["manager of d1"], `{"`+kind+`": {"name": "x"}}`) // Keystone's rule looks at the body alone
	}
}
