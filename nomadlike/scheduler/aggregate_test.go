package scheduler

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// twins are two hosts of one class, of which the first has more room.
func twins() (w *world, more, less *structs.Host) {
	w, more, less = newWorld(), hostNo(1), hostNo(2)
	more.Total.MemoryMiB *= 2
	more.Class, less.Class = ClassOf(more), ClassOf(less)
	w.put(more, less)
	return w, more, less
}

// Each aggregate filter refuses the roomier host of two that are alike in all that they say of themselves.
func TestAggregateFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter   string
		metadata []string
		ask      func(r *Request)
		why      string
	}{
		{"AggregateInstanceExtraSpecsFilter", []string{"ssd", "false, maybe"}, func(r *Request) { r.ExtraSpecs = map[string]string{"aggregate_instance_extra_specs:ssd": "true"} },
			`ssd wants "true", its aggregates have ["false" "maybe"]`},
		{"AggregateImagePropertiesIsolation", []string{"os_distro", "windows,bsd"}, func(r *Request) { r.ImageProps = map[string]string{"os_distro": "linux"} },
			`the image's os_distro is "linux", its aggregates allow ["bsd" "windows"]`},
		{"AggregateMultiTenancyIsolation", []string{"filter_tenant_id.7", "p1,p2"}, func(r *Request) { r.ProjectID = "p3" }, "its aggregates are for other projects"},
		{"AggregateTypeAffinityFilter", []string{"instance_type", "big, huge"}, func(r *Request) { r.Flavor = "small" }, `the flavor is "small", its aggregates are for ["big" "huge"]`},
		{"AggregateIoOpsFilter", []string{"max_io_ops_per_host", "0"}, func(*Request) {}, "0 disk-heavy operations run there, 0 are allowed"},
		{"AggregateNumInstancesFilter", []string{"max_instances_per_host", " 0 "}, func(*Request) {}, "0 instances are there, 0 are allowed"},
	} {
		t.Run(c.filter, func(t *testing.T) {
			t.Parallel()
			w, more, less := twins()
			if c.filter == "AggregateInstanceExtraSpecsFilter" { // which refuses hosts without the key
				w.aggregate(2, []*structs.Host{less}, "ssd", "true")
			}
			r := small(1)
			c.ask(&r)
			w.aggregate(1, []*structs.Host{more}, c.metadata...)
			cache := NewCache()
			if c.filter != "AggregateInstanceExtraSpecsFilter" {
				require.Equal(t, more.ID, w.scheduler(t, cache).Place([]Request{r})[0].HostID, "the filter is not configured")
			}
			w.settle(func(s *structs.ClusterSettings) { s.Filters = []string{c.filter} })
			p := w.scheduler(t, cache).Place([]Request{r})[0]
			require.Equal(t, less.ID, p.HostID)
			require.Equal(t, []structs.FilterCount{{Filter: c.filter, Count: 1, Example: "host-1: " + c.why}}, p.Explanation.Refused)
			w.write(func(tx *state.Txn) { tx.DeleteAggregate(1); tx.DeleteAggregate(2) })
			if c.filter != "AggregateInstanceExtraSpecsFilter" {
				require.Equal(t, more.ID, w.scheduler(t, cache).Place([]Request{r})[0].HostID, "what was remembered of the class does not outlive the aggregate")
			}
		})
	}
}

// What one project, flavor or image was told of a class is not what another one is told.
func TestVerdictsAreOfTheAsker(t *testing.T) {
	t.Parallel()
	w, more, less := twins()
	w.aggregate(1, []*structs.Host{more}, "filter_tenant_id", "p1", "instance_type", "big", "os_distro", "bsd")
	w.settle(func(s *structs.ClusterSettings) {
		s.Filters = []string{"AggregateMultiTenancyIsolation", "AggregateTypeAffinityFilter", "AggregateImagePropertiesIsolation"}
	})
	cache := NewCache()
	for _, c := range []struct {
		project, flavor, distro string
		want                    *structs.Host
	}{{"p1", "big", "bsd", more}, {"p2", "big", "bsd", less}, {"p1", "small", "bsd", less}, {"p1", "big", "linux", less}, {"p1", "big", "bsd", more}} {
		r := small(1)
		r.ProjectID, r.Flavor, r.ImageProps = structs.ProjectID(c.project), c.flavor, map[string]string{"os_distro": c.distro}
		require.Equal(t, c.want.ID, w.scheduler(t, cache).Place([]Request{r})[0].HostID, "%v", c)
	}
}

// The least multiplier of a host's aggregates goes before the settings', for that host only.
func TestAggregateMultipliers(t *testing.T) {
	t.Parallel()
	w, more, less := twins()
	place := func() structs.HostID { return w.scheduler(t, nil).Place([]Request{small(1)})[0].HostID }
	require.Equal(t, more.ID, place())
	w.aggregate(1, []*structs.Host{more, less}, "ram_weight_multiplier", "-2")
	require.Equal(t, less.ID, place())
	w.aggregate(2, []*structs.Host{more}, "ram_weight_multiplier", "many")
	require.Equal(t, more.ID, place(), "a value that is no number: the settings' multiplier")
	w.aggregate(2, []*structs.Host{more}, "ram_weight_multiplier", "0.1", "cpu_weight_multiplier", "5")
	require.Equal(t, more.ID, place())
	w.aggregate(2, []*structs.Host{less}, "cpu_weight_multiplier", "5")
	require.Equal(t, less.ID, place())
}
