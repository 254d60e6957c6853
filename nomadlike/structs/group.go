package structs

// GroupID names a group of users: 32 hexadecimal digits.
type GroupID string

// Group is a set of users that grants can be given to at once.
type Group struct {
	Meta
	ID          GroupID  `codec:"id"`
	DomainID    DomainID `codec:"dom"`
	Name        string   `codec:"name"` // unique in its domain, letter case ignored
	Description string   `codec:"desc"`
	Extra       Extra    `codec:"extra,omitempty"`
}

// Membership puts a user into a group.
type Membership struct {
	Meta
	UserID  UserID  `codec:"u"`
	GroupID GroupID `codec:"g"`
}

// GroupWriteRequest makes a group, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the name is another's in the domain, or
// the group was changed meanwhile (ErrChanged).
type GroupWriteRequest struct {
	Group Group  `codec:"g"`
	Index uint64 `codec:"ix,omitempty"` // 0: a new one
}

// GroupDeleteRequest removes a group with its grants and memberships.
type GroupDeleteRequest struct {
	ID GroupID `codec:"id"`
}

// MembershipWriteRequest puts a user into a group, or takes it out.
type MembershipWriteRequest struct {
	Membership Membership `codec:"m"`
	Remove     bool       `codec:"rm,omitempty"` // KindNotFound when it is not in it
}
