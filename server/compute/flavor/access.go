package flavor

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// firstPrivate is the first microversion that refuses to give access to a public flavor.
const firstPrivate = 7

func (s *service) accessRoutes() []httpapi.Route {
	const policy, action = "os_compute_api:os-flavor-access", "/flavors/{id}/action"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/flavors/{flavor_id}/os-flavor-access", Rule: httpapi.Admin(policy), Query: base.NoQuery, Handler: s.listAccess},
		{Method: http.MethodPost, Path: action, Action: "addTenantAccess", Rule: httpapi.Admin(policy + ":add_tenant_access"), Body: addAccessSchema,
			Handler: s.addAccess},
		{Method: http.MethodPost, Path: action, Action: "removeTenantAccess", Rule: httpapi.Admin(policy + ":remove_tenant_access"),
			Body: removeAccessSchema, Handler: s.removeAccess},
	}
}

type accessView struct {
	FlavorID  structs.FlavorID  `json:"flavor_id"`
	ProjectID structs.ProjectID `json:"tenant_id"`
}

func accessList(f *structs.Flavor) any {
	list := make([]accessView, len(f.Projects))
	for i, p := range f.Projects {
		list[i] = accessView{f.ID, p}
	}
	return map[string]any{"flavor_access": list}
}

func (s *service) listAccess(r *httpapi.Request) (any, error) {
	f, err := flavorOf(r, r.Vars["flavor_id"])
	if err != nil {
		return nil, err
	}
	if f.Public {
		return nil, httpapi.NotFound("Access list not available for public flavors.")
	}
	return accessList(f), nil
}

type accessBody struct {
	Tenant structs.ProjectID `json:"tenant"`
}

// addAccess lets a project that exists use the flavor.
func (s *service) addAccess(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Add accessBody `json:"addTenantAccess"`
	}](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if rd.Project(body.Add.Tenant) == nil {
		return nil, httpapi.BadRequest("Project ID %s is not a valid project.", body.Add.Tenant)
	}
	f, err := fsm.FlavorAccessAdd.Propose(r.Context(), r.Core, &structs.FlavorAccessRequest{ID: structs.FlavorID(r.Vars["id"]), ProjectID: body.Add.Tenant,
		Private: r.Version >= firstPrivate, Now: s.Time()})
	if err != nil {
		return nil, err
	}
	return accessList(f), nil
}

// removeAccess takes a project that need not exist any more.
func (s *service) removeAccess(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Remove accessBody `json:"removeTenantAccess"`
	}](r)
	if err != nil {
		return nil, err
	}
	f, err := fsm.FlavorAccessRemove.Propose(r.Context(), r.Core,
		&structs.FlavorAccessRequest{ID: structs.FlavorID(r.Vars["id"]), ProjectID: body.Remove.Tenant, Now: s.Time()})
	if err != nil {
		return nil, err
	}
	return accessList(f), nil
}
