// Package native serves Kilonova's own API at /v1: what operators and the CLI ask of the cluster. Its JSON has its own structs, in
// snake_case: what is stored can change without them, and nothing secret can slip through.
//
// Lists and single things can be waited on: with ?index=N the answer comes once something of it has changed after index N, or after ?wait
// (5m unless told, at most 10m). X-Kilonova-Index is the index to ask with next. ?stale=true takes this server's newest state instead of
// asking the leader whether it is the newest.
package native

import (
	"cmp"
	"net/http"
	"time"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// Options configure the service.
type Options struct {
	// Auth verifies the token of an open event stream again and again; nil trusts it until it expires.
	Auth httpapi.Authenticator
	// Version is the program's, for agent/self.
	Version string
	// Metrics writes the metrics (promhttp.HandlerFor); nil leaves the route out. They name services, routes and counts, no users and no
	// secrets. A process on this machine reads them without a token; from elsewhere, or through a proxy that says so, it takes one.
	Metrics http.Handler
	// Notifications choose what the stream's table of notifications tells.
	Notifications notification.Settings
	// Heartbeat is how often a quiet event stream says that it is alive; 0 is 10 s.
	Heartbeat time.Duration
}

// ruleAllProjects is for lists and streams of other projects' things.
var ruleAllProjects = httpapi.Admin("kilonova:all_projects")

type service struct {
	opts Options
}

// Services returns the API at /v1.
func Services(o Options) []*httpapi.Service {
	o.Heartbeat = cmp.Or(o.Heartbeat, 10*time.Second)
	s := &service{opts: o}
	return []*httpapi.Service{{Name: "native", Prefix: "/v1", Faults: httpapi.NativeFaults, Routes: s.routes(),
		FollowsPolicy: true, Rules: []httpapi.Rule{ruleAllProjects}, Scopes: httpapi.SystemScope}}
}

func (s *service) routes() []httpapi.Route {
	get := http.MethodGet
	admin, user := httpapi.Admin, httpapi.ReaderOrAdmin
	list := []httpapi.Route{
		{Method: get, Path: "/agent/self", Rule: admin("kilonova:agent:show"), Handler: s.self},
		{Method: get, Path: "/agent/members", Rule: admin("kilonova:agent:members"), Handler: members},
		{Method: get, Path: "/agent/health", Rule: httpapi.Anyone, Handler: health},
		{Method: http.MethodPut, Path: "/agent/join", Rule: admin("kilonova:agent:join"), Body: joinSchema, Handler: join},
		{Method: get, Path: "/status/leader", Rule: admin("kilonova:status:show"), Handler: leader},
		{Method: get, Path: "/status/peers", Rule: admin("kilonova:status:show"), Handler: statusPeers},
		{Method: get, Path: "/operator/raft/peers", Rule: admin("kilonova:operator:raft:show"), Handler: raftPeers},
		{Method: http.MethodDelete, Path: "/operator/raft/peers/{id}", Rule: admin("kilonova:operator:raft:remove"), Query: forceQuery, Status: http.StatusNoContent, Handler: removePeer},

		{Method: get, Path: "/hosts", Rule: admin("kilonova:hosts:list"), Query: listQuery, Handler: listHosts},
		{Method: get, Path: "/hosts/{id}", Rule: admin("kilonova:hosts:show"), Query: showQuery, Handler: showHost},
		{Method: http.MethodDelete, Path: "/hosts/{id}", Rule: admin("kilonova:hosts:delete"), Query: forceQuery, Status: http.StatusNoContent, Handler: deleteHost},
		{Method: get, Path: "/instances", Rule: user("kilonova:instances:list"), Query: instancesQuery, Handler: listInstances},
		{Method: get, Path: "/instances/{id}", Rule: user("kilonova:instances:show"), Query: showQuery, Handler: showInstance},
		{Method: get, Path: "/operations", Rule: user("kilonova:operations:list"), Query: operationsQuery, Handler: listOperations},
		{Method: get, Path: "/operations/{id}", Rule: user("kilonova:operations:show"), Query: showQuery, Handler: showOperation},
		{Method: get, Path: "/event/stream", Rule: user("kilonova:events:stream"), Query: streamQuery, Handler: s.stream, Raw: true},
	}
	if s.opts.Metrics != nil {
		list = append(list, httpapi.Route{Method: get, Path: "/metrics", Rule: httpapi.LoopbackOr(httpapi.Authenticated("kilonova:metrics:show")), Handler: s.metrics, Raw: true})
	}
	return list
}

func (s *service) metrics(r *httpapi.Request) (any, error) {
	s.opts.Metrics.ServeHTTP(r.Writer, r.Request)
	return httpapi.Written, nil
}
