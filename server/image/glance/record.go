package glance

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// record is an image as Glance's API shows it.
type record struct {
	ID              string   `json:"id"`
	Name            *string  `json:"name"`
	Owner           *string  `json:"owner"`
	Status          string   `json:"status"`
	Visibility      string   `json:"visibility"`
	DiskFormat      *string  `json:"disk_format"`
	ContainerFormat *string  `json:"container_format"`
	MinDisk         int64    `json:"min_disk"`
	MinRAM          int64    `json:"min_ram"`
	Protected       bool     `json:"protected"`
	Hidden          bool     `json:"os_hidden"`
	Tags            []string `json:"tags"`
	Size            *int64   `json:"size"`
	VirtualSize     *int64   `json:"virtual_size"`
	Checksum        *string  `json:"checksum"`
	HashAlgo        *string  `json:"os_hash_algo"`
	HashValue       *string  `json:"os_hash_value"`
	CreatedAt       string   `json:"created_at"`
	UpdatedAt       string   `json:"updated_at"`

	properties map[string]string
}

// attributes are the names that are no properties.
var attributes = []string{"id", "name", "owner", "status", "visibility", "disk_format", "container_format", "min_disk", "min_ram", "protected", "os_hidden", "tags", "size",
	"virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "file", "self", "schema", "direct_url", "locations", "stores"}

// UnmarshalJSON reads the attributes and, beside them, the properties, which are all else that is text.
func (v *record) UnmarshalJSON(b []byte) error {
	type plain record
	if err := json.Unmarshal(b, (*plain)(v)); err != nil {
		return err
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	v.properties = map[string]string{}
	for name, value := range all {
		if text, ok := value.(string); ok && !slices.Contains(attributes, name) {
			v.properties[name] = text
		}
	}
	return nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// sha512Algo is what Glance calls the hash by which bytes are known here; it is its default.
const sha512Algo = "sha512"

// image is the record as the state has it.
func (v *record) image() *structs.Image {
	i := &structs.Image{ID: structs.ImageID(v.ID), Name: value(v.Name), ProjectID: structs.ProjectID(value(v.Owner)), Status: structs.ImageStatus(v.Status), Visibility: v.Visibility,
		DiskFormat: value(v.DiskFormat), ContainerFormat: value(v.ContainerFormat), MinDiskGiB: v.MinDisk, MinMemoryMiB: v.MinRAM, Protected: v.Protected, Hidden: v.Hidden,
		Tags: v.Tags, Size: value(v.Size), VirtualSize: value(v.VirtualSize), MD5: value(v.Checksum), Properties: v.properties, CreatedAt: at(v.CreatedAt), UpdatedAt: at(v.UpdatedAt),
		External: true, Stores: []string{structs.StoreGlance}}
	if len(i.Tags) == 0 { // as the state gives it back
		i.Tags = nil
	}
	if len(i.Properties) == 0 {
		i.Properties = nil
	}
	if value(v.HashAlgo) == sha512Algo {
		i.SHA512 = strings.ToLower(value(v.HashValue))
	}
	return i
}

func at(text string) structs.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return structs.TimeOf(t)
}

// creation is the body that announces an image.
func creation(i *structs.Image) map[string]any {
	body := map[string]any{}
	for k, v := range i.Properties {
		if !slices.Contains(attributes, k) && !strings.HasPrefix(k, "os_glance") {
			body[k] = v
		}
	}
	body["id"], body["name"], body["visibility"] = i.ID, i.Name, i.Visibility
	body["disk_format"], body["container_format"] = i.DiskFormat, i.ContainerFormat
	body["min_disk"], body["min_ram"] = i.MinDiskGiB, i.MinMemoryMiB
	return body
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

var pointer = strings.NewReplacer("~", "~0", "/", "~1")

// difference is the patch that brings properties from one state to another.
func difference(from, to map[string]string) (ops []operation) {
	for k, v := range to {
		old, had := from[k]
		switch {
		case !had:
			ops = append(ops, operation{"add", "/" + pointer.Replace(k), v})
		case old != v:
			ops = append(ops, operation{"replace", "/" + pointer.Replace(k), v})
		}
	}
	for k := range from {
		if _, has := to[k]; !has {
			ops = append(ops, operation{Op: "remove", Path: "/" + pointer.Replace(k)})
		}
	}
	slices.SortFunc(ops, func(a, b operation) int { return strings.Compare(a.Path, b.Path) })
	return ops
}
