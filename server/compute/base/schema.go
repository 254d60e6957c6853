package base

import (
	"strings"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The schemas of this service's requests. What they accept at which microversion is what Nova's JSON schemas (nova/api/openstack/compute/schemas) say; x-min, x-max, x-required,
// x-when and x-closed-from are httpapi.Schema's. The words after @ stand for the rules that many fields share.

var shared = strings.NewReplacer(
	`@name`, `{"type": "string", "minLength": 1, "maxLength": 255, "format": "name"}`,
	`@bool`, `{"type": ["boolean", "string"], "enum": [true, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes",
		false, "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]}`,
	`@count`, `{"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 1, "minLength": 1}`,
	`@limit`, `{"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1}`,
	`@size`, `{"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 0, "maximum": 2147483647}`,
	`@amount`, `{"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 1, "maximum": 2147483647}`,
	`@uuid`, `{"type": "string", "format": "uuid"}`,
	`@host`, `{"type": "string", "pattern": "^[a-zA-Z0-9-._]*$", "minLength": 1, "maxLength": 255}`,
	`@regex`, `{"type": "string", "format": "regex", "minLength": 1}`,
	`@text255`, `{"type": "string", "maxLength": 255}`,
	`@text`, `{"type": "string"}`,
	`@time`, `{"type": "string", "format": "date-time"}`,
	`@tag`, `{"type": "string", "pattern": "^[^,/]*$", "minLength": 1, "maxLength": 60}`,
	`@any`, `{}`,
)

// Schema is a schema of requests, with the words after @ replaced.
func Schema(doc string) *httpapi.Schema { return httpapi.MustSchema(shared.Replace(doc)) }

// NoQuery is the query of a route that reads none: unknown parameters are dropped before 2.102 and refused from it on.
var NoQuery = Schema(`{"type": "object", "properties": {}, "x-closed-from": 102}`)

// Action returns the schema of an action's body: its one key with a value of the schema.
func Action(key, value string) *httpapi.Schema {
	return Schema(`{"type": "object", "additionalProperties": false, "required": ["` + key + `"], "properties": {"` + key + `": ` + value + `}}`)
}

// Printable is Nova's rule for descriptions: no control characters and no kind of line separator.
const Printable = `^[^\\p{C}\\p{Zl}\\p{Zp}]*$`
