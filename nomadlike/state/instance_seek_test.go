package state

import (
	"fmt"
	"testing"

	"github.com/hashicorp/go-memdb"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Seeking gives what reading from the beginning gives less what is newer, with neighbours in the index on both sides and several of one moment.
func TestInstancesFrom(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) {
		for n := range 60 {
			i := &structs.Instance{ID: structs.InstanceID(fmt.Sprintf("%02d", (n*37)%60)), ProjectID: structs.ProjectID([]string{"a", "b", "bb", "c"}[n%4]), CreatedAt: structs.Time(100 + n/8)}
			if n%3 == 0 {
				i.VM = structs.VMDeleted
			}
			tx.PutInstance(i)
		}
	})
	r := s.Snapshot()
	id := func(i *structs.Instance) string { return string(i.ID) }
	for _, p := range []structs.ProjectID{"", "a", "b", "bb", "c", "none"} {
		for at := structs.Time(98); at < 110; at++ {
			older := func(all func(func(*structs.Instance) bool)) (want []string) {
				for i := range all {
					if i.CreatedAt <= at {
						want = append(want, id(i))
					}
				}
				return want
			}
			require.Equal(t, older(r.Instances(p)), names(r.InstancesFrom(p, at), id), "%s from %d", p, at)
			require.Equal(t, older(r.DeletedInstances(p)), names(r.DeletedInstancesFrom(p, at), id), "%s deleted from %d", p, at)
		}
	}
}

func TestInstancesFromIsWatched(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) { tx.PutInstance(&structs.Instance{ID: "a", ProjectID: "p", CreatedAt: 5}) })
	ws := memdb.NewWatchSet()
	require.Len(t, names(s.Snapshot().Watching(ws).InstancesFrom("p", 7), func(i *structs.Instance) string { return string(i.ID) }), 1)
	commit(s, 2, func(tx *Txn) { tx.PutInstance(&structs.Instance{ID: "b", ProjectID: "p", CreatedAt: 6}) })
	require.NoError(t, ws.WatchCtx(t.Context()))
}
