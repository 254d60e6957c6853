package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var endpointFilterTable = newTable("endpoint_filters", func(v *structs.EndpointFilter) []string {
	return []string{string(v.ProjectID), v.EndpointID, v.GroupID}
})

// EndpointFilter returns the association of a project with an endpoint or with a group of them, or nil.
func (r Reader) EndpointFilter(v *structs.EndpointFilter) *structs.EndpointFilter {
	return first(r, endpointFilterTable, string(v.ProjectID), v.EndpointID, v.GroupID)
}

// EndpointFilters iterates over all associations by project.
func (r Reader) EndpointFilters() iter.Seq[*structs.EndpointFilter] {
	return all(r, endpointFilterTable)
}

// EndpointFiltersOf iterates over a project's associations.
func (r Reader) EndpointFiltersOf(p structs.ProjectID) iter.Seq[*structs.EndpointFilter] {
	return prefix(r, endpointFilterTable, "id", string(p))
}

// PutEndpointFilter writes an association.
func (t *Txn) PutEndpointFilter(v *structs.EndpointFilter) { put(t, endpointFilterTable, v) }

// DeleteEndpointFilter removes an association and returns it, or nil.
func (t *Txn) DeleteEndpointFilter(v *structs.EndpointFilter) *structs.EndpointFilter {
	return remove(t, endpointFilterTable, string(v.ProjectID), v.EndpointID, v.GroupID)
}
