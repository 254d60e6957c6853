package directory

import (
	"bytes"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

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
			return nil, base.ErrNobody
		}
		changed := *old
		s.o.Security.Give(&changed, hash, now, true)
		if !clears(old) {
			changed.Failures, changed.FailedAt = old.Failures, old.FailedAt
		}
		return fsm.UserWrite.Propose(r.Context(), r.Core, &structs.UserWriteRequest{User: changed, Index: old.ModifyIndex})
	})
	return nil, err
}

// prove returns the user of a request when the password is its, as at a login; one that has expired is, too.
func (s *service) prove(r *httpapi.Request, st state.Reader, password string) (*structs.User, error) {
	u, now := st.User(structs.UserID(r.Vars["id"])), s.o.Time()
	if err := s.o.Prove(r.Context(), r.Core, st, u, password, now); err != nil {
		return nil, err
	}
	if u.Failures > 0 && clears(u) && !s.o.Security.PasswordExpired(u, now) { // a new password clears the count; this is for one that is refused
		if _, err := fsm.UserLogin.Propose(r.Context(), r.Core, &structs.UserLoginRequest{ID: u.ID, At: now}); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// clears reports whether its password alone ends the count of what was wrong. Of whom a login asks for more it does not: passcodes could be guessed at without end.
func clears(u *structs.User) bool { return token.Suffices(u, "password") }
