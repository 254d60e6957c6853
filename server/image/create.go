package image

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// create answers POST /v2/images.
func (s *service) create(r *httpapi.Request) (any, error) {
	var body map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return nil, httpapi.BadRequest("Malformed request body")
	}
	now := structs.TimeOf(time.Now())
	i := &structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Status: structs.ImageQueued, Visibility: "shared",
		ProjectID: r.Token.ProjectID, CreatedAt: now, UpdatedAt: now}
	e := editor{service: s, token: r.Token, creating: true}
	for key, raw := range body {
		if key == "id" {
			var id string
			if err := json.Unmarshal(raw, &id); err != nil {
				return nil, httpapi.BadRequest("id must be a UUID")
			}
			i.ID = structs.ImageID(strings.ToLower(id))
			continue
		}
		if err := e.set(i, key, raw); err != nil {
			return nil, err
		}
	}
	if err := e.check(i); err != nil {
		return nil, err
	}
	if _, err := fsm.ImageUpsert.Propose(r.Context(), r.Core, &structs.ImageUpsertRequest{Image: *i, Create: true}); err != nil {
		return nil, err
	}
	r.Writer.Header().Set("Location", r.Self("images", string(i.ID)))
	return view(i), nil
}

// editor writes attributes and properties of an image on behalf of a caller.
type editor struct {
	service  *service
	token    *httpapi.Token
	creating bool
}

var (
	reservedNames     = []string{"locations", "location", "deleted", "deleted_at"}
	reservedNamespace = "os_glance"
	readOnlyNames     = []string{"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file",
		"schema", "stores", "id", "os_hash_algo", "os_hash_value"}
)

// writable refuses names that no client may write.
func writable(name string) error {
	switch {
	case slices.Contains(readOnlyNames, name):
		return httpapi.Forbidden("Attribute '%s' is read-only.", name)
	case slices.Contains(reservedNames, name) || strings.HasPrefix(name, reservedNamespace):
		return httpapi.Forbidden("Attribute '%s' is reserved.", name)
	case name == "":
		return httpapi.BadRequest("A property needs a name.")
	case len(name) > 255:
		return httpapi.BadRequest("Custom property should not be greater than 255 characters.")
	}
	return nil
}

// attribute reports whether a name is one of the image's own attributes and not a property.
func attribute(name string) bool {
	_, own := settable[name]
	return own
}

// set writes one attribute or property. The schema has judged the value's type.
func (e editor) set(i *structs.Image, name string, raw json.RawMessage) error {
	if err := writable(name); err != nil {
		return err
	}
	switch name {
	case "name":
		return decode(raw, &i.Name)
	case "protected":
		return decode(raw, &i.Protected)
	case "os_hidden":
		return decode(raw, &i.Hidden)
	case "min_disk":
		return decode(raw, &i.MinDiskGiB)
	case "min_ram":
		return decode(raw, &i.MinMemoryMiB)
	case "tags":
		return e.setTags(i, raw)
	case "visibility":
		return e.setVisibility(i, raw)
	case "owner":
		return e.setOwner(i, raw)
	case "disk_format":
		return e.setFormat(i, name, &i.DiskFormat, raw)
	case "container_format":
		return e.setFormat(i, name, &i.ContainerFormat, raw)
	}
	var value string
	if err := decode(raw, &value); err != nil {
		return err
	}
	if i.Properties == nil {
		i.Properties = map[string]string{}
	}
	i.Properties[name] = value
	return nil
}

// decode reads a value; null leaves the zero value.
func decode[T any](raw json.RawMessage, to *T) error {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return httpapi.BadRequest("Malformed request body")
	}
	*to = v
	return nil
}

func (e editor) setTags(i *structs.Image, raw json.RawMessage) error {
	var tags []string
	if err := decode(raw, &tags); err != nil {
		return err
	}
	slices.Sort(tags)
	i.Tags = slices.Compact(tags)
	return nil
}

func (e editor) setVisibility(i *structs.Image, raw json.RawMessage) error {
	old := i.Visibility
	if err := decode(raw, &i.Visibility); err != nil {
		return err
	}
	if i.Visibility == "public" && old != "public" && !rulePublic.Allows(e.token) {
		return httpapi.Forbidden("You are not authorized to complete %s action.", rulePublic.Name())
	}
	return nil
}

func (e editor) setOwner(i *structs.Image, raw json.RawMessage) error {
	old := i.ProjectID
	if err := decode(raw, &i.ProjectID); err != nil {
		return err
	}
	if i.ProjectID == old || e.token.IsAdmin() {
		return nil
	}
	if e.creating {
		return httpapi.Forbidden("You are not permitted to create images owned by '%s'.", i.ProjectID)
	}
	return httpapi.Forbidden("Owner can't be updated by non admin.")
}

// setFormat writes a format, which an image with data keeps for good.
func (e editor) setFormat(i *structs.Image, name string, to *string, raw json.RawMessage) error {
	old := *to
	if err := decode(raw, to); err != nil {
		return err
	}
	if i.Status != structs.ImageQueued && *to != old {
		return httpapi.Forbidden("Attribute %s can be only replaced for a queued image.", name)
	}
	return nil
}

// maxPropertyBytes bounds an image's properties in all, so that an image fits into a log entry many times.
const maxPropertyBytes = 128 << 10

// check judges the image as a whole.
func (e editor) check(i *structs.Image) error {
	if n := len(i.Tags); n > e.service.opts.MaxTags {
		return structs.Errorf(structs.KindTooLarge, "The limit has been exceeded on the number of allowed image tags. Attempted: %d, Maximum: %d", n, e.service.opts.MaxTags)
	}
	if n := len(i.Properties); n > e.service.opts.MaxProperties {
		return structs.Errorf(structs.KindTooLarge, "The limit has been exceeded on the number of allowed image properties. Attempted: %d, Maximum: %d", n, e.service.opts.MaxProperties)
	}
	size := 0
	for k, v := range i.Properties {
		size += len(k) + len(v)
	}
	if size > maxPropertyBytes {
		return structs.Errorf(structs.KindTooLarge, "The image's properties take %d bytes, the most is %d", size, maxPropertyBytes)
	}
	return nil
}
