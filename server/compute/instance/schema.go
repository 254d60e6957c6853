package instance

import "github.com/kilonova-cloud/kilonova/server/compute/base"

var (
	remoteConsoleSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["remote_console"], "properties": {
		"remote_console": {"type": "object", "additionalProperties": false, "required": ["protocol", "type"], "properties": {
			"protocol": {"type": "string", "x-when": [
				{"max": 7, "schema": {"enum": ["rdp", "serial", "spice", "vnc"]}},
				{"min": 8, "schema": {"enum": ["mks", "rdp", "serial", "spice", "vnc"]}}]},
			"type": {"type": "string", "x-when": [
				{"max": 7, "schema": {"enum": ["novnc", "rdp-html5", "serial", "spice-html5", "xvpvnc"]}},
				{"min": 8, "max": 98, "schema": {"enum": ["novnc", "rdp-html5", "serial", "spice-html5", "webmks", "xvpvnc"]}},
				{"min": 99, "schema": {"enum": ["novnc", "rdp-html5", "serial", "spice-direct", "spice-html5", "webmks", "xvpvnc"]}}]}}}}}`)

	instanceCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["server"], "properties": {
		"server": {"type": "object", "additionalProperties": false, "required": ["name", "flavorRef"], "x-required": {"networks": {"min": 37}},
			"properties": {` + instanceCreateFields + `}},
		"os:scheduler_hints": ` + hintsSchema + `,
		"OS-SCH-HNT:scheduler_hints": ` + hintsSchema + `}}`)

	instanceUpdateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["server"], "properties": {
		"server": {"type": "object", "additionalProperties": false, "properties": {
			"name": @name,
			"OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]},
			"accessIPv4": {"type": "string", "format": "ipv4"},
			"accessIPv6": {"type": "string", "format": "ipv6"},
			"description": {"x-min": 19, "type": ["string", "null"], "minLength": 0, "maxLength": 255, "pattern": "` + base.Printable + `"},
			"hostname": ` + hostnameSchema + `,
			"pinned_availability_zone": {"x-min": 104, "oneOf": [{"type": "string", "minLength": 1, "maxLength": 255}, {"type": "null"}]}}}}}`)

	instanceListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "patternProperties": {"^_": @text}, "properties": {` + instanceListParams + `}}`)

	startSchema  = base.Action("os-start", `{}`)
	stopSchema   = base.Action("os-stop", `{}`)
	rebootSchema = base.Action("reboot", `{"type": "object", "additionalProperties": false, "required": ["type"], "properties": {
		"type": {"type": "string", "enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}}}`)
	consoleSchema = base.Action("os-getConsoleOutput", `{"type": "object", "additionalProperties": false, "properties": {
		"length": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -1}}}`)

	actionListQuery = base.Schema(`{"type": "object", "x-closed-from": 58, "properties": {
		"limit": {"x-min": 58, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1},
		"marker": {"x-min": 58, "type": "string"},
		"changes-since": {"x-min": 58, "type": "string", "format": "date-time"},
		"changes-before": {"x-min": 66, "type": "string", "format": "date-time"}}}`)
)

// hostnameSchema: a label from 2.90 on, a whole domain name from 2.94 on.
const hostnameSchema = `{"x-min": 90, "type": "string", "x-when": [
	{"min": 90, "max": 93, "schema": {"pattern": "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$", "minLength": 2, "maxLength": 63}},
	{"min": 94, "schema": {"pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255}}]}`

const hintsSchema = `{"type": "object", "additionalProperties": true, "properties": {
	"group": {"oneOf": [{"type": "array", "items": @uuid}, @uuid]},
	"different_host": {"oneOf": [@uuid, {"type": "array", "items": @uuid}]},
	"same_host": {"type": ["string", "array"], "items": @uuid},
	"query": {"type": ["string", "object"]},
	"target_cell": @name,
	"different_cell": {"type": ["string", "array"], "items": @text},
	"build_near_host_ip": {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
	"cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"}}}`

const networkFields = `"fixed_ip": {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
	"port": {"type": ["string", "null"], "format": "uuid"}`

const deviceFields = `"virtual_name": @text255, "volume_id": @uuid, "snapshot_id": @uuid, "volume_size": @amount,
	"device_name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._/-]*$"},
	"delete_on_termination": @bool, "no_device": @any, "connection_info": {"type": "string", "maxLength": 16777215}`

// A device's tag was taken at 2.32, refused by mistake from 2.33 to 2.41, and is taken since (Nova's REST API version history, 2.32 and 2.42).
const deviceV2Fields = deviceFields + `,
	"source_type": {"type": "string", "enum": ["volume", "image", "snapshot", "blank"]},
	"uuid": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9._-]*$"},
	"image_id": @uuid,
	"destination_type": {"type": "string", "enum": ["local", "volume"]},
	"guest_format": @text255, "device_type": @text255, "disk_bus": @text255,
	"boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"}`

