// Package role is roles, what they imply, and who has them where: grants of users and groups on projects, domains and the system.
package role

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// The checks of Keystone's rules of roles and grants (keystone/common/policies).
const (
	admin         = "rule:admin_required"
	adminOrReader = "rule:admin_required or (role:reader and system_scope:all)"

	readsBoth = "(role:reader and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or " +
		"(role:reader and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or " +
		"(role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or " +
		"(role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)"
	administersBoth = "(role:admin and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or " +
		"(role:admin and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or " +
		"(role:admin and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or " +
		"(role:admin and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)"
	managesBoth = "(role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or " +
		"(role:manager and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or " +
		"(role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or " +
		"(role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)"
	ofDomain = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"

	checkGrant  = "(rule:admin_required) or ((role:reader and system_scope:all) or (" + readsBoth + ") and " + ofDomain + ")"
	listGrants  = "(rule:admin_required) or ((role:reader and system_scope:all) or " + readsBoth + ")"
	changeGrant = "(rule:admin_required) or (" + administersBoth + ") and " + ofDomain + " or (" + managesBoth + ") and rule:domain_managed_target_role"

	listAssignments = "(rule:admin_required) or (role:reader and system_scope:all) or (role:reader and domain_id:%(target.domain_id)s)"
)

// Routes are those of roles, implications, grants and assignments.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	var out []httpapi.Route
	read := func(path string, rule httpapi.Rule, h httpapi.Handler) { // GET, and HEAD beside it
		out = append(out, httpapi.Route{Method: http.MethodGet, Path: path, Rule: rule, Handler: h}, httpapi.Route{Method: http.MethodHead, Path: path, Rule: rule, Handler: h})
	}
	write := func(method, path string, status int, rule httpapi.Rule, body *httpapi.Schema, h httpapi.Handler) {
		out = append(out, httpapi.Route{Method: method, Path: path, Rule: rule, Status: status, Body: body, Handler: h})
	}
	judged := func(name, check string) httpapi.Rule { return httpapi.Judged("identity:"+name, check) }
	checked := func(name, check string) httpapi.Rule { return httpapi.Check("identity:"+name, check) }

	read("/roles", judged("list_roles", "("+adminOrReader+") or (role:manager and not domain_id:None)"), s.listRoles)
	write(http.MethodPost, "/roles", http.StatusCreated, judged("create_role", admin), createSchema, s.createRole)
	read("/roles/{role}", judged("get_role", "("+adminOrReader+") or (role:manager and rule:domain_managed_target_role)"), s.showRole)
	write(http.MethodPatch, "/roles/{role}", http.StatusOK, judged("update_role", admin), updateSchema, s.updateRole)
	write(http.MethodDelete, "/roles/{role}", http.StatusNoContent, judged("delete_role", admin), nil, s.deleteRole)

	read("/roles/{prior}/implies", checked("list_implied_roles", adminOrReader), listImplied)
	out = append(out, httpapi.Route{Method: http.MethodGet, Path: "/roles/{prior}/implies/{implied}", Rule: checked("get_implied_role", adminOrReader), Handler: showImplied},
		httpapi.Route{Method: http.MethodHead, Path: "/roles/{prior}/implies/{implied}", Rule: checked("check_implied_role", adminOrReader), Status: http.StatusNoContent, Handler: checkImplied})
	write(http.MethodPut, "/roles/{prior}/implies/{implied}", http.StatusCreated, checked("create_implied_role", admin), nil, createImplied)
	write(http.MethodDelete, "/roles/{prior}/implies/{implied}", http.StatusNoContent, checked("delete_implied_role", admin), nil, deleteImplied)
	read("/role_inferences", checked("list_role_inference_rules", adminOrReader), listInferences)

	read("/role_assignments", judged("list_role_assignments", listAssignments), s.listAssignments)
	return append(out, grantRoutes()...)
}

// Rules are those that handlers judge and no row has.
var Rules = []httpapi.Rule{ruleListDomainRoles, ruleDomainRole["get"], ruleDomainRole["create"], ruleDomainRole["update"], ruleDomainRole["delete"], ruleListTree}

// grantRoutes are the same four for users and groups on projects, on domains and on the system, and of what is inherited.
func grantRoutes() []httpapi.Route {
	var out []httpapi.Route
	add := func(place, list, one, read, check, create, revoke string, rule func(name, check string) httpapi.Rule, texts [4]string) {
		for _, m := range []string{http.MethodGet, http.MethodHead} {
			out = append(out, httpapi.Route{Method: m, Path: place + list, Rule: rule("identity:"+read, texts[0]), Handler: listGrantsOf},
				httpapi.Route{Method: m, Path: place + one, Rule: rule("identity:"+check, texts[1]), Status: http.StatusNoContent, Handler: checkGrantOf})
		}
		out = append(out, httpapi.Route{Method: http.MethodPut, Path: place + one, Rule: rule("identity:"+create, texts[2]), Status: http.StatusNoContent, Handler: createGrant},
			httpapi.Route{Method: http.MethodDelete, Path: place + one, Rule: rule("identity:"+revoke, texts[3]), Status: http.StatusNoContent, Handler: revokeGrant})
	}
	for _, who := range []string{"user", "group"} {
		actor := "/" + who + "s/{" + who + "}/roles"
		for _, where := range []string{"/projects/{project}", "/domains/{domain}"} {
			texts := [4]string{listGrants, checkGrant, changeGrant, changeGrant}
			add(where+actor, "", "/{role}", "list_grants", "check_grant", "create_grant", "revoke_grant", httpapi.Judged, texts)
			add("/OS-INHERIT"+where+actor, "/inherited_to_projects", "/{role}/inherited_to_projects", "list_grants", "check_grant", "create_grant", "revoke_grant", httpapi.Judged, texts)
		}
		of := "_system_grant_for_" + who
		add("/system"+actor, "", "/{role}", "list_system_grants_for_"+who, "check"+of, "create"+of, "revoke"+of, httpapi.Check, [4]string{adminOrReader, adminOrReader, admin, admin})
	}
	return out
}
