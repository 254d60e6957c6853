package delegation

import "github.com/kilonova-cloud/kilonova/server/httpapi"

// maxBlob bounds a credential's blob, in characters: chains of certificates have a few thousand.
const maxBlob = "16384"

const credentialFields = `"blob": {"type": "string", "maxLength": ` + maxBlob + `}, "project_id": {"type": ["string", "null"]}, "type": {"type": "string", "maxLength": 255},
	"user_id": {"type": "string"}`

const idString = `{"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-]+$"}`

const nameString = `{"type": "string", "minLength": 1, "maxLength": 255, "pattern": "[\\S]+"}`

const roleList = `{"type": "array", "items": {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false, "properties": {"id": ` + idString + `, "name": ` + nameString + `}}}`

var (
	credentialCreate = httpapi.MustSchema(`{"type": "object", "required": ["credential"], "properties": {"credential": {"type": "object", "additionalProperties": true,
		"required": ["blob", "type", "user_id"], "properties": {"id": {"type": "string"}, ` + credentialFields + `},
		"if": {"properties": {"type": {"const": "ec2"}}}, "then": {"required": ["project_id"]}}}}`)
	credentialUpdate = httpapi.MustSchema(`{"type": "object", "required": ["credential"], "properties": {"credential": {"type": "object", "additionalProperties": true, "minProperties": 1,
		"properties": {` + credentialFields + `}}}}`)
	ec2Create = httpapi.MustSchema(`{"type": "object", "required": ["tenant_id"], "properties": {"tenant_id": {"type": "string"}}}`)

	appCredCreate = httpapi.MustSchema(`{"type": "object", "required": ["application_credential"], "additionalProperties": false, "properties": {"application_credential": {"type": "object",
		"required": ["name"], "additionalProperties": false, "properties": {
		"id": {"type": "string"}, "name": ` + nameString + `, "description": {"type": ["string", "null"], "maxLength": 65535}, "secret": {"type": ["string", "null"]},
		"expires_at": {"type": ["string", "null"]}, "project_id": {"type": "string"}, "unrestricted": {"type": ["boolean", "null"]}, "system": {"type": ["string", "null"]},
		"roles": ` + roleList + `,
		"access_rules": {"type": "array", "maxItems": 100, "items": {"type": "object", "properties": {"id": ` + idString + `, "service": ` + idString + `,
			"path": {"type": "string", "maxLength": 225, "pattern": "^/"}, "method": {"type": "string", "enum": ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]}}}}}}}}`)

	trustCreate = httpapi.MustSchema(`{"type": "object", "required": ["trust"], "additionalProperties": false, "properties": {"trust": {"type": "object", "additionalProperties": true,
		"required": ["trustor_user_id", "trustee_user_id", "impersonation"], "properties": {
		"trustor_user_id": {"type": "string"}, "trustee_user_id": {"type": "string"}, "impersonation": {"type": "boolean"}, "project_id": {"type": ["string", "null"]},
		"remaining_uses": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000000000}, "expires_at": {"type": ["string", "null"]}, "allow_redelegation": {"type": ["boolean", "null"]},
		"redelegation_count": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000000000}, "redelegated_trust_id": {"type": ["string", "null"]}, "roles": ` + roleList + `}}}}`)
)
