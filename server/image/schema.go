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
	"locations":     locationsSchema,
}

// locationsSchema judges the locations of a PATCH before they are refused.
var locationsSchema = object{"type": "array", "description": "Where the data lies; not shown and not to be written", "items": object{"type": "object", "required": []any{"url", "metadata"},
	"properties": object{"url": object{"type": "string", "maxLength": 255}, "metadata": object{"type": "object"}, "validation_data": object{"type": "object", "writeOnly": true,
		"additionalProperties": false, "required": []any{"os_hash_algo", "os_hash_value"}, "properties": object{"checksum": object{"type": "string", "minLength": 32, "maxLength": 32},
			"os_hash_algo": object{"type": "string", "maxLength": 64}, "os_hash_value": object{"type": "string", "maxLength": 128}}}}}}

// common are properties that have schemas of their own (etc/schema-image.json).
var common = object{
	"kernel_id":                             property(object{"type": nullOrString, "pattern": uuidPattern, "description": "Image of the kernel that an AMI-style image boots with"}),
	"ramdisk_id":                            property(object{"type": nullOrString, "pattern": uuidPattern, "description": "Image of the RAM disk that an AMI-style image boots with"}),
	"instance_uuid":                         property(object{"type": "string", "description": "Instance that the image is of"}),
	"architecture":                          property(object{"type": "string", "description": "Architecture of the operating system"}),
	"os_distro":                             property(object{"type": "string", "description": "Common name of the operating system's distribution"}),
	"os_version":                            property(object{"type": "string", "description": "Version of the operating system"}),
	"description":                           property(object{"type": "string", "description": "What the image is, for people"}),
	"cinder_encryption_key_id":              property(object{"type": "string", "description": "Key of volumes made from the image"}),
	"cinder_encryption_key_deletion_policy": property(object{"type": "string", "enum": []any{"on_image_deletion", "do_not_delete"}, "description": "What becomes of that key when the image is deleted"}),
}

// property marks what is no attribute of the image itself.
func property(o object) object {
	o["is_base"] = false
	return o
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
	"name": "image", "properties": merged(settable, shownOnly, common), "additionalProperties": stringProperty,
	"links": []any{link("self", "{self}"), link("enclosure", "{file}"), link("describedby", "{schema}")},
}

// imagesSchema is GET /v2/schemas/images.
var imagesSchema = listSchema("images", imageSchema, true)

// listSchema is the schema of a list, with or without pages.
func listSchema(name string, of object, paged bool) object {
	o := object{"name": name, "properties": object{name: object{"type": "array", "items": of}, "schema": stringProperty}, "links": []any{link("describedby", "{schema}")}}
	if paged {
		maps.Copy(o["properties"].(object), object{"first": stringProperty, "next": stringProperty})
		o["links"] = []any{link("first", "{first}"), link("next", "{next}"), link("describedby", "{schema}")}
	}
	return o
}

// memberSchema is GET /v2/schemas/member, membersSchema GET /v2/schemas/members.
var (
	memberSchema = object{"name": "member", "properties": object{
		"member_id":  object{"type": "string", "description": "Project that the image is shared with"},
		"image_id":   object{"type": "string", "pattern": uuidPattern, "description": "The image"},
		"status":     object{"type": "string", "enum": []any{"pending", "accepted", "rejected"}, "description": "What the project says to it"},
		"created_at": object{"type": "string", "description": "When the image was shared"},
		"updated_at": object{"type": "string", "description": "When the project last said something to it"},
		"schema":     object{"type": "string", "readOnly": true},
	}}
	membersSchema = listSchema("members", memberSchema, false)
)

// taskSchema is GET /v2/schemas/task, tasksSchema GET /v2/schemas/tasks, whose tasks have not all of it.
var (
	taskSchema  = object{"name": "task", "properties": merged(taskProperties, taskDetails)}
	tasksSchema = listSchema("tasks", object{"name": "task", "properties": taskProperties}, false)

	nullOrObject = []any{"null", "object"}
	taskDetails  = object{
		"input":   object{"type": nullOrObject, "description": "What the task was given"},
		"result":  object{"type": nullOrObject, "description": "What came of it"},
		"message": object{"type": "string", "description": "What went wrong, for people"},
	}
	taskProperties = object{
		"id":         object{"type": "string", "pattern": uuidPattern, "description": "The task's identifier"},
		"type":       object{"type": "string", "enum": []any{"import", "api_image_import", "location_import"}, "description": "What is done"},
		"status":     object{"type": "string", "enum": []any{"pending", "processing", "success", "failure"}, "description": "How far it has come"},
		"owner":      object{"type": "string", "description": "Project that owns the task"},
		"image_id":   object{"type": "string", "description": "Image that it is done to"},
		"request_id": object{"type": "string", "description": "Request that began it"},
		"user_id":    object{"type": "string", "description": "User whose request that was"},
		"expires_at": object{"type": nullOrString, "description": "When the record may go"},
		"created_at": object{"type": "string", "description": "When the task was made"},
		"updated_at": object{"type": "string", "description": "When it was last changed"},
		"self":       object{"type": "string", "readOnly": true},
		"schema":     object{"type": "string", "readOnly": true},
	}
)

func link(rel, href string) object { return object{"rel": rel, "href": href} }

// patchSchema judges one attribute of a PATCH: {"name": value}.
var patchSchema = httpapi.MustSchema(object{"type": "object", "properties": merged(settable, common, object{"locations": locationsSchema}), "additionalProperties": stringProperty})

// createSchema judges POST /v2/images. What only the service writes passes here, whatever it is, and is then refused with 403.
var createSchema = httpapi.MustSchema(object{"type": "object", "additionalProperties": stringProperty,
	"properties": merged(settable, common, anything(shownOnly), object{"id": shownOnly["id"]})})

func anything(o object) object {
	out := object{}
	for k := range o {
		out[k] = object{}
	}
	return out
}
