package compute_test

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// What the samples show of instances' interfaces, volumes and shares. The embedded interfaces are nil: what is not here is not asked.
type (
	otherPlugs interface{ proxy.Interfaces }
	otherDisks interface{ proxy.Attachments }
	otherIPs   interface{ proxy.FloatingIPs }

	samplePlugs    struct{ otherPlugs }
	sampleDisks    struct{ otherDisks }
	sampleFreeDisk struct{ sampleDisks } // of an instance without volumes
	sampleMounts   struct{}
	sampleIPs      struct{ otherIPs } // the address that a request takes from its instance
)

func sampleNeighbours(s sampleCase, to proxy.Services) proxy.Services {
	to.Interfaces, to.Attachments, to.Shares = samplePlugs{}, sampleDisks{}, sampleMounts{}
	if s.req == "server-action-removefloatingip-req" {
		to.FloatingIPs = sampleIPs{}
	}
	if strings.HasPrefix(s.req, "attach-volume") {
		to.Attachments = sampleFreeDisk{}
	}
	return to
}

const (
	samplePort  = "ce531f90-199f-48c0-816c-13e38010b442"
	sampleShare = "e8debdc0-447a-4376-a10a-4cd9122d7986"
	firstDisk   = "227cc671-f30b-4488-96fd-7d0bf13648d8"
	secondDisk  = "a07f71dc-8151-4e7d-a0cc-cd24a3f11113"
)

func (samplePlugs) Interfaces(*httpapi.Request, *structs.Instance) ([]proxy.Interface, error) {
	return []proxy.Interface{{PortID: samplePort, NetworkID: thing, Network: "private", MAC: "fa:16:3e:4c:2c:30", State: "ACTIVE", Tag: "public",
		FixedIPs: []proxy.FixedIP{{SubnetID: thing, Address: "192.168.1.30"}}}}, nil
}

func (p samplePlugs) AttachInterface(r *httpapi.Request, ins *structs.Instance, spec proxy.InterfaceSpec) (*proxy.Interface, error) {
	list, err := p.Interfaces(r, ins)
	list[0].Tag = spec.Tag
	return &list[0], err
}

func (sampleIPs) FloatingIPs(r *httpapi.Request) ([]proxy.FloatingIP, error) {
	return []proxy.FloatingIP{{ID: thing, Address: "172.16.10.7", Pool: "public", InstanceID: structs.InstanceID(r.Vars["id"])}}, nil
}

func (samplePlugs) AddFixedIP(*httpapi.Request, *structs.Instance, string) error    { return nil }
func (samplePlugs) RemoveFixedIP(*httpapi.Request, *structs.Instance, string) error { return nil }

func (samplePlugs) AssociateFloatingIP(*httpapi.Request, *structs.Instance, string, string) error {
	return nil
}

func (samplePlugs) DisassociateFloatingIP(*httpapi.Request, *structs.Instance, string) error {
	return nil
}

func (samplePlugs) InstanceSecurityGroups(*httpapi.Request, *structs.Instance) ([]proxy.SecurityGroup, error) {
	return []proxy.SecurityGroup{{ID: thing, Name: "default", Description: "default", ProjectID: adminProject}}, nil
}

func (samplePlugs) AddSecurityGroup(*httpapi.Request, *structs.Instance, string) error    { return nil }
func (samplePlugs) RemoveSecurityGroup(*httpapi.Request, *structs.Instance, string) error { return nil }

func (sampleDisks) Attachments(*httpapi.Request, *structs.Instance) ([]proxy.Attachment, error) {
	return []proxy.Attachment{{VolumeID: firstDisk, ID: thing, DeviceID: thing, Device: "/dev/sdc"},
		{VolumeID: secondDisk, ID: thing, DeviceID: thing, Device: "/dev/sdb", Tag: "foo", DeleteOnTermination: true}}, nil
}

