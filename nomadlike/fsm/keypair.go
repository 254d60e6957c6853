package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// KeypairCreate makes a keypair within the user's quota.
var KeypairCreate = register(9, "keypair-create", func(tx *state.Txn, r *structs.KeypairCreateRequest) (*structs.Keypair, error) {
	k := &r.Keypair
	if tx.Keypair(k.UserID, k.Name) != nil {
		return nil, structs.Errorf(structs.KindConflict, "Key pair '%s' already exists.", k.Name)
	}
	n := int64(0)
	for range tx.Keypairs(k.UserID) {
		n++
	}
	if limit := tx.UserQuotaLimits(r.ProjectID, k.UserID).KeyPairs; limit >= 0 && n >= limit {
		return nil, structs.Errorf(structs.KindQuota, "Quota exceeded, too many key pairs.")
	}
	k.ID = tx.NextNum("keypairs")
	tx.PutKeypair(k)
	return k, nil
})

// KeypairDelete removes a keypair.
var KeypairDelete = register(10, "keypair-delete", func(tx *state.Txn, r *structs.KeypairDeleteRequest) (None, error) {
	if tx.DeleteKeypair(r.UserID, r.Name) == nil {
		return None{}, structs.Errorf(structs.KindNotFound, "Keypair %s not found for user %s", r.Name, r.UserID)
	}
	return None{}, nil
})
