package delegation_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// A token with any bit turned, cut, lengthened or spelt otherwise is none; nor is one that is over or revoked.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	made := c.appCred(ann, c.on(ann), "a", "")
	for name, text := range map[string]string{"project": c.on(ann), "application credential": c.appToken(made), "trust": c.token(byPassword(cat, password), trustScope(c.trustID(c.on(ann), ann, cat, true, roles("member"), "")))} {
		require.NotNil(t, c.rolesOf(text), name)
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		require.NoError(t, err)
		for i := range raw {
			bad := append([]byte(nil), raw...)
			bad[i] ^= 1
			require.Nil(t, c.rolesOf(base64.RawURLEncoding.EncodeToString(bad)), "%s, byte %d", name, i)
		}
		for i := 0; i < len(text); i += 7 {
			require.Nil(t, c.rolesOf(text[:i]), "%s, cut at %d", name, i)
		}
		spelt := []byte(text) // the last character's bits that say nothing
		spelt[len(spelt)-1]++
		for _, bad := range []string{string(spelt), text + "A", text + "=", " " + text, text + "\n", strings.ReplaceAll(text, "-", "+") + "!", strings.Repeat(text, 20)} {
			require.Nil(t, c.rolesOf(bad), "%s: %q", name, bad)
		}
		c.Want(204, "DELETE", "/auth/tokens", c.AdminToken(), "", "X-Subject-Token", text)
		require.Nil(t, c.rolesOf(text), "%s, revoked", name)
		require.Equal(t, 404, c.login(byToken(text), "").Status, "%s, revoked", name)
	}
	other := newCloud(t)
	require.Nil(t, c.rolesOf(other.on(ann)), "another cluster's")
	text := c.on(ann)
	c.Pass(time.Hour)
	require.Nil(t, c.rolesOf(text), "over")
}

