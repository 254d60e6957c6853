package catalog

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const (
	admin         = "rule:admin_required"
	adminOrReader = "rule:admin_required or (role:reader and system_scope:all)"
)

type service struct{ opts base.Options }

// Routes are those of regions, services, endpoints, their filters by project, and policies.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	var out []httpapi.Route
	rule := func(name, check string) httpapi.Rule { return httpapi.Check("identity:"+name, check) }
	add := func(method, path string, status int, name, check string, body *httpapi.Schema, h httpapi.Handler) {
		out = append(out, httpapi.Route{Method: method, Path: path, Status: status, Rule: rule(name, check), Body: body, Handler: h})
	}
	read := func(path, name, check string, h httpapi.Handler) {
		add(http.MethodGet, path, 0, name, check, nil, h)
		add(http.MethodHead, path, 0, name, check, nil, h)
	}
	const post, patch, put, del = http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete
	const created, none = http.StatusCreated, http.StatusNoContent

	read("/regions", "list_regions", "", s.listRegions)
	read("/regions/{id}", "get_region", "", s.showRegion)
	add(post, "/regions", created, "create_region", admin, regionCreateSchema, s.createRegion)
	add(put, "/regions/{id}", created, "create_region", admin, regionCreateSchema, s.createRegion)
	add(patch, "/regions/{id}", 0, "update_region", admin, regionUpdateSchema, s.updateRegion)
	add(del, "/regions/{id}", none, "delete_region", admin, nil, s.deleteRegion)

	read("/services", "list_services", adminOrReader, s.listServices)
	read("/services/{id}", "get_service", adminOrReader, s.showService)
	add(post, "/services", created, "create_service", admin, serviceCreateSchema, s.createService)
	add(patch, "/services/{id}", 0, "update_service", admin, serviceUpdateSchema, s.updateService)
	add(del, "/services/{id}", none, "delete_service", admin, nil, s.deleteService)

	read("/endpoints", "list_endpoints", adminOrReader, s.listEndpoints)
	read("/endpoints/{id}", "get_endpoint", adminOrReader, s.showEndpoint)
	add(post, "/endpoints", created, "create_endpoint", admin, endpointCreateSchema, s.createEndpoint)
	add(patch, "/endpoints/{id}", 0, "update_endpoint", admin, endpointUpdateSchema, s.updateEndpoint)
	add(del, "/endpoints/{id}", none, "delete_endpoint", admin, nil, s.deleteEndpoint)

	read("/policies", "list_policies", adminOrReader, s.listPolicies)
	read("/policies/{id}", "get_policy", adminOrReader, s.showPolicy)
	add(post, "/policies", created, "create_policy", admin, policyCreateSchema, s.createPolicy)
	add(patch, "/policies/{id}", 0, "update_policy", admin, policyUpdateSchema, s.updatePolicy)
	add(del, "/policies/{id}", none, "delete_policy", admin, nil, s.deletePolicy)

	const ep = "/OS-EP-FILTER"
	read(ep+"/endpoint_groups", "list_endpoint_groups", adminOrReader, s.listGroups)
	read(ep+"/endpoint_groups/{group}", "get_endpoint_group", adminOrReader, s.showGroup)
	add(post, ep+"/endpoint_groups", created, "create_endpoint_group", admin, groupCreateSchema, s.createGroup)
	add(patch, ep+"/endpoint_groups/{group}", 0, "update_endpoint_group", admin, groupUpdateSchema, s.updateGroup)
	add(del, ep+"/endpoint_groups/{group}", none, "delete_endpoint_group", admin, nil, s.deleteGroup)
	read(ep+"/endpoint_groups/{group}/endpoints", "list_endpoints_associated_with_endpoint_group", adminOrReader, s.groupEndpoints)
	read(ep+"/endpoint_groups/{group}/projects", "list_projects_associated_with_endpoint_group", adminOrReader, s.filterProjects)
	read(ep+"/endpoint_groups/{group}/projects/{project}", "get_endpoint_group_in_project", adminOrReader, s.showFilter)
	add(put, ep+"/endpoint_groups/{group}/projects/{project}", none, "add_endpoint_group_to_project", admin, nil, s.addFilter)
	add(del, ep+"/endpoint_groups/{group}/projects/{project}", none, "remove_endpoint_group_from_project", admin, nil, s.removeFilter)
	read(ep+"/endpoints/{endpoint}/projects", "list_projects_for_endpoint", adminOrReader, s.filterProjects)
	read(ep+"/projects/{project}/endpoints", "list_endpoints_for_project", adminOrReader, s.projectEndpoints)
	read(ep+"/projects/{project}/endpoint_groups", "list_endpoint_groups_for_project", adminOrReader, s.projectGroups)
	for _, m := range []string{http.MethodGet, http.MethodHead} {
		add(m, ep+"/projects/{project}/endpoints/{endpoint}", none, "check_endpoint_in_project", adminOrReader, nil, s.checkFilter)
	}
	add(put, ep+"/projects/{project}/endpoints/{endpoint}", none, "add_endpoint_to_project", admin, nil, s.addFilter)
	add(del, ep+"/projects/{project}/endpoints/{endpoint}", none, "remove_endpoint_from_project", admin, nil, s.removeFilter)
	return out
}

// object is the schema of a body with one object in it.
func object(key, properties, more string) *httpapi.Schema {
	return httpapi.MustSchema(`{"type": "object", "required": ["` + key + `"], "properties": {"` + key + `": {"type": "object", ` + more + `"additionalProperties": true, "properties": ` + properties + `}}}`)
}

// named finds the thing whose id is in the path.
func named[T any](r *httpapi.Request, find func(state.Reader, string) (T, error)) func(state.Reader) (T, error) {
	return func(st state.Reader) (T, error) { return find(st, r.Vars["id"]) }
}

// set writes a field of a body over a value, when the body has it; null is "".
func set(to *string, from *string, said bool) {
	if said {
		*to = ""
		if from != nil {
			*to = *from
		}
	}
}

// builtin is the refusal to remove what is part of this binary.
func builtin(kind, id string) error {
	return httpapi.Forbidden("%s %s is one of this cloud's own: it can be changed, or taken out of the catalog with enabled false, but not removed.", kind, id)
}
