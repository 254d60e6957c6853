package base

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
)

// ErrNobody is the one answer to who does not prove to be the user: why is nobody's business.
var ErrNobody = structs.Errorf(structs.KindUnauthorized, "The request you have made requires authentication.")

// passwordWait is how long a password waits for its turn to be hashed before the client is told to come back.
const passwordWait = 10 * time.Second

// Prove compares a password with that of a user, nil for one that is not there. One that does not exist, is disabled, idle, locked out or has no password costs the
// same work as a wrong password, and gets the same answer: who may not log in is nobody's business. A wrong one counts towards being locked out, wherever it is given.
func (o *Options) Prove(ctx context.Context, core nomadlike.Core, st state.Reader, u *structs.User, password string, now structs.Time) error {
	var hash []byte
	if u != nil {
		hash = u.PasswordHash
	}
	right, err := o.Compare(ctx, st, hash, password)
	if err != nil {
		return err
	}
	if !right || !o.MayLogIn(st, u, now) {
		return o.Wrong(ctx, core, st, u, now)
	}
	return nil
}

// Wrong counts what did not prove who a user is, where that locks users out, and is the answer to it. For users that are not there, or could not log in anyway, it
// does the same work.
func (o *Options) Wrong(ctx context.Context, core nomadlike.Core, st state.Reader, u *structs.User, now structs.Time) error {
	if o.Security.LockoutFailures <= 0 {
		return ErrNobody
	}
	req := &structs.UserLoginRequest{At: now, Wrong: true}
	if o.MayLogIn(st, u, now) {
		req.ID, req.Anew = u.ID, o.Security.Lapsed(u, now)
	}
	if _, err := fsm.UserLogin.Propose(ctx, core, req); err != nil {
		return err // what is not counted may not be guessed at
	}
	return ErrNobody
}

// MayLogIn reports whether a user may log in with what it knows.
func (o *Options) MayLogIn(st state.Reader, u *structs.User, now structs.Time) bool {
	return o.Alive(st, u, now) && !o.Security.Locked(u, now)
}

// Alive reports whether a user is there, enabled, and active enough to be.
func (o *Options) Alive(st state.Reader, u *structs.User, now structs.Time) bool {
	return u != nil && access.EnabledUser(st, u.ID) != nil && !o.Security.Inactive(u, now)
}

// Compare compares a secret with its hash, in its turn. Without a hash it costs what it does for most.
func (o *Options) Compare(ctx context.Context, st state.Reader, hash []byte, secret string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, passwordWait)
	defer cancel()
	return o.Passwords.Matches(ctx, hash, secret, usualCost(st))
}

// usualCost is the cost of the hashes that there are: that of the first user that has one.
func usualCost(st state.Reader) int {
	for u := range st.Users() {
		if c := UsualCost(u.PasswordHash); c > 0 {
			return c
		}
	}
	return 0
}
