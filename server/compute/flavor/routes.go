// Package flavor serves flavors, their extra specs and who may use them.
package flavor

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type service struct{ base.Options }

// Routes are this room's rows.
func Routes(o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults()}
	return slices.Concat(s.flavorRoutes(), s.extraSpecRoutes(), s.accessRoutes())
}
