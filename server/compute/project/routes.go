// Package project serves what belongs to a project or a user besides instances: keypairs, limits, quotas, server groups, usage.
package project

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type service struct{ base.Options }

// Routes are this room's rows.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	return slices.Concat(s.keypairRoutes(), s.limitsRoutes(), s.quotaRoutes(), s.serverGroupRoutes(), s.usageRoutes(), s.auditLogRoutes())
}
