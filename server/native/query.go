package native

import "github.com/kilonova-cloud/kilonova/server/httpapi"

// The query parameters that each route knows; any other is refused, so that a misspelt filter does not pass for none.

func querySchema(extra string) *httpapi.Schema {
	return httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "properties": {` + extra + `
		"index": {"type": "string", "pattern": "^[0-9]{1,19}$"},
		"wait": {"type": "string"},
		"stale": {"type": "string", "enum": ["true", "false", ""]}}}`)
}

const paging = `"limit": {"type": "string", "pattern": "^[0-9]{1,9}$"}, "marker": {"type": "string"},`

var (
	showQuery      = querySchema("")
	listQuery      = querySchema(paging)
	instancesQuery = querySchema(paging + `"host": {"type": "string"}, "name": {"type": "string"}, "project": {"type": "string"},
		"all_projects": {"type": "string", "enum": ["true", "false", ""]},`)
	operationsQuery = querySchema(paging + `"instance": {"type": "string"}, "active": {"type": "string", "enum": ["true", "false", ""]},
		"all_projects": {"type": "string", "enum": ["true", "false", ""]},`)
	streamQuery = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "properties": {
		"index": {"type": "string", "pattern": "^[0-9]{1,19}$"}, "table": {"type": "string"},
		"all_projects": {"type": "string", "enum": ["true", "false", ""]}}}`)
	forceQuery = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "properties": {"force": {"type": "string", "enum": ["true", "false", ""]}}}`)
	joinSchema = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "required": ["addresses"], "properties": {
		"addresses": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "minLength": 1, "maxLength": 300}}}}`)
)

// on reads a flag: there without value it is on.
func on(r *httpapi.Request, name string) bool {
	q := r.Query()
	return q.Has(name) && q.Get(name) != "false"
}
