package httpapi

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestMessages holds the wording of Nova's validators and of python-jsonschema.
func TestMessages(t *testing.T) {
	t.Parallel()
	wrap := func(s string) string {
		return `{"type":"object","properties":{"server":{"type":"object","properties":{"a":` + s + `},"additionalProperties":false}},"required":["server"],"additionalProperties":false}`
	}
	field := func(value, msg string) string {
		return "Invalid input for field/attribute a. Value: " + value + ". " + msg
	}
	for _, c := range []struct{ name, schema, body, want string }{
		{"required nested", `{"type":"object","properties":{"server":{"type":"object","required":["name","x"]}}}`, `{"server": {}}`,
			"Invalid input for field/attribute server. Value: {}. 'name' is a required property"},
		{"required top", `{"type":"object","required":["host"]}`, `{}`, "'host' is a required property"},
		{"type", wrap(`{"type":"integer"}`), `{"server":{"a":"x"}}`, field("x", "'x' is not of type 'integer'")},
		{"types", wrap(`{"type":["string","null"]}`), `{"server":{"a":true}}`, field("True", "True is not of type 'string', 'null'")},
		{"bool is no integer", wrap(`{"type":"integer"}`), `{"server":{"a":false}}`, field("False", "False is not of type 'integer'")},
		{"float is no integer", wrap(`{"type":"integer"}`), `{"server":{"a":1.0}}`, field("1.0", "1.0 is not of type 'integer'")},
		{"pattern", wrap(`{"type":"string","pattern":"^[0-9]*$"}`), `{"server":{"a":"abc"}}`, field("abc", "'abc' does not match '^[0-9]*$'")},
		{"enum", wrap(`{"enum":["AUTO","MANUAL",null,1]}`), `{"server":{"a":"b"}}`, field("b", "'b' is not one of ['AUTO', 'MANUAL', None, 1]")},
		{"short", wrap(`{"type":"string","minLength":1}`), `{"server":{"a":""}}`, field("", "'' is too short")},
		{"long", wrap(`{"type":"string","maxLength":2}`), `{"server":{"a":"äöü"}}`, field("äöü", "'äöü' is too long")},
		{"minimum", wrap(`{"type":"integer","minimum":1}`), `{"server":{"a":0}}`, field("0", "0 is less than the minimum of 1")},
		{"maximum", wrap(`{"type":"integer","maximum":2147483647}`), `{"server":{"a":2147483648}}`, field("2147483648", "2147483648 is greater than the maximum of 2147483647")},
		{"minimum of digits", wrap(`{"type":["integer","string"],"pattern":"^[0-9]*$","minimum":1}`), `{"server":{"a":"0"}}`, field("0", "0 is less than the minimum of 1")},
		{"anyOf", wrap(`{"anyOf":[{"type":"string"},{"type":"null"}]}`), `{"server":{"a":[1,"x"]}}`, field("[1, 'x']", "[1, 'x'] is not valid under any of the given schemas")},
		{"oneOf none", wrap(`{"oneOf":[{"type":"string"},{"type":"null"}]}`), `{"server":{"a":3}}`, field("3", "3 is not valid under any of the given schemas")},
		{"oneOf two", wrap(`{"oneOf":[{"type":"string"},{"maxLength":9}]}`), `{"server":{"a":"s"}}`, field("s", "'s' is valid under each of {'maxLength': 9}, {'type': 'string'}")},
		{"additional", wrap(`{}`), `{"server":{"x":1}}`, "Invalid input for field/attribute server. Value: {'x': 1}. Additional properties are not allowed ('x' was unexpected)"},
		{"additional two", wrap(`{}`), `{"server":{"z":1,"b":{"q":null}}}`,
			"Invalid input for field/attribute server. Value: {'z': 1, 'b': {'q': None}}. Additional properties are not allowed ('b', 'z' were unexpected)"},
		{"regexes", `{"type":"object","patternProperties":{"^_":{}},"additionalProperties":false}`, `{"foo":1}`, "'foo' does not match any of the regexes: '^_'"},
		{"too few", wrap(`{"type":"array","minItems":1}`), `{"server":{"a":[]}}`, field("[]", "[] is too short")},
		{"unique", wrap(`{"type":"array","uniqueItems":true}`), `{"server":{"a":["x","x"]}}`, field("['x', 'x']", "['x', 'x'] has non-unique elements")},
		{"item", wrap(`{"type":"array","items":{"type":"string"}}`), `{"server":{"a":["x",2]}}`, "Invalid input for field/attribute 1. Value: 2. 2 is not of type 'string'"},
		{"uuid", wrap(`{"type":"string","format":"uuid"}`), `{"server":{"a":"no"}}`, field("no", "'no' is not a 'uuid'")},
		{"name", wrap(`{"type":"string","format":"name"}`), `{"server":{"a":" x"}}`,
			"An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace."},
		{"quote", wrap(`{"type":"integer"}`), `{"server":{"a":"it's \"\n"}}`, field("it's \"\n", `'it\'s "\n' is not of type 'integer'`)},
		{"apostrophe", wrap(`{"type":"integer"}`), `{"server":{"a":"it's"}}`, field("it's", `"it's" is not of type 'integer'`)},
		{"floats", wrap(`{"type":"string"}`), `{"server":{"a":[1.50,1e20,1e-7,100000.0]}}`, field("[1.5, 1e+20, 1e-07, 100000.0]", "[1.5, 1e+20, 1e-07, 100000.0] is not of type 'string'")},
		{"no body", wrap(`{}`), `null`, "None is not of type 'object'"},
		{"shallow first", wrap(`{"type":"object","required":["q"]}`), `{"server":{"a":{}},"b":1}`, "Additional properties are not allowed ('b' was unexpected)"},
		{"dependency", `{"type":"object","dependencies":{"a":["b"]}}`, `{"a":1}`, "'b' is a dependency of 'a'"},
		{"through ref", `{"definitions":{"d":{"type":"string"}},"type":"object","properties":{"a":{"$ref":"#/definitions/d"}}}`, `{"a":1}`, field("1", "1 is not of type 'string'")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := MustSchema(c.schema).Validate([]byte(c.body), 1)
			require.Error(t, err)
			assert.Equal(t, c.want, err.Error())
			assert.Equal(t, structs.KindInvalid, structs.KindOf(err))
		})
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format, value string
		ok            bool
	}{
		{"uuid", "01234567-89ab-cdef-0123-456789ABCDEF", true}, {"uuid", "0123456789abcdef0123456789abcdef", true}, {"uuid", "0123", false},
		{"ipv4", "10.0.0.1", true}, {"ipv4", "::1", false}, {"ipv6", "::1", true}, {"ipv6", "fe80::1%eth0", false},
		{"date-time", "2011-01-24T17:08Z", true}, {"date-time", "2011-01-24", true}, {"date-time", "2011-01-24T17:08:00.5+01:00", true}, {"date-time", "yesterday", false},
		{"base64", "aGVsbG8=", true}, {"base64", "aGVsbG8", false}, {"base64", "aGVs\nbG8=", true},
		{"regex", "^a+$", true}, {"regex", "(", false},
		{"name", "a b", true}, {"name", "a\x00b", false}, {"name", "", false}, {"az_name", "a:b", false}, {"name_with_leading_trailing_spaces", " a ", true},
		{"cidr", "10.0.0.0/8", true}, {"mac-address", "aa:bb:cc:dd:ee:ff", true}, {"mac-address", "aa-bb", false}, {"uri", "http://x", true}, {"uri", "x", false},
	} {
		s := MustSchema(map[string]any{"type": "string", "format": c.format})
		err := s.Validate([]byte(fmt.Sprintf("%q", c.value)), 1)
		if c.format == "name" && c.value == "a\x00b" {
			err = s.Validate([]byte(`"a\u0000b"`), 1)
		}
		assert.Equal(t, c.ok, err == nil, "%s %q: %v", c.format, c.value, err)
	}
	assert.Panics(t, func() { MustSchema(`{"format":"nosuch"}`) })
	assert.Panics(t, func() { MustSchema(`{"type":`) })
	assert.Panics(t, func() { MustSchema(`{"type":"nosuch"}`) })
}

