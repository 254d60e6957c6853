package directory

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func (s *service) groupRoutes() []httpapi.Route {
	const list, one, member = "/groups", "/groups/{id}", "/groups/{id}/users/{user_id}"
	return slices.Concat(
		reads(list, httpapi.Judged("identity:list_groups", groupReader), groupQuery, 0, s.listGroups),
		reads(one, httpapi.Judged("identity:get_group", groupReader), nil, 0, s.showGroup),
		reads(one+"/users", httpapi.Judged("identity:list_users_in_group", groupReader), nil, 0, s.groupUsers),
		reads(member, httpapi.Judged("identity:check_user_in_group", memberReader), nil, http.StatusNoContent, s.checkMember),
		[]httpapi.Route{
			{Method: http.MethodPost, Path: list, Rule: httpapi.Judged("identity:create_group", groupManager), Body: groupNew, Status: http.StatusCreated, Handler: s.createGroup},
			{Method: http.MethodPatch, Path: one, Rule: httpapi.Judged("identity:update_group", groupManager), Body: groupChange, Handler: s.updateGroup},
			{Method: http.MethodDelete, Path: one, Rule: httpapi.Judged("identity:delete_group", groupManager), Status: http.StatusNoContent, Handler: s.deleteGroup},
			{Method: http.MethodPut, Path: member, Rule: httpapi.Judged("identity:add_user_to_group", memberManager), Status: http.StatusNoContent, Handler: s.addMember},
			{Method: http.MethodDelete, Path: member, Rule: httpapi.Judged("identity:remove_user_from_group", memberManager), Status: http.StatusNoContent, Handler: s.removeMember},
		})
}

// findGroup finds the group of a request, judges the row's rule for it, and answers 404 for one that is not there.
func findGroup(r *httpapi.Request, st state.Reader) (*structs.Group, error) {
	g := st.Group(structs.GroupID(r.Vars["id"]))
	what := policy.Target{}
	if g != nil {
		what = target("target.group.id", string(g.ID), "target.group.domain_id", string(g.DomainID))
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	if g == nil {
		return nil, base.NotFound("group", r.Vars["id"])
	}
	return g, nil
}

func (s *service) listGroups(r *httpapi.Request) (any, error) {
	if err := r.Judge(scoped(r, "target.group.domain_id")); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	var out []base.View
	for g := range st.Groups() {
		if v := base.ViewGroup(r, g); !outside(r, g.DomainID) && base.Matches(r, v, "domain_id", "name") {
			out = append(out, v)
		}
	}
	return page(r, "groups", out)
}

func (s *service) showGroup(r *httpapi.Request) (any, error) {
	return base.Show(r, "group", of(r, findGroup), base.ViewGroup)
}

func (s *service) groupUsers(r *httpapi.Request) (any, error) {
	st, g, err := found(r, findGroup)
	if err != nil {
		return nil, err
	}
	out, err := s.usersIn(r, func(yield func(*structs.User) bool) {
		for m := range st.MembershipsOfGroup(g.ID) {
			if !yield(st.User(m.UserID)) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return base.Collection(r, "users", out), nil
}

func (s *service) createGroup(r *httpapi.Request) (any, error) {
	f, err := body(r, "group")
	if err != nil {
		return nil, err
	}
	what := policy.Target{}
	if f.has("domain_id") {
		what = target("target.group.domain_id", f.text("domain_id"))
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	g := structs.Group{ID: structs.GroupID(nomadlike.NewHexID()), DomainID: f.home(r)}
	if err := fillGroup(&g, f); err != nil {
		return nil, err
	}
	made, err := fsm.GroupWrite.Propose(r.Context(), r.Core, &structs.GroupWriteRequest{Group: g})
	if err != nil {
		return nil, err
	}
	return map[string]any{"group": base.ViewGroup(r, made)}, nil
}

// fillGroup takes over what a body says.
func fillGroup(g *structs.Group, f fields) error {
	var err error
	if f.has("name") {
		g.Name = f.name("name")
	}
	if _, there := f["description"]; there {
		g.Description = f.text("description")
	}
	g.Extra, err = base.ExtraOf(g.Extra, f, "id", "name", "domain_id", "description")
	return err
}

func (s *service) updateGroup(r *httpapi.Request) (any, error) {
	f, err := body(r, "group")
	if err != nil {
		return nil, err
	}
	return base.Edit(r, "group", of(r, findGroup), func(_ state.Reader, g *structs.Group) error {
		if err := f.same(string(g.ID), g.DomainID); err != nil {
			return err
		}
		return fillGroup(g, f)
	}, func(g structs.Group, index uint64) error {
		_, err := fsm.GroupWrite.Propose(r.Context(), r.Core, &structs.GroupWriteRequest{Group: g, Index: index})
		return err
	}, base.ViewGroup)
}

func (s *service) deleteGroup(r *httpapi.Request) (any, error) {
	_, g, err := found(r, findGroup)
	if err != nil {
		return nil, err
	}
	_, err = fsm.GroupDelete.Propose(r.Context(), r.Core, &structs.GroupDeleteRequest{ID: g.ID})
	return nil, err
}

// findMember finds the group and the user of a request, judges the row's rule for both, and answers 404 for what is not there.
func findMember(r *httpapi.Request, st state.Reader) (structs.Membership, error) {
	m := structs.Membership{GroupID: structs.GroupID(r.Vars["id"]), UserID: structs.UserID(r.Vars["user_id"])}
	g, u := st.Group(m.GroupID), st.User(m.UserID)
	what := target()
	if g != nil {
		what.More["target.group.id"], what.More["target.group.domain_id"] = string(g.ID), string(g.DomainID)
	}
	if u != nil {
		what.More["target.user.id"], what.More["target.user.domain_id"] = string(u.ID), string(u.DomainID)
	}
	err := r.Judge(what)
	switch {
	case err != nil:
	case g == nil:
		err = base.NotFound("group", m.GroupID)
	case u == nil:
		err = base.NotFound("user", m.UserID)
	}
	return m, err
}

func (s *service) checkMember(r *httpapi.Request) (any, error) {
	st, m, err := found(r, findMember)
	if err == nil && st.Membership(m.UserID, m.GroupID) == nil {
		err = httpapi.NotFound("User '%s' not found in group '%s'.", m.UserID, m.GroupID)
	}
	return nil, err
}

func (s *service) addMember(r *httpapi.Request) (any, error) { return nil, s.member(r, false) }

func (s *service) removeMember(r *httpapi.Request) (any, error) { return nil, s.member(r, true) }

func (s *service) member(r *httpapi.Request, remove bool) error {
	_, m, err := found(r, findMember)
	if err != nil {
		return err
	}
	_, err = fsm.MembershipWrite.Propose(r.Context(), r.Core, &structs.MembershipWriteRequest{Membership: m, Remove: remove})
	return err
}
