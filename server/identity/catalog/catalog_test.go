package catalog_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

func one(t *testing.T, a identitytest.Answer, key string) map[string]any {
	t.Helper()
	m, ok := a.JSON(t)[key].(map[string]any)
	require.True(t, ok, a.Body)
	return m
}

func all(t *testing.T, a identitytest.Answer, key string) []any {
	t.Helper()
	l, ok := a.JSON(t)[key].([]any)
	require.True(t, ok, a.Body)
	return l
}

// tokenCatalog is the catalog that a new token of the demo user comes with: the URLs of public endpoints by type.
func tokenCatalog(t *testing.T, c *identitytest.Cloud) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, s := range all(t, c.Want(200, "GET", "/auth/catalog", c.DemoToken(), ""), "catalog") {
		s := s.(map[string]any)
		for _, e := range s["endpoints"].([]any) {
			if e := e.(map[string]any); e["interface"] == "public" {
				out[s["type"].(string)] = e["url"].(string)
			}
		}
	}
	return out
}

func TestRegions(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin := c.AdminToken()
	assert.Len(t, all(t, c.Want(200, "GET", "/regions", c.DemoToken(), ""), "regions"), 1, "the cluster's own")
	c.Want(201, "POST", "/regions", admin, `{"region": {"id": "north", "description": "cold", "sea": "white"}}`)
	assert.Equal(t, map[string]any{"id": "north", "description": "cold", "parent_region_id": nil, "sea": "white", "links": map[string]any{"self": "http://cloud:4746/identity/v3/regions/north"}},
		one(t, c.Want(200, "GET", "/regions/north", admin, ""), "region"))
	c.Want(409, "POST", "/regions", admin, `{"region": {"id": "north"}}`)
	c.Want(409, "POST", "/regions", admin, `{"region": {"id": "RegionOne"}}`)
	c.Want(201, "PUT", "/regions/east", admin, `{"region": {"parent_region_id": "north"}}`)
	c.Want(201, "PUT", "/regions/below-own", admin, `{"region": {"parent_region_id": "RegionOne"}}`)
	c.Want(400, "PUT", "/regions/east2", admin, `{"region": {"id": "other"}}`)
	c.Want(404, "POST", "/regions", admin, `{"region": {"parent_region_id": "none"}}`)
	assert.Contains(t, c.Want(400, "PATCH", "/regions/north", admin, `{"region": {"parent_region_id": "east"}}`).Body, "would create a circular region hierarchy")
	assert.NotEmpty(t, one(t, c.Want(201, "POST", "/regions", admin, `{"region": {}}`), "region")["id"])
	assert.Len(t, all(t, c.Want(200, "GET", "/regions?parent_region_id=north", admin, ""), "regions"), 1)
	assert.Equal(t, "warm", one(t, c.Want(200, "PATCH", "/regions/RegionOne", admin, `{"region": {"description": "warm"}}`), "region")["description"])
	assert.Equal(t, "warm", one(t, c.Want(200, "GET", "/regions/RegionOne", admin, ""), "region")["description"])
	c.Want(403, "DELETE", "/regions/RegionOne", admin, "")
	service := c.Make("services", "service", `{"type": "backup"}`)
	endpoint := c.Make("endpoints", "endpoint", `{"service_id": "`+service+`", "interface": "public", "url": "http://x", "region_id": "east"}`)
	c.Want(403, "DELETE", "/regions/north", admin, "")
	c.Want(204, "DELETE", "/endpoints/"+endpoint, admin, "")
	c.Want(204, "DELETE", "/regions/north", admin, "")
	c.Want(404, "GET", "/regions/east", admin, "")
	c.Want(404, "DELETE", "/regions/north", admin, "")
	c.Want(403, "POST", "/regions", c.DemoToken(), `{"region": {}}`)
}

