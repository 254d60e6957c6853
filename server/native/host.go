package native

import (
	"net/url"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type resourcesView struct {
	VCPUs     int64 `json:"vcpus"`
	MemoryMiB int64 `json:"memory_mib"`
	DiskGiB   int64 `json:"disk_gib"`
}

type cpuView struct {
	Arch     string   `json:"arch"`
	Model    string   `json:"model"`
	Vendor   string   `json:"vendor"`
	Sockets  int      `json:"sockets"`
	Cores    int      `json:"cores"`
	Threads  int      `json:"threads"`
	Features []string `json:"features"`
}

// hostView is a host without its session, which is what its client proves itself with.
type hostView struct {
	ID                 string            `json:"id"`
	Name               string            `json:"name"`
	Zone               string            `json:"zone"`
	Addr               string            `json:"addr"`
	AgentVersion       string            `json:"agent_version"`
	Epoch              uint64            `json:"epoch"`
	Status             string            `json:"status"`
	StatusReason       string            `json:"status_reason"`
	StatusAt           string            `json:"status_at"`
	Disabled           bool              `json:"disabled"`
	DisabledReason     string            `json:"disabled_reason"`
	ForcedDown         bool              `json:"forced_down"`
	Schedulable        bool              `json:"schedulable"`
	UnschedulableWhy   string            `json:"unschedulable_why"`
	Driver             string            `json:"driver"`
	DriverHealthy      bool              `json:"driver_healthy"`
	DriverHealth       string            `json:"driver_health"`
	HypervisorType     string            `json:"hypervisor_type"`
	HypervisorVersion  int64             `json:"hypervisor_version"`
	HypervisorHostname string            `json:"hypervisor_hostname"`
	Architectures      []string          `json:"architectures"`
	CPU                cpuView           `json:"cpu"`
	Total              resourcesView     `json:"total"`
	Reserved           resourcesView     `json:"reserved"`
	Capacity           *resourcesView    `json:"capacity,omitempty"`
	Used               *resourcesView    `json:"used,omitempty"`
	Instances          *int64            `json:"instances,omitempty"`
	Building           *int64            `json:"building,omitempty"`
	Traits             []string          `json:"traits"`
	Attributes         map[string]string `json:"attributes"`
	ImageFormats       []string          `json:"image_formats"`
	CreatedAt          string            `json:"created_at"`
	UpdatedAt          string            `json:"updated_at"`
	CreateIndex        uint64            `json:"create_index"`
	ModifyIndex        uint64            `json:"modify_index"`
}

func resources(r structs.Resources) resourcesView {
	return resourcesView{r.VCPUs, r.MemoryMiB, r.DiskGiB}
}

// stamp is a time in answers; "" when it is not set.
func stamp(t structs.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Time().Format("2006-01-02T15:04:05.000000000Z")
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// viewHost shows a host as itself alone says; withUsage adds what the cluster counts.
func viewHost(h *structs.Host) *hostView {
	ok, why := h.Schedulable()
	return &hostView{ID: string(h.ID), Name: h.Name, Zone: h.Zone, Addr: h.RPCAddr, AgentVersion: h.Version, Epoch: h.Epoch, Status: string(h.Status),
		StatusReason: h.StatusReason, StatusAt: stamp(h.StatusAt), Disabled: h.Disabled, DisabledReason: h.DisabledReason, ForcedDown: h.ForcedDown,
		Schedulable: ok, UnschedulableWhy: why, Driver: h.Driver, DriverHealthy: h.DriverHealthy, DriverHealth: h.DriverHealth, HypervisorType: h.HypervisorType,
		HypervisorVersion: h.HypervisorVersion, HypervisorHostname: h.HypervisorHostname, Architectures: list(h.Architectures),
		CPU:   cpuView{h.CPUInfo.Arch, h.CPUInfo.Model, h.CPUInfo.Vendor, h.CPUInfo.Sockets, h.CPUInfo.Cores, h.CPUInfo.Threads, list(h.CPUInfo.Features)},
		Total: resources(h.Total), Reserved: resources(h.Reserved), Traits: list(h.Traits), Attributes: h.Attributes, ImageFormats: list(h.ImageFormats),
		CreatedAt: stamp(h.CreatedAt), UpdatedAt: stamp(h.UpdatedAt), CreateIndex: h.CreateIndex, ModifyIndex: h.ModifyIndex}
}

func (v *hostView) withUsage(st state.Reader, h *structs.Host) *hostView {
	u := st.HostUsage(h.ID)
	used, capacity := resources(u.Used), resources(h.Capacity(st.ClusterSettings()))
	v.Used, v.Capacity, v.Instances, v.Building = &used, &capacity, &u.Instances, &u.Building
	return v
}

// concernsHosts holds for events about a host, or about any when the id is "".
func concernsHosts(id structs.HostID) func(*event.Event) bool {
	return func(e *event.Event) bool {
		switch v := e.Entity.(type) {
		case *structs.Host:
			return id == "" || v.ID == id
		case *structs.HostUsage:
			return id == "" || v.HostID == id
		}
		return false
	}
}

func listHosts(r *httpapi.Request) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	st, err := view(r, concernsHosts(""))
	if err != nil {
		return nil, err
	}
	hosts, err := httpapi.Paginate(st.Hosts(), p, func(h *structs.Host) string { return string(h.ID) })
	if err != nil {
		return nil, err
	}
	out := make([]*hostView, len(hosts))
	for i, h := range hosts {
		out[i] = viewHost(h).withUsage(st, h)
	}
	return page(r, "hosts", out, p, func(v *hostView) string { return v.ID }), nil
}

// page is a list's body. next is the URL of the next page, there when this one is full.
func page[T any](r *httpapi.Request, key string, items []T, p httpapi.Page, id func(T) string) any {
	body := map[string]any{key: items}
	if n := len(items); n > 0 {
		if links := r.NextLinks(p, n, id(items[n-1])); links != nil {
			body["next"] = withoutWaiting(links[0].Href)
		}
	}
	return body
}

// withoutWaiting takes index and wait out of a URL: the next page is there already.
func withoutWaiting(href string) string {
	u, err := url.Parse(href)
	if err != nil {
		return href
	}
	q := u.Query()
	q.Del("index")
	q.Del("wait")
	u.RawQuery = q.Encode()
	return u.String()
}

// findHost finds a host by its id or, where none has it, its name.
func findHost(st state.Reader, id string) *structs.Host {
	if h := st.Host(structs.HostID(id)); h != nil {
		return h
	}
	return st.HostByName(id)
}

// showHost takes an id or a name.
func showHost(r *httpapi.Request) (any, error) {
	id := r.Vars["id"]
	watched := structs.HostID(id)
	if h := findHost(r.Core.Stale(), id); h != nil {
		watched = h.ID
	}
	st, err := view(r, concernsHosts(watched))
	if err != nil {
		return nil, err
	}
	h := findHost(st, id)
	if h == nil {
		return nil, httpapi.NotFound("Host %s could not be found.", id)
	}
	return viewHost(h).withUsage(st, h), nil
}

// deleteHost takes an id or a name.
func deleteHost(r *httpapi.Request) (any, error) {
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	h := findHost(st, r.Vars["id"])
	if h == nil {
		return nil, httpapi.NotFound("Host %s could not be found.", r.Vars["id"])
	}
	_, err = fsm.HostDelete.Propose(r.Context(), r.Core, &structs.HostDeleteRequest{HostID: h.ID, Force: on(r, "force")})
	return nil, err
}
