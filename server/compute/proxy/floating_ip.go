package proxy

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) floatingIPRoutes() []httpapi.Route {
	const policy = "os_compute_api:os-floating-ips:"
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-floating-ip-pools", Rule: httpapi.Authenticated("os_compute_api:os-floating-ip-pools"), Query: base.NoQuery,
			Handler: s.listPools},
		{Method: http.MethodGet, Path: "/os-floating-ips", Rule: httpapi.ReaderOrAdmin(policy + "list"), Query: base.NoQuery, Handler: s.listFloatingIPs},
		{Method: http.MethodGet, Path: "/os-floating-ips/{id}", Rule: httpapi.ReaderOrAdmin(policy + "show"), Query: base.NoQuery, Handler: s.showFloatingIP},
		{Method: http.MethodPost, Path: "/os-floating-ips", Rule: httpapi.MemberOrAdmin(policy + "create"), Body: floatingIPCreateSchema,
			Handler: s.allocateFloatingIP},
		{Method: http.MethodDelete, Path: "/os-floating-ips/{id}", Rule: httpapi.MemberOrAdmin(policy + "delete"), Status: http.StatusAccepted,
			Handler: s.releaseFloatingIP},
	})
}

func floatingIPView(f *FloatingIP) map[string]any {
	return map[string]any{"id": f.ID, "ip": f.Address, "pool": f.Pool, "fixed_ip": textOrNull(f.FixedIP), "instance_id": textOrNull(string(f.InstanceID))}
}

func (s *service) listPools(r *httpapi.Request) (any, error) {
	pools, err := s.Services.FloatingIPs.Pools(r)
	if err != nil {
		return nil, err
	}
	list := make([]map[string]string, len(pools))
	for i, p := range pools {
		list[i] = map[string]string{"name": p}
	}
	return map[string]any{"floating_ip_pools": list}, nil
}

func (s *service) listFloatingIPs(r *httpapi.Request) (any, error) {
	found, err := s.Services.FloatingIPs.FloatingIPs(r)
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(found))
	for i := range found {
		list[i] = floatingIPView(&found[i])
	}
	return map[string]any{"floating_ips": list}, nil
}

func (s *service) showFloatingIP(r *httpapi.Request) (any, error) {
	f, err := s.Services.FloatingIPs.FloatingIP(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"floating_ip": floatingIPView(f)}, nil
}

func (s *service) allocateFloatingIP(r *httpapi.Request) (any, error) {
	pool := ""
	if len(r.Body) > 0 {
		body, err := base.Decode[struct {
			Pool string `json:"pool"`
		}](r)
		if err != nil {
			return nil, err
		}
		pool = body.Pool
	}
	f, err := s.Services.FloatingIPs.Allocate(r, pool)
	if err != nil {
		return nil, err
	}
	return map[string]any{"floating_ip": floatingIPView(f)}, nil
}

func (s *service) releaseFloatingIP(r *httpapi.Request) (any, error) {
	return nil, s.Services.FloatingIPs.Release(r, r.Vars["id"])
}
