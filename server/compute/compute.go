// Package compute serves OpenStack's Compute API v2.1 with the microversions up to 2.104: what Nova calls servers and we call instances, their
// actions, flavors, keypairs, hypervisors, services, zones, limits. It turns requests into commands of the state machine and states into answers;
// what an answer looks like at which microversion is what Nova's api-ref and its REST API version history say.
package compute

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/flavor"
	"github.com/kilonova-cloud/kilonova/server/compute/host"
	"github.com/kilonova-cloud/kilonova/server/compute/instance"
	"github.com/kilonova-cloud/kilonova/server/compute/project"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The range of microversions.
const (
	MinVersion httpapi.Microversion = 1
	MaxVersion httpapi.Microversion = 104
)

// Where the service and its version documents live on the agent's port.
const (
	VersionsPrefix = "/compute"
	Prefix         = VersionsPrefix + "/v2.1"
)

// Options are what an operator may set. The zero value is Nova's defaults.
type Options = base.Options

// New returns the service under Prefix. It has no state of its own: any number may serve one core.
func New(o Options) *httpapi.Service {
	return &httpapi.Service{
		Name: "compute", Prefix: Prefix, ProjectInPath: true, Faults: httpapi.NovaFaults,
		Versioning: &httpapi.Versioning{Type: "compute", LegacyHeader: "X-OpenStack-Nova-API-Version", Major: 2, Min: MinVersion, Max: MaxVersion},
		Routes:     slices.Concat(instance.Routes(o), flavor.Routes(o), host.Routes(o), project.Routes(o)),
	}
}
