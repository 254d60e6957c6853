package fsm

import (
	"maps"
	"slices"

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

func flavorNotFound(id structs.FlavorID) error {
	return structs.Errorf(structs.KindNotFound, "Flavor %s could not be found.", id)
}

// changeFlavor writes an edited copy of a flavor.
func changeFlavor(tx *state.Txn, id structs.FlavorID, now structs.Time, edit func(*structs.Flavor) error) (*structs.Flavor, error) {
	old := tx.Flavor(id)
	if old == nil {
		return nil, flavorNotFound(id)
	}
	f := old.Copy()
	if err := edit(f); err != nil {
		return nil, err
	}
	f.UpdatedAt = now
	tx.PutFlavor(f)
	return f, nil
}

// FlavorAccessAdd lets a project use a flavor. A public one keeps such a list without effect.
var FlavorAccessAdd = register(50, "flavor-access-add", func(tx *state.Txn, r *structs.FlavorAccessRequest) (*structs.Flavor, error) {
	return changeFlavor(tx, r.ID, r.Now, func(f *structs.Flavor) error {
		if r.Private && f.Public {
			return structs.Errorf(structs.KindConflict, "Can not add access to a public flavor.")
		}
		i, granted := slices.BinarySearch(f.Projects, r.ProjectID)
		if granted {
			return structs.Errorf(structs.KindConflict, "Flavor access already exists for flavor %s and project %s combination.", r.ID, r.ProjectID)
		}
		f.Projects = slices.Insert(f.Projects, i, r.ProjectID)
		return nil
	})
})

// FlavorAccessRemove takes from a project what FlavorAccessAdd gave it.
var FlavorAccessRemove = register(51, "flavor-access-remove", func(tx *state.Txn, r *structs.FlavorAccessRequest) (*structs.Flavor, error) {
	return changeFlavor(tx, r.ID, r.Now, func(f *structs.Flavor) error {
		i, granted := slices.BinarySearch(f.Projects, r.ProjectID)
		if !granted {
			return structs.Errorf(structs.KindNotFound, "Flavor access not found for %s / %s combination.", r.ID, r.ProjectID)
		}
		f.Projects = slices.Delete(f.Projects, i, i+1)
		return nil
	})
})

// FlavorSpecsSet writes extra specs beside the others. Instances keep those of their copies.
var FlavorSpecsSet = register(52, "flavor-specs-set", func(tx *state.Txn, r *structs.FlavorSpecsSetRequest) (None, error) {
	_, err := changeFlavor(tx, r.ID, r.Now, func(f *structs.Flavor) error {
		if f.ExtraSpecs == nil {
			f.ExtraSpecs = map[string]string{}
		}
		maps.Copy(f.ExtraSpecs, r.Specs)
		return nil
	})
	return None{}, err
})

// FlavorSpecDelete removes an extra spec.
var FlavorSpecDelete = register(53, "flavor-spec-delete", func(tx *state.Txn, r *structs.FlavorSpecDeleteRequest) (None, error) {
	_, err := changeFlavor(tx, r.ID, r.Now, func(f *structs.Flavor) error {
		if _, ok := f.ExtraSpecs[r.Key]; !ok {
			return structs.Errorf(structs.KindNotFound, "Flavor %s has no extra specs with key %s.", r.ID, r.Key)
		}
		delete(f.ExtraSpecs, r.Key)
		return nil
	})
	return None{}, err
})
