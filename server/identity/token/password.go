package token

import (
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// passwordWait is how long a password waits for its turn to be hashed before the client is told to come back.
const passwordWait = 10 * time.Second

// byPassword compares a password. A user that does not exist, is disabled, locked out or has no password costs the same work as a wrong password, and gets the
// same answer: who may not log in is nobody's business. Only whoever has the right password is told that it is to be changed.
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
	var hash []byte
	if u != nil {
		hash = u.PasswordHash
	}
	right, err := s.compare(p.ctx, hash, in.User.Password, usualCost(p.st))
	if err != nil {
		return err
	}
	if !right || !s.mayLogIn(u, p) {
		return s.failed(p, u)
	}
	if s.opts.Security.PasswordExpired(u, p.now) {
		return structs.Errorf(structs.KindUnauthorized, "The password is expired and needs to be changed for user: %s.", u.ID)
	}
	return p.is(u.ID)
}

// mayLogIn reports whether a user may log in with what it knows.
func (s *service) mayLogIn(u *structs.User, p *proof) bool {
	return s.alive(u, p) && !s.opts.Security.Locked(u, p.now)
}

// failed counts a wrong password or passcode where that locks users out, and is the answer to it. For users that are not there, or could not log in anyway, it
// does the same work.
func (s *service) failed(p *proof, u *structs.User) error {
	sec := &s.opts.Security
	if sec.LockoutFailures <= 0 {
		return errInvalid
	}
	req := &structs.UserLoginRequest{At: p.now, Wrong: true}
	if s.mayLogIn(u, p) {
		req.ID, req.Anew = u.ID, sec.Lapsed(u, p.now)
	}
	if _, err := fsm.UserLogin.Propose(p.ctx, p.core, req); err != nil {
		return err // what is not counted may not be guessed at
	}
	return errInvalid
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

// usualCost is the cost of the hashes that there are: that of the first user that has one.
func usualCost(st state.Reader) int {
	for u := range st.Users() {
		if c := base.UsualCost(u.PasswordHash); c > 0 {
			return c
		}
	}
	return 0
}