// TestBounds says that a property is known exactly within its bounds, whatever they are.
func TestBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.IntRange(1, 60).Draw(t, "min")
		hi := rapid.IntRange(lo, 100).Draw(t, "max")
		need := rapid.IntRange(1, 100).Draw(t, "required from")
		closed := rapid.IntRange(1, 100).Draw(t, "closed from")
		v := rapid.IntRange(1, 104).Draw(t, "version")
		s := MustSchema(fmt.Sprintf(`{"type":"object","properties":{
			"a":{"type":"integer","x-min":%d,"x-max":%d},
			"alt":{"anyOf":[{"type":"integer"},{"type":"string","x-min":%d}]},
			"when":{"x-when":[{"max":%d,"schema":{"type":"integer"}},{"schema":{"type":"string"}}]},
			"n":{"type":"object","properties":{},"x-closed-from":%d}},
			"x-required":{"r":{"min":%d}},"additionalProperties":false}`, lo, hi, lo, hi, closed, need))
		valid := func(body string) bool { return s.Validate([]byte(body), Microversion(v)) == nil }
		required := v >= need
		if required { // r is required but not known: nothing can be valid but the reason is r
			if err := s.Validate([]byte(`{}`), Microversion(v)); err == nil || err.Error() != "'r' is a required property" {
				t.Fatalf("at %d: %v", v, err)
			}
			return
		}
		for body, want := range map[string]bool{`{"a":1}`: v >= lo && v <= hi, `{"alt":1}`: true, `{"alt":"x"}`: v >= lo, `{"when":1}`: v <= hi,
			`{"when":"x"}`: v > hi, `{"n":{"foo":1}}`: v < closed, `{"b":1}`: false, `{}`: true} {
			if valid(body) != want {
				t.Fatalf("%s at %d: got %v", body, v, !want)
			}
		}
		if n, most := len(s.cuts), 6; n > most {
			t.Fatalf("%d ranges", n)
		}
	})
}

