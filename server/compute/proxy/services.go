package proxy

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Services are what the proxies ask. Each is asked on behalf of the caller of a request, and answers only with what that caller may see: what it
// may not is KindNotFound. nil is a cloud without that service: nothing is listed or found, and what would make something is refused.
type Services struct {
	Networks       Networks
	FloatingIPs    FloatingIPs
	SecurityGroups SecurityGroups
	Volumes        Volumes
	Snapshots      Snapshots
	Interfaces     Interfaces
	Attachments    Attachments
	Shares         Shares
}

// Network is a network that an instance can be connected to.
type Network struct{ ID, Name string }

// Networks lists networks and finds one by its id.
type Networks interface {
	Networks(r *httpapi.Request) ([]Network, error)
	Network(r *httpapi.Request, id string) (*Network, error)
}

// FloatingIP is an address of an external network that a project holds.
type FloatingIP struct {
	ID, Address string
	Pool        string             // the external network's name, its id when it has none
	FixedIP     string             // the address that it leads to; "" is none
	InstanceID  structs.InstanceID // whose port that address is; "" is none
}

// FloatingIPs holds addresses for the caller's project. Allocate takes one from a pool, the default pool when it is ""; Release takes it from the
// port that it leads to before it gives it back. KindQuota is that the project has its fill, KindNotFound of Allocate that there is no such pool or
// nothing left in it.
type FloatingIPs interface {
	Pools(r *httpapi.Request) ([]string, error)
	FloatingIPs(r *httpapi.Request) ([]FloatingIP, error)
	FloatingIP(r *httpapi.Request, id string) (*FloatingIP, error)
	Allocate(r *httpapi.Request, pool string) (*FloatingIP, error)
	Release(r *httpapi.Request, id string) error
}

// SecurityGroup is a named set of rules.
type SecurityGroup struct {
	ID, Name, Description string
	ProjectID             structs.ProjectID
	Rules                 []SecurityGroupRule // those for what comes in
}

// SecurityGroupRule lets something in. From is either a CIDR or another group.
type SecurityGroupRule struct {
	ID, GroupID      string
	Protocol         string // tcp, udp, icmp; "" is any
	FromPort, ToPort *int64 // of ICMP the type and the code; nil is any
	CIDR             string
	SourceID         string // of the other group, "" for none
	SourceName       string
	SourceProject    structs.ProjectID
}

// SecurityGroups keeps the caller's groups; with all, an administrator sees every project's.
type SecurityGroups interface {
	SecurityGroups(r *httpapi.Request, all bool) ([]SecurityGroup, error)
	SecurityGroup(r *httpapi.Request, id string) (*SecurityGroup, error)
	CreateSecurityGroup(r *httpapi.Request, name, description string) (*SecurityGroup, error)
	UpdateSecurityGroup(r *httpapi.Request, id, name, description string) (*SecurityGroup, error)
	DeleteSecurityGroup(r *httpapi.Request, id string) error
	CreateSecurityGroupRule(r *httpapi.Request, rule SecurityGroupRule) (*SecurityGroupRule, error)
	DeleteSecurityGroupRule(r *httpapi.Request, id string) error
}

// Volume is a block device of the volume service. Its times and states are in that service's words.
type Volume struct {
	ID, Status, Zone  string
	SizeGiB           int64
	CreatedAt         structs.Time
	Name, Description *string // nil: none was given
	Type              string  // its name, "" is none
	SnapshotID        string  // that it was made from, "" is none
	Metadata          map[string]string
	AttachedTo        structs.InstanceID // the first one, "" when it is not attached
	Device            string             // there
	Migrating         bool               // to another backend: only then may it be swapped
}

// VolumeSpec is what a new volume is to be.
type VolumeSpec struct {
	SizeGiB           int64
	Name, Description *string
	Type, Zone        string
	SnapshotID        string
	Metadata          map[string]string
}

// Volumes keeps the caller's volumes.
type Volumes interface {
	Volumes(r *httpapi.Request) ([]Volume, error)
	Volume(r *httpapi.Request, id string) (*Volume, error)
	CreateVolume(r *httpapi.Request, spec VolumeSpec) (*Volume, error)
	DeleteVolume(r *httpapi.Request, id string) error
}

// Snapshot is a volume as it was once.
type Snapshot struct {
	ID, VolumeID, Status string
	SizeGiB              int64
	CreatedAt            structs.Time
	Name, Description    *string
}

