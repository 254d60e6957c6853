package identity

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/catalog"
	"github.com/kilonova-cloud/kilonova/server/identity/delegation"
	"github.com/kilonova-cloud/kilonova/server/identity/directory"
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
			Rules: slices.Concat(role.Rules, delegation.Rules), Bars: signed},
	}
}

// signed refuses tokens that a signed request was exchanged for, as Keystone does since July 2026: who can sign may use the cloud, but not make itself passwords, keys
// and delegations that outlive the signing key.
func signed(t *httpapi.Token) error {
	if slices.Contains(t.Methods, "ec2credential") {
		return httpapi.Forbidden("EC2 credential tokens cannot be used for authorization.")
	}
	return nil
}

// routes are those of all rooms.
func routes(auth *token.Authenticator, o base.Options) []httpapi.Route {
	get := http.MethodGet
	all := []httpapi.Route{
		{Method: get, Path: "", Rule: httpapi.Anyone, Handler: version},
		{Method: get, Path: "/", Rule: httpapi.Anyone, Handler: version},
	}
	all = append(all, directory.Routes(o)...)
	all = append(all, token.Routes(auth, o)...)
	all = append(all, delegation.Routes(auth, o)...)
	all = append(all, role.Routes(o)...)
	all = append(all, catalog.Routes(o)...)
	return append(all, limit.Routes(o)...)
}
