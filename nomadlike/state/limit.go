package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var limitTable = newTable("limits", func(v *structs.Limit) []string { return []string{v.ID} },
	index[structs.Limit]{"project", func(v *structs.Limit) []string { return []string{string(v.ProjectID)} }},
	index[structs.Limit]{"domain", func(v *structs.Limit) []string { return []string{string(v.DomainID)} }},
	index[structs.Limit]{"registered", func(v *structs.Limit) []string { return []string{v.RegisteredID} }})

// Limit returns a limit by id, or nil.
func (r Reader) Limit(id string) *structs.Limit { return first(r, limitTable, id) }

// Limits iterates over all limits by id.
func (r Reader) Limits() iter.Seq[*structs.Limit] { return all(r, limitTable) }

// LimitsOfProject iterates over the limits of a project, by id.
func (r Reader) LimitsOfProject(p structs.ProjectID) iter.Seq[*structs.Limit] {
	return prefix(r, limitTable, "project", string(p))
}

// LimitsOfDomain iterates over the limits of a domain, by id.
func (r Reader) LimitsOfDomain(d structs.DomainID) iter.Seq[*structs.Limit] {
	return prefix(r, limitTable, "domain", string(d))
}

// LimitsOfRegistered iterates over the limits of a registered limit, by id.
func (r Reader) LimitsOfRegistered(id string) iter.Seq[*structs.Limit] {
	return prefix(r, limitTable, "registered", string(id))
}

// PutLimit writes a limit.
func (t *Txn) PutLimit(v *structs.Limit) { put(t, limitTable, v) }

// DeleteLimit removes a limit and returns it, or nil.
func (t *Txn) DeleteLimit(id string) *structs.Limit { return remove(t, limitTable, id) }
