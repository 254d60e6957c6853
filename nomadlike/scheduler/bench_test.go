package scheduler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// bigWorld has n hosts in three classes, all of them with some load, one in a hundred down.
func bigWorld(n int) *world {
	w := newWorld()
	w.write(func(tx *state.Txn) {
		for i := range n {
			h := hostNo(i)
			h.Attributes["rack"] = fmt.Sprintf("r%d", i%3)
			h.Total = structs.Resources{VCPUs: 64, MemoryMiB: 256 << 10, DiskGiB: 4000}
			if i%100 == 7 {
				h.Status = structs.HostDown
			}
			h.Class = ClassOf(h)
			tx.PutHost(h)
			tx.PutClaim(&structs.Claim{InstanceID: structs.InstanceID(fmt.Sprint("load-", i)), HostID: h.ID,
				Resources: structs.Resources{VCPUs: int64(i % 50), MemoryMiB: int64(i%61) * 1024, DiskGiB: int64(i % 100)}})
		}
	})
	return w
}

func benchRequest(n int) Request {
	r := small(n)
	r.ExtraSpecs = map[string]string{"trait:HW_CPU_X86_AVX": "required", "capabilities:rack": "<or> r0 <or> r1", "hw:cpu_policy": "shared"}
	r.ImageProps = map[string]string{"hw_architecture": "x86_64", "os_distro": "alpine"}
	return r
}

// benchPick measures one Place of a batch on a moment that the cache knows: the price of a pick itself.
func benchPick(b *testing.B, hosts, batch int) {
	s := bigWorld(hosts).scheduler(b, nil)
	requests := make([]Request, batch)
	for i := range requests {
		requests[i] = benchRequest(i)
	}
	s.Place(requests)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s.Place(requests)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/pick")
}

func BenchmarkPick4(b *testing.B)          { benchPick(b, 4, 1) }
func BenchmarkPick1000(b *testing.B)       { benchPick(b, 1000, 1) }
func BenchmarkPick10000(b *testing.B)      { benchPick(b, 10000, 1) }
func BenchmarkPick1000x64(b *testing.B)    { benchPick(b, 1000, 64) }
func BenchmarkPick10000x64(b *testing.B)   { benchPick(b, 10000, 64) }
func BenchmarkRefresh4(b *testing.B)       { benchRefresh(b, 4) }
func BenchmarkRefresh1000(b *testing.B)    { benchRefresh(b, 1000) }
func BenchmarkRefresh10000(b *testing.B)   { benchRefresh(b, 10000) }
func BenchmarkUnchanged10000(b *testing.B) { benchUnchanged(b, 10000) }

// BenchmarkPickAggregates10000 is a pick with every aggregate filter over 20 aggregates, each with multipliers of its own, that overlap.
func BenchmarkPickAggregates10000(b *testing.B) {
	w := bigWorld(10000)
	w.settle(func(s *structs.ClusterSettings) { s.Filters = FilterNames() })
	for n := range 20 {
		var in []*structs.Host
		for i := n; i < 10000; i += 5 + n%3 {
			in = append(in, hostNo(i))
		}
		w.aggregate(n+1, in, "ssd", "true", "filter_tenant_id", "p1,p2", "instance_type", "small", "max_instances_per_host", fmt.Sprint(40+n), "ram_weight_multiplier", fmt.Sprint(n))
	}
	s := w.scheduler(b, nil)
	r := benchRequest(0)
	r.ProjectID, r.Flavor = "p1", "small"
	r.ExtraSpecs["aggregate_instance_extra_specs:ssd"] = "true"
	requests := []Request{r}
	s.Place(requests)
	b.ReportAllocs()
	for b.Loop() {
		s.Place(requests)
	}
}

// benchRefresh measures the cache's way to a moment in which one usage changed.
func benchRefresh(b *testing.B, hosts int) {
	w, cache := bigWorld(hosts), NewCache()
	w.scheduler(b, cache)
	var moments []state.Reader
	for i := range 64 {
		w.claim(fmt.Sprint("more-", i), hostNo(i%hosts).ID, structs.Resources{VCPUs: 1})
		moments = append(moments, w.Snapshot())
	}
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := New(moments[i%64], rng, cache); err != nil {
			b.Fatal(err)
		}
	}
}

func benchUnchanged(b *testing.B, hosts int) {
	w, cache := bigWorld(hosts), NewCache()
	r, rng := w.Snapshot(), rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for range b.N {
		if _, err := New(r, rng, cache); err != nil {
			b.Fatal(err)
		}
	}
}
