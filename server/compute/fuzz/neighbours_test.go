package fuzz_test

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The ids of what the neighbours have; the volume other is attached nowhere.
const (
	thing = "99999999-2222-4333-8444-555555555555"
	other = "88888888-2222-4333-8444-555555555555"
)

// neighbours are the network, volume and share services of the cloud. They do nothing, and keep what they were asked to do.
type neighbours struct{ asked []string }

type (
	request  = *httpapi.Request
	instance = *structs.Instance
)

func (n *neighbours) do(format string, args ...any) error {
	n.asked = append(n.asked, fmt.Sprintf(format, args...))
	return nil
}

func (n *neighbours) Networks(request) ([]proxy.Network, error) {
	return []proxy.Network{{ID: thing, Name: "net"}}, nil
}

func (n *neighbours) Network(_ request, id string) (*proxy.Network, error) {
	return &proxy.Network{ID: id, Name: "net"}, nil
}

func floatingIP() *proxy.FloatingIP {
	return &proxy.FloatingIP{ID: thing, Address: "192.0.2.1", Pool: "public", FixedIP: "10.0.0.2", InstanceID: fuzzInstance(0)}
}

func (n *neighbours) Pools(request) ([]string, error) { return []string{"public"}, nil }
func (n *neighbours) FloatingIPs(request) ([]proxy.FloatingIP, error) {
	return []proxy.FloatingIP{*floatingIP(), {ID: "x", Address: "192.0.2.2", Pool: "public"}}, nil
}
func (n *neighbours) FloatingIP(request, string) (*proxy.FloatingIP, error) { return floatingIP(), nil }
func (n *neighbours) Allocate(_ request, pool string) (*proxy.FloatingIP, error) {
	return floatingIP(), n.do("allocate %q", pool)
}
func (n *neighbours) Release(_ request, id string) error { return n.do("release %s", id) }

func group() *proxy.SecurityGroup {
	port := int64(22)
	return &proxy.SecurityGroup{ID: thing, Name: "default", Description: "d", ProjectID: aliceProject, Rules: []proxy.SecurityGroupRule{
		{ID: thing, GroupID: thing, Protocol: "tcp", FromPort: &port, ToPort: &port, CIDR: "0.0.0.0/0"}, {ID: other, GroupID: thing, SourceID: thing, SourceName: "other", SourceProject: aliceProject}}}
}

func (n *neighbours) SecurityGroups(request, bool) ([]proxy.SecurityGroup, error) {
	return []proxy.SecurityGroup{*group()}, nil
}
func (n *neighbours) SecurityGroup(request, string) (*proxy.SecurityGroup, error) {
	return group(), nil
}
func (n *neighbours) CreateSecurityGroup(_ request, name, about string) (*proxy.SecurityGroup, error) {
	return group(), n.do("create group %s %s", name, about)
}
func (n *neighbours) UpdateSecurityGroup(_ request, id, name, about string) (*proxy.SecurityGroup, error) {
	return group(), n.do("update group %s %s %s", id, name, about)
}
func (n *neighbours) DeleteSecurityGroup(_ request, id string) error {
	return n.do("delete group %s", id)
}
func (n *neighbours) CreateSecurityGroupRule(_ request, r proxy.SecurityGroupRule) (*proxy.SecurityGroupRule, error) {
	r.ID = thing
	return &r, n.do("create rule %+v", r)
}
func (n *neighbours) DeleteSecurityGroupRule(_ request, id string) error {
	return n.do("delete rule %s", id)
}

func volume() *proxy.Volume {
	name := "v"
	return &proxy.Volume{ID: thing, Status: "in-use", Zone: "nova", SizeGiB: 3, CreatedAt: someTime, Name: &name, Type: "fast", AttachedTo: thing, Device: "/dev/vdb"}
}

func (n *neighbours) Volumes(request) ([]proxy.Volume, error) {
	return []proxy.Volume{*volume(), {ID: other, Status: "available", CreatedAt: someTime}}, nil
}
func (n *neighbours) Volume(_ request, id string) (*proxy.Volume, error) {
	if !slices.Contains([]string{thing, other}, id) {
		return nil, httpapi.NotFound("Volume %s could not be found.", id)
	}
	v := volume()
	v.ID = id
	return v, nil
}
func (n *neighbours) CreateVolume(_ request, s proxy.VolumeSpec) (*proxy.Volume, error) {
	v := volume()
	v.Name, v.Description, v.SizeGiB, v.Metadata = s.Name, s.Description, s.SizeGiB, s.Metadata
	return v, n.do("create volume")
}
func (n *neighbours) DeleteVolume(_ request, id string) error { return n.do("delete volume %s", id) }

