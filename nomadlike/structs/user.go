package structs

// User can authenticate. Its hashes are bcrypt's and leave the state in no answer, log or event.
type User struct {
	Meta
	ID               UserID       `codec:"id"`
	DomainID         DomainID     `codec:"dom"`
	Name             string       `codec:"name"` // unique in its domain, letter case ignored
	Enabled          bool         `codec:"on"`
	PasswordHash     []byte       `codec:"hash" json:"-"`
	DefaultProjectID ProjectID    `codec:"proj"`
	Email            string       `codec:"mail"`
	PasswordAt       Time         `codec:"pwat"`                     // when the password was made; tokens issued before it are void
	PasswordSelfAt   Time         `codec:"pwself,omitempty"`         // when its user made it, 0: an administrator did
	PasswordExpires  Time         `codec:"pwexp,omitempty"`          // 0: never
	PasswordsBefore  [][]byte     `codec:"pwold,omitempty" json:"-"` // hashes, newest first
	TokensFrom       Time         `codec:"from,omitempty"`           // tokens issued before it are void: when it was last disabled
	Options          *UserOptions `codec:"opts,omitempty"`           // nil: none was ever set
	Failures         int          `codec:"fails,omitempty"`          // wrong passwords since the last right one
	FailedAt         Time         `codec:"failat,omitempty"`         // the last of them
	ActiveAt         Time         `codec:"active,omitempty"`         // the day of its last right password, where inactivity disables users
	CreatedAt        Time         `codec:"created,omitempty"`
	Extra            Extra        `codec:"extra,omitempty"`
}

// UserOptions are Keystone's resource options of users; nil is one that was never set.
type UserOptions struct {
	IgnoreChangeUponFirstUse *bool      `codec:"first,omitempty"`
	IgnorePasswordExpiry     *bool      `codec:"expiry,omitempty"`
	IgnoreLockout            *bool      `codec:"lockout,omitempty"`
	IgnoreInactivity         *bool      `codec:"idle,omitempty"`
	LockPassword             *bool      `codec:"lock,omitempty"`
	MultiFactor              *bool      `codec:"mfa,omitempty"`
	MultiFactorRules         [][]string `codec:"mfarules,omitempty"` // methods of which all of one rule are needed
}

// UserWriteRequest makes a user, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the name is another's in the domain, or
// the user was changed meanwhile (ErrChanged).
type UserWriteRequest struct {
	User  User   `codec:"u"`
	Index uint64 `codec:"ix,omitempty"` // 0: a new one
}

// UserDeleteRequest removes a user with its grants, memberships, credentials, application credentials and trusts.
type UserDeleteRequest struct {
	ID UserID `codec:"id"`
}

// UserLoginRequest keeps what a login says of a user: a wrong password is counted, a right one clears the count. An unknown user is no error.
type UserLoginRequest struct {
	ID    UserID `codec:"id"`
	At    Time   `codec:"at"`
	Wrong bool   `codec:"wrong,omitempty"`
	Anew  bool   `codec:"anew,omitempty"` // of a wrong one: it is the first of a new count, for the time of a lockout is over
}
