package scheduler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestNoHosts(t *testing.T) {
	t.Parallel()
	p := newWorld().scheduler(t, nil).Place([]Request{small(1)})
	require.Equal(t, []structs.Placement{{EvaluationID: "e1", InstanceID: "i1", OperationID: "o1", Explanation: &structs.Explanation{}}}, p)
}

// A batch sees its own placements: four instances of 4 GiB fit a host of 16 GiB, the fifth is told why not.
func TestBatchSeesItself(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.put(hostNo(1))
	s := w.scheduler(t, nil)
	var batch []Request
	for i := range 5 {
		r := small(i)
		r.Resources.MemoryMiB = 4096
		batch = append(batch, r)
	}
	for range 2 { // what one call plans is forgotten by the next
		out := s.Place(batch)
		for i := range 4 {
			require.Equal(t, hostNo(1).ID, out[i].HostID)
		}
		require.Empty(t, out[4].HostID)
		require.Equal(t, []structs.FilterCount{{Filter: "PlacementCapacity", Count: 1, Example: "host-1: needs 4096 MB, 0 MB free"}}, out[4].Explanation.Refused)
	}
}

// Hints see the batch's placements too.
func TestHintSeesBatch(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.put(hostNo(1), hostNo(2))
	w.settle(func(s *structs.ClusterSettings) { s.Filters = []string{"DifferentHostFilter", "SameHostFilter"} })
	a, b, c := small(1), small(2), small(3)
	b.Hints = asJSON(t, map[string]any{"different_host": "i1"})
	c.Hints = asJSON(t, map[string]any{"same_host": []string{"i1"}})
	for range 20 {
		out := w.scheduler(t, nil).Place([]Request{a, b, c})
		require.NotEqual(t, out[0].HostID, out[1].HostID)
		require.Equal(t, out[0].HostID, out[2].HostID)
	}
}

// Refusals are counted against the first filter in order, whether it judges classes or load.
func TestExplanationOrder(t *testing.T) {
	t.Parallel()
	w := newWorld()
	hosts := []*structs.Host{}
	for i := range 6 {
		hosts = append(hosts, hostNo(i))
	}
	hosts[0].Zone, hosts[0].Disabled = "east", true
	hosts[1].Traits, hosts[1].Disabled = nil, true
	hosts[2].Disabled, hosts[2].Architectures = true, []string{"aarch64"}
	hosts[3].Architectures = []string{"aarch64"}
	hosts[4].Total = structs.Resources{}
	hosts[4].Disabled = true
	w.put(hosts...)
	r := small(1)
	r.Zone, r.ExtraSpecs, r.ImageProps = "nova", map[string]string{"trait:COMPUTE_X": "required"}, map[string]string{"hw_architecture": "x86_64"}
	p := w.scheduler(t, nil).Place([]Request{r})[0]
	require.Equal(t, hosts[5].ID, p.HostID)
	require.Equal(t, &structs.Explanation{Hosts: 6, Refused: []structs.FilterCount{
		{Filter: "AvailabilityZone", Count: 1, Example: `host-0: zone "nova" was asked for, it is in "east"`},
		{Filter: "PlacementTraits", Count: 1, Example: "host-1: lacks the required trait COMPUTE_X"},
		{Filter: "PlacementCapacity", Count: 1, Example: "host-4: needs 1 VCPU, 0 VCPU free; needs 1024 MB, 0 MB free; needs 10 GB of disk, 0 GB of disk free"},
		{Filter: "ComputeFilter", Count: 1, Example: "host-2: host is disabled"},
		{Filter: "ImagePropertiesFilter", Count: 1, Example: "host-3: the image wants architecture x86_64, it has aarch64"},
	}}, p.Explanation)
}

func TestWeighers(t *testing.T) {
	t.Parallel()
	w := newWorld()
	big, small2 := hostNo(1), hostNo(2)
	big.Total.MemoryMiB *= 2
	w.put(big, small2)
	pick := func(weights map[string]float64) structs.HostID {
		w.settle(func(s *structs.ClusterSettings) { s.Weights = weights })
		return w.scheduler(t, nil).Place([]Request{small(1)})[0].HostID
	}
	require.Equal(t, big.ID, pick(nil), "the host with more free memory")
	require.Equal(t, small2.ID, pick(map[string]float64{"RAMWeigher": -1}), "stacking")
	w.write(func(tx *state.Txn) { tx.AddHostBuilding(big.ID, 5) })
	require.Equal(t, small2.ID, pick(map[string]float64{"IoOpsWeigher": -3}))
	w.claim("x", small2.ID, structs.Resources{})
	require.Equal(t, small2.ID, pick(map[string]float64{"NumInstancesWeigher": 3}))
	require.Equal(t, big.ID, pick(map[string]float64{"NumInstancesWeigher": -1}))
}

// Hosts of equal weight are all picked, about equally often.
func TestTiesSpread(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for i := range 4 {
		w.put(hostNo(i))
	}
	s, count := w.scheduler(t, nil), map[structs.HostID]int{}
	for range 4000 {
		count[s.Place([]Request{small(1)})[0].HostID]++
	}
	require.Len(t, count, 4)
	for _, n := range count {
		require.InDelta(t, 1000, n, 200)
	}
}

