package project

import "github.com/kilonova-cloud/kilonova/server/compute/base"

var (
	keypairListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {
		"user_id": {"x-min": 10, "type": "string"},
		"limit": {"x-min": 35, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1},
		"marker": {"x-min": 35, "type": "string"}}}`)

	keypairQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"user_id": {"x-min": 10, "type": "string"}}}`)

	keypairCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["keypair"], "properties": {
		"keypair": {"type": "object", "additionalProperties": false, "required": ["name"], "x-required": {"public_key": {"min": 92}}, "properties": {
			"name": {"allOf": [@name, {"type": "string", "minLength": 1, "maxLength": 255, "x-when": [
				{"max": 91, "schema": {"pattern": "^[_\\- a-zA-Z0-9]+$"}},
				{"min": 92, "schema": {"pattern": "^[_\\-@. a-zA-Z0-9]+$"}}]}]},
			"public_key": @text,
			"type": {"x-min": 2, "type": "string", "enum": ["ssh", "x509"]},
			"user_id": {"x-min": 10, "type": "string"}}}}}`)

	limitsQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"tenant_id": @text}}`)
)
