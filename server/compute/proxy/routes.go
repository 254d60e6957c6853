// Package proxy serves the routes of the Compute API that belong to other services or to nobody any more: images, volumes, networks, floating
// addresses, security groups and bare metal nodes as Nova passed them on until 2.35, the frozen list of extensions, and what Nova has removed.
package proxy

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// lastProxy is the last microversion with the routes that pass a request on to another service; images' metadata stayed longer.
const (
	lastProxy         = 35
	lastImageMetadata = 38
)

type service struct {
	base.Options
	Services
}

// Routes are this room's rows. What is nil in the services is answered as by a cloud without that service.
func Routes(o base.Options, to Services) []httpapi.Route {
	s := &service{o.WithDefaults(), to.WithDefaults()}
	return slices.Concat(goneRoutes(), extensionRoutes(extensions), s.imageRoutes(), s.imageMetadataRoutes(), s.volumeRoutes(), s.snapshotRoutes(),
		s.networkRoutes(), s.floatingIPRoutes(), s.securityGroupRoutes(), baremetalRoutes(), s.assistedSnapshotRoutes(), s.externalEventRoutes())
}

// until is rows with the same last microversion.
func until(last httpapi.Microversion, rows []httpapi.Route) []httpapi.Route {
	for i := range rows {
		rows[i].Max = last
	}
	return rows
}
