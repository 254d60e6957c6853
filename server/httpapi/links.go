package httpapi

import (
	"path"
	"strings"
)

// Link is an element of "links".
type Link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
	Type string `json:"type,omitempty"`
}

// RootURL is scheme://host as the client reached it: other services' URLs are below it.
func (r *Request) RootURL() string { return r.rootURL }

// Self returns the versioned link to a thing: BaseURL and the segments.
func (r *Request) Self(segments ...string) string {
	return r.BaseURL + "/" + strings.Join(segments, "/")
}

// Bookmark returns the link to a thing without the version: the service's prefix less its last segment.
func (r *Request) Bookmark(segments ...string) string {
	base := r.rootURL + path.Dir(r.Service.Prefix)
	if r.projectIn {
		base += "/" + string(r.Token.ProjectID)
	}
	return base + "/" + strings.Join(segments, "/")
}

// Links returns a thing's self and bookmark, as Nova lists them.
func (r *Request) Links(segments ...string) []Link {
	return []Link{{Rel: "self", Href: r.Self(segments...)}, {Rel: "bookmark", Href: r.Bookmark(segments...)}}
}
