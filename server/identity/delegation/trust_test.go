package delegation_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func TestTrusts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	expires := c.Now().UTC().Add(30 * time.Minute).Format("2006-01-02T15:04:05.000000Z")
	a := c.trust(c.on(ann), ann, cat, true, roles("member"), `"expires_at":"`+expires+`","colour":"red"`)
	require.Equal(t, 201, a.Status, a.Body)
	made := a.JSON(t)["trust"].(map[string]any)
	id := made["id"].(string)
	assert.Equal(t, expires, made["expires_at"])
	assert.InDelta(t, 0, made["redelegation_count"], 0)
	assert.Nil(t, made["remaining_uses"])
	assert.Equal(t, "red", made["colour"])
	assert.Len(t, made["roles"], 1)
	assert.Equal(t, "http://cloud:4746/identity/v3/OS-TRUST/trusts/"+id+"/roles", made["roles_links"].(map[string]any)["self"])
	assert.Equal(t, made, c.object(200, "GET", "/OS-TRUST/trusts/"+id, c.Token(cat, scopeless), "", "trust"))
	assert.Contains(t, c.Want(200, "GET", "/OS-TRUST/trusts/"+id+"/roles", c.on(ann), "").Body, `"member"`)
	role := "/OS-TRUST/trusts/" + id + "/roles/" + string(c.Role("member"))
	assert.Equal(t, "member", c.object(200, "GET", role, c.on(ann), "", "role")["name"])
	assert.Empty(t, c.Want(200, "HEAD", role, c.on(ann), "").Body)
	c.Want(404, "GET", "/OS-TRUST/trusts/"+id+"/roles/"+string(c.Role("reader")), c.on(ann), "")

	// cat, who is nothing on the project, acts there as ann, with the one role.
	l := c.login(byPassword(cat, password), trustScope(id))
	require.Equal(t, 201, l.Status, l.Body)
	tok := l.JSON(t)["token"].(map[string]any)
	assert.Equal(t, string(ann), tok["user"].(map[string]any)["id"])
	assert.Equal(t, expires, tok["expires_at"])
	assert.Equal(t, map[string]any{"id": id, "impersonation": true, "trustor_user": map[string]any{"id": string(ann)}, "trustee_user": map[string]any{"id": string(cat)}}, tok["OS-TRUST:trust"])
	assert.Equal(t, []string{"member", "reader"}, c.rolesOf(l.Header.Get("X-Subject-Token")))
	plain := c.trustID(c.on(ann), ann, cat, false, roles("reader"), "")
	v, err := c.Auth.Verify(c.token(byPassword(cat, password), trustScope(plain)))
	require.NoError(t, err)
	assert.Equal(t, cat, v.UserID, "without impersonation cat stays cat")

	list := func(text, query string) int {
		return len(c.Want(200, "GET", "/OS-TRUST/trusts"+query, text, "").JSON(t)["trusts"].([]any))
	}
	assert.Equal(t, []int{2, 2, 2, 0}, []int{list(c.AdminToken(), ""), list(c.on(ann), "?trustor_user_id="+string(ann)), list(c.Token(cat, scopeless), "?trustee_user_id="+string(cat)), list(c.AdminToken(), "?trustee_user_id="+string(bob))})
	c.Want(204, "DELETE", "/OS-TRUST/trusts/"+plain, c.on(ann), "")
	assert.Equal(t, 401, c.login(byPassword(cat, password), trustScope(plain)).Status)
	c.Pass(31 * time.Minute)
	c.Want(404, "GET", "/OS-TRUST/trusts/"+id, c.on(ann), "")
	assert.Equal(t, 401, c.login(byPassword(cat, password), trustScope(id)).Status)
}

