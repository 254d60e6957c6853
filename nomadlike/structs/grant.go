package structs

// Grant gives a user or a group a role on a project, on a domain or on the whole system.
type Grant struct {
	Meta
	UserID    UserID    `codec:"u"`           // this
	GroupID   GroupID   `codec:"g,omitempty"` // or this
	ProjectID ProjectID `codec:"p"`           // this
	DomainID  DomainID  `codec:"d,omitempty"` // or this
	System    bool      `codec:"sys,omitempty"`
	RoleID    RoleID    `codec:"r"`
	Inherited bool      `codec:"inh,omitempty"` // it holds on the projects below the project or the domain and not on that itself
}

// GrantWriteRequest makes a grant or takes it away. What it names must be there.
type GrantWriteRequest struct {
	Grant  Grant `codec:"g"`
	Remove bool  `codec:"rm,omitempty"` // KindNotFound when there is none
}
