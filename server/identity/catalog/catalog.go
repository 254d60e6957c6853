// Package catalog is where clients find services: regions, services and endpoints, those of this binary among them, and which of them a project sees. It also has
// what the Identity API keeps for other services: policies.
package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// Service is a service as a token's catalog shows it.
type Service struct {
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Name      string     `json:"name"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is an endpoint as a token's catalog shows it.
type Endpoint struct {
	ID        string  `json:"id"`
	Interface string  `json:"interface"`
	Region    *string `json:"region"`
	RegionID  *string `json:"region_id"`
	URL       string  `json:"url"`
}

// interfaces are the three views that a service has of itself.
var interfaces = []string{"public", "internal", "admin"}

// stableID makes an id that is the same on every server.
func stableID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// ServiceID is the id of a service of this binary.
func ServiceID(e base.Endpoint) string { return structs.OwnServiceID(e.Type, e.Name) }

func endpointID(e base.Endpoint, face, region string) string {
	return stableID("endpoint", e.Type, e.Name, face, region)
}

// Services returns all services, those of this binary first. One that has a record is what the record says.
func Services(st state.Reader, builtin []base.Endpoint) []*structs.CatalogService {
	var out []*structs.CatalogService
	ours := map[string]bool{}
	for _, e := range builtin {
		id := ServiceID(e)
		ours[id] = true
		s := st.CatalogService(id)
		if s == nil {
			s = &structs.CatalogService{ID: id, Type: e.Type, Name: e.Name, Enabled: true}
		}
		out = append(out, s)
	}
	for s := range st.CatalogServices() {
		if !ours[s.ID] {
			out = append(out, s)
		}
	}
	return out
}

// Endpoints returns all endpoints, those of this binary first, with their URLs below root. One that has a record is what the record says.
func Endpoints(st state.Reader, builtin []base.Endpoint, root string) []*structs.Endpoint {
	region := st.ClusterSettings().Region
	var out []*structs.Endpoint
	ours := map[string]bool{}
	for _, e := range builtin {
		url := e.Path
		if strings.HasPrefix(url, "/") {
			url = root + url
		}
		for _, face := range interfaces {
			id := endpointID(e, face, region)
			ours[id] = true
			p := st.Endpoint(id)
			if p == nil {
				p = &structs.Endpoint{ID: id, ServiceID: ServiceID(e), Interface: face, RegionID: region, URL: url, Enabled: true}
			} else if p.URL == "" {
				own := *p
				own.URL = url
				p = &own
			}
			out = append(out, p)
		}
	}
	for p := range st.Endpoints() {
		if !ours[p.ID] {
			out = append(out, p)
		}
	}
	return out
}

// For is the catalog of a token: the enabled services with their enabled endpoints, as far as the token's project sees them.
func For(r *httpapi.Request, st state.Reader, builtin []base.Endpoint, t *httpapi.Token) []Service {
	seen := filter(st, t.ProjectID)
	endpoints := map[string][]Endpoint{}
	for _, p := range Endpoints(st, builtin, r.RootURL()) {
		url, ok := fill(p.URL, t)
		if !p.Enabled || !ok || !seen(p) {
			continue
		}
		e := Endpoint{ID: p.ID, Interface: p.Interface, URL: url}
		if p.RegionID != "" {
			e.Region, e.RegionID = &p.RegionID, &p.RegionID
		}
		endpoints[p.ServiceID] = append(endpoints[p.ServiceID], e)
	}
	out := []Service{}
	for _, s := range Services(st, builtin) {
		if s.Enabled && len(endpoints[s.ID]) > 0 {
			out = append(out, Service{s.ID, s.Type, s.Name, endpoints[s.ID]})
		}
	}
	return out
}

// fill puts a token's project and user into an endpoint's URL. One that asks for what the token has not is in no catalog of it, as in Keystone.
func fill(url string, t *httpapi.Token) (string, bool) {
	for _, v := range [][2]string{{"project_id", string(t.ProjectID)}, {"tenant_id", string(t.ProjectID)}, {"user_id", string(t.UserID)}} {
		for _, form := range []string{"$(" + v[0] + ")s", "%(" + v[0] + ")s"} {
			if strings.Contains(url, form) && v[1] == "" {
				return "", false
			}
			url = strings.ReplaceAll(url, form, v[1])
		}
	}
	return url, true
}

// filter returns which endpoints a project sees: all, unless it is associated with some (OS-EP-FILTER).
func filter(st state.Reader, project structs.ProjectID) func(*structs.Endpoint) bool {
	filters := slices.Collect(st.EndpointFiltersOf(project))
	if project == "" || len(filters) == 0 {
		return func(*structs.Endpoint) bool { return true }
	}
	return func(p *structs.Endpoint) bool {
		return slices.ContainsFunc(filters, func(f *structs.EndpointFilter) bool {
			if f.EndpointID != "" {
				return f.EndpointID == p.ID
			}
			g := st.EndpointGroup(f.GroupID)
			return g != nil && InGroup(g, p)
		})
	}
}

// InGroup reports whether an endpoint has what a group asks for.
func InGroup(g *structs.EndpointGroup, p *structs.Endpoint) bool {
	same := func(want, is string) bool { return cmp.Or(want, is) == is }
	return same(g.ServiceID, p.ServiceID) && same(g.RegionID, p.RegionID) && same(g.Interface, p.Interface) && same(g.EndpointID, p.ID) && (g.Enabled == nil || *g.Enabled == p.Enabled)
}
