package compute_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute"
)

// stopped is a cloud whose clock stands at noon of 2026-03-31.
func stopped(t *testing.T) *cloud {
	core := coretest.New()
	noon := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	srv := httptest.NewServer(newHandler(t, core, compute.Options{Now: func() time.Time { return noon }}))
	t.Cleanup(srv.Close)
	return &cloud{t, core, srv, srv.URL + compute.Prefix}
}

// lived writes an instance of 2 VCPUs, 512 MiB and 3 + 1 GiB that was launched and, unless "", terminated at times of that day.
func (c *cloud) lived(id string, p structs.ProjectID, from, to string) {
	c.tb.Helper()
	at := func(clock string) structs.Time {
		t, err := time.Parse("2006-01-02 15:04", "2026-03-31 "+clock)
		if err != nil {
			c.tb.Fatal(err)
		}
		return structs.TimeOf(t)
	}
	ins := structs.Instance{ID: structs.InstanceID(id), ProjectID: p, Name: "n-" + id, VM: structs.VMStopped, LaunchedAt: at(from),
		Flavor: structs.Flavor{Name: "small", VCPUs: 2, MemoryMiB: 512, RootGiB: 3, EphemeralGiB: 1}}
	if to != "" {
		ins.VM, ins.TerminatedAt, ins.DeletedAt = structs.VMDeleted, at(to), at(to)
	}
	c.core.Write(func(tx *state.Txn) { tx.PutInstance(&ins) })
}

const day = "start=2026-03-31T00:00:00&end=2026-03-31T23:00:00"

func TestUsage(t *testing.T) {
	t.Parallel()
	c := stopped(t)
	c.lived("b", aliceProject, "10:00", "")
	c.lived("a", aliceProject, "08:00", "09:30")
	c.lived("c", bobProject, "11:00", "")
	c.core.Write(func(tx *state.Txn) {
		tx.PutInstance(&structs.Instance{ID: "never", ProjectID: aliceProject, VM: structs.VMError})
	})
	sum := func(p string, hours float64) string {
		return fmt.Sprintf(`"start":"2026-03-31T00:00:00.000000","stop":"2026-03-31T12:00:00.000000","tenant_id":"%s","total_hours":%v,"total_local_gb_usage":%v,`+
			`"total_memory_mb_usage":%v,"total_vcpus_usage":%v`, p, hours, 4*hours, 512*hours, 2*hours)
	}
	a := `{"ended_at":"2026-03-31T09:30:00.000000","flavor":"small","hours":1.5,"instance_id":"a","local_gb":4,"memory_mb":512,"name":"n-a",` +
		`"started_at":"2026-03-31T08:00:00.000000","state":"terminated","tenant_id":"` + aliceProject + `","uptime":5400,"vcpus":2}`
	b := `{"ended_at":null,"flavor":"small","hours":2,"instance_id":"b","local_gb":4,"memory_mb":512,"name":"n-b",` +
		`"started_at":"2026-03-31T10:00:00.000000","state":"stopped","tenant_id":"` + aliceProject + `","uptime":7200,"vcpus":2}`
	url := "/os-simple-tenant-usage"
	c.same(`{"tenant_usages":[{`+sum(aliceProject, 3.5)+`},{`+sum(bobProject, 1)+`}]}`, "admin", "2.1", "GET", url+"?"+day, nil)
	own := `{"server_usages":[` + a + `,` + b + `],` + sum(aliceProject, 3.5) + `}`
	c.same(`{"tenant_usage":`+own+`}`, "alice", "2.1", "GET", url+"/"+aliceProject+"?"+day, nil)
	detailed := c.want(200, "admin", "2.1", "GET", url+"?detailed=1&"+day, nil)
	if !strings.HasPrefix(string(detailed.body), `{"tenant_usages":[`+own) {
		t.Errorf("%s", detailed.body)
	}
	c.same(`{"tenant_usage":{}}`, "admin", "2.1", "GET", url+"/"+adminProject+"?"+day, nil)
	for query, hours := range map[string]float64{"start=2026-03-31T09:00:00&end=2026-03-31T10:30:00.5": 0.5 + 1801.0/3600 - 1.0/7200,
		"start=2026-03-31%2008:30:00.0&end=2026-03-31T09:00:00": 0.5, "start=2026-03-31T11:30:00": 0.5, "": 0} {
		got := c.want(200, "alice", "2.1", "GET", url+"/"+aliceProject+"?"+query, nil).json(t)["tenant_usage"].(map[string]any)["total_hours"].(float64)
		if diff := got - hours; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("%q: %v hours, want %v", query, got, hours)
		}
	}
	const since, format = "Invalid start time. The start time cannot occur after the end time.", "Invalid datetime string: Datetime is in invalid format"
	c.refused(400, since, "admin", "2.1", "GET", url+"?start=2026-03-31T10:00:00&end=2026-03-31T10:00:00", nil)
	c.refused(400, since, "alice", "2.1", "GET", url+"/"+aliceProject+"?start=2026-04-01T10:00:00", nil)
	c.refused(400, format, "admin", "2.1", "GET", url+"?start=yesterday", nil)
	c.refused(400, format, "admin", "2.1", "GET", url+"?end=2026-03-31%2010:00:00", nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-simple-tenant-usage:list to be performed.", "alice", "2.1", "GET", url, nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-simple-tenant-usage:show to be performed.", "bob", "2.1", "GET", url+"/"+aliceProject, nil)
	c.want(400, "admin", "2.75", "GET", url+"?foo=1", nil)
	c.want(400, "alice", "2.75", "GET", url+"/"+aliceProject+"?detailed=1", nil)
}

