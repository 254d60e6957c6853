// Package directory is who and what there is: domains, projects, users and groups of the Identity API.
package directory

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

type service struct{ o base.Options }

// Routes are the room's rows.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	return slices.Concat(s.domainRoutes(), s.configRoutes(), s.projectRoutes(), s.tagRoutes(), s.userRoutes(), s.groupRoutes())
}

// reads are the rows of a read: GET, and HEAD beside it as in Keystone.
func reads(path string, rule httpapi.Rule, query *httpapi.Schema, status int, h httpapi.Handler) []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: path, Rule: rule, Query: query, Status: status, Handler: h},
		{Method: http.MethodHead, Path: path, Rule: rule, Query: query, Status: status, Handler: h},
	}
}

// The checks that several rules share (keystone/common/policies).
const (
	adminOnly      = "rule:admin_required"
	systemReader   = "rule:admin_required or (role:reader and system_scope:all)"
	projectReader  = systemReader + " or (role:reader and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s) or project_id:%(target.project.id)s"
	projectManager = "rule:admin_required or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)"
	userManager    = "rule:admin_required or (role:manager and token.domain.id:%(target.user.domain_id)s)"
	groupReader    = systemReader + " or (role:reader and domain_id:%(target.group.domain_id)s)"
	groupManager   = "rule:admin_required or (role:manager and domain_id:%(target.group.domain_id)s)"
	memberReader   = systemReader + " or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)"
	memberManager  = "rule:admin_required or (role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)"
)
