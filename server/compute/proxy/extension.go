package proxy

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// extension is one name of the frozen list.
type extension struct{ alias, name, description string }

// legacyExtension is on the list of the API before 2.1 alone.
var legacyExtension = extension{"OS-EXT-VIF-NET", "ExtendedVIFNet", "The network of a virtual interface."}

type extensionView struct {
	Alias       string   `json:"alias"`
	Description string   `json:"description"`
	Links       []string `json:"links"`
	Name        string   `json:"name"`
	Namespace   string   `json:"namespace"`
	Updated     string   `json:"updated"`
}

// view has the namespace and the time that all of Nova's extensions share since they are no more than names.
func (e extension) view() extensionView {
	return extensionView{Alias: e.alias, Description: e.description, Links: []string{}, Name: e.name,
		Namespace: "http://docs.openstack.org/compute/ext/fake_xml", Updated: "2014-12-03T00:00:00Z"}
}

// LegacyExtensions replaces the list of extensions among rows by that of the API before 2.1, which has one more.
func LegacyExtensions(rows []httpapi.Route) []httpapi.Route {
	list := append(slices.Clone(extensions), legacyExtension)
	slices.SortFunc(list, func(a, b extension) int {
		if a.alias < b.alias {
			return -1
		}
		return 1
	})
	rows = slices.Clone(rows)
	for _, with := range extensionRoutes(list) {
		for i := range rows {
			if rows[i].Method == with.Method && rows[i].Path == with.Path {
				rows[i].Handler = with.Handler
			}
		}
	}
	return rows
}

func extensionRoutes(list []extension) []httpapi.Route {
	rule := httpapi.Authenticated("os_compute_api:extensions")
	index := func(*httpapi.Request) (any, error) {
		views := make([]extensionView, len(list))
		for i, e := range list {
			views[i] = e.view()
		}
		return map[string]any{"extensions": views}, nil
	}
	show := func(r *httpapi.Request) (any, error) {
		for _, e := range list {
			if e.alias == r.Vars["id"] {
				return map[string]any{"extension": e.view()}, nil
			}
		}
		return nil, httpapi.NotFound("The resource could not be found.")
	}
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/extensions", Rule: rule, Query: base.NoQuery, Handler: index},
		{Method: http.MethodGet, Path: "/extensions/{id}", Rule: rule, Query: base.NoQuery, Handler: show},
	}
}
