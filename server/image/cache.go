package image

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// cacheRoutes answer as Glance without a cache does: 404, to those who might use one. Hosts have caches of their own, which the Compute service fills.
func cacheRoutes() []httpapi.Route {
	const one = "/cache/{image_id}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/cache", Rule: ruleCacheList, Handler: noCache},
		{Method: http.MethodDelete, Path: "/cache", Rule: ruleCacheDelete, Status: http.StatusNoContent, Handler: noCache},
		{Method: http.MethodPut, Path: one, Rule: ruleCacheImage, Status: http.StatusAccepted, Handler: noCache, Raw: true},
		{Method: http.MethodDelete, Path: one, Rule: ruleCacheDelete, Status: http.StatusNoContent, Handler: noCache},
		{Method: http.MethodGet, Path: "/cache/nodes/{image_id}", Rule: ruleCacheList, Handler: noCache},
		{Method: http.MethodPost, Path: "/cache/clean", Rule: ruleCacheClean, Status: http.StatusNoContent, Handler: noCache, Raw: true},
		{Method: http.MethodPost, Path: "/cache/prune", Rule: ruleCachePrune, Status: http.StatusNoContent, Handler: noCache, Raw: true},
	}
}

func noCache(*httpapi.Request) (any, error) {
	return nil, httpapi.NotFound("Caching via API is not supported at this site.")
}
