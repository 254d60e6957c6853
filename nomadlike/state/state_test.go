package state

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/hashicorp/go-memdb"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func commit(s *Store, index uint64, f func(*Txn)) {
	tx := s.Begin(index)
	f(tx)
	tx.Commit()
}

func names[T any](seq func(func(*T) bool), f func(*T) string) []string {
	var out []string
	for v := range seq {
		out = append(out, f(v))
	}
	return out
}

func TestReadsSeeOneMoment(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) { tx.PutFlavor(&structs.Flavor{ID: "a", Name: "a"}) })
	old := s.Snapshot()
	commit(s, 2, func(tx *Txn) {
		tx.PutFlavor(&structs.Flavor{ID: "b", Name: "b"})
		tx.DeleteFlavor("a")
	})
	require.NotNil(t, old.Flavor("a"))
	require.Nil(t, old.Flavor("b"))
	require.EqualValues(t, 1, old.Index())
	r := s.Snapshot()
	require.Nil(t, r.Flavor("a"))
	require.EqualValues(t, 2, r.FlavorByName("b").CreateIndex)
}

func TestIndexesAreStamped(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 5, func(tx *Txn) { tx.PutFlavor(&structs.Flavor{ID: "a", Name: "a"}) })
	commit(s, 9, func(tx *Txn) { tx.PutFlavor(&structs.Flavor{ID: "a", Name: "renamed"}) })
	f := s.Snapshot().Flavor("a")
	require.Equal(t, structs.Meta{CreateIndex: 5, ModifyIndex: 9}, f.Meta)
	require.Nil(t, s.Snapshot().FlavorByName("a"), "the old name is no longer indexed")
}

func TestRollback(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) { tx.PutFlavor(&structs.Flavor{ID: "a", Name: "a"}) })
	var before bytes.Buffer
	require.NoError(t, s.Snapshot().Persist(&before))
	var heard []Change
	s.OnCommit(func(_ uint64, c []Change) { heard = c })
	commit(s, 1, func(tx *Txn) {
		mark := tx.Mark()
		tx.DeleteFlavor("a")
		tx.PutFlavor(&structs.Flavor{ID: "b", Name: "a"})
		tx.PutFlavor(&structs.Flavor{ID: "b", Name: "c"})
		tx.PutClaim(&structs.Claim{InstanceID: "i", HostID: "h", Resources: structs.Resources{VCPUs: 1}})
		tx.Rollback(mark)
	})
	var after bytes.Buffer
	require.NoError(t, s.Snapshot().Persist(&after))
	require.Equal(t, before.Bytes(), after.Bytes())
	require.Empty(t, heard, "what was rolled back is no change")
}

func TestInstanceOrder(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) {
		for i, at := range []int64{3, 1, 2} {
			tx.PutInstance(&structs.Instance{ID: structs.InstanceID(fmt.Sprint("i", i)), ProjectID: "p", CreatedAt: structs.Time(at), Name: fmt.Sprint(at)})
		}
		tx.PutInstance(&structs.Instance{ID: "other", ProjectID: "pp", CreatedAt: 9})
		tx.PutInstance(&structs.Instance{ID: "dead", ProjectID: "p", CreatedAt: 9, VM: structs.VMDeleted})
	})
	r := s.Snapshot()
	require.Equal(t, []string{"3", "2", "1"}, names(r.Instances("p"), func(i *structs.Instance) string { return i.Name }), "newest first, another project's and deleted ones left out")
	require.Equal(t, []string{"dead"}, names(r.DeletedInstances("p"), func(i *structs.Instance) string { return string(i.ID) }))
}

// Names that are prefixes of each other, or hold a zero byte's neighbours, are told apart.
func TestKeysDoNotBleed(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) {
		tx.PutKeypair(&structs.Keypair{UserID: "u", Name: "k"})
		tx.PutKeypair(&structs.Keypair{UserID: "uu", Name: "k"})
		tx.PutKeypair(&structs.Keypair{UserID: "u", Name: "kk"})
		tx.PutFlavor(&structs.Flavor{ID: "1", Name: "a"})
		tx.PutFlavor(&structs.Flavor{ID: "11", Name: "ab"})
	})
	r := s.Snapshot()
	require.Equal(t, []string{"k", "kk"}, names(r.Keypairs("u"), func(k *structs.Keypair) string { return k.Name }))
	require.EqualValues(t, "1", r.FlavorByName("a").ID)
	require.Nil(t, r.FlavorByName(""))
}

func TestClaimsAddUp(t *testing.T) {
	t.Parallel()
	s := NewStore()
	claim := func(i structs.InstanceID, n int64) *structs.Claim {
		return &structs.Claim{InstanceID: i, HostID: "h", Resources: structs.Resources{VCPUs: n, MemoryMiB: 10 * n}}
	}
	commit(s, 1, func(tx *Txn) {
		tx.PutClaim(claim("a", 1))
		tx.PutClaim(claim("b", 2))
		tx.PutClaim(claim("a", 4)) // again: replaced, not added
		tx.DeleteClaim("b", "h")
		tx.DeleteClaim("b", "h")
		tx.DeleteClaim("c", "h")
	})
	u := s.Snapshot().HostUsage("h")
	require.Equal(t, structs.Resources{VCPUs: 4, MemoryMiB: 40}, u.Used)
	require.EqualValues(t, 1, u.Instances)
}

