package instance

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const attachmentPolicy = "os_compute_api:os-volumes-attachments:"

func (s *service) attachmentRoutes() []httpapi.Route {
	const all, one = "/servers/{server_id}/os-volume_attachments", "/servers/{server_id}/os-volume_attachments/{id}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Rule: httpapi.ReaderOrAdmin(attachmentPolicy + "index"), Query: attachmentListQuery, Handler: s.listAttachments},
		{Method: http.MethodPost, Path: all, Rule: httpapi.MemberOrAdmin(attachmentPolicy + "create"), Body: attachSchema, Handler: s.attachVolume},
		{Method: http.MethodGet, Path: one, Rule: httpapi.ReaderOrAdmin(attachmentPolicy + "show"), Query: openQuery, Handler: s.showAttachment},
		{Method: http.MethodPut, Path: one, Max: lastSwapOnly, Rule: ruleSwapVolume, Body: attachmentUpdateSchema, Status: http.StatusAccepted, Handler: s.swapVolume},
		// Which of two rules holds depends on the body: the handler judges it.
		{Method: http.MethodPut, Path: one, Min: lastSwapOnly + 1, Rule: httpapi.Authenticated("os_compute_api:os-volumes-attachments"), Body: attachmentUpdateSchema,
			Status: http.StatusAccepted, Handler: s.updateAttachment},
		{Method: http.MethodDelete, Path: one, Rule: httpapi.MemberOrAdmin(attachmentPolicy + "delete"), Status: http.StatusAccepted, Handler: s.detachVolume},
	}
}

// lastSwapOnly is the last microversion in which PUT always replaces the volume by another.
const lastSwapOnly = 84

const deviceSchema = `{"type": ["string", "null"], "pattern": "(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$"}`

