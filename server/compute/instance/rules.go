package instance

import "github.com/kilonova-cloud/kilonova/server/httpapi"

// The rules that handlers judge, besides those of the rows.
var (
	ruleForcedHost         = httpapi.Admin(instancePolicy + "create:forced_host")
	ruleRequestedHost      = httpapi.Admin("compute:servers:create:requested_destination")
	ruleAllProjects        = httpapi.Admin(instancePolicy + "index:get_all_tenants")
	ruleAllProjectsDetail  = httpapi.Admin(instancePolicy + "detail:get_all_tenants")
	ruleAllFilters         = httpapi.Admin(instancePolicy + "allow_all_filters")
	ruleHostStatus         = httpapi.Admin(instancePolicy + "show:host_status")
	ruleExtended           = httpapi.Admin("os_compute_api:os-extended-server-attributes")
	ruleUnlockOverride     = httpapi.Admin("os_compute_api:os-lock-server:unlock:unlock_override")
	ruleUnshelveToHost     = httpapi.Admin("os_compute_api:os-shelve:unshelve_to_host")
	ruleActionEvents       = httpapi.Admin(actionPolicy + "events")
	ruleEventDetails       = httpapi.Admin(actionPolicy + "events:details")
	ruleUpdateAttachment   = httpapi.MemberOrAdmin(attachmentPolicy + "update")
	ruleSwapVolume         = httpapi.ServiceOrAdmin(attachmentPolicy + "swap")
	ruleMigrateHost        = httpapi.Admin(migratePolicy + "migrate:host")
	ruleMigrateLiveHost    = httpapi.Admin(migratePolicy + "migrate_live:host")
	ruleAllMigrations      = httpapi.Admin(migrationsIndexPolicy + ":all_projects")
	ruleMigrationHosts     = httpapi.Admin(migrationsIndexPolicy + ":host")
	ruleLiveMigrationHosts = httpapi.Admin(migrationPolicy + "index:host")
	ruleTopologyHost       = httpapi.Admin("compute:server:topology:host:index")
)

// Rules are the rules that handlers judge and no row has.
func Rules() []httpapi.Rule {
	return []httpapi.Rule{ruleForcedHost, ruleRequestedHost, ruleAllProjects, ruleAllProjectsDetail, ruleAllFilters, ruleHostStatus, ruleExtended,
		ruleUnlockOverride, ruleUnshelveToHost, ruleActionEvents, ruleEventDetails, ruleUpdateAttachment, ruleTopologyHost,
		ruleMigrateHost, ruleMigrateLiveHost, ruleAllMigrations, ruleMigrationHosts, ruleLiveMigrationHosts}
}
