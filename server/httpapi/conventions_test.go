package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// conventionRoutes are a small compute API that Nova's conventions for paths, microversions, bodies and faults can be tried on.
func conventionRoutes() []Route {
	read, write := ReaderOrAdmin("os_compute_api:servers:show"), MemberOrAdmin("os_compute_api:servers:create")
	body := MustSchema(`{"type":"object","required":["server"],"properties":{"server":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}`)
	start := MustSchema(`{"type":"object","properties":{"os-start":{"type":"null"}}}`)
	query := MustSchema(`{"type":"object","properties":{"limit":{"type":"string","pattern":"^[0-9]*$"},"status":{"type":"string"}},"patternProperties":{"^_":{}},"x-closed-from":75}`)
	list := MustSchema(`{"type":"object","properties":{"limit":{"type":"string","pattern":"^[0-9]*$"}},"additionalProperties":false}`)
	return []Route{
		{Method: "GET", Path: "", Rule: Anyone, Handler: ok(map[string]string{"version": "doc"})},
		{Method: "GET", Path: "/", Rule: Anyone, Handler: ok(map[string]string{"version": "doc"})},
		{Method: "GET", Path: "/servers", Rule: read, Query: query, Handler: func(r *Request) (any, error) { return r.Query(), nil }},
		{Method: "GET", Path: "/flavors", Rule: read, Query: list, Handler: ok([]string{})},
		{Method: "POST", Path: "/servers", Rule: write, Body: body, Status: 202, Handler: ok(map[string]int{"a": 1})},
		{Method: "GET", Path: "/servers/detail", Rule: read, Handler: ok("detail")},
		{Method: "GET", Path: "/servers/{id}", Rule: read, Handler: func(r *Request) (any, error) {
			return map[string]any{"id": r.Vars["id"], "version": r.Version, "self": r.Self("servers", r.Vars["id"]), "bookmark": r.Bookmark("servers", r.Vars["id"])}, nil
		}},
		{Method: "DELETE", Path: "/servers/{id}", Rule: write, Status: 204, Handler: ok(nil)},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-start", Rule: write, Body: start, Status: 202, Handler: ok(nil)},
		{Method: "POST", Path: "/servers/{id}/action", Action: "old", Max: 35, Rule: write, Status: 202, Handler: ok(nil)},
		{Method: "GET", Path: "/ranged", Min: 40, Max: 50, Rule: read, Handler: ok("ranged")},
		{Method: "GET", Path: "/two", Max: 9, Rule: read, Handler: ok("old")},
		{Method: "GET", Path: "/two", Min: 10, Rule: read, Handler: ok("new")},
		{Method: "GET", Path: "/admin", Rule: Admin("os_compute_api:os-hosts:list"), Handler: ok("secret")},
		{Method: "GET", Path: "/gone", Rule: read, Handler: fails(Gone())},
		{Method: "GET", Path: "/panic", Rule: read, Handler: func(*Request) (any, error) { panic("secret-in-panic") }},
		{Method: "GET", Path: "/unencodable", Rule: read, Handler: ok(func() {})},
		{Method: "GET", Path: "/plain", Rule: read, Handler: fails(errors.New("secret-in-error"))},
	}
}

