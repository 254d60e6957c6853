package project

import "github.com/kilonova-cloud/kilonova/server/compute/base"

// quotaLimit is the rest of a limit's schema, after what says when it is known.
const quotaLimit = `"type": ["integer", "string"], "pattern": "^-?[0-9]+$", "minimum": -1, "maximum": 2147483647}`

// quotaFields are the limits of a body; those of networks are known up to the microversion given.
func quotaFields(networksTo string) string {
	const v, injected = `: {` + quotaLimit, `: {"x-max": 56, ` + quotaLimit
	network := `: {"x-max": ` + networksTo + `, ` + quotaLimit
	return `"instances"` + v + `, "cores"` + v + `, "ram"` + v + `, "metadata_items"` + v + `, "key_pairs"` + v +
		`, "server_groups"` + v + `, "server_group_members"` + v +
		`, "floating_ips"` + network + `, "fixed_ips"` + network + `, "security_groups"` + network + `, "security_group_rules"` + network +
		`, "injected_files"` + injected + `, "injected_file_content_bytes"` + injected + `, "injected_file_path_bytes"` + injected
}

var (
	quotaQuery         = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"user_id": @text}}`)
	quotaDefaultsQuery = base.Schema(`{"type": "object", "properties": {}}`)

	quotaSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["quota_set"], "properties": {
		"quota_set": {"type": "object", "additionalProperties": false, "properties": {` + quotaFields("35") + `, "force": @bool}}}}`)

	quotaClassSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["quota_class_set"], "properties": {
		"quota_class_set": {"type": "object", "additionalProperties": false, "properties": {` + quotaFields("49") + `}}}}`)
)
