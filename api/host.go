package api

import (
	"context"
	"net/url"
)

// Resources is an amount of each class.
type Resources struct {
	VCPUs     int64 `json:"vcpus"`
	MemoryMiB int64 `json:"memory_mib"`
	DiskGiB   int64 `json:"disk_gib"`
}

// CPU describes a host's processor.
type CPU struct {
	Arch     string   `json:"arch"`
	Model    string   `json:"model"`
	Vendor   string   `json:"vendor"`
	Sockets  int      `json:"sockets"`
	Cores    int      `json:"cores"`
	Threads  int      `json:"threads"`
	Features []string `json:"features"`
}

// Host is a compute host.
type Host struct {
	ID                 string            `json:"id"`
	Name               string            `json:"name"`
	Zone               string            `json:"zone"`
	Addr               string            `json:"addr"` // of RPC
	AgentVersion       string            `json:"agent_version"`
	Epoch              uint64            `json:"epoch"`  // of its lease
	Status             string            `json:"status"` // up, suspect, down
	StatusReason       string            `json:"status_reason"`
	StatusAt           Time              `json:"status_at"`
	Disabled           bool              `json:"disabled"`
	DisabledReason     string            `json:"disabled_reason"`
	ForcedDown         bool              `json:"forced_down"`
	Schedulable        bool              `json:"schedulable"`
	UnschedulableWhy   string            `json:"unschedulable_why"`
	Driver             string            `json:"driver"`
	DriverHealthy      bool              `json:"driver_healthy"`
	DriverHealth       string            `json:"driver_health"`
	HypervisorType     string            `json:"hypervisor_type"`
	HypervisorVersion  int64             `json:"hypervisor_version"`
	HypervisorHostname string            `json:"hypervisor_hostname"`
	Architectures      []string          `json:"architectures"`
	CPU                CPU               `json:"cpu"`
	Total              Resources         `json:"total"`
	Reserved           Resources         `json:"reserved"`
	Capacity           Resources         `json:"capacity"` // what the scheduler may promise; not in events
	Used               Resources         `json:"used"`     // not in events
	Instances          int64             `json:"instances"`
	Building           int64             `json:"building"`
	Traits             []string          `json:"traits"`
	Attributes         map[string]string `json:"attributes"`
	ImageFormats       []string          `json:"image_formats"`
	CreatedAt          Time              `json:"created_at"`
	UpdatedAt          Time              `json:"updated_at"`
	CreateIndex        uint64            `json:"create_index"`
	ModifyIndex        uint64            `json:"modify_index"`
}

// Hosts are all compute hosts. For administrators.
func (c *Client) Hosts(ctx context.Context) ([]Host, error) {
	return list[Host](ctx, c, "/v1/hosts", nil, "hosts")
}

// Host is one compute host by its id or name.
func (c *Client) Host(ctx context.Context, id string) (host Host, err error) {
	return host, c.get(ctx, "/v1/hosts/"+url.PathEscape(id), nil, &host)
}

// DeleteHost removes the record of a host that is gone, by its id or name. It is refused with 409 for a host that is not down or that has instances and, without
// force, when guests of deleted instances may be left on it. For administrators.
func (c *Client) DeleteHost(ctx context.Context, id string, force bool) error {
	return c.remove(ctx, "/v1/hosts/"+url.PathEscape(id), force)
}
