package fsm_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// people are two users, a project and two roles.
func people(t require.TestingT, w *world) {
	require.NoError(t, propose(w, fsm.IdentityUpsert, &structs.IdentityUpsertRequest{Domains: []structs.Domain{{ID: "d", Name: "d", Enabled: true}},
		Users:    []structs.User{{ID: "u0", DomainID: "d", Name: "u0"}, {ID: "u1", DomainID: "d", Name: "u1"}, {ID: "u2", DomainID: "d", Name: "u2"}},
		Projects: []structs.Project{{ID: "p0", DomainID: "d", Name: "p0"}, {ID: "p1", DomainID: "d", Name: "p1"}},
		Roles:    []structs.Role{{ID: "r0", Name: "r0"}, {ID: "r1", Name: "r1"}}}))
}

// What may not be, one case after the other on one state.
func TestDelegationRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	people(t, w)
	credential := func(c structs.Credential, index uint64) error {
		return propose(w, fsm.CredentialWrite, &structs.CredentialWriteRequest{Credential: c, Index: index})
	}
	app := func(c structs.ApplicationCredential, rules ...structs.AccessRule) error {
		return propose(w, fsm.ApplicationCredentialCreate, &structs.ApplicationCredentialCreateRequest{Credential: c, Rules: rules})
	}
	trust := func(v structs.Trust) error {
		return propose(w, fsm.TrustCreate, &structs.TrustCreateRequest{Trust: v})
	}
	use := func(id string, at structs.Time) error {
		return propose(w, fsm.TrustUse, &structs.TrustUseRequest{ID: id, At: at})
	}
	uses := 2
	roles := []structs.RoleID{"r0", "r1"}
	for i, c := range []struct {
		what string
		err  error
		want structs.Kind
	}{
		{"a credential", credential(structs.Credential{ID: "c", UserID: "u0", Type: "totp"}, 0), done},
		{"again", credential(structs.Credential{ID: "c", UserID: "u0"}, 0), structs.KindConflict},
		{"of nobody", credential(structs.Credential{ID: "e", UserID: "z"}, 0), structs.KindNotFound},
		{"on nothing", credential(structs.Credential{ID: "e", UserID: "u0", ProjectID: "z"}, 0), structs.KindNotFound},
		{"from an old version", credential(structs.Credential{ID: "c", UserID: "u0"}, 1), structs.KindConflict},
		{"a passcode", propose(w, fsm.TOTPUse, &structs.TOTPUseRequest{ID: "c", Step: 7}), done},
		{"the same", propose(w, fsm.TOTPUse, &structs.TOTPUseRequest{ID: "c", Step: 7}), structs.KindUnauthorized},
		{"an older one", propose(w, fsm.TOTPUse, &structs.TOTPUseRequest{ID: "c", Step: 6}), structs.KindUnauthorized},
		{"the next", propose(w, fsm.TOTPUse, &structs.TOTPUseRequest{ID: "c", Step: 8}), done},
		{"of no credential", propose(w, fsm.TOTPUse, &structs.TOTPUseRequest{ID: "z", Step: 8}), structs.KindUnauthorized},
		{"an application credential", app(structs.ApplicationCredential{ID: "a", UserID: "u0", ProjectID: "p0", Name: "a", RoleIDs: roles, AccessRules: []string{"x"}}, structs.AccessRule{ID: "x", Service: "compute", Method: "GET", Path: "/"}), done},
		{"its name", app(structs.ApplicationCredential{ID: "b", UserID: "u0", ProjectID: "p0", Name: "a", RoleIDs: roles}), structs.KindConflict},
		{"its id", app(structs.ApplicationCredential{ID: "a", UserID: "u1", ProjectID: "p0", Name: "a", RoleIDs: roles}), structs.KindConflict},
		{"without roles", app(structs.ApplicationCredential{ID: "b", UserID: "u0", ProjectID: "p0", Name: "b"}), structs.KindInvalid},
		{"with a role that is not", app(structs.ApplicationCredential{ID: "b", UserID: "u0", ProjectID: "p0", Name: "b", RoleIDs: []structs.RoleID{"z"}}), structs.KindNotFound},
		{"with the same rule", app(structs.ApplicationCredential{ID: "b", UserID: "u0", ProjectID: "p0", Name: "b", RoleIDs: roles, AccessRules: []string{"y", "x"}}, structs.AccessRule{ID: "y", Service: "compute", Method: "GET", Path: "/"}), done},
		{"with another's rule", app(structs.ApplicationCredential{ID: "e", UserID: "u1", ProjectID: "p0", Name: "e", RoleIDs: roles, AccessRules: []string{"x"}}), structs.KindNotFound},
		{"a rule in use", propose(w, fsm.AccessRuleDelete, &structs.AccessRuleDeleteRequest{ID: "x"}), structs.KindForbidden},
		{"no rule", propose(w, fsm.AccessRuleDelete, &structs.AccessRuleDeleteRequest{ID: "y"}), structs.KindNotFound},
		{"a goes", propose(w, fsm.ApplicationCredentialDelete, &structs.ApplicationCredentialDeleteRequest{ID: "a"}), done},
		{"and again", propose(w, fsm.ApplicationCredentialDelete, &structs.ApplicationCredentialDeleteRequest{ID: "a"}), structs.KindNotFound},
		{"b has it yet", propose(w, fsm.AccessRuleDelete, &structs.AccessRuleDeleteRequest{ID: "x"}), structs.KindForbidden},
		{"b goes", propose(w, fsm.ApplicationCredentialDelete, &structs.ApplicationCredentialDeleteRequest{ID: "b"}), done},
		{"the rule goes", propose(w, fsm.AccessRuleDelete, &structs.AccessRuleDeleteRequest{ID: "x"}), done},
		{"a trust", trust(structs.Trust{ID: "t", TrustorID: "u0", TrusteeID: "u1", ProjectID: "p0", RoleIDs: roles, RemainingUses: &uses, ExpiresAt: 100}), done},
		{"its id", trust(structs.Trust{ID: "t", TrustorID: "u0", TrusteeID: "u1"}), structs.KindConflict},
		{"to nobody", trust(structs.Trust{ID: "v", TrustorID: "u0", TrusteeID: "z"}), structs.KindNotFound},
		{"one", use("t", 1), done},
		{"too late", use("t", 100), structs.KindNotFound},
		{"two", use("t", 1), done},
		{"none is left", use("t", 1), structs.KindForbidden},
		{"of none", use("z", 1), structs.KindNotFound},
		{"handed on that is not to be", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles, RedelegatedID: "t"}), structs.KindForbidden},
		{"one to be handed on", trust(structs.Trust{ID: "h", TrustorID: "u0", TrusteeID: "u1", ProjectID: "p0", RoleIDs: roles[:1], Redelegations: 2, ExpiresAt: 100}), done},
		{"with more roles", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles, RedelegatedID: "h", ExpiresAt: 100}), structs.KindForbidden},
		{"for ever", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h"}), structs.KindForbidden},
		{"for longer", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 101}), structs.KindForbidden},
		{"as often", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 100, Redelegations: 2}), structs.KindForbidden},
		{"by another", trust(structs.Trust{ID: "v", TrustorID: "u2", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 100}), structs.KindForbidden},
		{"elsewhere", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p1", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 100}), structs.KindForbidden},
		{"impersonating", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 100, Impersonation: true}), structs.KindForbidden},
		{"for some uses", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 100, RemainingUses: &uses}), structs.KindForbidden},
		{"rightly", trust(structs.Trust{ID: "v", TrustorID: "u1", TrusteeID: "u2", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "h", ExpiresAt: 100, Redelegations: 1}), done},
		{"and on", trust(structs.Trust{ID: "x", TrustorID: "u2", TrusteeID: "u0", ProjectID: "p0", RoleIDs: roles[:1], RedelegatedID: "v", ExpiresAt: 99}), done},
		{"h goes", propose(w, fsm.TrustDelete, &structs.TrustDeleteRequest{ID: "h"}), done},
		{"and x with it", propose(w, fsm.TrustDelete, &structs.TrustDeleteRequest{ID: "x"}), structs.KindNotFound},
		{"c goes", propose(w, fsm.CredentialDelete, &structs.CredentialDeleteRequest{ID: "c"}), done},
		{"and again", propose(w, fsm.CredentialDelete, &structs.CredentialDeleteRequest{ID: "c"}), structs.KindNotFound},
	} {
		require.Equal(t, c.want, kindOf(c.err), "%d %s: %v", i, c.what, c.err)
	}
}