var requestID = regexp.MustCompile(`^req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// TestConventions walks Nova's conventions for paths, microversions, bodies and faults.
func TestConventions(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	const base = "/compute/v2.1"
	v := func(m string) string { return "OpenStack-API-Version: compute " + m }
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		fault, message           string // of Nova's form
		version                  string // that the answer's headers say; "" none
	}{
		{"version document needs no token", "GET", base, "", []string{""}, 200, "", "", "2.1"},
		{"with a slash", "GET", base + "/", "", []string{""}, 200, "", "", "2.1"},
		{"no header is 2.1", "GET", base + "/servers/x", "", []string{member}, 200, "", "", "2.1"},
		{"standard header", "GET", base + "/servers/x", "", []string{member, v("2.53")}, 200, "", "", "2.53"},
		{"legacy header", "GET", base + "/servers/x", "", []string{member, "X-OpenStack-Nova-API-Version: 2.7"}, 200, "", "", "2.7"},
		{"standard wins", "GET", base + "/servers/x", "", []string{member, "X-OpenStack-Nova-API-Version: 2.7", v("2.8")}, 200, "", "", "2.8"},
		{"list of services", "GET", base + "/servers/x", "", []string{member, "OpenStack-API-Version: identity 3.1, compute 2.9, volume 3.0"}, 200, "", "", "2.9"},
		{"other services alone", "GET", base + "/servers/x", "", []string{member, "OpenStack-API-Version: volume 3.0"}, 200, "", "", "2.1"},
		{"latest", "GET", base + "/servers/x", "", []string{member, v("latest")}, 200, "", "", "2.104"},
		{"out of range", "GET", base + "/servers/x", "", []string{member, v("2.999")}, 406, "computeFault",
			"Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104.", "2.999"},
		{"other major", "GET", base + "/servers/x", "", []string{member, v("3.1")}, 406, "computeFault",
			"Version 3.1 is not supported by the API. Minimum is 2.1 and maximum is 2.104.", "3.1"},
		{"malformed", "GET", base + "/servers/x", "", []string{member, v("abc")}, 400, "badRequest",
			"API Version String abc is of invalid format. Must be of format MajorNum.MinorNum.", ""},
		{"leading zero", "GET", base + "/servers/x", "", []string{member, v("2.01")}, 400, "badRequest",
			"API Version String 2.01 is of invalid format. Must be of format MajorNum.MinorNum.", ""},
		{"route below its range", "GET", base + "/ranged", "", []string{member, v("2.39")}, 404, "itemNotFound", "The resource could not be found.", "2.39"},
		{"route in its range", "GET", base + "/ranged", "", []string{member, v("2.50")}, 200, "", "", "2.50"},
		{"route above its range", "GET", base + "/ranged", "", []string{member, v("2.51")}, 404, "itemNotFound", "The resource could not be found.", "2.51"},
		{"project in the URL", "GET", base + "/" + project + "/servers/x", "", []string{member}, 200, "", "", "2.1"},
		{"another project", "GET", base + "/" + other + "/servers/x", "", []string{member}, 400, "badRequest",
			"Malformed request URL: URL's project_id '" + other + "' doesn't match Context's project_id '" + project + "'", "2.1"},
		{"content type", "POST", base + "/servers", "x", []string{member, "Content-Type: application/xml"}, 415, "badMediaType", "Unsupported Content-Type", "2.1"},
		{"content type of text", "POST", base + "/servers", `{"server":{"name":"a"}}`, []string{member, "Content-Type: text/plain"}, 202, "", "", "2.1"},
		{"content type of Nova", "POST", base + "/servers", `{"server":{"name":"a"}}`, []string{member, "Content-Type: application/vnd.openstack.compute+json"}, 202, "", "", "2.1"},
		{"no content type", "POST", base + "/servers", `{"server":{"name":"a"}}`, []string{member, "Content-Type: "}, 202, "", "", "2.1"},
		{"bad JSON", "POST", base + "/servers", `{"server":`, []string{member}, 400, "badRequest", "Malformed request body", "2.1"},
		{"text after JSON", "POST", base + "/servers", `{} {}`, []string{member}, 400, "badRequest", "Malformed request body", "2.1"},
		{"no body", "POST", base + "/servers", "", []string{member}, 400, "badRequest", "None is not of type 'object'", "2.1"},
		{"schema", "POST", base + "/servers", `{"server":{}}`, []string{member}, 400, "badRequest",
			"Invalid input for field/attribute server. Value: {}. 'name' is a required property", "2.1"},
		{"schema before policy", "POST", base + "/servers", `{"server":{}}`, []string{"X-Auth-Token: reader"}, 400, "badRequest",
			"Invalid input for field/attribute server. Value: {}. 'name' is a required property", "2.1"},
		{"policy", "POST", base + "/servers", `{"server":{"name":"a"}}`, []string{"X-Auth-Token: reader"}, 403, "forbidden",
			"Policy doesn't allow os_compute_api:servers:create to be performed.", "2.1"},
		{"unscoped token", "GET", base + "/servers", "", []string{"X-Auth-Token: unscoped"}, 403, "forbidden",
			"Policy doesn't allow os_compute_api:servers:show to be performed.", "2.1"},
		{"too large", "POST", base + "/servers", `{"x":"` + strings.Repeat("a", 114688) + `"}`, []string{member}, 413, "overLimit", "Request is too large.", ""},
		{"query value", "GET", base + "/servers?limit=abc", "", []string{member}, 400, "badRequest",
			"Invalid input for query parameters limit. Value: abc. 'abc' does not match '^[0-9]*$'", "2.1"},
		{"unknown query below", "GET", base + "/servers?foo=1", "", []string{member, v("2.74")}, 200, "", "", "2.74"},
		{"unknown query from", "GET", base + "/servers?foo=1", "", []string{member, v("2.75")}, 400, "badRequest", "'foo' does not match any of the regexes: '^_'", "2.75"},
		{"unknown query elsewhere", "GET", base + "/flavors?foo=1", "", []string{member}, 400, "badRequest", "Additional properties are not allowed ('foo' was unexpected)", "2.1"},
		{"action", "POST", base + "/servers/x/action", `{"os-start":null}`, []string{member}, 202, "", "", "2.1"},
		{"unknown action", "POST", base + "/servers/x/action", `{"nosuch":null}`, []string{member}, 400, "badRequest", "There is no such action: nosuch", "2.1"},
		{"no action", "POST", base + "/servers/x/action", `{}`, []string{member}, 400, "badRequest", "Malformed request body", "2.1"},
		{"two actions", "POST", base + "/servers/x/action", `{"os-start":null,"old":null}`, []string{member}, 400, "badRequest", "Malformed request body", "2.1"},
		{"action is a list", "POST", base + "/servers/x/action", `[]`, []string{member}, 400, "badRequest", "Malformed request body", "2.1"},
		{"action schema", "POST", base + "/servers/x/action", `{"os-start":1}`, []string{member}, 400, "badRequest",
			"Invalid input for field/attribute os-start. Value: 1. 1 is not of type 'null'", "2.1"},
		{"action out of range", "POST", base + "/servers/x/action", `{"old":null}`, []string{member, v("2.36")}, 404, "itemNotFound", "The resource could not be found.", "2.36"},
		{"removed", "GET", base + "/gone", "", []string{member}, 410, "computeFault", "This resource is no longer available. No forwarding address is given.", "2.1"},
		{"empty answer", "DELETE", base + "/servers/x", "", []string{member}, 204, "", "", "2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := do(t, h, c.method, c.path, c.body, c.header...)
			assert.Equal(t, c.status, r.StatusCode)
			assert.Regexp(t, requestID, r.Header.Get("X-OpenStack-Request-ID"))
			assert.Equal(t, r.Header.Get("X-OpenStack-Request-ID"), r.Header.Get("X-Compute-Request-Id"))
			if c.version == "" {
				assert.Empty(t, r.Header.Values("OpenStack-API-Version"))
				assert.Empty(t, r.Header.Values("Vary"))
			} else {
				assert.Equal(t, "compute "+c.version, r.Header.Get("OpenStack-API-Version"))
				assert.Equal(t, c.version, r.Header.Get("X-OpenStack-Nova-API-Version"))
				assert.Equal(t, []string{"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"}, r.Header.Values("Vary"))
			}
			if c.fault == "" {
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				return
			}
			assert.Equal(t, "application/json; charset=UTF-8", r.Header.Get("Content-Type"))
			name, code, message := faultOf(t, r)
			assert.Equal(t, c.fault, name)
			assert.Equal(t, c.status, code)
			assert.Equal(t, c.message, message)
		})
	}
}

// TestUnknownPath holds how Nova answers paths that it does not have, and that the token comes first.
func TestUnknownPath(t *testing.T) {
	t.Parallel()
	keystone := &Service{Name: "identity", Prefix: "/identity", Faults: KeystoneFaults, Routes: []Route{{Method: "GET", Path: "/x", Rule: Authenticated("x"), Handler: ok(1)}}}
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...), keystone)
	for _, c := range []struct {
		method, path, header string
		status               int
		body                 string
	}{
		{"GET", "/compute/v2.1/nosuch", member, 404, "404 Not Found\n\nThe resource could not be found.\n\n   "},
		{"PUT", "/compute/v2.1/servers", member, 404, "404 Not Found\n\nThe resource could not be found.\n\n   "},
		{"GET", "/compute/v2.1/xyz/servers", member, 404, "404 Not Found\n\nThe resource could not be found.\n\n   "},
		{"GET", "/compute/v2.1/servers/", member, 404, "404 Not Found\n\nThe resource could not be found.\n\n   "},
		{"GET", "/compute/v2.1/nosuch", "", 401, `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`},
		{"GET", "/compute/v2.1/servers", "X-Auth-Token: bad", 401, `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`},
		{"GET", "/compute/v2.1x", member, 404, "404 Not Found\n\nThe resource could not be found.\n\n   "},
		{"GET", "/elsewhere", "", 404, "404 Not Found\n\nThe resource could not be found.\n\n   "},
		{"GET", "/identity/nosuch", "", 404, `{"error":{"code":404,"title":"Not Found","message":"The resource could not be found."}}`},
		{"PUT", "/identity/x", "", 405, `{"error":{"code":405,"title":"Method Not Allowed","message":"The method PUT is not allowed for this resource; these are: GET."}}`},
		{"WEIRD", "/identity/x", "", 405, `{"error":{"code":405,"title":"Method Not Allowed","message":"The method OTHER is not allowed for this resource; these are: GET."}}`},
	} {
		r := do(t, h, c.method, c.path, "", c.header)
		assert.Equal(t, c.status, r.StatusCode, c.path)
		assert.Equal(t, c.body, text(t, r), c.path)
		assert.Empty(t, r.Header.Values("OpenStack-API-Version"))
		assert.Regexp(t, requestID, r.Header.Get("X-OpenStack-Request-ID"))
		if c.status == 401 {
			assert.Equal(t, `Keystone uri="http://cloud:4746/identity"`, r.Header.Get("WWW-Authenticate"))
		}
	}
	r := do(t, h, "GET", "/compute/v2.1/nosuch", "", member, "Accept: application/json")
	assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
	assert.JSONEq(t, `{"message":"The resource could not be found.<br /><br />\n\n\n","code":"404 Not Found","title":"Not Found"}`, text(t, r))
}

// TestKinds maps every kind to its status in every style, and tells nobody what went wrong inside.
func TestKinds(t *testing.T) {
	t.Parallel()
	want := map[structs.Kind]int{structs.KindNotFound: 404, structs.KindConflict: 409, structs.KindInvalid: 400, structs.KindQuota: 403, structs.KindNoCapacity: 409,
		structs.KindUnavailable: 503, structs.KindNotLeader: 503, structs.KindForbidden: 403, structs.KindUnauthorized: 401, structs.KindTimeout: 503,
		structs.KindNotSupported: 501, structs.KindTooLarge: 413, structs.KindInternal: 500}
	for style := NovaFaults; style <= NativeFaults; style++ {
		for k := structs.KindInternal; k <= structs.KindNotLeader; k++ {
			err := fmt.Errorf("wrapped: %w", structs.Errorf(k, "why %s", k))
			s := &Service{Name: "s", Prefix: "/s", Faults: style, Routes: []Route{{Method: "GET", Path: "/x", Rule: Anyone, Handler: fails(err)}}}
			r := do(t, newTestHandler(t, Options{}, s), "GET", "/s/x", "")
			status := want[k]
			if style == NovaFaults && k == structs.KindNoCapacity {
				status = 400
			}
			assert.Equal(t, status, r.StatusCode, "%d %s", style, k)
			b := text(t, r)
			if k == structs.KindInternal {
				assert.NotContains(t, b, "why")
				assert.Contains(t, b, "Unexpected API Error")
			} else {
				assert.Contains(t, b, "why "+k.String())
			}
			if status == 503 {
				assert.Equal(t, "1", r.Header.Get("Retry-After"))
			}
		}
	}
}

func TestFaultBodies(t *testing.T) {
	t.Parallel()
	for style, want := range map[FaultStyle]string{
		NovaFaults:      `{"conflictingRequest":{"code":409,"message":"m"}}`,
		KeystoneFaults:  `{"error":{"code":409,"title":"Conflict","message":"m"}}`,
		GlanceFaults:    `{"message":"m<br /><br />\n\n\n","code":"409 Conflict","title":"Conflict"}`,
		PlacementFaults: `{"errors":[{"status":409,"title":"Conflict","detail":"m","request_id":"ID","code":"placement.concurrent_update"}]}`,
		NativeFaults:    `{"error":{"kind":"conflict","message":"m","request_id":"ID"}}`,
	} {
		s := &Service{Name: "s", Prefix: "/s", Faults: style, Routes: []Route{{Method: "GET", Path: "/x", Rule: Anyone, Handler: fails(Conflict("m"))}}}
		if style == PlacementFaults {
			s.Versioning = &Versioning{Type: "placement", Major: 1, Min: 0, Max: 39}
		}
		r := do(t, newTestHandler(t, Options{}, s), "GET", "/s/x", "", "OpenStack-API-Version: placement 1.30", "Accept: application/json")
		assert.JSONEq(t, strings.ReplaceAll(want, "ID", r.Header.Get("X-OpenStack-Request-ID")), text(t, r))
	}
}

// TestPlacementVersions holds the microversion library's own ways: one Vary, both bounds in the refusal.
func TestPlacementVersions(t *testing.T) {
	t.Parallel()
	s := &Service{Name: "placement", Prefix: "/placement", Faults: PlacementFaults, Versioning: &Versioning{Type: "placement", Major: 1, Min: 0, Max: 39},
		Routes: []Route{{Method: "GET", Path: "/x", Rule: Authenticated("x"), Handler: ok(1)}}}
	h := newTestHandler(t, Options{}, s)
	r := do(t, h, "GET", "/placement/x", "", member, "OpenStack-API-Version: placement latest")
	assert.Equal(t, "placement 1.39", r.Header.Get("OpenStack-API-Version"))
	assert.Equal(t, []string{"openstack-api-version"}, r.Header.Values("Vary"))
	assert.Empty(t, r.Header.Get("X-Compute-Request-Id"))
	r = do(t, h, "GET", "/placement/x", "", member, "OpenStack-API-Version: placement 1.40")
	assert.Equal(t, 406, r.StatusCode)
	b := text(t, r)
	assert.Contains(t, b, `"detail":"Unacceptable version header: 1.40"`)
	assert.Contains(t, b, `"max_version":"1.39","min_version":"1.0"`)
	r = do(t, h, "GET", "/placement/x", "", member, "OpenStack-API-Version: placement pony")
	assert.Equal(t, 400, r.StatusCode)
}

// TestFailuresOfOurs: a panic, an error without kind and an answer that JSON cannot hold are all a 500 that tells nothing.
func TestFailuresOfOurs(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	for _, path := range []string{"/panic", "/plain", "/unencodable"} {
		r := do(t, h, "GET", "/compute/v2.1"+path, "", member)
		assert.Equal(t, 500, r.StatusCode)
		name, _, message := faultOf(t, r)
		assert.Equal(t, "computeFault", name)
		assert.True(t, strings.HasPrefix(message, "Unexpected API Error. Please contact the administrator\n"), message)
		assert.NotContains(t, message, "secret")
		assert.Contains(t, message, r.Header.Get("X-OpenStack-Request-ID"))
	}
}

func TestChoosesRowByVersion(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	assert.Equal(t, `"old"`, text(t, do(t, h, "GET", "/compute/v2.1/two", "", member)))
	assert.Equal(t, `"new"`, text(t, do(t, h, "GET", "/compute/v2.1/two", "", member, "OpenStack-API-Version: compute 2.10")))
	assert.Equal(t, `"detail"`, text(t, do(t, h, "GET", "/compute/v2.1/servers/detail", "", member)))
	assert.Contains(t, text(t, do(t, h, "GET", "/compute/v2.1/servers/detail.json", "", member)), `"id":"detail.json"`)
	assert.Contains(t, text(t, do(t, h, "GET", "/compute/v2.1/servers/a%2Fb%20c", "", member)), `"id":"a/b c"`)
}

func TestLinks(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	b := text(t, do(t, h, "GET", "/compute/v2.1/servers/x", "", member))
	assert.Contains(t, b, `"self":"http://cloud:4746/compute/v2.1/servers/x"`)
	assert.Contains(t, b, `"bookmark":"http://cloud:4746/compute/servers/x"`)
	b = text(t, do(t, h, "GET", "/compute/v2.1/"+project+"/servers/x", "", member))
	assert.Contains(t, b, `"self":"http://cloud:4746/compute/v2.1/`+project+`/servers/x"`)
	assert.Contains(t, b, `"bookmark":"http://cloud:4746/compute/`+project+`/servers/x"`)

	public := newTestHandler(t, Options{PublicURL: "https://api.example.org/"}, compute(conventionRoutes()...))
	assert.Contains(t, text(t, do(t, public, "GET", "/compute/v2.1/servers/x", "", member)), `"self":"https://api.example.org/compute/v2.1/servers/x"`)
	proxied := newTestHandler(t, Options{TrustForwarded: true}, compute(conventionRoutes()...))
	assert.Contains(t, text(t, do(t, proxied, "GET", "/compute/v2.1/servers/x", "", member, "X-Forwarded-Proto: https", "X-Forwarded-Host: p.example")),
		`"self":"https://p.example/compute/v2.1/servers/x"`)
	assert.Contains(t, text(t, do(t, h, "GET", "/compute/v2.1/servers/x", "", member, "X-Forwarded-Host: evil")), `"self":"http://cloud:4746/`)
}

// TestClientGone: a handler that ends because its client went away is no fault of ours.
func TestClientGone(t *testing.T) {
	t.Parallel()
	var status FaultStyle = NovaFaults
	assert.Equal(t, 503, status.status(context.Canceled))
	assert.Equal(t, 503, status.status(fmt.Errorf("read: %w", context.DeadlineExceeded)))
	assert.NotContains(t, message(context.Canceled, 503), "context")
}

// TestGlobalRequestID takes only what cannot forge a log line.
func TestGlobalRequestID(t *testing.T) {
	t.Parallel()
	good := "req-01234567-89ab-cdef-0123-456789abcdef"
	for in, want := range map[string]string{good: good, "req-x": "", "": "", good + "\n": "", "abc": ""} {
		h := http.Header{}
		h["X-Openstack-Request-Id"] = []string{in}
		assert.Equal(t, want, globalID(h))
	}
	h := newTestHandler(t, Options{}, compute(conventionRoutes()...))
	r := do(t, h, "GET", "/compute/v2.1/servers/x", "", member, "X-OpenStack-Request-ID: "+good)
	require.Regexp(t, requestID, r.Header.Get("X-OpenStack-Request-ID"))
	assert.NotEqual(t, good, r.Header.Get("X-OpenStack-Request-ID"))
}
