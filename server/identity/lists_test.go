package identity_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/identity"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

// TestAccess walks who may read what.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, base.Options{})
	admin, demo := w.AdminToken(), w.DemoToken()
	me, mine := string(w.Demo.ID), string(w.Demo.DefaultProjectID)
	notMe, notMine := string(w.Admin.ID), string(w.Admin.DefaultProjectID)
	var role string
	for r := range w.Core.Stale().Roles() {
		role = string(r.ID)
	}
	for _, c := range []struct {
		path        string
		admin, demo int
	}{
		{"/users", 200, 403}, {"/users/" + me, 200, 200}, {"/users/" + notMe, 200, 403}, {"/users/nosuch", 404, 403},
		{"/users/" + me + "/projects", 200, 200}, {"/users/" + notMe + "/projects", 200, 403}, {"/users/nosuch/projects", 404, 403},
		{"/projects", 200, 403}, {"/projects/" + mine, 200, 200}, {"/projects/" + notMine, 200, 403}, {"/projects/nosuch", 404, 403},
		{"/roles", 200, 403}, {"/roles/" + role, 200, 403}, {"/roles/nosuch", 404, 403},
		{"/domains", 200, 403}, {"/domains/default", 200, 200}, {"/domains/nosuch", 404, 403},
		{"/role_assignments", 200, 403}, {"/role_assignments?user.id=" + me, 200, 403}, {"/role_assignments?user.id=" + notMe, 200, 403},
		{"/auth/catalog", 200, 200}, {"/auth/projects", 200, 200}, {"/auth/domains", 200, 200},
	} {
		assert.Equal(t, c.admin, w.Do("GET", "/identity/v3"+c.path, admin, "").Status, "admin %s", c.path)
		assert.Equal(t, c.demo, w.Do("GET", "/identity/v3"+c.path, demo, "").Status, "demo %s", c.path)
		assert.Equal(t, 401, w.Do("GET", "/identity/v3"+c.path, "", "").Status, "nobody %s", c.path)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, base.Options{})
	admin := w.AdminToken()
	for path, want := range map[string]int{
		"/users": 2, "/users?name=DEMO": 1, "/users?name=x": 0, "/users?domain_id=default": 2, "/users?domain_id=x": 0, "/users?enabled=false": 0, "/users?foo=1": 2,
		"/projects?name=admin": 1, "/roles": 5, "/roles?name=reader": 1, "/domains?name=default": 1, "/auth/projects": 1, "/auth/domains": 0,
		"/role_assignments": 3, "/role_assignments?scope.project.id=" + string(w.Demo.DefaultProjectID): 1, "/role_assignments?user.id=" + string(w.Admin.ID): 2,
		"/role_assignments?group.id=x": 0,
	} {
		a := w.Do("GET", "/identity/v3"+path, admin, "")
		require.Equal(t, 200, a.Status, path)
		m := a.JSON(t)
		assert.Equal(t, "http://cloud:4746/identity/v3"+path, m["links"].(map[string]any)["self"])
		delete(m, "links")
		for _, list := range m {
			assert.Len(t, list, want, path)
		}
	}
}

// TestNoSecrets walks every GET of the service as administrator and looks for what must not be there.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, base.Options{})
	admin := w.AdminToken()
	secrets := []string{identitytest.AdminPassword, identitytest.DemoPassword, "$2a$", "password_hash", "PasswordHash"}
	for k := range w.Core.Stale().TokenKeys() {
		secrets = append(secrets, string(k.Key), k.ID)
	}
	for _, s := range identity.Services(w.Auth, base.Options{}) {
		for _, r := range s.Routes {
			path := s.Prefix + strings.NewReplacer("{id}", string(w.Demo.ID)).Replace(r.Path)
			for _, m := range []string{"GET", r.Method} {
				a := w.Do(m, path, admin, identitytest.Login("demo", identitytest.DemoPassword, ""), "X-Subject-Token", admin)
				for _, secret := range secrets {
					assert.NotContains(t, a.Body, secret, "%s %s", m, path)
				}
				admin = w.AdminToken() // DELETE revoked the last one
			}
		}
	}
}

// TestGophercloud logs in with a stock client and reads with it.
func TestGophercloud(t *testing.T) {
	t.Parallel()
	w := identitytest.New(t, base.Options{})
	srv := httptest.NewServer(w.Handler)
	t.Cleanup(srv.Close)
	ctx := t.Context()
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{IdentityEndpoint: srv.URL + "/identity", Username: "admin", Password: identitytest.AdminPassword, DomainName: "Default", TenantName: "admin"})
	require.NoError(t, err)
	client, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{})
	require.NoError(t, err)

	pages, err := projects.List(client, projects.ListOpts{}).AllPages(ctx)
	require.NoError(t, err)
	all, err := projects.ExtractProjects(pages)
	require.NoError(t, err)
	names := []string{}
	for _, p := range all {
		names = append(names, p.Name)
		assert.True(t, p.Enabled)
	}
	assert.ElementsMatch(t, []string{"admin", "demo"}, names)

	own, err := projects.ListAvailable(client).AllPages(ctx)
	require.NoError(t, err)
	mine, err := projects.ExtractProjects(own)
	require.NoError(t, err)
	assert.Len(t, mine, 1)

	u, err := users.Get(ctx, client, string(w.Demo.ID)).Extract()
	require.NoError(t, err)
	assert.Equal(t, "demo", u.Name)
	assigned, err := roles.ListAssignments(client, roles.ListAssignmentsOpts{UserID: string(w.Demo.ID)}).AllPages(ctx)
	require.NoError(t, err)
	list, err := roles.ExtractRoleAssignments(assigned)
	require.NoError(t, err)
	assert.Len(t, list, 1)

	got := tokens.Get(ctx, client, provider.TokenID)
	tok, err := got.ExtractToken()
	require.NoError(t, err)
	assert.Equal(t, w.Now().Add(3600e9).Unix(), tok.ExpiresAt.Unix())
	_, err = openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	assert.NoError(t, err)
	_, err = openstack.NewBlockStorageV3(provider, gophercloud.EndpointOpts{})
	assert.Error(t, err, "a service that is not there is not in the catalog")

	require.NoError(t, tokens.Revoke(ctx, client, provider.TokenID).Err)
	_, err = projects.List(client, nil).AllPages(ctx)
	assert.Error(t, err)
	_, err = openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{IdentityEndpoint: srv.URL + "/identity/v3", UserID: string(w.Demo.ID), Password: "no"})
	assert.True(t, gophercloud.ResponseCodeIs(err, 401), "%v", err)
	demo, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{IdentityEndpoint: srv.URL + "/identity/v3", UserID: string(w.Demo.ID), Password: identitytest.DemoPassword,
		Scope: &gophercloud.AuthScope{ProjectID: string(w.Demo.DefaultProjectID)}})
	require.NoError(t, err)
	dc, err := openstack.NewIdentityV3(demo, gophercloud.EndpointOpts{})
	require.NoError(t, err)
	_, err = projects.List(dc, nil).AllPages(ctx)
	assert.True(t, gophercloud.ResponseCodeIs(err, 403), "%v", err)
}
