// Package limit is Keystone's unified limits: what a resource of a service is limited to by default, and what a project or a domain has instead. Compute's quotas
// and Image's limits read those of their own resources.
package limit

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/catalog"
)

type service struct{ opts base.Options }

// Routes are those of limits and registered limits.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	const admin = "rule:admin_required"
	var out []httpapi.Route
	add := func(method, path string, status int, rule httpapi.Rule, body *httpapi.Schema, h httpapi.Handler) {
		out = append(out, httpapi.Route{Method: method, Path: path, Status: status, Rule: rule, Body: body, Handler: h})
	}
	check := func(name, text string) httpapi.Rule { return httpapi.Check("identity:"+name, text) }
	for _, m := range []string{http.MethodGet, http.MethodHead} {
		add(m, "/limits/model", 0, check("get_limit_model", ""), nil, model)
		add(m, "/limits", 0, check("list_limits", ""), nil, s.listLimits)
		add(m, "/limits/{limit}", 0, httpapi.Judged("identity:get_limit", "rule:admin_required or (role:reader and system_scope:all) or "+
			"(domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s) or "+
			"(project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)"), nil, s.showLimit)
		add(m, "/registered_limits", 0, check("list_registered_limits", ""), nil, s.listRegistered)
		add(m, "/registered_limits/{limit}", 0, check("get_registered_limit", ""), nil, s.showRegistered)
	}
	add(http.MethodPost, "/limits", http.StatusCreated, check("create_limits", admin), createSchema, s.createLimits)
	add(http.MethodPatch, "/limits/{limit}", 0, check("update_limit", admin), updateSchema, s.updateLimit)
	add(http.MethodDelete, "/limits/{limit}", http.StatusNoContent, check("delete_limit", admin), nil, s.deleteLimit)
	add(http.MethodPost, "/registered_limits", http.StatusCreated, check("create_registered_limits", admin), registerSchema, s.createRegistered)
	add(http.MethodPatch, "/registered_limits/{limit}", 0, check("update_registered_limit", admin), reregisterSchema, s.updateRegistered)
	add(http.MethodDelete, "/registered_limits/{limit}", http.StatusNoContent, check("delete_registered_limit", admin), nil, s.deleteRegistered)
	return out
}

const (
	number = `{"type": "integer", "minimum": -1, "maximum": 2147483647}`
	name   = `{"type": "string", "minLength": 1, "maxLength": 255, "pattern": "[\\S]+"}`
	region = `{"type": ["string", "null"], "maxLength": 255}`
	words  = `{"type": ["string", "null"]}`
	id     = `{"type": ["string", "null"], "maxLength": 64, "pattern": "^[a-zA-Z0-9-]+$"}`
)

var (
	createSchema = httpapi.MustSchema(`{"type": "object", "required": ["limits"], "additionalProperties": false, "properties": {"limits": {"type": "array", "minItems": 1, "items":
		{"type": "object", "additionalProperties": false, "required": ["service_id", "resource_name", "resource_limit"], "oneOf": [{"required": ["project_id"]}, {"required": ["domain_id"]}],
		"properties": {"service_id": {"type": "string"}, "region_id": ` + region + `, "resource_name": ` + name + `, "resource_limit": ` + number + `, "description": ` + words + `,
		"project_id": ` + id + `, "domain_id": ` + id + `}}}}}`)
	updateSchema = httpapi.MustSchema(`{"type": "object", "required": ["limit"], "additionalProperties": false, "properties": {"limit": {"type": "object", "additionalProperties": false,
		"properties": {"resource_limit": ` + number + `, "description": ` + words + `}}}}`)
	registerSchema = httpapi.MustSchema(`{"type": "object", "required": ["registered_limits"], "additionalProperties": false, "properties": {"registered_limits": {"type": "array", "minItems": 1, "items":
		{"type": "object", "additionalProperties": false, "required": ["service_id", "resource_name", "default_limit"],
		"properties": ` + registered + `}}}}`)
	reregisterSchema = httpapi.MustSchema(`{"type": "object", "required": ["registered_limit"], "additionalProperties": false, "properties": {"registered_limit": {"type": "object",
		"additionalProperties": false, "properties": ` + registered + `}}}`)
)

const registered = `{"service_id": {"type": "string"}, "region_id": ` + region + `, "resource_name": ` + name + `, "default_limit": ` + number + `, "description": ` + words + `}`

// model is how limits are enforced: each project by its own.
func model(*httpapi.Request) (any, error) {
	return map[string]any{"model": map[string]any{"name": "flat", "description": "Limit enforcement and validation does not take project hierarchy into consideration."}}, nil
}

// known refuses a limit of a service or region that is not there.
func (s *service) known(st state.Reader, serviceID, regionID, target string) error {
	if !slices.ContainsFunc(catalog.Services(st, s.opts.Endpoints), func(x *structs.CatalogService) bool { return x.ID == serviceID }) {
		return expecting("service_id", target)
	}
	if regionID != "" && regionID != st.ClusterSettings().Region && st.Region(regionID) == nil {
		return expecting("region_id", target)
	}
	return nil
}