var (
	attachmentListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"limit": @limit, "offset": @limit}}`)

	attachSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["volumeAttachment"], "properties": {
		"volumeAttachment": {"type": "object", "additionalProperties": false, "required": ["volumeId"], "properties": {
			"volumeId": @uuid, "device": ` + deviceSchema + `,
			"tag": {"x-min": 49, "type": "string", "pattern": "^[^,/]*$", "minLength": 1, "maxLength": 60},
			"delete_on_termination": {"x-min": 79, "allOf": [@bool]}}}}}`)

	attachmentUpdateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["volumeAttachment"], "properties": {
		"volumeAttachment": {"type": "object", "additionalProperties": false, "required": ["volumeId"], "x-when": [
			{"max": 84, "schema": {"properties": {"volumeId": @uuid}}},
			{"min": 85, "schema": {"properties": {"volumeId": @uuid, "device": ` + deviceSchema + `, "tag": @tag, "delete_on_termination": @bool,
				"serverId": @uuid, "id": @uuid}}}]}}}`)
)

var (
	volumeStates = []structs.VMState{structs.VMActive, structs.VMPaused, structs.VMStopped, structs.VMResized, structs.VMSoftDeleted, structs.VMShelved,
		structs.VMShelvedOffloaded}
	attachVolume = hotplug("attach_volume", volumeStates...)
	detachVolume = hotplug("detach_volume", volumeStates...)
	swapVolume   = hotplug("swap_volume", structs.VMActive, structs.VMPaused, structs.VMResized)
)

// shelvedSince is the first microversion in which a shelved instance's volumes may change.
const shelvedSince = 20

func checkShelved(r *httpapi.Request, ins *structs.Instance, action string) error {
	if r.Version < shelvedSince && (ins.VM == structs.VMShelved || ins.VM == structs.VMShelvedOffloaded) {
		return httpapi.Conflict("Cannot '%s' instance %s while it is in vm_state %s", action, ins.ID, ins.VM)
	}
	return nil
}

func attachmentView(r *httpapi.Request, ins *structs.Instance, a *proxy.Attachment) map[string]any {
	v := map[string]any{"volumeId": a.VolumeID, "serverId": ins.ID}
	if a.Device != "" {
		v["device"] = a.Device
	}
	tagged(r, v, a.Tag)
	if r.Version >= 79 {
		v["delete_on_termination"] = a.DeleteOnTermination
	}
	if r.Version >= 89 {
		v["attachment_id"], v["bdm_uuid"] = a.ID, a.DeviceID
	} else {
		v["id"] = a.VolumeID
	}
	return v
}

func (s *service) listAttachments(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	found, err := s.to.Attachments.Attachments(r, ins)
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, a := range httpapi.Slice(r, found, p) {
		list = append(list, attachmentView(r, ins, &a))
	}
	return map[string]any{"volumeAttachments": list}, nil
}

// attachmentOf finds a volume of the instance; nil is none.
func (s *service) attachmentOf(r *httpapi.Request, ins *structs.Instance, volume string) (*proxy.Attachment, error) {
	list, err := s.to.Attachments.Attachments(r, ins)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(list, func(a proxy.Attachment) bool { return a.VolumeID == volume }); i >= 0 {
		return &list[i], nil
	}
	return nil, nil
}

func notAttached(ins *structs.Instance, volume string) error {
	return httpapi.NotFound("Instance %s is not attached to volume %s", ins.ID, volume)
}

func (s *service) showAttachment(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	a, err := s.attachmentOf(r, ins, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, notAttached(ins, r.Vars["id"])
	}
	return map[string]any{"volumeAttachment": attachmentView(r, ins, a)}, nil
}

func (s *service) attachVolume(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Attachment struct {
			VolumeID string        `json:"volumeId"`
			Device   string        `json:"device"`
			Tag      string        `json:"tag"`
			Delete   base.FlexBool `json:"delete_on_termination"`
		} `json:"volumeAttachment"`
	}](r)
	if err != nil {
		return nil, err
	}
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	if err := checkShelved(r, ins, "attach_volume"); err != nil {
		return nil, err
	}
	if err := may(r, ins, attachVolume); err != nil {
		return nil, err
	}
	in := &body.Attachment
	if _, err := s.to.Volumes.Volume(r, in.VolumeID); err != nil {
		return nil, err
	}
	a, err := s.attachmentOf(r, ins, in.VolumeID)
	switch {
	case err != nil:
		return nil, err
	case a != nil:
		return nil, httpapi.BadRequest("Invalid volume: volume %s already attached", in.VolumeID)
	case ins.VM == structs.VMShelvedOffloaded && in.Tag != "":
		return nil, httpapi.BadRequest("Tagged volume attachment is not supported for shelved-offloaded instances.")
	}
	made, err := s.to.Attachments.AttachVolume(r, ins, proxy.AttachmentSpec{VolumeID: in.VolumeID, Device: in.Device, Tag: in.Tag, DeleteOnTermination: bool(in.Delete)})
	if err != nil {
		return nil, err
	}
	if r.Version >= 101 {
		return httpapi.Reply{Status: http.StatusAccepted}, nil
	}
	v := map[string]any{"id": made.VolumeID, "volumeId": made.VolumeID, "serverId": ins.ID, "device": nil} // also from 2.89 on with an id
	if made.Device != "" {
		v["device"] = made.Device
	}
	tagged(r, v, made.Tag)
	if r.Version >= 79 {
		v["delete_on_termination"] = made.DeleteOnTermination
	}
	return map[string]any{"volumeAttachment": v}, nil
}

type attachmentUpdate struct {
	VolumeID string                `json:"volumeId"`
	ID       *string               `json:"id"`
	ServerID *string               `json:"serverId"`
	Device   base.Optional[string] `json:"device"`
	Tag      *string               `json:"tag"`
	Delete   *base.FlexBool        `json:"delete_on_termination"`
}

type attachmentUpdateBody struct {
	Attachment attachmentUpdate `json:"volumeAttachment"`
}

// unchanged refuses other values of what may only be repeated.
func (in *attachmentUpdate) unchanged(ins *structs.Instance, a *proxy.Attachment) error {
	device := ""
	if in.Device.Value != nil {
		device = *in.Device.Value
	}
	name := ""
	switch {
	case in.ID != nil && *in.ID != a.VolumeID:
		name = "id"
	case in.ServerID != nil && *in.ServerID != string(ins.ID):
		name = "serverId"
	case in.Device.Set && device != a.Device:
		name = "device"
	case in.Tag != nil && *in.Tag != a.Tag:
		name = "tag"
	default:
		return nil
	}
	return httpapi.BadRequest("The %s property is not mutable", name)
}

func (s *service) swapVolume(r *httpapi.Request) (any, error) {
	body, err := base.Decode[attachmentUpdateBody](r)
	if err != nil {
		return nil, err
	}
	ins, err := instanceForSwap(r)
	if err != nil {
		return nil, err
	}
	to := body.Attachment.VolumeID
	if err := s.maySwap(r, ins, to); err != nil {
		return nil, err
	}
	return nil, s.to.Attachments.SwapVolume(r, ins, r.Vars["id"], to)
}

// instanceForSwap is the instance of the URL for a volume service too, whose token is of another project.
func instanceForSwap(r *httpapi.Request) (*structs.Instance, error) {
	if !r.May(ruleSwapVolume) {
		return instanceOfURL(r)
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins := rd.Instance(structs.InstanceID(r.Vars["server_id"]))
	if ins == nil || ins.Deleted() {
		return nil, instanceNotFound(r.Vars["server_id"])
	}
	return ins, nil
}

// maySwap refuses to replace the volume of the URL by another, unless the volume service is moving it: only that service asks for it.
func (s *service) maySwap(r *httpapi.Request, ins *structs.Instance, to string) error {
	from := r.Vars["id"]
	old, err := s.to.Volumes.Volume(r, from)
	if err != nil {
		return err
	}
	if !old.Migrating {
		return httpapi.Conflict("volume %s is not migrating; this API should only be called by Cinder", from)
	}
	if _, err := s.to.Volumes.Volume(r, to); err != nil {
		if structs.IsKind(err, structs.KindNotFound) {
			return httpapi.BadRequest("Volume %s could not be found.", to)
		}
		return err
	}
	return may(r, ins, swapVolume)
}

// updateAttachment changes what may be changed of an attachment, and then replaces the volume when the body names another than the URL. Nova does
// the first before it looks whether it may do the second; here a request that is refused changes nothing.
func (s *service) updateAttachment(r *httpapi.Request) (any, error) {
	body, err := base.Decode[attachmentUpdateBody](r)
	if err != nil {
		return nil, err
	}
	in, id := &body.Attachment, r.Vars["id"]
	swaps := in.VolumeID != id
	find := instanceOfURL
	if swaps {
		find = instanceForSwap
	}
	ins, err := find(r)
	if err != nil {
		return nil, err
	}
	if !swaps {
		err = r.AllowFor(ruleUpdateAttachment, ins.ProjectID, ins.UserID)
	} else {
		err = r.Allow(ruleSwapVolume)
	}
	if err != nil {
		return nil, err
	}
	a, err := s.attachmentOf(r, ins, id)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, proxy.NoAttachment(id)
	}
	if err := in.unchanged(ins, a); err != nil {
		return nil, err
	}
	if swaps {
		if err := s.maySwap(r, ins, in.VolumeID); err != nil {
			return nil, err
		}
	}
	if in.Delete != nil {
		if err := s.to.Attachments.KeepVolume(r, ins, id, bool(*in.Delete)); err != nil {
			return nil, err
		}
	}
	if swaps {
		return nil, s.to.Attachments.SwapVolume(r, ins, id, in.VolumeID)
	}
	return nil, nil
}

func (s *service) detachVolume(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	if err := checkShelved(r, ins, "detach_volume"); err != nil {
		return nil, err
	}
	id := r.Vars["id"]
	if _, err := s.to.Volumes.Volume(r, id); err != nil {
		return nil, err
	}
	a, err := s.attachmentOf(r, ins, id)
	switch {
	case err != nil:
		return nil, err
	case a == nil:
		return nil, notAttached(ins, id)
	case a.Root:
		return nil, httpapi.BadRequest("Cannot detach a root device volume")
	}
	if err := may(r, ins, detachVolume); err != nil {
		return nil, err
	}
	return nil, s.to.Attachments.DetachVolume(r, ins, id)
}
