package host

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The range of microversions in which only consoles of Hyper-V, which Nova has removed, had tokens.
const lastRDPToken = 30

func (s *service) consoleTokenRoutes() []httpapi.Route {
	const path = "/os-console-auth-tokens/{id}"
	rule := httpapi.Admin("os_compute_api:os-console-auth-tokens")
	return []httpapi.Route{{Method: http.MethodGet, Path: path, Rule: rule, Query: consoleTokenQuery, Handler: showConsoleToken}}
}

var consoleTokenQuery = base.Schema(`{"type": "object", "properties": {}, "x-closed-from": 99}`)

// showConsoleToken knows no token: no host has a remote console that would have given one out.
func showConsoleToken(r *httpapi.Request) (any, error) {
	if r.Version <= lastRDPToken {
		return nil, base.NotWellFormed()
	}
	return nil, httpapi.NotFound("Token not found")
}
