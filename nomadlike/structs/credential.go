package structs

// Credential is a secret of a user beside its password: an EC2 key pair, a TOTP seed, or what a client keeps here. Its blob leaves the state in answers of the
// Identity API to those that may see it, and never in a log or event.
type Credential struct {
	Meta
	ID        string    `codec:"id"` // of ec2: the SHA-256 of its access key, as in Keystone
	UserID    UserID    `codec:"u"`
	ProjectID ProjectID `codec:"p,omitempty"`
	Type      string    `codec:"type"` // ec2, totp, cert, ...
	Blob      string    `codec:"blob" json:"-"`
	TrustID   string    `codec:"trust,omitempty"` // what it was made with: its bearer has no more than that
	AppCredID string    `codec:"appcred,omitempty"`
	Extra     Extra     `codec:"extra,omitempty"`
	LastStep  int64     `codec:"step,omitempty"` // of totp: the newest time step of which a passcode was taken
}

// CredentialWriteRequest makes a credential, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the id is taken, or the
// credential was changed meanwhile (ErrChanged).
type CredentialWriteRequest struct {
	Credential Credential `codec:"c"`
	Index      uint64     `codec:"ix,omitempty"` // 0: a new one
}

// CredentialDeleteRequest removes a credential.
type CredentialDeleteRequest struct {
	ID string `codec:"id"`
}

// TOTPUseRequest takes the passcode of a time step of a totp credential. KindUnauthorized: one of this step or a later one was taken already.
type TOTPUseRequest struct {
	ID   string `codec:"id"`
	Step int64  `codec:"step"`
}