func (sampleFreeDisk) Attachments(*httpapi.Request, *structs.Instance) ([]proxy.Attachment, error) {
	return nil, nil
}

func (sampleDisks) AttachVolume(_ *httpapi.Request, _ *structs.Instance, s proxy.AttachmentSpec) (*proxy.Attachment, error) {
	return &proxy.Attachment{VolumeID: s.VolumeID, Device: "/dev/sdb", Tag: s.Tag, DeleteOnTermination: s.DeleteOnTermination}, nil
}

func (sampleDisks) SwapVolume(*httpapi.Request, *structs.Instance, string, string) error { return nil }
func (sampleDisks) KeepVolume(*httpapi.Request, *structs.Instance, string, bool) error   { return nil }
func (sampleDisks) CreateAssistedSnapshot(*httpapi.Request, proxy.AssistedSnapshot) error {
	return nil
}

func (sampleMounts) Shares(*httpapi.Request, *structs.Instance) ([]proxy.Share, error) {
	return []proxy.Share{{ID: sampleShare, MappingID: thing, Status: "inactive", Tag: sampleShare, Export: "10.0.0.50:/mnt/foo"}}, nil
}

func (sampleMounts) AttachShare(_ *httpapi.Request, _ *structs.Instance, id, tag string) (*proxy.Share, error) {
	return &proxy.Share{ID: id, MappingID: thing, Status: "attaching", Tag: tag, Export: "10.0.0.50:/mnt/foo"}, nil
}

func (sampleMounts) DetachShare(*httpapi.Request, *structs.Instance, string) error { return nil }

var serviceSamples = []sampleRow{
	{"os-attach-interfaces", "", "attach-interfaces-list-resp", "200 GET /servers/{server}/os-interface", nil, "ip_address"},
	{"os-attach-interfaces", "", "attach-interfaces-show-resp", "200 GET /servers/{server}/os-interface/" + samplePort, nil, "ip_address"},
	{"os-attach-interfaces", "attach-interfaces-create-req", "attach-interfaces-create-resp", "200 POST /servers/{server}/os-interface", nil, "ip_address"},
	{"os-attach-interfaces", "attach-interfaces-create-net_id-req", "", "200 POST /servers/{server}/os-interface", nil, ""},
	{"os-multinic", "multinic-add-fixed-ip-req", "", "202 POST " + sampleAction, nil, ""},
	{"os-multinic", "multinic-remove-fixed-ip-req", "", "202 POST " + sampleAction, nil, ""},
	{"server-ips", "", "server-ips-resp", "200 GET /servers/{server}/ips", nil, ""},
	{"server-ips", "", "server-ips-network-resp", "200 GET /servers/{server}/ips/private", nil, ""},
	{"os-server-external-events", "event-create-req", "event-create-resp", "200 POST /os-server-external-events", (*world).externalEvent, ""},
	{"os-volume_attachments", "", "list-volume-attachments-resp", "200 GET /servers/{server}/os-volume_attachments", nil, ""},
	{"os-volume_attachments", "", "volume-attachment-detail-resp", "200 GET /servers/{server}/os-volume_attachments/" + secondDisk, nil, ""},
	{"os-volume_attachments", "attach-volume-to-server-req", "attach-volume-to-server-resp", "{attached} POST /servers/{server}/os-volume_attachments", (*world).attached, ""},
	{"os-volume_attachments", "update-volume-req", "", "202 PUT /servers/{server}/os-volume_attachments/" + secondDisk, nil, ""},
	{"os-volume_attachments", "update-volume-attachment-delete-flag-req", "", "202 PUT /servers/{server}/os-volume_attachments/" + secondDisk, (*world).ownServer, ""},
	{"os-assisted-volume-snapshots", "snapshot-create-assisted-req", "snapshot-create-assisted-resp", "200 POST /os-assisted-volume-snapshots", nil, ""},
	{"os-server-shares", "", "server-shares-list-resp", "200 GET /servers/{server}/shares", stoppedFor("alice"), ""},
	{"os-server-shares", "", "server-shares-show-resp", "200 GET /servers/{server}/shares/" + sampleShare, stoppedFor("alice"), ""},
	{"os-server-shares", "", "server-shares-admin-show-resp", "200 GET /servers/{server}/shares/" + sampleShare, stoppedFor("admin"), ""},
	{"os-server-shares", "server-shares-create-req", "server-shares-create-resp", "201 POST /servers/{server}/shares", stoppedFor("alice"), "tag"},
	{"os-server-shares", "server-shares-create-tag-req", "server-shares-admin-create-resp", "201 POST /servers/{server}/shares", stoppedFor("admin"), "tag"},
	{"os-server-shares", "server-shares-delete-req", "", "200 DELETE /servers/{server}/shares/" + sampleShare, stoppedFor("alice"), ""},
	{"os-server-password", "", "get-password-resp", "200 GET /servers/{server}/os-server-password", (*world).reported, ""},
	{"os-server-diagnostics", "", "server-diagnostics-get-resp", "200 GET /servers/{server}/diagnostics", (*world).probed, "hypervisor hypervisor_os config_drive maximum"},
	{"os-server-topology", "", "servers-topology-resp", "200 GET /servers/{server}/topology", nil, ""},
	{"os-server-topology", "", "servers-topology-resp-user", "200 GET /servers/{server}/topology", nil, ""},
}

