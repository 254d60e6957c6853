package catalog

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const endpointProperties = `{"enabled": {"type": "boolean"}, "interface": {"type": "string", "enum": ["admin", "internal", "public"]}, "region_id": {"type": ["string", "null"]},
	"region": {"type": ["string", "null"]}, "service_id": {"type": "string"}, "url": {"type": "string", "minLength": 0, "maxLength": 225, "pattern": "^[a-zA-Z0-9+.-]+:.+"},
	"name": {"type": "string"}, "description": {"type": ["string", "null"]}}`

var (
	endpointCreateSchema = object("endpoint", endpointProperties, `"required": ["interface", "service_id", "url"], `)
	endpointUpdateSchema = object("endpoint", endpointProperties, `"minProperties": 1, `)
)

// endpoints returns all endpoints, at the addresses at which a request's client reaches this cloud.
func (s *service) endpoints(r *httpapi.Request) func(state.Reader) []*structs.Endpoint {
	return func(st state.Reader) []*structs.Endpoint { return Endpoints(st, s.opts.Endpoints, r.RootURL()) }
}

func (s *service) endpoint(r *httpapi.Request) func(state.Reader, string) (*structs.Endpoint, error) {
	return func(st state.Reader, id string) (*structs.Endpoint, error) {
		for _, x := range s.endpoints(r)(st) {
			if x.ID == id {
				return x, nil
			}
		}
		return nil, base.NotFound("endpoint", id)
	}
}

func viewEndpoint(r *httpapi.Request, x *structs.Endpoint) base.View {
	v := base.NewView(x.Extra)
	v["id"], v["interface"], v["service_id"], v["url"], v["enabled"] = x.ID, x.Interface, x.ServiceID, x.URL, x.Enabled
	v["region"], v["region_id"] = base.OrNull(x.RegionID), base.OrNull(x.RegionID)
	return v.Link(r, "endpoints", x.ID)
}

func (s *service) listEndpoints(r *httpapi.Request) (any, error) {
	return base.List(r, "endpoints", s.endpoints(r), viewEndpoint, "interface", "service_id", "region_id")
}

func (s *service) showEndpoint(r *httpapi.Request) (any, error) {
	return base.Show(r, "endpoint", named(r, s.endpoint(r)), viewEndpoint)
}

// placeholders are what stands for something in an endpoint's URL.
var placeholders = regexp.MustCompile(`[$%]\(([^)]*)\)(s?)`)

// checkURL refuses an address that no catalog could be made with (keystone/common/utils.py, check_endpoint_url).
func checkURL(url string) error {
	for _, m := range placeholders.FindAllStringSubmatch(url, -1) {
		if !slices.Contains([]string{"project_id", "tenant_id", "user_id"}, m[1]) || m[2] != "s" {
			return httpapi.BadRequest("Cannot create an endpoint with an invalid URL: %s.", url)
		}
	}
	if rest := placeholders.ReplaceAllString(url, ""); strings.Contains(rest, "$(") || strings.Contains(rest, "%(") {
		return httpapi.BadRequest("Cannot create an endpoint with an invalid URL: %s.", url)
	}
	return nil
}

// applyEndpoint changes an endpoint as a body says. region is the old name of region_id; one that is not there yet is made, as in Keystone, which is for the caller.
func applyEndpoint(r *httpapi.Request, x *structs.Endpoint) (newRegion string, err error) {
	var in struct {
		Interface *string `json:"interface"`
		ServiceID *string `json:"service_id"`
		RegionID  *string `json:"region_id"`
		Region    *string `json:"region"`
		URL       *string `json:"url"`
		Enabled   *bool   `json:"enabled"`
	}
	if err := base.Decode(r, "endpoint", &in); err != nil {
		return "", err
	}
	body, err := base.Body(r, "endpoint")
	if err != nil {
		return "", err
	}
	set(&x.Interface, in.Interface, in.Interface != nil)
	set(&x.ServiceID, in.ServiceID, in.ServiceID != nil)
	set(&x.URL, in.URL, in.URL != nil)
	if in.Enabled != nil {
		x.Enabled = *in.Enabled
	}
	_, byID := body["region_id"]
	_, byName := body["region"]
	set(&x.RegionID, in.RegionID, byID)
	if byName && !byID {
		if set(&x.RegionID, in.Region, true); x.RegionID != "" {
			newRegion = x.RegionID
		}
	}
	if in.URL != nil {
		if err := checkURL(x.URL); err != nil {
			return "", err
		}
	}
	x.Extra, err = base.ExtraOf(x.Extra, body, "id", "interface", "service_id", "region_id", "region", "url", "enabled")
	return newRegion, err
}

// write proposes an endpoint, with the region before it that its maker named as it used to be done.
func (s *service) write(r *httpapi.Request, st state.Reader, x *structs.Endpoint, newRegion string, index uint64) error {
	if newRegion != "" {
		if _, err := region(st, newRegion); err != nil {
			if _, err := fsm.RegionWrite.Propose(r.Context(), r.Core, &structs.RegionWriteRequest{Region: structs.Region{ID: newRegion}}); err != nil {
				return err
			}
		}
	}
	_, err := fsm.EndpointWrite.Propose(r.Context(), r.Core, &structs.EndpointWriteRequest{Endpoint: *x, Index: index, Known: s.own(x.ServiceID)})
	return err
}

func (s *service) createEndpoint(r *httpapi.Request) (any, error) {
	x := structs.Endpoint{ID: nomadlike.NewHexID(), Enabled: true}
	newRegion, err := applyEndpoint(r, &x)
	if err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if err := s.write(r, st, &x, newRegion, 0); err != nil {
		return nil, err
	}
	return map[string]any{"endpoint": viewEndpoint(r, &x)}, nil
}

// updateEndpoint changes an endpoint. One of this binary gets a record by it.
func (s *service) updateEndpoint(r *httpapi.Request) (any, error) {
	var newRegion, was string
	return base.Edit(r, "endpoint", named(r, s.endpoint(r)), func(_ state.Reader, x *structs.Endpoint) (err error) {
		was = x.URL
		newRegion, err = applyEndpoint(r, x)
		return err
	}, func(x structs.Endpoint, index uint64) error {
		st := r.Core.Stale()
		if record := st.Endpoint(x.ID); s.ownEndpoint(st, x.ID) && (record == nil || record.URL == "") && x.URL == was {
			x.URL = "" // it stays where the client reaches this cloud
		}
		return s.write(r, st, &x, newRegion, index)
	}, viewEndpoint)
}

func (s *service) deleteEndpoint(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	x, err := s.endpoint(r)(st, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	if s.ownEndpoint(st, x.ID) {
		return nil, builtin("Endpoint", x.ID)
	}
	_, err = fsm.EndpointDelete.Propose(r.Context(), r.Core, &structs.EndpointDeleteRequest{ID: x.ID})
	return nil, err
}

// ownEndpoint reports whether an endpoint is one of this binary.
func (s *service) ownEndpoint(st state.Reader, id string) bool {
	region := st.ClusterSettings().Region
	return slices.ContainsFunc(s.opts.Endpoints, func(e base.Endpoint) bool {
		return slices.ContainsFunc(interfaces, func(face string) bool { return endpointID(e, face, region) == id })
	})
}
