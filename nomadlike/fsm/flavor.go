package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// FlavorCreate makes a flavor, or with Update replaces one's description.
var FlavorCreate = register(5, "flavor-create", func(tx *state.Txn, r *structs.FlavorCreateRequest) (None, error) {
	old := tx.Flavor(r.Flavor.ID)
	if r.Update {
		if old == nil {
			return None{}, structs.Errorf(structs.KindNotFound, "Flavor %s could not be found.", r.Flavor.ID)
		}
		f := old.Copy()
		f.Description, f.UpdatedAt = r.Flavor.Description, r.Flavor.UpdatedAt
		tx.PutFlavor(f)
		return None{}, nil
	}
	if old != nil {
		return None{}, structs.Errorf(structs.KindConflict, "Flavor with ID %s already exists.", r.Flavor.ID)
	}
	if tx.FlavorByName(r.Flavor.Name) != nil {
		return None{}, structs.Errorf(structs.KindConflict, "Flavor with name %s already exists.", r.Flavor.Name)
	}
	tx.PutFlavor(&r.Flavor)
	return None{}, nil
})

// FlavorDelete removes a flavor. Instances keep their copies.
var FlavorDelete = register(6, "flavor-delete", func(tx *state.Txn, r *structs.FlavorDeleteRequest) (None, error) {
	if tx.DeleteFlavor(r.ID) == nil {
		return None{}, structs.Errorf(structs.KindNotFound, "Flavor %s could not be found.", r.ID)
	}
	return None{}, nil
})
