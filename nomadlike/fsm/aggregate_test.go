package fsm_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func (w *world) aggregate(name, zone string) structs.AggregateID {
	req := &structs.AggregateCreateRequest{UUID: w.id("uuid"), Name: name, Now: w.now}
	if zone != "" {
		req.Metadata = map[string]string{structs.AggregateZoneKey: zone}
	}
	a, err := fsm.AggregateCreate.Propose(context.Background(), w, req)
	require.NoError(w.t, err)
	return a.ID
}

func (w *world) addTo(a structs.AggregateID, h structs.HostID) error {
	_, err := fsm.AggregateAddHost.Propose(context.Background(), w, &structs.AggregateHostRequest{ID: a, HostID: h})
	return err
}

func (w *world) removeFrom(a structs.AggregateID, h structs.HostID) error {
	_, err := fsm.AggregateRemoveHost.Propose(context.Background(), w, &structs.AggregateHostRequest{ID: a, HostID: h})
	return err
}

func (w *world) setZone(a structs.AggregateID, zone string) error {
	_, err := fsm.AggregateUpdate.Propose(context.Background(), w, &structs.AggregateUpdateRequest{ID: a, Now: w.now, Metadata: map[string]*string{structs.AggregateZoneKey: &zone}})
	return err
}

func (w *world) zone(h structs.HostID) string { return w.store.Snapshot().Host(h).Zone }

// A host's zone is that of its aggregate that is one, else its own, through everything that happens to host and aggregate.
func TestZoneFollowsAggregate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	const h = structs.HostID("id-host-0")
	east, plain := w.aggregate("east", "east"), w.aggregate("plain", "")
	require.NoError(t, w.addTo(plain, h))
	require.Equal(t, "nova", w.zone(h))
	require.NoError(t, w.addTo(east, h))
	require.Equal(t, "east", w.zone(h))
	require.Equal(t, "nova", w.store.Snapshot().Host(h).ConfiguredZone())
	require.NoError(t, w.setZone(east, "far-east"))
	require.Equal(t, "far-east", w.zone(h))
	w.addHost("host-0") // a new session of its client, which knows nothing of aggregates
	require.Equal(t, "far-east", w.zone(h))
	_, err := w.create(1)
	require.NoError(t, err)
	w.settle()
	for ins := range w.store.Snapshot().InstancesOnHost(h) {
		require.Equal(t, "far-east", ins.Zone)
	}
	require.ErrorContains(t, w.setZone(east, "west"), fmt.Sprintf("Cannot update aggregate %d. Reason: One or more hosts contain instances in this zone.", east))
	require.NoError(t, w.setZone(east, "far-east"), "what changes nothing is allowed")
	err = w.removeFrom(east, h)
	require.True(t, structs.IsKind(err, structs.KindConflict))
	require.ErrorContains(t, err, "would change from 'far-east' to 'nova' but the host already has 1 instance(s).")
	again := w.aggregate("far-east-too", "far-east")
	require.NoError(t, w.addTo(again, h))
	require.NoError(t, w.removeFrom(east, h), "the other aggregate keeps the zone")
	require.Equal(t, "far-east", w.zone(h))
	require.NoError(t, w.removeFrom(plain, h))
	w.check()
}

