// Package scheduler picks hosts for instances. It is a pure function of a moment of the state, the requests and a random
// source: no clock, no goroutine, no I/O. What it returns is a proposal; fsm.PlanApply checks it against the newest state.
//
// Names and rules of filters and weighers are Nova's (its guide "Compute schedulers"); where this package differs
// the filter's comment says so. What Nova asks its Placement service for (capacity, traits, zone, target host) are filters
// here too, so that every refusal is counted by a name.
//
// Cost: what a filter reads of a host that does not change with load is hashed into the host's class (ClassOf), and its
// verdict is remembered per class and kind of request (profile). What is left per host is one byte to look up and the few
// live checks that the request needs, over a contiguous array (Cache).
package scheduler

import (
	"math/rand/v2"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Scheduler places requests on one moment of the state. It is not safe for concurrent use, and of the schedulers that
// share a Cache only the newest may be used.
type Scheduler struct {
	reader state.Reader
	rng    *rand.Rand
	cache  *Cache
	placed map[structs.InstanceID]structs.HostID // by the running Place; nil until the first
}

// New returns a scheduler of the reader's moment. The random source only breaks ties between hosts of equal weight: equal
// states, requests and seeds give equal placements, whatever the cache went through before. A nil cache is a new one.
// Settings that Validate refuses are an error.
func New(r state.Reader, rng *rand.Rand, cache *Cache) (*Scheduler, error) {
	if cache == nil {
		cache = NewCache()
	}
	if err := cache.refresh(r); err != nil {
		return nil, err
	}
	return &Scheduler{reader: r, rng: rng, cache: cache}, nil
}

// Place proposes a host for each request, in their order: the answer has one placement per request. The requests see each
// other's placements, so that a batch never proposes more than a host's capacity. A placement without a host says that
// every host was refused; its Explanation says by what. The Explanation is nil when a host was found and none was refused.
func (s *Scheduler) Place(requests []Request) []structs.Placement {
	out := make([]structs.Placement, len(requests))
	for i := range requests {
		out[i] = s.place(&requests[i])
	}
	s.cache.forgetPlanned()
	clear(s.placed)
	return out
}

func (s *Scheduler) place(r *Request) structs.Placement {
	p := structs.Placement{EvaluationID: r.EvaluationID, InstanceID: r.InstanceID, OperationID: r.OperationID}
	q := s.query(r)
	tally := s.survey(q)
	if len(s.cache.feasible) < len(s.cache.hosts) || len(s.cache.hosts) == 0 {
		p.Explanation = s.explain(q, tally)
	}
	if i := s.best(); i >= 0 {
		c := &s.cache.hosts[i]
		p.HostID = c.host.ID
		s.cache.plan(i, r.needs(c.host.ID))
		if s.placed == nil {
			s.placed = map[structs.InstanceID]structs.HostID{}
		}
		s.placed[r.InstanceID] = c.host.ID
	}
	return p
}

// hostOf returns where an instance is, counting what this Place has proposed; "" when nowhere.
func (s *Scheduler) hostOf(id structs.InstanceID) structs.HostID {
	if h, ok := s.placed[id]; ok {
		return h
	}
	if ins := s.reader.Instance(id); ins != nil && !ins.Deleted() {
		return ins.HostID
	}
	return ""
}

// tally counts a survey's refusals by filter position; first is the index of the first host that the filter refused.
type tally struct {
	count [maxFilters]int
	first [maxFilters]int
}

// survey fills the cache's feasible list with the hosts that pass every filter. A host is counted against the first
// filter, in their order, that refuses it.
func (s *Scheduler) survey(q *query) *tally {
	c := s.cache
	t := &c.tally
	*t = tally{}
	c.feasible = c.feasible[:0]
	live := c.liveFilters(q)
	for i := range c.hosts {
		h := &c.hosts[i]
		at := c.verdict(q, h)
		for _, l := range live {
			if l.at >= at {
				break
			}
			if !l.filter.pass(q, h) {
				at = l.at
				break
			}
		}
		if at == passes {
			c.feasible = append(c.feasible, int32(i))
			continue
		}
		if t.count[at] == 0 {
			t.first[at] = i
		}
		t.count[at]++
	}
	return t
}
