package host

import (
	"cmp"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const servicePolicy = "os_compute_api:os-services:"

func (s *service) serviceRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-services", Rule: httpapi.Admin(servicePolicy + "list"), Query: serviceListQuery, Handler: s.listServices},
		{Method: http.MethodPut, Path: "/os-services/{id}", Rule: httpapi.Admin(servicePolicy + "update"), Body: serviceUpdateSchema, Handler: s.updateService},
		{Method: http.MethodDelete, Path: "/os-services/{id}", Rule: httpapi.Admin(servicePolicy + "delete"), Status: http.StatusNoContent, Handler: s.deleteService},
	}
}

// The binaries of Nova that a cluster has: a client is a nova-compute, and a server schedules and conducts.
const (
	binaryCompute   = "nova-compute"
	binaryScheduler = "nova-scheduler"
	binaryConductor = "nova-conductor"
	internalZone    = "internal"
)

// serviceRow is one line of GET /os-services.
type serviceRow struct {
	host     *structs.Host // nil of a server's
	name     string        // host name
	binary   string
	zone     string
	up       bool
	disabled bool
	num      int64
	uuid     string
	seen     structs.Time
}

// serviceRows returns the servers' rows by name, then the hosts' in the order of their registration.
func serviceRows(core nomadlike.Core, rd state.Reader) []serviceRow {
	var rows []serviceRow
	for _, m := range serverNames(core.Cluster()) {
		for _, b := range []string{binaryScheduler, binaryConductor} {
			key := b + "/" + m.name
			rows = append(rows, serviceRow{name: m.name, binary: b, zone: internalZone, up: m.up, num: serverNumber(key), uuid: base.DerivedID(key)})
		}
	}
	for _, h := range hostsByNumber(rd) {
		rows = append(rows, hostRow(h))
	}
	return rows
}

func hostRow(h *structs.Host) serviceRow {
	return serviceRow{host: h, name: h.Name, binary: binaryCompute, zone: h.Zone, up: hostState(h) == "up", disabled: hostDisabled(h), num: h.Num,
		uuid: string(h.ID), seen: max(h.UpdatedAt, h.StatusAt)}
}

// serverNumber is a number for microversions below 2.53, apart from the hosts' small ones and the same for ever.
func serverNumber(key string) int64 {
	f := fnv.New32a()
	f.Write([]byte(key))
	return 1<<30 | int64(f.Sum32()>>2)
}

type serverName struct {
	name string
	up   bool
}

// serverNames are the servers that gossip knows, or the Raft peers where there is no gossip.
func serverNames(info nomadlike.ClusterInfo) []serverName {
	var names []serverName
	for _, m := range info.Members {
		if strings.Contains(m.Role, "server") && m.Status != "left" {
			names = append(names, serverName{m.Name, m.Status == "alive"})
		}
	}
	if len(names) == 0 {
		for _, p := range info.Peers {
			names = append(names, serverName{string(p.ID), true})
		}
	}
	slices.SortFunc(names, func(a, b serverName) int { return cmp.Compare(a.name, b.name) })
	return names
}

func (w *serviceRow) view(r *httpapi.Request) map[string]any {
	v := map[string]any{"id": w.num, "binary": w.binary, "host": w.name, "zone": w.zone, "status": "enabled", "state": "down",
		"updated_at": base.Micros(w.seen), "disabled_reason": nil}
	if r.Version >= 53 {
		v["id"] = w.uuid
	}
	if w.up {
		v["state"] = "up"
	}
	if w.disabled {
		v["status"] = "disabled"
	}
	if w.host != nil {
		v["disabled_reason"] = disabledReason(w.host)
	}
	if r.Version >= 11 {
		v["forced_down"] = w.host != nil && w.host.ForcedDown
	}
	return v
}

func (s *service) listServices(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	host, binary := base.Last(r.Query()["host"]), base.Last(r.Query()["binary"])
	list := []map[string]any{}
	for _, row := range serviceRows(r.Core, rd) {
		if (host == "" || row.name == host) && (binary == "" || row.binary == binary) {
			list = append(list, row.view(r))
		}
	}
	return map[string]any{"services": list}, nil
}

type serviceUpdateBody struct {
	Host       string         `json:"host"`
	Binary     string         `json:"binary"`
	Reason     *string        `json:"disabled_reason"`
	Status     string         `json:"status"`
	ForcedDown *base.FlexBool `json:"forced_down"`
}

