package delegation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// held is a token that somebody got, with what the model says of it: whose authority it stands on, and the most that was ever given on the way to it.
type held struct {
	text   string
	giver  structs.UserID // at the head of the chain
	bearer structs.UserID // who proved itself
	most   map[string]bool
	links  int
}

// implied closes roles over the default implications.
func implied(names ...string) map[string]bool {
	order := []string{"reader", "member", "manager", "admin"}
	out := map[string]bool{}
	for _, n := range names {
		i := slices.Index(order, n)
		for _, m := range order[:i+1] {
			out[m] = true
		}
	}
	return out
}

func both(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = a[k] && b[k]
	}
	return out
}

// Random chains of application credentials, trusts, keys and tokens made from tokens, while roles come and go and users are disabled: no token ever has a role on
// the project that its first giver has not at that very moment, or that any link of its chain did not give.
func TestChainsOfDelegations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newCloud(t)
		m := &chains{cloud: c, rt: rt, granted: map[structs.UserID]map[string]bool{ann: {"member": true, "manager": true}, bob: {"member": true}, cat: {}}, off: map[structs.UserID]bool{}}
		for range rapid.IntRange(8, 24).Draw(rt, "steps") {
			rapid.SampledFrom([]func(){m.ownToken, m.appCred, m.appCred, m.trust, m.trust, m.keys, m.fromToken, m.changeGrant, m.changeUser}).Draw(rt, "step")()
			m.check()
		}
	})
}

type chains struct {
	*cloud
	rt      *rapid.T
	granted map[structs.UserID]map[string]bool
	off     map[structs.UserID]bool
	tokens  []held
	n       int
}

func (m *chains) user() structs.UserID {
	return rapid.SampledFrom([]structs.UserID{ann, bob, cat}).Draw(m.rt, "user")
}

func (m *chains) role() string {
	return rapid.SampledFrom([]string{"reader", "member", "manager"}).Draw(m.rt, "role")
}

func (m *chains) yes(what string) bool { return rapid.Bool().Draw(m.rt, what) }

// any is some token, mostly one that holds; one on its user's own authority when there is none yet.
func (m *chains) any() held {
	if len(m.tokens) == 0 {
		return held{text: m.on(ann), giver: ann, bearer: ann, most: implied("admin")}
	}
	h := rapid.SampledFrom(m.tokens).Draw(m.rt, "token")
	for i := 0; i < len(m.tokens) && m.rolesOf(h.text) == nil; i++ {
		h = m.tokens[i]
	}
	return h
}

// got keeps a token that a login gave.
func (m *chains) got(text string, giver, bearer structs.UserID, most map[string]bool, links int) {
	if text != "" {
		m.tokens = append(m.tokens, held{text, giver, bearer, most, links})
	}
}

func (m *chains) loginFor(identity, scope string) string {
	return m.login(identity, scope).Header.Get("X-Subject-Token")
}

func (m *chains) ownToken() {
	u := m.user()
	m.got(m.on(u), u, u, implied("admin"), 0) // past the login, which takes its time for the password
}

func (m *chains) appCred() {
	from := m.any()
	m.n++
	asked, more := implied("admin"), fmt.Sprintf(`"unrestricted":%v`, m.yes("free"))
	if m.yes("some roles") {
		r := m.role()
		asked, more = implied(r), more+`,"roles":`+roles(r)
	}
	u := rapid.SampledFrom([]structs.UserID{from.giver, from.giver, from.bearer}).Draw(m.rt, "owner")
	a := m.Do("POST", "/users/"+string(u)+"/application_credentials", from.text, fmt.Sprintf(`{"application_credential":{"name":"n%d",%s}}`, m.n, more))
	if a.Status != 201 {
		return
	}
	require.Equal(m.rt, from.giver, u, "made by nobody but its user")
	made := a.JSON(m.T)["application_credential"].(map[string]any)
	m.got(m.loginFor(byAppCred(made["id"].(string), made["secret"].(string)), ""), from.giver, u, both(from.most, asked), from.links+1)
}

func (m *chains) trust() {
	from, r, to := m.any(), m.role(), m.user()
	more := ""
	if m.yes("again") {
		more = `"allow_redelegation":true`
	}
	trustor := rapid.SampledFrom([]structs.UserID{from.giver, from.bearer}).Draw(m.rt, "trustor")
	a := m.cloud.trust(from.text, trustor, to, m.yes("impersonation"), roles(r), more)
	if a.Status != 201 {
		return
	}
	id := a.JSON(m.T)["trust"].(map[string]any)["id"].(string)
	most := implied(r)
	if from.links > 0 { // it was handed on; a trust on one's own authority is of all that one has
		most = both(from.most, most)
	}
	m.got(m.loginFor(byToken(m.Token(to, scopeless)), trustScope(id)), from.giver, to, most, from.links+1)
}

func (m *chains) keys() {
	from := m.any()
	u := rapid.SampledFrom([]structs.UserID{from.giver, from.bearer}).Draw(m.rt, "owner")
	a := m.Do("POST", "/users/"+string(u)+"/credentials/OS-EC2", from.text, fmt.Sprintf(`{"tenant_id":%q}`, m.project))
	if a.Status != 201 {
		return
	}
	k := a.JSON(m.T)["credential"].(map[string]any)
	e := m.ec2(m.on(svc), "credentials", signedV2(k["access"].(string), k["secret"].(string), "cloud", m.Now()))
	m.got(e.Header.Get("X-Subject-Token"), from.giver, from.bearer, from.most, from.links+1)
}

func (m *chains) fromToken() {
	from := m.any()
	scope := rapid.SampledFrom([]string{"", projectScope(m.project), projectScope(m.Demo.DefaultProjectID), `"unscoped"`}).Draw(m.rt, "scope")
	m.got(m.loginFor(byToken(from.text), scope), from.giver, from.bearer, from.most, from.links)
}

func (m *chains) changeGrant() {
	u, r := m.user(), m.role()
	if m.granted[u][r] && m.yes("keep") {
		return
	}
	if m.granted[u][r] {
		m.revoke(u, m.project, r)
	} else {
		m.grant(u, m.project, r)
	}
	m.granted[u][r] = !m.granted[u][r]
}

func (m *chains) changeUser() {
	u := m.user()
	m.off[u] = !m.off[u] && m.yes("off") && m.yes("really")
	m.set(u, func(v *structs.User) { v.Enabled = !m.off[u] })
	m.Pass(time.Millisecond)
}

func (m *chains) check() {
	for _, h := range m.tokens {
		v, err := m.Auth.Verify(h.text)
		if err != nil {
			continue
		}
		var has []string
		for r, on := range m.granted[h.giver] {
			if on {
				has = append(has, r)
			}
		}
		now := implied(has...)
		require.False(m.rt, m.off[h.giver] || m.off[h.bearer], "one of them is disabled")
		if v.ProjectID == "" {
			require.Empty(m.rt, v.Roles)
			continue
		}
		require.Equal(m.rt, m.project, v.ProjectID, "on no other project")
		require.NotEmpty(m.rt, v.Roles)
		for _, r := range v.Roles {
			require.True(m.rt, now[r], "%s has %s, its first giver %v", h.text, r, has)
			require.True(m.rt, h.most[r], "%s has %s, it was given %v", h.text, r, h.most)
		}
		if h.links > 0 {
			require.True(m.rt, v.TrustID != "" || v.ApplicationCredID != "" || slices.Contains(v.Methods, "ec2credential"), "it knows that it was delegated")
		}
	}
}
