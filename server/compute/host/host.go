package host

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// A host is a hypervisor and a nova-compute service to this API. Before 2.53 both have its number for an id, from then on its UUID.

func (s *service) hypervisorRoutes() []httpapi.Route {
	admin := func(verb string) httpapi.Rule { return httpapi.Admin("os_compute_api:os-hypervisors:" + verb) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-hypervisors", Rule: admin("list"), Query: hypervisorListQuery, Handler: s.listHypervisors},
		{Method: http.MethodGet, Path: "/os-hypervisors/detail", Rule: admin("list-detail"), Query: hypervisorListQuery, Handler: s.listHypervisors},
		{Method: http.MethodGet, Path: "/os-hypervisors/statistics", Max: 87, Rule: admin("statistics"), Query: base.NoQuery, Handler: s.hypervisorStatistics},
		{Method: http.MethodGet, Path: "/os-hypervisors/{id}", Rule: admin("show"), Query: hypervisorQuery, Handler: s.showHypervisor},
		{Method: http.MethodGet, Path: "/os-hypervisors/{id}/uptime", Max: 87, Rule: admin("uptime"), Query: base.NoQuery, Handler: s.hypervisorUptime},
		{Method: http.MethodGet, Path: "/os-hypervisors/{id}/search", Max: 52, Rule: admin("search"), Query: base.NoQuery, Handler: s.searchHypervisors},
		{Method: http.MethodGet, Path: "/os-hypervisors/{id}/servers", Max: 52, Rule: admin("servers"), Query: base.NoQuery, Handler: s.searchHypervisors},
	}
}

// hostKeyOf is a host's id in answers of the request's microversion.
func hostKeyOf(r *httpapi.Request, h *structs.Host) any {
	if r.Version < 53 {
		return h.Num
	}
	return h.ID
}

func hostIDText(r *httpapi.Request, h *structs.Host) string {
	if r.Version < 53 {
		return strconv.FormatInt(h.Num, 10)
	}
	return string(h.ID)
}

// hostState and hostEnabled are Nova's two words for a compute service. A suspect host is up until its lease ends.
func hostState(h *structs.Host) string {
	if h.ForcedDown || h.Status == structs.HostDown {
		return "down"
	}
	return "up"
}

func hostEnabled(h *structs.Host) string {
	if hostDisabled(h) {
		return "disabled"
	}
	return "enabled"
}

// hostDisabled reports whether nothing is placed on a host because somebody said so, or because its driver is unhealthy: Nova's compute service
// disables itself when its hypervisor is lost, and enables itself again.
func hostDisabled(h *structs.Host) bool { return h.Disabled || !h.DriverHealthy }

// autoReason is how Nova begins the reason of a service that disabled itself.
const autoReason = "AUTO: "

func disabledReason(h *structs.Host) any {
	switch {
	case h.Disabled && h.DisabledReason != "":
		return h.DisabledReason
	case h.Disabled || h.DriverHealthy:
		return nil
	}
	return autoReason + cmp.Or(h.DriverHealth, "the driver is unhealthy")
}

// hostsByNumber returns the hosts in the order of their registration.
func hostsByNumber(rd state.Reader) []*structs.Host {
	return slices.SortedFunc(rd.Hosts(), func(a, b *structs.Host) int { return int(a.Num - b.Num) })
}

// hypervisorView is a hypervisor as its microversion has it (api-ref, Show Hypervisor Details).
type hypervisorView struct {
	r       *httpapi.Request
	rd      state.Reader
	detail  bool
	servers bool // with_servers was asked for
}

func (w hypervisorView) of(h *structs.Host) map[string]any {
	v := map[string]any{"id": hostKeyOf(w.r, h), "hypervisor_hostname": base.NodeName(h), "state": hostState(h), "status": hostEnabled(h)}
	if w.detail {
		w.addDetail(v, h)
	}
	if w.servers {
		list := []map[string]any{}
		for i := range w.rd.InstancesOnHost(h.ID) {
			if !i.Deleted() {
				list = append(list, map[string]any{"name": base.InstanceName(i), "uuid": i.ID})
			}
		}
		if len(list) > 0 || w.r.Version >= 75 {
			v["servers"] = list
		}
	}
	return v
}

func (w hypervisorView) addDetail(v map[string]any, h *structs.Host) {
	v["hypervisor_type"], v["hypervisor_version"], v["host_ip"] = h.HypervisorType, h.HypervisorVersion, nil
	if ip, _, err := net.SplitHostPort(h.RPCAddr); err == nil && ip != "" {
		v["host_ip"] = ip
	}
	v["service"] = map[string]any{"id": hostKeyOf(w.r, h), "host": h.Name, "disabled_reason": disabledReason(h)}
	if w.r.Version >= 88 {
		v["uptime"] = uptimeOf(h)
		return
	}
	for k, n := range capacityOf(w.rd, h) {
		v[k] = n
	}
	info := cpuInfo(h)
	switch {
	case w.r.Version >= 28 && info == nil:
		v["cpu_info"] = struct{}{}
	case w.r.Version >= 28:
		v["cpu_info"] = info
	case info == nil:
		v["cpu_info"] = ""
	default:
		b, err := json.Marshal(info)
		if err == nil {
			v["cpu_info"] = string(b)
		}
	}
}

// uptimeOf is what the host's client reports under that name, nil when it does not.
func uptimeOf(h *structs.Host) any {
	if u := h.Attributes["uptime"]; u != "" {
		return u
	}
	return nil
}

