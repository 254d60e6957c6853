package instance

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// lastAddressAction is the last microversion in which Nova passes changes of addresses on to the network service.
const lastAddressAction = 43

func (s *service) addressRoutes() []httpapi.Route {
	row := func(key, rule, value string, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: key, Max: lastAddressAction, Rule: httpapi.MemberOrAdmin("os_compute_api:" + rule),
			Body: base.Action(key, value), Status: http.StatusAccepted, Handler: h}
	}
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/servers/{server_id}/ips", Rule: httpapi.ReaderOrAdmin("os_compute_api:ips:index"), Query: base.NoQuery, Handler: s.listAddresses},
		{Method: http.MethodGet, Path: "/servers/{server_id}/ips/{id}", Rule: httpapi.ReaderOrAdmin("os_compute_api:ips:show"), Query: base.NoQuery, Handler: s.showAddresses},
		row("addFixedIp", "os-multinic:add", `{"type": "object", "additionalProperties": false, "required": ["networkId"], "properties": {
			"networkId": {"type": ["string", "number"], "minLength": 1, "maxLength": 36}}}`, s.addFixedIP),
		row("removeFixedIp", "os-multinic:remove", `{"type": "object", "additionalProperties": false, "required": ["address"], "properties": {
			"address": `+addressSchema+`}}`, s.removeFixedIP),
		row("addFloatingIp", "os-floating-ips:add", `{"type": "object", "additionalProperties": false, "required": ["address"], "properties": {
			"address": `+addressSchema+`, "fixed_address": `+addressSchema+`}}`, s.addFloatingIP),
		row("removeFloatingIp", "os-floating-ips:remove", `{"type": "object", "additionalProperties": false, "required": ["address"], "properties": {
			"address": `+addressSchema+`}}`, s.removeFloatingIP),
	}
}

type addressView struct {
	Version int    `json:"version"`
	Address string `json:"addr"`
}

func viewAddress(text string) addressView {
	v := addressView{Version: 4, Address: text}
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		v.Version = 6
	}
	return v
}

// addresses are the instance's by network, each fixed one before those that lead to it.
func addresses(list []proxy.Interface) map[string][]addressView {
	all := map[string][]addressView{}
	for _, n := range list {
		of := all[n.Network]
		if of == nil {
			of = []addressView{}
		}
		for _, ip := range n.FixedIPs {
			of = append(of, viewAddress(ip.Address))
			for _, f := range ip.Floating {
				of = append(of, viewAddress(f))
			}
		}
		all[n.Network] = of
	}
	return all
}

func (s *service) listAddresses(r *httpapi.Request) (any, error) {
	_, list, err := s.interfacesOf(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"addresses": addresses(list)}, nil
}

func (s *service) showAddresses(r *httpapi.Request) (any, error) {
	_, list, err := s.interfacesOf(r)
	if err != nil {
		return nil, err
	}
	label := r.Vars["id"]
	of, ok := addresses(list)[label]
	if !ok {
		return nil, httpapi.NotFound("Instance is not a member of specified network")
	}
	return map[string]any{label: of}, nil
}

// unlocked is the instance of an action's URL, unless it is locked: these actions are the only ones that Nova answers with 400 then.
func unlocked(r *httpapi.Request) (*structs.Instance, error) {
	_, ins, err := target(r)
	if err == nil && ins.Locked && !r.Token.IsAdmin() {
		return nil, httpapi.BadRequest("Instance %s is locked", ins.ID)
	}
	return ins, err
}

func (s *service) addFixedIP(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Add struct {
			NetworkID base.FlexText `json:"networkId"`
		} `json:"addFixedIp"`
	}](r)
	if err != nil {
		return nil, err
	}
	ins, err := unlocked(r)
	if err != nil {
		return nil, err
	}
	return nil, s.to.Interfaces.AddFixedIP(r, ins, string(body.Add.NetworkID))
}

func (s *service) removeFixedIP(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Remove struct {
			Address string `json:"address"`
		} `json:"removeFixedIp"`
	}](r)
	if err != nil {
		return nil, err
	}
	ins, err := unlocked(r)
	if err != nil {
		return nil, err
	}
	return nil, s.to.Interfaces.RemoveFixedIP(r, ins, body.Remove.Address)
}

func (s *service) addFloatingIP(r *httpapi.Request) (any, error) {
	body, _, ins, err := asked[struct {
		Add struct {
			Address string `json:"address"`
			Fixed   string `json:"fixed_address"`
		} `json:"addFloatingIp"`
	}](r)
	if err != nil {
		return nil, err
	}
	list, err := s.to.Interfaces.Interfaces(r, ins)
	if err != nil {
		return nil, err
	}
	fixed, err := fixedAddress(ins, list, body.Add.Address, body.Add.Fixed)
	if err != nil {
		return nil, err
	}
	return nil, s.to.Interfaces.AssociateFloatingIP(r, ins, body.Add.Address, fixed)
}

// fixedAddress is where a floating address is to lead: the fixed one that was asked for, else the first of IPv4.
func fixedAddress(ins *structs.Instance, list []proxy.Interface, floating, asked string) (string, error) {
	var all []string
	for _, n := range list {
		for _, ip := range n.FixedIPs {
			all = append(all, ip.Address)
		}
	}
	switch {
	case len(list) == 0:
		return "", httpapi.BadRequest("Instance network is not ready yet")
	case len(all) == 0:
		return "", httpapi.BadRequest("No fixed IPs associated to instance")
	case asked != "" && !slices.Contains(all, asked):
		return "", httpapi.BadRequest("Specified fixed address not assigned to instance")
	case asked != "":
		return asked, nil
	}
	for _, a := range all {
		if viewAddress(a).Version == 4 {
			return a, nil
		}
	}
	return "", httpapi.BadRequest("Unable to associate floating IP %s to any fixed IPs for instance %s. Instance has no fixed IPv4 addresses to associate.", floating, ins.ID)
}

// removeFloatingIP asks for the address before the instance, as Nova does: an address that leads elsewhere is a conflict, whatever the URL names.
func (s *service) removeFloatingIP(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Remove struct {
			Address string `json:"address"`
		} `json:"removeFloatingIp"`
	}](r)
	if err != nil {
		return nil, err
	}
	address := body.Remove.Address
	list, err := s.to.FloatingIPs.FloatingIPs(r)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(f proxy.FloatingIP) bool { return f.Address == address })
	switch {
	case i < 0:
		return nil, httpapi.NotFound("floating IP not found")
	case string(list[i].InstanceID) != r.Vars["id"]:
		return nil, httpapi.Conflict("Floating IP %s is not associated with instance %s.", address, r.Vars["id"])
	}
	_, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	return nil, s.to.Interfaces.DisassociateFloatingIP(r, ins, address)
}
