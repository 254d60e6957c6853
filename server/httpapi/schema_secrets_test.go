package httpapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Refusals are in Keystone's words where the service is Keystone's, and quote no secret in any.
func TestSecretsAreNotQuoted(t *testing.T) {
	t.Parallel()
	schema := MustSchema(`{"type": "object", "required": ["user"], "properties": {"user": {"type": "object", "required": ["name"], "additionalProperties": false,
		"properties": {"name": {"type": "string", "maxLength": 3}, "password": {"type": "string", "maxLength": 3}, "list": {"type": "array", "items": {"type": "object", "maxProperties": 0}}}}}}`)
	for _, c := range []struct {
		faults     FaultStyle
		body, want string
	}{
		{KeystoneFaults, `{"user": {"name": "abcd"}}`, `Invalid input for field 'name': 'abcd' is too long`},
		{KeystoneFaults, `{"user": {"name": "abc", "password": "s3cret"}}`, `Invalid input for field 'password': '***' is too long`},
		{KeystoneFaults, `{"user": {"name": "abc", "password": 12345678}}`, `Invalid input for field 'password': '***' is not of type 'string'`},
		{KeystoneFaults, `{"user": {"name": "a", "list": [{"secret": "s3cret"}]}}`, `Invalid input for field 'list/0': {'secret': '***'} has too many properties`},
		{KeystoneFaults, `{"user": {"password": "s3cret"}}`, `'name' is a required property`},
		{KeystoneFaults, `{"user": "s3cret"}`, `is not of type 'object'`},
		{NovaFaults, `{"user": {"name": "a", "list": {"adminPass": "s3cret"}}}`, `Invalid input for field/attribute list. Value: {'adminPass': '***'}. {'adminPass': '***'} is not of type 'array'`},
	} {
		s := &Service{Name: "identity", Prefix: "/identity", Faults: c.faults, Routes: []Route{{Method: http.MethodPost, Path: "/users", Rule: Anyone, Body: schema, Handler: ok(1)}}}
		a := do(t, newTestHandler(t, Options{}, s), "POST", "/identity/users", c.body, "Content-Type: application/json")
		body := text(t, a)
		assert.Equal(t, 400, a.StatusCode)
		assert.Contains(t, body, c.want)
		if c.body != `{"user": "s3cret"}` { // a value in the place of another is not known to be secret
			assert.NotContains(t, body, "s3cret")
			assert.NotContains(t, body, "12345678")
		}
	}
}