func TestRequestOf(t *testing.T) {
	t.Parallel()
	w := newWorld()
	op := structs.Operation{ID: "o", InstanceID: "i", Status: structs.OpRunning, Step: structs.StepPlace, AvoidHosts: []structs.HostID{"h"}}
	ins := structs.Instance{ID: "i", OperationID: "o", Flavor: structs.Flavor{VCPUs: 1, MemoryMiB: 2, RootGiB: 3, ExtraSpecs: map[string]string{"a": "b"}},
		ImageProps: map[string]string{"c": "d"}, PinnedZone: "z", RequestedHost: "n", SchedulerHints: []byte("{}")}
	e := &structs.Evaluation{ID: "e", InstanceID: "i", OperationID: "o"}
	w.write(func(tx *state.Txn) {
		a, b := op, ins
		tx.PutOperation(&a)
		tx.PutInstance(&b)
	})
	r, ok := RequestOf(w.Snapshot(), e)
	require.True(t, ok)
	require.Equal(t, Request{EvaluationID: "e", InstanceID: "i", OperationID: "o", Resources: structs.Resources{VCPUs: 1, MemoryMiB: 2, DiskGiB: 3},
		ExtraSpecs: map[string]string{"a": "b"}, ImageProps: map[string]string{"c": "d"}, Zone: "z", Host: "n", Avoid: []structs.HostID{"h"}, Hints: []byte("{}")}, r)
	for _, change := range []func(o *structs.Operation, i *structs.Instance){
		func(o *structs.Operation, _ *structs.Instance) { o.Step = structs.StepSpawn },
		func(o *structs.Operation, _ *structs.Instance) { o.Status = structs.OpCancelled },
		func(_ *structs.Operation, i *structs.Instance) { i.OperationID = "p" },
	} {
		w.write(func(tx *state.Txn) {
			a, b := op, ins
			change(&a, &b)
			tx.PutOperation(&a)
			tx.PutInstance(&b)
		})
		_, ok := RequestOf(w.Snapshot(), e)
		require.False(t, ok)
	}
}

// Every field of what a host says of itself that a static filter can read changes the class; nothing does that changes with load, and not the zone, which aggregates change.
func TestClassOf(t *testing.T) {
	t.Parallel()
	base := ClassOf(hostNo(1))
	require.Equal(t, base, ClassOf(hostNo(2)))
	seen := map[uint64]string{base: "base"}
	for name, f := range map[string]func(h *structs.Host){
		"type":    func(h *structs.Host) { h.HypervisorType = "x" },
		"version": func(h *structs.Host) { h.HypervisorVersion++ }, "arch": func(h *structs.Host) { h.Architectures = append(h.Architectures, "x") },
		"traits": func(h *structs.Host) { h.Traits = h.Traits[:1] }, "cpu arch": func(h *structs.Host) { h.CPUInfo.Arch = "x" },
		"model": func(h *structs.Host) { h.CPUInfo.Model = "x" }, "vendor": func(h *structs.Host) { h.CPUInfo.Vendor = "x" },
		"sockets": func(h *structs.Host) { h.CPUInfo.Sockets = 9 }, "cores": func(h *structs.Host) { h.CPUInfo.Cores = 9 },
		"threads": func(h *structs.Host) { h.CPUInfo.Threads = 9 }, "features": func(h *structs.Host) { h.CPUInfo.Features = []string{"x"} },
		"attribute": func(h *structs.Host) { h.Attributes["rack"] = "x" }, "new attribute": func(h *structs.Host) { h.Attributes["x"] = "x" },
	} {
		h := hostNo(1)
		f(h)
		c := ClassOf(h)
		require.Empty(t, seen[c], "%s is not in the class", name)
		seen[c] = name
	}
	load := hostNo(1)
	load.Disabled, load.Status, load.Total, load.Epoch, load.Name, load.Zone = true, structs.HostDown, structs.Resources{VCPUs: 1}, 7, "x", "x"
	require.Equal(t, base, ClassOf(load))
	old := hostNo(1)
	old.Class = 77
	require.Equal(t, base, classOf(old), "a class of another layout is not trusted")
}

// What a cache went through changes nothing; hosts come, go and change class under it, and moments go backwards.
func TestCacheThroughRestore(t *testing.T) {
	t.Parallel()
	w, cache := newWorld(), NewCache()
	for i := range 300 {
		h := hostNo(1)
		h.Attributes["boot"] = fmt.Sprint(i)
		w.put(h)
		r := small(i)
		r.ExtraSpecs = map[string]string{"boot": fmt.Sprint(i)}
		require.NotEmpty(t, w.scheduler(t, cache).Place([]Request{r})[0].HostID)
	}
	require.Less(t, int(cache.classCount), 70, "classes of hosts as they once were are forgotten")
	for i := range 2 * maxProfiles {
		r := small(i)
		r.ExtraSpecs = map[string]string{"boot": fmt.Sprint(i)}
		w.scheduler(t, cache).Place([]Request{r})
	}
	require.LessOrEqual(t, len(cache.profiles), maxProfiles)

	other := newWorld()
	other.put(hostNo(5), hostNo(6))
	other.claim("x", hostNo(5).ID, structs.Resources{MemoryMiB: 16000})
	s, err := New(other.Snapshot(), rand.New(rand.NewPCG(1, 1)), cache)
	require.NoError(t, err)
	require.Equal(t, hostNo(6).ID, s.Place([]Request{small(1)})[0].HostID)
	s = w.scheduler(t, cache)
	require.Equal(t, hostNo(1).ID, s.Place([]Request{small(1)})[0].HostID)
}
