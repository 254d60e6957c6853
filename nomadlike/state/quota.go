package state

import (
	"iter"
	"maps"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var (
	quotaTable = newTable("quotas", func(v *structs.Quota) []string {
		if v.UserID != "" {
			return []string{string(v.ProjectID), string(v.UserID)}
		}
		return []string{string(v.ProjectID)}
	})
	quotaClassTable = newTable("quota_classes", func(v *structs.QuotaClass) []string { return []string{v.Name} })
	quotaUsageTable = newTable("quota_usages", func(v *structs.QuotaUsage) []string { return []string{string(v.ProjectID)} })
)

// Quota returns a project's own limits, or with a user those that the user has in it; nil when there are none.
func (r Reader) Quota(p structs.ProjectID, u structs.UserID) *structs.Quota {
	if u != "" {
		return first(r, quotaTable, string(p), string(u))
	}
	return first(r, quotaTable, string(p))
}

// Quotas iterates over a project's own limits and those of its users.
func (r Reader) Quotas(p structs.ProjectID) iter.Seq[*structs.Quota] {
	return prefix(r, quotaTable, "id", string(p))
}

// QuotaClass returns a quota class, or nil.
func (r Reader) QuotaClass(name string) *structs.QuotaClass { return first(r, quotaClassTable, name) }

// DefaultQuotaLimits returns the limits of projects that have none of their own: Compute's registered limits (Keystone's unified limits), those of the default
// class for what is not registered, and the cluster's for the rest.
func (r Reader) DefaultQuotaLimits() structs.QuotaLimits {
	l := r.ClusterSettings().DefaultQuota
	if c := r.QuotaClass(structs.DefaultQuotaClass); c != nil {
		l.Apply(c.Set)
	}
	l.Apply(r.registeredQuotas())
	return l
}

// registeredQuotas are Compute's registered limits by the API's names of quotas.
func (r Reader) registeredQuotas() map[string]int64 {
	return quotaNames(r.RegisteredDefaults(structs.ComputeServiceID))
}

// unifiedQuotas are a project's limits of Compute's resources by the API's names of quotas.
func (r Reader) unifiedQuotas(p structs.ProjectID) map[string]int64 {
	return quotaNames(r.ProjectLimits(structs.ComputeServiceID, p))
}

func quotaNames(limits map[string]int64) map[string]int64 {
	var out map[string]int64
	// order-free: each name is one resource's
	for resource, n := range limits {
		if name := structs.QuotaOfResource[resource]; name != "" {
			if out == nil {
				out = map[string]int64{}
			}
			out[name] = n
		}
	}
	return out
}

// QuotaLimits returns the limits that hold for a project: its own, or the default ones.
func (r Reader) QuotaLimits(p structs.ProjectID) structs.QuotaLimits { return r.UserQuotaLimits(p, "") }

// UserQuotaLimits returns the limits that hold for a user in a project: the user's own, or the project's. What is a limit of the project's in Keystone is more than
// what its quota set says.
func (r Reader) UserQuotaLimits(p structs.ProjectID, u structs.UserID) structs.QuotaLimits {
	l := r.DefaultQuotaLimits()
	if q := r.Quota(p, ""); q != nil && len(q.Set) == 0 {
		l = q.Limits
	} else if q != nil {
		l.Apply(q.Set)
	}
	l.Apply(r.unifiedQuotas(p))
	if u != "" {
		l.Apply(r.Quota(p, u).Named())
	}
	return l
}

// QuotaValues returns the limits of UserQuotaLimits by the API's names, those of networks among them: they are -1 unless they are set.
func (r Reader) QuotaValues(p structs.ProjectID, u structs.UserID) map[string]int64 {
	values := r.DefaultQuotaValues()
	maps.Copy(values, r.Quota(p, "").Named())
	maps.Copy(values, r.unifiedQuotas(p))
	if u != "" {
		maps.Copy(values, r.Quota(p, u).Named())
	}
	return values
}

// DefaultQuotaValues returns DefaultQuotaLimits by the API's names, with those of networks.
func (r Reader) DefaultQuotaValues() map[string]int64 {
	return r.QuotaClassValues(structs.DefaultQuotaClass)
}

// QuotaClassValues returns a class's limits by the API's names; what it does not set is as the cluster's settings have it.
func (r Reader) QuotaClassValues(name string) map[string]int64 {
	l := r.ClusterSettings().DefaultQuota
	values := map[string]int64{}
	for _, n := range structs.QuotaNames() {
		values[n] = *l.Limit(n)
	}
	for _, n := range structs.NetworkQuotas {
		values[n] = -1
	}
	if c := r.QuotaClass(name); c != nil {
		maps.Copy(values, c.Set)
	}
	if name == structs.DefaultQuotaClass {
		maps.Copy(values, r.registeredQuotas())
	}
	return values
}

// QuotaUsage returns what a project uses.
func (r Reader) QuotaUsage(p structs.ProjectID) structs.QuotaUsage {
	if u := first(r, quotaUsageTable, string(p)); u != nil {
		return *u
	}
	return structs.QuotaUsage{ProjectID: p}
}

// UserQuotaUsage returns what one user uses of a project. It counts the project's instances: few users have limits of their own, and of the others nobody
// asks.
func (r Reader) UserQuotaUsage(p structs.ProjectID, u structs.UserID) structs.QuotaUsage {
	used := structs.QuotaUsage{ProjectID: p}
	for i := range r.Instances(p) {
		if i.UserID == u {
			n, cores, memory := r.Holds(i)
			used.Instances += n
			used.Cores += cores
			used.MemoryMiB += memory
		}
	}
	return used
}

// QuotaRoom returns, for instances, cores and memory, the limit and usage that leave less room: the project's or, where the user has limits of his own,
// the user's.
func (r Reader) QuotaRoom(p structs.ProjectID, u structs.UserID) (structs.QuotaLimits, structs.QuotaUsage) {
	limits, used := r.QuotaLimits(p), r.QuotaUsage(p)
	if u == "" || r.Quota(p, u) == nil {
		return limits, used
	}
	own, usedByUser := r.UserQuotaLimits(p, u), r.UserQuotaUsage(p, u)
	for _, x := range []struct {
		limit, used   *int64
		limit2, used2 int64
	}{{&limits.Instances, &used.Instances, own.Instances, usedByUser.Instances}, {&limits.Cores, &used.Cores, own.Cores, usedByUser.Cores},
		{&limits.MemoryMiB, &used.MemoryMiB, own.MemoryMiB, usedByUser.MemoryMiB}} {
		if x.limit2 >= 0 && (*x.limit < 0 || x.limit2-x.used2 < *x.limit-*x.used) {
			*x.limit, *x.used = x.limit2, x.used2
		}
	}
	return limits, used
}

// ServerGroupCount returns how many server groups a project has, or with a user those that the user made in it.
func (r Reader) ServerGroupCount(p structs.ProjectID, u structs.UserID) int64 {
	n := int64(0)
	for g := range r.ServerGroups(p) {
		if u == "" || g.UserID == u {
			n++
		}
	}
	return n
}

// QuotaInUse returns how much is used of the limits that are counted, by the API's names, by a project or by a user in it. Limits that hold for something
// else than a project (of one instance, one request, one user) are not in it.
func (r Reader) QuotaInUse(p structs.ProjectID, u structs.UserID) map[string]int64 {
	used := r.QuotaUsage(p)
	if u != "" {
		used = r.UserQuotaUsage(p, u)
	}
	return map[string]int64{"instances": used.Instances, "cores": used.Cores, "ram": used.MemoryMiB, "server_groups": r.ServerGroupCount(p, u)}
}

// QuotaUsages iterates over all projects' usage.
func (r Reader) QuotaUsages() iter.Seq[*structs.QuotaUsage] { return all(r, quotaUsageTable) }

// PutQuota writes a project's limits, or a user's in it.
func (t *Txn) PutQuota(v *structs.Quota) { put(t, quotaTable, v) }

// DeleteQuota removes a project's limits, or a user's in it; ones that are not there are no error.
func (t *Txn) DeleteQuota(v *structs.Quota) { remove(t, quotaTable, quotaTable.id(v)...) }

// PutQuotaClass writes a quota class.
func (t *Txn) PutQuotaClass(v *structs.QuotaClass) { put(t, quotaClassTable, v) }

// AddQuotaUsage adds instances, cores and memory (negative to give back) to a project's usage.
func (t *Txn) AddQuotaUsage(p structs.ProjectID, instances, cores, memoryMiB int64) {
	u := t.QuotaUsage(p)
	u.Instances += instances
	u.Cores += cores
	u.MemoryMiB += memoryMiB
	put(t, quotaUsageTable, &u)
}
