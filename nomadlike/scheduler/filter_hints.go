package scheduler

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// hints are the scheduler hints that filters read. Unknown hints are not looked at.
type hints struct {
	same, different           []structs.InstanceID
	sameHosts, differentHosts []structs.HostID // where those instances are
	near                      string           // build_near_host_ip
	net                       netip.Prefix     // of near and cidr; not valid when they are not
	query                     any              // JsonFilter's, decoded; nil is none
	badQuery                  bool
}

// parseHints reads the hints. Ones of a wrong form are as if they were not given, because the API has checked the form; a bad
// query however refuses every host.
func (s *Scheduler) parseHints(raw []byte) hints {
	var in struct {
		Same      oneOrMore       `json:"same_host"`
		Different oneOrMore       `json:"different_host"`
		Near      oneOrMore       `json:"build_near_host_ip"`
		CIDR      oneOrMore       `json:"cidr"`
		Query     json.RawMessage `json:"query"`
	}
	var h hints
	if json.Unmarshal(raw, &in) != nil {
		return h
	}
	h.same, h.sameHosts = s.locate(in.Same)
	h.different, h.differentHosts = s.locate(in.Different)
	if len(in.Near) > 0 {
		h.near = in.Near[0]
		h.net = near(h.near, in.CIDR)
	}
	if q := strings.TrimSpace(string(in.Query)); q != "" && q != "null" && q != `""` {
		h.query, h.badQuery = parseQuery(in.Query)
	}
	return h
}

// oneOrMore is a text or a list of texts; anything else reads as none.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = nil
		if one != "" {
			*o = oneOrMore{one}
		}
		return nil
	}
	var more []string
	if json.Unmarshal(b, &more) == nil {
		*o = more
	}
	return nil
}

func (s *Scheduler) locate(ids []string) (instances []structs.InstanceID, hosts []structs.HostID) {
	for _, id := range ids {
		instances = append(instances, structs.InstanceID(id))
		if h := s.hostOf(structs.InstanceID(id)); h != "" {
			hosts = append(hosts, h)
		}
	}
	return instances, hosts
}

// near returns the network of the hint's address; /24 unless cidr says otherwise.
func near(ip string, cidr []string) netip.Prefix {
	bits := "/24"
	if len(cidr) > 0 && cidr[0] != "" {
		bits = "/" + strings.TrimPrefix(cidr[0], "/")
	}
	p, err := netip.ParsePrefix(ip + bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p.Masked()
}

// sameHostFilter is Nova's SameHostFilter: hint same_host names instances, one of which is on the host.
type sameHostFilter struct{}

func (sameHostFilter) name() string          { return "SameHostFilter" }
func (sameHostFilter) applies(q *query) bool { return len(q.hints.same) > 0 }
func (sameHostFilter) pass(q *query, h *candidate) bool {
	return slices.Contains(q.hints.sameHosts, h.host.ID)
}
func (sameHostFilter) why(q *query, _ *candidate) string {
	return fmt.Sprintf("has none of the instances %s", join(q.hints.same))
}

// differentHostFilter is Nova's DifferentHostFilter: none of the instances that hint different_host names is on the host.
type differentHostFilter struct{}

func (differentHostFilter) name() string          { return "DifferentHostFilter" }
func (differentHostFilter) applies(q *query) bool { return len(q.hints.different) > 0 }
func (differentHostFilter) pass(q *query, h *candidate) bool {
	return !slices.Contains(q.hints.differentHosts, h.host.ID)
}
func (differentHostFilter) why(q *query, _ *candidate) string {
	return fmt.Sprintf("has one of the instances %s", join(q.hints.different))
}

func join(ids []structs.InstanceID) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = string(id)
	}
	return strings.Join(s, ", ")
}

// simpleCIDRAffinityFilter is Nova's SimpleCIDRAffinityFilter: the host's address is in the network that hints
// build_near_host_ip and cidr make. An address that is none refuses every host.
type simpleCIDRAffinityFilter struct{}

func (simpleCIDRAffinityFilter) name() string          { return "SimpleCIDRAffinityFilter" }
func (simpleCIDRAffinityFilter) applies(q *query) bool { return q.hints.near != "" }
func (simpleCIDRAffinityFilter) pass(q *query, h *candidate) bool {
	a, err := netip.ParseAddr(hostIP(h.host))
	return err == nil && q.hints.net.Contains(a.Unmap())
}
func (simpleCIDRAffinityFilter) why(q *query, h *candidate) string {
	if !q.hints.net.IsValid() {
		return fmt.Sprintf("hints build_near_host_ip %q and cidr make no network", q.hints.near)
	}
	return fmt.Sprintf("%s is not in %s", hostIP(h.host), q.hints.net)
}
