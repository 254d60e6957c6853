package scheduler

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// grouped writes a group and its members, each on the host of that number; 0 is not placed yet.
func (w *world) grouped(g structs.ServerGroup, hosts ...int) {
	w.write(func(tx *state.Txn) {
		tx.PutServerGroup(&g)
		for i, h := range hosts {
			ins := &structs.Instance{ID: structs.InstanceID(fmt.Sprintf("m%d", i)), ServerGroupID: g.ID, VM: structs.VMActive}
			if h != 0 {
				ins.HostID = hostNo(h).ID
			}
			tx.PutInstance(ins)
		}
	})
}

func member(w *world, n int) Request {
	r := small(n)
	r.ServerGroup = "g"
	w.write(func(tx *state.Txn) {
		tx.PutInstance(&structs.Instance{ID: r.InstanceID, ServerGroupID: "g", VM: structs.VMBuilding})
	})
	return r
}

func hostsOf(placed []structs.Placement) (out []structs.HostID) {
	for _, p := range placed {
		out = append(out, p.HostID)
	}
	return out
}

func TestAntiAffinity(t *testing.T) {
	t.Parallel()
	for _, filters := range [][]string{nil, {"AllHostsFilter"}} { // the settings cannot take the policy away
		w := newWorld()
		w.put(hostNo(1), hostNo(2), hostNo(3))
		w.settle(func(s *structs.ClusterSettings) { s.Filters = filters })
		w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicyAntiAffinity}, 2, 0)
		batch := []Request{member(w, 1), member(w, 2), member(w, 3)}
		out := w.scheduler(t, nil).Place(batch)
		require.ElementsMatch(t, []structs.HostID{hostNo(1).ID, hostNo(3).ID}, hostsOf(out)[:2])
		require.Empty(t, out[2].HostID)
		require.Equal(t, []structs.FilterCount{{Filter: "ServerGroupAntiAffinityFilter", Count: 3, Example: "host-1: has 1 of the members of server group g, which allows 1"}},
			out[2].Explanation.Refused)
	}
}

func TestAntiAffinityAllowsSomePerHost(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.put(hostNo(1), hostNo(2))
	w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicyAntiAffinity, MaxPerHost: 2}, 1)
	batch := []Request{member(w, 1), member(w, 2), member(w, 3), member(w, 4)}
	out := w.scheduler(t, nil).Place(batch)
	require.ElementsMatch(t, []structs.HostID{hostNo(1).ID, hostNo(2).ID, hostNo(2).ID, ""}, hostsOf(out))
	require.Empty(t, out[3].HostID)
}

func TestAffinity(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.put(hostNo(1), hostNo(2), hostNo(3))
	w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicyAffinity})
	a, b, c := member(w, 1), member(w, 2), member(w, 3)
	c.Resources.MemoryMiB = 16384 // no room beside the others
	out := w.scheduler(t, nil).Place([]Request{a, b, c})
	require.NotEmpty(t, out[0].HostID)
	require.Equal(t, out[0].HostID, out[1].HostID)
	require.Empty(t, out[2].HostID)
	require.Equal(t, "ServerGroupAffinityFilter", out[2].Explanation.Refused[1].Filter)

	w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicyAffinity}, 3)
	require.Equal(t, []structs.HostID{hostNo(3).ID}, hostsOf(w.scheduler(t, nil).Place([]Request{a})))
}

// Soft policies outweigh an even load, and give way to a lack of room.
func TestSoftPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.put(hostNo(1), hostNo(2))
	w.settle(func(s *structs.ClusterSettings) {
		s.Weights = map[string]float64{"ServerGroupSoftAffinityWeigher": 100, "ServerGroupSoftAntiAffinityWeigher": 100}
	})
	w.claim("x", hostNo(2).ID, structs.Resources{VCPUs: 2, MemoryMiB: 4096})
	w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicySoftAffinity}, 2)
	big := small(0)
	big.Resources.MemoryMiB = 15000
	cache := NewCache()
	batch := []Request{member(w, 1), small(9), member(w, 2)}
	out := w.scheduler(t, cache).Place(batch)
	require.Equal(t, []structs.HostID{hostNo(2).ID, hostNo(1).ID, hostNo(2).ID}, hostsOf(out))
	w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicySoftAntiAffinity}, 1)
	out = w.scheduler(t, cache).Place(batch[:2])
	require.Equal(t, []structs.HostID{hostNo(2).ID, hostNo(1).ID}, hostsOf(out))
	alone := member(w, 3)
	alone.Resources.MemoryMiB = big.Resources.MemoryMiB
	require.Equal(t, []structs.HostID{hostNo(1).ID}, hostsOf(w.scheduler(t, cache).Place([]Request{alone})), "host-2 has no room")
}

// A group that is gone asks nothing of hosts.
func TestGroupIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.put(hostNo(1))
	w.grouped(structs.ServerGroup{ID: "g", Policy: structs.PolicyAntiAffinity}, 1)
	r := member(w, 1)
	require.Empty(t, w.scheduler(t, nil).Place([]Request{r})[0].HostID)
	w.write(func(tx *state.Txn) { tx.DeleteServerGroup("g") })
	require.NotEmpty(t, w.scheduler(t, nil).Place([]Request{r})[0].HostID)
}
