package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var accessRuleTable = newTable("access_rules", func(v *structs.AccessRule) []string { return []string{v.ID} },
	index[structs.AccessRule]{"user", func(v *structs.AccessRule) []string { return []string{string(v.UserID)} }})

// AccessRule returns an access rule by id, or nil.
func (r Reader) AccessRule(id string) *structs.AccessRule { return first(r, accessRuleTable, id) }

// AccessRules iterates over all access rules by id.
func (r Reader) AccessRules() iter.Seq[*structs.AccessRule] { return all(r, accessRuleTable) }

// AccessRulesOfUser iterates over the access rules of a user, by id.
func (r Reader) AccessRulesOfUser(u structs.UserID) iter.Seq[*structs.AccessRule] {
	return prefix(r, accessRuleTable, "user", string(u))
}

// PutAccessRule writes an access rule.
func (t *Txn) PutAccessRule(v *structs.AccessRule) { put(t, accessRuleTable, v) }

// DeleteAccessRule removes an access rule and returns it, or nil.
func (t *Txn) DeleteAccessRule(id string) *structs.AccessRule { return remove(t, accessRuleTable, id) }
