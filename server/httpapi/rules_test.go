package httpapi

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestRules is Nova's default policy with roles as a token spells them out.
func TestRules(t *testing.T) {
	t.Parallel()
	reader, memberRoles := []string{"reader"}, []string{"member", "reader"}
	manager, admin := []string{"manager", "member", "reader"}, []string{"admin", "manager", "member", "reader"}
	service := []string{"service"}
	for _, c := range []struct {
		rule                                                Rule
		none, unscoped, reader, member, manager, admin, svc bool
	}{
		{Anyone, true, true, true, true, true, true, true},
		{Authenticated("x"), false, true, true, true, true, true, true},
		{SelfOrAdmin("x"), false, true, true, true, true, true, true},
		{ReaderOrAdmin("x"), false, false, true, true, true, true, false},
		{MemberOrAdmin("x"), false, false, false, true, true, true, false},
		{ManagerOrAdmin("x"), false, false, false, false, true, true, false},
		{Admin("x"), false, false, false, false, false, true, false},
		{ServiceOrAdmin("x"), false, false, false, false, false, true, true},
	} {
		got := []bool{c.rule.Allows(nil), c.rule.Allows(&Token{UserID: "u"})}
		for _, roles := range [][]string{reader, memberRoles, manager, admin, service} {
			got = append(got, c.rule.Allows(&Token{UserID: "u", ProjectID: project, Roles: roles}))
		}
		assert.Equal(t, []bool{c.none, c.unscoped, c.reader, c.member, c.manager, c.admin, c.svc}, got, "%T %s", c.rule, c.rule.Name())
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	r := &Request{Token: &Token{UserID: "u", ProjectID: project, Roles: []string{"reader"}}}
	assert.NoError(t, r.Allow(ReaderOrAdmin("a")))
	err := r.Allow(Admin("os_compute_api:servers:index:get_all_tenants"))
	assert.EqualError(t, err, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.")
	assert.Equal(t, structs.KindForbidden, structs.KindOf(err))
	assert.NoError(t, r.AllowUser(SelfOrAdmin("k"), "u"))
	assert.Error(t, r.AllowUser(SelfOrAdmin("k"), "other"))
	assert.True(t, r.Sees(project))
	assert.False(t, r.Sees(other))
	assert.False(t, (&Request{Token: &Token{}}).Sees(""), "an unscoped token sees nothing, least of all what has no project")
	r.Token.Roles = []string{"admin"}
	assert.True(t, r.Sees(other))
	assert.NoError(t, r.AllowUser(SelfOrAdmin("k"), "other"))
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	s := &Service{Name: "native", Prefix: "/v1", Faults: NativeFaults, Routes: []Route{{Method: "GET", Path: "/metrics", Rule: LoopbackOr(Authenticated("m")), Handler: ok(1)}}}
	h := newTestHandler(t, Options{}, s)
	for _, c := range []struct {
		addr, header string
		status       int
	}{{"127.0.0.1:5", "", 200}, {"[::1]:5", "", 200}, {"192.0.2.1:5", "", 401}, {"127.0.0.1:5", "X-Forwarded-For", 401}, {"@", "", 401}} {
		r := httptest.NewRequest("GET", "/v1/metrics", nil)
		r.RemoteAddr = c.addr
		if c.header != "" {
			r.Header.Set(c.header, "203.0.113.9")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, c.status, w.Code, c)
		r.Header.Set("X-Auth-Token", "reader")
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, 200, w.Code, c)
	}
}
