package structs

// Extra is what the Identity API keeps of a thing without knowing what it means, as Keystone does: a JSON object with sorted keys, nil for none.
type Extra []byte

// Option is a resource option of Keystone's: one that was never said is not shown.
type Option int8

// What an option says.
const (
	Unsaid Option = iota
	No
	Yes
)

// Domain is a Keystone domain: what users, groups and projects belong to, and whose names are unique within it.
type Domain struct {
	Meta
	ID          DomainID `codec:"id"`
	Name        string   `codec:"name"` // unique, letter case ignored
	Description string   `codec:"desc"`
	Enabled     bool     `codec:"on"`
	Tags        []string `codec:"tags,omitempty"` // sorted
	Immutable   Option   `codec:"immutable,omitempty"`
	TokensFrom  Time     `codec:"from,omitempty"` // tokens issued before it are void: when it was last disabled
	Extra       Extra    `codec:"extra,omitempty"`
}

// DomainWriteRequest makes a domain, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the name is another's, or the
// domain was changed meanwhile (ErrChanged).
type DomainWriteRequest struct {
	Domain Domain `codec:"d"`
	Index  uint64 `codec:"ix,omitempty"` // 0: a new one
}

// DomainDeleteRequest removes a domain with all that belongs to it: projects, users, groups, roles and their grants.
// KindForbidden: it is enabled.
type DomainDeleteRequest struct {
	ID DomainID `codec:"id"`
}
