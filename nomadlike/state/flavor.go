package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var flavorTable = newTable("flavors", func(v *structs.Flavor) []string { return []string{string(v.ID)} },
	index[structs.Flavor]{"name", func(v *structs.Flavor) []string { return []string{v.Name} }})

// Flavor returns a flavor by id, or nil.
func (r Reader) Flavor(id structs.FlavorID) *structs.Flavor { return first(r, flavorTable, string(id)) }

// FlavorByName returns a flavor by name, or nil.
func (r Reader) FlavorByName(name string) *structs.Flavor {
	return one(prefix(r, flavorTable, "name", name))
}

// Flavors iterates over all flavors by id.
func (r Reader) Flavors() iter.Seq[*structs.Flavor] { return all(r, flavorTable) }

// PutFlavor writes a flavor. A new one gets its number.
func (t *Txn) PutFlavor(v *structs.Flavor) {
	if v.Num == 0 {
		v.Num = t.NextNum("flavors")
	}
	put(t, flavorTable, v)
}

// DeleteFlavor removes a flavor and returns it, or nil.
func (t *Txn) DeleteFlavor(id structs.FlavorID) *structs.Flavor {
	return remove(t, flavorTable, string(id))
}