// A host with instances does not change its zone, and no host is in two.
func TestAggregateRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	const h = structs.HostID("id-host-0")
	east, west, plain := w.aggregate("east", "east"), w.aggregate("west", "west"), w.aggregate("plain", "")
	refused := func(err error, k structs.Kind, says string) {
		t.Helper()
		require.True(t, structs.IsKind(err, k), "%v", err)
		require.EqualError(t, err, says)
	}
	_, err := fsm.AggregateCreate.Propose(t.Context(), w, &structs.AggregateCreateRequest{Name: "east"})
	refused(err, structs.KindConflict, "Aggregate east already exists.")
	refused(w.addTo(99, h), structs.KindNotFound, "Aggregate 99 could not be found.")
	refused(w.addTo(east, "nobody"), structs.KindNotFound, "Compute host nobody could not be found.")
	require.NoError(t, w.addTo(east, h))
	refused(w.addTo(east, h), structs.KindConflict, "Aggregate 1 already has host host-0.")
	refused(w.addTo(west, h), structs.KindConflict, "Cannot add host to aggregate 2. Reason: One or more hosts already in availability zone(s) ['east'].")
	refused(w.removeFrom(west, h), structs.KindNotFound, "Aggregate 2 has no host host-0.")
	require.NoError(t, w.addTo(plain, h))
	refused(w.setZone(plain, "west"), structs.KindInvalid, "Cannot update aggregate 3. Reason: One or more hosts already in availability zone(s) ['east'].")
	refused(w.setZone(plain, ""), structs.KindInvalid, "Cannot update aggregate 3. Reason: Aggregate plain does not support empty named availability zone.")
	name := "west"
	_, err = fsm.AggregateUpdate.Propose(t.Context(), w, &structs.AggregateUpdateRequest{ID: plain, Name: &name})
	refused(err, structs.KindConflict, "Aggregate west already exists.")
	_, err = fsm.AggregateDelete.Propose(t.Context(), w, &structs.AggregateDeleteRequest{ID: east})
	refused(err, structs.KindInvalid, "Cannot remove host from aggregate 1. Reason: Host aggregate is not empty.")
	require.NoError(t, w.removeFrom(east, h))
	_, err = w.create(1)
	require.NoError(t, err)
	w.schedule()
	require.ErrorContains(t, w.addTo(west, h), "The host cannot be added to the aggregate as the availability zone of the host would change from 'nova' to 'west' but the host already has 1 instance(s).")
	require.Equal(t, "nova", w.zone(h))
	_, err = fsm.AggregateDelete.Propose(t.Context(), w, &structs.AggregateDeleteRequest{ID: east})
	require.NoError(t, err)
	require.Equal(t, structs.AggregateID(4), w.aggregate("new", ""), "a number is not given twice")
}

// An instance that is on its way to a host, and still elsewhere, keeps the host's zone as one does that is there.
func TestClaimKeepsZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	tx := w.store.Begin(w.index)
	tx.PutClaim(&structs.Claim{InstanceID: "elsewhere", HostID: "id-host-0"})
	tx.Commit()
	require.ErrorContains(t, w.addTo(w.aggregate("west", "west"), "id-host-0"), "would change from 'nova' to 'west' but the host already has 1 instance(s).")
}

// A host that is deleted leaves its aggregates, and comes back into none.
func TestDeletedHostLeavesAggregates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	const h = structs.HostID("id-host-0")
	east := w.aggregate("east", "east")
	require.NoError(t, w.addTo(east, h))
	w.lose(h)
	require.NoError(t, w.deleteHost(h, false))
	require.Empty(t, w.store.Snapshot().Aggregate(east).Hosts)
	w.back("host-0")
	require.Equal(t, "nova", w.zone(h))
}

// Whatever is asked in whatever order: zones are what the aggregates say, no host is in two, and a host with instances keeps its zone.
func TestZonesHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 3)
		hosts := []structs.HostID{"id-host-0", "id-host-1", "id-host-2"}
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		zones := []string{"a", "b", "nova", ""}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			id, h, zone := structs.AggregateID(pick("aggregate", 4)+1), hosts[pick("host", 3)], zones[pick("zone", 4)]
			before := map[structs.HostID]string{}
			for _, h := range hosts {
				before[h] = w.zone(h)
			}
			switch pick("what", 7) {
			case 0, 1:
				w.aggregate(w.id("name"), zone)
			case 2, 3:
				_ = w.addTo(id, h)
			case 4:
				_ = w.removeFrom(id, h)
			case 5:
				_ = w.setZone(id, zone)
			case 6:
				_, _ = w.create(1) // until the quota is full
				w.settle()
			}
			checkZones(t, w.store.Snapshot(), hosts, before)
		}
		w.check()
	})
}

func checkZones(t *rapid.T, r state.Reader, hosts []structs.HostID, before map[structs.HostID]string) {
	for _, id := range hosts {
		h, zones := r.Host(id), []string(nil)
		for a := range r.AggregatesOfHost(id) {
			if z := a.Zone(); z != "" && !slices.Contains(zones, z) {
				zones = append(zones, z)
			}
		}
		require.LessOrEqual(t, len(zones), 1, "a host in two zones")
		want := "nova"
		if len(zones) == 1 {
			want = zones[0]
		}
		require.Equal(t, want, h.Zone)
		require.Equal(t, "nova", h.ConfiguredZone())
		for range r.InstancesOnHost(id) {
			require.Equal(t, before[id], h.Zone, "a host with instances changed its zone")
		}
	}
}
