package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// GrantWrite makes a grant or takes it away. To have it already is no error, as in Keystone.
var GrantWrite = registerOnce(77, "grant-write", func(tx *state.Txn, r *structs.GrantWriteRequest) (None, error) {
	g := &r.Grant
	if err := grantStands(tx, g); err != nil {
		return None{}, err
	}
	if r.Remove {
		if tx.DeleteGrant(g) == nil {
			return None{}, structs.Errorf(structs.KindNotFound, "Could not find role assignment with role: %s, user or group: %s%s, project, domain, or system: %s.",
				g.RoleID, g.UserID, g.GroupID, grantedOn(g))
		}
		return None{}, nil
	}
	if tx.Grant(g) == nil {
		tx.PutGrant(g)
	}
	return None{}, nil
})

func grantedOn(g *structs.Grant) string {
	if g.System {
		return "system"
	}
	return string(g.ProjectID) + string(g.DomainID)
}

// grantStands refuses a grant that names what is not there, or a domain's role beyond its domain.
func grantStands(tx *state.Txn, g *structs.Grant) error {
	role := tx.Role(g.RoleID)
	domain := g.DomainID
	switch {
	case role == nil:
		return noSuch("role", g.RoleID)
	case g.UserID != "" && tx.User(g.UserID) == nil:
		return noSuch("user", g.UserID)
	case g.GroupID != "" && tx.Group(g.GroupID) == nil:
		return noSuch("group", g.GroupID)
	case (g.UserID == "") == (g.GroupID == ""):
		return structs.Errorf(structs.KindInvalid, "a grant is of a user or of a group")
	case g.DomainID != "" && tx.Domain(g.DomainID) == nil:
		return noSuch("domain", g.DomainID)
	case g.ProjectID != "":
		p := tx.Project(g.ProjectID)
		if p == nil {
			return noSuch("project", g.ProjectID)
		}
		domain = p.DomainID
	}
	if g.System && (g.ProjectID != "" || g.DomainID != "" || g.Inherited) || !g.System && (g.ProjectID == "") == (g.DomainID == "") {
		return structs.Errorf(structs.KindInvalid, "a grant is on a project, on a domain or on the system")
	}
	if role.DomainID != "" && role.DomainID != domain {
		return structs.Errorf(structs.KindForbidden, "Project %s must be in the same domain as the role %s being assigned.", grantedOn(g), role.ID)
	}
	return nil
}