// What an application credential may not become.
func TestEscalationThroughApplicationCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	path := "/users/" + string(ann) + "/application_credentials"
	post := func(text, more string) int {
		return c.Do("POST", path, text, `{"application_credential":{"name":"n`+fmt.Sprint(c.Core.Stale().Index())+`"`+more+`}}`).Status
	}
	restricted := c.appToken(c.appCred(ann, c.on(ann), "restricted", `"roles":[{"name":"reader"}]`))
	free := c.appCred(ann, c.on(ann), "free", `"unrestricted":true,"roles":[{"name":"member"}]`)
	freeToken := c.appToken(free)

	assert.Equal(t, 400, post(c.on(ann), `,"roles":[{"name":"admin"}]`), "a role that the user has not")
	assert.Equal(t, 403, post(restricted, ""), "a restricted one makes none")
	assert.Equal(t, 403, post(restricted, `,"unrestricted":true`))
	assert.Equal(t, 403, c.Do("DELETE", path+"/"+free["id"].(string), restricted, "").Status)
	assert.Equal(t, 201, post(freeToken, ""), "an unrestricted one does")
	assert.Equal(t, 400, post(freeToken, `,"roles":[{"name":"manager"}]`), "no more than it has, though its user has it")
	for name, text := range map[string]string{"restricted": restricted, "free": freeToken} {
		for _, scope := range []string{projectScope(c.Demo.DefaultProjectID), projectScope(c.project), `{"system":{"all":true}}`, `{"domain":{"id":"default"}}`, `"unscoped"`} {
			assert.Equal(t, 403, c.login(byToken(text), scope).Status, "%s to %s", name, scope)
		}
		again := c.token(byToken(text), "")
		assert.Equal(t, c.rolesOf(text), c.rolesOf(again))
		v, err := c.Auth.Verify(again)
		require.NoError(t, err)
		assert.NotEmpty(t, v.ApplicationCredID, "it is still the credential's")
		assert.Equal(t, 403, c.trust(text, ann, cat, true, roles("reader"), "").Status, "it gives no trusts")
		assert.Equal(t, 403, c.Do("GET", "/OS-TRUST/trusts?trustor_user_id="+string(ann), text, "").Status)
		assert.Equal(t, 403, c.Do("POST", "/credentials", text, credentialBody(string(ann), string(c.project), "totp", "AAAA")).Status, "nor seeds that log its user in")
		assert.Equal(t, 403, c.Do("POST", "/credentials", text, credentialBody(string(ann), string(c.Demo.DefaultProjectID), "cert", "x")).Status)
	}
	login := byAppCred(free["id"].(string), free["secret"].(string))
	assert.Equal(t, 401, c.login(login, projectScope(c.project)).Status, "it cannot ask for a scope")
	assert.Equal(t, 401, c.login(byAppCred(free["id"].(string), "wrong"), "").Status)
	for _, kind := range []string{"ec2", "EC2"} {
		assert.Equal(t, 403, c.Do("POST", "/credentials", restricted, credentialBody(string(ann), string(c.project), kind, `{"access":"a","secret":"b"}`)).Status)
	}
	assert.Equal(t, 403, c.Do("POST", "/users/"+string(ann)+"/credentials/OS-EC2", restricted, fmt.Sprintf(`{"tenant_id":%q}`, c.project)).Status)

	access, secret := c.keys(ann, freeToken)
	assert.Equal(t, []string{"member", "reader"}, c.rolesOf(c.ec2Token(access, secret)), "keys that it made stand for no more than it")
	c.revoke(ann, c.project, "member")
	assert.Equal(t, []string{"member", "reader"}, c.rolesOf(freeToken), "manager implies both")
	c.revoke(ann, c.project, "manager")
	assert.Nil(t, c.rolesOf(freeToken), "what its user has no more")
	assert.Nil(t, c.rolesOf(restricted))
	assert.Equal(t, 401, c.login(login, "").Status)
	c.grant(ann, c.project, "reader")
	assert.Equal(t, []string{"reader"}, c.rolesOf(freeToken))
	c.set(ann, func(u *structs.User) { u.Enabled = false })
	assert.Equal(t, 401, c.login(login, "").Status, "its user is disabled")
	assert.Nil(t, c.rolesOf(freeToken))
	c.set(ann, func(u *structs.User) { u.Enabled = true })
	text := c.token(login, "")
	c.Want(204, "DELETE", path+"/"+free["id"].(string), c.AdminToken(), "")
	assert.Nil(t, c.rolesOf(text), "it is gone")
	assert.Equal(t, 401, c.ec2(c.on(svc), "credentials", signedV2(access, secret, "cloud", c.Now())).Status, "and its keys with it")
}

// A token with access rules makes no credential that has others, or none.
func TestEscalationThroughAccessRules(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	path := "/v3/users/" + string(ann) + "/application_credentials"
	rule := func(method, path string) string {
		return fmt.Sprintf(`{"service":"identity","method":%q,"path":%q}`, method, path)
	}
	text := c.appToken(c.appCred(ann, c.on(ann), "a", `"unrestricted":true,"access_rules":[`+rule("POST", path)+`,`+rule("GET", path)+`,`+rule("POST", "/v3/users/*/credentials/OS-EC2")+`]`))
	post := func(rules string) int {
		return c.Do("POST", strings.TrimPrefix(path, "/v3"), text, `{"application_credential":{"name":"n`+fmt.Sprint(c.Core.Stale().Index())+`"`+rules+`}}`).Status
	}
	assert.Equal(t, 400, post(""))
	assert.Equal(t, 400, post(`,"access_rules":[]`))
	assert.Equal(t, 400, post(`,"access_rules":[`+rule("GET", "/**")+`]`))
	assert.Equal(t, 400, post(`,"access_rules":[`+rule("GET", path)+`,`+rule("GET", "/v3/users")+`]`))
	assert.Equal(t, 201, post(`,"access_rules":[`+rule("GET", path)+`]`))
	assert.Equal(t, 200, c.Do("GET", strings.TrimPrefix(path, "/v3"), text, "").Status)
	assert.Equal(t, 401, c.Do("DELETE", strings.TrimPrefix(path, "/v3")+"/x", text, "").Status)
	again := c.token(byToken(text), "")
	assert.Equal(t, 401, c.Do("GET", "/users/"+string(ann), again, "").Status, "a token made from it has its rules")
	access, secret := c.keys(ann, text)
	assert.Equal(t, 401, c.Do("GET", "/users/"+string(ann), c.ec2Token(access, secret), "").Status, "and so have keys")
}

