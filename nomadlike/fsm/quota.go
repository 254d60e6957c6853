package fsm

import (
	"maps"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// QuotaSet writes a project's limits.
var QuotaSet = register(18, "quota-set", func(tx *state.Txn, r *structs.QuotaSetRequest) (None, error) {
	tx.PutQuota(&r.Quota)
	return None{}, nil
})

// QuotaUpdate sets some of a project's limits, or of a user's in it.
var QuotaUpdate = register(32, "quota-update", func(tx *state.Txn, r *structs.QuotaUpdateRequest) (None, error) {
	if !r.Force {
		if err := checkLimits(tx, r); err != nil {
			return None{}, err
		}
	}
	if len(r.Set) == 0 {
		return None{}, nil
	}
	q := structs.Quota{ProjectID: r.ProjectID, UserID: r.UserID, Set: map[string]int64{}}
	maps.Copy(q.Set, tx.Quota(r.ProjectID, r.UserID).Named())
	maps.Copy(q.Set, r.Set)
	tx.PutQuota(&q)
	return None{}, nil
})

// checkLimits refuses limits below what is used. A project's limit is also not below the sum of its users' limits, and a user's is not above what the
// others leave of the project's.
func checkLimits(tx *state.Txn, r *structs.QuotaUpdateRequest) error {
	values, used := tx.QuotaValues(r.ProjectID, ""), tx.QuotaInUse(r.ProjectID, r.UserID)
	for _, name := range slices.Sorted(maps.Keys(r.Set)) {
		limit, least, most := r.Set[name], used[name], int64(-1)
		given := int64(0) // to users
		for q := range tx.Quotas(r.ProjectID) {
			if q.UserID != "" && q.UserID != r.UserID {
				given += max(0, q.Named()[name])
			}
		}
		switch {
		case values[name] < 0: // the project has no limit, so nothing is shared out
		case r.UserID != "":
			most = max(0, values[name]-given)
		default:
			least = max(least, given)
		}
		if limit >= 0 && limit < least {
			return structs.Errorf(structs.KindInvalid, "Quota limit %d for %s must be greater than or equal to already used and reserved %d.", limit, name, least)
		}
		if most >= 0 && (limit < 0 || limit > most) {
			return structs.Errorf(structs.KindInvalid, "Quota limit %d for %s must be less than or equal to %d.", limit, name, most)
		}
	}
	return nil
}

// QuotaDelete takes a project, or a user in it, back to the limits that hold without own ones.
var QuotaDelete = register(33, "quota-delete", func(tx *state.Txn, r *structs.QuotaDeleteRequest) (None, error) {
	var gone []*structs.Quota
	for q := range tx.Quotas(r.ProjectID) {
		if r.UserID == "" || q.UserID == r.UserID {
			gone = append(gone, q)
		}
	}
	for _, q := range gone {
		tx.DeleteQuota(q)
	}
	return None{}, nil
})

// QuotaClassUpdate sets some of a quota class's limits.
var QuotaClassUpdate = register(34, "quota-class-update", func(tx *state.Txn, r *structs.QuotaClassUpdateRequest) (None, error) {
	if len(r.Set) == 0 {
		return None{}, nil
	}
	c := structs.QuotaClass{Name: r.Name, Set: map[string]int64{}}
	if old := tx.QuotaClass(r.Name); old != nil {
		maps.Copy(c.Set, old.Set)
	}
	maps.Copy(c.Set, r.Set)
	tx.PutQuotaClass(&c)
	return None{}, nil
})
