package image

import (
	"maps"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type object = map[string]any

// diskFormats and containerFormats are Glance's defaults.
var (
	diskFormats      = []any{nil, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"}
	containerFormats = []any{nil, "ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}
	visibilities     = []any{"community", "public", "private", "shared"}
	statuses         = []any{"queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"}
	nullOrString     = []any{"null", "string"}
	nullOrInteger    = []any{"null", "integer"}
)

const (
	uuidPattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
	maxInt32    = 1<<31 - 1 // what Glance's columns hold
)

// settable are the attributes that a client may write, with their JSON schemas.
var settable = object{
	"name":             object{"type": nullOrString, "maxLength": 255, "description": "Name of the image"},
	"visibility":       object{"type": "string", "enum": visibilities, "description": "Who sees the image"},
	"protected":        object{"type": "boolean", "description": "Whether the image is kept from deletion"},
	"os_hidden":        object{"type": "boolean", "description": "Whether lists leave the image out unless asked for"},
	"owner":            object{"type": nullOrString, "maxLength": 255, "description": "Project that owns the image"},
	"container_format": object{"type": nullOrString, "enum": containerFormats, "description": "Format of the container"},
	"disk_format":      object{"type": nullOrString, "enum": diskFormats, "description": "Format of the disk"},
	"tags":             object{"type": "array", "items": object{"type": "string", "maxLength": 255}, "description": "Words to find the image by"},
	"min_ram":          object{"type": "integer", "minimum": 0, "maximum": maxInt32, "description": "Memory needed to boot the image, in MB"},
	"min_disk":         object{"type": "integer", "minimum": 0, "maximum": maxInt32, "description": "Disk space needed to boot the image, in GB"},
}

// shownOnly are the attributes that only the service writes.
var shownOnly = object{
	"id":            object{"type": "string", "pattern": uuidPattern, "description": "The image's identifier"},
	"status":        readOnly(object{"type": "string", "enum": statuses, "description": "Where the image is in its life"}),
	"checksum":      readOnly(object{"type": nullOrString, "maxLength": 32, "description": "MD5 of the image's data"}),
	"os_hash_algo":  readOnly(object{"type": nullOrString, "maxLength": 64, "description": "Algorithm of os_hash_value"}),
	"os_hash_value": readOnly(object{"type": nullOrString, "maxLength": 128, "description": "Hash of the image's data, in hexadecimal digits"}),
	"size":          readOnly(object{"type": nullOrInteger, "description": "Size of the image's data in bytes"}),
	"virtual_size":  readOnly(object{"type": nullOrInteger, "description": "Size of the disk in the image in bytes"}),
	"created_at":    readOnly(object{"type": "string", "description": "When the image was made"}),
	"updated_at":    readOnly(object{"type": "string", "description": "When the image was last changed"}),
	"direct_url":    readOnly(object{"type": "string", "description": "Where the data lies in the store"}),
	"self":          readOnly(object{"type": "string", "description": "Path of the image"}),
	"file":          readOnly(object{"type": "string", "description": "Path of the image's data"}),
	"schema":        readOnly(object{"type": "string", "description": "Path of the image's schema"}),
	"stores":        readOnly(object{"type": "string", "description": "Stores that hold the data"}),
	"locations":     object{"type": "array", "items": object{"type": "object"}, "description": "Where the data lies; not used here"},
}

func readOnly(o object) object {
	o["readOnly"] = true
	return o
}

func merged(maps_ ...object) object {
	out := object{}
	for _, m := range maps_ {
		maps.Copy(out, m)
	}
	return out
}

var stringProperty = object{"type": "string"}

// imageSchema is GET /v2/schemas/image.
var imageSchema = object{
	"name": "image", "properties": merged(settable, shownOnly), "additionalProperties": stringProperty,
	"links": []any{link("self", "{self}"), link("enclosure", "{file}"), link("describedby", "{schema}")},
}

// imagesSchema is GET /v2/schemas/images.
var imagesSchema = object{
	"name": "images",
	"properties": object{
		"images": object{"type": "array", "items": imageSchema},
		"first":  stringProperty, "next": stringProperty, "schema": stringProperty,
	},
	"links": []any{link("first", "{first}"), link("next", "{next}"), link("describedby", "{schema}")},
}

func link(rel, href string) object { return object{"rel": rel, "href": href} }

// patchSchema judges one attribute of a PATCH: {"name": value}.
var patchSchema = httpapi.MustSchema(object{"type": "object", "properties": settable, "additionalProperties": stringProperty})

// createSchema judges POST /v2/images. What only the service writes passes here, whatever it is, and is then refused with 403.
var createSchema = httpapi.MustSchema(object{"type": "object", "additionalProperties": stringProperty,
	"properties": merged(settable, anything(shownOnly), object{"id": shownOnly["id"]})})

func anything(o object) object {
	out := object{}
	for k := range o {
		out[k] = object{}
	}
	return out
}
