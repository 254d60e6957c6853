package proxy

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) networkRoutes() []httpapi.Route {
	rule := func(name string) httpapi.Rule { return httpapi.ReaderOrAdmin("os_compute_api:" + name) }
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-networks", Rule: rule("os-networks:list"), Query: base.NoQuery, Handler: s.listNetworks(networkView)},
		{Method: http.MethodGet, Path: "/os-networks/{id}", Rule: rule("os-networks:show"), Query: base.NoQuery, Handler: s.showNetwork(networkView)},
		{Method: http.MethodGet, Path: "/os-tenant-networks", Rule: rule("os-tenant-networks:list"), Query: base.NoQuery,
			Handler: s.listNetworks(tenantNetworkView)},
		{Method: http.MethodGet, Path: "/os-tenant-networks/{id}", Rule: rule("os-tenant-networks:show"), Query: base.NoQuery,
			Handler: s.showNetwork(tenantNetworkView)},
	})
}

// What networks of the time before the network service had; all of it is null now.
var (
	networkFields = []string{"cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6"}
	networkAdmins = []string{"created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan", "vpn_public_address", "vpn_public_port",
		"vpn_private_address", "dhcp_start", "project_id", "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu", "dhcp_server",
		"enable_dhcp", "share_address"}
)

func networkView(r *httpapi.Request, n *Network) map[string]any {
	v := map[string]any{"id": n.ID, "label": n.Name}
	for _, k := range networkFields {
		v[k] = nil
	}
	if r.Token.IsAdmin() {
		for _, k := range networkAdmins {
			v[k] = nil
		}
	}
	return v
}

// tenantNetworkView has the word None for an address range, as Nova answers it.
func tenantNetworkView(_ *httpapi.Request, n *Network) map[string]any {
	return map[string]any{"id": n.ID, "label": n.Name, "cidr": "None"}
}

func (s *service) listNetworks(view func(*httpapi.Request, *Network) map[string]any) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		list, err := s.Networks.Networks(r)
		if err != nil {
			return nil, err
		}
		out := make([]map[string]any, len(list))
		for i := range list {
			out[i] = view(r, &list[i])
		}
		return map[string]any{"networks": out}, nil
	}
}

func (s *service) showNetwork(view func(*httpapi.Request, *Network) map[string]any) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		n, err := s.Networks.Network(r, r.Vars["id"])
		if err != nil {
			return nil, err
		}
		return map[string]any{"network": view(r, n)}, nil
	}
}