func (w *world) externalEvent() {
	w.server()
	w.swap("test-event", "network-changed")
	w.swap("3df201cf-2451-44f2-8d25-a4ca826fc1f3", w.vars["server"])
}

func (w *world) attached() {
	if w.vars["attached"] = "200"; w.minor >= 101 {
		w.vars["attached"] = "202"
	}
}

var serverIDKey = regexp.MustCompile(`"serverId"\s*:\s*"[^"]*"`)

// ownServer names the instance in the request.
func (w *world) ownServer() {
	w.server()
	w.text = serverIDKey.ReplaceAllString(w.text, fmt.Sprintf(`"serverId": %q`, w.vars["server"]))
}

func stoppedFor(token string) func(*world) {
	return func(w *world) {
		if w.token = token; token == "alice" {
			w.vars["project"] = aliceProject
		}
		w.server()
		w.act(`{"os-stop": null}`)
	}
}

func (w *world) reported() {
	w.server()
	password := w.want.(map[string]any)["password"].(string)
	w.alter(w.vars["server"], func(i *structs.Instance) { i.Password = password })
}

func (w *world) probed() {
	for k, v := range maps.Clone(w.want.(map[string]any)) { // what the host calls the interface is not known here: the first is vnet0
		if rest, ok := strings.CutPrefix(k, "vnet1_"); ok {
			delete(w.want.(map[string]any), k)
			w.want.(map[string]any)["vnet0_"+rest] = v
		}
	}
	n := structs.NICDiagnostics{MAC: "01:23:45:67:89:ab", RxBytes: 2070139, RxPackets: 26701, TxBytes: 140208, TxPackets: 662}
	d := structs.DiskDiagnostics{Device: "vda", ReadBytes: 262144, ReadRequests: 112, WriteBytes: 5778432, WriteRequests: 488, ErrorsCount: -1}
	if w.minor >= 48 {
		n.RxErrors, n.RxDrops, n.RxRate, n.TxErrors, n.TxDrops, n.TxRate, d.ErrorsCount = 100, 200, 300, 400, 500, 600, 1
	}
	w.core.Measure = func(*structs.Instance) (*structs.Diagnostics, error) {
		return &structs.Diagnostics{State: "running", UptimeSeconds: 46664, CPUs: []structs.CPUDiagnostics{{Nanoseconds: 17300000000, Percent: 15}}, MemoryMaxMiB: 512,
			Disks: []structs.DiskDiagnostics{d}, NICs: []structs.NICDiagnostics{n}}, nil
	}
}
