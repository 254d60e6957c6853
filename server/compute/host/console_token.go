package host

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The range of microversions in which only consoles of Hyper-V, which Nova has removed, had tokens; and the first in which a console may have a TLS port.
const (
	lastRDPToken = 30
	firstTLSPort = 99
)

func (s *service) consoleTokenRoutes() []httpapi.Route {
	const path = "/os-console-auth-tokens/{id}"
	rule := httpapi.Admin("os_compute_api:os-console-auth-tokens")
	return []httpapi.Route{{Method: http.MethodGet, Path: path, Rule: rule, Query: consoleTokenQuery, Handler: s.showConsoleToken}}
}

var consoleTokenQuery = base.Schema(`{"type": "object", "properties": {}, "x-closed-from": 99}`)

// showConsoleToken tells a proxy where the console is that a token was made for. The host is asked anew: the guest may have been restarted since, and what
// listens at its old port may be another's. (Nova's own proxies ask the host too.)
func (s *service) showConsoleToken(r *httpapi.Request) (any, error) {
	if r.Version <= lastRDPToken {
		return nil, base.NotWellFormed()
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	t := rd.ConsoleToken(structs.ConsoleTokenHash(r.Vars["id"]))
	if t == nil || !t.Valid(s.Time()) {
		return nil, httpapi.NotFound("Token not found")
	}
	ins := rd.Instance(t.InstanceID)
	if ins == nil || ins.Deleted() || ins.HostID != t.HostID {
		return nil, httpapi.NotFound("Token not found")
	}
	if at, err := r.Core.ConsoleEndpoint(r.Context(), ins, t.Kind); err != nil || *at != t.Endpoint {
		return nil, httpapi.NotFound("Token not found")
	}
	console := map[string]any{"instance_uuid": t.InstanceID, "host": t.Endpoint.Host, "port": t.Endpoint.Port, "internal_access_path": nil}
	if t.Endpoint.Path != "" {
		console["internal_access_path"] = t.Endpoint.Path
	}
	if r.Version >= firstTLSPort {
		console["tls_port"] = nil
		if t.Endpoint.TLSPort != 0 {
			console["tls_port"] = t.Endpoint.TLSPort
		}
	}
	return map[string]any{"console": console}, nil
}
