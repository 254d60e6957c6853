package instance

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) interfaceRoutes() []httpapi.Route {
	const all, one, policy = "/servers/{server_id}/os-interface", "/servers/{server_id}/os-interface/{id}", "os_compute_api:os-attach-interfaces:"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Rule: httpapi.ReaderOrAdmin(policy + "list"), Query: base.NoQuery, Handler: s.listInterfaces},
		{Method: http.MethodPost, Path: all, Rule: httpapi.MemberOrAdmin(policy + "create"), Body: interfaceSchema, Handler: s.attachInterface},
		{Method: http.MethodGet, Path: one, Rule: httpapi.ReaderOrAdmin(policy + "show"), Query: base.NoQuery, Handler: s.showInterface},
		{Method: http.MethodDelete, Path: one, Rule: httpapi.MemberOrAdmin(policy + "delete"), Status: http.StatusAccepted, Handler: s.detachInterface},
	}
}

const addressSchema = `{"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}`

var interfaceSchema = base.Schema(`{"type": "object", "additionalProperties": false, "properties": {
	"interfaceAttachment": {"type": "object", "additionalProperties": false, "properties": {
		"net_id": @uuid, "port_id": @uuid,
		"fixed_ips": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "object", "additionalProperties": false, "required": ["ip_address"],
			"properties": {"ip_address": ` + addressSchema + `}}},
		"tag": {"x-min": 49, "type": "string", "pattern": "^[^,/]*$", "minLength": 1, "maxLength": 60}}}}}`)

// These are no operations of the cluster yet: what the other services may be asked, by the instance's state.
var (
	attachInterface = hotplug("attach_interface", structs.VMActive, structs.VMPaused, structs.VMStopped)
	detachInterface = hotplug("detach_interface", structs.VMActive, structs.VMPaused, structs.VMStopped)
)

func hotplug(action string, states ...structs.VMState) *operation.Table {
	return &operation.Table{Action: action, Allow: operation.Allow{VM: states, Launched: true}}
}

// may refuses what a lock or a state of the instance forbids, before another service is asked.
func may(r *httpapi.Request, ins *structs.Instance, t *operation.Table) error {
	if ins.Locked && !r.Token.IsAdmin() {
		return httpapi.Conflict("Instance %s is locked", ins.ID)
	}
	return t.Check(ins)
}

// tagged adds an interface's or volume's tag to its view, null for none; answers have it from 2.70 on.
func tagged(r *httpapi.Request, view map[string]any, tag string) {
	switch {
	case r.Version < 70:
	case tag == "":
		view["tag"] = nil
	default:
		view["tag"] = tag
	}
}

func interfaceView(r *httpapi.Request, n *proxy.Interface) map[string]any {
	ips := make([]map[string]string, len(n.FixedIPs))
	for i, ip := range n.FixedIPs {
		ips[i] = map[string]string{"subnet_id": ip.SubnetID, "ip_address": ip.Address}
	}
	v := map[string]any{"net_id": n.NetworkID, "port_id": n.PortID, "mac_addr": n.MAC, "port_state": n.State, "fixed_ips": ips}
	tagged(r, v, n.Tag)
	return v
}

// interfacesOf returns the instance of the URL with its interfaces.
func (s *service) interfacesOf(r *httpapi.Request) (*structs.Instance, []proxy.Interface, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, nil, err
	}
	list, err := s.to.Interfaces.Interfaces(r, ins)
	return ins, list, err
}

func (s *service) listInterfaces(r *httpapi.Request) (any, error) {
	_, found, err := s.interfacesOf(r)
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(found))
	for i := range found {
		list[i] = interfaceView(r, &found[i])
	}
	return map[string]any{"interfaceAttachments": list}, nil
}

func (s *service) showInterface(r *httpapi.Request) (any, error) {
	_, found, err := s.interfacesOf(r)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].PortID == r.Vars["id"] {
			return map[string]any{"interfaceAttachment": interfaceView(r, &found[i])}, nil
		}
	}
	return nil, proxy.NoPort(r.Vars["id"])
}

func (s *service) attachInterface(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Interface struct {
			NetworkID string `json:"net_id"`
			PortID    string `json:"port_id"`
			FixedIPs  []struct {
				Address string `json:"ip_address"`
			} `json:"fixed_ips"`
			Tag string `json:"tag"`
		} `json:"interfaceAttachment"`
	}](r)
	if err != nil {
		return nil, err
	}
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	spec := proxy.InterfaceSpec{PortID: body.Interface.PortID, NetworkID: body.Interface.NetworkID, Tag: body.Interface.Tag}
	if ips := body.Interface.FixedIPs; len(ips) > 0 {
		spec.Address = ips[0].Address
	}
	switch {
	case spec.NetworkID != "" && spec.PortID != "":
		return nil, httpapi.BadRequest("Must not input both network_id and port_id")
	case spec.Address != "" && spec.NetworkID == "":
		return nil, httpapi.BadRequest("Must input network_id when request IP address")
	}
	if err := may(r, ins, attachInterface); err != nil {
		return nil, err
	}
	made, err := s.to.Interfaces.AttachInterface(r, ins, spec)
	if err != nil {
		return nil, err
	}
	return map[string]any{"interfaceAttachment": interfaceView(r, made)}, nil
}

func (s *service) detachInterface(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	if err := may(r, ins, detachInterface); err != nil {
		return nil, err
	}
	return nil, s.to.Interfaces.DetachInterface(r, ins, r.Vars["id"])
}
