package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var catalogServiceTable = newTable("catalog_services", func(v *structs.CatalogService) []string { return []string{v.ID} })

// CatalogService returns a service of the catalog by id, or nil.
func (r Reader) CatalogService(id string) *structs.CatalogService {
	return first(r, catalogServiceTable, id)
}

// CatalogServices iterates over all service of the catalogs by id.
func (r Reader) CatalogServices() iter.Seq[*structs.CatalogService] {
	return all(r, catalogServiceTable)
}

// PutCatalogService writes a service of the catalog.
func (t *Txn) PutCatalogService(v *structs.CatalogService) { put(t, catalogServiceTable, v) }

// DeleteCatalogService removes a service of the catalog and returns it, or nil.
func (t *Txn) DeleteCatalogService(id string) *structs.CatalogService {
	return remove(t, catalogServiceTable, id)
}
