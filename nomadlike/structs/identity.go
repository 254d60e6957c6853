package structs

// Domain is a Keystone domain.
type Domain struct {
	Meta
	ID          DomainID `codec:"id"`
	Name        string   `codec:"name"`
	Description string   `codec:"desc"`
	Enabled     bool     `codec:"on"`
}

// Project owns instances.
type Project struct {
	Meta
	ID          ProjectID `codec:"id"`
	DomainID    DomainID  `codec:"dom"`
	Name        string    `codec:"name"`
	Description string    `codec:"desc"`
	Enabled     bool      `codec:"on"`
}

// User can authenticate. PasswordHash is bcrypt and leaves the state in no answer, log or event.
type User struct {
	Meta
	ID               UserID    `codec:"id"`
	DomainID         DomainID  `codec:"dom"`
	Name             string    `codec:"name"`
	Enabled          bool      `codec:"on"`
	PasswordHash     []byte    `codec:"hash" json:"-"`
	DefaultProjectID ProjectID `codec:"proj"`
	Email            string    `codec:"mail"`
	PasswordAt       Time      `codec:"pwat"` // tokens issued before it are void
}

// Role is a name that access rules ask for.
type Role struct {
	Meta
	ID   RoleID `codec:"id"`
	Name string `codec:"name"`
}

// Grant gives a user a role on a project.
type Grant struct {
	Meta
	UserID    UserID    `codec:"u"`
	ProjectID ProjectID `codec:"p"`
	RoleID    RoleID    `codec:"r"`
}

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

// IdentityUpsertRequest writes identities in one step. With Bootstrap it fails with KindConflict when the cluster already has an
// administrator, and marks it as having one.
type IdentityUpsertRequest struct {
	Bootstrap bool      `codec:"boot"`
	Domains   []Domain  `codec:"domains"`
	Projects  []Project `codec:"projects"`
	Users     []User    `codec:"users"`
	Roles     []Role    `codec:"roles"`
	Grants    []Grant   `codec:"grants"`
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
