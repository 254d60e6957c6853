package state

import (
	"iter"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var domainTable = newTable("domains", func(v *structs.Domain) []string { return []string{string(v.ID)} },
	index[structs.Domain]{"name", func(v *structs.Domain) []string { return []string{strings.ToLower(v.Name)} }})

// Domain returns a domain by id, or nil.
func (r Reader) Domain(id structs.DomainID) *structs.Domain { return first(r, domainTable, string(id)) }

// DomainByName returns a domain by name, letter case ignored as Keystone does, or nil.
func (r Reader) DomainByName(name string) *structs.Domain {
	return one(prefix(r, domainTable, "name", strings.ToLower(name)))
}

// Domains iterates over all domains by id.
func (r Reader) Domains() iter.Seq[*structs.Domain] { return all(r, domainTable) }

// PutDomain writes a domain.
func (t *Txn) PutDomain(v *structs.Domain) { put(t, domainTable, v) }

// DeleteDomain removes a domain and returns it, or nil.
func (t *Txn) DeleteDomain(id structs.DomainID) *structs.Domain {
	return remove(t, domainTable, string(id))
}
