package image

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const third = "member@p3"

func (c *cloud) share(token, id, project string) answer {
	c.t.Helper()
	return c.do(token, "POST", "/v2/images/"+id+"/members", strings.NewReader(`{"member": "`+project+`"}`), "Content-Type: application/json")
}

func (c *cloud) say(token, id, project, status string) answer {
	c.t.Helper()
	return c.do(token, "PUT", "/v2/images/"+id+"/members/"+project, strings.NewReader(`{"status": "`+status+`"}`), "Content-Type: application/json")
}

func (c *cloud) unshare(token, id, project string) answer {
	c.t.Helper()
	return c.do(token, "DELETE", "/v2/images/"+id+"/members/"+project, nil)
}

func TestMembers(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	path := "/v2/images/" + id
	c.get(other, path).want(t, 404)
	a := c.share(member, id, "p2").want(t, 200)
	v := a.json(t)
	require.Equal(t, []any{id, "p2", "pending", "/v2/schemas/member"}, []any{v["image_id"], v["member_id"], v["status"], v["schema"]})
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, v["created_at"])
	c.share(member, id, "p2").want(t, 409, "Member p2 is duplicated for image "+id)
	c.share(member, id, "p3").want(t, 200)

	c.get(other, path).want(t, 200)
	c.get(other, path+"/file").want(t, 204)
	require.Empty(t, c.ids(other, ""), "not accepted yet")
	require.Equal(t, []string{id}, c.ids(other, "member_status=pending"))
	require.Equal(t, []string{id}, c.ids(other, "member_status=all&visibility=shared"))
	require.Equal(t, v, c.get(other, path+"/members/p2").want(t, 200).json(t))
	c.get(other, path+"/members/p3").want(t, 404, "p3 not found in the member list of the image "+id)
	c.get(member, path+"/members/p4").want(t, 404, "p4 not found in the member list")
	members := func(token string) (out []string) {
		v := c.get(token, path+"/members").want(t, 200).json(t)
		require.Equal(t, "/v2/schemas/members", v["schema"])
		for _, m := range v["members"].([]any) {
			out = append(out, m.(map[string]any)["member_id"].(string))
		}
		return out
	}
	require.Equal(t, []string{"p2", "p3"}, members(member))
	require.Equal(t, []string{"p2", "p3"}, members(reader))
	require.Equal(t, []string{"p2"}, members(other), "a member sees itself alone")
	require.Equal(t, []string{"p2", "p3"}, members(admin))

	c.say(member, id, "p2", "accepted").want(t, 403, "You are not authorized to complete modify_member action.")
	c.say(third, id, "p2", "accepted").want(t, 404)
	c.say("reader@p2", id, "p2", "accepted").want(t, 403)
	c.say(other, id, "p2", "perhaps").want(t, 400, `Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".`)
	c.say(other, id, "p2", "accepted").want(t, 200, `"accepted"`)
	require.Equal(t, []string{id}, c.ids(other, ""))
	require.Empty(t, c.ids(third, ""))
	c.say(admin, id, "p3", "rejected").want(t, 200, `"rejected"`)
	require.Equal(t, []string{id}, c.ids(third, "member_status=rejected"))
	c.get(third, path).want(t, 200)

	c.patch(other, id, `[{"op": "replace", "path": "/name", "value": "x"}]`).want(t, 403, "modify_image")
	c.do(other, "DELETE", path, nil).want(t, 403, "delete_image")
	c.share(other, id, "p5").want(t, 403, "add_member")
	c.unshare(other, id, "p2").want(t, 403, "You are not authorized to complete delete_member action.")
	c.unshare(reader, id, "p2").want(t, 403)
	c.unshare(member, id, "p3").want(t, 204)
	c.unshare(member, id, "p3").want(t, 404, "p3 not found in the member list")
	c.get(third, path).want(t, 404)

	c.patch(member, id, `[{"op": "replace", "path": "/visibility", "value": "private"}]`).want(t, 200)
	c.get(other, path).want(t, 404)
	c.get(member, path+"/members").want(t, 403, "Not allowed to list members for image "+id+": Only shared images have members.")
	c.get(member, path+"/members/p2").want(t, 404, "Only shared images have members.")
	c.share(member, id, "p6").want(t, 403, "Not allowed to create members for image "+id)
	c.say(admin, id, "p2", "pending").want(t, 403, "Not allowed to update members for image "+id)
	c.unshare(member, id, "p2").want(t, 403, "Not allowed to delete members for image "+id)
	c.patch(member, id, `[{"op": "replace", "path": "/visibility", "value": "shared"}]`).want(t, 200)
	require.Equal(t, []string{id}, c.ids(other, ""), "what it said holds again")

	c.do(member, "DELETE", path, nil).want(t, 204)
	c.get(member, path+"/members").want(t, 404, "Image "+id+" not found.")
	require.Nil(t, c.core.Stale().ImageMember(structs.ImageID(id), "p2"), "members go with their image")
}