const instanceCreateFields = `
	"name": @name,
	"imageRef": {"oneOf": [{"type": "string", "format": "uuid"}, {"type": "string", "maxLength": 0}]},
	"flavorRef": {"type": ["string", "integer"], "minLength": 1},
	"adminPass": @text,
	"metadata": {"type": "object", "additionalProperties": false, "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": @text255}},
	"networks": {"x-when": [
		{"max": 36, "schema": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {` + networkFields + `,
			"uuid": @text, "tag": {"x-min": 32, "type": "string", "pattern": "^[^,/]*$", "minLength": 1, "maxLength": 60}}}}},
		{"min": 37, "schema": {"oneOf": [
			{"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {` + networkFields + `,
				"uuid": @uuid, "tag": {"x-min": 42, "type": "string", "pattern": "^[^,/]*$", "minLength": 1, "maxLength": 60}}}},
			{"type": "string", "enum": ["none", "auto"]}]}}]},
	"OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]},
	"accessIPv4": {"type": "string", "format": "ipv4"},
	"accessIPv6": {"type": "string", "format": "ipv6"},
	"personality": {"x-max": 56, "type": "array", "items": {"type": "object", "additionalProperties": false,
		"properties": {"path": @text, "contents": {"type": "string", "format": "base64"}}}},
	"availability_zone": @name,
	"block_device_mapping": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {` + deviceFields + `}}},
	"block_device_mapping_v2": {"type": "array", "items": {"type": "object", "additionalProperties": false, "x-when": [
		{"min": 32, "max": 32, "schema": {"properties": {` + deviceV2Fields + `, "tag": @tag}}},
		{"min": 42, "schema": {"properties": {` + deviceV2Fields + `, "tag": @tag,
			"volume_type": {"x-min": 67, "type": ["string", "null"], "minLength": 0, "maxLength": 255}}}},
		{"schema": {"properties": {` + deviceV2Fields + `}}}]}},
	"config_drive": @bool,
	"key_name": @name,
	"min_count": @count,
	"max_count": @count,
	"return_reservation_id": @bool,
	"security_groups": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"name": @name}}},
	"user_data": {"type": "string", "format": "base64", "maxLength": 65535},
	"description": {"x-min": 19, "type": ["string", "null"], "minLength": 0, "maxLength": 255, "pattern": "` + base.Printable + `"},
	"tags": {"x-min": 52, "type": "array", "maxItems": 50, "items": @tag},
	"trusted_image_certificates": {"x-min": 63, "type": ["array", "null"], "minItems": 1, "maxItems": 50, "uniqueItems": true,
		"items": {"type": "string", "minLength": 1}},
	"host": {"x-min": 74, "type": "string", "pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255},
	"hypervisor_hostname": {"x-min": 74, "type": "string", "pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255},
	"hostname": ` + hostnameSchema

const instanceListParams = `
	"user_id": @text, "project_id": @text, "tenant_id": @text, "launch_index": @text, "image_ref": @text, "image": @text,
	"kernel_id": @regex, "ramdisk_id": @regex, "hostname": @regex, "key_name": @regex, "power_state": @regex,
	"vm_state": @text, "task_state": @text, "host": @text, "node": @regex, "flavor": @regex, "reservation_id": @regex,
	"launched_at": @regex, "terminated_at": @regex, "availability_zone": @regex, "name": @regex, "display_name": @regex,
	"description": @regex, "display_description": @regex, "locked_by": @regex, "uuid": @text, "root_device_name": @regex,
	"config_drive": @regex, "access_ip_v4": @regex, "access_ip_v6": @regex, "auto_disk_config": @regex, "progress": @regex,
	"created_at": @regex, "all_tenants": @text, "soft_deleted": @text, "deleted": @text, "status": @text,
	"changes-since": @time, "ip": @regex, "ip6": @regex,
	"block_device_mapping": @text, "services": @text, "metadata": @text, "system_metadata": @text, "info_cache": @text,
	"security_groups": @text, "pci_devices": @text,
	"limit": @limit, "marker": @text, "sort_dir": @text,
	"sort_key": {"type": "string", "x-when": [
		{"max": 74, "schema": {"enum": [` + sortKeys + `, ` + ignoredSortKeys + `]}},
		{"min": 75, "schema": {"enum": [` + sortKeys + `]}}]},
	"tags": {"x-min": 26, "type": "string", "format": "regex", "minLength": 1}, "tags-any": {"x-min": 26, "type": "string", "format": "regex", "minLength": 1},
	"not-tags": {"x-min": 26, "type": "string", "format": "regex", "minLength": 1}, "not-tags-any": {"x-min": 26, "type": "string", "format": "regex", "minLength": 1},
	"changes-before": {"x-min": 66, "type": "string", "format": "date-time"},
	"locked": {"x-min": 73, "type": "string"}`

const sortKeys = `"access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at", "display_description",
	"display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id", "key_name", "launch_index", "launched_at", "locked", "locked_by",
	"node", "power_state", "progress", "project_id", "ramdisk_id", "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state"`

const ignoredSortKeys = `"architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
	"disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb", "os_type", "reservation_id", "root_gb",
	"shutdown_terminate", "user_data", "vcpus", "vm_mode"`
