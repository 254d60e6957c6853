package identity

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type apiVersion struct {
	ID         string         `json:"id"`
	Status     string         `json:"status"`
	Updated    string         `json:"updated"`
	Links      []httpapi.Link `json:"links"`
	MediaTypes []mediaType    `json:"media-types"`
}

type mediaType struct {
	Base string `json:"base"`
	Type string `json:"type"`
}

// v3 describes the version whose parts we serve.
func v3(r *httpapi.Request) apiVersion {
	return apiVersion{ID: "v3.14", Status: "stable", Updated: "2020-04-07T00:00:00Z", Links: []httpapi.Link{{Rel: "self", Href: r.RootURL() + "/identity/v3/"}},
		MediaTypes: []mediaType{{"application/json", "application/vnd.openstack.identity-v3+json"}}}
}

// versions answers 300, as Keystone does where more versions could be.
func versions(r *httpapi.Request) (any, error) {
	return httpapi.Reply{Status: http.StatusMultipleChoices, Body: map[string]any{"versions": map[string]any{"values": []apiVersion{v3(r)}}}}, nil
}

func version(r *httpapi.Request) (any, error) {
	return map[string]any{"version": v3(r)}, nil
}
