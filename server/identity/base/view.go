package base

import (
	"encoding/json"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Time is Keystone's form of a time: microseconds, Z.
func Time(t structs.Time) string { return t.Time().Format("2006-01-02T15:04:05.000000Z") }

// OrNull is a text, or null for none.
func OrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func options(immutable structs.Option) map[string]any {
	if immutable == structs.Unsaid {
		return map[string]any{}
	}
	return map[string]any{"immutable": immutable == structs.Yes}
}

// OptionOf reads an option from a body: true, false, or null for one that is to be unsaid.
func OptionOf(raw json.RawMessage) structs.Option {
	switch string(raw) {
	case "true":
		return structs.Yes
	case "false":
		return structs.No
	}
	return structs.Unsaid
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// ViewProject is a project as the API shows it. One right below its domain has that as its parent.
func ViewProject(r *httpapi.Request, p *structs.Project) View {
	v := NewView(p.Extra)
	v["id"], v["name"], v["description"], v["domain_id"], v["enabled"] = string(p.ID), p.Name, p.Description, string(p.DomainID), p.Enabled
	v["is_domain"], v["tags"], v["options"], v["parent_id"] = false, list(p.Tags), options(p.Immutable), string(p.ParentID)
	if p.ParentID == "" {
		v["parent_id"] = string(p.DomainID)
	}
	return v.Link(r, "projects", string(p.ID))
}

// ViewDomain is a domain as the API shows it.
func ViewDomain(r *httpapi.Request, d *structs.Domain) View {
	v := NewView(d.Extra)
	v["id"], v["name"], v["description"], v["enabled"] = string(d.ID), d.Name, d.Description, d.Enabled
	v["tags"], v["options"] = list(d.Tags), options(d.Immutable)
	return v.Link(r, "domains", string(d.ID))
}

// ViewDomainProject is the project that a domain is, too: what is below no other.
func ViewDomainProject(r *httpapi.Request, d *structs.Domain) View {
	v := ViewDomain(r, d)
	v["is_domain"], v["domain_id"], v["parent_id"] = true, nil, nil
	return v.Link(r, "projects", string(d.ID))
}

// ViewRole is a role as the API shows it.
func ViewRole(r *httpapi.Request, x *structs.Role) View {
	v := NewView(x.Extra)
	v["id"], v["name"], v["domain_id"], v["description"], v["options"] = string(x.ID), x.Name, OrNull(string(x.DomainID)), OrNull(x.Description), options(x.Immutable)
	return v.Link(r, "roles", string(x.ID))
}

// ViewUser is a user as the API shows it.
func ViewUser(r *httpapi.Request, u *structs.User) View {
	v := NewView(u.Extra)
	v["id"], v["name"], v["domain_id"], v["enabled"] = string(u.ID), u.Name, string(u.DomainID), u.Enabled
	v["options"], v["password_expires_at"] = ViewUserOptions(u.Options), nil
	if !u.PasswordExpires.IsZero() {
		v["password_expires_at"] = Time(u.PasswordExpires)
	}
	if u.DefaultProjectID != "" {
		v["default_project_id"] = string(u.DefaultProjectID)
	}
	if u.Email != "" {
		v["email"] = u.Email
	}
	return v.Link(r, "users", string(u.ID))
}

// ViewUserOptions are a user's options as the API shows them: those that were ever set.
func ViewUserOptions(o *structs.UserOptions) map[string]any {
	v := map[string]any{}
	if o == nil {
		return v
	}
	for name, b := range map[string]*bool{"ignore_change_password_upon_first_use": o.IgnoreChangeUponFirstUse, "ignore_password_expiry": o.IgnorePasswordExpiry,
		"ignore_lockout_failure_attempts": o.IgnoreLockout, "ignore_user_inactivity": o.IgnoreInactivity, "lock_password": o.LockPassword,
		"multi_factor_auth_enabled": o.MultiFactor} {
		if b != nil {
			v[name] = *b
		}
	}
	if o.MultiFactorRules != nil {
		v["multi_factor_auth_rules"] = o.MultiFactorRules
	}
	return v
}

// ViewGroup is a group as the API shows it.
func ViewGroup(r *httpapi.Request, g *structs.Group) View {
	v := NewView(g.Extra)
	v["id"], v["name"], v["domain_id"], v["description"] = string(g.ID), g.Name, string(g.DomainID), g.Description
	return v.Link(r, "groups", string(g.ID))
}
