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

// OS-EP-FILTER: which endpoints a project sees.

const groupProperties = `{"name": {"type": "string", "minLength": 1, "maxLength": 255}, "description": {"type": ["string", "null"]},
	"filters": {"type": "object", "additionalProperties": false, "properties": {"service_id": {"type": "string"}, "region_id": {"type": "string"}, "endpoint_id": {"type": "string"},
		"interface": {"type": "string", "enum": ["admin", "internal", "public"]}, "enabled": {"type": "boolean"}}}}`

var (
	groupCreateSchema = object("endpoint_group", groupProperties, `"required": ["name", "filters"], `)
	groupUpdateSchema = object("endpoint_group", groupProperties, `"minProperties": 1, `)
)

func viewGroup(r *httpapi.Request, g *structs.EndpointGroup) base.View {
	filters := map[string]any{}
	for name, value := range map[string]string{"service_id": g.ServiceID, "region_id": g.RegionID, "interface": g.Interface, "endpoint_id": g.EndpointID} {
		if value != "" {
			filters[name] = value
		}
	}
	if g.Enabled != nil {
		filters["enabled"] = *g.Enabled
	}
	v := base.View{"id": g.ID, "name": g.Name, "description": g.Description, "filters": filters}
	return v.Link(r, "OS-EP-FILTER", "endpoint_groups", g.ID)
}

func group(st state.Reader, id string) (*structs.EndpointGroup, error) {
	if g := st.EndpointGroup(id); g != nil {
		return g, nil
	}
	return nil, base.NotFound("Endpoint Group", id)
}

func (s *service) listGroups(r *httpapi.Request) (any, error) {
	return base.List(r, "endpoint_groups", func(st state.Reader) []*structs.EndpointGroup { return slices.Collect(st.EndpointGroups()) }, viewGroup, "name")
}

func (s *service) showGroup(r *httpapi.Request) (any, error) {
	return base.Show(r, "endpoint_group", func(st state.Reader) (*structs.EndpointGroup, error) { return group(st, r.Vars["group"]) }, viewGroup)
}

func applyGroup(r *httpapi.Request, g *structs.EndpointGroup) error {
	var in struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
		Filters     *struct {
			ServiceID  string `json:"service_id"`
			RegionID   string `json:"region_id"`
			Interface  string `json:"interface"`
			EndpointID string `json:"endpoint_id"`
			Enabled    *bool  `json:"enabled"`
		} `json:"filters"`
	}
	if err := base.Decode(r, "endpoint_group", &in); err != nil {
		return err
	}
	set(&g.Name, in.Name, in.Name != nil)
	set(&g.Description, in.Description, in.Description != nil)
	if f := in.Filters; f != nil {
		g.ServiceID, g.RegionID, g.Interface, g.EndpointID, g.Enabled = f.ServiceID, f.RegionID, f.Interface, f.EndpointID, f.Enabled
	}
	return nil
}

func (s *service) createGroup(r *httpapi.Request) (any, error) {
	g := structs.EndpointGroup{ID: nomadlike.NewHexID()}
	if err := applyGroup(r, &g); err != nil {
		return nil, err
	}
	if _, err := fsm.EndpointGroupWrite.Propose(r.Context(), r.Core, &structs.EndpointGroupWriteRequest{Group: g}); err != nil {
		return nil, err
	}
	return map[string]any{"endpoint_group": viewGroup(r, &g)}, nil
}

func (s *service) updateGroup(r *httpapi.Request) (any, error) {
	return base.Edit(r, "endpoint_group", func(st state.Reader) (*structs.EndpointGroup, error) { return group(st, r.Vars["group"]) },
		func(_ state.Reader, g *structs.EndpointGroup) error { return applyGroup(r, g) }, func(g structs.EndpointGroup, index uint64) error {
			_, err := fsm.EndpointGroupWrite.Propose(r.Context(), r.Core, &structs.EndpointGroupWriteRequest{Group: g, Index: index})
			return err
		}, viewGroup)
}

func (s *service) deleteGroup(r *httpapi.Request) (any, error) {
	_, err := fsm.EndpointGroupDelete.Propose(r.Context(), r.Core, &structs.EndpointGroupDeleteRequest{ID: r.Vars["group"]})
	return nil, err
}

