// Package instance serves /servers and what is below: what Nova calls servers and we call instances, their actions, their consoles.
package instance

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type service struct{ base.Options }

// Routes are this room's rows.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	return slices.Concat(s.instanceRoutes(), s.actionRoutes(), s.snapshotRoutes(), s.shelveRoutes(), s.instanceActionRoutes(), s.consoleRoutes(),
		s.metadataRoutes(), s.tagRoutes())
}
