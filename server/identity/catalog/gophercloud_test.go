package catalog_test

import (
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/catalog"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/policies"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projectendpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/regions"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

// Every call of gophercloud's packages regions, services, endpoints, projectendpoints, policies and catalog.
func TestGophercloud(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, base.Options{})
	c, ctx := w.Client(nil), t.Context()
	r, err := regions.Create(ctx, c, regions.CreateOpts{ID: "north", Description: "cold", Extra: map[string]any{"sea": "white"}}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "white", r.Extra["sea"])
	words := "warm"
	r, err = regions.Update(ctx, c, "north", regions.UpdateOpts{Description: &words}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "warm", r.Description)
	_, err = regions.Get(ctx, c, "north").Extract()
	require.NoError(t, err)
	pages, err := regions.List(c, regions.ListOpts{}).AllPages(ctx)
	require.NoError(t, err)
	list, err := regions.ExtractRegions(pages)
	require.NoError(t, err)
	assert.Len(t, list, 2)

	yes := true
	s, err := services.Create(ctx, c, services.CreateOpts{Type: "backup", Enabled: &yes, Extra: map[string]any{"name": "freezer"}}).Extract()
	require.NoError(t, err)
	s, err = services.Update(ctx, c, s.ID, services.UpdateOpts{Type: "restore"}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "restore", s.Type)
	_, err = services.Get(ctx, c, s.ID).Extract()
	require.NoError(t, err)
	pages, err = services.List(c, services.ListOpts{ServiceType: "restore"}).AllPages(ctx)
	require.NoError(t, err)
	found, err := services.ExtractServices(pages)
	require.NoError(t, err)
	assert.Len(t, found, 1)

	e, err := endpoints.Create(ctx, c, endpoints.CreateOpts{ServiceID: s.ID, Availability: gophercloud.AvailabilityPublic, Region: "north", URL: "http://freezer", Name: "f"}).Extract()
	require.NoError(t, err)
	e, err = endpoints.Update(ctx, c, e.ID, endpoints.UpdateOpts{URL: "http://freezer/v2"}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "http://freezer/v2", e.URL)
	_, err = endpoints.Get(ctx, c, e.ID).Extract()
	require.NoError(t, err)
	pages, err = endpoints.List(c, endpoints.ListOpts{ServiceID: s.ID, Availability: gophercloud.AvailabilityPublic}).AllPages(ctx)
	require.NoError(t, err)
	ends, err := endpoints.ExtractEndpoints(pages)
	require.NoError(t, err)
	assert.Len(t, ends, 1)

	project := string(w.Demo.DefaultProjectID)
	require.NoError(t, projectendpoints.Create(ctx, c, project, e.ID).ExtractErr())
	pages, err = projectendpoints.List(c, project).AllPages(ctx)
	require.NoError(t, err)
	shown, err := projectendpoints.ExtractEndpoints(pages)
	require.NoError(t, err)
	assert.Len(t, shown, 1)
	require.NoError(t, projectendpoints.Delete(ctx, c, project, e.ID).ExtractErr())

	pages, err = catalog.List(c).AllPages(ctx)
	require.NoError(t, err)
	entries, err := catalog.ExtractServiceCatalog(pages)
	require.NoError(t, err)
	assert.Len(t, entries, 4)

	p, err := policies.Create(ctx, c, policies.CreateOpts{Type: "text/plain", Blob: []byte("allow")}).Extract()
	require.NoError(t, err)
	p, err = policies.Update(ctx, c, p.ID, policies.UpdateOpts{Type: "text/html"}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "text/html", p.Type)
	_, err = policies.Get(ctx, c, p.ID).Extract()
	require.NoError(t, err)
	pages, err = policies.List(c, policies.ListOpts{Type: "text/html"}).AllPages(ctx)
	require.NoError(t, err)
	kept, err := policies.ExtractPolicies(pages)
	require.NoError(t, err)
	assert.Len(t, kept, 1)
	require.NoError(t, policies.Delete(ctx, c, p.ID).ExtractErr())

	require.NoError(t, endpoints.Delete(ctx, c, e.ID).ExtractErr())
	require.NoError(t, services.Delete(ctx, c, s.ID).ExtractErr())
	require.NoError(t, regions.Delete(ctx, c, "north").ExtractErr())
}
