package state

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	domainTable  = newTable("domains", func(v *structs.Domain) []string { return []string{string(v.ID)} })
	projectTable = newTable("projects", func(v *structs.Project) []string { return []string{string(v.ID)} },
		index[structs.Project]{"name", func(v *structs.Project) []string {
			return []string{string(v.DomainID), strings.ToLower(v.Name)}
		}})
	userTable = newTable("users", func(v *structs.User) []string { return []string{string(v.ID)} },
		index[structs.User]{"name", func(v *structs.User) []string { return []string{string(v.DomainID), strings.ToLower(v.Name)} }})
	roleTable  = newTable("roles", func(v *structs.Role) []string { return []string{string(v.ID)} })
	grantTable = newTable("grants", func(v *structs.Grant) []string {
		return []string{string(v.UserID), string(v.ProjectID), string(v.RoleID)}
	})
	tokenKeyTable   = newTable("token_keys", func(v *structs.TokenKey) []string { return []string{v.ID} })
	revocationTable = newTable("revocations", func(v *structs.Revocation) []string { return []string{v.AuditID} })
)

// Domain returns a domain by id, or nil.
func (r Reader) Domain(id structs.DomainID) *structs.Domain { return first(r, domainTable, string(id)) }

// Domains iterates over all domains by id.
func (r Reader) Domains() iter.Seq[*structs.Domain] { return all(r, domainTable) }

// Project returns a project by id, or nil.
func (r Reader) Project(id structs.ProjectID) *structs.Project {
	return first(r, projectTable, string(id))
}

// ProjectByName returns a project by name, letter case ignored as Keystone does, or nil.
func (r Reader) ProjectByName(d structs.DomainID, name string) *structs.Project {
	return one(prefix(r, projectTable, "name", string(d), strings.ToLower(name)))
}

// Projects iterates over all projects by id.
func (r Reader) Projects() iter.Seq[*structs.Project] { return all(r, projectTable) }

// User returns a user by id, or nil.
func (r Reader) User(id structs.UserID) *structs.User { return first(r, userTable, string(id)) }

// UserByName returns a user by name, letter case ignored, or nil.
func (r Reader) UserByName(d structs.DomainID, name string) *structs.User {
	return one(prefix(r, userTable, "name", string(d), strings.ToLower(name)))
}

// Users iterates over all users by id.
func (r Reader) Users() iter.Seq[*structs.User] { return all(r, userTable) }

// Role returns a role by id, or nil.
func (r Reader) Role(id structs.RoleID) *structs.Role { return first(r, roleTable, string(id)) }

// Roles iterates over all roles by id.
func (r Reader) Roles() iter.Seq[*structs.Role] { return all(r, roleTable) }

// GrantsOfUser iterates over a user's grants by project.
func (r Reader) GrantsOfUser(u structs.UserID) iter.Seq[*structs.Grant] {
	return prefix(r, grantTable, "id", string(u))
}

// Grants iterates over all grants by user and project.
func (r Reader) Grants() iter.Seq[*structs.Grant] { return all(r, grantTable) }

// TokenKeys iterates over the token keys by id.
func (r Reader) TokenKeys() iter.Seq[*structs.TokenKey] { return all(r, tokenKeyTable) }

// Revoked reports whether the token with that audit id is revoked.
func (r Reader) Revoked(auditID string) bool { return first(r, revocationTable, auditID) != nil }

// Revocations iterates over all revocations.
func (r Reader) Revocations() iter.Seq[*structs.Revocation] { return all(r, revocationTable) }

// PutDomain writes a domain.
func (t *Txn) PutDomain(v *structs.Domain) { put(t, domainTable, v) }

// PutProject writes a project.
func (t *Txn) PutProject(v *structs.Project) { put(t, projectTable, v) }

// PutUser writes a user.
func (t *Txn) PutUser(v *structs.User) { put(t, userTable, v) }

// PutRole writes a role.
func (t *Txn) PutRole(v *structs.Role) { put(t, roleTable, v) }

// PutGrant writes a grant.
func (t *Txn) PutGrant(v *structs.Grant) { put(t, grantTable, v) }

// PutTokenKey writes a token key.
func (t *Txn) PutTokenKey(v *structs.TokenKey) { put(t, tokenKeyTable, v) }

// DeleteTokenKey removes a token key; an unknown one is no error.
func (t *Txn) DeleteTokenKey(id string) { remove(t, tokenKeyTable, id) }

// PutRevocation writes a revocation.
func (t *Txn) PutRevocation(v *structs.Revocation) { put(t, revocationTable, v) }

// DeleteRevocation removes a revocation; an unknown one is no error.
func (t *Txn) DeleteRevocation(auditID string) { remove(t, revocationTable, auditID) }

// one returns the first of a sequence, or nil.
func one[T any](s iter.Seq[*T]) *T {
	for v := range s {
		return v
	}
	return nil
}
