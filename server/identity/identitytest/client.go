package identitytest

import (
	"net/http/httptest"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/stretchr/testify/require"
)

// URL serves the cloud on a port of its own until the test ends, and returns where its Identity API is. The catalog's URLs lead there too.
func (c *Cloud) URL() string {
	c.T.Helper()
	srv := httptest.NewServer(c.Handler)
	c.T.Cleanup(srv.Close)
	return srv.URL + "/identity/v3"
}

// Client is gophercloud's client of the Identity API, logged in as the options say; without any as the administrator on its project.
func (c *Cloud) Client(o *gophercloud.AuthOptions) *gophercloud.ServiceClient {
	c.T.Helper()
	if o == nil {
		o = &gophercloud.AuthOptions{Username: "admin", Password: AdminPassword, DomainName: "Default", TenantName: "admin"}
	}
	if o.IdentityEndpoint == "" {
		o.IdentityEndpoint = c.URL()
	}
	provider, err := openstack.AuthenticatedClient(c.T.Context(), *o)
	require.NoError(c.T, err)
	client, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{})
	require.NoError(c.T, err)
	return client
}
