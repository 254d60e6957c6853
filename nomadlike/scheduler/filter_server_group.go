package scheduler

import (
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// serverGroup is what a request's server group asks of hosts; without a group, or when it is gone, its policy is "".
type serverGroup struct {
	policy  structs.ServerGroupPolicy
	perHost int64                    // of anti-affinity
	members map[structs.HostID]int64 // how many others are on a host, those among them that this Place has proposed
}

func (s *Scheduler) serverGroup(r *Request) serverGroup {
	if r.ServerGroup == "" {
		return serverGroup{}
	}
	g := s.reader.ServerGroup(r.ServerGroup)
	if g == nil {
		return serverGroup{}
	}
	out := serverGroup{policy: g.Policy, perHost: g.PerHost(), members: map[structs.HostID]int64{}}
	for ins := range s.reader.GroupMembers(g.ID) {
		if h := s.hostOf(ins.ID); h != "" && ins.ID != r.InstanceID {
			out.members[h]++
		}
	}
	return out
}

// antiAffinityFilter is Nova's ServerGroupAntiAffinityFilter: of the group's members fewer are on the host than may be.
type antiAffinityFilter struct{}

func (antiAffinityFilter) name() string { return "ServerGroupAntiAffinityFilter" }
func (antiAffinityFilter) applies(q *query) bool {
	return q.servers.policy == structs.PolicyAntiAffinity
}
func (antiAffinityFilter) pass(q *query, h *candidate) bool {
	return q.servers.members[h.host.ID] < q.servers.perHost
}
func (antiAffinityFilter) why(q *query, h *candidate) string {
	return fmt.Sprintf("has %d of the members of server group %s, which allows %d", q.servers.members[h.host.ID], q.ServerGroup, q.servers.perHost)
}

// affinityFilter is Nova's ServerGroupAffinityFilter: the group's members are on the host, or nowhere yet.
type affinityFilter struct{}

func (affinityFilter) name() string { return "ServerGroupAffinityFilter" }
func (affinityFilter) applies(q *query) bool {
	return q.servers.policy == structs.PolicyAffinity && len(q.servers.members) > 0
}
func (affinityFilter) pass(q *query, h *candidate) bool { return q.servers.members[h.host.ID] > 0 }
func (affinityFilter) why(q *query, _ *candidate) string {
	return fmt.Sprintf("has no member of server group %s, whose members are elsewhere", q.ServerGroup)
}

// soft reports whether the group's policy weighs hosts.
func (g *serverGroup) soft() bool {
	return g.policy == structs.PolicySoftAffinity || g.policy == structs.PolicySoftAntiAffinity
}

// weighMembers fills what the weighers of server groups measure on the feasible hosts: Nova's ServerGroupSoftAffinityWeigher and
// ServerGroupSoftAntiAffinityWeigher. It differs between requests, so nothing but the request at hand reads it.
func (c *Cache) weighMembers() {
	g := &c.query.servers
	if !g.soft() {
		return
	}
	for _, i := range c.feasible {
		h := &c.hosts[i]
		n := float64(g.members[h.host.ID])
		h.raw[weighSoftAffinity], h.raw[weighSoftAntiAffinity] = n, 0
		if g.policy == structs.PolicySoftAntiAffinity {
			h.raw[weighSoftAffinity], h.raw[weighSoftAntiAffinity] = 0, -n
		}
	}
}
