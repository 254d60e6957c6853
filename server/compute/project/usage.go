package project

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) usageRoutes() []httpapi.Route {
	const usage = "/os-simple-tenant-usage"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: usage, Rule: httpapi.Admin("os_compute_api:os-simple-tenant-usage:list"), Query: usageListQuery, Handler: s.listUsage},
		{Method: http.MethodGet, Path: usage + "/{id}", Rule: httpapi.ReaderOrAdmin("os_compute_api:os-simple-tenant-usage:show"), Query: usageQuery,
			Handler: s.showUsage},
	}
}

const usageParams = `"start": @text, "end": @text, "limit": {"x-min": 40, "type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1},
	"marker": {"x-min": 40, "type": "string"}`

var (
	usageListQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {` + usageParams + `, "detailed": @text}}`)
	usageQuery     = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {` + usageParams + `}}`)
)

// instanceUsage is what one instance used in a period.
type instanceUsage struct {
	EndedAt    *string            `json:"ended_at"`
	Flavor     string             `json:"flavor"`
	Hours      float64            `json:"hours"`
	InstanceID structs.InstanceID `json:"instance_id"`
	LocalGB    int64              `json:"local_gb"`
	MemoryMB   int64              `json:"memory_mb"`
	Name       string             `json:"name"`
	StartedAt  *string            `json:"started_at"`
	State      structs.VMState    `json:"state"`
	ProjectID  structs.ProjectID  `json:"tenant_id"`
	Uptime     int64              `json:"uptime"`
	VCPUs      int                `json:"vcpus"`
}

// projectUsage is what a project's instances used in a period.
type projectUsage struct {
	Instances *[]instanceUsage  `json:"server_usages,omitempty"`
	Start     string            `json:"start"`
	Stop      string            `json:"stop"`
	ProjectID structs.ProjectID `json:"tenant_id"`
	Hours     float64           `json:"total_hours"`
	LocalGB   float64           `json:"total_local_gb_usage"`
	MemoryMB  float64           `json:"total_memory_mb_usage"`
	VCPUs     float64           `json:"total_vcpus_usage"`
}

// stateTerminated is the state in which usage shows what is deleted.
const stateTerminated structs.VMState = "terminated"

// period is the time that a usage report is about.
type period struct{ start, stop, now time.Time }

// periodOf reads start and end. What is not given is now; what is not over ends now.
func (s *service) periodOf(r *httpapi.Request) (period, error) {
	p := period{now: s.Now().UTC()}
	q := r.Query()
	var err error
	if p.start, err = usageTime(q.Get("start"), p.now); err != nil {
		return p, err
	}
	// Nova takes the time anew for the end, so that a request that gives neither is about an instant.
	if p.stop, err = usageTime(q.Get("end"), p.now.Add(time.Microsecond)); err != nil {
		return p, err
	}
	if !p.start.Before(p.stop) {
		return p, httpapi.BadRequest("Invalid start time. The start time cannot occur after the end time.")
	}
	if p.stop.After(p.now) {
		p.stop = p.now
	}
	return p, nil
}

func usageTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if t, err := time.Parse("2006-01-02T15:04:05", text); err == nil { // with a fraction or without
		return t, nil
	}
	if t, err := time.Parse("2006-01-02 15:04:05", text); err == nil && strings.Contains(text, ".") {
		return t, nil
	}
	return now, httpapi.BadRequest("Invalid datetime string: Datetime is in invalid format")
}

// has reports whether an instance lived in the period. One that was never launched did not.
func (p period) has(i *structs.Instance) bool {
	return !i.LaunchedAt.IsZero() && i.LaunchedAt.Time().Before(p.stop) && (i.TerminatedAt.IsZero() || i.TerminatedAt.Time().After(p.start))
}

// usage is what an instance used in the period, which has it.
func (p period) usage(i *structs.Instance) instanceUsage {
	u := instanceUsage{EndedAt: base.Micros(i.TerminatedAt), Flavor: i.Flavor.Name, InstanceID: i.ID, LocalGB: i.Flavor.RootGiB + i.Flavor.EphemeralGiB,
		MemoryMB: i.Flavor.MemoryMiB, Name: i.Name, StartedAt: base.Micros(i.LaunchedAt), State: i.VM, ProjectID: i.ProjectID, VCPUs: i.Flavor.VCPUs}
	from, to, until := i.LaunchedAt.Time(), p.stop, p.now
	if from.Before(p.start) {
		from = p.start
	}
	if !i.TerminatedAt.IsZero() {
		u.State, until = stateTerminated, i.TerminatedAt.Time()
		if until.Before(to) {
			to = until
		}
	}
	u.Hours = to.Sub(from).Hours()
	u.Uptime = int64(until.Sub(i.LaunchedAt.Time()) / time.Second)
	return u
}

