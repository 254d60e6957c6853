package proxy

import (
	"net/http"
	"strings"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// gone is what Nova has removed and answers with 410 at every microversion (api-ref, Obsoleted APIs): a path, its methods, and for POST on an
// action path the actions.
var gone = []struct{ path, methods, actions string }{
	{"/os-agents", "GET POST", ""},
	{"/os-agents/{id}", "PUT DELETE", ""},
	{"/os-cells", "GET POST", ""},
	{"/os-cells/capacities", "GET", ""},
	{"/os-cells/detail", "GET", ""},
	{"/os-cells/info", "GET", ""},
	{"/os-cells/sync_instances", "POST", ""},
	{"/os-cells/{id}", "GET PUT DELETE", ""},
	{"/os-cells/{id}/capacities", "GET", ""},
	{"/os-certificates", "POST", ""},
	{"/os-certificates/{id}", "GET", ""},
	{"/os-cloudpipe", "GET POST", ""},
	{"/os-cloudpipe/{id}", "PUT", ""},
	{"/os-fixed-ips/{id}", "GET", ""},
	{"/os-fixed-ips/{id}/action", "POST", "reserve unreserve"},
	{"/os-floating-ip-dns", "GET", ""},
	{"/os-floating-ip-dns/{id}", "PUT DELETE", ""},
	{"/os-floating-ip-dns/{domain_id}/entries/{id}", "GET PUT DELETE", ""},
	{"/os-floating-ips-bulk", "GET POST", ""},
	{"/os-floating-ips-bulk/{id}", "GET PUT", ""},
	{"/os-fping", "GET", ""},
	{"/os-fping/{id}", "GET", ""},
	{"/os-networks", "POST", ""},
	{"/os-networks/add", "POST", ""},
	{"/os-networks/{id}", "DELETE", ""},
	{"/os-networks/{id}/action", "POST", "disassociate associate_host disassociate_host disassociate_project"},
	{"/os-security-group-default-rules", "GET POST", ""},
	{"/os-security-group-default-rules/{id}", "GET DELETE", ""},
	{"/os-tenant-networks", "POST", ""},
	{"/os-tenant-networks/{id}", "DELETE", ""},
	{"/servers/{id}/action", "POST", "resetNetwork"},
	{"/servers/{server_id}/consoles", "GET POST", ""},
	{"/servers/{server_id}/consoles/{id}", "GET DELETE", ""},
	{"/servers/{server_id}/os-virtual-interfaces", "GET", ""},
}

// goneRoutes need a token, as all of Nova does: the answer to a request without one is 401.
func goneRoutes() []httpapi.Route {
	rule := httpapi.Authenticated("os_compute_api:removed")
	answer := func(*httpapi.Request) (any, error) { return nil, httpapi.Gone() }
	var rows []httpapi.Route
	for _, g := range gone {
		actions := strings.Fields(g.actions)
		if len(actions) == 0 {
			actions = []string{""}
		}
		for _, method := range strings.Fields(g.methods) {
			for _, action := range actions {
				r := httpapi.Route{Method: method, Path: g.path, Action: action, Rule: rule, Status: http.StatusGone, Handler: answer}
				if method == http.MethodGet {
					r.Query = anyQuery
				}
				rows = append(rows, r)
			}
		}
	}
	return rows
}
