package delegation_test

import (
	"encoding/base32"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/credentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/ec2credentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/ec2tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/trusts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// as is gophercloud's client of a user on the project p.
func (c *cloud) as(name string) *gophercloud.ServiceClient {
	c.T.Helper()
	return c.Client(&gophercloud.AuthOptions{Username: name, Password: password, DomainName: "Default", TenantID: string(c.project)})
}

func TestGophercloudApplicationCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, ctx, me := c.as("ann"), t.Context(), string(ann)
	expires := c.Now().UTC().Add(30 * time.Minute).Truncate(time.Millisecond)
	made, err := applicationcredentials.Create(ctx, client, me, applicationcredentials.CreateOpts{Name: "a", Description: "d", Secret: "own-s3cret", ExpiresAt: &expires,
		Roles: []applicationcredentials.Role{{Name: "reader"}}, AccessRules: []applicationcredentials.AccessRule{{Path: "/v3/**", Method: "GET", Service: "identity"}}}).Extract()
	require.NoError(t, err)
	assert.Equal(t, "own-s3cret", made.Secret)
	assert.Equal(t, expires, made.ExpiresAt)
	got, err := applicationcredentials.Get(ctx, client, me, made.ID).Extract()
	require.NoError(t, err)
	assert.Empty(t, got.Secret)
	pages, err := applicationcredentials.List(client, me, applicationcredentials.ListOpts{Name: "a"}).AllPages(ctx)
	require.NoError(t, err)
	list, err := applicationcredentials.ExtractApplicationCredentials(pages)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	pages, err = applicationcredentials.ListAccessRules(client, me).AllPages(ctx)
	require.NoError(t, err)
	rules, err := applicationcredentials.ExtractAccessRules(pages)
	require.NoError(t, err)
	require.Len(t, rules, 1)
	rule, err := applicationcredentials.GetAccessRule(ctx, client, me, rules[0].ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, "/v3/**", rule.Path)
	for _, o := range []gophercloud.AuthOptions{{ApplicationCredentialID: made.ID, ApplicationCredentialSecret: "own-s3cret"},
		{ApplicationCredentialName: "a", Username: "ann", DomainName: "Default", ApplicationCredentialSecret: "own-s3cret"}} {
		o.IdentityEndpoint = client.IdentityEndpoint
		provider, err := openstack.AuthenticatedClient(ctx, o)
		require.NoError(t, err)
		v, err := c.Auth.Verify(provider.Token())
		require.NoError(t, err)
		assert.Equal(t, made.ID, v.ApplicationCredID)
	}
	require.Error(t, applicationcredentials.DeleteAccessRule(ctx, client, me, rule.ID).ExtractErr())
	require.NoError(t, applicationcredentials.Delete(ctx, client, me, made.ID).ExtractErr())
	require.NoError(t, applicationcredentials.DeleteAccessRule(ctx, client, me, rule.ID).ExtractErr())
}

func TestGophercloudCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, ctx := c.as("ann"), t.Context()
	made, err := credentials.Create(ctx, client, credentials.CreateOpts{Blob: `{"access":"a","secret":"b"}`, ProjectID: string(c.project), Type: "ec2", UserID: string(ann)}).Extract()
	require.NoError(t, err)
	got, err := credentials.Get(ctx, client, made.ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, made.Blob, got.Blob)
	got, err = credentials.Update(ctx, client, made.ID, credentials.UpdateOpts{Blob: `{"access":"a","secret":"c"}`}).Extract()
	require.NoError(t, err)
	assert.Contains(t, got.Blob, `"c"`)
	pages, err := credentials.List(client, credentials.ListOpts{UserID: string(ann), Type: "ec2"}).AllPages(ctx)
	require.NoError(t, err)
	list, err := credentials.ExtractCredentials(pages)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	require.NoError(t, credentials.Delete(ctx, client, made.ID).ExtractErr())
}

