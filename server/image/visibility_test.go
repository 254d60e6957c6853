package image

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// drawn is an image of the reference model.
type drawn struct {
	id, owner, visibility string
	hidden                bool
	members               map[string]string // status by project
}

// knows is who may know of an image, in the words of Glance's documents.
func (d drawn) knows(project string, isAdmin bool) bool {
	_, isMember := d.members[project]
	return isAdmin || d.visibility == "public" || d.visibility == "community" || d.owner == project || d.visibility == "shared" && isMember
}

// inList is in whose lists it is: others' community images where they are asked for, shared ones where the member says so.
func (d drawn) inList(project string, isAdmin bool, visibility, memberStatus string, hidden bool) bool {
	if d.hidden != hidden || visibility != "" && visibility != "all" && visibility != d.visibility {
		return false
	}
	if visibility == "" && d.visibility == "community" && d.owner != project {
		return false
	}
	if isAdmin || d.owner == project || d.visibility != "shared" {
		return d.knows(project, isAdmin)
	}
	status, isMember := d.members[project]
	return isMember && (memberStatus == "all" || status == memberStatus)
}

func (d drawn) seed(t *testing.T, c *cloud) {
	i := structs.Image{ID: structs.ImageID(d.id), ProjectID: structs.ProjectID(d.owner), Visibility: "shared", Hidden: d.hidden, Status: structs.ImageQueued}
	c.seed(i)
	for p, status := range d.members {
		_, err := fsm.ImageMemberAdd.Propose(t.Context(), c.core, &structs.ImageMemberAddRequest{ImageID: i.ID, ProjectID: structs.ProjectID(p), Max: -1})
		require.NoError(t, err)
		_, err = fsm.ImageMemberSet.Propose(t.Context(), c.core, &structs.ImageMemberSetRequest{ImageID: i.ID, ProjectID: structs.ProjectID(p), Status: structs.ImageMemberStatus(status)})
		require.NoError(t, err)
	}
	i.Visibility = d.visibility
	_, err := fsm.ImageUpsert.Propose(t.Context(), c.core, &structs.ImageUpsertRequest{Image: i})
	require.NoError(t, err)
}

// Random images, members and people: what is shown, listed and may be changed is what the model says.
func TestVisibilityIsTheModels(t *testing.T) {
	t.Parallel()
	projects := []string{"p1", "p2", "p3"}
	statuses := []string{"pending", "accepted", "rejected"}
	rapid.Check(t, func(rt *rapid.T) {
		c := newCloud(t, nil)
		var all []drawn
		for n := range rapid.IntRange(1, 6).Draw(rt, "images") {
			d := drawn{id: fmt.Sprintf("i%d", n), owner: rapid.SampledFrom(projects).Draw(rt, "owner"), hidden: rapid.IntRange(0, 4).Draw(rt, "hidden") == 0,
				visibility: rapid.SampledFrom([]string{"public", "private", "shared", "shared", "community"}).Draw(rt, "visibility"), members: map[string]string{}}
			for _, p := range projects {
				if p != d.owner && rapid.Bool().Draw(rt, "member") {
					d.members[p] = rapid.SampledFrom(statuses).Draw(rt, "status")
				}
			}
			d.seed(t, c)
			all = append(all, d)
		}
		for range 4 {
			project, role := rapid.SampledFrom(append(projects, "p4")).Draw(rt, "project"), rapid.SampledFrom([]string{"reader", "member", "admin"}).Draw(rt, "role")
			isAdmin, token := role == "admin", role+"@"+project
			visibility := rapid.SampledFrom([]string{"", "all", "public", "private", "shared", "community"}).Draw(rt, "asked")
			memberStatus := rapid.SampledFrom(append(statuses, "all", "")).Draw(rt, "said")
			hidden := rapid.Bool().Draw(rt, "asks hidden")
			q := url.Values{"os_hidden": {fmt.Sprint(hidden)}}
			if visibility != "" {
				q.Set("visibility", visibility)
			}
			if memberStatus != "" {
				q.Set("member_status", memberStatus)
			} else {
				memberStatus = "accepted"
			}
			want := []string{}
			for _, d := range all {
				if d.inList(project, isAdmin, visibility, memberStatus, hidden) {
					want = append(want, d.id)
				}
				d.requireAccess(t, c, token, project, role)
			}
			got := c.ids(token, q.Encode())
			slices.Sort(got)
			require.Equal(t, want, got, "%s %s %+v", token, q.Encode(), all)
		}
	})
}

func (d drawn) requireAccess(t *testing.T, c *cloud, token, project, role string) {
	t.Helper()
	path, isAdmin := "/v2/images/"+d.id, role == "admin"
	show, modify, fetch := 404, 404, 404
	if d.knows(project, isAdmin) {
		show, modify, fetch = 200, 403, 403
		if isAdmin || role == "member" {
			fetch = 204
			if isAdmin || d.owner == project {
				modify = 200
			}
		}
	}
	require.Equal(t, []int{show, modify, fetch}, []int{c.get(token, path).StatusCode, c.patch(token, d.id, `[]`).StatusCode, c.get(token, path+"/file").StatusCode}, "%s %+v", token, d)
	members := 404
	if show == 200 {
		members = 403
		if d.visibility == "shared" {
			members = 200
		}
	}
	a := c.get(token, path+"/members").want(t, members)
	if members != 200 {
		return
	}
	want := len(d.members)
	if !isAdmin && d.owner != project {
		want = 1
	}
	require.Len(t, a.json(t)["members"], want, "%s %+v", token, d)
}
