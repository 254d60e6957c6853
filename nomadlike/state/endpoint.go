package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var endpointTable = newTable("endpoints", func(v *structs.Endpoint) []string { return []string{v.ID} },
	index[structs.Endpoint]{"service", func(v *structs.Endpoint) []string { return []string{v.ServiceID} }},
	index[structs.Endpoint]{"region", func(v *structs.Endpoint) []string { return []string{v.RegionID} }})

// Endpoint returns an endpoint by id, or nil.
func (r Reader) Endpoint(id string) *structs.Endpoint { return first(r, endpointTable, id) }

// Endpoints iterates over all endpoints by id.
func (r Reader) Endpoints() iter.Seq[*structs.Endpoint] { return all(r, endpointTable) }

// EndpointsOfService iterates over the endpoints of a service, by id.
func (r Reader) EndpointsOfService(id string) iter.Seq[*structs.Endpoint] {
	return prefix(r, endpointTable, "service", string(id))
}

// EndpointsInRegion iterates over the endpoints in a region, by id.
func (r Reader) EndpointsInRegion(id string) iter.Seq[*structs.Endpoint] {
	return prefix(r, endpointTable, "region", string(id))
}

// PutEndpoint writes an endpoint.
func (t *Txn) PutEndpoint(v *structs.Endpoint) { put(t, endpointTable, v) }

// DeleteEndpoint removes an endpoint and returns it, or nil.
func (t *Txn) DeleteEndpoint(id string) *structs.Endpoint { return remove(t, endpointTable, id) }
