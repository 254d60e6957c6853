package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TokenKeyRotate adds a token key and drops old ones.
var TokenKeyRotate = register(3, "token-key-rotate", func(tx *state.Txn, r *structs.TokenKeyRotateRequest) (None, error) {
	tx.PutTokenKey(&r.Key)
	for _, id := range r.Drop {
		tx.DeleteTokenKey(id)
	}
	return None{}, nil
})

// TokenRevoke voids a token.
var TokenRevoke = register(4, "token-revoke", func(tx *state.Txn, r *structs.TokenRevokeRequest) (None, error) {
	tx.PutRevocation(&r.Revocation)
	return None{}, nil
})
