package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// IdentityUpsert writes domains, projects, users, roles, implications and grants.
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
	if r.Implications && !tx.ClusterSettings().RolesImply {
		makeImplications(tx)
	}
	return None{}, nil
}

func makeImplications(tx *state.Txn) {
	for _, pair := range structs.DefaultImplications {
		prior, implied := tx.RoleByName("", pair[0]), tx.RoleByName("", pair[1])
		if prior != nil && implied != nil {
			tx.PutImpliedRole(&structs.ImpliedRole{PriorID: prior.ID, ImpliedID: implied.ID})
		}
	}
	s := *tx.ClusterSettings()
	s.RolesImply = true
	tx.PutClusterSettings(&s)
}

// version is the rule of every write of an identity: one that is new may not be there yet unless this very command made it, and one that was changed from an
// older version than that in the state is read and changed again by who asked for it.
func version(there bool, at, from uint64) error {
	if from == 0 && there {
		return structs.Errorf(structs.KindConflict, "Duplicate entry.")
	}
	if from != 0 && (!there || at != from) {
		return structs.ErrChanged
	}
	return nil
}

// duplicate is Keystone's refusal of a name that is taken.
func duplicate(kind, name string) error {
	return structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store %s - Duplicate entry found with name %s.", kind, name)
}

// noSuch is Keystone's word for what is not there.
func noSuch(kind string, id any) error {
	return structs.Errorf(structs.KindNotFound, "Could not find %s: %v.", kind, id)
}
