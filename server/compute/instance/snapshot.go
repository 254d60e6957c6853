package instance

import (
	"maps"
	"net/http"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) snapshotRoutes() []httpapi.Route {
	row := func(key, rule string, body *httpapi.Schema, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: key, Rule: httpapi.MemberOrAdmin(rule), Body: body,
			Status: http.StatusAccepted, Handler: h}
	}
	return []httpapi.Route{
		row("createImage", instancePolicy+"create_image", createImageSchema, s.createImage),
		row("createBackup", "os_compute_api:os-create-backup", createBackupSchema, s.createBackup),
	}
}

const imageMetadataSchema = `{"type": "object", "additionalProperties": false, "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": @text255}}`

var (
	createImageSchema = base.Action("createImage", `{"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
		"name": @name, "metadata": `+imageMetadataSchema+`}}`)

	createBackupSchema = base.Action("createBackup", `{"type": "object", "additionalProperties": false, "required": ["name", "backup_type", "rotation"], "properties": {
		"name": @name, "backup_type": @text, "rotation": {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minLength": 1, "minimum": 0},
		"metadata": `+imageMetadataSchema+`}}`)
)

type imageBody struct {
	Name       string            `json:"name"`
	Metadata   map[string]string `json:"metadata"`
	BackupType string            `json:"backup_type"`
	Rotation   base.FlexInt      `json:"rotation"`
}

func (s *service) createImage(r *httpapi.Request) (any, error) {
	return s.imageOf(r, structs.OpSnapshot)
}

func (s *service) createBackup(r *httpapi.Request) (any, error) {
	return s.imageOf(r, structs.OpBackup)
}

// imageOf begins to make an image of the instance's root disk: image and operation begin in one entry of the log, so that neither is there without the other.
func (s *service) imageOf(r *httpapi.Request, k structs.OperationKind) (any, error) {
	body, err := base.Decode[map[string]imageBody](r)
	if err != nil {
		return nil, err
	}
	in := (*body)[string(k)]
	rd, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	if r.Version < 39 {
		if err := checkMetadata(rd, &structs.Instance{ProjectID: ins.ProjectID, Metadata: in.Metadata}); err != nil {
			return nil, err
		}
	}
	img, op := s.newImage(rd, ins, &in, k), s.operation(r, ins, k)
	op.Args.NewImageID, op.Args.BackupType, op.Args.Rotation = img.ID, in.BackupType, int64(in.Rotation)
	if err := s.startMaking(r, rd, op, img); err != nil {
		return nil, err
	}
	if r.Version >= 45 {
		return map[string]any{"image_id": img.ID}, nil
	}
	if k == structs.OpSnapshot || in.Rotation > 0 {
		r.Writer.Header().Set("Location", s.Images.Endpoint(r)+"/v2/images/"+string(img.ID))
	}
	return nil, nil
}

// startMaking starts an operation that makes an image. When nobody knows whether it was started, the image stays: the operation needs it.
func (s *service) startMaking(r *httpapi.Request, rd state.Reader, op structs.Operation, img *structs.Image) error {
	undo, err := s.Images.Create(r, img)
	if err != nil {
		return err
	}
	_, err = fsm.OperationCreate.Propose(r.Context(), r.Core, &structs.OperationCreateRequest{Operation: op, Image: img, ImageLimits: rd.ImageLimits(img.ProjectID, s.ImageLimits),
		Admin: r.Token.IsAdmin(), Now: s.Time()})
	if structs.IsKind(err, structs.KindTooLarge) { // a limit of the Image service: Nova's answer to it
		err = httpapi.Forbidden("Quota exceeded or out of space for image %s in the image service.", img.ID)
	}
	if err != nil && !structs.IsKind(err, structs.KindUnavailable) && !structs.IsKind(err, structs.KindTimeout) {
		undo()
	}
	return err
}

// newImage is the image that will hold the root disk: with the properties of the image that the instance was made from, so that what is built of it boots
// the same way.
func (s *service) newImage(rd state.Reader, ins *structs.Instance, in *imageBody, k structs.OperationKind) *structs.Image {
	props := map[string]string{}
	maps.Copy(props, ins.ImageProps)
	for _, own := range []string{"cache_in_nova", "bittorrent", "img_signature_hash_method", "img_signature", "img_signature_key_type", "img_signature_certificate_uuid",
		"backup_type"} { // which are of that image's bytes, as [DEFAULT]non_inheritable_image_properties
		delete(props, own)
	}
	maps.Copy(props, in.Metadata)
	props["image_type"], props["instance_uuid"], props["user_id"], props["base_image_ref"] = "snapshot", string(ins.ID), string(ins.UserID), string(ins.ImageID)
	if k == structs.OpBackup {
		props["image_type"], props["backup_type"] = "backup", in.BackupType
	}
	img := &structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Name: strings.TrimSpace(in.Name), ProjectID: ins.ProjectID, Visibility: "private", Status: structs.ImageQueued,
		ContainerFormat: "bare", DiskFormat: "qcow2", MinDiskGiB: ins.Flavor.RootGiB, Properties: props, CreatedAt: s.Time(), UpdatedAt: s.Time()}
	if from := rd.Image(ins.ImageID); from != nil {
		img.MinMemoryMiB = from.MinMemoryMiB
	}
	return img
}
