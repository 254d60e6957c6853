package limit_test

import (
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/registeredlimits"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/catalog"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// Every call of gophercloud's packages limits and registeredlimits.
func TestGophercloud(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, base.Options{})
	c, ctx, compute := w.Client(nil), t.Context(), catalog.ServiceID(base.Compute)
	assert.Equal(t, []string{structs.ComputeServiceID, structs.ImageServiceID}, []string{compute, catalog.ServiceID(base.Image)}, "the services that read limits are those of the catalog")
	model, err := limits.GetEnforcementModel(ctx, c).Extract()
	require.NoError(t, err)
	assert.Equal(t, "flat", model.Name)
	made, err := registeredlimits.BatchCreate(ctx, c, registeredlimits.BatchCreateOpts{
		{ServiceID: compute, ResourceName: "servers", DefaultLimit: 10, Description: "guests"}, {ServiceID: compute, ResourceName: "class:VCPU", DefaultLimit: 20, RegionID: "RegionOne"}}).Extract()
	require.NoError(t, err)
	require.Len(t, made, 2)
	_, err = registeredlimits.Get(ctx, c, made[0].ID).Extract()
	require.NoError(t, err)
	less := 5
	changed, err := registeredlimits.Update(ctx, c, made[0].ID, registeredlimits.UpdateOpts{DefaultLimit: &less}).Extract()
	require.NoError(t, err)
	assert.Equal(t, 5, changed.DefaultLimit)
	pages, err := registeredlimits.List(c, registeredlimits.ListOpts{ResourceName: "servers"}).AllPages(ctx)
	require.NoError(t, err)
	list, err := registeredlimits.ExtractRegisteredLimits(pages)
	require.NoError(t, err)
	assert.Len(t, list, 1)

	project := string(w.Demo.DefaultProjectID)
	own, err := limits.BatchCreate(ctx, c, limits.BatchCreateOpts{{ServiceID: compute, ResourceName: "servers", ResourceLimit: 3, ProjectID: project}}).Extract()
	require.NoError(t, err)
	got, err := limits.Get(ctx, c, own[0].ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, []any{3, "servers", compute}, []any{got.ResourceLimit, got.ResourceName, got.ServiceID})
	more := 4
	got, err = limits.Update(ctx, c, got.ID, limits.UpdateOpts{ResourceLimit: &more}).Extract()
	require.NoError(t, err)
	assert.Equal(t, 4, got.ResourceLimit)
	pages, err = limits.List(c, limits.ListOpts{ProjectID: project}).AllPages(ctx)
	require.NoError(t, err)
	all, err := limits.ExtractLimits(pages)
	require.NoError(t, err)
	assert.Len(t, all, 1)
	assert.True(t, gophercloud.ResponseCodeIs(registeredlimits.Delete(ctx, c, made[0].ID).ExtractErr(), 403), "a project has a limit of it")
	require.NoError(t, limits.Delete(ctx, c, got.ID).ExtractErr())
	require.NoError(t, registeredlimits.Delete(ctx, c, made[0].ID).ExtractErr())
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin, compute := c.AdminToken(), catalog.ServiceID(base.Compute)
	register := func(status int, body string) identitytest.Answer {
		t.Helper()
		return c.Want(status, "POST", "/registered_limits", admin, `{"registered_limits": [`+body+`]}`)
	}
	limit := func(status int, body string) identitytest.Answer {
		t.Helper()
		return c.Want(status, "POST", "/limits", admin, `{"limits": [`+body+`]}`)
	}
	register(201, `{"service_id": "`+compute+`", "resource_name": "servers", "default_limit": 10}`)
	register(409, `{"service_id": "`+compute+`", "resource_name": "servers", "default_limit": 11}`)
	register(409, `{"service_id": "`+compute+`", "resource_name": "ram", "default_limit": 1}, {"service_id": "`+compute+`", "resource_name": "ram", "default_limit": 1}`)
	assert.Len(t, c.Want(200, "GET", "/registered_limits", admin, "").JSON(t)["registered_limits"], 1, "all or none")
	register(400, `{"service_id": "none", "resource_name": "x", "default_limit": 1}`)
	register(400, `{"service_id": "`+compute+`", "resource_name": "x", "default_limit": -2}`)
	register(400, `{"service_id": "`+compute+`", "resource_name": "x", "default_limit": 1, "region_id": "none"}`)
	register(400, `{"service_id": "`+compute+`", "resource_name": "x"}`)
	register(400, ``)
	project := string(c.Demo.DefaultProjectID)
	limit(201, `{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": -1, "project_id": "`+project+`"}`)
	limit(409, `{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 1, "project_id": "`+project+`"}`)
	limit(201, `{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 1, "project_id": "default"}`)
	assert.Contains(t, c.Want(200, "GET", "/limits?domain_id=default", admin, "").Body, `"project_id":null`, "a domain's id is a project's, too")
	limit(403, `{"service_id": "`+compute+`", "resource_name": "other", "resource_limit": 1, "project_id": "`+project+`"}`)
	limit(400, `{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 1, "project_id": "none"}`)
	limit(400, `{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 1}`)
	limit(400, `{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 1, "project_id": "`+project+`", "domain_id": "default"}`)
}

// Who sees which limits.
func TestWhoSees(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin, compute := c.AdminToken(), catalog.ServiceID(base.Compute)
	c.Want(201, "POST", "/registered_limits", admin, `{"registered_limits": [{"service_id": "`+compute+`", "resource_name": "servers", "default_limit": 10}]}`)
	ids := map[string]string{}
	for _, p := range []string{string(c.Demo.DefaultProjectID), string(c.Admin.DefaultProjectID)} {
		a := c.Want(201, "POST", "/limits", admin, `{"limits": [{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 1, "project_id": "`+p+`"}]}`)
		ids[p] = a.JSON(t)["limits"].([]any)[0].(map[string]any)["id"].(string)
	}
	demo := c.DemoToken()
	count := func(token string) int { return len(c.Want(200, "GET", "/limits", token, "").JSON(t)["limits"].([]any)) }
	assert.Equal(t, 2, count(admin))
	assert.Equal(t, 1, count(demo))
	assert.Equal(t, 2, count(c.Token(c.Admin.ID, token.Scope{System: true})))
	assert.Equal(t, 0, count(c.Token(c.Demo.ID, token.Scope{})))
	c.Want(200, "GET", "/limits/"+ids[string(c.Demo.DefaultProjectID)], demo, "")
	c.Want(403, "GET", "/limits/"+ids[string(c.Admin.DefaultProjectID)], demo, "")
	c.Want(403, "GET", "/limits/none", demo, "")
	c.Want(404, "GET", "/limits/none", admin, "")
	c.Want(200, "GET", "/registered_limits", demo, "")
	c.Want(200, "GET", "/limits/model", demo, "")
	c.Want(403, "POST", "/limits", demo, `{"limits": [{"service_id": "`+compute+`", "resource_name": "servers", "resource_limit": 99, "project_id": "`+string(c.Demo.DefaultProjectID)+`"}]}`)
}
