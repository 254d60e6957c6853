package identity

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/catalog"
	"github.com/kilonova-cloud/kilonova/server/identity/limit"
	"github.com/kilonova-cloud/kilonova/server/identity/role"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// Services returns the version list at /identity and the API at /identity/v3.
func Services(auth *token.Authenticator, o base.Options) []*httpapi.Service {
	o = o.WithDefaults()
	return []*httpapi.Service{
		{Name: "identity", Prefix: "/identity", Faults: httpapi.KeystoneFaults, Scopes: httpapi.DomainScope | httpapi.SystemScope, Routes: []httpapi.Route{
			{Method: http.MethodGet, Path: "", Rule: httpapi.Anyone, Handler: versions},
			{Method: http.MethodGet, Path: "/", Rule: httpapi.Anyone, Handler: versions},
		}},
		{Name: "identity", Prefix: "/identity/v3", Faults: httpapi.KeystoneFaults, Scopes: httpapi.DomainScope | httpapi.SystemScope, FollowsPolicy: true, Routes: routes(auth, o),
			Rules: slices.Concat(role.Rules)},
	}
}

// routes are those of all rooms.
func routes(auth *token.Authenticator, o base.Options) []httpapi.Route {
	get := http.MethodGet
	user, admin := httpapi.Authenticated, httpapi.Admin
	all := []httpapi.Route{
		{Method: get, Path: "", Rule: httpapi.Anyone, Handler: version},
		{Method: get, Path: "/", Rule: httpapi.Anyone, Handler: version},

		{Method: get, Path: "/users", Rule: admin("identity:list_users"), Handler: listUsers},
		{Method: get, Path: "/users/{id}", Rule: user("identity:get_user"), Handler: showUser},
		{Method: get, Path: "/users/{id}/projects", Rule: user("identity:list_user_projects"), Handler: userProjects},
		{Method: get, Path: "/projects", Rule: admin("identity:list_projects"), Handler: listProjects},
		{Method: get, Path: "/projects/{id}", Rule: user("identity:get_project"), Handler: showProject},
		{Method: get, Path: "/domains", Rule: admin("identity:list_domains"), Handler: listDomains},
		{Method: get, Path: "/domains/{id}", Rule: user("identity:get_domain"), Handler: showDomain},
	}
	all = append(all, token.Routes(auth, o)...)
	all = append(all, role.Routes(o)...)
	all = append(all, catalog.Routes(o)...)
	return append(all, limit.Routes(o)...)
}
