package host

import (
	"maps"
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) zoneRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-availability-zone", Rule: httpapi.Authenticated("os_compute_api:os-availability-zone:list"), Query: base.NoQuery,
			Handler: s.listZones},
		{Method: http.MethodGet, Path: "/os-availability-zone/detail", Rule: httpapi.Admin("os_compute_api:os-availability-zone:detail"), Query: base.NoQuery,
			Handler: s.detailZones},
	}
}

type zoneView struct {
	Name  string                              `json:"zoneName"`
	State map[string]bool                     `json:"zoneState"`
	Hosts map[string]map[string]zoneHostState `json:"hosts"`
}

type zoneHostState struct {
	Available bool    `json:"available"`
	Active    bool    `json:"active"`
	UpdatedAt *string `json:"updated_at"`
}

// zones returns the zones by name, the available ones first: a zone is available when one of its services is enabled, whether up or not. Only
// those list their hosts.
func (s *service) zones(r *httpapi.Request) ([]zoneView, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	on, off := map[string]map[string]map[string]zoneHostState{}, map[string]bool{}
	for _, row := range serviceRows(r.Core, rd) {
		if row.disabled {
			off[row.zone] = true
			continue
		}
		if on[row.zone] == nil {
			on[row.zone] = map[string]map[string]zoneHostState{}
		}
		if on[row.zone][row.name] == nil {
			on[row.zone][row.name] = map[string]zoneHostState{}
		}
		on[row.zone][row.name][row.binary] = zoneHostState{Available: row.up, Active: true, UpdatedAt: base.Micros(row.seen)}
	}
	list := []zoneView{}
	for _, name := range slices.Sorted(maps.Keys(on)) {
		list = append(list, zoneView{name, map[string]bool{"available": true}, on[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(off)) {
		if on[name] == nil {
			list = append(list, zoneView{name, map[string]bool{"available": false}, nil})
		}
	}
	return list, nil
}

// listZones hides the servers' own zone and who is in a zone.
func (s *service) listZones(r *httpapi.Request) (any, error) {
	all, err := s.zones(r)
	if err != nil {
		return nil, err
	}
	list := []zoneView{}
	for _, z := range all {
		if z.Name != internalZone {
			z.Hosts = nil
			list = append(list, z)
		}
	}
	return map[string]any{"availabilityZoneInfo": list}, nil
}

func (s *service) detailZones(r *httpapi.Request) (any, error) {
	all, err := s.zones(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"availabilityZoneInfo": all}, nil
}
