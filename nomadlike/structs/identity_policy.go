package structs

// IdentityPolicy is a blob that the Identity API keeps for other services (its policies resource). Nothing here is judged by it.
type IdentityPolicy struct {
	Meta
	ID    string `codec:"id"`
	Type  string `codec:"type"` // a MIME type
	Blob  []byte `codec:"blob"` // JSON
	Extra Extra  `codec:"extra,omitempty"`
}

// IdentityPolicyWriteRequest makes a policy, or puts it in the place of the one of which Index is the ModifyIndex.
type IdentityPolicyWriteRequest struct {
	Policy IdentityPolicy `codec:"p"`
	Index  uint64         `codec:"ix,omitempty"` // 0: a new one
}

// IdentityPolicyDeleteRequest removes a policy.
type IdentityPolicyDeleteRequest struct {
	ID string `codec:"id"`
}
