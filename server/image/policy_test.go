package image

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// The names and defaults are Glance's; what is asked here beside them has a name that says so.
func TestRulesAreGlances(t *testing.T) {
	t.Parallel()
	rules, err := httpapi.PolicyRules(New(Options{}))
	require.NoError(t, err)
	const owner, others = "project_id:%(project_id)s", "project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
	writes, reads := "rule:context_is_admin or (role:member and "+owner+")", "rule:context_is_admin or (role:reader and "+owner+")"
	want := map[string]string{
		"add_image": "rule:context_is_admin or (role:member and " + owner + " and project_id:%(owner)s)", "delete_image": writes, "modify_image": writes, "upload_image": writes,
		"get_image": "rule:context_is_admin or (role:reader and (" + owner + " or " + others + "))", "get_images": reads,
		"download_image":      "rule:context_is_admin or (role:member and (" + owner + " or " + others + "))",
		"download_from_store": "rule:context_is_admin or (role:member and (" + owner + " or " + others + "))",
		"publicize_image":     "rule:context_is_admin", "communitize_image": writes, "set_image_location": writes, "delete_image_location": "rule:context_is_admin",
		"deactivate": writes, "reactivate": writes, "add_member": writes, "delete_member": writes,
		"get_member": "rule:context_is_admin or role:reader and (" + owner + " or project_id:%(member_id)s)", "get_members": "rule:context_is_admin or role:reader and (" + owner + " or project_id:%(member_id)s)",
		"modify_member": "rule:context_is_admin or (role:member and project_id:%(member_id)s)", "stores_info_detail": "rule:context_is_admin or rule:service_api",
		"copy_image": "rule:context_is_admin", "get_image_location": reads, "tasks_api_access": "rule:context_is_admin", "cache_list": "rule:context_is_admin", "cache_image": "rule:context_is_admin",
		"cache_delete": "rule:context_is_admin", "cache_clean": "rule:context_is_admin", "cache_prune": "rule:context_is_admin",
		"kilonova:image:import": "@", "kilonova:image:schemas": "@", "kilonova:image:info": "@",
	}
	got := map[string]string{}
	for _, r := range rules {
		got[r.Name] = r.Check
	}
	require.Equal(t, want, got)
	_, err = policy.New(rules)
	require.NoError(t, err)
}

// A policy file overrides every rule, and never shows what is hidden.
func TestPolicyFileHolds(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	community := c.image(member, `{"visibility": "community"}`)
	public := c.image(admin, `{"visibility": "public"}`)
	path := "/v2/images/"

	c.policy("get_image: '@'\nmodify_image: '@'\ndelete_image: '@'\ndownload_image: '@'\nadd_member: '@'\nget_members: '@'\n")
	c.get(other, path+id).want(t, 404)
	c.patch(other, id, `[]`).want(t, 404)
	c.do(other, "DELETE", path+id, nil).want(t, 404)
	c.get(other, path+id+"/file").want(t, 404)
	c.share(other, id, "p2").want(t, 404)
	c.patch(other, community, `[{"op": "replace", "path": "/name", "value": "mine"}]`).want(t, 200)
	c.patch(other, public, `[{"op": "replace", "path": "/visibility", "value": "public"}]`).want(t, 403, "publicize_image")

	c.policy("get_image: \"role:admin or (project_id:%(project_id)s and 'private':%(visibility)s)\"\n")
	for _, token := range []string{member, other} {
		c.get(token, path+public).want(t, 404, "No image found with ID "+public)
		c.get(token, path+public+"/members").want(t, 404)
		c.do(token, "DELETE", path+public, nil).want(t, 404)
		c.get(token, path+public+"/file").want(t, 204) // download_image lets it
		require.Empty(t, c.ids(token, ""))
	}
	private := c.image(member, `{"visibility": "private"}`)
	require.Equal(t, []string{private}, c.ids(member, ""))
	require.Equal(t, []string{private}, c.ids(member, "limit=1"), "what is hidden takes no place")

	c.policy("publicize_image: role:member\ncommunitize_image: '!'\nadd_image: 'role:reader'\nget_images: '!'\nstores_info_detail: '@'\nkilonova:image:schemas: '!'\n")
	c.post(reader, `{"visibility": "public"}`).want(t, 403, "publicize_image")
	c.post(member, `{"visibility": "public"}`).want(t, 201)
	c.post(reader, `{"owner": "p2"}`).want(t, 201, `"owner":"p2"`)
	c.post(admin, `{"visibility": "community"}`).want(t, 403, "communitize_image")
	c.get(admin, "/v2/images").want(t, 403, "You are not authorized to complete get_images action.")
	c.get(other, "/v2/info/stores/detail").want(t, 200)
	c.get(admin, "/v2/schemas/image").want(t, 403)

	c.policy("context_is_admin: 'project_id:p2'\n")
	c.get(other, path+id).want(t, 200)
	c.get(admin, path+id).want(t, 404)
	c.patch(other, id, `[{"op": "replace", "path": "/owner", "value": "p2"}]`).want(t, 200)
}
