package instance

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// shape says which of Nova's detailed views of an instance is wanted.
type shape uint8

const (
	shapeDetail  shape = iota // an element of GET /servers/detail
	shapeShow                 // GET /servers/{id}: server_groups from 2.71 on
	shapeUpdate               // PUT /servers/{id}: before 2.75 only what the base view has
	shapeRebuild              // as shapeUpdate, with the key from 2.54 and the user data from 2.57 on
)

// viewer writes instances as one request sees them: its microversion, its rights, its links. What many instances share (host, hostId,
// links' beginnings) is worked out once. Not safe for concurrent use.
type viewer struct {
	version httpapi.Microversion
	admin   bool
	inside  bool // os-extended-server-attributes
	status  bool // servers:show:host_status
	rd      state.Reader
	self    string // href of an instance up to its id, quote open: `"http://…/servers/`
	mark    string // the same without the version
	image   string
	flavor  string
	hosts   map[structs.HostID]*structs.Host
	hostIDs map[hostKey]string
}

type hostKey struct {
	project structs.ProjectID
	host    string
}

func newViewer(r *httpapi.Request, rd state.Reader) *viewer {
	open := func(href string) string {
		return strings.TrimSuffix(string(base.AppendString(nil, href)), `"`)
	}
	return &viewer{version: r.Version, admin: r.Token.IsAdmin(), inside: r.May(ruleExtended), status: r.May(ruleHostStatus), rd: rd, self: open(r.Self("servers", "")), mark: open(r.Bookmark("servers", "")),
		image: open(r.Bookmark("images", "")), flavor: open(r.Bookmark("flavors", "")),
		hosts: map[structs.HostID]*structs.Host{}, hostIDs: map[hostKey]string{}}
}

// host returns an instance's host, nil when it has none that is known.
func (w *viewer) host(id structs.HostID) *structs.Host {
	if id == "" {
		return nil
	}
	h, ok := w.hosts[id]
	if !ok {
		h = w.rd.Host(id)
		w.hosts[id] = h
	}
	return h
}

// hostID hides a host's name from users and still lets a project's user see which of its instances share a host.
func (w *viewer) hostID(p structs.ProjectID, host string) string {
	if host == "" {
		return ""
	}
	k := hostKey{p, host}
	id, ok := w.hostIDs[k]
	if !ok {
		id = hostIDOf(p, host)
		w.hostIDs[k] = id
	}
	return id
}

// hostIDOf is the SHA-224 of project and host, as in Nova.
func hostIDOf(p structs.ProjectID, host string) string {
	if host == "" {
		return ""
	}
	sum := sha256.Sum224([]byte(string(p) + host))
	return hex.EncodeToString(sum[:])
}

func (w *viewer) appendLinks(b []byte, id string) []byte {
	b = append(base.AppendField(b, "links"), `[{"rel":"self","href":`...)
	b = append(append(append(b, w.self...), id...), `"},{"rel":"bookmark","href":`...)
	return append(append(append(b, w.mark...), id...), `"}]`...)
}

// appendBasic appends an element of GET /servers.
func (w *viewer) appendBasic(b []byte, i *structs.Instance) []byte {
	b = append(b, '{')
	b = base.AppendStringField(b, "id", string(i.ID))
	b = base.AppendStringField(b, "name", i.Name)
	return append(w.appendLinks(b, string(i.ID)), '}')
}

// appendDetail appends a detailed instance exactly as its microversion has it (api-ref, Show Server Details).
func (w *viewer) appendDetail(b []byte, i *structs.Instance, s shape) []byte {
	b = append(b, '{')
	b = w.appendBase(b, i)
	full := s < shapeUpdate || w.version >= 75
	if full {
		b = w.appendExtended(b, i, s)
	}
	b = w.appendVersioned(b, i, s, full)
	if s == shapeRebuild {
		b = w.appendRebuilt(b, i, full)
	}
	return append(b, '}')
}

func (w *viewer) appendRebuilt(b []byte, i *structs.Instance, full bool) []byte {
	if w.version >= 54 && !full {
		b = base.AppendNullable(b, "key_name", i.KeyName)
	}
	if w.version >= 57 {
		b = base.AppendNullable(b, "user_data", base64.StdEncoding.EncodeToString(i.UserData))
	}
	return b
}

