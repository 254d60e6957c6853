// Package compute serves OpenStack's Compute API v2.1 with the microversions up to 2.104: what Nova calls servers and we call instances, their
// actions, flavors, keypairs, hypervisors, services, zones, limits. It turns requests into commands of the state machine and states into answers;
// what an answer looks like at which microversion is what Nova's api-ref and its REST API version history say.
package compute

import (
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/flavor"
	"github.com/kilonova-cloud/kilonova/server/compute/host"
	"github.com/kilonova-cloud/kilonova/server/compute/instance"
	"github.com/kilonova-cloud/kilonova/server/compute/project"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
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

// New returns the service under Prefix in a cloud without network and volume services. It has no state of its own: any number may serve one core.
func New(o Options) *httpapi.Service { return NewWith(o, proxy.Services{}) }

// NewWith is New in a cloud with other services, which the routes for them pass requests on to.
func NewWith(o Options, to proxy.Services) *httpapi.Service {
	return &httpapi.Service{
		Name: "compute", Prefix: Prefix, ProjectInPath: true, Faults: httpapi.NovaFaults,
		Versioning: &httpapi.Versioning{Type: "compute", LegacyHeader: "X-OpenStack-Nova-API-Version", Major: 2, Min: MinVersion, Max: MaxVersion},
		Routes:     routes(o, to), FollowsPolicy: true, Rules: rules(),
	}
}

// Legacy returns the API before 2.1 under LegacyPrefix: the routes of 2.1 without microversions and their headers, whose bodies may have keys that
// nobody knows.
func Legacy(o Options, to proxy.Services) *httpapi.Service {
	return &httpapi.Service{Name: "compute", Prefix: LegacyPrefix, ProjectInPath: true, Faults: httpapi.NovaFaults, Routes: proxy.Legacy(routes(o, to)),
		FollowsPolicy: true, Rules: rules()}
}

// Services returns all that the Compute API is: the API of today, the one before 2.1, and the documents that name the two.
func Services(o Options, to proxy.Services) []*httpapi.Service {
	return []*httpapi.Service{NewWith(o, to), Legacy(o, to), versions(legacy, current)}
}

// rules are those that handlers judge and no row has.
func rules() []httpapi.Rule { return slices.Concat(instance.Rules(), project.Rules()) }

func routes(o Options, to proxy.Services) []httpapi.Route {
	instances := instance.Routes(o, to)
	return slices.Concat(instances, volumesBoot(instances), flavor.Routes(o), host.Routes(o), project.Routes(o), proxy.Routes(o, to), versionRoutes())
}

// lastVolumesBoot is the last microversion in which /os-volumes_boot is another name of /servers.
const lastVolumesBoot = 102

// volumesBootActions are the actions that it has: those that Nova's servers had before there were extensions.
var volumesBootActions = []string{"confirmResize", "createImage", "os-start", "os-stop", "reboot", "rebuild", "resize", "revertResize", "trigger_crash_dump"}

// volumesBoot are the rows of /servers under their old name for instances that boot from volumes. The answers' links lead to /servers.
func volumesBoot(rows []httpapi.Route) []httpapi.Route {
	var alias []httpapi.Route
	for _, r := range rows {
		rest, ok := strings.CutPrefix(r.Path, "/servers")
		ok = ok && r.Min <= lastVolumesBoot && (rest == "" || rest == "/detail" || rest == "/{id}" || rest == "/{id}/action" && slices.Contains(volumesBootActions, r.Action))
		if !ok {
			continue
		}
		r.Path = "/os-volumes_boot" + rest
		if r.Max == 0 || r.Max > lastVolumesBoot {
			r.Max = lastVolumesBoot
		}
		alias = append(alias, r)
	}
	return alias
}
