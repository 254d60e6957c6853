package token

import (
	"context"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const subjectHeader = "X-Subject-Token"

// proof is what a login has shown so far: each method adds to it, or refuses.
type proof struct {
	ctx  context.Context
	core nomadlike.Core
	st   state.Reader
	req  *loginRequest
	now  structs.Time
	claims
}

// is has the user be the one that a method has found: all of a request's methods must speak of the same.
func (p *proof) is(u structs.UserID) error {
	if p.user != "" && p.user != u {
		return errInvalid
	}
	p.user = u
	return nil
}

// methods are the ways to prove who one is, by their names. They are tried in the order in which methodNames has them.
func (s *service) methods() map[string]func(*proof) error {
	return map[string]func(*proof) error{"token": s.byToken, "password": s.byPassword, "totp": s.byTOTP, "application_credential": s.byApplicationCredential}
}

// login is POST /auth/tokens. Whatever is wrong with user, password, token or project, the answer is the same 401: it does not tell
// which of them exist. A server that knows of none at all says so. Logins by another identity provider (OS-FEDERATION) would be a method more.
func (s *service) login(r *httpapi.Request) (any, error) {
	req, err := parseLogin(r.Body)
	if err != nil {
		return nil, err
	}
	st := r.Core.Stale() // as every check of a token: a server that is cut off from the leader still lets users in
	if err := ready(st); err != nil {
		return nil, err
	}
	p := &proof{ctx: r.Context(), core: r.Core, st: st, req: req, now: s.opts.Time()}
	p.claims = claims{issued: p.now, expires: p.now.Add(s.opts.TokenTTL), audit: newAuditID()}
	if err := s.prove(p); err != nil {
		return nil, err
	}
	if text := r.Header.Get(receiptHeader); text != "" {
		if err := s.takeReceipt(p, text); err != nil {
			return nil, err
		}
	}
	if !enough(st.User(p.user), p.claims.methods) {
		return s.giveReceipt(r, p)
	}
	if err := req.scope.settle(st, &p.claims); err != nil {
		return nil, err
	}
	text, body, err := s.issue(r, st, p.claims)
	if err != nil {
		return nil, err
	}
	s.succeeded(p)
	h := r.Writer.Header()
	h.Set(subjectHeader, text)
	h.Set("Vary", "X-Auth-Token")
	return body, nil
}

// issue makes the token that claims ask for, and what the API says of it. A token of a trust takes one of its uses.
func (s *service) issue(r *httpapi.Request, st state.Reader, c claims) (string, any, error) {
	c.expires = ends(st, c)
	t, err := bind(st, c, c.issued)
	if err != nil {
		if c.trust != "" && structs.IsKind(err, structs.KindUnauthorized) { // as Keystone: it is the trust that does not hold, or is another's
			err = httpapi.Forbidden("You are not authorized to perform the requested action.")
		}
		return "", nil, err
	}
	text, err := s.auth.sign(st, c)
	if err != nil {
		return "", nil, err
	}
	if trust := st.Trust(c.trust); trust != nil && trust.RemainingUses != nil {
		_, err := fsm.TrustUse.Propose(r.Context(), r.Core, &structs.TrustUseRequest{ID: trust.ID, At: c.issued})
		if structs.IsKind(err, structs.KindNotFound) {
			err = errInvalid
		}
		if err != nil {
			return "", nil, err
		}
	}
	return text, s.tokenBody(r, st, verified{t, c}), nil
}

// ends is when a token ends: never after what it stands on.
func ends(st state.Reader, c claims) structs.Time {
	at := c.expires
	if a := st.ApplicationCredential(c.appCred); a != nil && !a.ExpiresAt.IsZero() {
		at = min(at, a.ExpiresAt)
	}
	if t := st.Trust(c.trust); t != nil && !t.ExpiresAt.IsZero() {
		at = min(at, t.ExpiresAt)
	}
	return at
}

// Issuer makes tokens for those that another room has made sure of. Its tokens hold as those of a login do: no more than their bearer has, from one use to the
// next.
type Issuer struct{ s *service }

// NewIssuer returns an issuer.
func NewIssuer(auth *Authenticator, o base.Options) Issuer {
	return Issuer{&service{auth, o.WithDefaults()}}
}

// Known is who a room has made sure of.
type Known struct {
	User    structs.UserID // of a trust the trustee
	Project structs.ProjectID
	Trust   string // what it acts with
	AppCred string
	Methods []string
}

// Issue makes a token and the body that describes it.
func (i Issuer) Issue(r *httpapi.Request, who Known) (text string, body any, err error) {
	st := r.Core.Stale()
	now := i.s.opts.Time()
	return i.s.issue(r, st, claims{user: who.User, project: who.Project, trust: who.Trust, appCred: who.AppCred, methods: who.Methods,
		issued: now, expires: now.Add(i.s.opts.TokenTTL), audit: newAuditID()})
}

// prove checks who asks, by every method that the request names.
func (s *service) prove(p *proof) error {
	methods := s.methods()
	for _, m := range p.req.methods {
		if methods[m] == nil {
			return structs.Errorf(structs.KindUnauthorized, "Attempted to authenticate with an unsupported method.")
		}
	}
	if slices.Contains(p.req.methods, "application_credential") && p.req.scope.explicit {
		return structs.Errorf(structs.KindUnauthorized, "Error authenticating with application credential: Application credentials cannot request a scope.")
	}
	for _, m := range methodNames {
		if !slices.Contains(p.req.methods, m) {
			continue
		}
		if err := methods[m](p); err != nil {
			return err
		}
		p.claims.methods = append(p.claims.methods, m)
	}
	return nil
}

// byToken takes over who a token is. A chain of tokens ends when the first one would have, and its methods stay known. What was delegated is handed on to no other
// scope: that would be more than its giver gave.
func (s *service) byToken(p *proof) error {
	var in ref
	if err := p.req.decode("token", &in); err != nil {
		return err
	}
	if in.ID == "" {
		return missing("id", "token")
	}
	v, err := s.auth.verify(in.ID)
	if structs.IsKind(err, structs.KindUnauthorized) { // Keystone's word for a token that is none, here too
		return httpapi.NotFound("Failed to validate token")
	}
	if err != nil {
		return err
	}
	w := &p.req.scope
	switch {
	case v.trust != "":
		return forbiddenAction("Using trust-scoped token to create another token. Create a new trust-scoped token instead")
	case v.system && (w.project != nil || w.domain != nil):
		return forbiddenAction("Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed.")
	case v.appCred != "" && w.explicit:
		return forbiddenAction("Using an application credential token to create a scoped token is not allowed.")
	}
	if v.appCred != "" {
		p.appCred, p.project = v.appCred, v.project
	}
	p.expires, p.parent = min(p.expires, v.token.ExpiresAt), v.chain()
	p.claims.methods = append(p.claims.methods, v.token.Methods...)
	return p.is(v.user)
}

func forbiddenAction(action string) error {
	return httpapi.Forbidden("You are not authorized to perform the requested action: %s.", action)
}

// byApplicationCredential compares a credential's secret. One that is not there costs the same work as a wrong secret.
func (s *service) byApplicationCredential(p *proof) error {
	var in struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Secret string `json:"secret"`
		User   *ref   `json:"user"`
	}
	if err := p.req.decode("application_credential", &in); err != nil {
		return err
	}
	var c *structs.ApplicationCredential
	switch {
	case in.ID != "":
		c = p.st.ApplicationCredential(in.ID)
	case in.Name == "":
		return missing("name or ID", "application credential")
	case in.User == nil:
		return missing("user", "application credential")
	default:
		u, err := userOf(p.st, in.User)
		if err != nil {
			return err
		}
		if u != nil {
			c = credentialNamed(p.st, u.ID, in.Name)
		}
	}
	var hash []byte
	if c != nil {
		hash = c.SecretHash
	}
	right, err := s.opts.Compare(p.ctx, p.st, hash, in.Secret)
	if err != nil {
		return err
	}
	if !right || !s.opts.Alive(p.st, p.st.User(c.UserID), p.now) || !c.ExpiresAt.IsZero() && c.ExpiresAt <= p.now {
		return errInvalid
	}
	p.appCred, p.project = c.ID, c.ProjectID
	return p.is(c.UserID)
}

func credentialNamed(st state.Reader, u structs.UserID, name string) *structs.ApplicationCredential {
	for c := range st.ApplicationCredentialsOfUser(u) {
		if c.Name == name {
			return c
		}
	}
	return nil
}
