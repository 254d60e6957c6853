package host

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const aggregatePolicy = "os_compute_api:os-aggregates:"

// aggregateRoutes read host aggregates, of which there are none: clients that look a host's up, as `openstack hypervisor show` does, are told so.
func (s *service) aggregateRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-aggregates", Rule: httpapi.Admin(aggregatePolicy + "index"), Query: base.NoQuery, Handler: listAggregates},
		{Method: http.MethodGet, Path: "/os-aggregates/{id}", Rule: httpapi.Admin(aggregatePolicy + "show"), Query: base.NoQuery, Handler: showAggregate},
	}
}

func listAggregates(*httpapi.Request) (any, error) {
	return map[string]any{"aggregates": []any{}}, nil
}

func showAggregate(r *httpapi.Request) (any, error) {
	return nil, httpapi.NotFound("Aggregate %s could not be found.", r.Vars["id"])
}