// Random lives of what is delegated, while users, projects and roles go: what is refused changes nothing, nothing points at what is gone, no trust gives more than
// the one that it was made with, and the log makes the same state again.
func TestDelegationLives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, 0)
		people(rt, w)
		n := func(what string, most int) int { return rapid.IntRange(0, most).Draw(rt, what) }
		user := func() structs.UserID { return structs.UserID(fmt.Sprint("u", n("u", 2))) }
		project := func() structs.ProjectID { return structs.ProjectID(fmt.Sprint("p", n("p", 1))) }
		some := func() []structs.RoleID { return [][]structs.RoleID{{"r0"}, {"r1"}, {"r0", "r1"}}[n("roles", 2)] }
		id := func() string { return fmt.Sprint("i", n("id", 5)) }
		steps := []func() error{
			func() error {
				c := structs.Credential{ID: id(), UserID: user(), Type: "ec2"}
				if n("on", 1) > 0 {
					c.ProjectID = project()
				}
				var at uint64
				if old := w.store.Snapshot().Credential(c.ID); old != nil && n("change", 2) > 0 {
					at = old.ModifyIndex
				}
				return propose(w, fsm.CredentialWrite, &structs.CredentialWriteRequest{Credential: c, Index: at})
			},
			func() error {
				return propose(w, fsm.CredentialDelete, &structs.CredentialDeleteRequest{ID: id()})
			},
			func() error {
				return propose(w, fsm.TOTPUse, &structs.TOTPUseRequest{ID: id(), Step: int64(n("step", 3))})
			},
			func() error {
				c := structs.ApplicationCredential{ID: id(), UserID: user(), ProjectID: project(), Name: fmt.Sprint(n("name", 2)), RoleIDs: some(), AccessRules: []string{id(), "new" + id()}[:n("rules", 2)]}
				rules := []structs.AccessRule{{ID: "new" + id(), Service: "s", Method: "GET", Path: fmt.Sprint("/", n("path", 1))}}
				for _, x := range c.AccessRules {
					if w.store.Snapshot().AccessRule(x) == nil {
						rules = append(rules, structs.AccessRule{ID: x, Service: "s", Method: "GET", Path: "/" + x})
					}
				}
				return propose(w, fsm.ApplicationCredentialCreate, &structs.ApplicationCredentialCreateRequest{Credential: c, Rules: rules})
			},
			func() error {
				return propose(w, fsm.ApplicationCredentialDelete, &structs.ApplicationCredentialDeleteRequest{ID: id()})
			},
			func() error {
				return propose(w, fsm.AccessRuleDelete, &structs.AccessRuleDeleteRequest{ID: "new" + id()})
			},
			func() error {
				v := structs.Trust{ID: id(), TrustorID: user(), TrusteeID: user(), ProjectID: project(), RoleIDs: some(), Impersonation: n("imp", 1) > 0, Redelegations: n("redelegations", 3), ExpiresAt: structs.Time(n("exp", 3))}
				if from := w.store.Snapshot().Trust(id()); from != nil && n("of", 2) > 0 {
					v.RedelegatedID, v.ProjectID, v.RoleIDs, v.TrustorID, v.ExpiresAt = from.ID, from.ProjectID, from.RoleIDs, from.TrusteeID, from.ExpiresAt
				} else if n("limit", 2) == 0 {
					uses := n("uses", 2)
					v.RemainingUses = &uses
				}
				return propose(w, fsm.TrustCreate, &structs.TrustCreateRequest{Trust: v})
			},
			func() error { return propose(w, fsm.TrustDelete, &structs.TrustDeleteRequest{ID: id()}) },
			func() error {
				return propose(w, fsm.TrustUse, &structs.TrustUseRequest{ID: id(), At: structs.Time(n("at", 3))})
			},
			func() error {
				if n("rarely", 3) > 0 {
					return nil
				}
				switch n("what", 2) {
				case 0:
					return propose(w, fsm.UserDelete, &structs.UserDeleteRequest{ID: user()})
				case 1:
					return propose(w, fsm.ProjectDelete, &structs.ProjectDeleteRequest{ID: project()})
				}
				return propose(w, fsm.RoleDelete, &structs.RoleDeleteRequest{ID: some()[0]})
			},
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			before := delegationBytes(rt, w.store.Snapshot())
			if err := rapid.SampledFrom(steps).Draw(rt, "step")(); err != nil {
				require.Equal(rt, before, delegationBytes(rt, w.store.Snapshot()), "%v", err)
			}
			checkDelegations(rt, w.store.Snapshot())
		}
		again := state.NewStore()
		for i, entry := range w.log {
			tx := again.Begin(uint64(i + 1))
			fsm.Apply(tx, uint64(i+1), entry)
			tx.Commit()
		}
		var whole, replayed bytes.Buffer
		require.NoError(rt, w.store.Snapshot().Persist(&whole))
		require.NoError(rt, again.Snapshot().Persist(&replayed))
		require.Equal(rt, whole.Bytes(), replayed.Bytes())
	})
}

