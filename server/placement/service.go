// Package placement serves the reads of the OpenStack Placement API from what the scheduler itself counts: hosts are root resource
// providers, claims are allocations. Nobody writes here: the state machine is the only one that takes room on a host.
package placement

import (
	"net/http"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Versioning is the range of microversions in which every route here answers as Placement does.
var Versioning = httpapi.Versioning{Type: "placement", Major: 1, Min: 0, Max: 39}

// Services returns the API at /placement.
func Services() []*httpapi.Service {
	v := Versioning
	return []*httpapi.Service{{Name: "placement", Prefix: "/placement", Versioning: &v, Faults: httpapi.PlacementFaults, Routes: routes()}}
}

func routes() []httpapi.Route {
	get := func(path string, from httpapi.Microversion, rule string, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodGet, Path: path, Min: from, Rule: httpapi.ServiceOrAdmin("placement:" + rule), Handler: h}
	}
	list := []httpapi.Route{
		{Method: http.MethodGet, Path: "", Rule: httpapi.Anyone, Handler: version},
		{Method: http.MethodGet, Path: "/", Rule: httpapi.Anyone, Handler: version},
		get("/resource_providers", 0, "resource_providers:list", listProviders),
		get("/resource_providers/{uuid}", 0, "resource_providers:show", withHost(showProvider)),
		get("/resource_providers/{uuid}/inventories", 0, "resource_providers:inventories:list", withHost(listInventories)),
		get("/resource_providers/{uuid}/inventories/{class}", 0, "resource_providers:inventories:show", withHost(showInventory)),
		get("/resource_providers/{uuid}/usages", 0, "resource_providers:usages", withHost(providerUsages)),
		get("/resource_providers/{uuid}/allocations", 0, "resource_providers:allocations:list", withHost(providerAllocations)),
		get("/resource_providers/{uuid}/aggregates", 1, "resource_providers:aggregates:list", withHost(providerAggregates)),
		get("/resource_providers/{uuid}/traits", 6, "resource_providers:traits:list", withHost(providerTraits)),
		get("/allocations/{consumer}", 0, "allocations:list", consumerAllocations),
		get("/resource_classes", 2, "resource_classes:list", listClasses),
		get("/resource_classes/{name}", 2, "resource_classes:show", showClass),
		get("/traits", 6, "traits:list", listTraits),
		get("/traits/{name}", 6, "traits:show", showTrait),
		{Method: http.MethodGet, Path: "/usages", Min: 9, Rule: httpapi.Authenticated("placement:usages"), Query: usagesQuery, Handler: projectUsages},
	}
	for i := range list {
		switch list[i].Path {
		case "/resource_providers":
			list[i].Query = providersQuery
		case "/traits":
			list[i].Query = traitsQuery
		}
	}
	return list
}

type versionDoc struct {
	ID         string         `json:"id"`
	MaxVersion string         `json:"max_version"`
	MinVersion string         `json:"min_version"`
	Status     string         `json:"status"`
	Links      []httpapi.Link `json:"links"`
}

func version(*httpapi.Request) (any, error) {
	return map[string][]versionDoc{"versions": {{ID: "v1.0", MaxVersion: "1.39", MinVersion: "1.0", Status: "CURRENT", Links: []httpapi.Link{{Rel: "self", Href: ""}}}}}, nil
}

// withHost looks the provider of the path up.
func withHost(h func(*httpapi.Request, state.Reader, *structs.Host) (any, error)) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		st, err := r.Core.Read(r.Context())
		if err != nil {
			return nil, err
		}
		host := st.Host(structs.HostID(r.Vars["uuid"]))
		if host == nil {
			return nil, httpapi.NotFound("No resource provider with uuid %s found", r.Vars["uuid"])
		}
		modified(r, host.UpdatedAt)
		return h(r, st, host)
	}
}

// modified sets the headers that answers have since 1.15.
func modified(r *httpapi.Request, at structs.Time) {
	if r.Version < 15 {
		return
	}
	t := at.Time()
	if at.IsZero() {
		t = time.Now().UTC()
	}
	h := r.Writer.Header()
	h.Set("Last-Modified", t.Format(http.TimeFormat))
	h.Set("Cache-Control", "no-cache")
}
