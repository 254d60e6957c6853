package catalog

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const serviceProperties = `{"type": {"type": "string", "minLength": 1, "maxLength": 255}, "name": {"type": "string", "minLength": 1, "maxLength": 255},
	"description": {"type": ["string", "null"]}, "enabled": {"type": "boolean"}}`

var (
	serviceCreateSchema = object("service", serviceProperties, `"required": ["type"], `)
	serviceUpdateSchema = object("service", serviceProperties, `"minProperties": 1, `)
)

// own reports whether a service is one of this binary.
func (s *service) own(id string) bool {
	return slices.ContainsFunc(s.opts.Endpoints, func(e base.Endpoint) bool { return ServiceID(e) == id })
}

func (s *service) services(st state.Reader) []*structs.CatalogService {
	return Services(st, s.opts.Endpoints)
}

func (s *service) service(st state.Reader, id string) (*structs.CatalogService, error) {
	for _, x := range s.services(st) {
		if x.ID == id {
			return x, nil
		}
	}
	return nil, base.NotFound("service", id)
}

func viewService(r *httpapi.Request, x *structs.CatalogService) base.View {
	v := base.NewView(x.Extra)
	v["id"], v["type"], v["enabled"] = x.ID, x.Type, x.Enabled
	if x.Name != "" {
		v["name"] = x.Name
	}
	if x.Description != "" {
		v["description"] = x.Description
	}
	return v.Link(r, "services", x.ID)
}

func (s *service) listServices(r *httpapi.Request) (any, error) {
	return base.List(r, "services", s.services, viewService, "type", "name")
}

func (s *service) showService(r *httpapi.Request) (any, error) {
	return base.Show(r, "service", named(r, s.service), viewService)
}

// applyService changes a service as a body says.
func applyService(r *httpapi.Request, x *structs.CatalogService) error {
	var in struct {
		Type        *string `json:"type"`
		Name        *string `json:"name"`
		Description *string `json:"description"`
		Enabled     *bool   `json:"enabled"`
	}
	if err := base.Decode(r, "service", &in); err != nil {
		return err
	}
	body, err := base.Body(r, "service")
	if err != nil {
		return err
	}
	set(&x.Type, in.Type, in.Type != nil)
	set(&x.Name, in.Name, in.Name != nil)
	_, said := body["description"]
	set(&x.Description, in.Description, said)
	if in.Enabled != nil {
		x.Enabled = *in.Enabled
	}
	x.Extra, err = base.ExtraOf(x.Extra, body, "id", "type", "name", "description", "enabled")
	return err
}

func (s *service) createService(r *httpapi.Request) (any, error) {
	x := structs.CatalogService{ID: nomadlike.NewHexID(), Enabled: true}
	if err := applyService(r, &x); err != nil {
		return nil, err
	}
	if _, err := fsm.CatalogServiceWrite.Propose(r.Context(), r.Core, &structs.CatalogServiceWriteRequest{Service: x}); err != nil {
		return nil, err
	}
	return map[string]any{"service": viewService(r, &x)}, nil
}

// updateService changes a service. One of this binary gets a record by it.
func (s *service) updateService(r *httpapi.Request) (any, error) {
	return base.Edit(r, "service", named(r, s.service), func(_ state.Reader, x *structs.CatalogService) error { return applyService(r, x) }, func(x structs.CatalogService, index uint64) error {
		_, err := fsm.CatalogServiceWrite.Propose(r.Context(), r.Core, &structs.CatalogServiceWriteRequest{Service: x, Index: index})
		return err
	}, viewService)
}

func (s *service) deleteService(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	if s.own(id) {
		return nil, builtin("Service", id)
	}
	_, err := fsm.CatalogServiceDelete.Propose(r.Context(), r.Core, &structs.CatalogServiceDeleteRequest{ID: id})
	return nil, err
}
