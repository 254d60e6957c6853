// Package instance serves /servers and what is below: what Nova calls servers and we call instances, their actions, their consoles.
package instance

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type service struct {
	base.Options
	to proxy.Services
}

// Routes are this room's rows. What is nil in the services is answered as by a cloud without that service.
func Routes(o base.Options, to proxy.Services) []httpapi.Route {
	s := &service{o.WithDefaults(), to.WithDefaults()}
	return slices.Concat(s.instanceRoutes(), s.actionRoutes(), s.snapshotRoutes(), s.shelveRoutes(), s.migrateRoutes(), s.migrationRoutes(), s.instanceActionRoutes(), s.consoleRoutes(),
		s.metadataRoutes(), s.tagRoutes(), s.addressRoutes(), s.interfaceRoutes(), s.securityGroupRoutes(),
		s.attachmentRoutes(), s.shareRoutes(), s.passwordRoutes(), s.diagnosticsRoutes())
}
