package project

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) limitsRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/limits", Rule: httpapi.Authenticated("os_compute_api:limits"), Query: limitsQuery, Handler: s.showLimits},
	}
}

// showLimits is GET /limits: a project's limits and what it uses of them. Nova's rate limits are long gone.
func (s *service) showLimits(r *httpapi.Request) (any, error) {
	project := r.Token.ProjectID
	if v := r.Query()["tenant_id"]; len(v) > 0 {
		project = structs.ProjectID(base.Last(v))
		if err := r.AllowFor(ruleOtherLimits, project, ""); err != nil {
			return nil, err
		}
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	l, used := rd.QuotaLimits(project), rd.QuotaUsage(project)
	absolute := map[string]int64{
		"maxTotalInstances": l.Instances, "maxTotalCores": l.Cores, "maxTotalRAMSize": l.MemoryMiB, "maxTotalKeypairs": l.KeyPairs,
		"maxServerMeta": l.MetadataItems, "maxServerGroups": l.ServerGroups, "maxServerGroupMembers": l.ServerGroupMembers,
		"totalInstancesUsed": used.Instances, "totalCoresUsed": used.Cores, "totalRAMUsed": used.MemoryMiB, "totalServerGroupsUsed": rd.ServerGroupCount(project, "")}
	if r.Version < 39 {
		absolute["maxImageMeta"] = l.MetadataItems
	}
	if r.Version < 57 {
		absolute["maxPersonality"], absolute["maxPersonalitySize"] = l.InjectedFiles, l.InjectedFileBytes
	}
	if r.Version < 36 {
		for k, v := range map[string]int64{"maxSecurityGroups": -1, "maxSecurityGroupRules": -1, "maxTotalFloatingIps": -1,
			"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0} {
			absolute[k] = v
		}
	}
	return map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": absolute}}, nil
}
