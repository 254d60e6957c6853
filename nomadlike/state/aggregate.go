package state

import (
	"fmt"
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var aggregateTable = newTable("host_aggregates", func(v *structs.Aggregate) []string { return []string{aggregateKey(v.ID)} },
	index[structs.Aggregate]{"name", func(v *structs.Aggregate) []string { return []string{v.Name} }})

// aggregateKey sorts as the numbers do.
func aggregateKey(id structs.AggregateID) string { return fmt.Sprintf("%016x", uint64(id)) }

// Aggregate returns an aggregate by id, or nil.
func (r Reader) Aggregate(id structs.AggregateID) *structs.Aggregate {
	return first(r, aggregateTable, aggregateKey(id))
}

// AggregateByName returns an aggregate by name, or nil.
func (r Reader) AggregateByName(name string) *structs.Aggregate {
	return one(prefix(r, aggregateTable, "name", name))
}

// Aggregates iterates over all aggregates by id.
func (r Reader) Aggregates() iter.Seq[*structs.Aggregate] { return all(r, aggregateTable) }

// AggregatesOfHost iterates over the aggregates that a host is in, by id. It looks at all aggregates.
func (r Reader) AggregatesOfHost(id structs.HostID) iter.Seq[*structs.Aggregate] {
	return func(yield func(*structs.Aggregate) bool) {
		for a := range r.Aggregates() {
			if a.Has(id) && !yield(a) {
				return
			}
		}
	}
}

// AggregatesWatch lets a cache of aggregates see cheaply whether it is stale: the channel is another one whenever any aggregate has changed.
func (r Reader) AggregatesWatch() <-chan struct{} { return watchOf(r, aggregateTable) }

// NewAggregate writes an aggregate that is new, and gives it its number.
func (t *Txn) NewAggregate(v *structs.Aggregate) {
	v.ID = structs.AggregateID(t.NextNum("aggregates"))
	put(t, aggregateTable, v)
}

// PutAggregate writes an aggregate.
func (t *Txn) PutAggregate(v *structs.Aggregate) { put(t, aggregateTable, v) }

// DeleteAggregate removes an aggregate; an unknown one is no error.
func (t *Txn) DeleteAggregate(id structs.AggregateID) { remove(t, aggregateTable, aggregateKey(id)) }
