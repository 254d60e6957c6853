package scheduler

import (
	"maps"
	"slices"

	"github.com/hashicorp/go-memdb"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxProfiles bounds how many kinds of request are remembered; beyond it all are forgotten.
const maxProfiles = 1024

// candidate is a host as surveys see it. Between calls of Place it is what the cached moment says; within one it counts
// what was planned too.
type candidate struct {
	host      *structs.Host
	usage     *structs.HostUsage // nil: nothing was ever claimed
	used      structs.Resources
	free      structs.Resources // capacity under the ratios, less used; below 0 when overcommitted
	instances int32
	building  int32
	group     *group                // of its aggregates
	raw       [weigherCount]float64 // see weigh
	class     int32                 // number of its class in this cache
	up        bool                  // Host.Schedulable
	measured  bool                  // has the metrics that are weighed
	metric    float64               // their weighed sum
}

// unrationed is what would be free if every ratio were 1. It is below 0 where ratios above 1 are used.
func (h *candidate) unrationed() structs.Resources {
	return h.host.Total.Sub(h.host.Reserved).Sub(h.used)
}

// Cache keeps hosts, their usage and verdicts about their classes from one moment of the state to the next. Nothing
// depends on what it holds but speed. It belongs to one goroutine, and has no use for more than one state.Store.
type Cache struct {
	// What was read last. A table's watch channel belongs to one version of the table: the same channel, the same content.
	hostsVersion, usagesVersion, aggregatesVersion <-chan struct{}
	settings                                       *structs.ClusterSettings
	multipliers                                    [weigherCount]float64
	metrics                                        []metricRatio
	filters                                        []filter // in order of refusal
	live                                           []placedLive

	hosts      []candidate        // by host id
	classes    map[classKey]int32 // to its number
	classCount int32
	profiles   map[string]*profile
	groups     grouping

	planned []int // hosts that the running Place planned on; empty between calls

	// Room that is reused.
	query     query
	tally     tally
	feasible  []int32
	ties      []int32
	scaled    []scale
	liveNow   []placedLive
	signature []byte
	pairs     []pair
}

// NewCache returns an empty cache.
func NewCache() *Cache {
	return &Cache{classes: map[classKey]int32{}, profiles: map[string]*profile{}}
}

// refresh brings the cache to the reader's moment, which may also be an older one. What did not change is not looked at:
// a table by its version, a host or usage by its pointer, because what the state returns is never changed in place.
func (c *Cache) refresh(r state.Reader) error {
	recapacitated, err := c.refreshSettings(r.ClusterSettings())
	if err != nil {
		return err
	}
	hosts, usages, aggregates := r.HostsWatch(), usagesVersion(r), r.AggregatesWatch()
	// Groups depend on the settings' filters and multipliers. They are known before hosts are adopted.
	regrouped := (recapacitated || aggregates != c.aggregatesVersion) && c.regroup(r)
	if hosts != c.hostsVersion {
		c.refreshHosts(r)
	}
	if hosts != c.hostsVersion || usages != c.usagesVersion {
		c.refreshUsages(r)
	}
	if recapacitated {
		for i := range c.hosts {
			c.recount(&c.hosts[i])
		}
	}
	if regrouped {
		for i := range c.hosts {
			c.hosts[i].group = c.groupOf(c.hosts[i].host.ID)
		}
		c.reclass()
	}
	c.hostsVersion, c.usagesVersion, c.aggregatesVersion = hosts, usages, aggregates
	return nil
}

// usagesVersion returns the channel that stands for the present version of the usages table.
func usagesVersion(r state.Reader) <-chan struct{} {
	ws := memdb.NewWatchSet()
	watching := r.Watching(ws)
	clear(ws) // of what stands for the store
	for range watching.HostUsages() {
		break
	}
	for ch := range ws {
		return ch
	}
	return nil
}

// refreshSettings adopts settings that differ from the last and reports whether capacities may have changed.
func (c *Cache) refreshSettings(s *structs.ClusterSettings) (recapacitated bool, err error) {
	old := c.settings
	if old != nil && old.CPURatio == s.CPURatio && old.MemoryRatio == s.MemoryRatio && old.DiskRatio == s.DiskRatio &&
		slices.Equal(old.Filters, s.Filters) && maps.Equal(old.Weights, s.Weights) && SameMetrics(old, s) {
		return false, nil
	}
	multipliers, err := multipliersOf(s)
	if err != nil {
		return false, err
	}
	metrics, err := metricRatiosOf(s)
	if err != nil {
		return false, err
	}
	if err := c.setFilters(s); err != nil {
		return false, err
	}
	c.settings, c.multipliers, c.metrics = s, multipliers, metrics
	return true, nil
}

// refreshHosts adopts the hosts of the moment. Where no host came or went it works in place.
func (c *Cache) refreshHosts(r state.Reader) {
	i := 0
	for h := range r.Hosts() {
		if i == len(c.hosts) || c.hosts[i].host.ID != h.ID {
			i = -1
			break
		}
		if c.hosts[i].host != h {
			c.adopt(&c.hosts[i], h)
		}
		i++
	}
	if i != len(c.hosts) {
		c.relist(r)
	}
	if int(c.classCount) > 2*len(c.hosts)+64 {
		c.reclass()
	}
}

// relist makes the list anew, in the order of the state, and keeps what is known of hosts that stay.
func (c *Cache) relist(r state.Reader) {
	old := make(map[structs.HostID]*candidate, len(c.hosts))
	for i := range c.hosts {
		old[c.hosts[i].host.ID] = &c.hosts[i]
	}
	next := make([]candidate, 0, len(c.hosts)+16)
	for h := range r.Hosts() {
		next = append(next, candidate{})
		n := &next[len(next)-1]
		if o := old[h.ID]; o != nil {
			*n = *o
		}
		if n.host != h {
			c.adopt(n, h)
		}
	}
	c.hosts = next
}

func (c *Cache) adopt(h *candidate, host *structs.Host) {
	h.host = host
	h.up, _ = host.Schedulable()
	h.group = c.groupOf(host.ID)
	h.class = c.classNumber(h)
	c.recount(h)
}

func (c *Cache) classNumber(h *candidate) int32 {
	key := classKey{class: classOf(h.host), zone: h.host.Zone}
	if c.groups.classed {
		key.group = h.group.number
	}
	n, ok := c.classes[key]
	if !ok {
		n = c.classCount
		c.classes[key] = n
		c.classCount++
	}
	return n
}

// reclass numbers the classes of the present hosts from 0, and so forgets those of hosts as they once were.
func (c *Cache) reclass() {
	clear(c.classes)
	clear(c.profiles)
	c.classCount = 0
	for i := range c.hosts {
		c.hosts[i].class = c.classNumber(&c.hosts[i])
	}
}

// refreshUsages walks hosts and usages, both in the order of host ids.
func (c *Cache) refreshUsages(r state.Reader) {
	i := 0
	for u := range r.HostUsages() {
		for i < len(c.hosts) && c.hosts[i].usage != u && c.hosts[i].host.ID < u.HostID {
			c.use(&c.hosts[i], nil)
			i++
		}
		if i == len(c.hosts) {
			break
		}
		if h := &c.hosts[i]; h.usage == u || h.host.ID == u.HostID {
			c.use(h, u)
			i++
		}
	}
	for ; i < len(c.hosts); i++ {
		c.use(&c.hosts[i], nil)
	}
}

func (c *Cache) use(h *candidate, u *structs.HostUsage) {
	if h.usage != u {
		h.usage = u
		c.recount(h)
	}
}

// recount works out a candidate's load from its host, its usage and the settings.
func (c *Cache) recount(h *candidate) {
	h.used, h.instances, h.building = structs.Resources{}, 0, 0
	if h.usage != nil {
		h.used, h.instances, h.building = h.usage.Used, int32(h.usage.Instances), int32(h.usage.Building)
	}
	h.free = h.host.Capacity(c.settings).Sub(h.used)
	c.measure(h)
	h.weigh()
}

// plan counts an instance on a host until forgetPlanned, as fsm.PlanApply will.
func (c *Cache) plan(i int, r structs.Resources) {
	h := &c.hosts[i]
	h.used, h.free = h.used.Add(r), h.free.Sub(r)
	h.instances++
	h.building++
	h.weigh()
	c.planned = append(c.planned, i)
}

func (c *Cache) forgetPlanned() {
	for _, i := range c.planned {
		c.recount(&c.hosts[i])
	}
	c.planned = c.planned[:0]
}
