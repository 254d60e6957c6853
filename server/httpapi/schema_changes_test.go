package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	s := MustSchema(`{"type": "object", "x-closed-from": 75, "required": ["a"], "x-required": {"n": {"min": 37}}, "properties": {
		"a": {"type": "string"},
		"n": {"x-when": [{"max": 36, "schema": {"type": "array"}}, {"min": 37, "schema": {"type": "string", "enum": ["auto"]}}]},
		"gone": {"x-max": 56, "type": "object", "properties": {"x": {"type": "string"}}},
		"new": {"x-min": 19, "type": "array", "items": {"type": "object", "properties": {"tag": {"x-min": 32, "x-max": 40, "type": "string"}}}}}}`)
	require.Equal(t, []Change{
		{19, "new", KeyAdded}, {32, "new[].tag", KeyAdded}, {37, "n", KeyRequired}, {37, "n", KeyValues}, {41, "new[].tag", KeyRemoved},
		{57, "gone", KeyRemoved}, {75, "", KeysClosed}}, s.Changes(1, 0))
	require.Equal(t, []Change{{37, "n", KeyRequired}, {37, "n", KeyValues}, {41, "new[].tag", KeyRemoved}}, s.Changes(32, 50), "only what lies within the bounds")
	require.Empty(t, (*Schema)(nil).Changes(1, 0))
}
