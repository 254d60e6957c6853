package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const subjectHeader = "X-Subject-Token"

// authenticate is POST /auth/tokens. Whatever is wrong with user, password, token or project, the answer is the same 401: it does not tell
// which of them exist. A server that knows of none at all says so.
func (s *service) authenticate(r *httpapi.Request) (any, error) {
	req, err := parseAuth(r.Body)
	if err != nil {
		return nil, err
	}
	sc, err := parseScope(req.Auth.Scope)
	if err != nil {
		return nil, err
	}
	now := structs.TimeOf(s.auth.now())
	st := r.Core.Stale() // as every check of a token: a server that is cut off from the leader still lets users in
	if err := ready(st); err != nil {
		return nil, err
	}
	c, err := s.prove(r.Context(), st, req, now)
	if err != nil {
		return nil, err
	}
	if c.project, err = s.scopeProject(st, c.user, sc); err != nil {
		return nil, err
	}
	t, err := bind(st, c, now)
	if err != nil {
		return nil, err
	}
	text, err := s.auth.sign(st, c)
	if err != nil {
		return nil, err
	}
	h := r.Writer.Header()
	h.Set(subjectHeader, text)
	h.Set("Vary", "X-Auth-Token")
	return s.tokenBody(r, st, verified{t, c.parent}), nil
}

// prove checks who asks, by every method that the request names, and returns the claims of an unscoped token.
func (s *service) prove(ctx context.Context, st state.Reader, req *authRequest, now structs.Time) (claims, error) {
	id := &req.Auth.Identity
	for _, m := range id.Methods {
		if !slices.Contains(methodNames, m) {
			return claims{}, structs.Errorf(structs.KindUnauthorized, "Attempted to authenticate with an unsupported method.")
		}
	}
	c := claims{issued: now, expires: now.Add(s.ttl), audit: newAuditID()}
	if slices.Contains(id.Methods, "token") {
		if id.Token == nil || id.Token.ID == "" {
			return claims{}, httpapi.BadRequest("auth.identity.token.id is missing")
		}
		v, err := s.auth.verify(id.Token.ID)
		if err != nil {
			return claims{}, err
		}
		// a chain of tokens ends when the first one would have
		c.user, c.expires, c.parent = v.token.UserID, min(c.expires, v.token.ExpiresAt), v.token.AuditID
		c.methods = append(slices.Clone(v.token.Methods), "token")
	}
	if slices.Contains(id.Methods, "password") {
		if id.Password == nil {
			return claims{}, httpapi.BadRequest("auth.identity.password is missing")
		}
		u, err := userOf(st, &id.Password.User.ref)
		if err != nil {
			return claims{}, err
		}
		if err := s.checkPassword(ctx, st, u, id.Password.User.Password); err != nil {
			return claims{}, err
		}
		if c.user != "" && c.user != u.ID {
			return claims{}, errInvalid
		}
		c.user = u.ID
		c.methods = append(c.methods, "password")
	}
	return c, nil
}

// passwordWait is how long a password waits for its turn to be hashed before the client is told to come back.
const passwordWait = 10 * time.Second

// checkPassword compares a password. A user that does not exist, is disabled or has no password costs the same work as a wrong password.
func (s *service) checkPassword(ctx context.Context, st state.Reader, u *structs.User, password string) error {
	wait, cancel := context.WithTimeout(ctx, passwordWait)
	defer cancel()
	if err := s.checks.Acquire(wait, 1); err != nil {
		return structs.Errorf(structs.KindUnavailable, "too many passwords are being checked at once; try again")
	}
	defer s.checks.Release(1)
	hash, known := s.dummy(s.usualCost(st)), false
	if u != nil && len(u.PasswordHash) > 0 {
		hash, known = u.PasswordHash, enabledUser(st, u.ID) != nil
	}
	err := bcrypt.CompareHashAndPassword(hash, []byte(password))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) && known {
		return structs.Errorf(structs.KindInternal, "password hash of user %s is damaged", u.ID)
	}
	if err != nil || !known || len(password) > maxPassword {
		return errInvalid
	}
	return nil
}

// usualCost is the cost of the hashes that there are: that of the first user that has one.
func (s *service) usualCost(st state.Reader) int {
	for u := range st.Users() {
		if c, err := bcrypt.Cost(u.PasswordHash); err == nil {
			return c
		}
	}
	return s.cost
}

// maxPassword is bcrypt's limit: it ignores what comes after.
const maxPassword = 72

// scopeProject decides which project the token is for: the one asked for, else the user's default one when it has a role there, else none.
func (s *service) scopeProject(st state.Reader, u structs.UserID, sc scope) (structs.ProjectID, error) {
	switch {
	case sc.other != "":
		return "", structs.Errorf(structs.KindUnauthorized, "User %s has no role with %s scope: roles are granted on projects alone; ask for a project scope.", u, sc.other)
	case sc.project != nil:
		p, err := projectOf(st, sc.project)
		if err != nil {
			return "", err
		}
		if p == nil {
			return "", errInvalid
		}
		return p.ID, nil // bind judges the rest
	case sc.explicit:
		return "", nil
	}
	user := st.User(u)
	if user == nil || user.DefaultProjectID == "" || enabledProject(st, user.DefaultProjectID) == nil || len(rolesOf(st, u, user.DefaultProjectID)) == 0 {
		return "", nil
	}
	return user.DefaultProjectID, nil
}