// Deleting a host leaves neither name nor usage, and its epoch is the least that a later host begins above.
func TestDeleteHost(t *testing.T) {
	t.Parallel()
	s := NewStore()
	commit(s, 1, func(tx *Txn) {
		tx.DeleteHost("nobody")
		tx.PutHost(&structs.Host{ID: "a", Name: "a", Epoch: 7})
		tx.PutHost(&structs.Host{ID: "b", Name: "b", Epoch: 1})
		tx.PutClaim(&structs.Claim{InstanceID: "i", HostID: "a", Resources: structs.Resources{VCPUs: 1}})
		tx.DeleteClaim("i", "a")
		tx.AddHostBuilding("b", 0)
		tx.DeleteHost("a")
	})
	r := s.Snapshot()
	require.Nil(t, r.Host("a"))
	require.Nil(t, r.HostByName("a"))
	require.Equal(t, []string{"b"}, names(r.HostUsages(), func(u *structs.HostUsage) string { return string(u.HostID) }))
	commit(s, 2, func(tx *Txn) {
		tx.PutHost(&structs.Host{ID: "b", Name: "b", Epoch: 2})
		tx.DeleteHost("b")
		require.EqualValues(t, 8, tx.FirstHostEpoch())
	})
}

func TestWatchFires(t *testing.T) {
	t.Parallel()
	s := NewStore()
	ws := memdb.NewWatchSet()
	require.Empty(t, names(s.Snapshot().Watching(ws).OperationsOnHost("h"), func(*structs.Operation) string { return "x" }))
	commit(s, 2, func(tx *Txn) { tx.PutOperation(&structs.Operation{ID: "2", HostID: "h", Status: structs.OpRunning}) })
	require.NoError(t, ws.WatchCtx(context.Background()))

	ws = memdb.NewWatchSet()
	s.Snapshot().Watching(ws).Operation("2")
	var b bytes.Buffer
	require.NoError(t, s.Snapshot().Persist(&b))
	require.NoError(t, s.Restore(&b))
	require.NoError(t, ws.WatchCtx(context.Background()), "a restore wakes every watcher")
}

func TestWait(t *testing.T) {
	t.Parallel()
	s := NewStore()
	done := make(chan error, 1)
	go func() { done <- s.Wait(context.Background(), 3) }()
	for i := range uint64(3) {
		commit(s, i+1, func(*Txn) {})
	}
	require.NoError(t, <-done)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Wait(ctx, 99), context.Canceled)
}

// Every table's records survive a snapshot, found by iterating over the tables and filling every field.
func TestEveryTableRoundTrips(t *testing.T) {
	t.Parallel()
	s := NewStore()
	tx := s.Begin(1)
	for _, table := range tables {
		v := table.(interface{ example() any }).example()
		require.NoError(t, tx.tx.Insert(table.tableName(), v), table.tableName())
	}
	tx.Commit()
	var b bytes.Buffer
	require.NoError(t, s.Snapshot().Persist(&b))
	again := NewStore()
	require.NoError(t, again.Restore(bytes.NewReader(b.Bytes())))
	for _, table := range tables {
		want, got := one2(s, table.tableName()), one2(again, table.tableName())
		require.Equal(t, want, got, table.tableName())
	}
}

func one2(s *Store, table string) any {
	it, err := s.Snapshot().tx.Get(table, "id_prefix", []string{})
	if err != nil {
		panic(err)
	}
	return it.Next()
}

// example returns a record with every field set to something.
func (t *Table[T]) example() any {
	v := new(T)
	fill(reflect.ValueOf(v).Elem(), 0)
	return v
}

func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, depth+1)
		fill(e, depth+1)
		v.SetMapIndex(k, e)
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", depth))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(depth + 40))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(depth + 7))
	case reflect.Float64:
		v.SetFloat(1.5)
	}
}

func benchStore(b *testing.B, n int) *Store {
	s := NewStore()
	commit(s, 1, func(tx *Txn) {
		for i := range n {
			tx.PutInstance(&structs.Instance{ID: structs.InstanceID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)), ProjectID: "p", CreatedAt: structs.Time(i)})
		}
	})
	b.ReportAllocs()
	return s
}

func BenchmarkReadInstance(b *testing.B) {
	s := benchStore(b, 10000)
	for b.Loop() {
		if s.Snapshot().Instance("00000000-0000-4000-8000-000000005000") == nil {
			b.Fatal("missing")
		}
	}
}

func BenchmarkList1000Instances(b *testing.B) {
	s := benchStore(b, 1000)
	for b.Loop() {
		n := 0
		for range s.Snapshot().Instances("p") {
			n++
		}
		if n != 1000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkPersist10000Instances(b *testing.B) {
	s := benchStore(b, 10000)
	for b.Loop() {
		var w bytes.Buffer
		if err := s.Snapshot().Persist(&w); err != nil {
			b.Fatal(err)
		}
	}
}

// A table that the first program did not have is in a snapshot only when it holds something, so that states that do not use it keep their bytes.
func TestSnapshotHasLaterTablesWhenTheyAreUsed(t *testing.T) {
	t.Parallel()
	s := NewStore()
	written := func() []string {
		var out []string
		for _, t := range s.Snapshot().written() {
			out = append(out, t.tableName())
		}
		return out
	}
	require.Equal(t, founding, written())
	commit(s, 1, func(tx *Txn) { tx.PutServerGroup(&structs.ServerGroup{ID: "g", ProjectID: "p"}) })
	require.Subset(t, written(), append([]string{"server_groups"}, founding...))
	var b bytes.Buffer
	require.NoError(t, s.Snapshot().Persist(&b))
	again := NewStore()
	require.NoError(t, again.Restore(&b))
	require.NotNil(t, again.Snapshot().ServerGroup("g"))
	require.Equal(t, []structs.ServerGroupID{"g"}, func() (out []structs.ServerGroupID) {
		for g := range again.Snapshot().ServerGroups("p") {
			out = append(out, g.ID)
		}
		return out
	}())
}
