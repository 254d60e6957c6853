package project

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const groupPolicy = "os_compute_api:os-server-groups:"

func (s *service) serverGroupRoutes() []httpapi.Route {
	const all, one = "/os-server-groups", "/os-server-groups/{id}"
	member := func(verb string) httpapi.Rule { return httpapi.MemberOrAdmin(groupPolicy + verb) }
	reader := func(verb string) httpapi.Rule { return httpapi.ReaderOrAdmin(groupPolicy + verb) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Rule: reader("index"), Query: groupListQuery, Handler: s.listServerGroups},
		{Method: http.MethodPost, Path: all, Rule: member("create"), Body: groupCreateSchema, Handler: s.createServerGroup},
		{Method: http.MethodGet, Path: one, Rule: reader("show"), Query: base.NoQuery, Handler: s.showServerGroup},
		{Method: http.MethodDelete, Path: one, Rule: member("delete"), Status: http.StatusNoContent, Handler: s.deleteServerGroup},
	}
}

var (
	groupListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"all_projects": @text, "limit": @limit, "offset": @limit}}`)

	groupCreateSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["server_group"], "properties": {
		"server_group": {"type": "object", "additionalProperties": false, "required": ["name"],
			"x-required": {"policies": {"max": 63}, "policy": {"min": 64}}, "properties": {
			"name": @name,
			"policies": {"x-max": 63, "type": "array", "minItems": 1, "maxItems": 1, "uniqueItems": true, "items": {"type": "string", "x-when": [
				{"max": 14, "schema": {"enum": ["affinity", "anti-affinity"]}},
				{"min": 15, "schema": {"enum": ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]}}]}},
			"policy": {"x-min": 64, "type": "string", "enum": ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]},
			"rules": {"x-min": 64, "type": "object", "additionalProperties": false, "properties": {"max_server_per_host": @count}}}}}}`)
)

// groupView is a group as a microversion shows it: who made it from 2.13 on, one policy and its rules from 2.64 on.
func groupView(r *httpapi.Request, rd state.Reader, g *structs.ServerGroup) map[string]any {
	members := []structs.InstanceID{}
	for i := range rd.GroupMembers(g.ID) {
		members = append(members, i.ID)
	}
	v := map[string]any{"id": g.ID, "name": g.Name, "members": members}
	if r.Version >= 64 {
		rules := map[string]int64{}
		if g.MaxPerHost > 0 {
			rules["max_server_per_host"] = g.MaxPerHost
		}
		v["policy"], v["rules"] = g.Policy, rules
	} else {
		v["policies"], v["metadata"] = []structs.ServerGroupPolicy{g.Policy}, struct{}{}
	}
	if r.Version >= 13 {
		v["project_id"], v["user_id"] = g.ProjectID, g.UserID
	}
	return v
}

// listServerGroups lists the project's groups; with all_projects an administrator's list has everybody's, and others' word for it is passed over.
func (s *service) listServerGroups(r *httpapi.Request) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	var found []*structs.ServerGroup
	if r.Query().Has("all_projects") && r.May(ruleAllGroups) {
		found = slices.SortedFunc(rd.AllServerGroups(), func(a, b *structs.ServerGroup) int { return cmp.Compare(a.Num, b.Num) })
	} else {
		found = slices.Collect(rd.ServerGroups(r.Token.ProjectID))
	}
	list := []map[string]any{}
	for _, g := range httpapi.Slice(r, found, p) {
		list = append(list, groupView(r, rd, g))
	}
	return map[string]any{"server_groups": list}, nil
}

// groupOfURL returns the group that the URL names. What the caller may not see is 404.
func groupOfURL(r *httpapi.Request) (*structs.ServerGroup, state.Reader, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, rd, err
	}
	g := rd.ServerGroup(structs.ServerGroupID(r.Vars["id"]))
	if g == nil || !r.Sees(g.ProjectID) {
		return nil, rd, httpapi.NotFound("Instance group %s could not be found.", r.Vars["id"])
	}
	return g, rd, r.AllowObject(g.ProjectID, g.UserID)
}

func (s *service) showServerGroup(r *httpapi.Request) (any, error) {
	g, rd, err := groupOfURL(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"server_group": groupView(r, rd, g)}, nil
}

func (s *service) deleteServerGroup(r *httpapi.Request) (any, error) {
	g, _, err := groupOfURL(r)
	if err != nil {
		return nil, err
	}
	_, err = fsm.ServerGroupDelete.Propose(r.Context(), r.Core, &structs.ServerGroupDeleteRequest{ID: g.ID})
	return nil, err
}

type groupCreateBody struct {
	Group struct {
		Name     string                      `json:"name"`
		Policies []structs.ServerGroupPolicy `json:"policies"`
		Policy   structs.ServerGroupPolicy   `json:"policy"`
		Rules    struct {
			MaxPerHost *base.FlexInt `json:"max_server_per_host"`
		} `json:"rules"`
	} `json:"server_group"`
}

func (s *service) createServerGroup(r *httpapi.Request) (any, error) {
	body, err := base.Decode[groupCreateBody](r)
	if err != nil {
		return nil, err
	}
	in := &body.Group
	g := structs.ServerGroup{ID: structs.ServerGroupID(nomadlike.NewUUID()), ProjectID: r.Token.ProjectID, UserID: r.Token.UserID, Name: in.Name, Policy: in.Policy,
		CreatedAt: s.Time()}
	if g.ProjectID == "" {
		return nil, httpapi.Forbidden("Policy doesn't allow %s to be performed.", r.Route.Rule.Name())
	}
	if len(in.Policies) > 0 {
		g.Policy = in.Policies[0]
	}
	if n := in.Rules.MaxPerHost; n != nil {
		if g.Policy != structs.PolicyAntiAffinity {
			return nil, httpapi.BadRequest("Only anti-affinity policy supports rules.")
		}
		g.MaxPerHost = int64(*n)
	}
	made, err := fsm.ServerGroupCreate.Propose(r.Context(), r.Core, &structs.ServerGroupCreateRequest{Group: g})
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	return map[string]any{"server_group": groupView(r, rd, made)}, nil
}
