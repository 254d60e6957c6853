package host

import "github.com/kilonova-cloud/kilonova/server/compute/base"

var (
	hypervisorListQuery = base.Schema(`{"type": "object", "x-closed-from": 53, "properties": {
		"limit": {"x-min": 33, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1},
		"marker": {"x-min": 33, "type": "string"},
		"hypervisor_hostname_pattern": {"x-min": 53, "type": "array", "maxItems": 1, "items": @host},
		"with_servers": {"x-min": 53, "type": "array", "maxItems": 1, "items": @bool}}}`)

	hypervisorQuery = base.Schema(`{"type": "object", "x-closed-from": 53, "properties": {
		"with_servers": {"x-min": 53, "type": "array", "maxItems": 1, "items": @bool}}}`)

	serviceListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"host": @text, "binary": @text}}`)

	serviceUpdateSchema = base.Schema(`{"type": "object", "additionalProperties": false,
		"x-required": {"host": {"max": 52}, "binary": {"max": 52}}, "properties": {
			"host": {"x-max": 52, "type": "string", "pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255},
			"binary": {"x-max": 52, "type": "string", "minLength": 1, "maxLength": 255},
			"disabled_reason": {"type": "string", "minLength": 1, "maxLength": 255},
			"status": {"x-min": 53, "type": "string", "enum": ["enabled", "disabled"]},
			"forced_down": {"x-min": 11, "type": ["boolean", "string"], "enum": [true, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
				false, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]}}}`)

	hostListQuery    = base.Schema(`{"type": "object", "properties": {"zone": @text}}`)
	hostQuery        = base.Schema(`{"type": "object", "properties": {}}`)
	hostUpdateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "anyOf": [{"required": ["status"]}, {"required": ["maintenance_mode"]}], "properties": {
		"status": ` + enableOrDisable + `, "maintenance_mode": ` + enableOrDisable + `}}`)

	aggregateCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["aggregate"], "properties": {
		"aggregate": {"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
			"name": @name, "availability_zone": ` + zoneOrNull + `}}}}`)

	aggregateUpdateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["aggregate"], "properties": {
		"aggregate": {"type": "object", "additionalProperties": false, "anyOf": [{"required": ["name"]}, {"required": ["availability_zone"]}], "properties": {
			"name": {"type": "string", "minLength": 1, "maxLength": 255, "format": "name_with_leading_trailing_spaces"}, "availability_zone": ` + zoneOrNull + `}}}}`)

	addHostSchema    = base.Action("add_host", `{"type": "object", "additionalProperties": false, "required": ["host"], "properties": {"host": @host}}`)
	removeHostSchema = base.Action("remove_host", `{"type": "object", "additionalProperties": false, "required": ["host"], "properties": {"host": @host}}`)

	aggregateMetadataSchema = base.Action("set_metadata", `{"type": "object", "additionalProperties": false, "required": ["metadata"], "properties": {
		"metadata": {"type": "object", "additionalProperties": false, "patternProperties": {
			"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "null"], "maxLength": 255}}}}}`)

	aggregateImagesSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["cache"], "properties": {
		"cache": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": false, "required": ["id"], "properties": {"id": @uuid}}}}}`)
)

const (
	enableOrDisable = `{"type": "string", "enum": ["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"]}`
	zoneOrNull      = `{"oneOf": [{"type": "string", "minLength": 1, "maxLength": 255, "format": "az_name"}, {"type": "null"}]}`
)
