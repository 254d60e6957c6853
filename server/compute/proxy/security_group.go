package proxy

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) securityGroupRoutes() []httpapi.Route {
	const groups, group, rules, rule = "/os-security-groups", "/os-security-groups/{id}", "/os-security-group-rules", "/os-security-group-rules/{id}"
	reader := func(verb string) httpapi.Rule {
		return httpapi.ReaderOrAdmin("os_compute_api:os-security-groups:" + verb)
	}
	member := func(verb string) httpapi.Rule {
		return httpapi.MemberOrAdmin("os_compute_api:os-security-groups:" + verb)
	}
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: groups, Rule: reader("get"), Query: securityGroupListQuery, Handler: s.listSecurityGroups},
		{Method: http.MethodPost, Path: groups, Rule: member("create"), Body: securityGroupSchema, Handler: s.createSecurityGroup},
		{Method: http.MethodGet, Path: group, Rule: reader("show"), Query: base.NoQuery, Handler: s.showSecurityGroup},
		{Method: http.MethodPut, Path: group, Rule: member("update"), Body: securityGroupSchema, Handler: s.updateSecurityGroup},
		{Method: http.MethodDelete, Path: group, Rule: member("delete"), Status: http.StatusAccepted, Handler: s.deleteSecurityGroup},
		{Method: http.MethodPost, Path: rules, Rule: member("rule:create"), Body: securityGroupRuleSchema, Handler: s.createSecurityGroupRule},
		{Method: http.MethodDelete, Path: rule, Rule: member("rule:delete"), Status: http.StatusAccepted, Handler: s.deleteSecurityGroupRule},
	})
}

// SecurityGroupView is a group as Nova shows it, with its rules for what comes in.
func SecurityGroupView(g *SecurityGroup) map[string]any {
	rules := make([]map[string]any, len(g.Rules))
	for i := range g.Rules {
		rules[i] = securityGroupRuleView(&g.Rules[i])
	}
	return map[string]any{"id": g.ID, "name": g.Name, "description": g.Description, "tenant_id": g.ProjectID, "rules": rules}
}

func securityGroupRuleView(s *SecurityGroupRule) map[string]any {
	source, network := map[string]any{}, map[string]any{}
	if s.SourceID != "" {
		source["name"], source["tenant_id"] = s.SourceName, s.SourceProject
	} else {
		network["cidr"] = s.CIDR
	}
	return map[string]any{"id": s.ID, "parent_group_id": s.GroupID, "ip_protocol": textOrNull(s.Protocol), "from_port": s.FromPort, "to_port": s.ToPort,
		"group": source, "ip_range": network}
}

// checkID refuses what is no UUID, which the network service would not find either.
func checkID(id string) error {
	if !base.IsUUID(id) {
		return httpapi.BadRequest("Security group id should be uuid")
	}
	return nil
}

// listSecurityGroups cuts the page before it sorts, as Nova does.
func (s *service) listSecurityGroups(r *httpapi.Request) (any, error) {
	all, _ := base.ParseBool(base.Last(r.Query()["all_tenants"]))
	found, err := s.Services.SecurityGroups.SecurityGroups(r, all && r.Token.IsAdmin())
	if err != nil {
		return nil, err
	}
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	found = slices.Clone(httpapi.Slice(r, found, p))
	slices.SortStableFunc(found, func(a, b SecurityGroup) int {
		return cmp.Or(cmp.Compare(a.ProjectID, b.ProjectID), cmp.Compare(a.Name, b.Name))
	})
	list := make([]map[string]any, len(found))
	for i := range found {
		list[i] = SecurityGroupView(&found[i])
	}
	return map[string]any{"security_groups": list}, nil
}

func (s *service) showSecurityGroup(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	if err := checkID(id); err != nil {
		return nil, err
	}
	return groupAnswer(s.Services.SecurityGroups.SecurityGroup(r, id))
}

func groupAnswer(g *SecurityGroup, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]any{"security_group": SecurityGroupView(g)}, nil
}

type securityGroupBody struct {
	Group struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"security_group"`
}

func (s *service) createSecurityGroup(r *httpapi.Request) (any, error) {
	body, err := base.Decode[securityGroupBody](r)
	if err != nil {
		return nil, err
	}
	return groupAnswer(s.Services.SecurityGroups.CreateSecurityGroup(r, body.Group.Name, body.Group.Description))
}

func (s *service) updateSecurityGroup(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	if err := checkID(id); err != nil {
		return nil, err
	}
	body, err := base.Decode[securityGroupBody](r)
	if err != nil {
		return nil, err
	}
	return groupAnswer(s.Services.SecurityGroups.UpdateSecurityGroup(r, id, body.Group.Name, body.Group.Description))
}

func (s *service) deleteSecurityGroup(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	if err := checkID(id); err != nil {
		return nil, err
	}
	return nil, s.Services.SecurityGroups.DeleteSecurityGroup(r, id)
}

func (s *service) deleteSecurityGroupRule(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	if err := checkID(id); err != nil {
		return nil, err
	}
	return nil, s.Services.SecurityGroups.DeleteSecurityGroupRule(r, id)
}