func TestMembersRefuse(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.MaxMembers = 2 })
	id := c.image(member, `{}`)
	for body, says := range map[string]string{``: "Body expected", `[]`: "Expected a member in the form", `{}`: "Member to be added not specified", `{"member": ""}`: "Member can't be empty",
		`{"member": null}`: "can't be empty", `{"member": 5}`: "id of a project", `{"member": "a\u0000b"}`: "control character", `{"member": "` + long(256) + `"}`: "255", `"x"`: "Expected a member",
		`{"member"`: "Malformed"} {
		c.do(member, "POST", "/v2/images/"+id+"/members", strings.NewReader(body), "Content-Type: application/json").want(t, 400, says)
	}
	c.share(member, id, "p2").want(t, 200)
	for body, says := range map[string]string{``: "Body expected", `{}`: "Status not specified", `[]`: "Expected a status in the form", `{"status": 5}`: "Status must be", `{"status": null}`: "Status must be"} {
		c.do(other, "PUT", "/v2/images/"+id+"/members/p2", strings.NewReader(body), "Content-Type: application/json").want(t, 400, says)
	}
	c.share(member, id, "p3").want(t, 200)
	c.share(member, id, "p4").want(t, 413, "Image member limit exceeded for image "+id, "Attempted: 3, Maximum: 2")
	for _, path := range []string{"00000000-0000-0000-0000-000000000000", "..%2F" + id} {
		c.share(member, path, "p2").want(t, 404)
		c.get(member, "/v2/images/"+path+"/members").want(t, 404)
		c.say(other, path, "p2", "accepted").want(t, 404)
		c.unshare(member, path, "p2").want(t, 404)
	}
	c.get(member, "/v2/images/"+id+"/members/..%2Fp2%00").want(t, 404)
	c.share(reader, id, "p9").want(t, 403, "add_member")
	c.share("member@p9", id, "p9").want(t, 404, "Image "+id+" not found.")
	c.share("member@", id, "p9").want(t, 404)
}

func TestActions(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	id := c.image(member, rawImage)
	path := "/v2/images/" + id
	turn := func(token, what string) answer { return c.do(token, "POST", path+"/actions/"+what, nil) }
	turn(member, "deactivate").want(t, 403, "Not allowed to deactivate image in status 'queued'")
	turn(member, "reactivate").want(t, 403, "Not allowed to reactivate image in status 'queued'")
	c.put(member, id, []byte("data")).want(t, 204)
	c.share(member, id, "p2").want(t, 200)
	turn(other, "deactivate").want(t, 403, "You are not authorized to complete deactivate action.")
	turn(third, "deactivate").want(t, 404, "No image found with ID "+id)
	turn(reader, "deactivate").want(t, 403)
	turn(member, "reactivate").want(t, 204)
	for range 2 {
		a := turn(member, "deactivate").want(t, 204)
		require.Empty(t, a.Header.Values("Content-Type"))
		v := c.get(member, path).want(t, 200).json(t)
		require.Equal(t, []any{"deactivated", 4.0, "sha512"}, []any{v["status"], v["size"], v["os_hash_algo"]})
	}
	for _, token := range []string{member, other} {
		c.get(token, path+"/file").want(t, 403, "The requested image has been deactivated. Image data download is forbidden.")
	}
	c.get(third, path+"/file").want(t, 404)
	require.Equal(t, "data", string(c.get(admin, path+"/file").want(t, 200).body))
	c.put(member, id, []byte("more")).want(t, 409, "Image status transition from deactivated to saving is not allowed")
	c.patch(member, id, `[{"op": "replace", "path": "/name", "value": "x"}]`).want(t, 200)
	c.patch(member, id, `[{"op": "replace", "path": "/disk_format", "value": "iso"}]`).want(t, 403, "can be only replaced for a queued image")
	require.Equal(t, []string{id}, c.ids(member, "status=deactivated"))
	turn(other, "reactivate").want(t, 403)
	turn(member, "reactivate").want(t, 204)
	require.Equal(t, "data", string(c.get(other, path+"/file").want(t, 200).body))
	c.get("reader@p1", path+"/file").want(t, 403, "download_image")
	c.get(member, path+"/file?prefer=fast").want(t, 400, "Store 'fast' is not configured.")
	c.get(member, path+"/file?prefer=servers,").want(t, 200)
	c.get(member, path+"/actions/deactivate").want(t, 405)
	c.do(member, "POST", path+"/actions/explode", nil).want(t, 404)
}

func TestVisibilityMayBeChanged(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	set := func(token, id, to string) answer {
		return c.patch(token, id, fmt.Sprintf(`[{"op": "replace", "path": "/visibility", "value": %q}]`, to))
	}
	id := c.image(member, `{"visibility": "private"}`)
	for _, to := range []string{"community", "shared", "private", "private"} {
		require.Equal(t, to, set(member, id, to).want(t, 200).json(t)["visibility"])
	}
	set(member, id, "public").want(t, 403, "You are not authorized to complete publicize_image action.")
	set(admin, id, "public").want(t, 200)
	set(member, id, "public").want(t, 403)
	set(other, id, "private").want(t, 403, "modify_image")
	set(member, id, "private").want(t, 200)
	c.post(member, `{"visibility": "public"}`).want(t, 403, "You are not authorized to complete publicize_image action.")
	c.post(member, `{"visibility": "community"}`).want(t, 201)
	c.post(reader, `{}`).want(t, 403, "You are not authorized to complete add_image action.")
	c.post(member, `{"owner": "p2"}`).want(t, 403, "You are not permitted to create images owned by 'p2'")
	nobodys := c.post(admin, `{"owner": null, "visibility": "shared"}`).want(t, 201).json(t)
	require.Nil(t, nobodys["owner"])
	path := "/v2/images/" + nobodys["id"].(string)
	c.get(member, path).want(t, 200) // what nobody owns everybody may know of
	c.patch(member, nobodys["id"].(string), `[]`).want(t, 403)
}
