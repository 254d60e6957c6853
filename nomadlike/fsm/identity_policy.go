package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// IdentityPolicyWrite makes or changes a policy.
var IdentityPolicyWrite = registerOnce(86, "identity-policy-write", func(tx *state.Txn, r *structs.IdentityPolicyWriteRequest) (None, error) {
	old := tx.IdentityPolicy(r.Policy.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return None{}, err
	}
	tx.PutIdentityPolicy(&r.Policy)
	return None{}, nil
})

// IdentityPolicyDelete removes a policy.
var IdentityPolicyDelete = registerOnce(87, "identity-policy-delete", func(tx *state.Txn, r *structs.IdentityPolicyDeleteRequest) (None, error) {
	if tx.DeleteIdentityPolicy(r.ID) == nil {
		return None{}, noSuch("policy", r.ID)
	}
	return None{}, nil
})
