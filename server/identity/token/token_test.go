package token

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// TestVoid changes one thing at a time that a token stands on. Each token is verified (and so cached) before: the change must be seen at once.
func TestVoid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world){
		"user disabled": func(w *world) {
			u := w.demo
			u.Enabled = false
			w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
		},
		"password changed": func(w *world) {
			u := w.demo
			u.PasswordAt = w.now() + 1
			w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
		},
		"project disabled": func(w *world) {
			p := *w.core.Stale().Project(w.demo.DefaultProjectID)
			p.Enabled = false
			w.upsert(&structs.IdentityUpsertRequest{Projects: []structs.Project{p}})
		},
		"domain disabled": func(w *world) {
			w.upsert(&structs.IdentityUpsertRequest{Domains: []structs.Domain{{ID: base.DefaultDomain, Name: "Default"}}})
		},
		"revoked": func(w *world) {
			tok, err := w.auth.Verify(w.issued)
			require.NoError(w.t, err)
			_, err = fsm.TokenRevoke.Propose(context.Background(), w.core, &structs.TokenRevokeRequest{Revocation: structs.Revocation{AuditID: tok.AuditID, ExpiresAt: tok.ExpiresAt}})
			require.NoError(w.t, err)
		},
		"key dropped": func(w *world) {
			old := TokenKeys(w.core.Stale())[0].ID
			w.addKey(nomadlike.NewTokenKey(w.now()), old)
		},
		"expired": func(w *world) { w.clock = w.clock.Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issued = w.issue(w.demo)
			for range 2 {
				_, err := w.auth.Verify(w.issued)
				require.NoError(t, err)
			}
			change(w)
			for range 2 {
				_, err := w.auth.Verify(w.issued)
				assert.ErrorIs(t, err, errInvalid)
			}
		})
	}
}

// TestGrants: roles are looked up, not carried; without one the token is void, with a new one it has it at once.
func TestGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok := w.issue(w.demo)
	v, err := w.auth.Verify(tok)
	require.NoError(t, err)
	assert.Equal(t, []string{"member", "reader"}, v.Roles)
	var admin structs.RoleID
	for r := range w.core.Stale().Roles() {
		if r.Name == "admin" {
			admin = r.ID
		}
	}
	w.upsert(&structs.IdentityUpsertRequest{Grants: []structs.Grant{{UserID: w.demo.ID, ProjectID: w.demo.DefaultProjectID, RoleID: admin}}})
	v, err = w.auth.Verify(tok)
	require.NoError(t, err)
	assert.Equal(t, []string{"admin", "manager", "member", "reader"}, v.Roles)

	foreign, err := w.auth.Issue(w.demo.ID, w.admin.DefaultProjectID, time.Hour, "password")
	require.NoError(t, err)
	_, err = w.auth.Verify(foreign)
	assert.ErrorIs(t, err, errInvalid, "a token for a project without grant does not hold, even when signed")
}

// TestTampered flips every character of a token.
func TestTampered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok := w.issue(w.demo)
	assert.Less(t, len(tok), 256)
	assert.NotContains(t, tok, "=")
	for i := range tok {
		c := byte('A')
		if tok[i] == c {
			c = 'B'
		}
		changed := tok[:i] + string(c) + tok[i+1:]
		if _, err := w.auth.Verify(changed); err == nil && i < len(tok)-1 {
			t.Fatalf("character %d may be changed", i)
		}
	}
	for _, bad := range []string{"", "x", tok + "!", tok + "\n", " " + tok, tok[:len(tok)-4], strings.Repeat("A", 5000), "gAAAAA", tok + tok} {
		_, err := w.auth.Verify(bad)
		assert.ErrorIs(t, err, errInvalid, "%.20q", bad)
	}
	other := newWorld(t)
	_, err := other.auth.Verify(tok)
	assert.ErrorIs(t, err, errInvalid, "another cluster's key")
}

func TestVerifyNeverPanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[A-Za-z0-9_-]{0,300}`).Draw(t, "token")
		if _, err := w.auth.Verify(s); err == nil {
			t.Fatalf("%q holds", s)
		}
	})
}

// TestRotation follows the ring through days: what was issued stays valid for its life, keys do not pile up, and a key signs only once
// others had time to learn it.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const ttl = time.Hour
	type issued struct {
		token string
		until time.Time
	}
	var tokens []issued
	for range 600 {
		w.clock = w.clock.Add(time.Minute)
		if req := nomadlike.RotateTokenKeys(TokenKeys(w.core.Stale()), w.now(), ttl); req != nil {
			w.addKey(req.Key, req.Drop...)
			signing, err := signingKey(w.core.Stale(), w.now())
			require.NoError(t, err)
			assert.NotEqual(t, req.Key.Key, signing[:], "the new key settles first")
		}
		assert.LessOrEqual(t, len(TokenKeys(w.core.Stale())), 3)
		tokens = append(tokens, issued{w.issue(w.demo), w.clock.Add(ttl)})
		for i, tok := range tokens {
			if i%7 != 0 && i < len(tokens)-1 {
				continue
			}
			_, err := w.auth.Verify(tok.token)
			assert.Equal(t, w.clock.Before(tok.until), err == nil, "%v", err)
		}
	}
	assert.NotNil(t, nomadlike.RotateTokenKeys(nil, 1, ttl), "an empty ring gets its first key")
}

// TestSettlingKeyOutlives: while a new key settles the old one still signs, so that it must outlive the new one's first tokens.
func TestSettlingKeyOutlives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const ttl = time.Hour
	first := TokenKeys(w.core.Stale())[0].ID
	w.clock = w.clock.Add(ttl)
	req := nomadlike.RotateTokenKeys(TokenKeys(w.core.Stale()), w.now(), ttl)
	w.addKey(req.Key, req.Drop...)
	w.clock = w.clock.Add(nomadlike.TokenKeySettle - 1)
	tok := w.issue(w.demo) // the old key's
	w.clock = w.clock.Add(ttl - nomadlike.TokenKeySettle + 1)
	req = nomadlike.RotateTokenKeys(TokenKeys(w.core.Stale()), w.now(), ttl)
	require.NotNil(t, req)
	assert.NotContains(t, req.Drop, first)
	w.addKey(req.Key, req.Drop...)
	_, err := w.auth.Verify(tok)
	assert.NoError(t, err)
	w.clock = w.clock.Add(ttl)
	req = nomadlike.RotateTokenKeys(TokenKeys(w.core.Stale()), w.now(), ttl)
	assert.Equal(t, []string{first}, req.Drop)
}

func TestPayloadRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.StringMatching(`[0-9a-f]{32}`), rapid.StringMatching(`[a-z0-9-]{1,40}`))
		c := claims{user: structs.UserID(id.Draw(t, "u")), project: structs.ProjectID(id.Draw(t, "p")), methods: []string{"password", "token"},
			issued: structs.Time(rapid.Int64Range(1, 1<<62).Draw(t, "i")), expires: structs.Time(rapid.Int64Range(1, 1<<62).Draw(t, "e")), audit: newAuditID(), parent: newAuditID()}
		switch rapid.IntRange(0, 5).Draw(t, "scope") {
		case 0:
			c.project = ""
		case 1:
			c.project, c.domain = "", structs.DomainID(id.Draw(t, "d"))
		case 2:
			c.project, c.system = "", true
		case 3:
			c.trust = id.Draw(t, "trust")
		case 4:
			c.appCred = id.Draw(t, "appcred")
		}
		b, err := encodePayload(c.payload())
		if err != nil {
			t.Fatal(err)
		}
		p, err := decodePayload(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.claims(); got.user != c.user || got.project != c.project || got.domain != c.domain || got.system != c.system || got.trust != c.trust || got.appCred != c.appCred || got.issued != c.issued || got.expires != c.expires || got.audit != c.audit || got.parent != c.parent || len(got.methods) != 2 {
			t.Fatalf("%+v became %+v", c, got)
		}
	})
}

// TestConcurrentVerify is for the race detector: many verify while identities change.
func TestConcurrentVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tok := w.issue(w.demo)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				_, err := w.auth.Verify(tok)
				assert.NoError(t, err)
			}
		})
	}
	for i := range 50 {
		u := w.demo
		u.Email = strings.Repeat("x", i)
		w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
	}
	wg.Wait()
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	tok := w.issue(w.demo)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.auth.Verify(tok); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyParallel(b *testing.B) {
	w := newWorld(b)
	tok := w.issue(w.demo)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.auth.Verify(tok); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerifyUncached(b *testing.B) {
	w := newWorld(b)
	tok := w.issue(w.demo)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := check(w.core.Stale(), tok, w.now()); err != nil {
			b.Fatal(err)
		}
	}
}
