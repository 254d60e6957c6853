package token

import (
	"context"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const subjectHeader = "X-Subject-Token"

// proof is what a login has shown so far: each method adds to it, or refuses.
type proof struct {
	ctx context.Context
	st  state.Reader
	req *loginRequest
	now structs.Time
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
	return map[string]func(*proof) error{"token": s.byToken, "password": s.byPassword}
}

// login is POST /auth/tokens. Whatever is wrong with user, password, token or project, the answer is the same 401: it does not tell
// which of them exist. A server that knows of none at all says so.
func (s *service) login(r *httpapi.Request) (any, error) {
	req, err := parseLogin(r.Body)
	if err != nil {
		return nil, err
	}
	st := r.Core.Stale() // as every check of a token: a server that is cut off from the leader still lets users in
	if err := ready(st); err != nil {
		return nil, err
	}
	p := &proof{ctx: r.Context(), st: st, req: req, now: s.opts.Time()}
	p.claims = claims{issued: p.now, expires: p.now.Add(s.opts.TokenTTL), audit: newAuditID()}
	if err := s.prove(p); err != nil {
		return nil, err
	}
	if err := req.scope.settle(st, &p.claims); err != nil {
		return nil, err
	}
	t, err := bind(st, p.claims, p.now)
	if err != nil {
		return nil, err
	}
	text, err := s.auth.sign(st, p.claims)
	if err != nil {
		return nil, err
	}
	h := r.Writer.Header()
	h.Set(subjectHeader, text)
	h.Set("Vary", "X-Auth-Token")
	return s.tokenBody(r, st, verified{t, p.claims}), nil
}

// prove checks who asks, by every method that the request names.
func (s *service) prove(p *proof) error {
	methods := s.methods()
	for _, m := range p.req.methods {
		if methods[m] == nil {
			return structs.Errorf(structs.KindUnauthorized, "Attempted to authenticate with an unsupported method.")
		}
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

// passwordWait is how long a password waits for its turn to be hashed before the client is told to come back.
const passwordWait = 10 * time.Second

// byPassword compares a password. A user that does not exist, is disabled or has no password costs the same work as a wrong password.
func (s *service) byPassword(p *proof) error {
	var in struct {
		User struct {
			ref
			Password string `json:"password"`
		} `json:"user"`
	}
	if err := p.req.decode("password", &in); err != nil {
		return err
	}
	u, err := userOf(p.st, &in.User.ref)
	if err != nil {
		return err
	}
	if err := s.checkPassword(p.ctx, p.st, u, in.User.Password); err != nil {
		return err
	}
	return p.is(u.ID)
}

func (s *service) checkPassword(ctx context.Context, st state.Reader, u *structs.User, password string) error {
	ctx, cancel := context.WithTimeout(ctx, passwordWait)
	defer cancel()
	var hash []byte
	if u != nil {
		hash = u.PasswordHash
	}
	right, err := s.opts.Passwords.Matches(ctx, hash, password, usualCost(st))
	if err != nil {
		return err
	}
	if !right || access.EnabledUser(st, u.ID) == nil {
		return errInvalid
	}
	return nil
}

// usualCost is the cost of the hashes that there are: that of the first user that has one.
func usualCost(st state.Reader) int {
	for u := range st.Users() {
		if c := base.UsualCost(u.PasswordHash); c > 0 {
			return c
		}
	}
	return 0
}
