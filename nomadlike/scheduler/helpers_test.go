package scheduler

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// world is a store that tests write to directly.
type world struct {
	*state.Store
	index uint64
}

func newWorld() *world { return &world{Store: state.NewStore()} }

func (w *world) write(f func(tx *state.Txn)) {
	w.index++
	tx := w.Begin(w.index)
	f(tx)
	tx.Commit()
}

// hostNo returns a valid host with room: 8 VCPUs, 16 GiB, 100 GiB.
func hostNo(n int) *structs.Host {
	return &structs.Host{ID: structs.HostID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)), Name: fmt.Sprintf("host-%d", n), Zone: "nova",
		RPCAddr: fmt.Sprintf("10.0.%d.%d:4747", n/250, n%250+1), Status: structs.HostUp, Driver: "fake", DriverHealthy: true,
		HypervisorType: "QEMU", HypervisorVersion: 8_002_001, HypervisorHostname: fmt.Sprintf("hv-%d", n), Architectures: []string{"x86_64"},
		CPUInfo: structs.CPUInfo{Arch: "x86_64", Model: "EPYC", Vendor: "AMD", Sockets: 1, Cores: 4, Threads: 2, Features: []string{"avx", "sse4.2"}},
		Total:   structs.Resources{VCPUs: 8, MemoryMiB: 16384, DiskGiB: 100}, Traits: []string{"COMPUTE_X", "HW_CPU_X86_AVX"},
		Attributes: map[string]string{"rack": "r1", "nested": `{"a": {"b": 4}}`}}
}

// put writes hosts, with their usage.
func (w *world) put(hosts ...*structs.Host) {
	w.write(func(tx *state.Txn) {
		for _, h := range hosts {
			tx.PutHost(h)
		}
	})
}

// claim takes room on a host.
func (w *world) claim(instance string, h structs.HostID, r structs.Resources) {
	w.write(func(tx *state.Txn) {
		tx.PutClaim(&structs.Claim{InstanceID: structs.InstanceID(instance), HostID: h, Resources: r})
	})
}

// aggregate writes an aggregate of hosts with metadata, key after value.
func (w *world) aggregate(id int, hosts []*structs.Host, metadata ...string) {
	a := &structs.Aggregate{ID: structs.AggregateID(id), Name: fmt.Sprint("aggregate-", id), Metadata: map[string]string{}}
	for _, h := range hosts {
		a.Hosts = append(a.Hosts, h.ID)
	}
	for i := 0; i < len(metadata); i += 2 {
		a.Metadata[metadata[i]] = metadata[i+1]
	}
	w.write(func(tx *state.Txn) { tx.PutAggregate(a) })
}

// settle writes settings.
func (w *world) settle(f func(s *structs.ClusterSettings)) {
	s := structs.DefaultClusterSettings()
	f(&s)
	w.write(func(tx *state.Txn) { tx.PutClusterSettings(&s) })
}

func (w *world) scheduler(t require.TestingT, cache *Cache) *Scheduler {
	s, err := New(w.Snapshot(), rand.New(rand.NewPCG(1, 2)), cache)
	require.NoError(t, err)
	return s
}

func small(n int) Request {
	return Request{EvaluationID: structs.EvaluationID(fmt.Sprintf("e%d", n)), InstanceID: structs.InstanceID(fmt.Sprintf("i%d", n)),
		OperationID: structs.OperationID(fmt.Sprintf("o%d", n)), Resources: structs.Resources{VCPUs: 1, MemoryMiB: 1024, DiskGiB: 10}}
}

func asJSON(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
