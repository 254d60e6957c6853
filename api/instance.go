package api

import (
	"context"
	"net/url"
)

// Instance is a virtual machine as the cluster knows it, beyond what the compute API shows: the operation that runs on it, and
// why hosts were refused when it was placed.
type Instance struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	ProjectID   string            `json:"project_id"`
	UserID      string            `json:"user_id"`
	VMState     string            `json:"vm_state"`
	TaskState   string            `json:"task_state"`
	PowerState  int               `json:"power_state"`
	Fault       *Fault            `json:"fault"`
	Progress    int               `json:"progress"`
	Flavor      Flavor            `json:"flavor"`
	ImageID     string            `json:"image_id"`
	KeyName     string            `json:"key_name"`
	Metadata    map[string]string `json:"metadata"`
	Tags        []string          `json:"tags"`
	Zone        string            `json:"zone"`
	Locked      bool              `json:"locked"`
	HostID      string            `json:"host_id,omitempty"` // this and the next two for administrators
	Host        string            `json:"host,omitempty"`
	HostStatus  string            `json:"host_status,omitempty"`
	Generation  uint64            `json:"generation"`
	OperationID string            `json:"operation_id"` // the one that runs
	Operation   *Operation        `json:"operation,omitempty"`
	Explanation *Explanation      `json:"explanation,omitempty"`
	CreatedAt   Time              `json:"created_at"`
	UpdatedAt   Time              `json:"updated_at"`
	LaunchedAt  Time              `json:"launched_at"`
	DeletedAt   Time              `json:"deleted_at"`
	CreateIndex uint64            `json:"create_index"`
	ModifyIndex uint64            `json:"modify_index"`
}

// Fault says why an instance is in error.
type Fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details string `json:"details,omitempty"`
	At      Time   `json:"at"`
}

// Flavor is an instance's size.
type Flavor struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	VCPUs     int    `json:"vcpus"`
	MemoryMiB int64  `json:"memory_mib"`
	RootGiB   int64  `json:"root_gib"`
}

// Explanation says how the newest placement of an instance came out: of so many hosts, how many each filter refused.
type Explanation struct {
	Hosts   int       `json:"hosts"`
	Refused []Refusal `json:"refused"`
}

// Refusal is one filter's.
type Refusal struct {
	Filter  string `json:"filter"`
	Count   int    `json:"count"`
	Example string `json:"example,omitempty"` // a host, for administrators
}

// InstanceFilter chooses instances; the zero value takes all of the token's project.
type InstanceFilter struct {
	Name        string
	Host        string // name or id; for administrators
	AllProjects bool   // for administrators
}

// Instances are the instances that the filter chooses.
func (c *Client) Instances(ctx context.Context, f InstanceFilter) ([]Instance, error) {
	query := url.Values{}
	for key, value := range map[string]string{"name": f.Name, "host": f.Host} {
		if value != "" {
			query.Set(key, value)
		}
	}
	if f.AllProjects {
		query.Set("all_projects", "true")
	}
	return list[Instance](ctx, c, "/v1/instances", query, "instances")
}

// Instance is one instance by its id.
func (c *Client) Instance(ctx context.Context, id string) (instance Instance, err error) {
	return instance, c.get(ctx, "/v1/instances/"+url.PathEscape(id), nil, &instance)
}
