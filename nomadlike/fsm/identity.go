package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// IdentityUpsert writes domains, projects, users, roles and grants.
var IdentityUpsert = register(2, "identity-upsert", applyIdentityUpsert)

func applyIdentityUpsert(tx *state.Txn, r *structs.IdentityUpsertRequest) (None, error) {
	if r.Bootstrap {
		s := *tx.ClusterSettings()
		if s.Bootstrapped {
			return None{}, structs.Errorf(structs.KindConflict, "this cluster has its administrator already; it is made once")
		}
		s.Bootstrapped = true
		tx.PutClusterSettings(&s)
	}
	for i := range r.Domains {
		tx.PutDomain(&r.Domains[i])
	}
	for i := range r.Projects {
		tx.PutProject(&r.Projects[i])
	}
	for i := range r.Users {
		tx.PutUser(&r.Users[i])
	}
	for i := range r.Roles {
		tx.PutRole(&r.Roles[i])
	}
	for i := range r.Grants {
		tx.PutGrant(&r.Grants[i])
	}
	return None{}, nil
}

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
