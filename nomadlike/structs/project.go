package structs

// Project owns instances, images and quotas. Projects of a domain may lie below each other.
type Project struct {
	Meta
	ID          ProjectID `codec:"id"`
	DomainID    DomainID  `codec:"dom"`
	Name        string    `codec:"name"` // unique in its domain, letter case ignored
	Description string    `codec:"desc"`
	Enabled     bool      `codec:"on"`
	ParentID    ProjectID `codec:"parent,omitempty"` // "": the domain itself
	Tags        []string  `codec:"tags,omitempty"`   // sorted
	Immutable   Option    `codec:"immutable,omitempty"`
	TokensFrom  Time      `codec:"from,omitempty"` // tokens issued before it are void: when it was last disabled
	Extra       Extra     `codec:"extra,omitempty"`
}

// ProjectWriteRequest makes a project, or puts it in the place of the one of which Index is the ModifyIndex. KindConflict: the name is another's in the
// domain, or the project was changed meanwhile (ErrChanged). KindForbidden: it would be enabled below a disabled one, or disabled above an enabled one.
type ProjectWriteRequest struct {
	Project  Project `codec:"p"`
	Index    uint64  `codec:"ix,omitempty"`  // 0: a new one
	MaxDepth int     `codec:"max,omitempty"` // of projects below each other, the domain not counted; 0: no bound
}

// ProjectDeleteRequest removes a project with the grants, credentials, trusts and limits on it. What it owns elsewhere stays. KindForbidden: it has projects
// below it.
type ProjectDeleteRequest struct {
	ID ProjectID `codec:"id"`
}
