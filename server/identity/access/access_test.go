package access

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// model is the reference: sets and the plainest words for the rules, closed over until nothing is added.
type model struct {
	parent  map[string]string // project to project
	domain  map[string]string // project to domain
	enabled map[string]bool   // of domains, projects
	in      map[string]bool   // user/group
	implies map[string]bool   // role/role
	ofOne   map[string]bool   // roles of a domain
	grants  []structs.Grant
	roles   []string
}

func (m *model) has(u string, g structs.Grant) bool {
	return string(g.UserID) == u || g.GroupID != "" && m.in[u+"/"+string(g.GroupID)]
}

func (m *model) holdsOn(g structs.Grant, p string) bool {
	if !g.Inherited {
		return string(g.ProjectID) == p
	}
	if g.DomainID != "" {
		return string(g.DomainID) == m.domain[p]
	}
	for q := m.parent[p]; q != ""; q = m.parent[q] {
		if q == string(g.ProjectID) {
			return true
		}
	}
	return false
}

// closed adds what is implied and leaves out the roles of one domain, by name (which is the id here).
func (m *model) closed(have map[string]bool) []string {
	for again := true; again; {
		again = false
		for _, a := range m.roles {
			for _, b := range m.roles {
				if have[a] && m.implies[a+"/"+b] && !have[b] {
					have[b], again = true, true
				}
			}
		}
	}
	out := []string{}
	for _, r := range m.roles {
		if have[r] && !m.ofOne[r] {
			out = append(out, r)
		}
	}
	return out
}

func (m *model) on(u string, holds func(structs.Grant) bool) []string {
	have := map[string]bool{}
	for _, g := range m.grants {
		if m.has(u, g) && holds(g) {
			have[string(g.RoleID)] = true
		}
	}
	return m.closed(have)
}

func names(roles []*structs.Role) []string {
	out := []string{}
	for _, r := range roles {
		out = append(out, r.Name)
	}
	return out
}

// Random clouds: everybody has on every project, domain and the system the roles that the model says, and sees the places where it has some.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{map[string]string{}, map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, nil, nil}
		store := state.NewStore()
		tx := store.Begin(1)
		n := func(what string, most int) int { return rapid.IntRange(0, most).Draw(rt, what) }
		yes := func(what string) bool { return rapid.Bool().Draw(rt, what) }
		for d := range 2 {
			id := fmt.Sprint("d", d)
			m.enabled[id] = n("domain off", 4) > 0
			tx.PutDomain(&structs.Domain{ID: structs.DomainID(id), Name: id, Enabled: m.enabled[id]})
		}
		projects := n("projects", 6)
		for p := range projects {
			id := fmt.Sprint("p", p)
			m.domain[id], m.enabled[id] = fmt.Sprint("d", n("domain", 1)), n("project off", 4) > 0
			if p > 0 && yes("child") {
				if over := fmt.Sprint("p", n("parent", p-1)); m.domain[over] == m.domain[id] {
					m.parent[id] = over
				}
			}
			tx.PutProject(&structs.Project{ID: structs.ProjectID(id), Name: id, DomainID: structs.DomainID(m.domain[id]), ParentID: structs.ProjectID(m.parent[id]), Enabled: m.enabled[id]})
		}
		for u := range 2 {
			for g := range 2 {
				if yes("member") {
					m.in[fmt.Sprintf("u%d/g%d", u, g)] = true
					tx.PutMembership(&structs.Membership{UserID: structs.UserID(fmt.Sprint("u", u)), GroupID: structs.GroupID(fmt.Sprint("g", g))})
				}
			}
		}
		for r := range 5 {
			id := fmt.Sprint("r", r)
			role := structs.Role{ID: structs.RoleID(id), Name: id}
			if r == 4 {
				m.ofOne[id], role.DomainID = true, "d0"
			}
			m.roles = append(m.roles, id)
			tx.PutRole(&role)
		}
		for range n("implications", 6) { // circles too
			a, b := fmt.Sprint("r", n("prior", 4)), fmt.Sprint("r", n("implied", 3))
			m.implies[a+"/"+b] = true
			tx.PutImpliedRole(&structs.ImpliedRole{PriorID: structs.RoleID(a), ImpliedID: structs.RoleID(b)})
		}
		for range n("grants", 8) {
			g := structs.Grant{RoleID: structs.RoleID(fmt.Sprint("r", n("role", 4)))}
			if yes("of a group") {
				g.GroupID = structs.GroupID(fmt.Sprint("g", n("group", 1)))
			} else {
				g.UserID = structs.UserID(fmt.Sprint("u", n("user", 1)))
			}
			switch where := n("where", 4); {
			case where == 0:
				g.System = true
			case where == 1 || projects == 0:
				g.DomainID, g.Inherited = structs.DomainID(fmt.Sprint("d", n("on", 1))), yes("inherited")
			default:
				g.ProjectID, g.Inherited = structs.ProjectID(fmt.Sprint("p", n("on", projects-1))), yes("inherited")
			}
			m.grants = append(m.grants, g)
			tx.PutGrant(&g)
		}
		tx.Commit()
		m.compare(rt, store.Snapshot(), projects)
	})
}

func (m *model) compare(t require.TestingT, r state.Reader, projects int) {
	for _, u := range []string{"u0", "u1"} {
		user := structs.UserID(u)
		var onAny []structs.ProjectID
		for p := range projects {
			id := fmt.Sprint("p", p)
			want := m.on(u, func(g structs.Grant) bool { return m.holdsOn(g, id) })
			require.Equal(t, want, names(OnProject(r, user, r.Project(structs.ProjectID(id)))), "%s on %s", u, id)
			granted := slices.ContainsFunc(m.grants, func(g structs.Grant) bool { return m.has(u, g) && m.holdsOn(g, id) })
			if granted && m.enabled[id] && m.enabled[m.domain[id]] {
				onAny = append(onAny, structs.ProjectID(id))
			}
		}
		var seen []structs.ProjectID
		for _, p := range Projects(r, user) {
			seen = append(seen, p.ID)
		}
		require.Equal(t, onAny, seen, u)
		// what is effective says of every place the same as a token there
		for p := range projects {
			id := structs.ProjectID(fmt.Sprint("p", p))
			var listed []string
			for _, a := range Assignments(r, Filter{User: user, Project: id, Effective: true}) {
				listed = append(listed, string(a.RoleID))
			}
			slices.Sort(listed)
			require.ElementsMatch(t, names(OnProject(r, user, r.Project(id))), slices.Compact(listed), "effective: %s on %s", u, id)
		}
		for _, d := range []string{"d0", "d1"} {
			on := func(g structs.Grant) bool { return string(g.DomainID) == d && !g.Inherited }
			require.Equal(t, m.on(u, on), names(OnDomain(r, user, structs.DomainID(d))), "%s on %s", u, d)
			granted := slices.ContainsFunc(m.grants, func(g structs.Grant) bool { return m.has(u, g) && on(g) })
			listed := slices.ContainsFunc(Domains(r, user), func(x *structs.Domain) bool { return string(x.ID) == d })
			require.Equal(t, granted && m.enabled[d], listed)
		}
		require.Equal(t, m.on(u, func(g structs.Grant) bool { return g.System }), names(OnSystem(r, user)), "%s on the system", u)
	}
}
