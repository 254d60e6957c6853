package instance

import (
	"encoding/json"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

var rebuildSchema = base.Action("rebuild", `{"type": "object", "additionalProperties": false, "required": ["imageRef"], "properties": {
	"name": @name, "imageRef": @uuid, "adminPass": @text, "preserve_ephemeral": @bool,
	"metadata": {"type": "object", "additionalProperties": false, "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": @text255}},
	"OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]},
	"accessIPv4": {"type": "string", "format": "ipv4"}, "accessIPv6": {"type": "string", "format": "ipv6"},
	"personality": {"x-max": 56, "type": "array", "items": {"type": "object", "additionalProperties": false,
		"properties": {"path": @text, "contents": {"type": "string", "format": "base64"}}}},
	"description": {"x-min": 19, "type": ["string", "null"], "minLength": 0, "maxLength": 255, "pattern": "`+base.Printable+`"},
	"key_name": {"x-min": 54, "oneOf": [{"type": "string", "minLength": 1, "maxLength": 255}, {"type": "null"}]},
	"user_data": {"x-min": 57, "type": ["string", "null"], "format": "base64", "maxLength": 65535},
	"trusted_image_certificates": {"x-min": 63, "type": ["array", "null"], "minItems": 1, "maxItems": 50, "uniqueItems": true,
		"items": {"type": "string", "minLength": 1}},
	"hostname": `+hostnameSchema+`}}`)

type rebuildBody struct {
	Rebuild struct {
		ImageRef     string                  `json:"imageRef"`
		Name         *string                 `json:"name"`
		AdminPass    *string                 `json:"adminPass"`
		Preserve     base.FlexBool           `json:"preserve_ephemeral"`
		Metadata     *map[string]string      `json:"metadata"`
		DiskConfig   *string                 `json:"OS-DCF:diskConfig"`
		AccessIPv4   *string                 `json:"accessIPv4"`
		AccessIPv6   *string                 `json:"accessIPv6"`
		Personality  []personalityFile       `json:"personality"`
		Description  base.Optional[string]   `json:"description"`
		KeyName      base.Optional[string]   `json:"key_name"`
		UserData     base.Optional[string]   `json:"user_data"`
		TrustedCerts base.Optional[[]string] `json:"trusted_image_certificates"`
		Hostname     *string                 `json:"hostname"`
	} `json:"rebuild"`
}

// activeImage returns an image that the caller may use.
func (s *service) activeImage(r *httpapi.Request, id string) (*structs.Image, error) {
	img, err := s.Images.Use(r, id)
	switch {
	case structs.IsKind(err, structs.KindNotFound):
		return nil, httpapi.BadRequest("Can not find requested image")
	case err != nil:
		return nil, err
	case img.Status != structs.ImageActive:
		return nil, httpapi.BadRequest("Image %s is not active.", img.ID)
	}
	return img, nil
}

// rebuildInstance gives the instance a new root disk of an image, and what else the body changes.
func (s *service) rebuildInstance(r *httpapi.Request) (any, error) {
	body, rd, ins, err := asked[rebuildBody](r)
	if err != nil {
		return nil, err
	}
	change, err := s.rebuildOf(r, rd, ins, body)
	if err != nil {
		return nil, err
	}
	op := s.operation(r, ins, structs.OpRebuild)
	if _, err := fsm.OperationCreate.Propose(r.Context(), r.Core, &structs.OperationCreateRequest{Operation: op, Rebuild: change, Admin: r.Token.IsAdmin(), Now: s.Time()}); err != nil {
		return nil, err
	}
	if rd, err = r.Core.Read(r.Context()); err != nil {
		return nil, err
	}
	if ins, err = instanceOf(r, rd, string(ins.ID)); err != nil {
		return nil, err
	}
	r.Writer.Header().Set("Location", r.Self("servers", string(ins.ID)))
	pass := randomText(passwordLetters, passwordLength)
	if body.Rebuild.AdminPass != nil {
		pass = *body.Rebuild.AdminPass
	}
	return s.rebuiltAnswer(r, rd, ins, pass), nil
}

func (s *service) rebuiltAnswer(r *httpapi.Request, rd state.Reader, ins *structs.Instance, pass string) json.RawMessage {
	b := newViewer(r, rd).appendDetail(append(make([]byte, 0, 4096), `{"server":`...), ins, shapeRebuild)
	if !s.NoAdminPass {
		b = append(base.AppendStringField(b[:len(b)-1], "adminPass", pass), '}')
	}
	return append(b, '}')
}

// rebuildOf judges the body in Nova's order and returns what it changes.
func (s *service) rebuildOf(r *httpapi.Request, rd state.Reader, ins *structs.Instance, body *rebuildBody) (*structs.InstanceRebuild, error) {
	in := &body.Rebuild
	if in.Preserve {
		return nil, httpapi.Statusf(http.StatusBadRequest, "The current driver does not support preserving ephemeral partitions.")
	}
	img, err := s.activeImage(r, in.ImageRef)
	if err != nil {
		return nil, err
	}
	if err := imageFits(r, img, &ins.Flavor); err != nil {
		return nil, err
	}
	c := &structs.InstanceRebuild{ImageID: img.ID, ImageSHA512: img.SHA512, ImageProps: img.Properties, ImageMinDisk: img.MinDiskGiB, Name: in.Name, Metadata: in.Metadata,
		SetDescription: in.Description.Set, Description: in.Description.Value, Hostname: in.Hostname, DiskConfig: in.DiskConfig, AccessIPv4: in.AccessIPv4, AccessIPv6: in.AccessIPv6,
		SetTrusted: in.TrustedCerts.Set}
	if in.TrustedCerts.Value != nil {
		c.TrustedCerts = *in.TrustedCerts.Value
	}
	probe := &structs.Instance{ProjectID: ins.ProjectID}
	if in.Metadata != nil {
		probe.Metadata = *in.Metadata
		if err := checkMetadata(rd, probe); err != nil {
			return nil, err
		}
	}
	// The limits are those of who asks, as in Nova.
	if c.Files, err = injectedFiles(rd.UserQuotaLimits(ins.ProjectID, r.Token.UserID), in.Personality); err != nil {
		return nil, err
	}
	if c.SetKey = in.KeyName.Set; in.KeyName.Value != nil {
		probe.KeyName = *in.KeyName.Value
		if err := resolveKey(r, rd, probe); err != nil {
			return nil, err
		}
		c.KeyName, c.PublicKeys = probe.KeyName, probe.PublicKeys
	}
	if c.SetUserData = in.UserData.Set; in.UserData.Value != nil {
		if err := resolveUserData(&instanceCreate{UserData: *in.UserData.Value}, probe); err != nil {
			return nil, err
		}
		c.UserData = probe.UserData
	}
	return c, nil
}
