package structs

import "maps"

// HostStatus is what the cluster believes of a host.
type HostStatus string

// Host statuses. Serf's failure detection makes a host suspect at once; only the end of its lease makes it down.
const (
	HostUp      HostStatus = "up"
	HostSuspect HostStatus = "suspect"
	HostDown    HostStatus = "down"
)

// Resources is an amount of each standard class: VCPU, MEMORY_MB, DISK_GB.
type Resources struct {
	VCPUs     int64 `codec:"c"`
	MemoryMiB int64 `codec:"m"`
	DiskGiB   int64 `codec:"d"`
}

// Add returns the sum.
func (r Resources) Add(o Resources) Resources {
	return Resources{r.VCPUs + o.VCPUs, r.MemoryMiB + o.MemoryMiB, r.DiskGiB + o.DiskGiB}
}

// Sub returns the difference.
func (r Resources) Sub(o Resources) Resources {
	return Resources{r.VCPUs - o.VCPUs, r.MemoryMiB - o.MemoryMiB, r.DiskGiB - o.DiskGiB}
}

// Fits reports whether every amount is at most capacity's.
func (r Resources) Fits(capacity Resources) bool {
	return r.VCPUs <= capacity.VCPUs && r.MemoryMiB <= capacity.MemoryMiB && r.DiskGiB <= capacity.DiskGiB
}

// Host is a client's machine as the state knows it.
type Host struct {
	Meta
	ID      HostID `codec:"id"`
	Num     int64  `codec:"num"` // a small number for microversions below 2.53; assigned by the state
	Name    string `codec:"name"`
	Zone    string `codec:"zone"`  // availability zone that counts; see SetZones
	RPCAddr string `codec:"rpc"`   // where its client answers RPC
	Version string `codec:"ver"`   // of its agent
	Epoch   uint64 `codec:"epoch"` // of its lease: one more at each registration of a new session; older sessions are refused
	Session string `codec:"sess"`  // random per client process

	AggregateZone string `codec:"aggz,omitempty"` // zone of the aggregate that makes Zone; "" when the client's configuration does
	HomeZone      string `codec:"home,omitempty"` // configured zone while AggregateZone is not ""

	Status         HostStatus `codec:"status"`
	StatusReason   string     `codec:"why"`
	StatusAt       Time       `codec:"statusat"`
	Disabled       bool       `codec:"dis"` // by an operator: takes no new instances
	DisabledReason string     `codec:"diswhy"`
	ForcedDown     bool       `codec:"fdown"`

	Driver             string            `codec:"drv"`
	DriverHealthy      bool              `codec:"dok"`
	DriverHealth       string            `codec:"dwhy"`
	HypervisorType     string            `codec:"hvt"`
	HypervisorVersion  int64             `codec:"hvv"`
	HypervisorHostname string            `codec:"hvh"`
	Architectures      []string          `codec:"arch"`
	CPUInfo            CPUInfo           `codec:"cpu"`
	Total              Resources         `codec:"total"`
	Reserved           Resources         `codec:"resv"`
	Traits             []string          `codec:"traits"` // sorted
	Attributes         map[string]string `codec:"attrs"`
	ImageFormats       []string          `codec:"imgf"`
	Methods            []string          `codec:"meth,omitempty"` // optional methods of the driver contract that the driver has; nil: not known
	Class              uint64            `codec:"class"`          // hash of all that filters read and that does not change with load: hosts of one class are alike to them
	CreatedAt          Time              `codec:"created"`
	UpdatedAt          Time              `codec:"updated"`
	// Leftovers goes up whenever something may be left on the host that its next reconciliation removes: its client then does that soon.
	Leftovers uint64 `codec:"left,omitempty"`
	// Metrics are constant; nil when the client measures none.
	Metrics *HostMetrics `codec:"met,omitempty"`
}

// CPUInfo describes a host's processor.
type CPUInfo struct {
	Arch     string   `codec:"arch"`
	Model    string   `codec:"model"`
	Vendor   string   `codec:"vendor"`
	Sockets  int      `codec:"s"`
	Cores    int      `codec:"c"`
	Threads  int      `codec:"t"`
	Features []string `codec:"f"`
}

// Copy returns a deep copy.
func (h *Host) Copy() *Host {
	c := *h
	c.Architectures = append([]string(nil), h.Architectures...)
	c.Traits = append([]string(nil), h.Traits...)
	c.ImageFormats = append([]string(nil), h.ImageFormats...)
	c.CPUInfo.Features = append([]string(nil), h.CPUInfo.Features...)
	c.Attributes = maps.Clone(h.Attributes)
	return &c
}

// Capacity returns what the scheduler may promise of the host under the cluster's ratios.
func (h *Host) Capacity(s *ClusterSettings) Resources {
	free := h.Total.Sub(h.Reserved)
	return Resources{int64(float64(free.VCPUs) * s.CPURatio), int64(float64(free.MemoryMiB) * s.MemoryRatio), int64(float64(free.DiskGiB) * s.DiskRatio)}
}

// Schedulable reports whether the host may take instances, and why not.
func (h *Host) Schedulable() (ok bool, why string) {
	switch {
	case h.Disabled:
		return false, "host is disabled"
	case h.ForcedDown:
		return false, "host is forced down"
	case h.Status != HostUp:
		return false, "host is " + string(h.Status)
	case !h.DriverHealthy:
		return false, "driver is unhealthy"
	}
	return true, ""
}

// HostUsage is what a host's claims add up to; it changes in the same transaction as the claims.
type HostUsage struct {
	Meta
	HostID    HostID    `codec:"h"`
	Used      Resources `codec:"u"`
	Instances int64     `codec:"n"`
	Building  int64     `codec:"b"` // instances whose build or other disk-heavy operation runs here
}

// Claim is what an instance holds of a host. Its key is (InstanceID, HostID): a migration holds two.
type Claim struct {
	Meta
	InstanceID  InstanceID  `codec:"i"`
	HostID      HostID      `codec:"h"`
	ProjectID   ProjectID   `codec:"p"`
	UserID      UserID      `codec:"u"`
	Resources   Resources   `codec:"r"`
	Generation  uint64      `codec:"g"`
	OperationID OperationID `codec:"o"`
}

// HostRegisterRequest registers a host or refreshes what it says of itself. A Session other than the stored one starts a new epoch. Host.Epoch is what the
// session had last, and 0 of one that begins: a session whose host another one has taken is refused. The answer is the stored *Host.
type HostRegisterRequest struct {
	Host Host `codec:"h"`
	Now  Time `codec:"now"`
}

// HostStatusRequest changes the status of hosts. An element whose Epoch is not the host's is skipped: it speaks of an older session.
type HostStatusRequest struct {
	Changes []HostStatusChange `codec:"c"`
	Now     Time               `codec:"now"`
}

// HostStatusChange is one host's change.
type HostStatusChange struct {
	HostID HostID     `codec:"h"`
	Epoch  uint64     `codec:"e"`
	Status HostStatus `codec:"s"`
	Reason string     `codec:"r"`
}
