package scheduler

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func chance(t *rapid.T, oneIn int, what string) bool {
	return rapid.IntRange(1, oneIn).Draw(t, what) == oneIn
}

func drawHost(t *rapid.T, n int) *structs.Host {
	h := hostNo(n)
	h.Total = structs.Resources{VCPUs: rapid.Int64Range(0, 8).Draw(t, "cpus"), MemoryMiB: rapid.Int64Range(0, 16).Draw(t, "mem") * 1024, DiskGiB: rapid.Int64Range(0, 50).Draw(t, "disk")}
	h.Zone = rapid.SampledFrom([]string{"east", "west"}).Draw(t, "zone")
	h.Traits = rapid.SampledFrom([][]string{nil, {"A"}, {"A", "B"}}).Draw(t, "traits")
	h.Architectures = rapid.SampledFrom([][]string{{"x86_64"}, {"aarch64"}, {"i686", "x86_64"}}).Draw(t, "arch")
	h.Driver = rapid.SampledFrom([]string{"", "other"}).Draw(t, "driver")
	h.Methods = rapid.SampledFrom([][]string{nil, {"Resize"}, {"ImportDisks"}}).Draw(t, "methods")
	h.Attributes = map[string]string{"rack": rapid.SampledFrom([]string{"r1", "r2"}).Draw(t, "rack")}
	if chance(t, 2, "measured") {
		h.Metrics = &structs.HostMetrics{CPUPercent: rapid.Int64Range(0, 100).Draw(t, "cpu"), Frequency: rapid.Int64Range(0, 4000).Draw(t, "mhz")}
	}
	h.Disabled = chance(t, 10, "disabled")
	if chance(t, 10, "down") {
		h.Status = structs.HostDown
	}
	if chance(t, 2, "classed") {
		h.Class = ClassOf(h)
	}
	return h
}

func drawRequest(t *rapid.T, n int) Request {
	r := small(n)
	r.Resources = structs.Resources{VCPUs: rapid.Int64Range(0, 4).Draw(t, "c"), MemoryMiB: rapid.Int64Range(0, 4).Draw(t, "m") * 1024, DiskGiB: rapid.Int64Range(0, 10).Draw(t, "d")}
	r.ExtraSpecs, r.ImageProps = map[string]string{}, map[string]string{"os_distro": "x"}
	set := func(m map[string]string, k string, values ...string) {
		if chance(t, 4, k) {
			m[k] = rapid.SampledFrom(values).Draw(t, "value")
		}
	}
	set(r.ExtraSpecs, "trait:A", "required", "forbidden")
	set(r.ExtraSpecs, "trait:B", "required", "forbidden")
	set(r.ExtraSpecs, "capabilities:rack", "r1", "r2", "r3")
	set(r.ExtraSpecs, "capabilities:free_ram_mb", ">= 1024", ">= 8000")
	r.ProjectID, r.Flavor = structs.ProjectID(rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "project")), rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, "flavor")
	set(r.ExtraSpecs, "aggregate_instance_extra_specs:ssd", "true", "false")
	set(r.ExtraSpecs, "gpu", "s== 1", "s== 2")
	set(r.ImageProps, "os_distro", "y", "")
	set(r.ImageProps, "hw_architecture", "x86_64", "aarch64")
	set(r.ImageProps, "trait:A", "required")
	if chance(t, 5, "zoned") {
		r.Zone = rapid.SampledFrom([]string{"east", "west"}).Draw(t, "z")
	}
	if chance(t, 10, "hosted") {
		r.Host = hostNo(rapid.IntRange(0, 12).Draw(t, "h")).Name
	}
	for range rapid.IntRange(0, 2).Draw(t, "avoided") {
		r.Avoid = append(r.Avoid, hostNo(rapid.IntRange(0, 12).Draw(t, "a")).ID)
	}
	if chance(t, 4, "moves") {
		r.Move = &Move{Source: hostNo(rapid.IntRange(0, 12).Draw(t, "source")).ID, SameHost: rapid.Bool().Draw(t, "same"), Carries: !chance(t, 4, "carries"), Driver: rapid.SampledFrom([]string{"", "other", "third"}).Draw(t, "driver"),
			Needs: "ImportDisks", Holds: structs.Resources{VCPUs: rapid.Int64Range(0, 4).Draw(t, "holds")}}
	}
	return r
}

