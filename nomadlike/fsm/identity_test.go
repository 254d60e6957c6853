package fsm_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func propose[Req, Resp any](w *world, c fsm.Command[Req, Resp], req *Req) error {
	_, err := c.Propose(context.Background(), w, req)
	return err
}

func kindOf(err error) structs.Kind {
	if err == nil {
		return 255
	}
	return structs.KindOf(err)
}

const done structs.Kind = 255

// What may not be, one case after the other on one state.
func TestIdentityRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	for i, c := range []struct {
		what string
		err  error
		want structs.Kind
	}{
		{"a domain", propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "d", Name: "One", Enabled: true}}), done},
		{"again", propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "d", Name: "One"}}), structs.KindConflict},
		{"its name in other letters", propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "e", Name: "oNE"}}), structs.KindConflict},
		{"another", propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "e", Name: "Two", Enabled: true}}), done},
		{"a project", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "p", DomainID: "d", Name: "P", Enabled: true}}), done},
		{"a project with a domain's id", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "d", DomainID: "d", Name: "Q"}}), structs.KindConflict},
		{"a domain with a project's id", propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "p", Name: "Three"}}), structs.KindConflict},
		{"its name in the domain", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "q", DomainID: "d", Name: "p"}}), structs.KindConflict},
		{"its name in another", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "q", DomainID: "e", Name: "p", Enabled: true}}), done},
		{"below what is in another domain", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "r", DomainID: "d", ParentID: "q", Name: "r"}}), structs.KindInvalid},
		{"below what is not", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "r", DomainID: "d", ParentID: "z", Name: "r"}}), structs.KindNotFound},
		{"below p", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "r", DomainID: "d", ParentID: "p", Name: "r", Enabled: true}, MaxDepth: 2}), done},
		{"too deep", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "s", DomainID: "d", ParentID: "r", Name: "s"}, MaxDepth: 2}), structs.KindForbidden},
		{"p is above what is enabled", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "p", DomainID: "d", Name: "P"}, Index: w.store.Snapshot().Project("p").ModifyIndex}), structs.KindForbidden},
		{"from an old version", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "r", DomainID: "d", ParentID: "p", Name: "r"}, Index: 1}), structs.KindConflict},
		{"to another parent", propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: structs.Project{ID: "r", DomainID: "d", Name: "r"}, Index: w.store.Snapshot().Project("r").ModifyIndex}), structs.KindForbidden},
		{"p has r below it", propose(w, fsm.ProjectDelete, &structs.ProjectDeleteRequest{ID: "p"}), structs.KindForbidden},
		{"a user of no domain", propose(w, fsm.UserWrite, &structs.UserWriteRequest{User: structs.User{ID: "u", DomainID: "z", Name: "u"}}), structs.KindNotFound},
		{"a user", propose(w, fsm.UserWrite, &structs.UserWriteRequest{User: structs.User{ID: "u", DomainID: "d", Name: "u", DefaultProjectID: "r"}}), done},
		{"a group", propose(w, fsm.GroupWrite, &structs.GroupWriteRequest{Group: structs.Group{ID: "g", DomainID: "d", Name: "g"}}), done},
		{"u into g", propose(w, fsm.MembershipWrite, &structs.MembershipWriteRequest{Membership: structs.Membership{UserID: "u", GroupID: "g"}}), done},
		{"and again", propose(w, fsm.MembershipWrite, &structs.MembershipWriteRequest{Membership: structs.Membership{UserID: "u", GroupID: "g"}}), done},
		{"a role", propose(w, fsm.RoleWrite, &structs.RoleWriteRequest{Role: structs.Role{ID: "member", Name: "member"}}), done},
		{"admin", propose(w, fsm.RoleWrite, &structs.RoleWriteRequest{Role: structs.Role{ID: "admin", Name: "admin"}}), done},
		{"e's role", propose(w, fsm.RoleWrite, &structs.RoleWriteRequest{Role: structs.Role{ID: "own", Name: "member", DomainID: "e"}}), done},
		{"admin is implied by nothing", propose(w, fsm.ImpliedRoleWrite, &structs.ImpliedRoleWriteRequest{ImpliedRole: structs.ImpliedRole{PriorID: "member", ImpliedID: "admin"}}), structs.KindForbidden},
		{"nor is a domain's", propose(w, fsm.ImpliedRoleWrite, &structs.ImpliedRoleWriteRequest{ImpliedRole: structs.ImpliedRole{PriorID: "member", ImpliedID: "own"}}), structs.KindForbidden},
		{"own implies member", propose(w, fsm.ImpliedRoleWrite, &structs.ImpliedRoleWriteRequest{ImpliedRole: structs.ImpliedRole{PriorID: "own", ImpliedID: "member"}}), done},
		{"nothing implies itself", propose(w, fsm.ImpliedRoleWrite, &structs.ImpliedRoleWriteRequest{ImpliedRole: structs.ImpliedRole{PriorID: "member", ImpliedID: "member"}}), structs.KindInvalid},
		{"a grant", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", ProjectID: "r", RoleID: "member"}}), done},
		{"of both", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", GroupID: "g", ProjectID: "r", RoleID: "member"}}), structs.KindInvalid},
		{"on nothing", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", RoleID: "member"}}), structs.KindInvalid},
		{"e's role in d", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", ProjectID: "r", RoleID: "own"}}), structs.KindForbidden},
		{"e's role on the system", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", System: true, RoleID: "own"}}), structs.KindForbidden},
		{"on the system, to be inherited", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", System: true, Inherited: true, RoleID: "member"}}), structs.KindInvalid},
		{"on the system", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{GroupID: "g", System: true, RoleID: "member"}}), done},
		{"take away what is not", propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: structs.Grant{UserID: "u", ProjectID: "r", RoleID: "admin"}, Remove: true}), structs.KindNotFound},
		{"r goes", propose(w, fsm.ProjectDelete, &structs.ProjectDeleteRequest{ID: "r"}), done},
		{"d is enabled", propose(w, fsm.DomainDelete, &structs.DomainDeleteRequest{ID: "d"}), structs.KindForbidden},
	} {
		require.Equal(t, c.want, kindOf(c.err), "%d %s: %v", i, c.what, c.err)
	}
	r := w.store.Snapshot()
	require.Empty(t, r.User("u").DefaultProjectID, "the project is gone")
	require.NoError(t, propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: structs.Domain{ID: "d", Name: "One"}, Index: r.Domain("d").ModifyIndex}))
	require.NoError(t, propose(w, fsm.DomainDelete, &structs.DomainDeleteRequest{ID: "d"}))
	r = w.store.Snapshot()
	require.Nil(t, r.Project("p"))
	require.Nil(t, r.User("u"))
	require.Nil(t, r.Group("g"))
	require.Nil(t, r.Membership("u", "g"))
	for range r.Grants() {
		t.Fatal("a grant is left")
	}
}

