package token

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// Which application credentials there are is told by neither the answer nor the work: a wrong secret, one that is over, one of a disabled user and none at all are
// one comparison of the same cost.
func TestApplicationCredentialsAreNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	off := w.demo
	off.ID, off.Name, off.Enabled = "off", "off", false
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{off}})
	hash, err := base.HashPassword("s3cret", 4)
	require.NoError(t, err)
	for id, c := range map[string]structs.ApplicationCredential{"good": {UserID: w.demo.ID}, "over": {UserID: w.demo.ID, ExpiresAt: w.now()}, "disabled": {UserID: "off"}} {
		c.ID, c.Name, c.ProjectID, c.SecretHash, c.RoleIDs = id, id, w.demo.DefaultProjectID, hash, []structs.RoleID{w.role("member")}
		_, err := fsm.ApplicationCredentialCreate.Propose(context.Background(), w.core, &structs.ApplicationCredentialCreateRequest{Credential: c})
		require.NoError(t, err)
	}
	login := func(id, secret string) answer {
		return w.login(fmt.Sprintf(`{"methods":["application_credential"],"application_credential":{"id":%q,"secret":%q}}`, id, secret))
	}
	require.Equal(t, 201, login("good", "s3cret").status)
	for id, secret := range map[string]string{"good": "wrong", "over": "s3cret", "disabled": "s3cret", "none": "s3cret"} {
		var costs []int
		w.passwords.Observe = func(cost int) { costs = append(costs, cost) }
		assert.Equal(t, generic401, login(id, secret).body, id)
		assert.Equal(t, []int{4}, costs, id)
	}
}
