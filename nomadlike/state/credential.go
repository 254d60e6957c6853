package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var credentialTable = newTable("credentials", func(v *structs.Credential) []string { return []string{v.ID} },
	index[structs.Credential]{"user", func(v *structs.Credential) []string { return []string{string(v.UserID)} }},
	index[structs.Credential]{"project", func(v *structs.Credential) []string { return []string{string(v.ProjectID)} }})

// Credential returns a credential by id, or nil.
func (r Reader) Credential(id string) *structs.Credential { return first(r, credentialTable, id) }

// Credentials iterates over all credentials by id.
func (r Reader) Credentials() iter.Seq[*structs.Credential] { return all(r, credentialTable) }

// CredentialsOfUser iterates over the credentials of a user, by id.
func (r Reader) CredentialsOfUser(u structs.UserID) iter.Seq[*structs.Credential] {
	return prefix(r, credentialTable, "user", string(u))
}

// CredentialsOnProject iterates over the credentials on a project, by id.
func (r Reader) CredentialsOnProject(p structs.ProjectID) iter.Seq[*structs.Credential] {
	return prefix(r, credentialTable, "project", string(p))
}

// PutCredential writes a credential.
func (t *Txn) PutCredential(v *structs.Credential) { put(t, credentialTable, v) }

// DeleteCredential removes a credential and returns it, or nil.
func (t *Txn) DeleteCredential(id string) *structs.Credential { return remove(t, credentialTable, id) }