func snapshot() *proxy.Snapshot {
	return &proxy.Snapshot{ID: thing, VolumeID: thing, Status: "available", SizeGiB: 3, CreatedAt: someTime}
}

func (n *neighbours) Snapshots(request) ([]proxy.Snapshot, error) {
	return []proxy.Snapshot{*snapshot()}, nil
}
func (n *neighbours) Snapshot(request, string) (*proxy.Snapshot, error) { return snapshot(), nil }
func (n *neighbours) DeleteSnapshot(_ request, id string) error {
	return n.do("delete snapshot %s", id)
}
func (n *neighbours) CreateSnapshot(_ request, volume string, _, _ *string, force bool) (*proxy.Snapshot, error) {
	return snapshot(), n.do("create snapshot of %s %t", volume, force)
}

func port() proxy.Interface {
	return proxy.Interface{PortID: thing, NetworkID: thing, Network: "net", MAC: "fa:16:3e:00:00:01", State: "ACTIVE", FixedIPs: []proxy.FixedIP{
		{SubnetID: thing, Address: "2001:db8::2"}, {SubnetID: thing, Address: "10.0.0.2", Floating: []string{"192.0.2.1"}}}}
}

func (n *neighbours) Interfaces(request, instance) ([]proxy.Interface, error) {
	return []proxy.Interface{port()}, nil
}
func (n *neighbours) AttachInterface(_ request, _ instance, s proxy.InterfaceSpec) (*proxy.Interface, error) {
	p := port()
	p.Tag = s.Tag
	return &p, n.do("attach %+v", s)
}
func (n *neighbours) DetachInterface(_ request, _ instance, id string) error {
	return n.do("detach port %s", id)
}
func (n *neighbours) AddFixedIP(_ request, _ instance, network string) error {
	return n.do("fixed of %s", network)
}
func (n *neighbours) RemoveFixedIP(_ request, _ instance, ip string) error {
	return n.do("not fixed %s", ip)
}
func (n *neighbours) AssociateFloatingIP(_ request, _ instance, floating, fixed string) error {
	return n.do("%s to %s", floating, fixed)
}
func (n *neighbours) DisassociateFloatingIP(_ request, _ instance, floating string) error {
	return n.do("%s to nowhere", floating)
}
func (n *neighbours) InstanceSecurityGroups(request, instance) ([]proxy.SecurityGroup, error) {
	return []proxy.SecurityGroup{*group()}, nil
}
func (n *neighbours) AddSecurityGroup(_ request, _ instance, group string) error {
	return n.do("into %s", group)
}
func (n *neighbours) RemoveSecurityGroup(_ request, _ instance, group string) error {
	return n.do("out of %s", group)
}

func (n *neighbours) Attachments(request, instance) ([]proxy.Attachment, error) {
	return []proxy.Attachment{{VolumeID: thing, ID: other, DeviceID: other, Device: "/dev/vdb", DeleteOnTermination: true}}, nil
}
func (n *neighbours) AttachVolume(_ request, _ instance, s proxy.AttachmentSpec) (*proxy.Attachment, error) {
	return &proxy.Attachment{VolumeID: s.VolumeID, Device: "/dev/vdc", Tag: s.Tag, DeleteOnTermination: s.DeleteOnTermination}, n.do("attach %+v", s)
}
func (n *neighbours) DetachVolume(_ request, _ instance, id string) error {
	return n.do("detach volume %s", id)
}
func (n *neighbours) SwapVolume(_ request, _ instance, from, to string) error {
	return n.do("swap %s for %s", from, to)
}
func (n *neighbours) KeepVolume(_ request, _ instance, id string, deleteIt bool) error {
	return n.do("delete %s %t", id, deleteIt)
}
func (n *neighbours) CreateAssistedSnapshot(_ request, s proxy.AssistedSnapshot) error {
	return n.do("snapshot %+v", s)
}
func (n *neighbours) DeleteAssistedSnapshot(_ request, volume, snapshot string, info json.RawMessage) error {
	return n.do("no snapshot %s of %s: %s", snapshot, volume, info)
}

func share() *proxy.Share {
	return &proxy.Share{ID: thing, MappingID: other, Status: "inactive", Tag: "t", Export: "192.0.2.1:/x"}
}

func (n *neighbours) Shares(request, instance) ([]proxy.Share, error) {
	return []proxy.Share{*share()}, nil
}
func (n *neighbours) AttachShare(_ request, _ instance, id, tag string) (*proxy.Share, error) {
	return share(), n.do("share %s as %s", id, tag)
}
func (n *neighbours) DetachShare(_ request, _ instance, id string) error {
	return n.do("no share %s", id)
}