// TestHugeNumbers: a number of ten bytes must not cost a number of a megabyte.
func TestHugeNumbers(t *testing.T) {
	t.Parallel()
	s := MustSchema(`{"type":"array","items":{"type":["integer","number"],"minimum":0,"multipleOf":1}}`)
	for _, n := range []string{"1e999999999", "1E-999999999", "1e99999999999999999999", "1e401"} {
		assert.ErrorIs(t, s.Validate([]byte("[{\"x\": ["+n+"]}]"), 1), errMalformed, n)
	}
	assert.NoError(t, s.Validate([]byte(`[1e3, 12e0, 1E+2]`), 1))
	assert.NoError(t, MustSchema(`{}`).Validate([]byte(`"1e999999999"`), 1), "text is text")
}

// TestSameError says that one request always gets one answer, though JSON objects have no order here.
func TestSameError(t *testing.T) {
	t.Parallel()
	s := MustSchema(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"object","required":["x","y"]},"d":{"anyOf":[{"type":"null"}]}}}`)
	want := "Invalid input for field/attribute a. Value: x. 'x' is not of type 'integer'"
	for range 200 {
		assert.EqualError(t, s.Validate([]byte(`{"d":3,"c":{},"b":"y","a":"x"}`), 1), want)
	}
}

var serversBody = []byte(`{"server":{"name":"vm1","imageRef":"70a599e0-31e7-49b7-b260-868f441e862b","flavorRef":"1","key_name":"k","metadata":{"a":"b","c":"d"},
"networks":[{"uuid":"70a599e0-31e7-49b7-b260-868f441e862b"}],"user_data":"aGVsbG8gd29ybGQ=","security_groups":[{"name":"default"}],"min_count":1,"max_count":2,
"tags":["x","y"],"description":"d"},"os:scheduler_hints":{"group":"70a599e0-31e7-49b7-b260-868f441e862b"}}`)

var serversSchema = MustSchema(`{"type":"object","required":["server"],"additionalProperties":false,"properties":{
"os:scheduler_hints":{"type":"object","properties":{"group":{"type":"string","format":"uuid"}},"additionalProperties":true},
"server":{"type":"object","required":["name","flavorRef"],"x-required":{"networks":{"min":37}},"additionalProperties":false,"properties":{
"name":{"type":"string","minLength":1,"maxLength":255,"format":"name"},
"imageRef":{"oneOf":[{"type":"string","format":"uuid"},{"type":"string","maxLength":0}]},
"flavorRef":{"type":["string","integer"],"pattern":"^[a-zA-Z0-9-]+$","minLength":1},
"key_name":{"type":"string","minLength":1},
"metadata":{"type":"object","patternProperties":{"^[a-zA-Z0-9-_:. ]{1,255}$":{"type":"string","maxLength":255}},"additionalProperties":false},
"networks":{"x-when":[{"min":37,"schema":{"oneOf":[{"type":"array","items":{"type":"object","properties":{"uuid":{"type":"string","format":"uuid"}}}},{"type":"string","enum":["none","auto"]}]}},{"schema":{"type":"array"}}]},
"user_data":{"type":"string","format":"base64","maxLength":65535},
"security_groups":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}}},
"min_count":{"type":["integer","string"],"pattern":"^[0-9]*$","minimum":1},"max_count":{"type":["integer","string"],"pattern":"^[0-9]*$","minimum":1},
"description":{"type":["string","null"],"x-min":19},
"tags":{"type":"array","maxItems":50,"items":{"type":"string","maxLength":60},"x-min":52}}}}}`)

func BenchmarkValidateServers(b *testing.B) {
	require.NoError(b, serversSchema.Validate(serversBody, 96))
	b.ReportAllocs()
	for b.Loop() {
		if err := serversSchema.Validate(serversBody, 96); err != nil {
			b.Fatal(err)
		}
	}
}
