package structs

// Keypair is a user's public key. The key of the record is (UserID, Name).
type Keypair struct {
	Meta
	UserID      UserID `codec:"u"`
	Name        string `codec:"name"`
	Type        string `codec:"type"` // ssh or x509
	PublicKey   string `codec:"pub"`
	Fingerprint string `codec:"fp"`
	ID          int64  `codec:"id"` // a small number that Nova's answers carry; assigned by the state
	CreatedAt   Time   `codec:"created"`
}

// KeypairCreateRequest makes a keypair: a taken name is KindConflict, too many are KindQuota.
type KeypairCreateRequest struct {
	Keypair   Keypair   `codec:"k"`
	ProjectID ProjectID `codec:"p,omitempty"` // whose limits hold; "" for the default ones
}

// KeypairDeleteRequest removes a keypair; an unknown one is KindNotFound.
type KeypairDeleteRequest struct {
	UserID UserID `codec:"u"`
	Name   string `codec:"name"`
}
