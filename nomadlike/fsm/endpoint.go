package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// expecting is Keystone's 400 for a reference to what is not there.
func expecting(attribute, target string) error {
	return structs.Errorf(structs.KindInvalid, "Expecting to find %s in %s. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", attribute, target)
}

// EndpointWrite makes or changes an endpoint.
var EndpointWrite = registerOnce(84, "endpoint-write", func(tx *state.Txn, r *structs.EndpointWriteRequest) (None, error) {
	e := &r.Endpoint
	old := tx.Endpoint(e.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return None{}, err
	}
	if !r.Known && tx.CatalogService(e.ServiceID) == nil {
		return None{}, expecting("endpoint service_id", "service table")
	}
	if e.RegionID != "" && e.RegionID != tx.ClusterSettings().Region && tx.Region(e.RegionID) == nil {
		return None{}, expecting("endpoint region_id", "region table")
	}
	tx.PutEndpoint(e)
	return None{}, nil
})

// EndpointDelete removes an endpoint.
var EndpointDelete = registerOnce(85, "endpoint-delete", func(tx *state.Txn, r *structs.EndpointDeleteRequest) (None, error) {
	if tx.Endpoint(r.ID) == nil {
		return None{}, noSuch("endpoint", r.ID)
	}
	dropEndpoint(tx, r.ID)
	return None{}, nil
})

func dropEndpoint(tx *state.Txn, id string) {
	dropFilters(tx, func(f *structs.EndpointFilter) bool { return f.EndpointID == id })
	tx.DeleteEndpoint(id)
}

func dropFilters(tx *state.Txn, these func(*structs.EndpointFilter) bool) {
	for _, f := range slices.Collect(tx.EndpointFilters()) {
		if these(f) {
			tx.DeleteEndpointFilter(f)
		}
	}
}

// EndpointGroupWrite makes or changes a group of endpoints.
var EndpointGroupWrite = registerOnce(104, "endpoint-group-write", func(tx *state.Txn, r *structs.EndpointGroupWriteRequest) (None, error) {
	old := tx.EndpointGroup(r.Group.ID)
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return None{}, err
	}
	tx.PutEndpointGroup(&r.Group)
	return None{}, nil
})

// EndpointGroupDelete removes a group of endpoints.
var EndpointGroupDelete = registerOnce(105, "endpoint-group-delete", func(tx *state.Txn, r *structs.EndpointGroupDeleteRequest) (None, error) {
	if tx.DeleteEndpointGroup(r.ID) == nil {
		return None{}, noSuch("Endpoint Group", r.ID)
	}
	dropFilters(tx, func(f *structs.EndpointFilter) bool { return f.GroupID == r.ID })
	return None{}, nil
})

// EndpointFilterWrite shows an endpoint or a group of them to a project, or no longer. That the endpoint is there is for the proposer to say: those of the binary
// have no record.
var EndpointFilterWrite = registerOnce(106, "endpoint-filter-write", func(tx *state.Txn, r *structs.EndpointFilterWriteRequest) (None, error) {
	f := &r.Filter
	switch {
	case tx.Project(f.ProjectID) == nil:
		return None{}, noSuch("project", f.ProjectID)
	case f.GroupID != "" && tx.EndpointGroup(f.GroupID) == nil:
		return None{}, noSuch("Endpoint Group", f.GroupID)
	case r.Remove && tx.DeleteEndpointFilter(f) == nil:
		return None{}, structs.Errorf(structs.KindNotFound, "Endpoint %s%s not found in project %s", f.EndpointID, f.GroupID, f.ProjectID)
	case !r.Remove && tx.EndpointFilter(f) != nil && f.GroupID != "":
		return None{}, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store project_endpoint_group - Duplicate entry.")
	case !r.Remove && tx.EndpointFilter(f) == nil:
		tx.PutEndpointFilter(f)
	}
	return None{}, nil
})
