package fsm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// AggregateCreate makes an aggregate.
var AggregateCreate = register(40, "aggregate-create", func(tx *state.Txn, r *structs.AggregateCreateRequest) (*structs.Aggregate, error) {
	if tx.AggregateByName(r.Name) != nil {
		return nil, structs.Errorf(structs.KindConflict, "Aggregate %s already exists.", r.Name)
	}
	a := &structs.Aggregate{UUID: r.UUID, Name: r.Name, Metadata: r.Metadata, CreatedAt: r.Now}
	tx.NewAggregate(a)
	return a, nil
})

// AggregateUpdate changes an aggregate's name and metadata. With the metadata's zone that of the aggregate's hosts changes.
var AggregateUpdate = register(41, "aggregate-update", func(tx *state.Txn, r *structs.AggregateUpdateRequest) (*structs.Aggregate, error) {
	old := tx.Aggregate(r.ID)
	if old == nil {
		return nil, aggregateNotFound(r.ID)
	}
	a := old.Copy()
	if r.Name != nil && *r.Name != a.Name {
		if tx.AggregateByName(*r.Name) != nil {
			return nil, structs.Errorf(structs.KindConflict, "Aggregate %s already exists.", *r.Name)
		}
		a.Name = *r.Name
	}
	if zone, ok := r.Metadata[structs.AggregateZoneKey]; ok {
		if why := zoneRefused(tx, a, zone); why != "" {
			doing := "update aggregate"
			if r.Verb == structs.AggregateMetadataVerb {
				doing = "update metadata of aggregate"
			}
			return nil, structs.Errorf(structs.KindInvalid, "Cannot %s %d. Reason: %s.", doing, a.ID, why)
		}
	}
	// order-free: each key is changed by itself
	for k, v := range r.Metadata {
		if v == nil {
			delete(a.Metadata, k)
			continue
		}
		if a.Metadata == nil {
			a.Metadata = map[string]string{}
		}
		a.Metadata[k] = *v
	}
	a.UpdatedAt = r.Now
	tx.PutAggregate(a)
	if a.Zone() != old.Zone() {
		for _, id := range a.Hosts {
			rezone(tx, id)
		}
	}
	return a, nil
})

func aggregateNotFound(id structs.AggregateID) error {
	return structs.Errorf(structs.KindNotFound, "Aggregate %d could not be found.", id)
}

// zoneRefused says why the aggregate cannot become the zone, "" when it can.
func zoneRefused(tx *state.Txn, a *structs.Aggregate, zone *string) string {
	if zone == nil || *zone == "" {
		return "Aggregate " + a.Name + " does not support empty named availability zone"
	}
	if why := otherZones(tx, a, *zone, a.Hosts); why != "" {
		return why
	}
	if a.Zone() != *zone && slices.ContainsFunc(a.Hosts, func(id structs.HostID) bool { return instancesOn(tx, id) > 0 }) {
		return "One or more hosts contain instances in this zone"
	}
	return ""
}

// otherZones says in which other zones the hosts are through other aggregates than a, "" when in none. INVARIANT: all aggregates of a host that are zones are the same one.
func otherZones(tx *state.Txn, a *structs.Aggregate, zone string, hosts []structs.HostID) string {
	var other []string
	for b := range tx.Aggregates() {
		if b.ID != a.ID && b.Zone() != "" && b.Zone() != zone && slices.ContainsFunc(hosts, b.Has) {
			other = append(other, "'"+b.Zone()+"'")
		}
	}
	if other == nil {
		return ""
	}
	return "One or more hosts already in availability zone(s) [" + strings.Join(other, ", ") + "]"
}

// instancesOn counts the instances that are on a host or on their way to it.
func instancesOn(tx *state.Txn, id structs.HostID) int {
	on := map[structs.InstanceID]bool{}
	for ins := range tx.InstancesOnHost(id) {
		if !ins.Deleted() {
			on[ins.ID] = true
		}
	}
	for c := range tx.ClaimsOnHost(id) {
		on[c.InstanceID] = true
	}
	return len(on)
}

// aggregateZone returns the zone that the host's aggregates make, leaving one aggregate out; "" when they make none.
func aggregateZone(tx *state.Txn, id structs.HostID, without structs.AggregateID) string {
	for a := range tx.AggregatesOfHost(id) {
		if a.ID != without && a.Zone() != "" {
			return a.Zone()
		}
	}
	return ""
}

