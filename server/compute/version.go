package compute

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// Versions returns the version documents under VersionsPrefix, which need no token: what is served, and from which to which microversion
// (api-ref, API versions). The compatible v2.0 is not served and not listed: every client that knows this API takes v2.1.
func Versions() *httpapi.Service {
	get := func(path string, status int, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodGet, Path: path, Rule: httpapi.Anyone, Status: status, Handler: h}
	}
	return &httpapi.Service{Name: "compute-versions", Prefix: VersionsPrefix, Faults: httpapi.NovaFaults, Routes: []httpapi.Route{
		get("", http.StatusOK, listVersions), get("/", http.StatusOK, listVersions),
		get("/v2.1", http.StatusOK, showVersion), get("/v2.1/", http.StatusOK, showVersion),
		get("/{other:[^/]+}", http.StatusMultipleChoices, versionChoices),
	}}
}

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

var mediaTypes = []mediaType{{Base: "application/json", Type: "application/vnd.openstack.compute+json;version=2.1"}}

func document(r *httpapi.Request) versionDocument {
	return versionDocument{ID: "v2.1", Status: "CURRENT", Version: "2.104", MinVersion: "2.1", Updated: "2013-07-23T11:33:21Z",
		Links: []httpapi.Link{{Rel: "self", Href: r.RootURL() + Prefix + "/"}}}
}

func listVersions(r *httpapi.Request) (any, error) {
	return map[string][]versionDocument{"versions": {document(r)}}, nil
}

func showVersion(r *httpapi.Request) (any, error) {
	d := document(r)
	d.Links = append(d.Links, httpapi.Link{Rel: "describedby", Href: "https://docs.openstack.org/api-ref/compute/", Type: "text/html"})
	d.MediaTypes = mediaTypes
	return map[string]versionDocument{"version": d}, nil
}

// versionChoices answers a path that names no version: which would have it.
func versionChoices(r *httpapi.Request) (any, error) {
	choice := struct {
		ID         string         `json:"id"`
		Status     string         `json:"status"`
		Links      []httpapi.Link `json:"links"`
		MediaTypes []mediaType    `json:"media-types"`
	}{"v2.1", "CURRENT", []httpapi.Link{{Rel: "self", Href: r.RootURL() + Prefix + "/" + r.Vars["other"]}}, mediaTypes}
	return map[string]any{"choices": []any{choice}}, nil
}
