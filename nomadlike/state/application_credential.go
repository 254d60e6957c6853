package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var applicationCredentialTable = newTable("application_credentials", func(v *structs.ApplicationCredential) []string { return []string{v.ID} },
	index[structs.ApplicationCredential]{"user", func(v *structs.ApplicationCredential) []string { return []string{string(v.UserID), v.Name} }},
	index[structs.ApplicationCredential]{"project", func(v *structs.ApplicationCredential) []string { return []string{string(v.ProjectID)} }})

// ApplicationCredential returns an application credential by id, or nil.
func (r Reader) ApplicationCredential(id string) *structs.ApplicationCredential {
	return first(r, applicationCredentialTable, id)
}

// ApplicationCredentials iterates over all application credentials by id.
func (r Reader) ApplicationCredentials() iter.Seq[*structs.ApplicationCredential] {
	return all(r, applicationCredentialTable)
}

// ApplicationCredentialsOfUser iterates over the application credentials of a user, by name.
func (r Reader) ApplicationCredentialsOfUser(u structs.UserID) iter.Seq[*structs.ApplicationCredential] {
	return prefix(r, applicationCredentialTable, "user", string(u))
}

// ApplicationCredentialsOnProject iterates over the application credentials on a project, by id.
func (r Reader) ApplicationCredentialsOnProject(p structs.ProjectID) iter.Seq[*structs.ApplicationCredential] {
	return prefix(r, applicationCredentialTable, "project", string(p))
}

// PutApplicationCredential writes an application credential.
func (t *Txn) PutApplicationCredential(v *structs.ApplicationCredential) {
	put(t, applicationCredentialTable, v)
}

// DeleteApplicationCredential removes an application credential and returns it, or nil.
func (t *Txn) DeleteApplicationCredential(id string) *structs.ApplicationCredential {
	return remove(t, applicationCredentialTable, id)
}
