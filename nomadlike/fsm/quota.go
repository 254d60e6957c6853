package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// QuotaSet writes a project's limits.
var QuotaSet = register(18, "quota-set", func(tx *state.Txn, r *structs.QuotaSetRequest) (None, error) {
	tx.PutQuota(&r.Quota)
	return None{}, nil
})