func TestWrongTrusts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, x := range []struct {
		from, to structs.UserID
		roles    string
		more     string
		status   int
		want     string
	}{
		{ann, cat, `[]`, "", 403, "At least one role should be specified"},
		{ann, "nobody", roles("member"), "", 404, "Could not find user: nobody."},
		{ann, cat, roles("admin"), "", 404, "Could not find role: "},
		{ann, cat, roles("nothing"), "", 404, "Could not find role: nothing."},
		{bob, cat, roles("member"), "", 403, "identity:create_trust"},
		{ann, cat, roles("member"), `"remaining_uses":0`, 400, "less than the minimum"},
		{ann, cat, roles("member"), `"remaining_uses":2,"allow_redelegation":true`, 400, "remaining_uses must not be set if redelegation is allowed"},
		{ann, cat, roles("member"), `"redelegation_count":4,"allow_redelegation":true`, 403, "not authorized"},
		{ann, cat, roles("member"), `"expires_at":"x"`, 400, "Timestamp not in expected format."},
		{ann, cat, roles("member"), `"expires_at":"2001-01-01T00:00:00Z"`, 400, "The 'expires_at' must not be before now."},
		{ann, cat, `[{"id":"a","name":"b"}]`, "", 400, "roles"},
	} {
		a := c.trust(c.on(ann), x.from, x.to, true, x.roles, x.more)
		assert.Equal(t, x.status, a.Status, "%s %s: %s", x.roles, x.more, a.Body)
		assert.Contains(t, a.Body, x.want)
	}
	for body, want := range map[string]string{`{}`: "'trust' is a required property", `{"trust":{}}`: "is a required property", `{"trust":{"trustor_user_id":1,"trustee_user_id":"x","impersonation":true}}`: "is not of type 'string'"} {
		assert.Contains(t, c.Want(400, "POST", "/OS-TRUST/trusts", c.on(ann), body).Body, want, body)
	}
	c.Want(404, "POST", "/OS-TRUST/trusts", c.on(ann), `{"trust":{"trustor_user_id":"`+string(ann)+`","trustee_user_id":"`+string(cat)+`","impersonation":true,"project_id":"nothing","roles":[{"name":"member"}]}}`)
	without := c.object(201, "POST", "/OS-TRUST/trusts", c.on(ann), `{"trust":{"trustor_user_id":"`+string(ann)+`","trustee_user_id":"`+string(cat)+`","impersonation":true}}`, "trust")
	assert.Equal(t, 403, c.login(byPassword(cat, password), trustScope(without["id"].(string))).Status, "it is for nothing")
	assert.Equal(t, 401, c.login(byPassword(cat, password), trustScope("nothing")).Status)
	id := c.trustID(c.on(ann), ann, cat, true, roles("member"), "")
	assert.Equal(t, 403, c.login(byPassword(bob, password), trustScope(id)).Status, "it is not bob's")
	assert.Equal(t, 403, c.login(byPassword(ann, password), trustScope(id)).Status, "nor its giver's")
}