// rezone works a host's zone out again after one of its aggregates changed.
func rezone(tx *state.Txn, id structs.HostID) {
	old := tx.Host(id)
	zone := aggregateZone(tx, id, 0)
	if old == nil || old.AggregateZone == zone {
		return
	}
	h := old.Copy()
	h.SetZones(old.ConfiguredZone(), zone)
	tx.PutHost(h)
}

// AggregateDelete removes an aggregate without hosts.
var AggregateDelete = register(42, "aggregate-delete", func(tx *state.Txn, r *structs.AggregateDeleteRequest) (None, error) {
	a := tx.Aggregate(r.ID)
	if a == nil {
		return None{}, aggregateNotFound(r.ID)
	}
	if len(a.Hosts) > 0 {
		return None{}, structs.Errorf(structs.KindInvalid, "Cannot remove host from aggregate %d. Reason: Host aggregate is not empty.", a.ID)
	}
	tx.DeleteAggregate(a.ID)
	return None{}, nil
})

// AggregateAddHost puts a host into an aggregate.
var AggregateAddHost = register(43, "aggregate-add-host", func(tx *state.Txn, r *structs.AggregateHostRequest) (*structs.Aggregate, error) {
	old, h := tx.Aggregate(r.ID), tx.Host(r.HostID)
	switch {
	case h == nil:
		return nil, structs.Errorf(structs.KindNotFound, "Compute host %s could not be found.", r.HostID)
	case old == nil:
		return nil, aggregateNotFound(r.ID)
	}
	if zone := old.Zone(); zone != "" {
		why := otherZones(tx, old, zone, []structs.HostID{h.ID})
		if n := instancesOn(tx, h.ID); why == "" && n > 0 && zone != h.Zone {
			why = zoneMoves("added to", h.Zone, zone, n)
		}
		if why != "" {
			return nil, structs.Errorf(structs.KindConflict, "Cannot add host to aggregate %d. Reason: %s.", old.ID, why)
		}
	}
	if old.Has(h.ID) {
		return nil, structs.Errorf(structs.KindConflict, "Aggregate %d already has host %s.", old.ID, h.Name)
	}
	a := old.Copy()
	a.Hosts = append(a.Hosts, h.ID)
	tx.PutAggregate(a)
	rezone(tx, h.ID)
	return a, nil
})

// AggregateRemoveHost takes a host out of an aggregate.
var AggregateRemoveHost = register(44, "aggregate-remove-host", func(tx *state.Txn, r *structs.AggregateHostRequest) (*structs.Aggregate, error) {
	old, h := tx.Aggregate(r.ID), tx.Host(r.HostID)
	switch {
	case h == nil:
		return nil, structs.Errorf(structs.KindNotFound, "Compute host %s could not be found.", r.HostID)
	case old == nil:
		return nil, aggregateNotFound(r.ID)
	case !old.Has(h.ID):
		return nil, structs.Errorf(structs.KindNotFound, "Aggregate %d has no host %s.", old.ID, h.Name)
	}
	if old.Zone() != "" {
		left := *h
		left.SetZones(h.ConfiguredZone(), aggregateZone(tx, h.ID, old.ID))
		if n := instancesOn(tx, h.ID); n > 0 && left.Zone != h.Zone {
			return nil, structs.Errorf(structs.KindConflict, "Cannot remove host from aggregate %d. Reason: %s.", old.ID, zoneMoves("removed from", h.Zone, left.Zone, n))
		}
	}
	return leaveAggregate(tx, old, h.ID), nil
})

// zoneMoves is Nova's refusal to move instances from one zone to another.
func zoneMoves(what, from, to string, instances int) string {
	return fmt.Sprintf("The host cannot be %s the aggregate as the availability zone of the host would change from '%s' to '%s' but the host already has %d instance(s). "+
		"Changing the AZ of an existing instance is not supported by this action. Move the instances away from this host then try again. "+
		"If you need to move the instances between AZs then you can use shelve_offload and unshelve to achieve this.", what, from, to, instances)
}

// leaveAggregate takes a host out of an aggregate that it is in.
func leaveAggregate(tx *state.Txn, old *structs.Aggregate, id structs.HostID) *structs.Aggregate {
	a := old.Copy()
	a.Hosts = slices.DeleteFunc(a.Hosts, func(h structs.HostID) bool { return h == id })
	tx.PutAggregate(a)
	rezone(tx, id)
	return a
}

// leaveAggregates takes a host out of all aggregates.
func leaveAggregates(tx *state.Txn, id structs.HostID) {
	for _, a := range slices.Collect(tx.AggregatesOfHost(id)) {
		leaveAggregate(tx, a, id)
	}
}
