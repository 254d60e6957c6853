package bootstrap_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/bootstrap"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

func TestBootstrap(t *testing.T) {
	t.Parallel()
	c := identitytest.New(t, base.Options{})
	req, err := bootstrap.Request(bootstrap.Options{AdminPassword: "x", BcryptCost: 4})
	require.NoError(t, err)
	_, err = fsm.IdentityUpsert.Propose(context.Background(), c.Core, req)
	assert.Equal(t, structs.KindConflict, structs.KindOf(err), "once")
	assert.Len(t, req.Users, 1)
	_, err = bootstrap.Request(bootstrap.Options{})
	assert.Error(t, err)
	_, err = bootstrap.Request(bootstrap.Options{AdminPassword: strings.Repeat("p", base.MaxPassword+1), BcryptCost: 4})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "ppp")

	st := c.Core.Stale()
	names := func(roles []*structs.Role) (out []string) {
		for _, x := range roles {
			out = append(out, x.Name)
		}
		return out
	}
	all := []string{"admin", "manager", "member", "reader"}
	assert.Equal(t, all, names(access.OnProject(st, c.Admin.ID, st.Project(c.Admin.DefaultProjectID))))
	assert.Equal(t, all, names(access.OnSystem(st, c.Admin.ID)), "as keystone-manage bootstrap grants it")
	assert.Empty(t, access.OnSystem(st, c.Demo.ID))
}
