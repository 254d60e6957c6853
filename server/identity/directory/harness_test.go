package directory_test

import (
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// town is a cloud with two domains, each with a project, a user and a group, and somebody for every kind of caller.
type town struct {
	*identitytest.Cloud
	callers map[string]string // tokens by who has them
}

const (
	d1, d2 = "11111111111111111111111111111111", "22222222222222222222222222222222"
	p1, p2 = "a1111111111111111111111111111111", "a2222222222222222222222222222222"
	u1, u2 = "b1111111111111111111111111111111", "b2222222222222222222222222222222"
	g1, g2 = "c1111111111111111111111111111111", "c2222222222222222222222222222222"
)

func newTown(t *testing.T, o base.Options) *town {
	t.Helper()
	w := &town{identitytest.New(t, o), map[string]string{"": ""}}
	req := &structs.IdentityUpsertRequest{
		Domains: []structs.Domain{{ID: d1, Name: "d1", Enabled: true}, {ID: d2, Name: "d2", Enabled: true}},
		Projects: []structs.Project{{ID: p1, Name: "p1", DomainID: d1, Enabled: true, Tags: []string{"blue"}},
			{ID: p2, Name: "p2", DomainID: d2, Enabled: true}},
		Users:  []structs.User{{ID: u1, Name: "u1", DomainID: d1, Enabled: true}, {ID: u2, Name: "u2", DomainID: d2, Enabled: true}},
		Grants: []structs.Grant{{UserID: u1, ProjectID: p1, RoleID: w.Role("member")}, {UserID: u2, ProjectID: p2, RoleID: w.Role("member")}},
	}
	scopes := map[string]token.Scope{"member of p1": {Project: p1}, "member of p2": {Project: p2}}
	users := map[string]structs.UserID{"member of p1": u1, "member of p2": u2}
	add := func(who, role string, home structs.DomainID, g structs.Grant, s token.Scope) {
		id := structs.UserID("e0000000000000000000000000" + who[:2] + who[len(who)-2:] + "0f")
		req.Users = append(req.Users, structs.User{ID: id, Name: who, DomainID: home, Enabled: true})
		g.UserID, g.RoleID = id, w.Role(role)
		req.Grants = append(req.Grants, g)
		users[who], scopes[who] = id, s
	}
	for _, d := range []structs.DomainID{d1, d2} {
		for _, role := range []string{"manager", "reader"} {
			add(role+" of "+map[structs.DomainID]string{d1: "d1", d2: "d2"}[d], role, d, structs.Grant{DomainID: d}, token.Scope{Domain: d})
		}
	}
	add("system reader", "reader", base.DefaultDomain, structs.Grant{System: true}, token.Scope{System: true})
	add("project reader", "reader", d1, structs.Grant{ProjectID: p1}, token.Scope{Project: p1})
	w.Upsert(req)
	for who, s := range scopes {
		w.callers[who] = w.Token(users[who], s)
	}
	w.callers["unscoped u1"] = w.Token(u1, token.Scope{})
	w.callers["admin"] = w.AdminToken()
	w.callers["system admin"] = w.Token(w.Admin.ID, token.Scope{System: true})
	return w
}

// groups makes g1 and g2 through the state machine, each with its domain's user.
func (w *town) groups(t *testing.T) {
	t.Helper()
	for _, g := range []struct {
		group  structs.GroupID
		user   structs.UserID
		domain structs.DomainID
	}{{g1, u1, d1}, {g2, u2, d2}} {
		w.group(t, g.group, g.user, g.domain)
	}
}
