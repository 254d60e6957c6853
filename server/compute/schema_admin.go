package compute

// The schemas of flavors, keypairs, hypervisors, services, limits.

var (
	flavorListQuery = schema(`{"type": "object", "x-closed-from": 75, "properties": {
		"limit": @limit, "marker": @text, "is_public": @text, "minRam": @text, "minDisk": @text,
		"sort_key": {"type": "string", "x-when": [
			{"max": 101, "schema": {"enum": [` + flavorSortKeys + `, "rxtx_factor"]}},
			{"min": 102, "schema": {"enum": [` + flavorSortKeys + `]}}]},
		"sort_dir": {"type": "string", "enum": ["asc", "desc"]},
		"name": {"x-min": 102, "type": "string"}}}`)

	flavorCreateSchema = schema(`{"type": "object", "additionalProperties": false, "required": ["flavor"], "properties": {
		"flavor": {"type": "object", "additionalProperties": false, "required": ["name", "ram", "vcpus", "disk"], "properties": {
			"name": @name,
			"id": {"type": ["string", "number", "null"], "minLength": 1, "maxLength": 255,
				"pattern": "^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"},
			"ram": @amount, "vcpus": @amount, "disk": @size,
			"OS-FLV-EXT-DATA:ephemeral": @size, "swap": @size,
			"rxtx_factor": {"x-max": 101, "type": ["number", "string"], "pattern": "^[0-9]+(\\.[0-9]+)?$", "exclusiveMinimum": 0, "maximum": 3.40282e+38},
			"os-flavor-access:is_public": @bool,
			"description": {"x-min": 55, "type": ["string", "null"], "minLength": 0, "maxLength": 65535, "pattern": "` + printable + `"}}}}}`)

	flavorUpdateSchema = schema(`{"type": "object", "additionalProperties": false, "required": ["flavor"], "properties": {
		"flavor": {"type": "object", "additionalProperties": false, "required": ["description"], "properties": {
			"description": {"type": ["string", "null"], "minLength": 0, "maxLength": 65535, "pattern": "` + printable + `"}}}}}`)

	keypairListQuery = schema(`{"type": "object", "x-closed-from": 75, "properties": {
		"user_id": {"x-min": 10, "type": "string"},
		"limit": {"x-min": 35, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1},
		"marker": {"x-min": 35, "type": "string"}}}`)

	keypairQuery = schema(`{"type": "object", "x-closed-from": 75, "properties": {"user_id": {"x-min": 10, "type": "string"}}}`)

	keypairCreateSchema = schema(`{"type": "object", "additionalProperties": false, "required": ["keypair"], "properties": {
		"keypair": {"type": "object", "additionalProperties": false, "required": ["name"], "x-required": {"public_key": {"min": 92}}, "properties": {
			"name": {"allOf": [@name, {"type": "string", "minLength": 1, "maxLength": 255, "x-when": [
				{"max": 91, "schema": {"pattern": "^[_\\- a-zA-Z0-9]+$"}},
				{"min": 92, "schema": {"pattern": "^[_\\-@. a-zA-Z0-9]+$"}}]}]},
			"public_key": @text,
			"type": {"x-min": 2, "type": "string", "enum": ["ssh", "x509"]},
			"user_id": {"x-min": 10, "type": "string"}}}}}`)

	hypervisorListQuery = schema(`{"type": "object", "x-closed-from": 53, "properties": {
		"limit": {"x-min": 33, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1},
		"marker": {"x-min": 33, "type": "string"},
		"hypervisor_hostname_pattern": {"x-min": 53, "type": "array", "maxItems": 1, "items": @host},
		"with_servers": {"x-min": 53, "type": "array", "maxItems": 1, "items": @bool}}}`)

	hypervisorQuery = schema(`{"type": "object", "x-closed-from": 53, "properties": {
		"with_servers": {"x-min": 53, "type": "array", "maxItems": 1, "items": @bool}}}`)

	remoteConsoleSchema = schema(`{"type": "object", "additionalProperties": false, "required": ["remote_console"], "properties": {
		"remote_console": {"type": "object", "additionalProperties": false, "required": ["protocol", "type"], "properties": {
			"protocol": {"type": "string", "x-when": [
				{"max": 7, "schema": {"enum": ["rdp", "serial", "spice", "vnc"]}},
				{"min": 8, "schema": {"enum": ["mks", "rdp", "serial", "spice", "vnc"]}}]},
			"type": {"type": "string", "x-when": [
				{"max": 7, "schema": {"enum": ["novnc", "rdp-html5", "serial", "spice-html5", "xvpvnc"]}},
				{"min": 8, "max": 98, "schema": {"enum": ["novnc", "rdp-html5", "serial", "spice-html5", "webmks", "xvpvnc"]}},
				{"min": 99, "schema": {"enum": ["novnc", "rdp-html5", "serial", "spice-direct", "spice-html5", "webmks", "xvpvnc"]}}]}}}}}`)

	serviceListQuery = schema(`{"type": "object", "x-closed-from": 75, "properties": {"host": @text, "binary": @text}}`)

	serviceUpdateSchema = schema(`{"type": "object", "additionalProperties": false,
		"x-required": {"host": {"max": 52}, "binary": {"max": 52}}, "properties": {
			"host": {"x-max": 52, "type": "string", "pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255},
			"binary": {"x-max": 52, "type": "string", "minLength": 1, "maxLength": 255},
			"disabled_reason": {"type": "string", "minLength": 1, "maxLength": 255},
			"status": {"x-min": 53, "type": "string", "enum": ["enabled", "disabled"]},
			"forced_down": {"x-min": 11, "type": ["boolean", "string"], "enum": [true, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
				false, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]}}}`)

	limitsQuery = schema(`{"type": "object", "x-closed-from": 75, "properties": {"tenant_id": @text}}`)
)

const flavorSortKeys = `"created_at", "description", "disabled", "ephemeral_gb", "flavorid", "id", "is_public", "memory_mb", "name", "root_gb",
	"swap", "updated_at", "vcpu_weight", "vcpus"`
