package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var trustTable = newTable("trusts", func(v *structs.Trust) []string { return []string{v.ID} },
	index[structs.Trust]{"trustor", func(v *structs.Trust) []string { return []string{string(v.TrustorID)} }},
	index[structs.Trust]{"trustee", func(v *structs.Trust) []string { return []string{string(v.TrusteeID)} }},
	index[structs.Trust]{"project", func(v *structs.Trust) []string { return []string{string(v.ProjectID)} }},
	index[structs.Trust]{"redelegated", func(v *structs.Trust) []string {
		if v.RedelegatedID == "" {
			return nil
		}
		return []string{v.RedelegatedID}
	}})

// Trust returns a trust by id, or nil.
func (r Reader) Trust(id string) *structs.Trust { return first(r, trustTable, id) }

// Trusts iterates over all trusts by id.
func (r Reader) Trusts() iter.Seq[*structs.Trust] { return all(r, trustTable) }

// TrustsOfTrustor iterates over the trusts that a user gave, by id.
func (r Reader) TrustsOfTrustor(u structs.UserID) iter.Seq[*structs.Trust] {
	return prefix(r, trustTable, "trustor", string(u))
}

// TrustsOfTrustee iterates over the trusts that a user was given, by id.
func (r Reader) TrustsOfTrustee(u structs.UserID) iter.Seq[*structs.Trust] {
	return prefix(r, trustTable, "trustee", string(u))
}

// TrustsOnProject iterates over the trusts on a project, by id.
func (r Reader) TrustsOnProject(p structs.ProjectID) iter.Seq[*structs.Trust] {
	return prefix(r, trustTable, "project", string(p))
}

// TrustsOfTrust iterates over the trusts that were made with another, by id.
func (r Reader) TrustsOfTrust(id string) iter.Seq[*structs.Trust] {
	return prefix(r, trustTable, "redelegated", id)
}

// PutTrust writes a trust.
func (t *Txn) PutTrust(v *structs.Trust) { put(t, trustTable, v) }

// DeleteTrust removes a trust and returns it, or nil.
func (t *Txn) DeleteTrust(id string) *structs.Trust { return remove(t, trustTable, id) }
