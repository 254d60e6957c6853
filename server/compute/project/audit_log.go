package project

import (
	"fmt"
	"net/http"
	"slices"
	"time"

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

// auditPeriod is the last whole month that was over at a time: Nova's default instance_usage_audit_period.
func auditPeriod(at time.Time) (begin, end time.Time) {
	at = at.UTC()
	end = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	if !end.Before(at) {
		end = end.AddDate(0, -1, 0)
	}
	return end.AddDate(0, -1, 0), end
}

// auditLog answers as a Nova whose hosts do not audit usage (instance_usage_audit is off by default): no host has run.
func auditLog(r *httpapi.Request, at time.Time) (map[string]any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	hosts := []string{}
	for h := range rd.Hosts() {
		hosts = append(hosts, h.Name)
	}
	slices.Sort(hosts)
	done := fmt.Sprintf("0 of %d", len(hosts))
	if len(hosts) == 0 {
		done = "ALL"
	}
	begin, end := auditPeriod(at)
	return map[string]any{"period_beginning": begin.Format(auditLayout), "period_ending": end.Format(auditLayout), "num_hosts": len(hosts), "num_hosts_done": 0,
		"num_hosts_running": 0, "num_hosts_not_run": len(hosts), "hosts_not_run": hosts, "total_instances": 0, "total_errors": 0,
		"overall_status": done + " hosts done. 0 errors.", "log": struct{}{}}, nil
}

func (s *service) listAuditLogs(r *httpapi.Request) (any, error) {
	log, err := auditLog(r, s.Now())
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
	log, err := auditLog(r, before)
	if err != nil {
		return nil, err
	}
	return map[string]any{"instance_usage_audit_log": log}, nil
}
