package host

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// hostRoutes are the hosts of microversions below 2.43, which name them.
func (s *service) hostRoutes() []httpapi.Route {
	admin := func(verb string) httpapi.Rule { return httpapi.Admin("os_compute_api:os-hosts:" + verb) }
	const one = "/os-hosts/{id}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-hosts", Max: 42, Rule: admin("list"), Query: hostListQuery, Handler: s.listHosts},
		{Method: http.MethodGet, Path: one, Max: 42, Rule: admin("show"), Query: hostQuery, Handler: s.showHost},
		{Method: http.MethodPut, Path: one, Max: 42, Rule: admin("update"), Body: hostUpdateSchema, Handler: s.updateHost},
		{Method: http.MethodGet, Path: one + "/startup", Max: 42, Rule: admin("start"), Query: hostQuery, Handler: s.powerHost},
		{Method: http.MethodGet, Path: one + "/shutdown", Max: 42, Rule: admin("shutdown"), Query: hostQuery, Handler: s.powerHost},
		{Method: http.MethodGet, Path: one + "/reboot", Max: 42, Rule: admin("reboot"), Query: hostQuery, Handler: s.powerHost},
	}
}

// listHosts lists what os-services does, by the names of Nova's message topics, and without what is disabled.
func (s *service) listHosts(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	zone := base.Last(r.Query()["zone"])
	list := []map[string]any{}
	for _, row := range serviceRows(r.Core, rd) {
		if !row.disabled && (zone == "" || row.zone == zone) {
			list = append(list, map[string]any{"host_name": row.name, "service": strings.TrimPrefix(row.binary, "nova-"), "zone": row.zone})
		}
	}
	return map[string]any{"hosts": list}, nil
}

// namedHost finds the compute host that the URL names. Servers are none.
func namedHost(r *httpapi.Request) (state.Reader, *structs.Host, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return rd, nil, err
	}
	h := rd.HostByName(r.Vars["id"])
	if h == nil {
		return rd, nil, httpapi.NotFound("Host '%s' is not mapped to any cell", r.Vars["id"])
	}
	return rd, h, nil
}

// hostResource is a row of amounts: of the host itself, or of a project's instances on it.
type hostResource struct {
	Host    string `json:"host"`
	Project string `json:"project"`
	CPU     int64  `json:"cpu"`
	Memory  int64  `json:"memory_mb"`
	Disk    int64  `json:"disk_gb"`
}

func (h *hostResource) add(f *structs.Flavor) {
	h.CPU, h.Memory, h.Disk = h.CPU+int64(f.VCPUs), h.Memory+f.MemoryMiB, h.Disk+f.RootGiB+f.EphemeralGiB
}

// showHost answers what the host has, what is taken of it now, what its instances could take, and that by project.
func (s *service) showHost(r *httpapi.Request) (any, error) {
	rd, h, err := namedHost(r)
	if err != nil {
		return nil, err
	}
	n := capacityOf(rd, h)
	most, by := hostResource{Host: h.Name, Project: "(used_max)"}, map[string]*hostResource{}
	for i := range rd.InstancesOnHost(h.ID) {
		if i.Deleted() {
			continue
		}
		p := string(i.ProjectID)
		if by[p] == nil {
			by[p] = &hostResource{Host: h.Name, Project: p}
		}
		most.add(&i.Flavor)
		by[p].add(&i.Flavor)
	}
	rows := []hostResource{{h.Name, "(total)", n["vcpus"], n["memory_mb"], n["local_gb"]},
		{h.Name, "(used_now)", n["vcpus_used"], n["memory_mb_used"], n["local_gb_used"]}, most}
	for _, p := range slices.Sorted(maps.Keys(by)) {
		rows = append(rows, *by[p])
	}
	list := make([]map[string]any, len(rows))
	for i, row := range rows {
		list[i] = map[string]any{"resource": row}
	}
	return map[string]any{"host": list}, nil
}

type hostUpdateBody struct {
	Status      string `json:"status"`
	Maintenance string `json:"maintenance_mode"`
}

// updateHost does one after the other, as Nova does: the status stays changed when maintenance is then refused.
func (s *service) updateHost(r *httpapi.Request) (any, error) {
	body, err := base.Decode[hostUpdateBody](r)
	if err != nil {
		return nil, err
	}
	_, h, err := namedHost(r)
	if err != nil {
		return nil, err
	}
	v := map[string]any{"host": h.Name}
	if body.Status != "" {
		off := !strings.EqualFold(body.Status, "enable")
		if _, err := fsm.HostAdmin.Propose(r.Context(), r.Core, &structs.HostAdminRequest{HostID: h.ID, Disabled: &off, Now: s.Time()}); err != nil {
			return nil, err
		}
		v["status"] = map[bool]string{false: "enabled", true: "disabled"}[off]
	}
	if body.Maintenance != "" {
		on := strings.EqualFold(body.Maintenance, "enable")
		if err := r.Core.HostMaintenance(r.Context(), h.ID, on); err != nil {
			return nil, hostCallFailed(h, err)
		}
		v["maintenance_mode"] = map[bool]string{false: "off_maintenance", true: "on_maintenance"}[on]
	}
	return v, nil
}

// powerHost is GET /os-hosts/{id}/reboot and its like: a reading method that acts, which is Nova's.
func (s *service) powerHost(r *httpapi.Request) (any, error) {
	_, h, err := namedHost(r)
	if err != nil {
		return nil, err
	}
	action := r.Route.Path[strings.LastIndexByte(r.Route.Path, '/')+1:]
	if err := r.Core.HostPower(r.Context(), h.ID, action); err != nil {
		return nil, hostCallFailed(h, err)
	}
	return map[string]any{"host": h.Name, "power_action": action}, nil
}

// hostCallFailed words why a host's driver did not do it. Only administrators come here.
func hostCallFailed(h *structs.Host, err error) error {
	switch structs.KindOf(err) {
	case structs.KindNotSupported:
		return structs.Errorf(structs.KindNotSupported, "The requested functionality is not supported.")
	case structs.KindUnavailable, structs.KindTimeout:
		return httpapi.BadRequest("Compute service of %s is unavailable at this time.", h.Name)
	case structs.KindInternal:
		return err
	}
	return httpapi.BadRequest("%s", err.Error())
}
