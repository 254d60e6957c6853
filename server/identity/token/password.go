package token

import (
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// byPassword compares a password. Only whoever has the right one is told that it is to be changed.
func (s *service) byPassword(p *proof) error {
	var in struct {
		User *struct {
			ref
			Password string `json:"password"`
		} `json:"user"`
	}
	if err := p.req.decode("password", &in); err != nil {
		return err
	}
	if in.User == nil {
		return missing("user", "password")
	}
	u, err := userOf(p.st, &in.User.ref)
	if err != nil {
		return err
	}
	if err := s.opts.Prove(p.ctx, p.core, p.st, u, in.User.Password, p.now); err != nil {
		return err
	}
	if s.opts.Security.PasswordExpired(u, p.now) {
		return structs.Errorf(structs.KindUnauthorized, "The password is expired and needs to be changed for user: %s.", u.ID)
	}
	return p.is(u.ID)
}

// succeeded clears the count of wrong passwords, and keeps the day of the login where inactivity disables users. An ordinary login writes nothing. What cannot
// be written now stays as it was: the login holds.
func (s *service) succeeded(p *proof) {
	if !slices.Contains(p.req.methods, "password") && !slices.Contains(p.req.methods, "totp") {
		return
	}
	u := p.st.User(p.user)
	if u == nil {
		return
	}
	today := func(t structs.Time) int64 { return t.Time().Unix() / int64(24*time.Hour/time.Second) }
	if u.Failures > 0 || s.opts.Security.InactiveDays > 0 && today(u.ActiveAt) != today(p.now) {
		_, _ = fsm.UserLogin.Propose(p.ctx, p.core, &structs.UserLoginRequest{ID: u.ID, At: p.now})
	}
}
