package project

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) auditLogRoutes() []httpapi.Route {
	const path, rule = "/os-instance_usage_audit_log", "os_compute_api:os-instance-usage-audit-log:"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: path, Rule: httpapi.Admin(rule + "list"), Query: base.NoQuery, Handler: s.listAuditLogs},
		{Method: http.MethodGet, Path: path + "/{id}", Rule: httpapi.Admin(rule + "show"), Query: base.NoQuery, Handler: s.showAuditLog},
	}
}

const auditLayout = "2006-01-02 15:04:05"

// auditLog is what became of the audit of the last period that was over at a time. That no host has run is that there is no audit: it is off by default, as
// in Nova.
func (s *service) auditLog(r *httpapi.Request, at time.Time) (map[string]any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	begin, end := s.UsagePeriod.Last(at)
	logs, instances := map[string]any{}, int64(0)
	for a := range rd.UsageAuditsOf(structs.TimeOf(begin), structs.TimeOf(end)) {
		if a.HostID == "" {
			continue
		}
		instances += a.Count
		logs[a.Host] = map[string]any{"instances": a.Count, "errors": 0, "message": a.Message(), "state": "DONE"}
	}
	hosts, missing := 0, []string{}
	for h := range rd.Hosts() {
		hosts++
		if logs[h.Name] == nil {
			missing = append(missing, h.Name)
		}
	}
	slices.Sort(missing)
	done := fmt.Sprintf("%d of %d", len(logs), hosts)
	if len(missing) == 0 {
		done = "ALL"
	}
	return map[string]any{"period_beginning": begin.Format(auditLayout), "period_ending": end.Format(auditLayout), "num_hosts": hosts, "num_hosts_done": len(logs),
		"num_hosts_running": 0, "num_hosts_not_run": len(missing), "hosts_not_run": missing, "total_instances": instances, "total_errors": 0,
		"overall_status": done + " hosts done. 0 errors.", "log": logs}, nil
}

func (s *service) listAuditLogs(r *httpapi.Request) (any, error) {
	log, err := s.auditLog(r, s.Now())
	if err != nil {
		return nil, err
	}
	return map[string]any{"instance_usage_audit_logs": log}, nil
}

// showAuditLog is the log of the last period that was over before the time in the URL.
func (s *service) showAuditLog(r *httpapi.Request) (any, error) {
	before, err := time.Parse(auditLayout, r.Vars["id"]) // with a fraction or without
	if err != nil {
		return nil, httpapi.BadRequest("Invalid timestamp for date %s", r.Vars["id"])
	}
	log, err := s.auditLog(r, before)
	if err != nil {
		return nil, err
	}
	return map[string]any{"instance_usage_audit_log": log}, nil
}
