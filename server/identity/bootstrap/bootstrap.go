package identity

import (
	"cmp"

	"golang.org/x/crypto/bcrypt"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// DefaultDomain is the id of the one domain that a new cluster has; its name is Default.
const DefaultDomain structs.DomainID = "default"

// BootstrapOptions say whom a new cluster starts with.
type BootstrapOptions struct {
	AdminPassword string // required
	AdminUser     string // "" is admin
	AdminProject  string // "" is admin
	// DemoPassword, when not empty, also makes a project and a user, demo, with the role member.
	DemoPassword string
	BcryptCost   int // 0 is bcrypt.DefaultCost
	Now          structs.Time
}

// RoleNames are the roles that every cluster has; all but service imply the next.
var RoleNames = []string{"admin", "manager", "member", "reader", "service"}

// BootstrapRequest builds what makes a new cluster usable: the domain Default, the roles, and the administrator. It is proposed once
// (fsm.IdentityUpsert): the state refuses a second one.
func BootstrapRequest(o BootstrapOptions) (*structs.IdentityUpsertRequest, error) {
	if o.AdminPassword == "" {
		return nil, structs.Errorf(structs.KindInvalid, "the administrator needs a password")
	}
	req := &structs.IdentityUpsertRequest{Bootstrap: true,
		Domains: []structs.Domain{{ID: DefaultDomain, Name: "Default", Description: "The default domain", Enabled: true}}}
	roles := map[string]structs.RoleID{}
	for _, name := range RoleNames {
		roles[name] = structs.RoleID(nomadlike.NewHexID())
		req.Roles = append(req.Roles, structs.Role{ID: roles[name], Name: name})
	}
	err := addUser(req, &o, cmp.Or(o.AdminUser, "admin"), cmp.Or(o.AdminProject, "admin"), o.AdminPassword, roles["admin"])
	if err == nil && o.DemoPassword != "" {
		err = addUser(req, &o, "demo", "demo", o.DemoPassword, roles["member"])
	}
	if err != nil {
		return nil, err
	}
	return req, nil
}

func addUser(req *structs.IdentityUpsertRequest, o *BootstrapOptions, user, project, password string, role structs.RoleID) error {
	hash, err := HashPassword(password, o.BcryptCost)
	if err != nil {
		return err
	}
	p := structs.Project{ID: structs.ProjectID(nomadlike.NewHexID()), DomainID: DefaultDomain, Name: project, Enabled: true}
	u := structs.User{ID: structs.UserID(nomadlike.NewHexID()), DomainID: DefaultDomain, Name: user, Enabled: true, PasswordHash: hash, DefaultProjectID: p.ID, PasswordAt: o.Now}
	req.Projects = append(req.Projects, p)
	req.Users = append(req.Users, u)
	req.Grants = append(req.Grants, structs.Grant{UserID: u.ID, ProjectID: p.ID, RoleID: role})
	return nil
}

// HashPassword hashes a password for structs.User; cost 0 is bcrypt.DefaultCost. The error never has the password.
func HashPassword(password string, cost int) ([]byte, error) {
	if len(password) > maxPassword {
		return nil, structs.Errorf(structs.KindInvalid, "the password has %d bytes; at most %d count", len(password), maxPassword)
	}
	h, err := bcrypt.GenerateFromPassword([]byte(password), cmp.Or(cost, bcrypt.DefaultCost))
	if err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "the password cannot be hashed: %w", err)
	}
	return h, nil
}