// A cluster whose roles imply nothing yet gets the default implications once: those that were taken away stay away.
func TestImplicationsAreMadeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	roles := []structs.Role{{ID: "a", Name: "admin"}, {ID: "g", Name: "manager"}, {ID: "m", Name: "member"}, {ID: "r", Name: "reader"}}
	require.NoError(t, propose(w, fsm.IdentityUpsert, &structs.IdentityUpsertRequest{Bootstrap: true, Roles: roles}))
	implied := func() (out []string) {
		for i := range w.store.Snapshot().ImpliedRoles() {
			out = append(out, string(i.PriorID+i.ImpliedID))
		}
		return out
	}
	require.Empty(t, implied())
	require.NoError(t, propose(w, fsm.IdentityUpsert, &structs.IdentityUpsertRequest{Implications: true}))
	require.Equal(t, []string{"ag", "gm", "mr"}, implied())
	require.NoError(t, propose(w, fsm.ImpliedRoleWrite, &structs.ImpliedRoleWriteRequest{ImpliedRole: structs.ImpliedRole{PriorID: "g", ImpliedID: "m"}, Remove: true}))
	require.NoError(t, propose(w, fsm.IdentityUpsert, &structs.IdentityUpsertRequest{Implications: true}))
	require.Equal(t, []string{"ag", "mr"}, implied())
}

