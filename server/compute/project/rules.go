package project

import "github.com/kilonova-cloud/kilonova/server/httpapi"

// The rules that handlers judge, besides those of the rows.
var (
	ruleOtherLimits = httpapi.Admin("os_compute_api:limits:other_project")
	ruleAllGroups   = httpapi.Admin(groupPolicy + "index:all_projects")
)

// Rules are the rules that handlers judge and no row has.
func Rules() []httpapi.Rule { return []httpapi.Rule{ruleOtherLimits, ruleAllGroups} }