func cpuInfo(h *structs.Host) map[string]any {
	c := &h.CPUInfo
	if c.Arch == "" && c.Model == "" {
		return nil
	}
	features := c.Features
	if features == nil {
		features = []string{}
	}
	return map[string]any{"arch": c.Arch, "model": c.Model, "vendor": c.Vendor, "features": features,
		"topology": map[string]int{"cores": c.Cores, "threads": c.Threads, "sockets": c.Sockets}}
}

// capacityOf are a host's amounts: what it has, and what claims and the reserve take of it. They left the API with 2.88.
func capacityOf(rd state.Reader, h *structs.Host) map[string]int64 {
	u := rd.HostUsage(h.ID)
	ram, disk := u.Used.MemoryMiB+h.Reserved.MemoryMiB, u.Used.DiskGiB+h.Reserved.DiskGiB
	return map[string]int64{"vcpus": h.Total.VCPUs, "memory_mb": h.Total.MemoryMiB, "local_gb": h.Total.DiskGiB,
		"vcpus_used": u.Used.VCPUs, "memory_mb_used": ram, "local_gb_used": disk,
		"free_ram_mb": h.Total.MemoryMiB - ram, "free_disk_gb": h.Total.DiskGiB - disk, "disk_available_least": h.Total.DiskGiB - disk,
		"current_workload": u.Building, "running_vms": u.Instances}
}

func (s *service) listHypervisors(r *httpapi.Request) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	w := hypervisorView{r: r, rd: rd, detail: strings.HasSuffix(r.Route.Path, "/detail")}
	w.servers, _ = base.ParseBool(base.Last(r.Query()["with_servers"]))
	hosts := hostsByNumber(rd)
	paged := r.Version >= 33
	if pattern, ok := r.Query()["hypervisor_hostname_pattern"]; ok {
		if r.Query().Has("limit") || p.Marker != "" {
			return nil, httpapi.BadRequest("Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.")
		}
		paged = false
		if hosts, err = matchingHosts(hosts, base.Last(pattern)); err != nil {
			return nil, err
		}
	}
	if paged {
		if hosts, err = httpapi.Paginate(slices.Values(hosts), p, func(h *structs.Host) string { return hostIDText(r, h) }); err != nil {
			return nil, err
		}
	}
	answer := w.list(hosts)
	if n := len(hosts); paged && n > 0 {
		if next := r.NextLinks(p, n, hostIDText(r, hosts[n-1])); next != nil {
			answer["hypervisors_links"] = next
		}
	}
	return answer, nil
}

func (w hypervisorView) list(hosts []*structs.Host) map[string]any {
	list := make([]map[string]any, len(hosts))
	for i, h := range hosts {
		list[i] = w.of(h)
	}
	return map[string]any{"hypervisors": list}
}

// matchingHosts returns the hosts whose hypervisor's name has the text in it; none is 404.
func matchingHosts(hosts []*structs.Host, text string) ([]*structs.Host, error) {
	low := strings.ToLower(text)
	var found []*structs.Host
	for _, h := range hosts {
		if strings.Contains(strings.ToLower(base.NodeName(h)), low) {
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		return nil, httpapi.NotFound("No hypervisor matching '%s' could be found.", text)
	}
	return found, nil
}

// searchHypervisors is the search by name, and with /servers the same with each one's instances.
func (s *service) searchHypervisors(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	hosts, err := matchingHosts(hostsByNumber(rd), r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return hypervisorView{r: r, rd: rd, servers: strings.HasSuffix(r.Route.Path, "/servers")}.list(hosts), nil
}

// hypervisorOf finds the host that the URL names: by number before 2.53, by UUID from then on.
func hypervisorOf(r *httpapi.Request, rd state.Reader) (*structs.Host, error) {
	id := r.Vars["id"]
	notFound := httpapi.NotFound("Hypervisor with ID '%s' could not be found.", id)
	if r.Version >= 53 {
		if !base.IsUUID(id) {
			return nil, httpapi.BadRequest("Invalid uuid %s", id)
		}
		if h := rd.Host(structs.HostID(id)); h != nil {
			return h, nil
		}
		return nil, notFound
	}
	for h := range rd.Hosts() {
		if strconv.FormatInt(h.Num, 10) == id {
			return h, nil
		}
	}
	return nil, notFound
}

func (s *service) showHypervisor(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	h, err := hypervisorOf(r, rd)
	if err != nil {
		return nil, err
	}
	w := hypervisorView{r: r, rd: rd, detail: true}
	w.servers, _ = base.ParseBool(base.Last(r.Query()["with_servers"]))
	return map[string]any{"hypervisor": w.of(h)}, nil
}

func (s *service) hypervisorUptime(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	h, err := hypervisorOf(r, rd)
	if err != nil {
		return nil, err
	}
	if hostState(h) == "down" {
		return nil, httpapi.BadRequest("Compute service of %s is unavailable at this time.", h.Name)
	}
	uptime := uptimeOf(h)
	if uptime == nil {
		return nil, structs.Errorf(structs.KindNotSupported, "The requested functionality is not supported.")
	}
	v := hypervisorView{r: r, rd: rd}.of(h)
	v["uptime"] = uptime
	return map[string]any{"hypervisor": v}, nil
}

// hypervisorStatistics adds up the hosts that take instances.
func (s *service) hypervisorStatistics(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	sum := map[string]int64{"count": 0}
	for k := range capacityOf(rd, &structs.Host{}) {
		sum[k] = 0
	}
	for h := range rd.Hosts() {
		if h.Disabled {
			continue
		}
		sum["count"]++
		for k, n := range capacityOf(rd, h) {
			sum[k] += n
		}
	}
	return map[string]any{"hypervisor_statistics": sum}, nil
}
