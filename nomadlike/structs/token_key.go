package structs

// TokenKey is one key of the replicated ring that tokens are encrypted and signed with. The newest by CreatedAt signs,
// all verify; the leader rotates and drops those older than the longest life of a token.
type TokenKey struct {
	Meta
	ID        string `codec:"id"`
	Key       []byte `codec:"key" json:"-"` // 32 bytes, a Fernet key
	CreatedAt Time   `codec:"created"`
}

// Revocation voids one token (by AuditID) until it would have expired anyway.
type Revocation struct {
	Meta
	AuditID   string `codec:"id"`
	ExpiresAt Time   `codec:"exp"`
}

// TokenKeyRotateRequest adds Key and removes the keys named in Drop.
type TokenKeyRotateRequest struct {
	Key  TokenKey `codec:"key"`
	Drop []string `codec:"drop"`
}

// TokenRevokeRequest voids a token.
type TokenRevokeRequest struct {
	Revocation Revocation `codec:"r"`
}
