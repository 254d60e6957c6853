package instance

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) securityGroupRoutes() []httpapi.Route {
	const policy = "os_compute_api:os-security-groups:"
	row := func(key, verb string, change groupChange) httpapi.Route {
		// The body may have other keys; Nova ignores them.
		body := base.Schema(`{"type": "object", "required": ["` + key + `"], "properties": {"` + key + `": {"type": "object", "additionalProperties": false,
			"required": ["name"], "properties": {"name": {"type": "string", "minLength": 1}}}}}`)
		return httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: key, Rule: httpapi.MemberOrAdmin(policy + verb), Body: body,
			Status: http.StatusAccepted, Handler: changeGroup(key, change)}
	}
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/servers/{server_id}/os-security-groups", Rule: httpapi.ReaderOrAdmin(policy + "list"), Query: base.NoQuery, Handler: s.listSecurityGroups},
		row("addSecurityGroup", "add", s.to.Interfaces.AddSecurityGroup),
		row("removeSecurityGroup", "remove", s.to.Interfaces.RemoveSecurityGroup),
	}
}

func (s *service) listSecurityGroups(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	found, err := s.to.Interfaces.InstanceSecurityGroups(r, ins)
	if err != nil {
		return nil, err
	}
	found = slices.Clone(found)
	slices.SortStableFunc(found, func(a, b proxy.SecurityGroup) int {
		return cmp.Or(cmp.Compare(a.ProjectID, b.ProjectID), cmp.Compare(a.Name, b.Name))
	})
	list := make([]map[string]any, len(found))
	for i := range found {
		list[i] = proxy.SecurityGroupView(&found[i])
	}
	return map[string]any{"security_groups": list}, nil
}

// groupChange gives the instance's ports a security group, or takes it from them. Neither its lock nor its states matter.
type groupChange func(r *httpapi.Request, ins *structs.Instance, group string) error

func changeGroup(key string, change groupChange) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		body, err := base.Decode[map[string]json.RawMessage](r)
		if err != nil {
			return nil, err
		}
		var group struct {
			Name string `json:"name"`
		}
		if err := json.Unmarshal((*body)[key], &group); err != nil {
			return nil, httpapi.BadRequest("Malformed request body")
		}
		_, ins, err := target(r)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(group.Name) == "" {
			return nil, httpapi.BadRequest("Security group name cannot be empty")
		}
		return nil, change(r, ins, group.Name)
	}
}
