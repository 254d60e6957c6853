package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	quotaTable      = newTable("quotas", func(v *structs.Quota) []string { return []string{string(v.ProjectID)} })
	quotaUsageTable = newTable("quota_usages", func(v *structs.QuotaUsage) []string { return []string{string(v.ProjectID)} })
)

// QuotaLimits returns the limits that hold for a project: its own, or the cluster's default.
func (r Reader) QuotaLimits(p structs.ProjectID) structs.QuotaLimits {
	if q := first(r, quotaTable, string(p)); q != nil {
		return q.Limits
	}
	return r.ClusterSettings().DefaultQuota
}

// QuotaUsage returns what a project uses.
func (r Reader) QuotaUsage(p structs.ProjectID) structs.QuotaUsage {
	if u := first(r, quotaUsageTable, string(p)); u != nil {
		return *u
	}
	return structs.QuotaUsage{ProjectID: p}
}

// QuotaUsages iterates over all projects' usage.
func (r Reader) QuotaUsages() iter.Seq[*structs.QuotaUsage] { return all(r, quotaUsageTable) }

// PutQuota writes a project's limits.
func (t *Txn) PutQuota(v *structs.Quota) { put(t, quotaTable, v) }

// AddQuotaUsage adds instances, cores and memory (negative to give back) to a project's usage.
func (t *Txn) AddQuotaUsage(p structs.ProjectID, instances, cores, memoryMiB int64) {
	u := t.QuotaUsage(p)
	u.Instances += instances
	u.Cores += cores
	u.MemoryMiB += memoryMiB
	put(t, quotaUsageTable, &u)
}
