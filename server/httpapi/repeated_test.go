package httpapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRepeatedKeys: what the schema judged is what the handler decodes. A key that an object has twice counts as its last, everywhere.
func TestRepeatedKeys(t *testing.T) {
	t.Parallel()
	schema := MustSchema(`{"type":"object","properties":{"server":{"type":"object","properties":{"name":{"type":"string"},"meta":{"type":"object",
		"additionalProperties":{"type":"string","maxLength":3}}},"additionalProperties":false}},"additionalProperties":false}`)
	type body struct {
		Server struct {
			Name, Host string
			Meta       map[string]string
		}
	}
	h := newTestHandler(t, Options{}, compute(Route{Method: "POST", Path: "/servers", Rule: MemberOrAdmin("x"), Body: schema, Handler: func(r *Request) (any, error) {
		var b body
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return nil, err
		}
		return b, nil
	}}))
	for name, c := range map[string]struct{ body, want string }{
		"an object twice":      {`{"server":{"host":"h","meta":{"a":"too long"}},"server":{"name":"n"}}`, `{"Server":{"Name":"n","Host":"","Meta":null}}`},
		"a map twice":          {`{"server":{"name":"n","meta":{"a":"too long"},"meta":{"b":"c"}}}`, `{"Server":{"Name":"n","Host":"","Meta":{"b":"c"}}}`},
		"a text twice":         {`{"server":{"name":"m","name":"n:\"\\"}}`, `{"Server":{"Name":"n:\"\\","Host":"","Meta":null}}`},
		"escaped the same":     {`{"server":{"host":"h"},"serve\u0072":{"name":"n"}}`, `{"Server":{"Name":"n","Host":"","Meta":null}}`},
		"nothing twice":        {`{"server":{"name":"a:b\\","meta":{"\":":"c"}}}`, `{"Server":{"Name":"a:b\\","Host":"","Meta":{"\":":"c"}}}`},
		"hidden in what fails": {`{"server":{"host":"h"},"server":{"name":"n"}}`, `{"Server":{"Name":"n","Host":"","Meta":null}}`},
	} {
		resp := do(t, h, "POST", "/compute/v2.1/servers", c.body, member)
		assert.Equal(t, 200, resp.StatusCode, name)
		assert.JSONEq(t, c.want, text(t, resp), name)
	}
	resp := do(t, h, "POST", "/compute/v2.1/servers", `{"server":{"name":"n"},"server":{"host":"h"}}`, member)
	assert.Equal(t, 400, resp.StatusCode, "the last one is judged")
}

// TestBodyIsUTF8: what is no UTF-8 is refused rather than stored with replacement characters.
func TestBodyIsUTF8(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	for _, body := range []string{"{\"server\":{\"name\":\"\xe9\"}}", "{\"server\":{\"name\":\"\xed\xa0\x80\"}}", "{\"server\":{\"name\":\"\xc0\x80\"}}"} {
		resp := do(t, h, "POST", "/compute/v2.1/servers", body, member)
		assert.Equal(t, 400, resp.StatusCode)
		assert.Contains(t, text(t, resp), "Malformed request body")
	}
}

// Property: the keys of a text are counted as its decoded value has them.
func TestCountKeys(t *testing.T) {
	t.Parallel()
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		kinds := []*rapid.Generator[any]{rapid.String().AsAny(), rapid.Float64Range(-1e9, 1e9).AsAny(), rapid.Bool().AsAny()}
		if depth > 0 {
			kinds = append(kinds, rapid.SliceOfN(value(depth-1), 0, 4).AsAny(), rapid.MapOfN(rapid.String(), value(depth-1), 0, 4).AsAny())
		}
		return rapid.OneOf(kinds...)
	}
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(value(3).Draw(t, "value"))
		require.NoError(t, err)
		v, err := decodeJSON(text)
		require.NoError(t, err)
		if keysIn(text) != keysOf(v) {
			t.Fatalf("%s: %d keys in the text, %d in the value", text, keysIn(text), keysOf(v))
		}
	})
}

// TestQueryIsKept: no parameter is dropped for how it is written, or a filter that was asked for would filter nothing.
func TestQueryIsKept(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	for query, want := range map[string]string{
		"status=a;b":       `{"status":["a;b"]}`,
		"status=50%":       `{"status":["50%"]}`,
		"status=%zz+x":     `{"status":["%zz x"]}`,
		"status=a&status=": `{"status":["a",""]}`,
		"status":           `{"status":[""]}`,
		"&&status=%41":     `{"status":["A"]}`,
		"status=%ff":       `{"status":["` + "\ufffd" + `"]}`,
	} {
		resp := do(t, h, "GET", "/compute/v2.1/servers?"+query, "", member)
		assert.Equal(t, 200, resp.StatusCode, query)
		assert.JSONEq(t, want, text(t, resp), query)
	}
	resp := do(t, h, "GET", "/compute/v2.1/servers?limit=1;marker=2", "", member)
	assert.Equal(t, 400, resp.StatusCode)
	resp = do(t, h, "GET", "/compute/v2.1/servers?fo%zzo=1", "", member, "OpenStack-API-Version: compute 2.90")
	assert.Equal(t, 400, resp.StatusCode)
}
