package limit

import (
	"encoding/json"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// decode reads a body that its schema has let through.
func decode(r *httpapi.Request, into any) error {
	if err := json.Unmarshal(r.Body, into); err != nil {
		return httpapi.BadRequest("a field of the body has the wrong type")
	}
	return nil
}

func viewRegistered(r *httpapi.Request, l *structs.RegisteredLimit) base.View {
	v := base.View{"id": l.ID, "service_id": l.ServiceID, "region_id": base.OrNull(l.RegionID), "resource_name": l.Resource, "default_limit": l.Default, "description": base.OrNull(l.Description)}
	return v.Link(r, "registered_limits", l.ID)
}

func (s *service) listRegistered(r *httpapi.Request) (any, error) {
	return base.List(r, "registered_limits", func(st state.Reader) []*structs.RegisteredLimit { return slices.Collect(st.RegisteredLimits()) }, viewRegistered, "service_id", "region_id", "resource_name")
}

// registeredOf finds the registered limit of the path.
func registeredOf(r *httpapi.Request) func(state.Reader) (*structs.RegisteredLimit, error) {
	return func(st state.Reader) (*structs.RegisteredLimit, error) {
		if l := st.RegisteredLimit(r.Vars["limit"]); l != nil {
			return l, nil
		}
		return nil, base.NotFound("registered limit for", r.Vars["limit"])
	}
}

func (s *service) showRegistered(r *httpapi.Request) (any, error) {
	return base.Show(r, "registered_limit", registeredOf(r), viewRegistered)
}

// registeredFields is a registered limit in a body.
type registeredFields struct {
	ServiceID   *string `json:"service_id"`
	RegionID    *string `json:"region_id"`
	Resource    *string `json:"resource_name"`
	Default     *int64  `json:"default_limit"`
	Description *string `json:"description"`
}

func (f *registeredFields) apply(l *structs.RegisteredLimit) {
	for _, x := range []struct {
		to   *string
		from *string
	}{{&l.ServiceID, f.ServiceID}, {&l.RegionID, f.RegionID}, {&l.Resource, f.Resource}, {&l.Description, f.Description}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if f.Default != nil {
		l.Default = *f.Default
	}
}

func (s *service) createRegistered(r *httpapi.Request) (any, error) {
	var in struct {
		Limits []registeredFields `json:"registered_limits"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	req, out := &structs.RegisteredLimitsWriteRequest{}, []base.View{}
	for _, x := range in.Limits {
		l := structs.RegisteredLimit{ID: nomadlike.NewHexID()}
		x.apply(&l)
		if err := s.known(st, l.ServiceID, l.RegionID, "registered_limit"); err != nil {
			return nil, err
		}
		req.Limits, out = append(req.Limits, l), append(out, viewRegistered(r, &l))
	}
	if _, err := fsm.RegisteredLimitsWrite.Propose(r.Context(), r.Core, req); err != nil {
		return nil, err
	}
	return map[string]any{"registered_limits": out}, nil
}

func (s *service) updateRegistered(r *httpapi.Request) (any, error) {
	var in registeredFields
	if err := base.Decode(r, "registered_limit", &in); err != nil {
		return nil, err
	}
	return base.Edit(r, "registered_limit", registeredOf(r), func(st state.Reader, l *structs.RegisteredLimit) error {
		in.apply(l)
		return s.known(st, l.ServiceID, l.RegionID, "registered_limit")
	}, func(l structs.RegisteredLimit, index uint64) error {
		_, err := fsm.RegisteredLimitsWrite.Propose(r.Context(), r.Core, &structs.RegisteredLimitsWriteRequest{Limits: []structs.RegisteredLimit{l}, Index: index})
		return err
	}, viewRegistered)
}

func (s *service) deleteRegistered(r *httpapi.Request) (any, error) {
	_, err := fsm.RegisteredLimitDelete.Propose(r.Context(), r.Core, &structs.RegisteredLimitDeleteRequest{ID: r.Vars["limit"]})
	return nil, err
}