// appendBase appends what every detailed view has had since 2.1.
func (w *viewer) appendBase(b []byte, i *structs.Instance) []byte {
	status := statusOf(i.VM, i.Task)
	b = base.AppendStringField(b, "id", string(i.ID))
	b = base.AppendStringField(b, "name", i.Name)
	b = base.AppendStringField(b, "status", status)
	b = base.AppendStringField(b, "tenant_id", string(i.ProjectID))
	b = base.AppendStringField(b, "user_id", string(i.UserID))
	b = base.AppendMap(base.AppendField(b, "metadata"), i.Metadata)
	b = base.AppendStringField(b, "hostId", w.hostID(i.ProjectID, i.Host))
	b = w.appendImage(b, i)
	b = w.appendFlavor(b, &i.Flavor)
	b = base.AppendTime(b, "created", base.SecondsLayout, i.CreatedAt)
	b = base.AppendTime(b, "updated", base.SecondsLayout, i.UpdatedAt)
	b = append(base.AppendField(b, "addresses"), "{}"...)
	b = base.AppendStringField(b, "accessIPv4", i.AccessIPv4)
	b = base.AppendStringField(b, "accessIPv6", i.AccessIPv6)
	b = w.appendLinks(b, string(i.ID))
	b = base.AppendStringField(b, "OS-DCF:diskConfig", i.DiskConfig)
	if showsProgress(status) {
		b = base.AppendIntField(b, "progress", int64(i.Progress))
	}
	if i.Fault != nil && showsFault(status) {
		b = w.appendFault(b, i.Fault)
	}
	return b
}

func (w *viewer) appendFault(b []byte, f *structs.Fault) []byte {
	b = append(base.AppendField(b, "fault"), '{')
	b = base.AppendIntField(b, "code", int64(f.Code))
	b = base.AppendTime(b, "created", base.SecondsLayout, f.At)
	b = base.AppendStringField(b, "message", f.For(w.admin))
	if f.Details != "" && (w.admin || f.Code != 500) {
		b = base.AppendStringField(b, "details", f.Details)
	}
	return append(b, '}')
}

func (w *viewer) appendImage(b []byte, i *structs.Instance) []byte {
	b = base.AppendField(b, "image")
	if i.ImageID == "" { // booted from a volume
		return append(b, `""`...)
	}
	b = append(b, '{')
	b = base.AppendStringField(b, "id", string(i.ImageID))
	b = append(base.AppendField(b, "links"), `[{"rel":"bookmark","href":`...)
	b = append(append(append(b, w.image...), i.ImageID...), `"}]`...)
	if w.version >= 98 {
		b = appendImageProperties(base.AppendField(b, "properties"), i.ImageProps)
	}
	return append(b, '}')
}

func (w *viewer) appendFlavor(b []byte, f *structs.Flavor) []byte {
	b = append(base.AppendField(b, "flavor"), '{')
	if w.version < 47 {
		b = base.AppendStringField(b, "id", string(f.ID))
		b = append(base.AppendField(b, "links"), `[{"rel":"bookmark","href":`...)
		return append(append(append(b, w.flavor...), f.ID...), `"}]}`...)
	}
	b = base.AppendIntField(b, "vcpus", int64(f.VCPUs))
	b = base.AppendIntField(b, "ram", f.MemoryMiB)
	b = base.AppendIntField(b, "disk", f.RootGiB)
	b = base.AppendIntField(b, "ephemeral", f.EphemeralGiB)
	b = base.AppendIntField(b, "swap", f.SwapMiB)
	b = base.AppendStringField(b, "original_name", f.Name)
	return append(base.AppendMap(base.AppendField(b, "extra_specs"), f.ExtraSpecs), '}')
}

// appendExtended appends what Nova's former extensions added to GET, and since 2.75 to PUT. Volumes and security groups are those of
// services that this cluster does not have yet: none, and Nova leaves security_groups out when there is none.
func (w *viewer) appendExtended(b []byte, i *structs.Instance, s shape) []byte {
	b = base.AppendStringField(b, "OS-EXT-AZ:availability_zone", zoneOf(i))
	b = base.AppendStringField(b, "config_drive", configDriveText(i))
	b = base.AppendNullable(b, "key_name", i.KeyName)
	b = base.AppendTime(b, "OS-SRV-USG:launched_at", base.MicrosLayout, i.LaunchedAt)
	b = base.AppendTime(b, "OS-SRV-USG:terminated_at", base.MicrosLayout, i.TerminatedAt)
	b = base.AppendNullable(b, "OS-EXT-STS:task_state", string(i.Task))
	b = base.AppendStringField(b, "OS-EXT-STS:vm_state", string(i.VM))
	b = base.AppendIntField(b, "OS-EXT-STS:power_state", int64(i.Power))
	b = append(base.AppendField(b, "os-extended-volumes:volumes_attached"), "[]"...)
	if w.inside {
		b = w.appendAdmin(b, i, s)
	} else if w.version >= 90 {
		b = base.AppendStringField(b, "OS-EXT-SRV-ATTR:hostname", i.Hostname)
	}
	return b
}

