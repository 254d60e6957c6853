package compute_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// connected is a cloud whose instances have ports, volumes and shares; it keeps what was asked of it. The volume other is there and attached nowhere.
type connected struct {
	*pretended
	tag       string // of the port and the volume
	root      bool   // the instance boots from its volume
	migrating bool
}

const other = "88888888-2222-4333-8444-555555555555"

func (p *connected) port() proxy.Interface {
	return proxy.Interface{PortID: thing, NetworkID: thing, Network: "net", MAC: "fa:16:3e:00:00:01", State: "ACTIVE", Tag: p.tag, FixedIPs: []proxy.FixedIP{
		{SubnetID: thing, Address: "2001:db8::2"}, {SubnetID: thing, Address: "10.0.0.2", Floating: []string{"192.0.2.1"}}}}
}

func (p *connected) Interfaces(*httpapi.Request, *structs.Instance) ([]proxy.Interface, error) {
	return []proxy.Interface{p.port()}, nil
}

func (p *connected) AttachInterface(_ *httpapi.Request, _ *structs.Instance, spec proxy.InterfaceSpec) (*proxy.Interface, error) {
	p.ask("attach port %q network %q address %q tag %q", spec.PortID, spec.NetworkID, spec.Address, spec.Tag)
	made := p.port()
	return &made, nil
}

func (p *connected) DetachInterface(_ *httpapi.Request, _ *structs.Instance, port string) error {
	p.ask("detach port %s", port)
	return nil
}

func (p *connected) AddFixedIP(_ *httpapi.Request, _ *structs.Instance, network string) error {
	p.ask("fixed of %s", network)
	return nil
}

func (p *connected) RemoveFixedIP(_ *httpapi.Request, _ *structs.Instance, address string) error {
	p.ask("not fixed %s", address)
	return nil
}

func (p *connected) AssociateFloatingIP(_ *httpapi.Request, _ *structs.Instance, floating, fixed string) error {
	p.ask("%s to %s", floating, fixed)
	return nil
}

func (p *connected) DisassociateFloatingIP(_ *httpapi.Request, _ *structs.Instance, floating string) error {
	p.ask("%s to nowhere", floating)
	return nil
}

func (p *connected) InstanceSecurityGroups(*httpapi.Request, *structs.Instance) ([]proxy.SecurityGroup, error) {
	return []proxy.SecurityGroup{p.group("z"), p.group("a")}, nil
}

func (p *connected) AddSecurityGroup(_ *httpapi.Request, _ *structs.Instance, group string) error {
	p.ask("into %s", group)
	return nil
}

func (p *connected) RemoveSecurityGroup(_ *httpapi.Request, _ *structs.Instance, group string) error {
	p.ask("out of %s", group)
	return nil
}

func (p *connected) Volume(_ *httpapi.Request, id string) (*proxy.Volume, error) {
	if !slices.Contains([]string{thing, other}, id) {
		return nil, httpapi.NotFound("Volume %s could not be found.", id)
	}
	return &proxy.Volume{ID: id, Migrating: p.migrating}, nil
}

func (p *connected) Attachments(*httpapi.Request, *structs.Instance) ([]proxy.Attachment, error) {
	return []proxy.Attachment{{VolumeID: thing, ID: other, DeviceID: other, Device: "/dev/vdb", Tag: p.tag, DeleteOnTermination: true, Root: p.root}}, nil
}

func (p *connected) AttachVolume(_ *httpapi.Request, _ *structs.Instance, spec proxy.AttachmentSpec) (*proxy.Attachment, error) {
	p.ask("attach volume %s device %q tag %q delete %t", spec.VolumeID, spec.Device, spec.Tag, spec.DeleteOnTermination)
	return &proxy.Attachment{VolumeID: spec.VolumeID, Device: "/dev/vdc", Tag: spec.Tag, DeleteOnTermination: spec.DeleteOnTermination}, nil
}

func (p *connected) DetachVolume(_ *httpapi.Request, _ *structs.Instance, id string) error {
	p.ask("detach volume %s", id)
	return nil
}

