package httpapi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

func follower(routes ...Route) *Service {
	s := compute(routes...)
	s.FollowsPolicy = true
	return s
}

func TestPolicyRules(t *testing.T) {
	t.Parallel()
	s := follower(Route{Method: "GET", Path: "/a", Rule: ReaderOrAdmin("x:a"), Handler: ok(1)}, Route{Method: "GET", Path: "/b", Rule: Anyone, Handler: ok(1)},
		Route{Method: "POST", Path: "/a/{id}/action", Action: "run", Rule: ReaderOrAdmin("x:a"), Handler: ok(1)},
		Route{Method: "GET", Path: "/c", Rule: LoopbackOr(Authenticated("x:c")), Handler: ok(1)})
	s.Rules = []Rule{Admin("x:a:more")}
	other := compute(Route{Method: "GET", Path: "/z", Rule: Admin("z"), Handler: ok(1)})
	rules, err := PolicyRules([]*Service{s, other})
	require.NoError(t, err)
	require.Equal(t, []policy.Rule{{Name: "x:a", Check: policy.ReaderOrAdmin, Operations: []string{"GET /a", "POST /a/{id}/action (run)"}},
		{Name: "x:a:more", Check: policy.Admin}, {Name: "x:c", Check: policy.Anybody, Operations: []string{"GET /c"}}}, rules)
	s.Rules = append(s.Rules, Admin("x:a"))
	_, err = NewHandler(nil, []*Service{s}, Options{})
	require.ErrorContains(t, err, "rule x:a has two defaults")
}

// A file holds for the services that follow one and for no other, from the next request on.
func TestPolicyInForce(t *testing.T) {
	t.Parallel()
	live := policy.NewLive(nil)
	more := Admin("x:more")
	routes := []Route{{Method: "GET", Path: "/a", Rule: Admin("x:a"), Handler: ok(1)}, {Method: "GET", Path: "/c", Rule: LoopbackOr(Authenticated("x:c")), Handler: ok(1)},
		{Method: "GET", Path: "/more", Rule: Authenticated("x:b"), Handler: func(r *Request) (any, error) {
			return map[string]bool{"may": r.May(more), "admin": r.Token.IsAdmin(), "sees": r.Sees(other)}, nil
		}}}
	s, deaf := follower(routes...), compute(routes...)
	s.Rules, deaf.Prefix = []Rule{more}, "/deaf"
	h := newTestHandler(t, Options{Policy: live}, s, deaf)
	rules, err := PolicyRules([]*Service{s, deaf})
	require.NoError(t, err)
	status := func(path string) int { return do(t, h, "GET", path, "", member).StatusCode }
	body := func(path string) string { return text(t, do(t, h, "GET", path, "", member)) }
	closed, open := `{"admin":false,"may":false,"sees":false}`, `{"admin":true,"may":true,"sees":true}`
	assert.Equal(t, 403, status("/compute/v2.1/a"))
	assert.Equal(t, 200, status("/compute/v2.1/c"))
	assert.JSONEq(t, closed, body("/compute/v2.1/more"))

	set, err := policy.Parse("p", []byte("context_is_admin: role:member\nx:c: '!'\n"), rules)
	require.NoError(t, err)
	live.Replace(set)
	assert.Equal(t, 200, status("/compute/v2.1/a"))
	assert.Equal(t, 403, status("/compute/v2.1/c"))
	assert.JSONEq(t, open, body("/compute/v2.1/more"))
	assert.Equal(t, 403, status("/deaf/a"))
	assert.Equal(t, 200, status("/deaf/c"))
	assert.JSONEq(t, closed, body("/deaf/more"))
	_, _, message := faultOf(t, do(t, h, "GET", "/compute/v2.1/c", "", member))
	assert.Equal(t, "Policy doesn't allow x:c to be performed.", message)
}
