// Package compute serves OpenStack's Compute API v2.1 with the microversions up to 2.104: what Nova calls servers and we call instances, their
// actions, flavors, keypairs, hypervisors, services, zones, limits. It turns requests into commands of the state machine and states into answers;
// what an answer looks like at which microversion is what Nova's api-ref and its REST API version history say.
package compute

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
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
type Options struct {
	NoAdminPass      bool             // the reverse of [api]enable_instance_password: create does not show a password
	DefaultZone      string           // [DEFAULT]default_schedule_zone: of instances whose request names none; "" is any
	MaxPerRequest    int              // the most instances that one request may ask for, whatever the quota says; 0 is 10000
	ConsoleLineLimit int              // the most lines of console output in one answer; 0 is no limit
	Now              func() time.Time // puts the time into commands; nil is time.Now
}

type service struct {
	opts Options
}

func (s *service) now() structs.Time { return structs.TimeOf(s.opts.Now()) }

func newService(o Options) *service {
	if o.MaxPerRequest <= 0 {
		o.MaxPerRequest = 10000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &service{opts: o}
}

// New returns the service under Prefix. It has no state of its own: any number may serve one core.
func New(o Options) *httpapi.Service {
	s := newService(o)
	return &httpapi.Service{
		Name: "compute", Prefix: Prefix, ProjectInPath: true, Faults: httpapi.NovaFaults,
		Versioning: &httpapi.Versioning{Type: "compute", LegacyHeader: "X-OpenStack-Nova-API-Version", Major: 2, Min: MinVersion, Max: MaxVersion},
		Routes:     s.routes(),
	}
}

func (s *service) routes() []httpapi.Route {
	var all []httpapi.Route
	for _, rows := range [][]httpapi.Route{s.instanceRoutes(), s.instanceActionRoutes(), s.flavorRoutes(), s.keypairRoutes(),
		s.hypervisorRoutes(), s.aggregateRoutes(), s.serviceRoutes(), s.zoneRoutes(), s.limitsRoutes(), s.consoleRoutes()} {
		all = append(all, rows...)
	}
	return all
}
