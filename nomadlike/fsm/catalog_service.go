package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// CatalogServiceWrite makes or changes a service of the catalog.
var CatalogServiceWrite = registerOnce(82, "catalog-service-write", func(tx *state.Txn, r *structs.CatalogServiceWriteRequest) (None, error) {
	old := tx.CatalogService(r.Service.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return None{}, err
	}
	tx.PutCatalogService(&r.Service)
	return None{}, nil
})

// CatalogServiceDelete removes a service with its endpoints and its registered limits.
var CatalogServiceDelete = registerOnce(83, "catalog-service-delete", func(tx *state.Txn, r *structs.CatalogServiceDeleteRequest) (None, error) {
	if tx.DeleteCatalogService(r.ID) == nil {
		return None{}, noSuch("service", r.ID)
	}
	for _, e := range slices.Collect(tx.EndpointsOfService(r.ID)) {
		dropEndpoint(tx, e.ID)
	}
	for _, l := range slices.Collect(tx.RegisteredLimitsOfService(r.ID)) {
		for _, x := range slices.Collect(tx.LimitsOfRegistered(l.ID)) {
			tx.DeleteLimit(x.ID)
		}
		tx.DeleteRegisteredLimit(l.ID)
	}
	return None{}, nil
})
