package directory_test

import (
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/domains"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/pagination"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

func pages[T any](t *testing.T, p pagination.Pager, extract func(pagination.Page) ([]T, error)) []T {
	t.Helper()
	all, err := p.AllPages(t.Context())
	require.NoError(t, err)
	list, err := extract(all)
	require.NoError(t, err)
	return list
}

func gone(t *testing.T, err error) {
	t.Helper()
	assert.True(t, gophercloud.ResponseCodeIs(err, 404), "%v", err)
}

// Every call of gophercloud's packages domains and projects.
func TestGophercloudPlaces(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	c, ctx := w.Client(nil), t.Context()
	yes, no, text := true, false, "changed"

	d := must(domains.Create(ctx, c, domains.CreateOpts{Name: "sea", Description: "blue", Enabled: &yes}).Extract())(t)
	assert.Equal(t, "blue", must(domains.Get(ctx, c, d.ID).Extract())(t).Description)
	assert.Len(t, pages(t, domains.List(c, domains.ListOpts{Name: "sea", Enabled: &yes}), domains.ExtractDomains), 1)
	pages(t, domains.ListAvailable(c), domains.ExtractDomains)
	assert.Equal(t, "changed", must(domains.Update(ctx, c, d.ID, domains.UpdateOpts{Description: &text, Enabled: &no}).Extract())(t).Description)
	require.NoError(t, domains.Delete(ctx, c, d.ID).ExtractErr())
	_, err := domains.Get(ctx, c, d.ID).Extract()
	gone(t, err)

	p := must(projects.Create(ctx, c, projects.CreateOpts{Name: "ship", DomainID: d1, ParentID: p1, Description: "x", Enabled: &yes, Tags: []string{"a"}, Extra: map[string]any{"colour": "red"},
		Options: map[projects.Option]any{projects.Immutable: true}}).Extract())(t)
	assert.Equal(t, []any{"red", p1}, []any{p.Extra["colour"], p.ParentID})
	_, err = projects.Update(ctx, c, p.ID, projects.UpdateOpts{Name: "boat"}).Extract()
	assert.True(t, gophercloud.ResponseCodeIs(err, 403), "%v", err)
	must(projects.Update(ctx, c, p.ID, projects.UpdateOpts{Options: map[projects.Option]any{projects.Immutable: nil}}).Extract())(t)
	assert.Equal(t, "boat", must(projects.Update(ctx, c, p.ID, projects.UpdateOpts{Name: "boat", Description: &text, Tags: &[]string{"b"}}).Extract())(t).Name)
	assert.Equal(t, []string{"b"}, must(projects.Get(ctx, c, p.ID).Extract())(t).Tags)
	assert.Len(t, pages(t, projects.List(c, projects.ListOpts{ParentID: p1, Tags: "b", NotTags: "c", Filters: map[string]string{"name__contains": "oa"}}), projects.ExtractProjects), 1)
	pages(t, projects.ListAvailable(c), projects.ExtractProjects)
	assert.Contains(t, must(projects.ModifyTags(ctx, c, p.ID, projects.ModifyTagsOpts{Tags: []string{"x", "y"}}).Extract())(t).Links["self"], p.ID+"/tags")
	assert.Equal(t, []string{"x", "y"}, must(projects.ListTags(ctx, c, p.ID).Extract())(t).Tags)
	require.NoError(t, projects.DeleteTags(ctx, c, p.ID).ExtractErr())
	require.NoError(t, projects.Delete(ctx, c, p.ID).ExtractErr())
	gone(t, projects.Delete(ctx, c, p.ID).ExtractErr())
}

// Every call of gophercloud's packages users and groups.
func TestGophercloudPeople(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	c, ctx := w.Client(nil), t.Context()
	text, no := "changed", false
	u := must(users.Create(ctx, c, users.CreateOpts{Name: "ann", DomainID: d1, DefaultProjectID: p1, Password: "one", Description: "d", Extra: map[string]any{"email": "a@b"},
		Options: map[users.Option]any{users.MultiFactorAuthRules: [][]string{{"password", "totp"}}}}).Extract())(t)
	assert.Equal(t, []any{"a@b", "d", p1}, []any{u.Extra["email"], u.Description, u.DefaultProjectID})
	assert.Equal(t, "ann", must(users.Get(ctx, c, u.ID).Extract())(t).Name)
	assert.Equal(t, "changed", must(users.Update(ctx, c, u.ID, users.UpdateOpts{Name: "eve", Description: &text, Password: "two"}).Extract())(t).Description)
	require.NoError(t, users.ChangePassword(ctx, c, u.ID, users.ChangePasswordOpts{OriginalPassword: "two", Password: "three"}).ExtractErr())
	assert.Len(t, pages(t, users.List(c, users.ListOpts{DomainID: d1, Filters: map[string]string{"name__startswith": "ev"}}), users.ExtractUsers), 1)
	assert.Empty(t, pages(t, users.List(c, users.ListOpts{Enabled: &no, PasswordExpiresAt: "lt:2030-01-01T00:00:00Z"}), users.ExtractUsers))

	g := must(groups.Create(ctx, c, groups.CreateOpts{Name: "crew", DomainID: d1, Description: "d", Extra: map[string]any{"colour": "red"}}).Extract())(t)
	assert.Equal(t, "red", must(groups.Get(ctx, c, g.ID).Extract())(t).Extra["colour"])
	assert.Equal(t, "sailors", must(groups.Update(ctx, c, g.ID, groups.UpdateOpts{Name: "sailors", Description: &text}).Extract())(t).Name)
	assert.Len(t, pages(t, groups.List(c, groups.ListOpts{DomainID: d1, Name: "sailors"}), groups.ExtractGroups), 1)
	require.NoError(t, users.AddToGroup(ctx, c, g.ID, u.ID).ExtractErr())
	assert.True(t, must(users.IsMemberOfGroup(ctx, c, g.ID, u.ID).Extract())(t))
	assert.Len(t, pages(t, users.ListInGroup(c, g.ID, users.ListOpts{}), users.ExtractUsers), 1)
	assert.Len(t, pages(t, users.ListGroups(c, u.ID), groups.ExtractGroups), 1)
	assert.Empty(t, pages(t, users.ListProjects(c, u.ID), projects.ExtractProjects))
	assert.Len(t, pages(t, users.ListProjects(c, string(w.Demo.ID)), projects.ExtractProjects), 1)
	require.NoError(t, users.RemoveFromGroup(ctx, c, g.ID, u.ID).ExtractErr())
	assert.False(t, must(users.IsMemberOfGroup(ctx, c, g.ID, u.ID).Extract())(t))
	require.NoError(t, groups.Delete(ctx, c, g.ID).ExtractErr())
	require.NoError(t, users.Delete(ctx, c, u.ID).ExtractErr())
	_, err := users.Get(ctx, c, u.ID).Extract()
	gone(t, err)
	assert.Equal(t, 201, w.Do("POST", "/auth/tokens", "", identitytest.Login("demo", identitytest.DemoPassword, "")).Status)
}
