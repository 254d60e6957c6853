package policy

// Subject is who asks. What is "" equals nothing.
type Subject struct {
	UserID, UserDomainID       string
	ProjectID, ProjectDomainID string // of a token on a project
	DomainID                   string // of a token on a domain
	SystemScope                string // "all" of a token on the system
	Roles                      []string
}

// attribute is what a check of the kind name compares: the words of oslo.context and of Keystone's own token model.
func (s *Subject) attribute(name string) string {
	switch name {
	case "user_id", "token.user.id":
		return s.UserID
	case "user_domain_id", "token.user.domain.id":
		return s.UserDomainID
	case "project_id", "token.project.id":
		return s.ProjectID
	case "project_domain_id", "token.project.domain.id":
		return s.ProjectDomainID
	case "domain_id", "token.domain.id":
		return s.DomainID
	case "system_scope":
		return s.SystemScope
	}
	return ""
}

// subjectAttributes are the kinds of checks that compare an attribute of the caller.
var subjectAttributes = []string{"user_id", "user_domain_id", "project_id", "project_domain_id", "domain_id", "system_scope",
	"token.user.id", "token.user.domain.id", "token.project.id", "token.project.domain.id", "token.domain.id"}

// own is the target that belongs to the caller.
func (s *Subject) own() *Target { return &Target{UserID: s.UserID, ProjectID: s.ProjectID} }

// Target is what is asked for.
type Target struct {
	UserID, ProjectID string // whose it is
	// More are further attributes by their names in checks: target.user.domain_id. One that is there with "" is null, which None: asks for.
	More map[string]string
}

func (t *Target) attribute(name string) (value string, has bool) {
	switch name {
	case "user_id":
		return t.UserID, true
	case "project_id":
		return t.ProjectID, true
	}
	value, has = t.More[name]
	return value, has
}

// targetAttributes are what the targets of any rule have, for the words of a refusal: a name that is not among them is a mistake.
var targetAttributes = []string{"user_id", "project_id", "member_id", "visibility", "owner", "target.domain_id",
	"target.user.id", "target.user.domain_id", "target.user.name", "target.group.id", "target.group.domain_id",
	"target.project.id", "target.project.domain_id", "target.domain.id", "target.role.id", "target.role.name", "target.role.domain_id",
	"target.credential.user_id", "target.trust.trustor_user_id", "target.trust.trustee_user_id", "target.token.user_id",
	"target.limit.project_id", "target.limit.domain_id", "target.limit.domain.id", "target.limit.project.domain_id"}