// instancesIn returns a page of the instances that lived in the period, of one project or of all ("": by project), by id. Deleted ones are among them
// while their records stay. From 2.40 on the page is the caller's to choose.
func instancesIn(r *httpapi.Request, p period, project structs.ProjectID) ([]*structs.Instance, httpapi.Page, error) {
	page, err := r.Page()
	if err != nil {
		return nil, page, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, page, err
	}
	after, err := usageMarker(r, rd, page.Marker)
	if err != nil {
		return nil, page, err
	}
	var found []*structs.Instance
	add := func(i *structs.Instance) {
		if p.has(i) && (after == nil || byProject(after, i) < 0) {
			found = append(found, i)
		}
	}
	lists := [...]func(func(*structs.Instance) bool){rd.AllInstances(), rd.AllDeletedInstances()}
	if project != "" {
		lists = [...]func(func(*structs.Instance) bool){rd.Instances(project), rd.DeletedInstances(project)}
	}
	for _, list := range lists {
		for i := range list {
			add(i)
		}
	}
	slices.SortFunc(found, byProject)
	return found[:min(page.Limit, len(found))], page, nil
}

func usageMarker(r *httpapi.Request, rd state.Reader, marker string) (*structs.Instance, error) {
	if marker == "" {
		return nil, nil
	}
	i := rd.Instance(structs.InstanceID(marker))
	if i == nil || !r.Sees(i.ProjectID) {
		return nil, httpapi.MarkerNotFound(marker)
	}
	return i, nil
}

func byProject(a, b *structs.Instance) int {
	return cmp.Or(cmp.Compare(a.ProjectID, b.ProjectID), cmp.Compare(a.ID, b.ID))
}

// sum adds the instances' usage up by project, in their order.
func (p period) sum(instances []*structs.Instance, detailed bool) []*projectUsage {
	list := []*projectUsage{}
	for _, i := range instances {
		if n := len(list); n == 0 || list[n-1].ProjectID != i.ProjectID {
			one := &projectUsage{Start: p.start.Format(base.MicrosLayout), Stop: p.stop.Format(base.MicrosLayout), ProjectID: i.ProjectID}
			if detailed {
				one.Instances = &[]instanceUsage{}
			}
			list = append(list, one)
		}
		u, sum := p.usage(i), list[len(list)-1]
		sum.Hours += u.Hours
		sum.LocalGB += float64(u.LocalGB) * u.Hours
		sum.MemoryMB += float64(u.MemoryMB) * u.Hours
		sum.VCPUs += float64(u.VCPUs) * u.Hours
		if detailed {
			*sum.Instances = append(*sum.Instances, u)
		}
	}
	return list
}

// withNext adds the link to the next page, from 2.40 on.
func withNext(r *httpapi.Request, page httpapi.Page, instances []*structs.Instance, answer map[string]any, key string) any {
	if n := len(instances); n > 0 && r.Version >= 40 {
		if next := r.NextLinks(page, n, string(instances[n-1].ID)); next != nil {
			answer[key] = next
		}
	}
	return answer
}

func (s *service) listUsage(r *httpapi.Request) (any, error) {
	p, err := s.periodOf(r)
	if err != nil {
		return nil, err
	}
	instances, page, err := instancesIn(r, p, "")
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"tenant_usages": p.sum(instances, r.Query().Get("detailed") == "1")}
	return withNext(r, page, instances, answer, "tenant_usages_links"), nil
}

// showUsage is one project's usage, {} when it used nothing.
func (s *service) showUsage(r *httpapi.Request) (any, error) {
	project := structs.ProjectID(r.Vars["id"])
	if err := r.AllowObject(project, ""); err != nil {
		return nil, err
	}
	p, err := s.periodOf(r)
	if err != nil {
		return nil, err
	}
	instances, page, err := instancesIn(r, p, project)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"tenant_usage": struct{}{}}
	if sums := p.sum(instances, true); len(sums) > 0 {
		answer["tenant_usage"] = sums[0]
	}
	return withNext(r, page, instances, answer, "tenant_usage_links"), nil
}