// What a trustee may not become.
func TestEscalationThroughTrusts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	mine := c.credential(c.on(ann), "ec2", `{"access":"anns","secret":"own"}`)
	seed := c.object(201, "POST", "/credentials", c.on(ann), `{"credential":{"user_id":"`+string(ann)+`","type":"totp","blob":"AAAA"}}`, "credential")["id"].(string)
	another := c.trustID(c.on(ann), ann, svc, true, roles("reader"), "")
	app := c.appCred(ann, c.on(ann), "anns", "")
	end := c.Now().UTC().Add(20 * time.Minute).Format(time.RFC3339)
	first := c.trustID(c.on(ann), ann, bob, true, roles("member"), `"allow_redelegation":true,"redelegation_count":1,"expires_at":"`+end+`"`)
	bobs := c.token(byPassword(bob, password), trustScope(first))

	assert.Equal(t, 403, c.trust(bobs, ann, cat, true, roles("manager"), "").Status, "more roles")
	assert.Equal(t, 403, c.trust(bobs, ann, cat, true, roles("member"), `"expires_at":"`+c.Now().UTC().Add(time.Hour).Format(time.RFC3339)+`"`).Status, "longer")
	assert.Equal(t, 403, c.trust(bobs, ann, cat, true, roles("member"), `"remaining_uses":1`).Status)
	assert.Equal(t, 403, c.trust(bobs, ann, cat, true, roles("member"), `"allow_redelegation":true,"redelegation_count":3`).Status, "more often")
	elsewhere := strings.Replace(`{"trust":{"trustor_user_id":"`+string(ann)+`","trustee_user_id":"`+string(cat)+`","impersonation":true,"project_id":"P","roles":[{"name":"member"}]}}`, "P", string(c.Demo.DefaultProjectID), 1)
	c.grant(ann, c.Demo.DefaultProjectID, "member")
	assert.Equal(t, 403, c.Do("POST", "/OS-TRUST/trusts", bobs, elsewhere).Status, "on another project of the giver's")
	second := c.trustID(bobs, ann, cat, true, roles("member"), "")
	assert.Equal(t, end[:19], c.object(200, "GET", "/OS-TRUST/trusts/"+second, c.on(ann), "", "trust")["expires_at"].(string)[:19], "it ends with the first")
	cats := c.token(byPassword(cat, password), trustScope(second))
	assert.Equal(t, 403, c.trust(cats, ann, svc, true, roles("member"), "").Status, "no further")

	for _, scope := range []string{projectScope(c.project), projectScope(c.Demo.DefaultProjectID), `"unscoped"`, "", trustScope(first)} {
		assert.Equal(t, 403, c.login(byToken(bobs), scope).Status, "a trust's token makes no other: %s", scope)
	}
	me := "/users/" + string(ann)
	for _, x := range [][3]string{
		{"POST", me + "/application_credentials", `{"application_credential":{"name":"x"}}`}, {"GET", me + "/application_credentials", ""},
		{"GET", me + "/application_credentials/" + app["id"].(string), ""}, {"DELETE", me + "/application_credentials/" + app["id"].(string), ""}, {"GET", me + "/access_rules", ""},
		{"GET", "/credentials/" + mine, ""}, {"PATCH", "/credentials/" + mine, `{"credential":{"blob":"{\"access\":\"anns\",\"secret\":\"known\"}"}}`}, {"DELETE", "/credentials/" + mine, ""},
		{"GET", "/credentials/" + seed, ""}, {"DELETE", "/credentials/" + seed, ""}, {"PATCH", "/credentials/" + seed, `{"credential":{"blob":"BBBB"}}`},
		{"POST", "/credentials", credentialBody(string(ann), string(c.project), "totp", "AAAA")}, {"POST", "/credentials", credentialBody(string(ann), "", "totp", "AAAA")},
		{"GET", me + "/credentials/OS-EC2/anns", ""}, {"DELETE", me + "/credentials/OS-EC2/anns", ""},
		{"POST", me + "/credentials/OS-EC2", fmt.Sprintf(`{"tenant_id":%q}`, c.Demo.DefaultProjectID)},
		{"DELETE", "/OS-TRUST/trusts/" + another, ""}, {"DELETE", "/OS-TRUST/trusts/" + first, ""},
	} {
		assert.Equal(t, 403, c.Do(x[0], x[1], bobs, x[2]).Status, x)
	}
	assert.NotContains(t, c.Want(200, "GET", "/credentials", bobs, "").Body, "anns")
	assert.NotContains(t, c.Want(200, "GET", me+"/credentials/OS-EC2", bobs, "").Body, "anns")

	access, secret := c.keys(ann, bobs)
	made := c.object(201, "POST", "/credentials", bobs, credentialBody(string(ann), string(c.project), "ec2", `{"access":"bobs","secret":"x"}`), "credential")
	assert.Contains(t, made["blob"], first)
	for _, text := range []string{c.ec2Token(access, secret), c.ec2Token("bobs", "x")} {
		assert.Equal(t, []string{"member", "reader"}, c.rolesOf(text), "keys that the trustee made stand for the trust")
		v, err := c.Auth.Verify(text)
		require.NoError(t, err)
		assert.Equal(t, first, v.TrustID)
	}
	for _, body := range []string{`{"credential":{"blob":"{\"access\":\"bobs\",\"secret\":\"x\"}"}}`, `{"credential":{"blob":"{\"access\":\"bobs\",\"secret\":\"x\",\"trust_id\":\"` + another + `\"}"}}`} {
		assert.Equal(t, 400, c.Do("PATCH", "/credentials/"+made["id"].(string), c.on(ann), body).Status, "nobody unbinds them")
	}
	c.Want(204, "DELETE", "/OS-TRUST/trusts/"+second, bobs, "")
	c.set(ann, func(u *structs.User) { u.Enabled = false })
	assert.Nil(t, c.rolesOf(bobs), "the giver is disabled")
	assert.Equal(t, 403, c.login(byPassword(bob, password), trustScope(first)).Status)
	c.set(ann, func(u *structs.User) { u.Enabled = true })
	c.revoke(ann, c.project, "member")
	c.revoke(ann, c.project, "manager")
	c.grant(ann, c.project, "reader")
	assert.Nil(t, c.rolesOf(bobs), "the giver has it no more")
	assert.Equal(t, 403, c.login(byPassword(bob, password), trustScope(first)).Status)
	assert.Equal(t, 403, c.ec2(c.on(svc), "credentials", signedV2(access, secret, "cloud", c.Now())).Status)
	_, err := fsm.TrustDelete.Propose(t.Context(), c.Core, &structs.TrustDeleteRequest{ID: first})
	require.NoError(t, err)
	assert.Equal(t, 401, c.ec2(c.on(svc), "credentials", signedV2(access, secret, "cloud", c.Now())).Status)
}