func TestUsageInPages(t *testing.T) {
	t.Parallel()
	c := stopped(t)
	for i := range 5 {
		c.lived(fmt.Sprintf("i%d", i), []structs.ProjectID{aliceProject, bobProject}[i%2], "10:00", []string{"", "11:00"}[i/2%2])
	}
	url := "/os-simple-tenant-usage?detailed=1&limit=2&" + day
	var pages []string
	for url != "" {
		a := c.want(200, "admin", "2.40", "GET", url, nil).json(t)
		page := []string{}
		for _, u := range a["tenant_usages"].([]any) {
			for _, i := range u.(map[string]any)["server_usages"].([]any) {
				page = append(page, i.(map[string]any)["instance_id"].(string))
			}
		}
		pages = append(pages, strings.Join(page, " "))
		url = ""
		if links, ok := a["tenant_usages_links"].([]any); ok {
			url = links[0].(map[string]any)["href"].(string)
		}
	}
	if got := strings.Join(pages, "|"); got != "i0 i2|i4 i1|i3" {
		t.Errorf("pages %s", got)
	}
	own := "/os-simple-tenant-usage/" + aliceProject + "?" + day
	a := c.want(200, "alice", "2.40", "GET", own+"&limit=2&marker=i0", nil).json(t)
	if n := len(a["tenant_usage"].(map[string]any)["server_usages"].([]any)); n != 2 || a["tenant_usage_links"] == nil {
		t.Errorf("%d instances, links %v", n, a["tenant_usage_links"])
	}
	c.refused(400, "marker [nosuch] not found", "alice", "2.40", "GET", own+"&marker=nosuch", nil)
	c.refused(400, "marker [i1] not found", "alice", "2.40", "GET", own+"&marker=i1", nil)
	if a := c.want(200, "alice", "2.39", "GET", own+"&limit=1", nil).json(t); a["tenant_usage_links"] != nil {
		t.Errorf("links before their time: %v", a)
	}
	c.want(400, "alice", "2.40", "GET", own+"&limit=-1", nil)
}