func TestGophercloudEC2(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, service, ctx, me := c.as("ann"), c.as("svc"), t.Context(), string(ann)
	made, err := ec2credentials.Create(ctx, client, me, ec2credentials.CreateOpts{TenantID: string(c.project)}).Extract()
	require.NoError(t, err)
	got, err := ec2credentials.Get(ctx, client, me, made.Access).Extract()
	require.NoError(t, err)
	assert.Equal(t, made.Secret, got.Secret)
	pages, err := ec2credentials.List(client, me).AllPages(ctx)
	require.NoError(t, err)
	list, err := ec2credentials.ExtractCredentials(pages)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	now := c.Now().UTC()
	v2 := &ec2tokens.AuthOptions{Access: made.Access, Secret: made.Secret, Host: "cloud", Path: "/", Verb: "GET", Params: map[string]string{"SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "Timestamp": now.Format(time.RFC3339)}}
	v4 := &ec2tokens.AuthOptions{Access: made.Access, Secret: made.Secret, Path: "/", Verb: "GET", Region: "r", Service: "ec2", Timestamp: &now, Params: map[string]string{"Action": "Test"},
		Headers: map[string]string{"Host": "cloud"}}
	for name, o := range map[string]*ec2tokens.AuthOptions{"v2": v2, "v4": v4} {
		r := ec2tokens.Create(ctx, service, o)
		require.NoError(t, r.Err, name)
		u, err := r.ExtractUser()
		require.NoError(t, err, name)
		assert.Equal(t, me, u.ID, name)
		id, err := r.ExtractTokenID()
		require.NoError(t, err)
		assert.NotNil(t, c.rolesOf(id), name)
	}
	s3 := *v4
	s3.Service, s3.Headers = "s3", map[string]string{"Host": "cloud"}
	u, err := ec2tokens.ValidateS3Token(ctx, service, &s3).ExtractUser()
	require.NoError(t, err)
	assert.Equal(t, me, u.ID)
	require.NoError(t, ec2credentials.Delete(ctx, client, me, made.Access).ExtractErr())
}

func TestGophercloudTrusts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, ctx := c.as("ann"), t.Context()
	expires := c.Now().UTC().Add(30 * time.Minute).Truncate(time.Millisecond)
	made, err := trusts.Create(ctx, client, trusts.CreateOpts{TrustorUserID: string(ann), TrusteeUserID: string(cat), Impersonation: true, ProjectID: string(c.project), ExpiresAt: &expires,
		AllowRedelegation: true, RedelegationCount: 2, Roles: []trusts.Role{{Name: "member"}}}).Extract()
	require.NoError(t, err)
	assert.Equal(t, expires, made.ExpiresAt)
	assert.Equal(t, 2, made.RedelegationCount)
	got, err := trusts.Get(ctx, client, made.ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, made, got)
	pages, err := trusts.List(client, trusts.ListOpts{TrustorUserID: string(ann)}).AllPages(ctx)
	require.NoError(t, err)
	list, err := trusts.ExtractTrusts(pages)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	pages, err = trusts.ListRoles(client, made.ID).AllPages(ctx)
	require.NoError(t, err)
	in, err := trusts.ExtractRoles(pages)
	require.NoError(t, err)
	require.Len(t, in, 1)
	role, err := trusts.GetRole(ctx, client, made.ID, in[0].ID).Extract()
	require.NoError(t, err)
	assert.Equal(t, "member", role.Name)
	require.NoError(t, trusts.CheckRole(ctx, client, made.ID, in[0].ID).ExtractErr())
	r := tokens.Create(ctx, client, &tokens.AuthOptions{UserID: string(cat), Password: password, Scope: tokens.Scope{TrustID: made.ID}})
	require.NoError(t, r.Err)
	var ext trusts.TokenExt
	require.NoError(t, r.ExtractInto(&ext))
	assert.Equal(t, made.ID, ext.Trust.ID)
	require.NoError(t, trusts.Delete(ctx, client, made.ID).ExtractErr())
}

func TestGophercloudTokens(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, ctx := c.as("ann"), t.Context()
	c.object(201, "POST", "/credentials", c.on(ann), `{"credential":{"user_id":"`+string(ann)+`","type":"totp","blob":"`+base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))+`"}}`, "credential")
	scope := tokens.Scope{ProjectID: string(c.project)}
	r := tokens.Create(ctx, client, &tokens.AuthOptions{UserID: string(ann), Passcode: token.Passcode([]byte("12345678901234567890"), c.Now()), Scope: scope})
	require.NoError(t, r.Err, "a passcode alone")
	c.set(ann, func(u *structs.User) {
		u.Options = &structs.UserOptions{MultiFactorRules: [][]string{{"password", "totp"}}}
	})
	require.Error(t, tokens.Create(ctx, client, &tokens.AuthOptions{UserID: string(ann), Password: password, Scope: scope}).Err)
	c.Pass(30 * time.Second)
	r = tokens.Create(ctx, client, &tokens.AuthOptions{UserID: string(ann), Password: password, Passcode: token.Passcode([]byte("12345678901234567890"), c.Now()), Scope: scope})
	require.NoError(t, r.Err, "both")
	made, err := r.ExtractToken()
	require.NoError(t, err)
	got, err := tokens.Get(ctx, client, made.ID).ExtractProject()
	require.NoError(t, err)
	assert.Equal(t, string(c.project), got.ID)
	ok, err := tokens.Validate(ctx, client, made.ID)
	require.NoError(t, err)
	assert.True(t, ok)
	again := tokens.Create(ctx, client, &tokens.AuthOptions{TokenID: made.ID, Scope: scope})
	require.NoError(t, again.Err)
	require.NoError(t, tokens.Revoke(ctx, client, made.ID).Err)
	ok, err = tokens.Validate(ctx, client, made.ID)
	require.NoError(t, err)
	assert.False(t, ok)
}
