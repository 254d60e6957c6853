// Package host serves what operators see of compute hosts: hypervisors, services, aggregates, availability zones.
package host

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type service struct{ base.Options }

// Routes are this room's rows.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	return slices.Concat(s.hypervisorRoutes(), s.aggregateRoutes(), s.serviceRoutes(), s.zoneRoutes(), s.hostRoutes(), s.consoleTokenRoutes())
}