func TestUsageAuditLog(t *testing.T) {
	t.Parallel()
	c := stopped(t)
	log := func(hosts int, names, status, begin, end string) string {
		return fmt.Sprintf(`{"hosts_not_run":%s,"log":{},"num_hosts":%d,"num_hosts_done":0,"num_hosts_not_run":%d,"num_hosts_running":0,`+
			`"overall_status":"%s hosts done. 0 errors.","period_beginning":"%s 00:00:00","period_ending":"%s 00:00:00","total_errors":0,"total_instances":0}`,
			names, hosts, hosts, status, begin, end)
	}
	url := "/os-instance_usage_audit_log"
	c.same(`{"instance_usage_audit_logs":`+log(0, "[]", "ALL", "2026-02-01", "2026-03-01")+`}`, "admin", "2.1", "GET", url, nil)
	c.core.AddHost("host-2")
	c.core.AddHost("host-1")
	hosts := `["host-1","host-2"]`
	c.same(`{"instance_usage_audit_log":`+log(2, hosts, "0 of 2", "2012-06-01", "2012-07-01")+`}`, "admin", "2.1", "GET", url+"/2012-07-05%2010%3A00%3A00", nil)
	c.same(`{"instance_usage_audit_log":`+log(2, hosts, "0 of 2", "2011-11-01", "2011-12-01")+`}`, "admin", "2.1", "GET", url+"/2012-01-01%2000:00:00.0", nil)
	c.refused(400, "Invalid timestamp for date yesterday", "admin", "2.1", "GET", url+"/yesterday", nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-instance-usage-audit-log:list to be performed.", "alice", "2.1", "GET", url, nil)
	c.refused(403, "Policy doesn't allow os_compute_api:os-instance-usage-audit-log:show to be performed.", "alice", "2.1", "GET", url+"/x", nil)
	c.want(400, "admin", "2.102", "GET", url+"?x=1", nil)
}

// TestUsageAuditLogOfRuns: the log has an entry of each host that has run, and names those that have not.
func TestUsageAuditLogOfRuns(t *testing.T) {
	t.Parallel()
	c := stopped(t)
	h1, h2 := c.core.AddHost("host-1"), c.core.AddHost("host-2")
	c.lived("a", aliceProject, "08:00", "")
	c.core.Write(func(tx *state.Txn) {
		ins := tx.Instance("a").Copy()
		ins.HostID, ins.Host, ins.LaunchedAt = h2.ID, h2.Name, 1
		tx.PutInstance(ins)
	})
	begin, end := structs.UsagePeriod{}.Last(time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC))
	run := func(last bool, hosts ...structs.HostID) {
		_, err := fsm.UsageAudit.Propose(t.Context(), c.core, &structs.UsageAuditRequest{Begin: structs.TimeOf(begin), End: structs.TimeOf(end), Hosts: hosts, Last: last, Now: 9})
		if err != nil {
			t.Fatal(err)
		}
	}
	url := "/os-instance_usage_audit_log"
	entry := func(host string, n int) string {
		return fmt.Sprintf(`"%s":{"errors":0,"instances":%d,"message":"Instance usage audit ran for host %s, %d instances in 0.0 seconds.","state":"DONE"}`, host, n, host, n)
	}
	const tail = `"period_beginning":"2026-02-01 00:00:00","period_ending":"2026-03-01 00:00:00","total_errors":0,"total_instances":1}`
	run(false, h2.ID)
	c.same(`{"instance_usage_audit_logs":{"hosts_not_run":["host-1"],"log":{`+entry("host-2", 1)+`},"num_hosts":2,"num_hosts_done":1,"num_hosts_not_run":1,"num_hosts_running":0,`+
		`"overall_status":"1 of 2 hosts done. 0 errors.",`+tail+`}`, "admin", "2.1", "GET", url, nil)
	run(true, h1.ID, h2.ID)
	all := `{"hosts_not_run":[],"log":{` + entry("host-1", 0) + "," + entry("host-2", 1) + `},"num_hosts":2,"num_hosts_done":2,"num_hosts_not_run":0,"num_hosts_running":0,` +
		`"overall_status":"ALL hosts done. 0 errors.",` + tail + `}`
	c.same(`{"instance_usage_audit_logs":`+all, "admin", "2.1", "GET", url, nil)
	c.same(`{"instance_usage_audit_log":`+all, "admin", "2.1", "GET", url+"/2026-03-15%2000:00:00", nil)
	if a := c.want(200, "admin", "2.1", "GET", url+"/2026-02-15%2000:00:00", nil).json(t); a["instance_usage_audit_log"].(map[string]any)["num_hosts_done"] != 0.0 {
		t.Errorf("another period: %v", a)
	}
}