// updateService is PUT /os-services/{id}: before 2.53 the id is a verb and the body names the service, from then on the id is the service's.
func (s *service) updateService(r *httpapi.Request) (any, error) {
	body, err := base.Decode[serviceUpdateBody](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if r.Version < 53 {
		return s.updateServiceByVerb(r, rd, body)
	}
	return s.updateServiceByID(r, rd, body)
}

func onlyCompute(binary string) error {
	if binary == binaryCompute {
		return nil
	}
	return httpapi.BadRequest("Updating a %s service is not supported. Only nova-compute services can be updated.", binary)
}

func (s *service) updateServiceByVerb(r *httpapi.Request, rd state.Reader, body *serviceUpdateBody) (any, error) {
	req := structs.HostAdminRequest{Now: s.Time()}
	view := map[string]any{"host": body.Host, "binary": body.Binary}
	on, off := true, false
	switch verb := r.Vars["id"]; {
	case verb == "enable":
		req.Disabled, view["status"] = &off, "enabled"
	case verb == "disable":
		req.Disabled, view["status"] = &on, "disabled"
	case verb == "disable-log-reason":
		if body.Reason == nil {
			return nil, httpapi.BadRequest("Missing disabled reason field")
		}
		req.Disabled, req.DisabledReason = &on, *body.Reason
		view["status"], view["disabled_reason"] = "disabled", *body.Reason
	case verb == "force-down" && r.Version >= 11:
		if body.ForcedDown == nil {
			return nil, httpapi.BadRequest("Missing forced_down field")
		}
		down := bool(*body.ForcedDown)
		req.ForcedDown, view["forced_down"] = &down, down
	default:
		return nil, httpapi.NotFound("Unknown action")
	}
	if err := onlyCompute(body.Binary); err != nil {
		return nil, err
	}
	h := rd.HostByName(body.Host)
	if h == nil {
		return nil, httpapi.NotFound("Host '%s' is not mapped to any cell", body.Host)
	}
	req.HostID = h.ID
	if _, err := fsm.HostAdmin.Propose(r.Context(), r.Core, &req); err != nil {
		return nil, err
	}
	return map[string]any{"service": view}, nil
}

func (s *service) updateServiceByID(r *httpapi.Request, rd state.Reader, body *serviceUpdateBody) (any, error) {
	id := r.Vars["id"]
	if !base.IsUUID(id) {
		return nil, httpapi.BadRequest("Invalid uuid %s", id)
	}
	h := rd.Host(structs.HostID(id))
	if h == nil {
		for _, row := range serviceRows(r.Core, rd) {
			if row.uuid == id {
				return nil, onlyCompute(row.binary)
			}
		}
		return nil, httpapi.NotFound("Service %s could not be found.", id)
	}
	req := structs.HostAdminRequest{HostID: h.ID, Now: s.Time()}
	switch body.Status {
	case "enabled":
		if body.Reason != nil {
			return nil, httpapi.BadRequest("Specifying 'disabled_reason' with status 'enabled' is invalid.")
		}
		off := false
		req.Disabled = &off
	case "disabled":
		on := true
		req.Disabled = &on
		if body.Reason != nil {
			req.DisabledReason = *body.Reason
		}
	}
	if body.ForcedDown != nil {
		down := bool(*body.ForcedDown)
		req.ForcedDown = &down
	}
	if req.Disabled == nil && req.ForcedDown == nil {
		return nil, httpapi.BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
	}
	changed, err := fsm.HostAdmin.Propose(r.Context(), r.Core, &req)
	if err != nil {
		return nil, err
	}
	row := hostRow(changed)
	return map[string]any{"service": row.view(r)}, nil
}

// deleteService is DELETE /os-services/{id}: before 2.53 the id is the service's number, from then on its UUID. A host goes with its service. What may be left of
// deleted instances on it is a reason against that here; `kilonova host delete -force` passes over it.
func (s *service) deleteService(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	isIt := func(row serviceRow) bool { return row.uuid == id }
	if r.Version < 53 {
		num, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return nil, httpapi.BadRequest("Invalid input received: id must be an integer")
		}
		isIt = func(row serviceRow) bool { return row.num == num }
	} else if !base.IsUUID(id) {
		return nil, httpapi.BadRequest("Invalid uuid %s", id)
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	rows := serviceRows(r.Core, rd)
	i := slices.IndexFunc(rows, isIt)
	switch {
	case i < 0:
		return nil, httpapi.NotFound("Service %s not found.", id)
	case rows[i].host == nil:
		return nil, httpapi.BadRequest("Deleting a %s service is not supported. Only nova-compute services can be deleted.", rows[i].binary)
	}
	_, err = fsm.HostDelete.Propose(r.Context(), r.Core, &structs.HostDeleteRequest{HostID: rows[i].host.ID})
	return nil, err
}
