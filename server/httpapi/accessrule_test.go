package httpapi

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestAccessRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/v2.1/servers", "/v2.1/servers", true},
		{"/v2.1/servers", "/v2.1/servers/", false},
		{"/v2.1/servers", "/v2.1/serversx", false},
		{"/v2.1/servers", "/v2x1/servers", false}, // a dot is a dot
		{"/v2.1/servers/*", "/v2.1/servers/abc", true},
		{"/v2.1/servers/*", "/v2.1/servers/", false},
		{"/v2.1/servers/*", "/v2.1/servers/abc/action", false},
		{"/v2.1/servers/*", "/v2.1/servers/a%2Faction", true}, // one part, whatever it says: no route takes it for two
		{"/v2.1/servers/*/action", "/v2.1/servers/a%2Faction", false},
		{"/v2.1/servers/{server_id}", "/v2.1/servers/abc", true},
		{"/v2.1/servers/{server_id}/action", "/v2.1/servers/abc/action", true},
		{"/v2.1/{a}/{b}", "/v2.1/a/b", true},
		{"/v2.1/**", "/v2.1/servers/abc/action", true},
		{"/v2.1/**", "/v2.1", false},
		{"/v2.1/**/action", "/v2.1/servers/abc/action", true},
		{"/v2.1/servers**", "/v2.1/servers", true},
		{"/**", "/", true},
		{"/a*c", "/abbc", true},
		{"/a*c", "/ac", false},
		{"/{a", "/{a", true},
		{"/{a", "/xa", false},
		{"/%2A", "/anything", false},
		{"/a b", "/a%20b", true},
		{"/a+", "/aa", false},
		{"/a", "/a%zz", false},
		{"", "/a", false},
		{"/é\xff", "/%C3%A9x", false},
		{"/é", "/%C3%A9", true},
		{"/**", "/" + strings.Repeat("a", MaxAccessPath), false},
	} {
		assert.Equal(t, c.want, matchesPath(c.pattern, c.path), "%s for %.40s", c.pattern, c.path)
	}
	rules := []AccessRule{{}, {"compute", "GET", "/v2.1/servers"}}
	for q, want := range map[[3]string]bool{{"compute", "GET", "/v2.1/servers"}: true, {"compute", "POST", "/v2.1/servers"}: false, {"image", "GET", "/v2.1/servers"}: false,
		{"compute", "get", "/v2.1/servers"}: false, {"", "", ""}: false, {"compute", "GET", "/v2.1/flavors"}: false} {
		assert.Equal(t, want, AllowsAccess(rules, AccessRequest{q[0], q[1], []string{q[2]}}), q)
	}
	assert.False(t, AllowsAccess([]AccessRule{}, AccessRequest{"compute", "GET", []string{"/"}}))
}

// Against an expression, which is what keystonemiddleware makes of a pattern.
func TestAccessRulesAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "a", "b", "*", "**", "{x}"}), 0, 8).Draw(rt, "pattern")
		path := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"/", "a", "b"}), 0, 10).Draw(rt, "path"), "")
		pattern := strings.Join(parts, "")
		var re strings.Builder
		re.WriteString("^")
		for rest := pattern; rest != ""; {
			for _, p := range [][2]string{{"**", ".*"}, {"*", "[^/]+"}, {"{x}", "[^/]+"}, {"/", "/"}, {"a", "a"}, {"b", "b"}} {
				if after, is := strings.CutPrefix(rest, p[0]); is {
					re.WriteString(p[1])
					rest = after
					break
				}
			}
		}
		want := regexp.MustCompile(re.String() + "$").MatchString(path)
		if got := matchesPath(pattern, path); got != want {
			rt.Fatalf("%s for %s: %v, %s says %v", pattern, path, got, re.String(), want)
		}
	})
}

type oneToken struct{ t *Token }

func (o oneToken) Verify(string) (*Token, error) { return o.t, nil }

// A token with rules is 401 for what they do not name, on every service.
func TestTokensWithAccessRules(t *testing.T) {
	t.Parallel()
	var services []*Service
	for name, prefix := range map[string]string{"compute": "/compute/v2.1", "identity": "/identity/v3", "image": "/image/v2", "placement": "/placement", "native": "/v1"} {
		s := &Service{Name: name, Prefix: prefix, Faults: KeystoneFaults}
		for _, p := range []string{"/things", "/things/{id}", "/auth/tokens"} {
			s.Routes = append(s.Routes, Route{Method: http.MethodGet, Path: p, Rule: Authenticated("x"), Handler: ok(1)}, Route{Method: http.MethodPost, Path: p, Rule: Authenticated("x"), Handler: ok(1)})
		}
		services = append(services, s)
	}
	for _, c := range []struct {
		rules  []AccessRule
		method string
		path   string
		want   int
	}{
		{nil, "GET", "/compute/v2.1/things", 200},
		{[]AccessRule{}, "GET", "/compute/v2.1/things", 401},
		{[]AccessRule{{}}, "GET", "/v1/things", 401},
		{[]AccessRule{{"compute", "GET", "/v2.1/things"}}, "GET", "/compute/v2.1/things", 200},
		{[]AccessRule{{"compute", "GET", "/compute/v2.1/things"}}, "GET", "/compute/v2.1/things", 200},
		{[]AccessRule{{"compute", "GET", "/v2.1/things"}}, "POST", "/compute/v2.1/things", 401},
		{[]AccessRule{{"compute", "GET", "/v2.1/things"}}, "GET", "/compute/v2.1/things/x", 401},
		{[]AccessRule{{"compute", "GET", "/v2.1/**"}}, "GET", "/compute/v2.1/nothing", 404},
		{[]AccessRule{{"compute", "GET", "/**"}}, "GET", "/image/v2/things", 401},
		{[]AccessRule{{"image", "GET", "/v2/things/*"}}, "GET", "/image/v2/things/1", 200},
		{[]AccessRule{{"placement", "POST", "/things"}}, "POST", "/placement/things", 200},
		{[]AccessRule{{"compute", "GET", "/**"}}, "GET", "/v1/things", 401},
		{[]AccessRule{{"compute", "GET", "/**"}}, "GET", "/identity/v3/auth/tokens", 200},
		{[]AccessRule{{"compute", "GET", "/**"}}, "GET", "/compute/v2.1/auth/tokens", 200},
		{[]AccessRule{{"image", "GET", "/**"}}, "GET", "/compute/v2.1/auth/tokens", 401},
		{[]AccessRule{{"compute", "GET", "/**"}}, "POST", "/identity/v3/auth/tokens", 401},
	} {
		h := newTestHandler(t, Options{Auth: oneToken{&Token{UserID: "u", ExpiresAt: structs.Time(1), AccessRules: c.rules}}}, services...)
		a := do(t, h, c.method, c.path, "", "X-Auth-Token: x")
		assert.Equal(t, c.want, a.StatusCode, "%v %s %s", c.rules, c.method, c.path)
	}
}
