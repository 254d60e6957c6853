package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// RegisteredLimitsWrite makes registered limits, or changes one. There is one for a service, region and resource; one that has limits of projects or domains stays
// what it is a limit of.
var RegisteredLimitsWrite = registerOnce(100, "registered-limits-write", func(tx *state.Txn, r *structs.RegisteredLimitsWriteRequest) (None, error) {
	for i := range r.Limits {
		l := &r.Limits[i]
		old := tx.RegisteredLimit(l.ID)
		if err := version(old != nil, modified(old), r.Index); err != nil {
			return None{}, err
		}
		if l.RegionID != "" && l.RegionID != tx.ClusterSettings().Region && tx.Region(l.RegionID) == nil {
			return None{}, expecting("region_id", "registered_limit")
		}
		for other := range tx.RegisteredLimitsOfService(l.ServiceID) {
			if other.ID != l.ID && other.RegionID == l.RegionID && other.Resource == l.Resource {
				return None{}, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store registered_limit - Duplicate entry.")
			}
		}
		if old != nil && (old.ServiceID != l.ServiceID || old.RegionID != l.RegionID || old.Resource != l.Resource) {
			if err := unused(tx, l.ID, "update"); err != nil {
				return None{}, err
			}
		}
		tx.PutRegisteredLimit(l)
	}
	return None{}, nil
})

func unused(tx *state.Txn, id, verb string) error {
	for range tx.LimitsOfRegistered(id) {
		return structs.Errorf(structs.KindForbidden, "Unable to %s registered limit %s because there are project limits associated with it.", verb, id)
	}
	return nil
}

// RegisteredLimitDelete removes a registered limit.
var RegisteredLimitDelete = registerOnce(101, "registered-limit-delete", func(tx *state.Txn, r *structs.RegisteredLimitDeleteRequest) (None, error) {
	if tx.RegisteredLimit(r.ID) == nil {
		return None{}, noSuch("registered limit for", r.ID)
	}
	if err := unused(tx, r.ID, "delete"); err != nil {
		return None{}, err
	}
	tx.DeleteRegisteredLimit(r.ID)
	return None{}, nil
})

// LimitsWrite makes limits, or changes one.
var LimitsWrite = registerOnce(102, "limits-write", func(tx *state.Txn, r *structs.LimitsWriteRequest) (None, error) {
	for i := range r.Limits {
		l := &r.Limits[i]
		old := tx.Limit(l.ID)
		if err := version(old != nil, modified(old), r.Index); err != nil {
			return None{}, err
		}
		switch {
		case tx.RegisteredLimit(l.RegisteredID) == nil:
			return None{}, structs.Errorf(structs.KindForbidden, "Unable to create a limit that has no corresponding registered limit.")
		case l.ProjectID != "" && tx.Project(l.ProjectID) == nil:
			return None{}, expecting("project_id", "limit")
		case l.DomainID != "" && tx.Domain(l.DomainID) == nil:
			return None{}, expecting("domain_id", "limit")
		case (l.ProjectID == "") == (l.DomainID == ""):
			return None{}, structs.Errorf(structs.KindInvalid, "a limit is of a project or of a domain")
		}
		for other := range tx.LimitsOfRegistered(l.RegisteredID) {
			if other.ID != l.ID && other.ProjectID == l.ProjectID && other.DomainID == l.DomainID {
				return None{}, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store limit - Duplicate entry.")
			}
		}
		tx.PutLimit(l)
	}
	return None{}, nil
})

// LimitDelete removes a limit.
var LimitDelete = registerOnce(103, "limit-delete", func(tx *state.Txn, r *structs.LimitDeleteRequest) (None, error) {
	if tx.DeleteLimit(r.ID) == nil {
		return None{}, noSuch("limit for", r.ID)
	}
	return None{}, nil
})
