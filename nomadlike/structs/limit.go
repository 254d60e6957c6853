package structs

// RegisteredLimit is the default of a resource of a service (Keystone's unified limits).
type RegisteredLimit struct {
	Meta
	ID          string `codec:"id"`
	ServiceID   string `codec:"svc"`
	RegionID    string `codec:"region,omitempty"`
	Resource    string `codec:"res"`
	Default     int64  `codec:"n"` // -1: no limit
	Description string `codec:"desc,omitempty"`
}

// Limit is what a project or a domain has instead of a registered limit.
type Limit struct {
	Meta
	ID           string    `codec:"id"`
	RegisteredID string    `codec:"of"`
	ProjectID    ProjectID `codec:"p,omitempty"` // this
	DomainID     DomainID  `codec:"d,omitempty"` // or this
	Value        int64     `codec:"n"`           // -1: no limit
	Description  string    `codec:"desc,omitempty"`
}

// RegisteredLimitsWriteRequest makes registered limits, all or none, or puts one in the place of the one of which Index is the ModifyIndex. KindConflict: there
// is one for the service, region and resource.
type RegisteredLimitsWriteRequest struct {
	Limits []RegisteredLimit `codec:"l"`
	Index  uint64            `codec:"ix,omitempty"` // 0: new ones
}

// RegisteredLimitDeleteRequest removes a registered limit. KindForbidden: a project or domain has a limit of it.
type RegisteredLimitDeleteRequest struct {
	ID string `codec:"id"`
}

// LimitsWriteRequest makes limits, all or none, or puts one in the place of the one of which Index is the ModifyIndex. KindConflict: there is one.
type LimitsWriteRequest struct {
	Limits []Limit `codec:"l"`
	Index  uint64  `codec:"ix,omitempty"` // 0: new ones
}

// LimitDeleteRequest removes a limit: the registered one holds again.
type LimitDeleteRequest struct {
	ID string `codec:"id"`
}

// QuotaOfResource has the API's names of Compute's quotas by the names of resources that Nova registers limits for (nova/limit/local.py, nova/limit/placement.py).
var QuotaOfResource = map[string]string{"servers": "instances", "class:VCPU": "cores", "class:MEMORY_MB": "ram", "server_metadata_items": "metadata_items",
	"server_injected_files": "injected_files", "server_injected_file_content_bytes": "injected_file_content_bytes", "server_injected_file_path_bytes": "injected_file_path_bytes",
	"server_key_pairs": "key_pairs", "server_groups": "server_groups", "server_group_members": "server_group_members"}
