package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// DomainWrite makes or changes a domain. A domain and a project never share an id: a domain is shown as a project too.
var DomainWrite = registerOnce(64, "domain-write", func(tx *state.Txn, r *structs.DomainWriteRequest) (*structs.Domain, error) {
	d := &r.Domain
	old := tx.Domain(d.ID)
	if err := version(old != nil || tx.Project(structs.ProjectID(d.ID)) != nil, modified(old), r.Index); err != nil {
		return nil, err
	}
	if other := tx.DomainByName(d.Name); other != nil && other.ID != d.ID {
		return nil, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store project - it is not permitted to have two projects acting as domains with the same name: %s.", d.Name)
	}
	tx.PutDomain(d)
	return d, nil
})

// modified is the version of a thing, 0 of none.
func modified[T any, P interface {
	*T
	GetMeta() *structs.Meta
}](v P) uint64 {
	if v == nil {
		return 0
	}
	return v.GetMeta().ModifyIndex
}

// DomainDelete removes a domain with all that belongs to it.
var DomainDelete = registerOnce(65, "domain-delete", func(tx *state.Txn, r *structs.DomainDeleteRequest) (None, error) {
	d := tx.Domain(r.ID)
	if d == nil {
		return None{}, noSuch("domain", r.ID)
	}
	if d.Enabled {
		return None{}, structs.Errorf(structs.KindForbidden, "Cannot delete a domain that is enabled, please disable it first.")
	}
	for _, u := range slices.Collect(tx.UsersOfDomain(r.ID)) {
		dropUser(tx, u.ID)
	}
	for _, g := range slices.Collect(tx.GroupsOfDomain(r.ID)) {
		dropGroup(tx, g.ID)
	}
	for _, p := range slices.Collect(tx.ProjectsOfDomain(r.ID)) {
		dropProject(tx, p.ID)
	}
	for _, x := range slices.Collect(tx.RolesOfDomain(r.ID)) {
		dropRole(tx, x.ID)
	}
	for _, g := range slices.Collect(tx.GrantsOnDomain(r.ID)) {
		tx.DeleteGrant(g)
	}
	for _, l := range slices.Collect(tx.LimitsOfDomain(r.ID)) {
		tx.DeleteLimit(l.ID)
	}
	tx.DeleteDomain(r.ID)
	return None{}, nil
})
