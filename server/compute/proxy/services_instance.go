package proxy

import (
	"encoding/json"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// What the other services keep of an instance. The caller has been judged: the instance is one that it sees, and its lock and states allow what is asked.

// FixedIP is an address of a port.
type FixedIP struct {
	SubnetID, Address string
	Floating          []string // the floating addresses that lead to it
}

// Interface is a port that an instance is plugged into.
type Interface struct {
	PortID, NetworkID string
	Network           string // the network's name
	MAC               string
	State             string // in the network service's words: ACTIVE, DOWN
	Tag               string // "" is none
	FixedIPs          []FixedIP
}

// InterfaceSpec is what a new interface is to be: one of a port or a network, or neither. "" is not given.
type InterfaceSpec struct{ PortID, NetworkID, Address, Tag string }

// Interfaces connects instances. AttachInterface is KindNotFound for a port or network that the caller does not see, KindConflict for a port or address
// that is in use, KindInvalid where there is no network to choose, or more than one.
type Interfaces interface {
	Interfaces(r *httpapi.Request, ins *structs.Instance) ([]Interface, error)
	AttachInterface(r *httpapi.Request, ins *structs.Instance, spec InterfaceSpec) (*Interface, error)
	DetachInterface(r *httpapi.Request, ins *structs.Instance, portID string) error
	AddFixedIP(r *httpapi.Request, ins *structs.Instance, networkID string) error
	RemoveFixedIP(r *httpapi.Request, ins *structs.Instance, address string) error
	// AssociateFloatingIP leads a floating address to a fixed one of the instance; KindNotFound when the caller has no such floating address.
	AssociateFloatingIP(r *httpapi.Request, ins *structs.Instance, floating, fixed string) error
	DisassociateFloatingIP(r *httpapi.Request, ins *structs.Instance, floating string) error
	// InstanceSecurityGroups are the groups of the instance's ports. The other two take a group's name or id: KindNotFound when the caller has none such
	// or the instance no port, KindConflict for a name that several have.
	InstanceSecurityGroups(r *httpapi.Request, ins *structs.Instance) ([]SecurityGroup, error)
	AddSecurityGroup(r *httpapi.Request, ins *structs.Instance, group string) error
	RemoveSecurityGroup(r *httpapi.Request, ins *structs.Instance, group string) error
}

// Attachment is a volume that an instance has.
type Attachment struct {
	VolumeID, ID        string // ID is the volume service's name of the attachment
	DeviceID            string // the cluster's own
	Device, Tag         string // "" is none
	DeleteOnTermination bool
	Root                bool // the instance boots from it
}

// AttachmentSpec is what is asked of a new attachment.
type AttachmentSpec struct {
	VolumeID, Device, Tag string
	DeleteOnTermination   bool
}

// AssistedSnapshot is what the volume service has the hypervisor do for a snapshot of a volume that lies in a file.
type AssistedSnapshot struct{ VolumeID, SnapshotID, ID, Type, NewFile string }

// Attachments connects instances with volumes. A volume that the caller does not see, or that no instance has, is KindNotFound.
type Attachments interface {
	Attachments(r *httpapi.Request, ins *structs.Instance) ([]Attachment, error)
	AttachVolume(r *httpapi.Request, ins *structs.Instance, spec AttachmentSpec) (*Attachment, error)
	DetachVolume(r *httpapi.Request, ins *structs.Instance, volumeID string) error
	SwapVolume(r *httpapi.Request, ins *structs.Instance, oldID, newID string) error
	KeepVolume(r *httpapi.Request, ins *structs.Instance, volumeID string, deleteOnTermination bool) error
	CreateAssistedSnapshot(r *httpapi.Request, snapshot AssistedSnapshot) error
	// DeleteAssistedSnapshot gets what the volume service said about the snapshot, a JSON object.
	DeleteAssistedSnapshot(r *httpapi.Request, volumeID, snapshotID string, info json.RawMessage) error
}

// Share is a file system of the shared file system service that is mounted for an instance. Its states are Nova's: attaching, inactive, active, ...
type Share struct{ ID, MappingID, Status, Tag, Export string }

// Shares mounts file systems for instances. A share that the caller does not see is KindNotFound, one that the instance has already KindConflict.
type Shares interface {
	Shares(r *httpapi.Request, ins *structs.Instance) ([]Share, error)
	AttachShare(r *httpapi.Request, ins *structs.Instance, id, tag string) (*Share, error)
	DetachShare(r *httpapi.Request, ins *structs.Instance, id string) error
}

// NoAttachment is the refusal of a volume that no instance has.
func NoAttachment(volumeID string) error {
	return httpapi.NotFound("No volume Block Device Mapping with id %s.", volumeID)
}

// NoPort is the refusal of a port that the caller does not see.
func NoPort(id string) error { return httpapi.NotFound("Port id %s could not be found.", id) }

// NoShare is the refusal of a share that the caller does not see, or that the instance does not have.
func NoShare(id string) error { return httpapi.NotFound("Share %s could not be found.", id) }

func (nothing) Interfaces(*httpapi.Request, *structs.Instance) ([]Interface, error) { return nil, nil }

func (nothing) AttachInterface(r *httpapi.Request, _ *structs.Instance, spec InterfaceSpec) (*Interface, error) {
	switch {
	case spec.PortID != "":
		return nil, NoPort(spec.PortID)
	case spec.NetworkID != "":
		return nil, httpapi.NotFound("Network %s could not be found.", spec.NetworkID)
	}
	return nil, httpapi.BadRequest("No specific network was requested and none are available for project '%s'. There is no Network service in this cloud.", r.Token.ProjectID)
}

func (nothing) DetachInterface(_ *httpapi.Request, _ *structs.Instance, portID string) error {
	return NoPort(portID)
}

func (nothing) AddFixedIP(_ *httpapi.Request, ins *structs.Instance, _ string) error {
	return httpapi.NotFound("Network could not be found for instance %s.", ins.ID)
}

func (nothing) RemoveFixedIP(_ *httpapi.Request, ins *structs.Instance, address string) error {
	return httpapi.BadRequest("Instance %s does not have fixed IP '%s'.", ins.ID, address)
}

func (nothing) AssociateFloatingIP(*httpapi.Request, *structs.Instance, string, string) error {
	return httpapi.NotFound("floating IP not found")
}

func (nothing) DisassociateFloatingIP(*httpapi.Request, *structs.Instance, string) error {
	return httpapi.NotFound("floating IP not found")
}

func (nothing) InstanceSecurityGroups(*httpapi.Request, *structs.Instance) ([]SecurityGroup, error) {
	return nil, nil
}

func (nothing) AddSecurityGroup(r *httpapi.Request, _ *structs.Instance, group string) error {
	return noGroupNamed(r, group)
}

func (nothing) RemoveSecurityGroup(r *httpapi.Request, _ *structs.Instance, group string) error {
	return noGroupNamed(r, group)
}

func noGroupNamed(r *httpapi.Request, group string) error {
	return httpapi.NotFound("Security group %s is not found for project %s", group, r.Token.ProjectID)
}

func (nothing) Attachments(*httpapi.Request, *structs.Instance) ([]Attachment, error) {
	return nil, nil
}

func (nothing) AttachVolume(_ *httpapi.Request, _ *structs.Instance, spec AttachmentSpec) (*Attachment, error) {
	return nil, noVolume(spec.VolumeID)
}

func (nothing) DetachVolume(_ *httpapi.Request, _ *structs.Instance, id string) error {
	return noVolume(id)
}

func (nothing) SwapVolume(_ *httpapi.Request, _ *structs.Instance, oldID, _ string) error {
	return noVolume(oldID)
}

func (nothing) KeepVolume(_ *httpapi.Request, _ *structs.Instance, id string, _ bool) error {
	return NoAttachment(id)
}

func (nothing) CreateAssistedSnapshot(_ *httpapi.Request, snapshot AssistedSnapshot) error {
	return NoAttachment(snapshot.VolumeID)
}

func (nothing) DeleteAssistedSnapshot(_ *httpapi.Request, volumeID, _ string, _ json.RawMessage) error {
	return NoAttachment(volumeID)
}

func (nothing) Shares(*httpapi.Request, *structs.Instance) ([]Share, error) { return nil, nil }

func (nothing) AttachShare(_ *httpapi.Request, _ *structs.Instance, id, _ string) (*Share, error) {
	return nil, NoShare(id)
}

func (nothing) DetachShare(_ *httpapi.Request, _ *structs.Instance, id string) error {
	return NoShare(id)
}
