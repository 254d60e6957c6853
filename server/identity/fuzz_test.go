package identity_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

// FuzzRequest sends any request with any body: never a 5xx, a fault in Keystone's form where there is one, and no change by what is refused.
func FuzzRequest(f *testing.F) {
	const ids = "/identity/v3/auth/tokens"
	for _, s := range []struct{ method, target, body string }{
		{"POST", ids, identitytest.Login("admin", identitytest.AdminPassword, "")}, {"POST", ids, identitytest.Login("demo", identitytest.DemoPassword, `{"project":{"name":"demo","domain":{"id":"default"}}}`)},
		{"POST", ids, identitytest.Login("demo", identitytest.DemoPassword, `{"unscoped":{}}`)}, {"POST", ids, identitytest.Login("demo", identitytest.DemoPassword, `{"domain":{"id":"default"}}`)},
		{"POST", ids, `{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}}}}`}, {"POST", ids, `{"auth":{"identity":{"methods":["password","token","password",null]}}}`},
		{"POST", ids, `{"auth":null}`}, {"POST", ids, "null"}, {"POST", ids, ""}, {"POST", ids, strings.Repeat("[", 20000)}, {"POST", ids, `{"auth":{"identity":{"methods":[1e400]}}}`},
		{"POST", ids, `{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"\u0000","password":"` + strings.Repeat("p", 5000) + `"}}}}}`},
		{"POST", ids, `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"x","secret":"y"}}}}`},
		{"GET", ids, ""}, {"HEAD", ids, ""}, {"DELETE", ids, ""}, {"GET", ids + "?nocatalog", ""}, {"GET", "/identity/v3/auth/catalog", ""},
		{"GET", "/identity/v3/users?name=%ff&domain_id=default&enabled=x", ""}, {"GET", "/identity/v3/users/%00", ""}, {"GET", "/identity/v3/projects?limit=-1&marker=x", ""},
		{"GET", "/identity/v3/role_assignments?user.id=a&scope.project.id=b&include_names=maybe&effective", ""}, {"GET", "/identity/v3/roles?name__contains=%zz", ""},
		{"GET", "/identity", ""}, {"GET", "/identity/v3", ""}, {"PATCH", "/identity/v3/users/x", `{"user":{}}`}, {"GET", "/identity/v3/domains/..%2F..", ""},
		{"POST", "/identity/v3/users", `{"user":{"name":"x","password":"y","options":{"multi_factor_auth_rules":[["a"]]},"federated":[],"email":1}}`}, {"POST", "/identity/v3/groups", `{"group":{"name":"x","domain_id":"default","y":null}}`},
		{"POST", "/identity/v3/projects", `{"project":{"name":"x","parent_id":"default","tags":["a"],"options":{"immutable":null}}}`}, {"POST", "/identity/v3/projects", `{"project":{"name":"x","is_domain":"yes"}}`},
		{"POST", "/identity/v3/domains", `{"domain":{"name":"x","explicit_domain_id":"0123456789abcdef0123456789abcdef"}}`}, {"PATCH", "/identity/v3/domains/default", `{"domain":{"enabled":"off"}}`},
		{"PATCH", "/identity/v3/projects/default", `{"project":{"domain_id":null,"is_domain":true}}`}, {"PUT", "/identity/v3/projects/default/tags/%2c", ""}, {"PUT", "/identity/v3/projects/default/tags", `{"tags":["a"]}`},
		{"GET", "/identity/v3/users?password_expires_at=lt:2030-01-01T00:00:00Z&limit=1&marker=x", ""}, {"GET", "/identity/v3/projects/default?subtree_as_ids&parents_as_list&include_limits", ""},
		{"POST", "/identity/v3/users/x/password", `{"user":{"original_password":"a","password":"b"}}`}, {"GET", "/identity/v3/domains/default/config/ldap/url", ""}, {"PUT", "/identity/v3/groups/x/users/y", ""},
	} {
		f.Add(s.method, s.target, []byte(s.body), true)
		f.Add(s.method, s.target, []byte(s.body), false)
	}
	var w *identitytest.Cloud
	var token string
	var before []byte
	f.Fuzz(func(t *testing.T, method, target string, body []byte, scoped bool) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.ContainsAny(target, " \t\r\n") || strings.ContainsFunc(method, func(c rune) bool { return c < 'A' || c > 'Z' }) || method == "" {
			t.Skip("no HTTP request")
		}
		if w == nil {
			w = identitytest.New(t, base.Options{})
			token, before = w.AdminToken(), snapshot(t, w)
		}
		r := httptest.NewRequest(method, "/", bytes.NewReader(body))
		r.URL, r.RequestURI = u, target
		if scoped {
			r.Header.Set("X-Auth-Token", token)
			r.Header.Set("X-Subject-Token", token)
		}
		rec := httptest.NewRecorder()
		w.Handler.ServeHTTP(rec, r)
		refused := rec.Code >= 400
		if rec.Code >= 500 || !refused && rec.Body.Len() > 0 && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %s: %d %.500s", method, target, rec.Code, rec.Body)
		}
		if refused && method != http.MethodHead && strings.HasPrefix(u.EscapedPath(), "/identity/") {
			var fault struct {
				Error struct {
					Code    int    `json:"code"`
					Message string `json:"message"`
				} `json:"error"`
			}
			if json.Unmarshal(rec.Body.Bytes(), &fault) != nil || fault.Error.Code != rec.Code || fault.Error.Message == "" {
				t.Errorf("%s %s: %d %.500s is no fault", method, target, rec.Code, rec.Body)
			}
		}
		if after := snapshot(t, w); !bytes.Equal(before, after) {
			if refused || method == http.MethodGet {
				t.Errorf("%s %s: %d, and the state has changed", method, target, rec.Code)
			}
			w = nil
		}
	})
}

// snapshot is the state less the log's index, which refused commands move, too.
func snapshot(t *testing.T, w *identitytest.Cloud) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := w.Core.Stale().Persist(&b); err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b.Bytes(), []byte("claims"))
	if i < 0 {
		t.Fatal("a snapshot has no table of claims")
	}
	return b.Bytes()[i : b.Len()-9]
}
