package delegation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// cloud has beside the administrator and demo: ann and bob, who are members of the project p; cat, who is nothing on it; and a service user.
type cloud struct {
	*identitytest.Cloud
	project structs.ProjectID
}

const password = "s3cret-Pw-of-all"

var scopeless token.Scope

const identitytestDemo = identitytest.DemoPassword

const (
	ann = structs.UserID("a0000000000000000000000000000001")
	bob = structs.UserID("a0000000000000000000000000000002")
	cat = structs.UserID("a0000000000000000000000000000003")
	svc = structs.UserID("a0000000000000000000000000000004")
)

var passwordHash = sync.OnceValue(func() []byte {
	hash, err := base.HashPassword(password, bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return hash
})

func newCloud(t testing.TB) *cloud { return newCloudWith(t, base.Options{}) }

func newCloudWith(t testing.TB, o base.Options) *cloud {
	t.Helper()
	c := &cloud{identitytest.New(t, o), "b0000000000000000000000000000001"}
	req := &structs.IdentityUpsertRequest{Projects: []structs.Project{{ID: c.project, DomainID: "default", Name: "p", Enabled: true}}}
	for id, name := range map[structs.UserID]string{ann: "ann", bob: "bob", cat: "cat", svc: "svc"} {
		req.Users = append(req.Users, structs.User{ID: id, DomainID: "default", Name: name, Enabled: true, PasswordHash: passwordHash(), PasswordAt: structs.TimeOf(c.Now())})
	}
	if c.Core.Stale().RoleByName("", "service") == nil {
		req.Roles = []structs.Role{{ID: "c0000000000000000000000000000001", Name: "service"}}
	}
	c.Upsert(req)
	c.grant(ann, c.project, "member")
	c.grant(ann, c.project, "manager")
	c.grant(bob, c.project, "member")
	c.grant(svc, c.project, "service")
	return c
}

func (c *cloud) grant(u structs.UserID, p structs.ProjectID, role string) {
	c.change(u, p, role, false)
}

func (c *cloud) revoke(u structs.UserID, p structs.ProjectID, role string) {
	c.change(u, p, role, true)
}

func (c *cloud) change(u structs.UserID, p structs.ProjectID, role string, remove bool) {
	c.T.Helper()
	_, err := fsm.GrantWrite.Propose(c.T.Context(), c.Core, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: u, ProjectID: p, RoleID: c.Role(role)}, Remove: remove})
	require.NoError(c.T, err)
}

// set changes a user past the API.
func (c *cloud) set(u structs.UserID, f func(*structs.User)) {
	c.T.Helper()
	v := *c.Core.Stale().User(u)
	f(&v)
	c.Upsert(&structs.IdentityUpsertRequest{Users: []structs.User{v}})
}

// on is a token of a user on the project p.
func (c *cloud) on(u structs.UserID) string {
	c.T.Helper()
	return c.Token(u, token.Scope{Project: c.project})
}

func (c *cloud) system(u structs.UserID) string {
	c.T.Helper()
	return c.Token(u, token.Scope{System: true})
}

// login answers a login of methods; scope is JSON, or "".
func (c *cloud) login(identity, scope string, header ...string) identitytest.Answer {
	c.T.Helper()
	body := `{"auth":{"identity":` + identity
	if scope != "" {
		body += `,"scope":` + scope
	}
	return c.Do(http.MethodPost, "/auth/tokens", "", body+"}}", header...)
}

// token is what a login that succeeds gives.
func (c *cloud) token(identity, scope string) string {
	c.T.Helper()
	a := c.login(identity, scope)
	require.Equal(c.T, http.StatusCreated, a.Status, "%s %s: %s", identity, scope, a.Body)
	return a.Header.Get("X-Subject-Token")
}

func byPassword(u structs.UserID, pw string) string {
	return fmt.Sprintf(`{"methods":["password"],"password":{"user":{"id":%q,"password":%q}}}`, u, pw)
}

func byAppCred(id, secret string) string {
	return fmt.Sprintf(`{"methods":["application_credential"],"application_credential":{"id":%q,"secret":%q}}`, id, secret)
}

func byToken(text string) string {
	return fmt.Sprintf(`{"methods":["token"],"token":{"id":%q}}`, text)
}

func trustScope(id string) string { return fmt.Sprintf(`{"OS-TRUST:trust":{"id":%q}}`, id) }

func projectScope(id structs.ProjectID) string { return fmt.Sprintf(`{"project":{"id":%q}}`, id) }

// object sends a request and returns the object under a key of the answer.
func (c *cloud) object(status int, method, path, text, body, key string) map[string]any {
	c.T.Helper()
	a := c.Want(status, method, path, text, body)
	m, _ := a.JSON(c.T)[key].(map[string]any)
	require.NotNil(c.T, m, a.Body)
	return m
}

// appCred makes an application credential with a token; more are further fields.
func (c *cloud) appCred(u structs.UserID, text, name, more string) map[string]any {
	c.T.Helper()
	body := fmt.Sprintf(`{"application_credential":{"name":%q`, name)
	if more != "" {
		body += "," + more
	}
	return c.object(http.StatusCreated, http.MethodPost, "/users/"+string(u)+"/application_credentials", text, body+"}}", "application_credential")
}

// appToken is the token of an application credential that was just made.
func (c *cloud) appToken(made map[string]any) string {
	c.T.Helper()
	return c.token(byAppCred(made["id"].(string), made["secret"].(string)), "")
}

// trust asks for a trust; more are further fields.
func (c *cloud) trust(text string, from, to structs.UserID, impersonation bool, roles, more string) identitytest.Answer {
	c.T.Helper()
	body := fmt.Sprintf(`{"trust":{"trustor_user_id":%q,"trustee_user_id":%q,"impersonation":%v,"project_id":%q,"roles":%s`, from, to, impersonation, c.project, roles)
	if more != "" {
		body += "," + more
	}
	return c.Do(http.MethodPost, "/OS-TRUST/trusts", text, body+"}}")
}

// trustID makes a trust.
func (c *cloud) trustID(text string, from, to structs.UserID, impersonation bool, roles, more string) string {
	c.T.Helper()
	a := c.trust(text, from, to, impersonation, roles, more)
	require.Equal(c.T, http.StatusCreated, a.Status, a.Body)
	return a.JSON(c.T)["trust"].(map[string]any)["id"].(string)
}

func roles(names ...string) string {
	list := []map[string]string{}
	for _, n := range names {
		list = append(list, map[string]string{"name": n})
	}
	b, _ := json.Marshal(list)
	return string(b)
}

// rolesOf are the roles of a token; nil of one that does not hold.
func (c *cloud) rolesOf(text string) []string {
	v, err := c.Auth.Verify(text)
	if err != nil {
		return nil
	}
	return v.Roles
}
