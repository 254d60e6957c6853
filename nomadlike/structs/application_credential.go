package structs

// ApplicationCredential lets a program act for a user on a project with some of the user's roles. The hash of its secret leaves the state in no answer, log or
// event.
type ApplicationCredential struct {
	Meta
	ID           string    `codec:"id"`
	UserID       UserID    `codec:"u"`
	ProjectID    ProjectID `codec:"p"`
	Name         string    `codec:"name"` // unique for its user
	Description  string    `codec:"desc,omitempty"`
	SecretHash   []byte    `codec:"hash" json:"-"`
	RoleIDs      []RoleID  `codec:"roles"` // sorted
	ExpiresAt    Time      `codec:"exp,omitempty"`
	Unrestricted bool      `codec:"free,omitempty"`  // it may make application credentials and trusts
	AccessRules  []string  `codec:"rules,omitempty"` // ids; none: everything that the roles allow
	CreatedAt    Time      `codec:"created"`
}

// AccessRule is a request that an application credential may make, of the user who made it.
type AccessRule struct {
	Meta
	ID      string `codec:"id"`
	UserID  UserID `codec:"u"`
	Service string `codec:"svc"` // a service's type
	Method  string `codec:"m"`
	Path    string `codec:"path"` // * and {name} stand for a part, ** for the rest
}

// ApplicationCredentialCreateRequest makes a credential and those of its access rules that its user has not yet: in the credential's list the rule that the user
// has stands for one that is the same. KindConflict: the user has a credential of the name.
type ApplicationCredentialCreateRequest struct {
	Credential ApplicationCredential `codec:"c"`
	Rules      []AccessRule          `codec:"rules,omitempty"`
}

// ApplicationCredentialDeleteRequest removes a credential. Its access rules stay.
type ApplicationCredentialDeleteRequest struct {
	ID string `codec:"id"`
}

// AccessRuleDeleteRequest removes an access rule. KindForbidden: an application credential has it.
type AccessRuleDeleteRequest struct {
	ID string `codec:"id"`
}
