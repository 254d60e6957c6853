package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var regionTable = newTable("regions", func(v *structs.Region) []string { return []string{v.ID} },
	index[structs.Region]{"parent", func(v *structs.Region) []string { return []string{v.ParentID} }})

// Region returns a region by id, or nil.
func (r Reader) Region(id string) *structs.Region { return first(r, regionTable, id) }

// Regions iterates over all regions by id.
func (r Reader) Regions() iter.Seq[*structs.Region] { return all(r, regionTable) }

// RegionsBelow iterates over the regions right below another, by id.
func (r Reader) RegionsBelow(id string) iter.Seq[*structs.Region] {
	return prefix(r, regionTable, "parent", string(id))
}

// PutRegion writes a region.
func (t *Txn) PutRegion(v *structs.Region) { put(t, regionTable, v) }

// DeleteRegion removes a region and returns it, or nil.
func (t *Txn) DeleteRegion(id string) *structs.Region { return remove(t, regionTable, id) }