// The services of this binary are there without a record, can be changed, and go into the catalog or out of it, but not away.
func TestOwnServices(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin := c.AdminToken()
	services := all(t, c.Want(200, "GET", "/services", admin, ""), "services")
	require.Len(t, services, 3)
	compute := services[0].(map[string]any)
	assert.Equal(t, "compute", compute["type"])
	id := compute["id"].(string)
	endpoints := all(t, c.Want(200, "GET", "/endpoints?service_id="+id, admin, ""), "endpoints")
	require.Len(t, endpoints, 3)
	public := all(t, c.Want(200, "GET", "/endpoints?interface=public&service_id="+id, admin, ""), "endpoints")[0].(map[string]any)
	assert.Equal(t, "http://cloud:4746/compute/v2.1", public["url"])

	c.Want(403, "DELETE", "/services/"+id, admin, "")
	c.Want(403, "DELETE", "/endpoints/"+public["id"].(string), admin, "")
	c.Want(200, "PATCH", "/services/"+id, admin, `{"service": {"enabled": false}}`)
	assert.NotContains(t, tokenCatalog(t, c), "compute")
	c.Want(200, "PATCH", "/services/"+id, admin, `{"service": {"enabled": true, "description": "guests"}}`)
	assert.Contains(t, tokenCatalog(t, c), "compute")
	assert.Equal(t, "guests", one(t, c.Want(200, "GET", "/services/"+id, admin, ""), "service")["description"])

	path := "/endpoints/" + public["id"].(string)
	c.Want(200, "PATCH", path, admin, `{"endpoint": {"enabled": false}}`)
	assert.NotContains(t, tokenCatalog(t, c), "compute")
	c.Want(200, "PATCH", path, admin, `{"endpoint": {"enabled": true}}`)
	assert.Equal(t, "http://cloud:4746/compute/v2.1", tokenCatalog(t, c)["compute"], "its address is still where the client reaches the cloud")
	c.Want(200, "PATCH", path, admin, `{"endpoint": {"url": "https://compute.example.org/v2.1"}}`)
	assert.Equal(t, "https://compute.example.org/v2.1", tokenCatalog(t, c)["compute"])
	assert.Len(t, all(t, c.Want(200, "GET", "/endpoints", admin, ""), "endpoints"), 9, "none is twice")
}

func TestServicesAndEndpoints(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin := c.AdminToken()
	service := c.Make("services", "service", `{"type": "object-store", "name": "swift", "description": "bytes", "owner": "me"}`)
	got := one(t, c.Want(200, "GET", "/services/"+service, admin, ""), "service")
	assert.Equal(t, []any{"object-store", "swift", "bytes", "me", true}, []any{got["type"], got["name"], got["description"], got["owner"], got["enabled"]})
	assert.NotContains(t, tokenCatalog(t, c), "object-store", "without endpoints it is in no catalog")
	make := func(body string) string { return c.Make("endpoints", "endpoint", body) }
	public := make(`{"service_id": "` + service + `", "interface": "public", "region": "West", "url": "http://swift/v1/AUTH_$(project_id)s"}`)
	make(`{"service_id": "` + service + `", "interface": "internal", "url": "http://swift/%(tenant_id)s/$(user_id)s"}`)
	assert.Equal(t, "http://swift/v1/AUTH_"+string(c.Demo.DefaultProjectID), tokenCatalog(t, c)["object-store"])
	assert.Contains(t, c.Want(200, "GET", "/auth/catalog", c.DemoToken(), "").Body, "http://swift/"+string(c.Demo.DefaultProjectID)+"/"+string(c.Demo.ID))
	system := c.Token(c.Admin.ID, token.Scope{System: true})
	assert.NotContains(t, c.Want(201, "POST", "/auth/tokens", "", identitytest.Login("admin", identitytest.AdminPassword, `{"system": {"all": true}}`)).Body, "swift", "what asks for a project is in no catalog without one")
	c.Want(403, "GET", "/auth/catalog", system, "")
	c.Want(200, "GET", "/regions/West", admin, "")
	for body, status := range map[string]int{
		`{"service_id": "none", "interface": "public", "url": "http://x"}`:                                           400,
		`{"service_id": "` + service + `", "interface": "private", "url": "http://x"}`:                               400,
		`{"service_id": "` + service + `", "interface": "public", "url": "x"}`:                                       400,
		`{"service_id": "` + service + `", "interface": "public", "url": "http://x/$(password)s"}`:                   400,
		`{"service_id": "` + service + `", "interface": "public", "url": "http://x/$(project_id"}`:                   400,
		`{"service_id": "` + service + `", "interface": "public", "url": "http://x/$(project_id)"}`:                  400,
		`{"service_id": "` + service + `", "interface": "public", "url": "http://x", "region_id": "none"}`:           400,
		`{"service_id": "` + service + `", "interface": "public"}`:                                                   400,
		`{"service_id": "` + service + `", "interface": "public", "url": "http://` + strings.Repeat("x", 230) + `"}`: 400,
	} {
		c.Want(status, "POST", "/endpoints", admin, `{"endpoint": `+body+`}`)
	}
	assert.Equal(t, "http://y", one(t, c.Want(200, "PATCH", "/endpoints/"+public, admin, `{"endpoint": {"url": "http://y"}}`), "endpoint")["url"])
	c.Want(404, "PATCH", "/endpoints/none", admin, `{"endpoint": {"url": "http://y"}}`)
	c.Want(400, "POST", "/services", admin, `{"service": {"name": "x"}}`)
	c.Want(404, "DELETE", "/services/none", admin, "")
	for _, path := range []string{"/services", "/endpoints", "/policies", "/OS-EP-FILTER/endpoint_groups"} {
		c.Want(403, "GET", path, c.DemoToken(), "")
		c.Want(200, "GET", path, system, "")
	}
	c.Want(403, "DELETE", "/services/"+service, c.DemoToken(), "")
	c.Want(204, "DELETE", "/services/"+service, admin, "")
	c.Want(404, "GET", "/endpoints/"+public, admin, "")
}