// drawAggregate returns one of a few aggregates; its zone is no matter of the scheduler's.
func drawAggregate(t *rapid.T) *structs.Aggregate {
	n := rapid.IntRange(1, 4).Draw(t, "aggregate")
	a := &structs.Aggregate{ID: structs.AggregateID(n), Name: fmt.Sprint("a", n), Metadata: map[string]string{}}
	for i := range 13 {
		if chance(t, 3, "member") {
			a.Hosts = append(a.Hosts, hostNo(i).ID)
		}
	}
	set := func(k string, values ...string) {
		if chance(t, 4, k) {
			a.Metadata[k] = rapid.SampledFrom(values).Draw(t, "value")
		}
	}
	set("ssd", "true", "false", "true , false")
	set("gpu", "1", "2,3", "")
	set("os_distro", "x", "y", "x,y")
	set("filter_tenant_id", "p1", "p2", "p1,p2")
	set("filter_tenant_id.2", "p2", "other")
	set("instance_type", "f1", "f2, f1", "")
	set("max_io_ops_per_host", "1", "4", "many")
	set("max_instances_per_host", "1", "0", "-1")
	for _, w := range weighers {
		set(w.option, "-1", "0.5", "2", "nan", "x")
	}
	return a
}

func drawSettings(t *rapid.T) structs.ClusterSettings {
	s := structs.DefaultClusterSettings()
	ratio := rapid.SampledFrom([]float64{0.5, 1, 1.5, 4})
	s.CPURatio, s.MemoryRatio, s.DiskRatio = ratio.Draw(t, "cr"), ratio.Draw(t, "mr"), ratio.Draw(t, "dr")
	for _, f := range FilterNames() {
		if chance(t, 3, f) {
			s.Filters = append(s.Filters, f)
		}
	}
	if chance(t, 3, "metrics") {
		s.MetricWeights = map[string]float64{"cpu.percent": rapid.SampledFrom([]float64{-100, 0, 1}).Draw(t, "ratio"), "cpu.frequency": 0.25}
		s.MetricsOptional = rapid.Bool().Draw(t, "optional")
		if chance(t, 2, "missing") {
			s.MetricMissing = ptr(5.0)
		}
	}
	s.Weights = map[string]float64{}
	for _, w := range WeigherNames() {
		if chance(t, 3, w) {
			s.Weights[w] = rapid.SampledFrom([]float64{-2, -1, 0, 0.5, 3}).Draw(t, "mult")
		}
	}
	return s
}

// mutate changes the world as a cluster does, or as a settings change does.
func mutate(t *rapid.T, w *world) {
	n := rapid.IntRange(0, 12).Draw(t, "which")
	w.write(func(tx *state.Txn) {
		switch rapid.IntRange(0, 7).Draw(t, "what") {
		case 0, 1:
			tx.PutHost(drawHost(t, n))
		case 2:
			i := structs.InstanceID(fmt.Sprint("x", rapid.IntRange(0, 9).Draw(t, "i")))
			tx.PutClaim(&structs.Claim{InstanceID: i, HostID: hostNo(n).ID, Resources: drawRequest(t, 0).Resources})
		case 3:
			tx.DeleteClaim(structs.InstanceID(fmt.Sprint("x", rapid.IntRange(0, 9).Draw(t, "i"))), hostNo(n).ID)
		case 4:
			tx.AddHostBuilding(hostNo(n).ID, rapid.Int64Range(0, 9).Draw(t, "building"))
		case 6:
			tx.PutAggregate(drawAggregate(t))
		case 7:
			tx.DeleteAggregate(structs.AggregateID(rapid.IntRange(1, 4).Draw(t, "aggregate")))
		case 5:
			s := drawSettings(t)
			tx.PutClusterSettings(&s)
		}
	})
}

func referenceOf(r state.Reader) *reference {
	m := &reference{settings: r.ClusterSettings(), hosts: slices.Collect(r.Hosts()), aggregates: slices.Collect(r.Aggregates()), usage: map[structs.HostID]structs.HostUsage{}}
	for u := range r.HostUsages() {
		m.usage[u.HostID] = *u
	}
	return m
}