// appendAdmin appends what os-extended-server-attributes shows: to administrators unless a policy file says otherwise.
func (w *viewer) appendAdmin(b []byte, i *structs.Instance, s shape) []byte {
	node := ""
	h := w.host(i.HostID)
	if h != nil {
		node = base.NodeName(h)
	}
	b = base.AppendNullable(b, "OS-EXT-SRV-ATTR:host", i.Host)
	b = base.AppendNullable(b, "OS-EXT-SRV-ATTR:hypervisor_hostname", node)
	b = append(base.AppendField(b, "OS-EXT-SRV-ATTR:instance_name"), `"instance-`...)
	b = append(appendHex8(b, uint64(i.Num)), '"')
	if w.version >= 16 && w.status {
		b = base.AppendStringField(b, "host_status", hostStatus(i, h))
	}
	if w.version < 3 {
		return b
	}
	b = base.AppendStringField(b, "OS-EXT-SRV-ATTR:hostname", i.Hostname)
	b = base.AppendIntField(b, "OS-EXT-SRV-ATTR:launch_index", int64(i.LaunchIndex))
	b = base.AppendStringField(b, "OS-EXT-SRV-ATTR:reservation_id", i.ReservationID)
	b = base.AppendStringField(b, "OS-EXT-SRV-ATTR:kernel_id", i.ImageProps["kernel_id"])
	b = base.AppendStringField(b, "OS-EXT-SRV-ATTR:ramdisk_id", i.ImageProps["ramdisk_id"])
	b = base.AppendNullable(b, "OS-EXT-SRV-ATTR:root_device_name", rootDevice(i))
	if s == shapeRebuild { // whose user data are under the name that 2.57 gave them only
		return b
	}
	b = base.AppendField(b, "OS-EXT-SRV-ATTR:user_data")
	if len(i.UserData) == 0 {
		return append(b, "null"...)
	}
	b = append(b, '"')
	return append(base64.StdEncoding.AppendEncode(b, i.UserData), '"')
}

func appendHex8(b []byte, n uint64) []byte {
	for digits := uint64(0x10000000); digits > 1 && n < digits; digits >>= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, n, 16)
}

// hostStatus is Nova's word for the instance's host: its client's service, not its machine.
func hostStatus(i *structs.Instance, h *structs.Host) string {
	switch {
	case i.HostID == "":
		return ""
	case h == nil:
		return "UNKNOWN"
	case h.ForcedDown:
		return "DOWN"
	case h.Disabled:
		return "MAINTENANCE"
	case h.Status == structs.HostDown:
		return "UNKNOWN"
	}
	return "UP"
}

// rootDevice is the root disk's name as the guest is expected to see it; the image may say otherwise.
func rootDevice(i *structs.Instance) string {
	for _, p := range []string{"img_root_device_name", "root_device_name"} {
		if v := i.ImageProps[p]; v != "" {
			return v
		}
	}
	if i.HostID == "" {
		return ""
	}
	return "/dev/vda"
}

// appendVersioned appends what microversions added for everybody.
func (w *viewer) appendVersioned(b []byte, i *structs.Instance, s shape, full bool) []byte {
	if w.version >= 9 {
		b = base.AppendBoolField(b, "locked", i.Locked)
	}
	if w.version >= 19 {
		b = base.AppendPointer(b, "description", i.Description)
	}
	if w.version >= 26 {
		b = base.AppendStrings(base.AppendField(b, "tags"), i.Tags)
	}
	if w.version >= 63 {
		b = base.AppendField(b, "trusted_image_certificates")
		if len(i.TrustedCerts) == 0 {
			b = append(b, "null"...)
		} else {
			b = base.AppendStrings(b, i.TrustedCerts)
		}
	}
	if w.version >= 71 && s != shapeDetail {
		b = w.appendServerGroups(b, i)
	}
	if w.version >= 73 {
		b = base.AppendPointer(b, "locked_reason", i.LockedReason)
	}
	if w.version >= 96 && full {
		b = base.AppendNullable(b, "pinned_availability_zone", i.PinnedZone)
	}
	if w.version >= 100 {
		b = base.AppendField(b, "scheduler_hints")
		if len(i.SchedulerHints) == 0 {
			return append(b, "{}"...)
		}
		b = append(b, hintsView(i.SchedulerHints)...)
	}
	return b
}

// hintsView shows hints as Nova keeps them: each a list of strings.
func hintsView(stored []byte) []byte {
	var hints map[string]any
	d := json.NewDecoder(bytes.NewReader(stored))
	d.UseNumber() // a number is shown as it was sent, however many digits it has
	if d.Decode(&hints) != nil {
		return []byte("{}")
	}
	lists := make(map[string][]string, len(hints))
	for k, v := range hints {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		texts := make([]string, 0, len(list))
		for _, e := range list {
			texts = append(texts, hintText(e))
		}
		lists[k] = texts
	}
	b, err := json.Marshal(lists)
	if err != nil {
		return []byte("{}")
	}
	return b
}

func hintText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