// A project that is associated with endpoints sees these alone.
func TestEndpointFilter(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin, project := c.AdminToken(), string(c.Demo.DefaultProjectID)
	byType := map[string]string{}
	for _, s := range all(t, c.Want(200, "GET", "/services", admin, ""), "services") {
		s := s.(map[string]any)
		byType[s["type"].(string)] = s["id"].(string)
	}
	endpoint := all(t, c.Want(200, "GET", "/endpoints?interface=public&service_id="+byType["identity"], admin, ""), "endpoints")[0].(map[string]any)["id"].(string)
	const ep = "/OS-EP-FILTER"
	path := ep + "/projects/" + project + "/endpoints/" + endpoint
	c.Want(404, "HEAD", path, admin, "")
	c.Want(204, "PUT", path, admin, "")
	c.Want(204, "HEAD", path, admin, "")
	seen := tokenCatalog(t, c)
	assert.Len(t, seen, 1)
	assert.Contains(t, seen, "identity")
	assert.Len(t, all(t, c.Want(200, "GET", ep+"/endpoints/"+endpoint+"/projects", admin, ""), "projects"), 1)
	assert.Len(t, all(t, c.Want(200, "GET", ep+"/projects/"+project+"/endpoints", admin, ""), "endpoints"), 1)

	group := c.Make("OS-EP-FILTER/endpoint_groups", "endpoint_group", `{"name": "g", "description": "d", "filters": {"service_id": "`+byType["image"]+`", "interface": "public", "enabled": true}}`)
	assert.Len(t, all(t, c.Want(200, "GET", ep+"/endpoint_groups/"+group+"/endpoints", admin, ""), "endpoints"), 1)
	in := ep + "/endpoint_groups/" + group + "/projects/" + project
	c.Want(404, "GET", in, admin, "")
	c.Want(204, "PUT", in, admin, "")
	c.Want(409, "PUT", in, admin, "")
	c.Want(200, "GET", in, admin, "")
	assert.Len(t, tokenCatalog(t, c), 2)
	assert.Len(t, all(t, c.Want(200, "GET", ep+"/projects/"+project+"/endpoint_groups", admin, ""), "endpoint_groups"), 1)
	assert.Len(t, all(t, c.Want(200, "GET", ep+"/endpoint_groups/"+group+"/projects", admin, ""), "projects"), 1)
	c.Want(200, "PATCH", ep+"/endpoint_groups/"+group, admin, `{"endpoint_group": {"filters": {"interface": "admin"}}}`)
	assert.Len(t, tokenCatalog(t, c), 1, "of public endpoints")
	c.Want(204, "DELETE", ep+"/endpoint_groups/"+group, admin, "")
	c.Want(404, "GET", in, admin, "")
	c.Want(204, "DELETE", path, admin, "")
	c.Want(404, "DELETE", path, admin, "")
	assert.Len(t, tokenCatalog(t, c), 3)
	c.Want(404, "PUT", ep+"/projects/none/endpoints/"+endpoint, admin, "")
	c.Want(404, "PUT", ep+"/projects/"+project+"/endpoints/none", admin, "")
	c.Want(400, "POST", ep+"/endpoint_groups", admin, `{"endpoint_group": {"name": "x", "filters": {"colour": "red"}}}`)
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	admin := c.AdminToken()
	id := c.Make("policies", "policy", `{"type": "application/json", "blob": {"rule": "x"}, "note": "n"}`)
	assert.Equal(t, map[string]any{"rule": "x"}, one(t, c.Want(200, "GET", "/policies/"+id, admin, ""), "policy")["blob"])
	assert.Equal(t, "text", one(t, c.Want(200, "PATCH", "/policies/"+id, admin, `{"policy": {"blob": "text"}}`), "policy")["blob"])
	assert.Len(t, all(t, c.Want(200, "GET", "/policies?type=application/json", admin, ""), "policies"), 1)
	assert.Empty(t, all(t, c.Want(200, "GET", "/policies?type=x", admin, ""), "policies"))
	c.Want(400, "POST", "/policies", admin, `{"policy": {"type": "x"}}`)
	c.Want(204, "DELETE", "/policies/"+id, admin, "")
	c.Want(404, "GET", "/policies/"+id, admin, "")
}
