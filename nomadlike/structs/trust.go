package structs

// Trust lets one user act with roles of another (OS-TRUST).
type Trust struct {
	Meta
	ID            string    `codec:"id"`
	TrustorID     UserID    `codec:"or"`
	TrusteeID     UserID    `codec:"ee"`
	ProjectID     ProjectID `codec:"p,omitempty"`
	Impersonation bool      `codec:"imp,omitempty"` // the trustee's tokens are the trustor's
	RoleIDs       []RoleID  `codec:"roles"`         // sorted
	ExpiresAt     Time      `codec:"exp,omitempty"`
	RemainingUses *int      `codec:"uses,omitempty"`  // nil: any number
	Redelegations int       `codec:"redel,omitempty"` // how many times it may be handed on
	RedelegatedID string    `codec:"of,omitempty"`    // the trust that it was made with
	CreatedAt     Time      `codec:"created"`
	Extra         Extra     `codec:"extra,omitempty"`
}

// TrustCreateRequest makes a trust. One that was made with another gives no more than that, and may be handed on less often. KindNotFound: what it names is not
// there; KindForbidden: the other trust may not be handed on.
type TrustCreateRequest struct {
	Trust Trust `codec:"t"`
}

// TrustDeleteRequest removes a trust with those that were made with it.
type TrustDeleteRequest struct {
	ID string `codec:"id"`
}

// TrustUseRequest takes one of a trust's uses. KindForbidden: none is left.
type TrustUseRequest struct {
	ID string `codec:"id"`
	At Time   `codec:"at"`
}