func expecting(attribute, target string) error {
	return httpapi.BadRequest("Expecting to find %s in %s. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", attribute, target)
}

func viewLimit(r *httpapi.Request, st state.Reader, l *structs.Limit) base.View {
	v := base.View{"id": l.ID, "project_id": base.OrNull(string(l.ProjectID)), "domain_id": base.OrNull(string(l.DomainID)), "resource_limit": l.Value, "description": base.OrNull(l.Description)}
	if of := st.RegisteredLimit(l.RegisteredID); of != nil {
		v["service_id"], v["region_id"], v["resource_name"] = of.ServiceID, base.OrNull(of.RegionID), of.Resource
	}
	return v.Link(r, "limits", l.ID)
}

// listLimits lists all limits for administrators, services and those whose token is on the system, a domain's and its projects' for those on a domain, and else
// the project's own.
func (s *service) listLimits(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	t, out := r.Token, []base.View{}
	all := t.System || t.Has("admin") || t.Has("service")
	for l := range st.Limits() {
		seen := all || t.ProjectID != "" && l.ProjectID == t.ProjectID
		if t.DomainID != "" {
			p := st.Project(l.ProjectID)
			seen = seen || l.DomainID == t.DomainID || p != nil && p.DomainID == t.DomainID
		}
		if v := viewLimit(r, st, l); seen && base.Matches(r, v, "service_id", "region_id", "resource_name", "project_id", "domain_id") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "limits", out), nil
}

func find(st state.Reader, id string) (*structs.Limit, error) {
	if l := st.Limit(id); l != nil {
		return l, nil
	}
	return nil, base.NotFound("limit for", id)
}

func (s *service) showLimit(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	l := st.Limit(r.Vars["limit"])
	what := policy.Target{}
	if l != nil {
		what.More = map[string]string{"target.limit.project_id": string(l.ProjectID)}
		if p := st.Project(l.ProjectID); p != nil {
			what.More["target.limit.project.domain_id"] = string(p.DomainID)
		}
		if l.DomainID != "" {
			what.More["target.limit.domain.id"] = string(l.DomainID)
		}
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	if l, err = find(st, r.Vars["limit"]); err != nil {
		return nil, err
	}
	return map[string]any{"limit": viewLimit(r, st, l)}, nil
}

func (s *service) createLimits(r *httpapi.Request) (any, error) {
	var in struct {
		Limits []struct {
			ServiceID   string            `json:"service_id"`
			RegionID    string            `json:"region_id"`
			Resource    string            `json:"resource_name"`
			Value       int64             `json:"resource_limit"`
			Description string            `json:"description"`
			ProjectID   structs.ProjectID `json:"project_id"`
			DomainID    structs.DomainID  `json:"domain_id"`
		} `json:"limits"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	req := &structs.LimitsWriteRequest{}
	for _, x := range in.Limits {
		if err := s.known(st, x.ServiceID, x.RegionID, "limit"); err != nil {
			return nil, err
		}
		l := structs.Limit{ID: nomadlike.NewHexID(), ProjectID: x.ProjectID, DomainID: x.DomainID, Value: x.Value, Description: x.Description}
		if d := st.Domain(structs.DomainID(l.ProjectID)); d != nil { // a domain acts as a project, too
			l.ProjectID, l.DomainID = "", d.ID
		}
		for of := range st.RegisteredLimitsOfService(x.ServiceID) {
			if of.RegionID == x.RegionID && of.Resource == x.Resource {
				l.RegisteredID = of.ID
			}
		}
		req.Limits = append(req.Limits, l)
	}
	if _, err := fsm.LimitsWrite.Propose(r.Context(), r.Core, req); err != nil {
		return nil, err
	}
	out := []base.View{}
	for i := range req.Limits {
		out = append(out, viewLimit(r, st, &req.Limits[i]))
	}
	return map[string]any{"limits": out}, nil
}

func (s *service) updateLimit(r *httpapi.Request) (any, error) {
	var in struct {
		Value       *int64  `json:"resource_limit"`
		Description *string `json:"description"`
	}
	if err := base.Decode(r, "limit", &in); err != nil {
		return nil, err
	}
	return base.Change(r, func(st state.Reader) (any, error) {
		old, err := find(st, r.Vars["limit"])
		if err != nil {
			return nil, err
		}
		l := *old
		if in.Value != nil {
			l.Value = *in.Value
		}
		if in.Description != nil {
			l.Description = *in.Description
		}
		if _, err := fsm.LimitsWrite.Propose(r.Context(), r.Core, &structs.LimitsWriteRequest{Limits: []structs.Limit{l}, Index: old.ModifyIndex}); err != nil {
			return nil, err
		}
		return map[string]any{"limit": viewLimit(r, st, &l)}, nil
	})
}

func (s *service) deleteLimit(r *httpapi.Request) (any, error) {
	_, err := fsm.LimitDelete.Propose(r.Context(), r.Core, &structs.LimitDeleteRequest{ID: r.Vars["limit"]})
	return nil, err
}
