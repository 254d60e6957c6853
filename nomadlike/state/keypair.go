package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var keypairTable = newTable("keypairs", func(v *structs.Keypair) []string { return []string{string(v.UserID), v.Name} })

// Keypair returns a user's keypair, or nil.
func (r Reader) Keypair(u structs.UserID, name string) *structs.Keypair {
	return first(r, keypairTable, string(u), name)
}

// Keypairs iterates over a user's keypairs by name.
func (r Reader) Keypairs(u structs.UserID) iter.Seq[*structs.Keypair] {
	return prefix(r, keypairTable, "id", string(u))
}

// PutKeypair writes a keypair.
func (t *Txn) PutKeypair(v *structs.Keypair) { put(t, keypairTable, v) }

// DeleteKeypair removes a keypair and returns it, or nil.
func (t *Txn) DeleteKeypair(u structs.UserID, name string) *structs.Keypair {
	return remove(t, keypairTable, string(u), name)
}
