package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var registeredLimitTable = newTable("registered_limits", func(v *structs.RegisteredLimit) []string { return []string{v.ID} },
	index[structs.RegisteredLimit]{"service", func(v *structs.RegisteredLimit) []string { return []string{v.ServiceID, v.RegionID, v.Resource} }})

// RegisteredLimit returns a registered limit by id, or nil.
func (r Reader) RegisteredLimit(id string) *structs.RegisteredLimit {
	return first(r, registeredLimitTable, id)
}

// RegisteredLimits iterates over all registered limits by id.
func (r Reader) RegisteredLimits() iter.Seq[*structs.RegisteredLimit] {
	return all(r, registeredLimitTable)
}

// RegisteredLimitsOfService iterates over the registered limits of a service, by region and resource.
func (r Reader) RegisteredLimitsOfService(id string) iter.Seq[*structs.RegisteredLimit] {
	return prefix(r, registeredLimitTable, "service", string(id))
}

// PutRegisteredLimit writes a registered limit.
func (t *Txn) PutRegisteredLimit(v *structs.RegisteredLimit) { put(t, registeredLimitTable, v) }

// DeleteRegisteredLimit removes a registered limit and returns it, or nil.
func (t *Txn) DeleteRegisteredLimit(id string) *structs.RegisteredLimit {
	return remove(t, registeredLimitTable, id)
}
