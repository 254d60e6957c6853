package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	tokenKeyTable   = newTable("token_keys", func(v *structs.TokenKey) []string { return []string{v.ID} })
	revocationTable = newTable("revocations", func(v *structs.Revocation) []string { return []string{v.AuditID} })
)

// TokenKeys iterates over the token keys by id.
func (r Reader) TokenKeys() iter.Seq[*structs.TokenKey] { return all(r, tokenKeyTable) }

// Revoked reports whether the token with that audit id is revoked.
func (r Reader) Revoked(auditID string) bool { return first(r, revocationTable, auditID) != nil }

// Revocations iterates over all revocations.
func (r Reader) Revocations() iter.Seq[*structs.Revocation] { return all(r, revocationTable) }

// PutTokenKey writes a token key.
func (t *Txn) PutTokenKey(v *structs.TokenKey) { put(t, tokenKeyTable, v) }

// DeleteTokenKey removes a token key; an unknown one is no error.
func (t *Txn) DeleteTokenKey(id string) { remove(t, tokenKeyTable, id) }

// PutRevocation writes a revocation.
func (t *Txn) PutRevocation(v *structs.Revocation) { put(t, revocationTable, v) }

// DeleteRevocation removes a revocation; an unknown one is no error.
func (t *Txn) DeleteRevocation(auditID string) { remove(t, revocationTable, auditID) }
