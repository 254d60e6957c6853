package image

import (
	"fmt"
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// newestMinor is the newest minor version of Glance's API v2 whose behaviour is served; versionMinors are all that Glance
// with several stores and without a cache names, newest first.
const newestMinor = 17

var versionMinors = []int{newestMinor, 15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}

// versionRoutes answer without token, as Glance does: 300 at the root, 200 where the document is asked for by name.
func versionRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "", Rule: httpapi.Anyone, Status: http.StatusMultipleChoices, Handler: versions},
		{Method: http.MethodGet, Path: "/", Rule: httpapi.Anyone, Status: http.StatusMultipleChoices, Handler: versions},
		{Method: http.MethodGet, Path: "/versions", Rule: httpapi.Anyone, Handler: versions},
		{Method: http.MethodGet, Path: "/versions/", Rule: httpapi.Anyone, Handler: versions},
	}
}

type versionEntry struct {
	ID     string         `json:"id"`
	Status string         `json:"status"`
	Links  []httpapi.Link `json:"links"`
}

func versions(r *httpapi.Request) (any, error) {
	links := []httpapi.Link{{Rel: "self", Href: r.RootURL() + "/image/v2/"}}
	var out []versionEntry
	for _, minor := range versionMinors {
		status := "SUPPORTED"
		if minor == newestMinor {
			status = "CURRENT"
		}
		out = append(out, versionEntry{ID: fmt.Sprintf("v2.%d", minor), Status: status, Links: links})
	}
	return map[string]any{"versions": out}, nil
}
