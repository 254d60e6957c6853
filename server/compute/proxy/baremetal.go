package proxy

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// baremetalRoutes are those of a cloud without the bare metal service. What makes and changes nodes was never passed on.
func baremetalRoutes() []httpapi.Route {
	const nodes, node, action = "/os-baremetal-nodes", "/os-baremetal-nodes/{id}", "/os-baremetal-nodes/{id}/action"
	rule := func(verb string) httpapi.Rule { return httpapi.Admin("os_compute_api:os-baremetal-nodes:" + verb) }
	absent := func(*httpapi.Request) (any, error) {
		return nil, structs.Errorf(structs.KindNotSupported, "Ironic client unavailable, cannot access Ironic.")
	}
	instead := func(command string) httpapi.Handler {
		return func(*httpapi.Request) (any, error) {
			return nil, httpapi.BadRequest("Command not supported. Please use Ironic command %s to perform this action.", command)
		}
	}
	anyone := httpapi.Authenticated("os_compute_api:os-baremetal-nodes")
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: nodes, Rule: rule("list"), Query: base.NoQuery, Handler: absent},
		{Method: http.MethodGet, Path: node, Rule: rule("show"), Query: base.NoQuery, Handler: absent},
		{Method: http.MethodPost, Path: nodes, Rule: anyone, Handler: instead("node-create")},
		{Method: http.MethodDelete, Path: node, Rule: anyone, Handler: instead("node-delete")},
		{Method: http.MethodPost, Path: action, Action: "add_interface", Rule: anyone, Handler: instead("port-create")},
		{Method: http.MethodPost, Path: action, Action: "remove_interface", Rule: anyone, Handler: instead("port-delete")},
	})
}