// Random lives of identities: what is refused changes nothing, nothing points at what is gone, no name is twice in a domain, and the log makes the same state
// again.
func TestIdentityLives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, 0)
		some := func(what string) string { return fmt.Sprint(what, rapid.IntRange(0, 3).Draw(rt, what)) }
		maybe := func(s string) string { return rapid.SampledFrom([]string{"", s}).Draw(rt, "maybe") }
		version := func(v uint64) uint64 { return rapid.SampledFrom([]uint64{0, v, v, v}).Draw(rt, "version") }
		steps := []func(r state.Reader) error{
			func(r state.Reader) error {
				d := structs.Domain{ID: structs.DomainID(some("d")), Name: some("n"), Enabled: rapid.Bool().Draw(rt, "on")}
				var at uint64
				if old := r.Domain(d.ID); old != nil {
					at = old.ModifyIndex
				}
				return propose(w, fsm.DomainWrite, &structs.DomainWriteRequest{Domain: d, Index: version(at)})
			},
			func(state.Reader) error {
				return propose(w, fsm.DomainDelete, &structs.DomainDeleteRequest{ID: structs.DomainID(some("d"))})
			},
			func(r state.Reader) error {
				p := structs.Project{ID: structs.ProjectID(some("p")), DomainID: structs.DomainID(some("d")), ParentID: structs.ProjectID(maybe(some("p"))), Name: some("n"), Enabled: rapid.Bool().Draw(rt, "on")}
				var at uint64
				if old := r.Project(p.ID); old != nil {
					at = old.ModifyIndex
				}
				return propose(w, fsm.ProjectWrite, &structs.ProjectWriteRequest{Project: p, Index: version(at), MaxDepth: 4})
			},
			func(state.Reader) error {
				return propose(w, fsm.ProjectDelete, &structs.ProjectDeleteRequest{ID: structs.ProjectID(some("p"))})
			},
			func(r state.Reader) error {
				u := structs.User{ID: structs.UserID(some("u")), DomainID: structs.DomainID(some("d")), Name: some("n")}
				if p := r.Project(structs.ProjectID(some("p"))); p != nil {
					u.DefaultProjectID = p.ID
				}
				var at uint64
				if old := r.User(u.ID); old != nil {
					at = old.ModifyIndex
				}
				return propose(w, fsm.UserWrite, &structs.UserWriteRequest{User: u, Index: version(at)})
			},
			func(state.Reader) error {
				return propose(w, fsm.UserDelete, &structs.UserDeleteRequest{ID: structs.UserID(some("u"))})
			},
			func(r state.Reader) error {
				return propose(w, fsm.GroupWrite, &structs.GroupWriteRequest{Group: structs.Group{ID: structs.GroupID(some("g")), DomainID: structs.DomainID(some("d")), Name: some("n")}})
			},
			func(state.Reader) error {
				return propose(w, fsm.GroupDelete, &structs.GroupDeleteRequest{ID: structs.GroupID(some("g"))})
			},
			func(state.Reader) error {
				m := structs.Membership{UserID: structs.UserID(some("u")), GroupID: structs.GroupID(some("g"))}
				return propose(w, fsm.MembershipWrite, &structs.MembershipWriteRequest{Membership: m, Remove: rapid.Bool().Draw(rt, "rm")})
			},
			func(r state.Reader) error {
				return propose(w, fsm.RoleWrite, &structs.RoleWriteRequest{Role: structs.Role{ID: structs.RoleID(some("r")), DomainID: structs.DomainID(maybe(some("d"))), Name: some("n")}})
			},
			func(state.Reader) error {
				return propose(w, fsm.RoleDelete, &structs.RoleDeleteRequest{ID: structs.RoleID(some("r"))})
			},
			func(state.Reader) error {
				i := structs.ImpliedRole{PriorID: structs.RoleID(some("r")), ImpliedID: structs.RoleID(some("r"))}
				return propose(w, fsm.ImpliedRoleWrite, &structs.ImpliedRoleWriteRequest{ImpliedRole: i, Remove: rapid.Bool().Draw(rt, "rm")})
			},
			func(state.Reader) error {
				g := structs.Grant{UserID: structs.UserID(maybe(some("u"))), GroupID: structs.GroupID(maybe(some("g"))), ProjectID: structs.ProjectID(maybe(some("p"))),
					DomainID: structs.DomainID(maybe(some("d"))), System: rapid.Bool().Draw(rt, "sys"), RoleID: structs.RoleID(some("r")), Inherited: rapid.Bool().Draw(rt, "inh")}
				return propose(w, fsm.GrantWrite, &structs.GrantWriteRequest{Grant: g, Remove: rapid.Bool().Draw(rt, "rm")})
			},
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			before := snapshotBytes(rt, w)
			if err := rapid.SampledFrom(steps).Draw(rt, "step")(w.store.Snapshot()); err != nil {
				require.Equal(rt, before, snapshotBytes(rt, w), "%v", err)
			}
			checkIdentities(rt, w.store.Snapshot())
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

// snapshotBytes is all that is in the identity's tables.
func snapshotBytes(t require.TestingT, w *world) []byte {
	r := w.store.Snapshot()
	var b bytes.Buffer
	keep := func(v any) {
		text, err := structs.Encode(v)
		require.NoError(t, err)
		b.Write(text)
	}
	for v := range r.Domains() {
		keep(v)
	}
	for v := range r.Projects() {
		keep(v)
	}
	for v := range r.Users() {
		keep(v)
	}
	for v := range r.Groups() {
		keep(v)
		for m := range r.MembershipsOfGroup(v.ID) {
			keep(m)
		}
	}
	for v := range r.Roles() {
		keep(v)
	}
	for v := range r.ImpliedRoles() {
		keep(v)
	}
	for v := range r.Grants() {
		keep(v)
	}
	return b.Bytes()
}

// checkIdentities finds what points at nothing, and names that are twice.
func checkIdentities(t require.TestingT, r state.Reader) {
	names := map[string]bool{}
	once := func(kind string, domain structs.DomainID, name string) {
		key := kind + "/" + string(domain) + "/" + name
		require.False(t, names[key], "%s is twice", key)
		names[key] = true
	}
	for v := range r.Domains() {
		once("domain", "", v.Name)
		require.Nil(t, r.Project(structs.ProjectID(v.ID)))
	}
	for v := range r.Projects() {
		once("project", v.DomainID, v.Name)
		require.NotNil(t, r.Domain(v.DomainID))
		if v.ParentID != "" {
			require.Equal(t, v.DomainID, r.Project(v.ParentID).DomainID)
			require.True(t, r.Project(v.ParentID).Enabled || !v.Enabled, "%s is enabled below a disabled one", v.ID)
		}
	}
	for v := range r.Users() {
		once("user", v.DomainID, v.Name)
		require.NotNil(t, r.Domain(v.DomainID))
		require.True(t, v.DefaultProjectID == "" || r.Project(v.DefaultProjectID) != nil)
		for m := range r.MembershipsOfUser(v.ID) {
			require.NotNil(t, r.Group(m.GroupID))
		}
	}
	for v := range r.Groups() {
		once("group", v.DomainID, v.Name)
		require.NotNil(t, r.Domain(v.DomainID))
		for m := range r.MembershipsOfGroup(v.ID) {
			require.NotNil(t, r.User(m.UserID))
		}
	}
	for v := range r.Roles() {
		once("role", v.DomainID, v.Name)
		require.True(t, v.DomainID == "" || r.Domain(v.DomainID) != nil)
	}
	for v := range r.ImpliedRoles() {
		implied := r.Role(v.ImpliedID)
		require.True(t, implied.DomainID == "" || implied.DomainID == r.Role(v.PriorID).DomainID)
	}
	for g := range r.Grants() {
		require.True(t, g.UserID != "" && r.User(g.UserID) != nil || r.Group(g.GroupID) != nil)
		require.True(t, g.System || g.DomainID != "" && r.Domain(g.DomainID) != nil || r.Project(g.ProjectID) != nil)
		require.NotNil(t, r.Role(g.RoleID))
	}
}