// Keys that an impersonating trustee made take the trust's uses, as its logins do.
func TestKeysTakeUses(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.trustID(c.on(ann), ann, bob, true, roles("member"), `"remaining_uses":3`)
	access, secret := c.keys(ann, c.token(byPassword(bob, password), trustScope(id)))
	c.ec2Token(access, secret)
	c.ec2Token(access, secret)
	assert.Equal(t, 403, c.ec2(c.on(svc), "credentials", signedV2(access, secret, "cloud", c.Now())).Status)
}

// Another user's credentials stand for that user: neither a path nor a body gives them away, and what an administrator moves is not its own.
func TestCredentialsOfOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	mine := c.credential(c.on(ann), "ec2", `{"access":"anns","secret":"own"}`)
	for _, x := range [][3]string{
		{"GET", "/credentials/" + mine, ""}, {"DELETE", "/credentials/" + mine, ""}, {"PATCH", "/credentials/" + mine, `{"credential":{"user_id":"` + string(bob) + `"}}`},
		{"GET", "/users/" + string(bob) + "/credentials/OS-EC2/anns", ""}, {"DELETE", "/users/" + string(bob) + "/credentials/OS-EC2/anns", ""},
		{"POST", "/credentials", credentialBody(string(ann), string(c.project), "ec2", `{"access":"x","secret":"x"}`)},
		{"POST", "/credentials", credentialBody(string(ann), "", "totp", "AAAA")},
	} {
		assert.Equal(t, 403, c.Do(x[0], x[1], c.on(bob), x[2]).Status, x)
	}
	own := c.object(201, "POST", "/credentials", c.on(bob), credentialBody(string(bob), string(c.project), "cert", "x"), "credential")["id"].(string)
	assert.Equal(t, 403, c.Do("PATCH", "/credentials/"+own, c.on(bob), `{"credential":{"user_id":"`+string(ann)+`"}}`).Status, "nor is one slipped to another user")
	keys := c.object(201, "POST", "/credentials", c.on(bob), credentialBody(string(bob), string(c.Demo.DefaultProjectID), "ec2", `{"access":"bobs","secret":"b"}`), "credential")
	require.NotEmpty(t, keys["id"])
	assert.Equal(t, 401, c.ec2(c.on(svc), "credentials", signedV2("bobs", "b", "cloud", c.Now())).Status, "keys on a project where their user is nothing")
	assert.Nil(t, c.rolesOf(c.Token(bob, token.Scope{Project: c.Demo.DefaultProjectID})))
}

