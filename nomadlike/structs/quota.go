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

// NetworkQuotas are limits of things that Nova once counted itself. They are kept and shown; nothing is held against them.
var NetworkQuotas = []string{"fixed_ips", "floating_ips", "security_group_rules", "security_groups"}

// QuotaNames are the API's names of the limits that hold, sorted.
func QuotaNames() []string {
	return []string{"cores", "injected_file_content_bytes", "injected_file_path_bytes", "injected_files", "instances", "key_pairs", "metadata_items", "ram",
		"server_group_members", "server_groups"}
}

// Limit returns the limit that has that name in the API, or nil.
func (l *QuotaLimits) Limit(name string) *int64 {
	switch name {
	case "instances":
		return &l.Instances
	case "cores":
		return &l.Cores
	case "ram":
		return &l.MemoryMiB
	case "metadata_items":
		return &l.MetadataItems
	case "key_pairs":
		return &l.KeyPairs
	case "server_groups":
		return &l.ServerGroups
	case "server_group_members":
		return &l.ServerGroupMembers
	case "injected_files":
		return &l.InjectedFiles
	case "injected_file_content_bytes":
		return &l.InjectedFileBytes
	case "injected_file_path_bytes":
		return &l.InjectedPathBytes
	}
	return nil
}

// Apply replaces the limits that set names.
func (l *QuotaLimits) Apply(set map[string]int64) {
	for name, v := range set {
		if p := l.Limit(name); p != nil {
			*p = v
		}
	}
}

// Quota is a project's own limits, or those of one of its users.
type Quota struct {
	Meta
	ProjectID ProjectID        `codec:"p"`
	Limits    QuotaLimits      `codec:"l"`             // all of them, when Set is empty
	UserID    UserID           `codec:"u,omitempty"`   // "" for the project's
	Set       map[string]int64 `codec:"set,omitempty"` // the limits that are set, by the API's names; what it does not name is as it is without this record
}

// Named returns the limits that the record sets, by the API's names.
func (q *Quota) Named() map[string]int64 {
	if q == nil {
		return nil
	}
	if len(q.Set) > 0 {
		return q.Set
	}
	all := map[string]int64{}
	for _, name := range QuotaNames() {
		all[name] = *q.Limits.Limit(name)
	}
	return all
}

// DefaultQuotaClass is the one quota class that has an effect: its limits are those of projects that have none of their own.
const DefaultQuotaClass = "default"

// QuotaClass is limits under a name.
type QuotaClass struct {
	Meta
	Name string           `codec:"name"`
	Set  map[string]int64 `codec:"set,omitempty"`
}

// QuotaUpdateRequest sets some of a project's limits, or of a user's in it. Without Force a limit below what is in use or, for a user, above what the
// project has left is KindInvalid.
type QuotaUpdateRequest struct {
	ProjectID ProjectID        `codec:"p"`
	UserID    UserID           `codec:"u,omitempty"`
	Set       map[string]int64 `codec:"s,omitempty"`
	Force     bool             `codec:"f,omitempty"`
}

// QuotaDeleteRequest removes a project's own limits with those of its users, or one user's alone.
type QuotaDeleteRequest struct {
	ProjectID ProjectID `codec:"p"`
	UserID    UserID    `codec:"u,omitempty"`
}

// QuotaClassUpdateRequest sets some of a quota class's limits.
type QuotaClassUpdateRequest struct {
	Name string           `codec:"n"`
	Set  map[string]int64 `codec:"s,omitempty"`
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
