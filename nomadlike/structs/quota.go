package structs

// QuotaLimits are upper bounds; -1 is no limit. Names and defaults are Nova's ([quota] options).
type QuotaLimits struct {
	Instances          int64 `codec:"inst"`
	Cores              int64 `codec:"cores"`
	MemoryMiB          int64 `codec:"ram"`
	MetadataItems      int64 `codec:"meta"`
	KeyPairs           int64 `codec:"keys"`
	ServerGroups       int64 `codec:"sg"`
	ServerGroupMembers int64 `codec:"sgm"`
	InjectedFiles      int64 `codec:"ifiles"`
	InjectedFileBytes  int64 `codec:"ibytes"`
	InjectedPathBytes  int64 `codec:"ipath"`
}

// DefaultQuotaLimits returns Nova's defaults.
func DefaultQuotaLimits() QuotaLimits {
	return QuotaLimits{Instances: 10, Cores: 20, MemoryMiB: 51200, MetadataItems: 128, KeyPairs: 100, ServerGroups: 10,
		ServerGroupMembers: 10, InjectedFiles: 5, InjectedFileBytes: 10240, InjectedPathBytes: 255}
}

// UnlimitedQuota returns limits that refuse nothing.
func UnlimitedQuota() QuotaLimits {
	return QuotaLimits{-1, -1, -1, 128, -1, -1, -1, 5, 10240, 255}
}

// Quota is a project's own limits.
type Quota struct {
	Meta
	ProjectID ProjectID   `codec:"p"`
	Limits    QuotaLimits `codec:"l"`
}

// QuotaUsage is what a project uses; it changes in the same transaction as the instances that it counts.
type QuotaUsage struct {
	Meta
	ProjectID ProjectID `codec:"p"`
	Instances int64     `codec:"inst"`
	Cores     int64     `codec:"cores"`
	MemoryMiB int64     `codec:"ram"`
}

// QuotaSetRequest writes a project's limits.
type QuotaSetRequest struct {
	Quota Quota `codec:"q"`
}