// Logins say nothing of who is there: not of application credentials, passcodes or passwords.
func TestUsersAreNotTold(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	made := c.appCred(ann, c.on(ann), "a", "")
	off := c.appCred(bob, c.on(bob), "a", "")
	c.set(bob, func(u *structs.User) { u.Enabled = false })
	named := func(user, name, secret string) string {
		return fmt.Sprintf(`{"methods":["application_credential"],"application_credential":{"name":%q,"secret":%q,"user":{"id":%q}}}`, name, secret, user)
	}
	bodies := map[string]bool{}
	for _, identity := range []string{
		byAppCred(made["id"].(string), "wrong"), byAppCred("nothing", "wrong"), byAppCred(off["id"].(string), off["secret"].(string)), byAppCred(off["id"].(string), "wrong"),
		named(string(ann), "a", "wrong"), named(string(ann), "nothing", "wrong"), named("nobody", "a", "wrong"), named(string(bob), "a", off["secret"].(string)),
		byPassword(ann, "wrong"), byPassword(bob, password), byPassword("nobody", password),
		`{"methods":["totp"],"totp":{"user":{"id":"nobody","passcode":"123456"}}}`, `{"methods":["totp"],"totp":{"user":{"id":"` + string(ann) + `","passcode":"123456"}}}`,
		`{"methods":["totp"],"totp":{"user":{"id":"` + string(bob) + `","passcode":"123456"}}}`,
	} {
		a := c.login(identity, "")
		assert.Equal(t, 401, a.Status, identity)
		bodies[a.Body] = true
	}
	assert.Len(t, bodies, 1, "one answer: %v", bodies)
}
