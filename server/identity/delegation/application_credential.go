package delegation

import (
	"crypto/rand"
	"encoding/base64"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// secretBytes is how long a secret is that the service makes.
const secretBytes = 64

type accessRule struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Method  string `json:"method"`
	Path    string `json:"path"`
}

// roleRef names a role by id or by name.
type roleRef struct {
	ID   structs.RoleID `json:"id"`
	Name string         `json:"name"`
}

func viewAppCred(r *httpapi.Request, st state.Reader, c *structs.ApplicationCredential) base.View {
	roles, rules := []base.View{}, []base.View{}
	for _, id := range c.RoleIDs {
		if x := st.Role(id); x != nil {
			v := base.ViewRole(r, x)
			roles = append(roles, base.View{"id": v["id"], "name": v["name"], "domain_id": v["domain_id"], "description": v["description"], "options": v["options"]})
		}
	}
	for _, id := range c.AccessRules {
		if x := st.AccessRule(id); x != nil {
			rules = append(rules, base.View{"id": x.ID, "service": x.Service, "method": x.Method, "path": x.Path})
		}
	}
	v := base.View{"id": c.ID, "name": c.Name, "description": base.OrNull(c.Description), "user_id": string(c.UserID), "project_id": string(c.ProjectID), "roles": roles,
		"unrestricted": c.Unrestricted, "expires_at": nil, "system": nil}
	if !c.ExpiresAt.IsZero() {
		v["expires_at"] = c.ExpiresAt.Time().Format("2006-01-02T15:04:05.000000") // this one without Z, as Keystone
	}
	if len(rules) > 0 {
		v["access_rules"] = rules
	}
	return v.Link(r, "users", string(c.UserID), "application_credentials", c.ID)
}

// notByTrust refuses a trust's tokens: what they make would last longer than the trust.
func notByTrust(t *httpapi.Token) error {
	if t.TrustID != "" {
		return errForbidden
	}
	return nil
}