// groupEndpoints lists the endpoints that have what a group asks for.
func (s *service) groupEndpoints(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	g, err := group(st, r.Vars["group"])
	if err != nil {
		return nil, err
	}
	return s.endpointList(r, st, func(p *structs.Endpoint) bool { return InGroup(g, p) }), nil
}

func (s *service) endpointList(r *httpapi.Request, st state.Reader, takes func(*structs.Endpoint) bool) any {
	out := []base.View{}
	for _, p := range s.endpoints(r)(st) {
		if takes(p) {
			out = append(out, viewEndpoint(r, p))
		}
	}
	return base.Collection(r, "endpoints", out)
}

// association reads the association of the path, whose parts must be there.
func (s *service) association(r *httpapi.Request) (state.Reader, *structs.EndpointFilter, error) {
	f := &structs.EndpointFilter{ProjectID: structs.ProjectID(r.Vars["project"]), EndpointID: r.Vars["endpoint"], GroupID: r.Vars["group"]}
	st, err := base.Read(r)
	if err != nil {
		return st, f, err
	}
	if f.EndpointID != "" {
		if _, err := s.endpoint(r)(st, f.EndpointID); err != nil {
			return st, f, err
		}
	}
	if f.GroupID != "" {
		if _, err := group(st, f.GroupID); err != nil {
			return st, f, err
		}
	}
	if f.ProjectID != "" && st.Project(f.ProjectID) == nil {
		return st, f, base.NotFound("project", f.ProjectID)
	}
	return st, f, nil
}

// filterProjects lists the projects that an endpoint or a group is shown to.
func (s *service) filterProjects(r *httpapi.Request) (any, error) {
	st, like, err := s.association(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for f := range st.EndpointFilters() {
		if p := st.Project(f.ProjectID); p != nil && f.EndpointID == like.EndpointID && f.GroupID == like.GroupID {
			out = append(out, base.ViewProject(r, p))
		}
	}
	return base.Collection(r, "projects", out), nil
}

// projectEndpoints lists what a project sees by its associations; none when it has none.
func (s *service) projectEndpoints(r *httpapi.Request) (any, error) {
	st, f, err := s.association(r)
	if err != nil {
		return nil, err
	}
	for range st.EndpointFiltersOf(f.ProjectID) {
		return s.endpointList(r, st, filter(st, f.ProjectID)), nil
	}
	return s.endpointList(r, st, func(*structs.Endpoint) bool { return false }), nil
}

func (s *service) projectGroups(r *httpapi.Request) (any, error) {
	st, f, err := s.association(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for x := range st.EndpointFiltersOf(f.ProjectID) {
		if g := st.EndpointGroup(x.GroupID); g != nil {
			out = append(out, viewGroup(r, g))
		}
	}
	return base.Collection(r, "endpoint_groups", out), nil
}

func (s *service) checkFilter(r *httpapi.Request) (any, error) {
	st, f, err := s.association(r)
	if err == nil && st.EndpointFilter(f) == nil {
		err = httpapi.NotFound("Endpoint %s%s not found in project %s", f.EndpointID, f.GroupID, f.ProjectID)
	}
	return nil, err
}

func (s *service) showFilter(r *httpapi.Request) (any, error) {
	if _, err := s.checkFilter(r); err != nil {
		return nil, err
	}
	v := base.View{"project_id": r.Vars["project"], "endpoint_group_id": r.Vars["group"]}
	return map[string]any{"project_endpoint_group": v.Link(r, "OS-EP-FILTER", "endpoint_groups", r.Vars["group"], "projects", r.Vars["project"])}, nil
}

func (s *service) addFilter(r *httpapi.Request) (any, error) { return nil, s.writeFilter(r, false) }

func (s *service) removeFilter(r *httpapi.Request) (any, error) { return nil, s.writeFilter(r, true) }

func (s *service) writeFilter(r *httpapi.Request, remove bool) error {
	_, f, err := s.association(r)
	if err != nil {
		return err
	}
	_, err = fsm.EndpointFilterWrite.Propose(r.Context(), r.Core, &structs.EndpointFilterWriteRequest{Filter: *f, Remove: remove})
	return err
}
