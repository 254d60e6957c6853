package state

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var userTable = newTable("users", func(v *structs.User) []string { return []string{string(v.ID)} },
	index[structs.User]{"name", func(v *structs.User) []string { return []string{string(v.DomainID), strings.ToLower(v.Name)} }},
	index[structs.User]{"project", func(v *structs.User) []string {
		if v.DefaultProjectID == "" {
			return nil
		}
		return []string{string(v.DefaultProjectID)}
	}})

// User returns a user by id, or nil.
func (r Reader) User(id structs.UserID) *structs.User { return first(r, userTable, string(id)) }

// UserByName returns a user by name, letter case ignored, or nil.
func (r Reader) UserByName(d structs.DomainID, name string) *structs.User {
	return one(prefix(r, userTable, "name", string(d), strings.ToLower(name)))
}

// Users iterates over all users by id.
func (r Reader) Users() iter.Seq[*structs.User] { return all(r, userTable) }

// UsersOfDomain iterates over a domain's users by name.
func (r Reader) UsersOfDomain(d structs.DomainID) iter.Seq[*structs.User] {
	return prefix(r, userTable, "name", string(d))
}

// UsersOfDefaultProject iterates over the users whose default project one is, by id.
func (r Reader) UsersOfDefaultProject(id structs.ProjectID) iter.Seq[*structs.User] {
	return prefix(r, userTable, "project", string(id))
}

// PutUser writes a user.
func (t *Txn) PutUser(v *structs.User) { put(t, userTable, v) }

// DeleteUser removes a user and returns it, or nil.
func (t *Txn) DeleteUser(id structs.UserID) *structs.User { return remove(t, userTable, string(id)) }
