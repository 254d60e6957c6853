package scheduler

import (
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxExample bounds an example's length: explanations travel in the log.
const maxExample = 240

// explain words a survey: how many hosts there were and how many each filter refused, in the filters' order, with the
// first host by id as the example. It must run before anything more is planned, because it asks live filters again.
func (s *Scheduler) explain(q *query, t *tally) *structs.Explanation {
	c := s.cache
	x := &structs.Explanation{Hosts: len(c.hosts)}
	for at, f := range c.filters {
		if t.count[at] == 0 {
			continue
		}
		h := &c.hosts[t.first[at]]
		why := ""
		if c.verdict(q, h) == at {
			why = q.whys[h.class]
		} else {
			why = f.(liveFilter).why(q, h)
		}
		example := h.host.Name + ": " + why
		if len(example) > maxExample {
			example = strings.ToValidUTF8(example[:maxExample-3], "") + "…"
		}
		x.Refused = append(x.Refused, structs.FilterCount{Filter: f.name(), Count: t.count[at], Example: example})
	}
	return x
}
