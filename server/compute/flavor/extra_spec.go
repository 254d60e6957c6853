package flavor

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// firstChecked is the first microversion that judges the values of extra specs.
const firstChecked = 86

// ruleListExtraSpecs decides as well whether flavors show theirs.
var ruleListExtraSpecs = httpapi.ReaderOrAdmin("os_compute_api:os-flavor-extra-specs:index")

func (s *service) extraSpecRoutes() []httpapi.Route {
	const policy, all, one = "os_compute_api:os-flavor-extra-specs:", "/flavors/{flavor_id}/os-extra_specs", "/flavors/{flavor_id}/os-extra_specs/{id}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Rule: ruleListExtraSpecs, Query: base.NoQuery, Handler: s.listExtraSpecs},
		{Method: http.MethodPost, Path: all, Rule: httpapi.Admin(policy + "create"), Body: extraSpecsSchema, Handler: s.createExtraSpecs},
		{Method: http.MethodGet, Path: one, Rule: httpapi.ReaderOrAdmin(policy + "show"), Query: base.NoQuery, Handler: s.showExtraSpec},
		{Method: http.MethodPut, Path: one, Rule: httpapi.Admin(policy + "update"), Body: extraSpecSchema, Handler: s.updateExtraSpec},
		{Method: http.MethodDelete, Path: one, Rule: httpapi.Admin(policy + "delete"), Handler: s.deleteExtraSpec},
	}
}

func extraSpecs(f *structs.Flavor) map[string]string {
	if f.ExtraSpecs == nil {
		return map[string]string{}
	}
	return f.ExtraSpecs
}

func (s *service) listExtraSpecs(r *httpapi.Request) (any, error) {
	f, err := flavorOf(r, r.Vars["flavor_id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"extra_specs": extraSpecs(f)}, nil
}

func (s *service) showExtraSpec(r *httpapi.Request) (any, error) {
	f, err := flavorOf(r, r.Vars["flavor_id"])
	if err != nil {
		return nil, err
	}
	key := r.Vars["id"]
	v, ok := f.ExtraSpecs[key]
	if !ok {
		return nil, httpapi.NotFound("Flavor %s has no extra specs with key %s.", f.ID, key)
	}
	return map[string]string{key: v}, nil
}

// setExtraSpecs judges what was sent and writes it. The answer is the request's own body.
func (s *service) setExtraSpecs(r *httpapi.Request, sent map[string]base.FlexText) (any, error) {
	specs := make(map[string]string, len(sent))
	for _, k := range slices.Sorted(maps.Keys(sent)) { // of several wrong ones always the same is named
		v := string(sent[k])
		if err := checkSpecLength(v); err != nil {
			return nil, err
		}
		if r.Version >= firstChecked {
			if err := checkExtraSpec(k, v); err != nil {
				return nil, err
			}
		}
		specs[k] = v
	}
	f, err := flavorOf(r, r.Vars["flavor_id"])
	if err != nil {
		return nil, err
	}
	if _, err := fsm.FlavorSpecsSet.Propose(r.Context(), r.Core, &structs.FlavorSpecsSetRequest{ID: f.ID, Specs: specs, Now: s.Time()}); err != nil {
		return nil, err
	}
	return json.RawMessage(r.Body), nil
}

func (s *service) createExtraSpecs(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Specs map[string]base.FlexText `json:"extra_specs"`
	}](r)
	if err != nil {
		return nil, err
	}
	return s.setExtraSpecs(r, body.Specs)
}

func (s *service) updateExtraSpec(r *httpapi.Request) (any, error) {
	body, err := base.Decode[map[string]base.FlexText](r)
	if err != nil {
		return nil, err
	}
	if _, ok := (*body)[r.Vars["id"]]; !ok {
		return nil, httpapi.BadRequest("Request body and URI mismatch")
	}
	return s.setExtraSpecs(r, *body)
}

func (s *service) deleteExtraSpec(r *httpapi.Request) (any, error) {
	_, err := fsm.FlavorSpecDelete.Propose(r.Context(), r.Core,
		&structs.FlavorSpecDeleteRequest{ID: structs.FlavorID(r.Vars["flavor_id"]), Key: r.Vars["id"], Now: s.Time()})
	return nil, err
}