func (p *connected) SwapVolume(_ *httpapi.Request, _ *structs.Instance, from, to string) error {
	p.ask("swap %s for %s", from, to)
	return nil
}

func (p *connected) KeepVolume(_ *httpapi.Request, _ *structs.Instance, id string, deleteIt bool) error {
	p.ask("delete %s %t", id, deleteIt)
	return nil
}

func (p *connected) CreateAssistedSnapshot(_ *httpapi.Request, s proxy.AssistedSnapshot) error {
	p.ask("snapshot %+v", s)
	return nil
}

func (p *connected) DeleteAssistedSnapshot(_ *httpapi.Request, volume, snapshot string, info json.RawMessage) error {
	p.ask("no snapshot %s of %s: %s", snapshot, volume, info)
	return nil
}

func (p *connected) share() proxy.Share {
	return proxy.Share{ID: thing, MappingID: other, Status: "inactive", Tag: "t", Export: "192.0.2.1:/x"}
}

func (p *connected) Shares(*httpapi.Request, *structs.Instance) ([]proxy.Share, error) {
	return []proxy.Share{p.share()}, nil
}

func (p *connected) AttachShare(_ *httpapi.Request, _ *structs.Instance, id, tag string) (*proxy.Share, error) {
	p.ask("share %s as %s", id, tag)
	made := p.share()
	return &made, nil
}

func (p *connected) DetachShare(_ *httpapi.Request, _ *structs.Instance, id string) error {
	p.ask("no share %s", id)
	return nil
}

// newConnected is a cloud with the services, and an instance of alice's that runs.
func newConnected(t *testing.T) (*cloud, *connected, string) {
	t.Helper()
	p, core := &connected{pretended: &pretended{}}, coretest.New()
	s := compute.NewWith(compute.Options{}, proxy.Services{FloatingIPs: p, Volumes: p, Interfaces: p, Attachments: p, Shares: p})
	h, err := httpapi.NewHandler(core, []*httpapi.Service{s, compute.Versions()}, httpapi.Options{Auth: tableTokens})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c := &cloud{t, core, srv, srv.URL + compute.Prefix}
	core.AddHost("host-1")
	c.small()
	return c, p, c.boot("alice", map[string]any{"imageRef": c.cirros().ID})
}

// wasAsked demands what the services were asked since the last time.
func (p *connected) wasAsked(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(p.asked, want) {
		t.Errorf("asked %q, want %q", p.asked, want)
	}
	p.asked = nil
}

// hotplugStates demands 409 from a request, in Nova's words, with a lock, a task or another state than the ones allowed; an administrator's goes past a lock.
func (c *cloud) hotplugStates(id, version, method, path string, body any, verb string, accepted int, allowed ...structs.VMState) {
	c.tb.Helper()
	for _, vm := range []structs.VMState{structs.VMActive, structs.VMPaused, structs.VMSuspended, structs.VMStopped, structs.VMRescued, structs.VMResized, structs.VMError,
		structs.VMSoftDeleted, structs.VMShelved, structs.VMShelvedOffloaded} {
		c.alter(id, func(i *structs.Instance) { i.VM = vm })
		if slices.Contains(allowed, vm) {
			c.want(accepted, "admin", version, method, path, body)
			continue
		}
		c.says(409, "Cannot '"+verb+"' instance "+id+" while it is in vm_state "+string(vm), "admin", version, method, path, body)
	}
	c.alter(id, func(i *structs.Instance) { i.VM, i.Task = structs.VMActive, structs.TaskPausing })
	c.says(409, "Cannot '"+verb+"' instance "+id+" while it is in task_state pausing", "admin", version, method, path, body)
	c.alter(id, func(i *structs.Instance) { i.Task, i.Locked = structs.TaskNone, true })
	if verb != "swap_volume" { // which only administrators and services ask for
		c.says(409, "Instance "+id+" is locked", "alice", version, method, path, body)
	}
	c.want(accepted, "admin", version, method, path, body)
	c.alter(id, func(i *structs.Instance) { i.Locked = false })
}
