package image

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// create answers POST /v2/images. What is refused first is as in Glance: names that no client may write, values, the caller, names that the service writes.
func (s *service) create(r *httpapi.Request) (any, error) {
	body, err := newImage(r.Body)
	if err != nil {
		return nil, err
	}
	now := structs.TimeOf(time.Now())
	i := &structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Status: structs.ImageQueued, Visibility: "shared",
		ProjectID: r.Token.ProjectID, CreatedAt: now, UpdatedAt: now}
	if err := allowCreate(r, body); err != nil {
		return nil, err
	}
	e := editor{service: s, r: r, creating: true}
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if key == "id" {
			var id string
			if err := decode(body[key], &id); err != nil {
				return nil, err
			}
			i.ID = structs.ImageID(strings.ToLower(id))
			continue
		}
		if err := e.set(i, key, body[key]); err != nil {
			return nil, err
		}
	}
	if err := e.check(nil, i); err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if _, err := fsm.ImageCreate.Propose(r.Context(), r.Core, &structs.ImageCreateRequest{Image: *i, Limits: s.limits(rd, i.ProjectID)}); err != nil {
		return nil, err
	}
	h := r.Writer.Header()
	h.Set("Location", r.Self("images", string(i.ID)))
	if len(s.opts.ImportMethods) > 0 {
		h.Set("OpenStack-image-import-methods", strings.Join(s.opts.ImportMethods, ","))
	}
	h.Set("OpenStack-image-store-ids", strings.Join(s.opts.Stores.IDs(), ","))
	return view(i), nil
}

// newImage reads the body of a new image and judges its values.
func newImage(text []byte) (map[string]json.RawMessage, error) {
	body, err := fields(text, "Provided object does not match schema 'image': an object is expected")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"direct_url", "self", "file", "schema", "stores"} {
		if _, said := body[name]; said {
			return nil, readOnlyName(name)
		}
	}
	if err := matches(createSchema, text); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		switch {
		case attribute(name) || slices.Contains(readOnlyNames, name):
		case name == "":
			return nil, httpapi.BadRequest("A property needs a name.")
		case utf8.RuneCountInString(name) > 255:
			return nil, httpapi.BadRequest("Custom property should not be greater than 255 characters.")
		case reserved(name):
			return nil, reservedName(name)
		}
	}
	return body, nil
}

// allowCreate judges whether the caller may make an image for its owner, and one that so many see.
func allowCreate(r *httpapi.Request, body map[string]json.RawMessage) error {
	proposed := structs.Image{ProjectID: r.Token.ProjectID, Visibility: "private"}
	if raw, said := body["owner"]; said {
		if err := decode(raw, &proposed.ProjectID); err != nil {
			return err
		}
	}
	if raw, said := body["visibility"]; said {
		if err := decode(raw, &proposed.Visibility); err != nil {
			return err
		}
	}
	what := target(r.Token, &proposed)
	if err := r.Judge(what); err != nil {
		if proposed.ProjectID != r.Token.ProjectID {
			return httpapi.Forbidden("You are not permitted to create images owned by '%s'", cmp.Or(proposed.ProjectID, "None"))
		}
		return err
	}
	return allowVisibility(r, &proposed, proposed.Visibility)
}

// allowVisibility judges who may make an image seen by that many.
func allowVisibility(r *httpapi.Request, i *structs.Image, wanted string) error {
	switch wanted {
	case "public":
		return r.AllowTarget(rulePublic, target(r.Token, i))
	case "community":
		return r.AllowTarget(ruleCommunity, target(r.Token, i))
	}
	return nil
}

// matches judges a body by a schema, in the words of Glance.
func matches(schema *httpapi.Schema, text []byte) error {
	err := schema.Validate(text, 0)
	if structs.IsKind(err, structs.KindInvalid) {
		return httpapi.BadRequest("Provided object does not match schema 'image': %s", err)
	}
	return err
}

// editor writes attributes and properties of an image on behalf of a caller.
type editor struct {
	service  *service
	r        *httpapi.Request
	creating bool
}

var (
	reservedNames     = []string{"location", "deleted", "deleted_at"}
	reservedNamespace = "os_glance"
	readOnlyNames     = []string{"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file",
		"schema", "stores", "id", "os_hash_algo", "os_hash_value"}
)

func readOnlyName(name string) error { return httpapi.Forbidden("Attribute '%s' is read-only.", name) }
func reservedName(name string) error { return httpapi.Forbidden("Attribute '%s' is reserved.", name) }

func reserved(name string) bool {
	return slices.Contains(reservedNames, name) || strings.HasPrefix(name, reservedNamespace)
}

// writable refuses names that no client may write.
func writable(name string) error {
	switch {
	case slices.Contains(readOnlyNames, name):
		return readOnlyName(name)
	case reserved(name):
		return reservedName(name)
	case name == "":
		return httpapi.BadRequest("A property needs a name.")
	case utf8.RuneCountInString(name) > 255:
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
	case "locations": // of a new image
		return reservedName(name)
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
	if string(raw) == "null" { // kernel_id and ramdisk_id may be
		delete(i.Properties, name)
		return nil
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
	var wanted string
	if err := decode(raw, &wanted); err != nil {
		return err
	}
	if err := allowVisibility(e.r, i, wanted); err != nil && !e.creating { // of a new image it was judged before
		return err
	}
	i.Visibility = wanted
	return nil
}

func (e editor) setOwner(i *structs.Image, raw json.RawMessage) error {
	if !e.creating && !e.r.Token.IsAdmin() {
		return httpapi.Forbidden("Owner can't be updated by non admin.")
	}
	return decode(raw, &i.ProjectID)
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

// check judges what an image has become. What it was before, nil of a new one, is borne even when a limit was lowered meanwhile.
func (e editor) check(old, i *structs.Image) error {
	was := structs.Image{}
	if old != nil {
		was = *old
	}
	opts := e.service.opts
	if n := len(i.Tags); opts.MaxTags >= 0 && n > opts.MaxTags && !slices.Equal(i.Tags, was.Tags) {
		return structs.Errorf(structs.KindTooLarge, "The limit has been exceeded on the number of allowed image tags. Attempted: %d, Maximum: %d", n, opts.MaxTags)
	}
	size, added := 0, false
	for k, v := range i.Properties {
		size += len(k) + len(v)
		_, had := was.Properties[k]
		added = added || !had
	}
	if n := len(i.Properties); opts.MaxProperties >= 0 && n > opts.MaxProperties && added {
		return structs.Errorf(structs.KindTooLarge, "The limit has been exceeded on the number of allowed image properties. Attempted: %d, Maximum: %d", n, opts.MaxProperties)
	}
	if size > maxPropertyBytes {
		return structs.Errorf(structs.KindTooLarge, "The image's properties take %d bytes, the most is %d", size, maxPropertyBytes)
	}
	return nil
}
