package role_test

import (
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/osinherit"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every call of gophercloud's packages roles and osinherit.
func TestGophercloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, ctx := w.Client(nil), t.Context()
	made, err := roles.Create(ctx, c, roles.CreateOpts{Name: "pilot", Description: "flies", Extra: map[string]any{"colour": "blue"}}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "blue", made.Extra["colour"])
	other, err := roles.Create(ctx, c, roles.CreateOpts{Name: "passenger", Options: map[roles.Option]any{roles.Immutable: true}}).Extract()
	require.NoError(t, err)
	got, err := roles.Get(ctx, c, made.ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, "flies", got.Description)
	got, err = roles.Update(ctx, c, made.ID, roles.UpdateOpts{Name: "captain"}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "captain", got.Name)
	pages, err := roles.List(c, roles.ListOpts{Name: "captain"}).AllPages(ctx)
	require.NoError(t, err)
	list, err := roles.ExtractRoles(pages)
	require.NoError(t, err)
	assert.Len(t, list, 1)

	for _, place := range []roles.AssignOpts{{UserID: "default-user", ProjectID: "default-project"}, {GroupID: "default-group", DomainID: "other"}} {
		require.NoError(t, roles.Assign(ctx, c, made.ID, place).ExtractErr())
		require.NoError(t, roles.Validate(ctx, c, made.ID, roles.ValidateOpts(place)).ExtractErr())
		on, err := roles.ListAssignmentsOnResource(c, roles.ListAssignmentsOnResourceOpts(place)).AllPages(ctx)
		require.NoError(t, err)
		list, err := roles.ExtractRoles(on)
		require.NoError(t, err)
		assert.Equal(t, made.ID, list[0].ID)
		inherited := osinherit.AssignOpts{UserID: place.UserID, GroupID: place.GroupID, ProjectID: place.ProjectID, DomainID: place.DomainID}
		require.NoError(t, osinherit.Assign(ctx, c, made.ID, inherited).ExtractErr())
		require.NoError(t, osinherit.Validate(ctx, c, made.ID, osinherit.ValidateOpts(inherited)).ExtractErr())
		require.NoError(t, osinherit.Unassign(ctx, c, made.ID, osinherit.UnassignOpts(inherited)).ExtractErr())
		assert.True(t, gophercloud.ResponseCodeIs(osinherit.Validate(ctx, c, made.ID, osinherit.ValidateOpts(inherited)).ExtractErr(), 404))
	}
	yes := true
	all, err := roles.ListAssignments(c, roles.ListAssignmentsOpts{RoleID: made.ID, IncludeNames: &yes}).AllPages(ctx)
	require.NoError(t, err)
	assignments, err := roles.ExtractRoleAssignments(all)
	require.NoError(t, err)
	assert.Len(t, assignments, 2)
	require.NoError(t, roles.Unassign(ctx, c, made.ID, roles.UnassignOpts{UserID: "default-user", ProjectID: "default-project"}).ExtractErr())

	rule, err := roles.CreateRoleInferenceRule(ctx, c, made.ID, other.ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, "passenger", rule.RoleInference.ImpliedRole.Name)
	_, err = roles.GetRoleInferenceRule(ctx, c, made.ID, other.ID).Extract()
	require.NoError(t, err)
	rules, err := roles.ListRoleInferenceRules(ctx, c).Extract()
	require.NoError(t, err)
	assert.Len(t, rules.RoleInferenceRuleList, 4)
	require.NoError(t, roles.DeleteRoleInferenceRule(ctx, c, made.ID, other.ID).ExtractErr())
	require.NoError(t, roles.Delete(ctx, c, made.ID).ExtractErr())
	assert.True(t, gophercloud.ResponseCodeIs(roles.Delete(ctx, c, other.ID).ExtractErr(), 403), "it is immutable")
}