func TestAccessOfTrusts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.grantSystem(svc, "reader")
	id := c.trustID(c.on(ann), ann, cat, false, roles("member"), "")
	who := map[string]string{"ann": c.on(ann), "cat": c.Token(cat, scopeless), "bob": c.on(bob), "admin": c.AdminToken(), "reader": c.system(svc), "nobody": ""}
	one := "/OS-TRUST/trusts/" + id
	for _, x := range []struct {
		method, path string
		want         map[string]int
	}{
		{"GET", "/OS-TRUST/trusts", map[string]int{"ann": 403, "cat": 403, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", "/OS-TRUST/trusts?trustor_user_id=" + string(ann), map[string]int{"ann": 200, "cat": 403, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", "/OS-TRUST/trusts?trustee_user_id=" + string(cat), map[string]int{"ann": 403, "cat": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", one, map[string]int{"ann": 200, "cat": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", one + "/roles", map[string]int{"ann": 200, "cat": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", one + "/roles/" + string(c.Role("member")), map[string]int{"ann": 200, "cat": 200, "bob": 403, "admin": 200, "reader": 200, "nobody": 401}},
		{"GET", "/OS-TRUST/trusts/nothing", map[string]int{"ann": 404, "bob": 404, "admin": 404, "nobody": 401}},
		{"DELETE", one, map[string]int{"cat": 403, "bob": 403, "reader": 403, "nobody": 401}},
		{"DELETE", one, map[string]int{"admin": 204}},
	} {
		for name, want := range x.want {
			assert.Equal(t, want, c.Do(x.method, x.path, who[name], "").Status, "%s %s %s", name, x.method, x.path)
		}
	}
}

// Of many logins at once with a trust for three, three hold.
func TestTrustUses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.trustID(c.on(ann), ann, cat, true, roles("member"), `"remaining_uses":3`)
	var ok, refused atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			switch a := c.login(byPassword(cat, password), trustScope(id)); {
			case a.Status == 201:
				ok.Add(1)
			case a.Status == 403 && strings.Contains(a.Body, "No remaining uses for trust"), a.Status == 401:
				refused.Add(1)
			default:
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int32(3), ok.Load())
	assert.Equal(t, int32(9), refused.Load())
	c.Want(404, "GET", "/OS-TRUST/trusts/"+id, c.on(ann), "")
	assert.Equal(t, 401, c.login(byPassword(cat, password), trustScope(id)).Status)
}

// A trust is handed on as often as its giver says, with no more than it had; and all of the chain ends with any part of it.
func TestRedelegation(t *testing.T) {
	t.Parallel()
	for _, impersonation := range []bool{true, false} {
		c := newCloud(t)
		trustee := func(first, second structs.UserID) structs.UserID { // who stands for the trust
			if impersonation {
				return first
			}
			return second
		}
		first := c.trustID(c.on(ann), ann, bob, impersonation, roles("manager", "member"), `"allow_redelegation":true,"redelegation_count":2`)
		bobs := c.token(byPassword(bob, password), trustScope(first))
		a := c.trust(bobs, trustee(ann, bob), cat, impersonation, roles("member"), `"allow_redelegation":true`)
		require.Equal(t, 201, a.Status, a.Body)
		second := a.JSON(t)["trust"].(map[string]any)
		assert.Equal(t, first, second["redelegated_trust_id"])
		assert.InDelta(t, 1, second["redelegation_count"], 0)
		cats := c.token(byPassword(cat, password), trustScope(second["id"].(string)))
		assert.Equal(t, []string{"member", "reader"}, c.rolesOf(cats))
		third := c.trustID(cats, trustee(ann, cat), c.Demo.ID, impersonation, roles("member"), "")
		demos := c.token(byPassword(c.Demo.ID, identitytestDemo), trustScope(third))
		assert.Equal(t, []string{"member", "reader"}, c.rolesOf(demos))
		assert.Equal(t, 403, c.trust(demos, trustee(ann, c.Demo.ID), svc, impersonation, roles("member"), "").Status, "no further")
		assert.Equal(t, 403, c.trust(cats, trustee(ann, cat), svc, impersonation, roles("manager"), "").Status, "not more")

		c.set(cat, func(u *structs.User) { u.Enabled = false })
		assert.Nil(t, c.rolesOf(demos), "one of the chain is disabled")
		c.set(cat, func(u *structs.User) { u.Enabled = true })
		assert.NotNil(t, c.rolesOf(demos))
		c.revoke(ann, c.project, "member")
		assert.NotNil(t, c.rolesOf(demos), "manager implies member")
		c.revoke(ann, c.project, "manager")
		assert.Nil(t, c.rolesOf(demos), "who gave it has it no more")
		c.grant(ann, c.project, "member")
		assert.NotNil(t, c.rolesOf(demos))
		c.Want(204, "DELETE", "/OS-TRUST/trusts/"+first, c.on(ann), "")
		assert.Nil(t, c.rolesOf(demos))
		c.Want(404, "GET", "/OS-TRUST/trusts/"+third, c.AdminToken(), "")
	}
}

// The operator says how often trusts may be handed on, also those that were made when it was more often.
func TestMaxRedelegations(t *testing.T) {
	t.Parallel()
	again := func(count string) string { return `"allow_redelegation":true` + count }
	for most, want := range map[int]struct {
		status int // of one that asks for four
		made   int
	}{0: {403, 0}, 1: {403, 1}, 5: {201, 5}} {
		c := newCloudWith(t, base.Options{MaxRedelegations: &most})
		assert.Equal(t, want.status, c.trust(c.on(ann), ann, bob, true, roles("member"), again(`,"redelegation_count":4`)).Status, most)
		a := c.trust(c.on(ann), ann, bob, true, roles("member"), again(""))
		require.Equal(t, 201, a.Status, a.Body)
		made := a.JSON(t)["trust"].(map[string]any)
		assert.InDelta(t, want.made, made["redelegation_count"], 0, most)
		bobs := c.token(byPassword(bob, password), trustScope(made["id"].(string)))
		status := 201
		if most == 0 {
			status = 403
		}
		assert.Equal(t, status, c.trust(bobs, ann, cat, true, roles("member"), "").Status, most)
	}

	c := newCloudWith(t, base.Options{MaxRedelegations: new(int)})
	old := structs.Trust{ID: "d0000000000000000000000000000001", TrustorID: ann, TrusteeID: bob, ProjectID: c.project, Impersonation: true, RoleIDs: []structs.RoleID{c.Role("member")}, Redelegations: 3}
	_, err := fsm.TrustCreate.Propose(t.Context(), c.Core, &structs.TrustCreateRequest{Trust: old})
	require.NoError(t, err)
	bobs := c.token(byPassword(bob, password), trustScope(old.ID))
	assert.Equal(t, 403, c.trust(bobs, ann, cat, true, roles("member"), "").Status, "it was made for more than may be now")
}

// A chain that is longer than trusts may be handed on now is known to its end.
func TestLongChainsOfTrusts(t *testing.T) {
	t.Parallel()
	c := newCloudWith(t, base.Options{MaxRedelegations: new(int)})
	var last string
	for i := range 7 {
		tr := structs.Trust{ID: fmt.Sprintf("d000000000000000000000000000000%d", i), TrustorID: ann, TrusteeID: bob, ProjectID: c.project, Impersonation: true,
			RoleIDs: []structs.RoleID{c.Role("member")}, Redelegations: 7 - i, RedelegatedID: last}
		_, err := fsm.TrustCreate.Propose(t.Context(), c.Core, &structs.TrustCreateRequest{Trust: tr})
		require.NoError(t, err)
		last = tr.ID
	}
	first := c.token(byPassword(bob, password), trustScope("d0000000000000000000000000000000"))
	c.Want(204, "DELETE", "/OS-TRUST/trusts/"+last, first, "")
}