func delegationBytes(t require.TestingT, r state.Reader) []byte {
	var b bytes.Buffer
	keep := func(v any) {
		text, err := structs.Encode(v)
		require.NoError(t, err)
		b.Write(text)
	}
	for v := range r.Credentials() {
		keep(v)
	}
	for v := range r.ApplicationCredentials() {
		keep(v)
	}
	for v := range r.AccessRules() {
		keep(v)
	}
	for v := range r.Trusts() {
		keep(v)
	}
	return b.Bytes()
}

func checkDelegations(t require.TestingT, r state.Reader) {
	for c := range r.Credentials() {
		require.NotNil(t, r.User(c.UserID))
		require.True(t, c.ProjectID == "" || r.Project(c.ProjectID) != nil)
	}
	names := map[string]bool{}
	for c := range r.ApplicationCredentials() {
		key := string(c.UserID) + "/" + c.Name
		require.False(t, names[key], "%s is twice", key)
		names[key] = true
		require.NotNil(t, r.User(c.UserID))
		require.NotNil(t, r.Project(c.ProjectID))
		require.NotEmpty(t, c.RoleIDs)
		for _, id := range c.RoleIDs {
			require.NotNil(t, r.Role(id))
		}
		for _, id := range c.AccessRules {
			require.NotNil(t, r.AccessRule(id), "%s of %s", id, c.ID)
			require.Equal(t, c.UserID, r.AccessRule(id).UserID)
		}
	}
	for x := range r.AccessRules() {
		require.NotNil(t, r.User(x.UserID))
	}
	for v := range r.Trusts() {
		require.NotNil(t, r.User(v.TrustorID))
		require.NotNil(t, r.User(v.TrusteeID))
		require.NotNil(t, r.Project(v.ProjectID))
		require.NotEmpty(t, v.RoleIDs)
		for _, id := range v.RoleIDs {
			require.NotNil(t, r.Role(id))
		}
		require.True(t, v.RemainingUses == nil || *v.RemainingUses >= 0)
		if v.RedelegatedID != "" {
			require.NotNil(t, r.Trust(v.RedelegatedID))
			require.True(t, fsm.HandsOn(r.Trust(v.RedelegatedID), v))
		}
	}
}
