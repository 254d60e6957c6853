package flavor

import "github.com/kilonova-cloud/kilonova/server/compute/base"

var (
	flavorListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {
		"limit": @limit, "marker": @text, "is_public": @text, "minRam": @text, "minDisk": @text,
		"sort_key": {"type": "string", "x-when": [
			{"max": 101, "schema": {"enum": [` + flavorSortKeys + `, "rxtx_factor"]}},
			{"min": 102, "schema": {"enum": [` + flavorSortKeys + `]}}]},
		"sort_dir": {"type": "string", "enum": ["asc", "desc"]},
		"name": {"x-min": 102, "type": "string"}}}`)

	flavorCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["flavor"], "properties": {
		"flavor": {"type": "object", "additionalProperties": false, "required": ["name", "ram", "vcpus", "disk"], "properties": {
			"name": @name,
			"id": {"type": ["string", "number", "null"], "minLength": 1, "maxLength": 255,
				"pattern": "^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"},
			"ram": @amount, "vcpus": @amount, "disk": @size,
			"OS-FLV-EXT-DATA:ephemeral": @size, "swap": @size,
			"rxtx_factor": {"x-max": 101, "type": ["number", "string"], "pattern": "^[0-9]+(\\.[0-9]+)?$", "exclusiveMinimum": 0, "maximum": 3.40282e+38},
			"os-flavor-access:is_public": @bool,
			"description": {"x-min": 55, "type": ["string", "null"], "minLength": 0, "maxLength": 65535, "pattern": "` + base.Printable + `"}}}}}`)

	flavorUpdateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["flavor"], "properties": {
		"flavor": {"type": "object", "additionalProperties": false, "required": ["description"], "properties": {
			"description": {"type": ["string", "null"], "minLength": 0, "maxLength": 65535, "pattern": "` + base.Printable + `"}}}}}`)

	extraSpecsSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["extra_specs"], "properties": {
		"extra_specs": {"type": "object", "additionalProperties": false, "patternProperties": {` + extraSpec + `}}}}`)

	extraSpecSchema = base.Schema(`{"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
		"patternProperties": {` + extraSpec + `}}`)

	addAccessSchema    = base.Action("addTenantAccess", tenant)
	removeAccessSchema = base.Action("removeTenantAccess", tenant)
)

const (
	extraSpec = `"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "number"], "maxLength": 255}`
	tenant    = `{"type": "object", "additionalProperties": false, "required": ["tenant"], "properties": {
		"tenant": {"type": "string", "minLength": 1, "maxLength": 255}}}`
)

const flavorSortKeys = `"created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name", "root_gb",
	"swap", "updated_at", "vcpu_weight", "vcpus"`
