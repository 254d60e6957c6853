package directory

import (
	"strings"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// words stand for what several schemas share, as keystone/api/validation/parameter_types.py and keystone/*/schema.py have it.
var words = strings.NewReplacer(
	"@bool", `{"enum": [true, "True", "TRUE", "true", false, "False", "FALSE", "false", "", "1", "0", "y", "Y", "n", "N", "on", "ON", "off", "OFF", "yes", "no"]}`,
	"@name64", `{"type": "string", "minLength": 1, "maxLength": 64, "pattern": "[\\S]+"}`,
	"@name", `{"type": "string", "minLength": 1, "maxLength": 255, "pattern": "[\\S]+"}`,
	"@idornull", `{"type": ["string", "null"], "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-]+$"}`,
	"@id", `{"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-]+$"}`,
	"@tags", `{"type": "array", "maxItems": 80, "uniqueItems": true, "items": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^,/]*$"}}`,
	"@textornull", `{"type": ["string", "null"]}`,
	"@text255", `{"type": ["string", "null"], "maxLength": 255}`,
	"@text", `{"type": "string"}`,
	"@options", `{"type": "object", "additionalProperties": false, "properties": {"immutable": {"type": ["boolean", "null"]}}}`,
	"@number", `{"type": "string", "pattern": "^[0-9]{1,9}$"}`,
	"@flag", `{"type": ["boolean", "null"]}`,
)

// one is the schema of a body with one object under its key.
func one(key, rest string) *httpapi.Schema {
	return httpapi.MustSchema(words.Replace(`{"type": "object", "additionalProperties": false, "required": ["` + key + `"], "properties": {"` + key + `": {"type": "object", ` + rest + `}}}`))
}

// query is the schema of a list's query: what it does not know is let through, and parts of names are asked for by NAME__HOW.
func query(properties string) *httpapi.Schema {
	return httpapi.MustSchema(words.Replace(`{"type": "object", "properties": {"limit": @number, "marker": @text, ` + properties + `}, "patternProperties": {"__": @text}}`))
}

var (
	domainFields = `"name": @name64, "description": @text255, "enabled": @bool, "tags": @tags, "options": @options}`
	domainNew    = one("domain", `"required": ["name"], "properties": {"explicit_domain_id": @id, `+domainFields)
	domainChange = one("domain", `"minProperties": 1, "properties": {`+domainFields)
	domainQuery  = query(`"name": @name64, "enabled": @bool`)
	configBody   = httpapi.MustSchema(`{"type": "object", "required": ["config"], "properties": {"config": {"type": "object"}}}`)

	projectFields = `"properties": {"name": @name64, "description": @textornull, "domain_id": @idornull, "parent_id": @idornull, "enabled": @bool, "is_domain": @bool,
		"tags": @tags, "options": @options}`
	projectNew    = one("project", `"required": ["name"], `+projectFields)
	projectChange = one("project", projectFields)
	projectQuery  = query(`"domain_id": @id, "parent_id": @text, "name": @name64, "enabled": @bool, "is_domain": @bool,
		"tags": @text, "tags-any": @text, "not-tags": @text, "not-tags-any": @text`)
	tagsBody = httpapi.MustSchema(words.Replace(`{"type": "object", "additionalProperties": false, "required": ["tags"], "properties": {"tags": @tags}}`))

	userFields = `"properties": {"name": @name, "domain_id": @id, "default_project_id": @textornull, "description": @textornull, "enabled": @bool, "password": @textornull,
		"federated": {"type": "array", "items": {"type": "object", "required": ["idp_id", "protocols"], "properties": {"idp_id": @text, "protocols": {"type": "array", "minItems": 1}}}},
		"options": {"type": "object", "additionalProperties": false, "properties": {
			"ignore_change_password_upon_first_use": @flag, "ignore_password_expiry": @flag, "ignore_lockout_failure_attempts": @flag, "ignore_user_inactivity": @flag,
			"lock_password": @flag, "multi_factor_auth_enabled": @flag,
			"multi_factor_auth_rules": {"type": ["array", "null"], "uniqueItems": true, "items": {"type": "array", "minItems": 1, "uniqueItems": true, "items": @text}}}}}`
	userNew      = one("user", `"required": ["name"], `+userFields)
	userChange   = one("user", `"minProperties": 1, `+userFields)
	userPassword = one("user", `"additionalProperties": false, "required": ["original_password", "password"], "properties": {"original_password": @text, "password": @text}`)
	userQuery    = query(`"domain_id": @id, "name": @name, "enabled": @bool, "idp_id": @text, "protocol_id": @text, "unique_id": @text, "password_expires_at": @text`)

	groupFields = `"properties": {"name": @name, "domain_id": @id, "description": @textornull}`
	groupNew    = one("group", `"required": ["name"], `+groupFields)
	groupChange = one("group", `"minProperties": 1, `+groupFields)
	groupQuery  = query(`"domain_id": @id, "name": @name`)
)