// Snapshots keeps the caller's snapshots of volumes. With force a volume that is in use is taken, too.
type Snapshots interface {
	Snapshots(r *httpapi.Request) ([]Snapshot, error)
	Snapshot(r *httpapi.Request, id string) (*Snapshot, error)
	CreateSnapshot(r *httpapi.Request, volumeID string, name, description *string, force bool) (*Snapshot, error)
	DeleteSnapshot(r *httpapi.Request, id string) error
}

// WithDefaults fills in what is nil with a service that has nothing.
func (s Services) WithDefaults() Services {
	if s.Networks == nil {
		s.Networks = nothing{}
	}
	if s.FloatingIPs == nil {
		s.FloatingIPs = nothing{}
	}
	if s.SecurityGroups == nil {
		s.SecurityGroups = nothing{}
	}
	if s.Volumes == nil {
		s.Volumes = nothing{}
	}
	if s.Snapshots == nil {
		s.Snapshots = nothing{}
	}
	if s.Interfaces == nil {
		s.Interfaces = nothing{}
	}
	if s.Attachments == nil {
		s.Attachments = nothing{}
	}
	if s.Shares == nil {
		s.Shares = nothing{}
	}
	return s
}

// nothing is a cloud without network and volume services: there is nothing of theirs, and nothing can be made.
type nothing struct{}

func noService(name string) error {
	return structs.Errorf(structs.KindNotSupported, "There is no %s service in this cloud.", name)
}

func noSecurityGroup(id string) error {
	return httpapi.NotFound("Security group %s not found.", id)
}

func noVolume(id string) error { return httpapi.NotFound("Volume %s could not be found.", id) }

func noSnapshot(id string) error { return httpapi.NotFound("Snapshot %s could not be found.", id) }

func (nothing) Networks(*httpapi.Request) ([]Network, error) { return nil, nil }

func (nothing) Network(*httpapi.Request, string) (*Network, error) {
	return nil, httpapi.NotFound("Network not found")
}

func (nothing) Pools(*httpapi.Request) ([]string, error) { return nil, nil }

func (nothing) FloatingIPs(*httpapi.Request) ([]FloatingIP, error) { return nil, nil }

func (nothing) FloatingIP(_ *httpapi.Request, id string) (*FloatingIP, error) {
	return nil, httpapi.NotFound("Floating IP not found for ID %s", id)
}

func (nothing) Allocate(*httpapi.Request, string) (*FloatingIP, error) {
	return nil, httpapi.NotFound("Floating IP pool not found.")
}

func (nothing) Release(_ *httpapi.Request, id string) error {
	return httpapi.NotFound("Floating IP not found for ID %s", id)
}

func (nothing) SecurityGroups(*httpapi.Request, bool) ([]SecurityGroup, error) { return nil, nil }

func (nothing) SecurityGroup(_ *httpapi.Request, id string) (*SecurityGroup, error) {
	return nil, noSecurityGroup(id)
}

func (nothing) CreateSecurityGroup(*httpapi.Request, string, string) (*SecurityGroup, error) {
	return nil, noService("Network")
}

func (nothing) UpdateSecurityGroup(_ *httpapi.Request, id, _, _ string) (*SecurityGroup, error) {
	return nil, noSecurityGroup(id)
}

func (nothing) DeleteSecurityGroup(_ *httpapi.Request, id string) error { return noSecurityGroup(id) }

func (nothing) CreateSecurityGroupRule(_ *httpapi.Request, rule SecurityGroupRule) (*SecurityGroupRule, error) {
	return nil, noSecurityGroup(rule.GroupID)
}

func (nothing) DeleteSecurityGroupRule(_ *httpapi.Request, id string) error {
	return httpapi.NotFound("Security group rule %s not found.", id)
}

func (nothing) Volumes(*httpapi.Request) ([]Volume, error) { return nil, nil }

func (nothing) Volume(_ *httpapi.Request, id string) (*Volume, error) { return nil, noVolume(id) }

func (nothing) CreateVolume(_ *httpapi.Request, spec VolumeSpec) (*Volume, error) {
	if spec.SnapshotID != "" {
		return nil, noSnapshot(spec.SnapshotID)
	}
	return nil, noService("Volume")
}

func (nothing) DeleteVolume(_ *httpapi.Request, id string) error { return noVolume(id) }

func (nothing) Snapshots(*httpapi.Request) ([]Snapshot, error) { return nil, nil }

func (nothing) Snapshot(_ *httpapi.Request, id string) (*Snapshot, error) { return nil, noSnapshot(id) }

func (nothing) CreateSnapshot(*httpapi.Request, string, *string, *string, bool) (*Snapshot, error) {
	return nil, noService("Volume")
}

func (nothing) DeleteSnapshot(_ *httpapi.Request, id string) error { return noSnapshot(id) }
