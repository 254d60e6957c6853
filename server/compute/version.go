package compute

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// LegacyPrefix is where the API before 2.1 is.
const LegacyPrefix = VersionsPrefix + "/v2"

// Versions returns the version documents under VersionsPrefix, which need no token: what is served, and from which to which microversion
// (api-ref, API versions).
func Versions() *httpapi.Service { return versions(current) }

// versions returns the documents of what is served.
func versions(served ...version) *httpapi.Service {
	get := func(path string, status int, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodGet, Path: path, Rule: httpapi.Anyone, Status: status, Handler: h}
	}
	list, choices := listVersions(served), versionChoices(served)
	rows := []httpapi.Route{get("", http.StatusOK, list), get("/", http.StatusOK, list), get("/{other:[^/]+}", http.StatusMultipleChoices, choices)}
	for _, v := range served {
		show := showVersion(v)
		rows = append(rows, get(v.path, http.StatusOK, show), get(v.path+"/", http.StatusOK, show), httpapi.Route{Method: http.MethodGet,
			Path: v.path + "/{project:[0-9a-f-]+}/", Rule: httpapi.Authenticated("os_compute_api:versions"), Handler: ofProject(show)})
	}
	return &httpapi.Service{Name: "compute-versions", Prefix: VersionsPrefix, Faults: httpapi.NovaFaults, Routes: rows, FollowsPolicy: true}
}

// version is one API that is served, below VersionsPrefix.
type version struct{ path, id, status, highest, lowest, updated, media string }

var (
	legacy = version{path: "/v2", id: "v2.0", status: "DEPRECATED", updated: "2025-07-04T12:00:00Z", media: "application/vnd.openstack.compute+json;version=2"}

	current = version{path: "/v2.1", id: "v2.1", status: "CURRENT", highest: "2.104", lowest: "2.1", updated: "2013-07-23T11:33:21Z",
		media: "application/vnd.openstack.compute+json;version=2.1"}
)

type versionDocument struct {
	ID         string         `json:"id"`
	Status     string         `json:"status"`
	Version    string         `json:"version"`
	MinVersion string         `json:"min_version"`
	Updated    string         `json:"updated"`
	Links      []httpapi.Link `json:"links"`
	MediaTypes []mediaType    `json:"media-types,omitempty"`
}

type mediaType struct {
	Base string `json:"base"`
	Type string `json:"type"`
}

func (v version) mediaTypes() []mediaType {
	return []mediaType{{Base: "application/json", Type: v.media}}
}

func (v version) self(r *httpapi.Request, below string) httpapi.Link {
	return httpapi.Link{Rel: "self", Href: r.RootURL() + VersionsPrefix + v.path + "/" + below}
}

func (v version) document(r *httpapi.Request) versionDocument {
	return versionDocument{ID: v.id, Status: v.status, Version: v.highest, MinVersion: v.lowest, Updated: v.updated, Links: []httpapi.Link{v.self(r, "")}}
}

func listVersions(served []version) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		list := make([]versionDocument, len(served))
		for i, v := range served {
			list[i] = v.document(r)
		}
		return map[string]any{"versions": list}, nil
	}
}

func showVersion(v version) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		d := v.document(r)
		d.Links = append(d.Links, httpapi.Link{Rel: "describedby", Href: "https://docs.openstack.org/api-ref/compute/", Type: "text/html"})
		d.MediaTypes = v.mediaTypes()
		return map[string]versionDocument{"version": d}, nil
	}
}

// ofProject refuses a project in the path that is not the token's, as every route does.
func ofProject(h httpapi.Handler) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		if p := r.Vars["project"]; p != string(r.Token.ProjectID) {
			return nil, httpapi.BadRequest("Malformed request URL: URL's project_id '%s' doesn't match Context's project_id '%s'", p, r.Token.ProjectID)
		}
		return h(r)
	}
}

// versionChoices answers a path that names no version: which would have it.
func versionChoices(served []version) httpapi.Handler {
	type choice struct {
		ID         string         `json:"id"`
		Status     string         `json:"status"`
		Links      []httpapi.Link `json:"links"`
		MediaTypes []mediaType    `json:"media-types"`
	}
	return func(r *httpapi.Request) (any, error) {
		list := make([]choice, len(served))
		for i, v := range served {
			list[i] = choice{v.id, v.status, []httpapi.Link{v.self(r, r.Vars["other"])}, v.mediaTypes()}
		}
		return map[string]any{"choices": list}, nil
	}
}

// versionQuery lets everything through: version documents take no parameter and refuse none.
var versionQuery = base.Schema(`{"type": "object", "additionalProperties": true}`)

// versionRoutes are the version documents as rows of the service itself, which need a token as all of its rows do.
func versionRoutes() []httpapi.Route {
	show := func(r *httpapi.Request) (any, error) {
		for _, v := range []version{legacy, current} {
			if v.id == r.Vars["id"] {
				return showVersion(v)(r)
			}
		}
		return nil, httpapi.NotFound("The resource could not be found.")
	}
	return []httpapi.Route{{Method: http.MethodGet, Path: "/versions/{id}", Rule: httpapi.Authenticated("os_compute_api:versions"), Query: versionQuery, Handler: show}}
}
