package structs

// Role is a name that access rules ask for. One with a domain is that domain's own word for the roles that it implies: it is in no token itself.
type Role struct {
	Meta
	ID          RoleID   `codec:"id"`
	Name        string   `codec:"name"`          // unique in its domain, letter case ignored
	DomainID    DomainID `codec:"dom,omitempty"` // "": of all domains
	Description string   `codec:"desc,omitempty"`
	Immutable   Option   `codec:"immutable,omitempty"`
	Extra       Extra    `codec:"extra,omitempty"`
}

// ImpliedRole gives whoever has one role another.
type ImpliedRole struct {
	Meta
	PriorID   RoleID `codec:"prior"`
	ImpliedID RoleID `codec:"implied"`
}

// RoleWriteRequest makes a role, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the name is another's in the domain, or
// the role was changed meanwhile (ErrChanged).
type RoleWriteRequest struct {
	Role  Role   `codec:"r"`
	Index uint64 `codec:"ix,omitempty"` // 0: a new one
}

// RoleDeleteRequest removes a role from all grants, implications, trusts and application credentials.
type RoleDeleteRequest struct {
	ID RoleID `codec:"id"`
}

// ImpliedRoleWriteRequest makes an implication or takes it away. KindInvalid: it would close a circle, or imply a role that is none; KindForbidden: nothing may
// imply the role.
type ImpliedRoleWriteRequest struct {
	ImpliedRole ImpliedRole `codec:"i"`
	Remove      bool        `codec:"rm,omitempty"` // KindNotFound when there is none
}
