package directory

import (
	"bytes"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// errNobody is the one answer to who does not prove to be the user: why is nobody's business.
var errNobody = structs.Errorf(structs.KindUnauthorized, "The request you have made requires authentication.")

// changePassword is a user's change of its own password, which it may do with the one of now and without a token: one that has expired can be changed.
func (s *service) changePassword(r *httpapi.Request) (any, error) {
	f, err := body(r, "user")
	if err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	u, err := s.prove(r, st, f.text("original_password"))
	if err != nil {
		return nil, err
	}
	proven, password, now := u.PasswordHash, f.text("password"), s.o.Time()
	if err := s.o.Security.Strong(password); err != nil {
		return nil, err
	}
	if err := s.o.Security.MayChange(u, now); err != nil {
		return nil, err
	}
	for _, before := range s.o.Security.Before(u) {
		same, err := s.o.Passwords.Matches(r.Context(), before, password, 0)
		if err != nil {
			return nil, err
		}
		if same {
			return nil, s.o.Security.ErrUsedBefore()
		}
	}
	hash, err := s.o.Passwords.Hash(r.Context(), password)
	if err != nil {
		return nil, err
	}
	_, err = base.Change(r, func(st state.Reader) (*structs.User, error) {
		old := access.EnabledUser(st, u.ID)
		if old == nil || !bytes.Equal(old.PasswordHash, proven) { // another has changed it meanwhile
			return nil, errNobody
		}
		changed := *old
		s.o.Security.Give(&changed, hash, now, true)
		return fsm.UserWrite.Propose(r.Context(), r.Core, &structs.UserWriteRequest{User: changed, Index: old.ModifyIndex})
	})
	return nil, err
}

// prove returns the user of a request when the password is its. Whoever is not there, disabled or locked out costs the same work as a wrong password, and a wrong
// one counts towards being locked out.
func (s *service) prove(r *httpapi.Request, st state.Reader, password string) (*structs.User, error) {
	now, sec := s.o.Time(), &s.o.Security
	u := access.EnabledUser(st, structs.UserID(r.Vars["id"]))
	var hash []byte
	locked := u != nil && sec.Locked(u, now)
	if u != nil && !locked {
		hash = u.PasswordHash
	}
	right, err := s.o.Passwords.Matches(r.Context(), hash, password, usualCost(st))
	switch {
	case err != nil:
		return nil, err
	case u == nil || locked:
		return nil, errNobody
	case !right && sec.LockoutFailures > 0:
		if _, err := fsm.UserLogin.Propose(r.Context(), r.Core, &structs.UserLoginRequest{ID: u.ID, At: now, Wrong: true, Anew: sec.Lapsed(u, now)}); err != nil {
			return nil, err
		}
		return nil, errNobody
	case !right || sec.Inactive(u, now):
		return nil, errNobody
	}
	return u, nil
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
