package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var endpointGroupTable = newTable("endpoint_groups", func(v *structs.EndpointGroup) []string { return []string{v.ID} })

// EndpointGroup returns a group of endpoints by id, or nil.
func (r Reader) EndpointGroup(id string) *structs.EndpointGroup {
	return first(r, endpointGroupTable, id)
}

// EndpointGroups iterates over all group of endpointss by id.
func (r Reader) EndpointGroups() iter.Seq[*structs.EndpointGroup] { return all(r, endpointGroupTable) }

// PutEndpointGroup writes a group of endpoints.
func (t *Txn) PutEndpointGroup(v *structs.EndpointGroup) { put(t, endpointGroupTable, v) }

// DeleteEndpointGroup removes a group of endpoints and returns it, or nil.
func (t *Txn) DeleteEndpointGroup(id string) *structs.EndpointGroup {
	return remove(t, endpointGroupTable, id)
}