func notByRestricted(t *httpapi.Token) error {
	if restricted(t) {
		return forbidden("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return nil
}

func listAppCreds(r *httpapi.Request) (any, error) {
	id := structs.UserID(r.Vars["user"])
	if err := r.Judge(policy.Target{UserID: string(id)}); err != nil {
		return nil, err
	}
	if err := notByTrust(r.Token); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for c := range st.ApplicationCredentialsOfUser(id) {
		if v := viewAppCred(r, st, c); base.Matches(r, v, "name") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "application_credentials", out), nil
}

// findAppCred returns the application credential of the path, after the rule was judged: it belongs to whom it says, whatever the path says.
func findAppCred(r *httpapi.Request, st state.Reader) (*structs.ApplicationCredential, error) {
	c := st.ApplicationCredential(r.Vars["id"])
	what := policy.Target{UserID: r.Vars["user"]}
	if c != nil {
		what.UserID = string(c.UserID)
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	if err := notByTrust(r.Token); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, base.NotFound("Application Credential", r.Vars["id"])
	}
	return c, nil
}

func showAppCred(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	c, err := findAppCred(r, st)
	if err != nil {
		return nil, err
	}
	return map[string]any{"application_credential": viewAppCred(r, st, c)}, nil
}

func deleteAppCred(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	c, err := findAppCred(r, st)
	if err != nil {
		return nil, err
	}
	if err := notByRestricted(r.Token); err != nil {
		return nil, err
	}
	_, err = fsm.ApplicationCredentialDelete.Propose(r.Context(), r.Core, &structs.ApplicationCredentialDeleteRequest{ID: c.ID})
	return nil, err
}

func invalidAppCred(detail string) error {
	return httpapi.BadRequest("Invalid application credential: %s", detail)
}

// appCredRequest is the body of a creation.
type appCredRequest struct {
	Name         string       `json:"name"`
	Description  *string      `json:"description"`
	Secret       *string      `json:"secret"`
	ExpiresAt    *string      `json:"expires_at"`
	Unrestricted *bool        `json:"unrestricted"`
	Roles        []roleRef    `json:"roles"`
	AccessRules  []accessRule `json:"access_rules"`
}

// createAppCred makes an application credential on the project of the caller's token, with no more than the token's roles. Its secret is shown this once.
func (s *service) createAppCred(r *httpapi.Request) (any, error) {
	user := structs.UserID(r.Vars["user"])
	if err := r.Judge(policy.Target{UserID: string(user)}); err != nil {
		return nil, err
	}
	if err := notByTrust(r.Token); err != nil {
		return nil, err
	}
	if err := notByRestricted(r.Token); err != nil {
		return nil, err
	}
	if r.Token.UserID != user {
		return nil, forbidden("Cannot create an application credential for another user.")
	}
	if r.Token.ProjectID == "" {
		return nil, invalidAppCred("it is made with a token on the project that it is for")
	}
	var in appCredRequest
	if err := base.Decode(r, "application_credential", &in); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	c := structs.ApplicationCredential{ID: nomadlike.NewHexID(), UserID: user, ProjectID: r.Token.ProjectID, Name: in.Name, CreatedAt: s.opts.Time(),
		Unrestricted: in.Unrestricted != nil && *in.Unrestricted}
	if in.Description != nil {
		c.Description = *in.Description
	}
	if c.RoleIDs, err = rolesOfToken(st, r.Token, in.Roles); err != nil {
		return nil, err
	}
	if c.ExpiresAt, err = s.expiry(in.ExpiresAt); err != nil {
		return nil, err
	}
	req := &structs.ApplicationCredentialCreateRequest{}
	if c.AccessRules, req.Rules, err = rulesOf(st, user, in.AccessRules); err != nil {
		return nil, err
	}
	if err := withinRules(st, r.Token, c.AccessRules, req.Rules); err != nil {
		return nil, err
	}
	secret := newSecret(in.Secret)
	if c.SecretHash, err = s.opts.Passwords.Hash(r.Context(), secret); err != nil {
		return nil, err
	}
	req.Credential = c
	made, err := fsm.ApplicationCredentialCreate.Propose(r.Context(), r.Core, req)
	if err != nil {
		return nil, err
	}
	if st, err = base.Read(r); err != nil {
		return nil, err
	}
	v := viewAppCred(r, st, made)
	v["secret"] = secret
	return map[string]any{"application_credential": v}, nil
}

func newSecret(given *string) string {
	if given != nil && *given != "" {
		return *given
	}
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// findRole finds a role of all domains by name, or any by id.
func findRole(st state.Reader, ref roleRef) (*structs.Role, error) {
	x, said := st.Role(ref.ID), string(ref.ID)
	if ref.ID == "" {
		x, said = st.RoleByName("", ref.Name), ref.Name
	}
	if x == nil {
		return nil, base.NotFound("role", said)
	}
	return x, nil
}

// rolesOfToken are the roles of an application credential: those that are asked for with what they imply, or all that the token has. The token must have each: its
// bearer may have more, and a token that was delegated may not take them.
func rolesOfToken(st state.Reader, t *httpapi.Token, want []roleRef) ([]structs.RoleID, error) {
	ids := slices.Clone(t.RoleIDs)
	if len(want) > 0 {
		ids = nil
		for _, ref := range want {
			x, err := findRole(st, ref)
			if err != nil {
				return nil, err
			}
			ids = append(ids, x.ID)
		}
		ids = access.Implied(st, ids)
	}
	for _, id := range ids {
		if !slices.Contains(t.RoleIDs, id) {
			return nil, invalidAppCred("Cannot create an application credential with unassigned role")
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// rulesOf are the access rules that a request names: ids of all, and those that are to be made unless the user has the same already.
func rulesOf(st state.Reader, user structs.UserID, want []accessRule) (ids []string, made []structs.AccessRule, err error) {
	for _, a := range want {
		if a.ID != "" {
			if x := st.AccessRule(a.ID); x == nil || x.UserID != user {
				return nil, nil, base.NotFound("Access Rule", a.ID)
			}
			ids = append(ids, a.ID)
			continue
		}
		if a.Service == "" || a.Method == "" || a.Path == "" {
			return nil, nil, missing("service, method and path", "access rule")
		}
		x := structs.AccessRule{ID: nomadlike.NewHexID(), UserID: user, Service: a.Service, Method: a.Method, Path: a.Path}
		ids, made = append(ids, x.ID), append(made, x)
	}
	return ids, made, nil
}

// withinRules refuses to a token that has access rules a credential with others: it would be for requests that the token is not for.
func withinRules(st state.Reader, t *httpapi.Token, ids []string, made []structs.AccessRule) error {
	if t.AccessRules == nil {
		return nil
	}
	rules := slices.Clone(made)
	for _, id := range ids {
		if x := st.AccessRule(id); x != nil {
			rules = append(rules, *x)
		}
	}
	foreign := func(x structs.AccessRule) bool {
		return !slices.Contains(t.AccessRules, httpapi.AccessRule{Service: x.Service, Method: x.Method, Path: x.Path})
	}
	if len(rules) == 0 || slices.ContainsFunc(rules, foreign) {
		return invalidAppCred("Cannot create an application credential with access rules that the token has not")
	}
	return nil
}
