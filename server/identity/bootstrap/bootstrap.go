// Package bootstrap makes what a new cluster begins with: its domain, roles and administrator.
package bootstrap

import (
	"cmp"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// Options say whom a new cluster starts with.
type Options struct {
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

// Request builds what makes a new cluster usable: the domain Default, the roles, and the administrator. It is proposed once
// (fsm.IdentityUpsert): the state refuses a second one.
func Request(o Options) (*structs.IdentityUpsertRequest, error) {
	if o.AdminPassword == "" {
		return nil, structs.Errorf(structs.KindInvalid, "the administrator needs a password")
	}
	req := &structs.IdentityUpsertRequest{Bootstrap: true, Implications: true,
		Domains: []structs.Domain{{ID: base.DefaultDomain, Name: "Default", Description: "The default domain", Enabled: true}}}
	roles := map[string]structs.RoleID{}
	for _, name := range RoleNames {
		roles[name] = structs.RoleID(nomadlike.NewHexID())
		req.Roles = append(req.Roles, structs.Role{ID: roles[name], Name: name, Immutable: structs.Yes}) // as keystone-manage bootstrap makes them
	}
	if err := addUser(req, &o, cmp.Or(o.AdminUser, "admin"), cmp.Or(o.AdminProject, "admin"), o.AdminPassword, roles["admin"]); err != nil {
		return nil, err
	}
	req.Grants = append(req.Grants, structs.Grant{UserID: req.Users[0].ID, System: true, RoleID: roles["admin"]})
	if o.DemoPassword != "" {
		if err := addUser(req, &o, "demo", "demo", o.DemoPassword, roles["member"]); err != nil {
			return nil, err
		}
	}
	return req, nil
}

func addUser(req *structs.IdentityUpsertRequest, o *Options, user, project, password string, role structs.RoleID) error {
	hash, err := base.HashPassword(password, o.BcryptCost)
	if err != nil {
		return err
	}
	p := structs.Project{ID: structs.ProjectID(nomadlike.NewHexID()), DomainID: base.DefaultDomain, Name: project, Enabled: true}
	u := structs.User{ID: structs.UserID(nomadlike.NewHexID()), DomainID: base.DefaultDomain, Name: user, Enabled: true, PasswordHash: hash, DefaultProjectID: p.ID, PasswordAt: o.Now}
	req.Projects = append(req.Projects, p)
	req.Users = append(req.Users, u)
	req.Grants = append(req.Grants, structs.Grant{UserID: u.ID, ProjectID: p.ID, RoleID: role})
	return nil
}
