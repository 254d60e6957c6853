package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var identityPolicyTable = newTable("identity_policies", func(v *structs.IdentityPolicy) []string { return []string{v.ID} })

// IdentityPolicy returns a policy by id, or nil.
func (r Reader) IdentityPolicy(id string) *structs.IdentityPolicy {
	return first(r, identityPolicyTable, id)
}

// IdentityPolicies iterates over all policies by id.
func (r Reader) IdentityPolicies() iter.Seq[*structs.IdentityPolicy] {
	return all(r, identityPolicyTable)
}

// PutIdentityPolicy writes a policy.
func (t *Txn) PutIdentityPolicy(v *structs.IdentityPolicy) { put(t, identityPolicyTable, v) }

// DeleteIdentityPolicy removes a policy and returns it, or nil.
func (t *Txn) DeleteIdentityPolicy(id string) *structs.IdentityPolicy {
	return remove(t, identityPolicyTable, id)
}