// The feasible hosts and the weight of the pick are the reference's, request by request, over a world that changes under
// one cache; a host is never planned over its capacity; and a cache with a history places as a new one does.
func TestAgreesWithReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, cache := newWorld(), NewCache()
		for i := range rapid.IntRange(0, 12).Draw(t, "hosts") {
			w.put(drawHost(t, i))
		}
		var old []state.Reader
		for range rapid.IntRange(1, 8).Draw(t, "moments") {
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				mutate(t, w)
			}
			old = append(old, w.Snapshot())
			r := old[len(old)-1]
			if chance(t, 5, "back in time") {
				r = rapid.SampledFrom(old).Draw(t, "moment")
			}
			var batch []Request
			for i := range rapid.IntRange(1, 8).Draw(t, "requests") {
				batch = append(batch, drawRequest(t, i))
			}
			checkMoment(t, r, cache, batch)
		}
	})
}

func checkMoment(t *rapid.T, r state.Reader, cache *Cache, batch []Request) {
	const seed = 5
	used, err := New(r, rand.New(rand.NewPCG(seed, seed)), cache)
	require.NoError(t, err)
	fresh, err := New(r, rand.New(rand.NewPCG(seed, seed)), nil)
	require.NoError(t, err)
	placements := used.Place(batch)
	require.Equal(t, fresh.Place(batch), placements, "the same seed gives the same placements, whatever the cache saw before")

	ref := referenceOf(r)
	again, err := New(r, rand.New(rand.NewPCG(seed, seed)), cache)
	require.NoError(t, err)
	for i := range batch {
		p := again.place(&batch[i])
		require.Equal(t, placements[i], p)
		feasible := ref.feasible(&batch[i])
		var ids, got []structs.HostID
		for _, h := range feasible {
			ids = append(ids, h.ID)
		}
		for _, j := range cache.feasible {
			got = append(got, cache.hosts[j].host.ID)
		}
		require.Equal(t, ids, got)
		checkExplanation(t, p, len(ref.hosts), len(feasible))
		if len(feasible) == 0 {
			require.Empty(t, p.HostID)
			continue
		}
		weights := ref.weights(feasible)
		for _, weight := range weights {
			require.GreaterOrEqual(t, weights[p.HostID], weight-1e-9)
		}
		ref.take(p.HostID, batch[i].needs(p.HostID))
		u := ref.usage[p.HostID]
		require.True(t, u.Used.Fits(r.Host(p.HostID).Capacity(ref.settings)), "planned over capacity")
	}
	cache.forgetPlanned()
}

func checkExplanation(t *rapid.T, p structs.Placement, hosts, feasible int) {
	if hosts == feasible && hosts > 0 {
		require.Nil(t, p.Explanation)
		return
	}
	require.Equal(t, hosts, p.Explanation.Hosts)
	sum := 0
	for _, f := range p.Explanation.Refused {
		require.Positive(t, f.Count)
		require.NotEmpty(t, f.Example)
		sum += f.Count
	}
	require.Equal(t, hosts-feasible, sum)
}

// No hints, specs or properties make the scheduler panic.
func FuzzRequest(f *testing.F) {
	f.Add(`{"query": ["in", "$a.b", 1], "same_host": ["x"]}`, "capabilities:cpu_info:features", "<all-in> a", ">=1.2", "resources:VCPU", "3")
	f.Add(`{"query": ["not", ["not", [1]]], "cidr": "/99", "build_near_host_ip": "::1"}`, "", "<or>", "(<1.x)", "trait:", "")
	f.Fuzz(func(t *testing.T, hints, key, value, version, key2, value2 string) {
		w := newWorld()
		w.put(hostNo(1))
		w.settle(func(s *structs.ClusterSettings) { s.Filters = FilterNames() })
		r := small(1)
		r.Hints = []byte(hints)
		r.ExtraSpecs = map[string]string{key: value, key2: value2}
		r.ImageProps = map[string]string{"hw_vm_mode": "hvm", "img_hv_requested_version": version, key: value}
		r.Resources = ResourcesOf(&structs.Flavor{ExtraSpecs: r.ExtraSpecs})
		p := w.scheduler(t, nil).Place([]Request{r})
		if (p[0].HostID == "") != (p[0].Explanation != nil) {
			t.Fatalf("%+v", p[0])
		}
	})
}
