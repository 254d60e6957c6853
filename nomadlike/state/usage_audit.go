package state

import (
	"fmt"
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var usageAuditTable = newTable("usage_audits", func(v *structs.UsageAudit) []string { return usageAuditKey(v.Begin, v.End, v.HostID) })

// usageAuditKey sorts by the end of the period, the newest first.
func usageAuditKey(begin, end structs.Time, host structs.HostID) []string {
	return []string{fmt.Sprintf("%016x", ^uint64(end)), fmt.Sprintf("%016x", uint64(begin)), string(host)}
}

// UsageAudit returns a host's part of a period's audit, or nil.
func (r Reader) UsageAudit(begin, end structs.Time, host structs.HostID) *structs.UsageAudit {
	return first(r, usageAuditTable, usageAuditKey(begin, end, host)...)
}

// UsageAudits iterates over the audits that are kept, those of the newest period first.
func (r Reader) UsageAudits() iter.Seq[*structs.UsageAudit] { return all(r, usageAuditTable) }

// UsageAuditsOf iterates over the audits of one period, by host.
func (r Reader) UsageAuditsOf(begin, end structs.Time) iter.Seq[*structs.UsageAudit] {
	return prefix(r, usageAuditTable, "id", usageAuditKey(begin, end, "")[:2]...)
}

// PutUsageAudit writes an audit.
func (t *Txn) PutUsageAudit(v *structs.UsageAudit) { put(t, usageAuditTable, v) }

// DeleteUsageAudit removes an audit; an unknown one is no error.
func (t *Txn) DeleteUsageAudit(begin, end structs.Time, host structs.HostID) {
	remove(t, usageAuditTable, usageAuditKey(begin, end, host)...)
}
