package httpapi

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// scoped are tokens of an administrator by what they are for.
type scoped map[string]*Token

func (s scoped) Verify(text string) (*Token, error) {
	if t := s[text]; t != nil {
		return t, nil
	}
	return nil, structs.Errorf(structs.KindUnauthorized, "no")
}

func TestScopesOfServices(t *testing.T) {
	t.Parallel()
	roles := []string{"admin", "member", "reader"}
	tokens := scoped{"none": {UserID: "u", Roles: nil}, "project": {UserID: "u", ProjectID: project, Roles: roles}, "domain": {UserID: "u", DomainID: "d", Roles: roles},
		"system": {UserID: "u", System: true, Roles: roles}}
	for _, c := range []struct {
		scopes                                  Scope
		anybody, project, domain, system, admin int
	}{{0, 200, 200, 403, 403, 403}, {SystemScope, 200, 200, 403, 200, 403}, {SystemScope | DomainScope, 200, 200, 200, 200, 403}} {
		s := &Service{Name: "native", Prefix: "/v1", Faults: NativeFaults, Scopes: c.scopes, Routes: []Route{
			{Method: "GET", Path: "/any", Rule: Authenticated("any"), Handler: ok(1)}, {Method: "GET", Path: "/admin", Rule: Admin("admin"), Handler: ok(1)}}}
		h := newTestHandler(t, Options{Auth: tokens}, s)
		status := func(token, path string) int {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("X-Auth-Token", token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		assert.Equal(t, []int{c.anybody, c.admin, c.project, c.project, c.domain, c.domain, c.system, c.system},
			[]int{status("none", "/v1/any"), status("none", "/v1/admin"), status("project", "/v1/any"), status("project", "/v1/admin"),
				status("domain", "/v1/any"), status("domain", "/v1/admin"), status("system", "/v1/any"), status("system", "/v1/admin")}, c.scopes)
	}
}

// A row whose rule asks about its target answers nothing before its handler has judged it.
func TestJudged(t *testing.T) {
	t.Parallel()
	rule := Judged("identity:get_user", "role:admin or user_id:%(target.user.id)s")
	target := func(id string) policy.Target {
		return policy.Target{More: map[string]string{"target.user.id": id}}
	}
	s := &Service{Name: "identity", Prefix: "/identity", Faults: KeystoneFaults, Routes: []Route{
		{Method: "GET", Path: "/users/{id}", Rule: rule, Handler: func(r *Request) (any, error) { return 1, r.Judge(target(r.Vars["id"])) }},
		{Method: "GET", Path: "/forgot", Rule: rule, Handler: ok(1)}}}
	h := newTestHandler(t, Options{Auth: scoped{"t": {UserID: "u", ProjectID: project, Roles: []string{"reader"}}}}, s)
	for path, want := range map[string]int{"/identity/users/u": 200, "/identity/users/other": 403, "/identity/forgot": 500} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Auth-Token", "t")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, path)
		if want == 403 {
			assert.Contains(t, w.Body.String(), "You are not authorized to perform the requested action: identity:get_user.")
		}
		r.Header.Del("X-Auth-Token")
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, 401, w.Code, path)
	}
}
