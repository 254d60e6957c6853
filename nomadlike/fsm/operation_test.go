package fsm_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// leadsTo names for each state an operation that brings an active instance there.
var leadsTo = map[structs.VMState]structs.OperationKind{structs.VMStopped: structs.OpStop, structs.VMPaused: structs.OpPause, structs.VMSuspended: structs.OpSuspend,
	structs.VMRescued: structs.OpRescue, structs.VMShelved: structs.OpShelve, structs.VMShelvedOffloaded: structs.OpShelve,
	structs.VMSoftDeleted: structs.OpSoftDelete, structs.VMResized: structs.OpResize}

// prepare brings an instance to where an operation of kind k may begin, and begins it.
func prepare(w *world, k structs.OperationKind) structs.InstanceID {
	ids, err := w.create(1)
	require.NoError(w.t, err)
	if k == structs.OpBuild {
		return ids[0]
	}
	fail := w.fail
	w.fail = nil
	w.settle()
	allowed := operation.Of(k).Allow.VM
	if len(allowed) > 0 && !slices.Contains(allowed, structs.VMActive) {
		by, ok := leadsTo[allowed[0]]
		require.True(w.t, ok, "no operation leads to %s", allowed[0])
		if allowed[0] == structs.VMShelved { // as one whose offloading failed
			w.fail = func(op *structs.Operation, _ structs.StepName) *structs.Outcome {
				if op.Kind == structs.OpShelveOffload {
					return &structs.Outcome{Error: "not now", ErrorKind: structs.KindInternal}
				}
				return nil
			}
		}
		_, err = w.start(ids[0], by)
		require.NoError(w.t, err)
		w.settle()
		require.Contains(w.t, allowed, w.store.Snapshot().Instance(ids[0]).VM)
	}
	if operation.Of(k).FromDown {
		w.lose(w.store.Snapshot().Instance(ids[0]).HostID)
	}
	w.fail = fail
	_, err = w.start(ids[0], k)
	require.NoError(w.t, err)
	return ids[0]
}

// Every step of every operation, failing once, failing always, failing in a way that no retry cures, with every step done once and done twice: it
// ends, nothing is left behind, and a delete afterwards leaves nothing at all.
func TestEveryStepFailsInTurn(t *testing.T) {
	t.Parallel()
	modes := map[string]structs.Outcome{
		"retryable": {Error: "it broke", ErrorKind: structs.KindUnavailable, Retryable: true},
		"final":     {Error: "it broke", ErrorKind: structs.KindInternal},
		"invalid":   {Error: "it broke", ErrorKind: structs.KindInvalid},
	}
	for _, k := range operation.Kinds() {
		for _, s := range append([]operation.Step{{Name: "none"}}, operation.Steps(k)...) {
			for mode, outcome := range modes {
				for _, times := range []int{1, 2, 1000} {
					for _, twice := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s/%s/%s/%d/twice=%v", k, s.Name, mode, times, twice), func(t *testing.T) {
							t.Parallel()
							w := newWorld(t, 4)
							w.twice, w.sameHost = twice, times == 2
							left := times
							var target structs.OperationKind = k
							w.fail = func(op *structs.Operation, step structs.StepName) *structs.Outcome {
								if op.Kind != target || step != s.Name || op.Status == structs.OpUndoing || left == 0 {
									return nil
								}
								left--
								return &outcome
							}
							id := prepare(w, k)
							w.settle()
							w.check()
							w.fail = nil
							w.backAll()
							if ins := w.store.Snapshot().Instance(id); !ins.Deleted() {
								_, err := w.start(id, structs.OpDelete)
								require.NoError(t, err)
								w.settle()
							}
							w.check()
							require.Zero(t, w.store.Snapshot().QuotaUsage("p").Cores)
							require.Empty(t, collect(w.store.Snapshot().AllClaims()))
							for _, h := range w.hosts {
								require.Empty(t, h.guests)
							}
							require.Equal(t, w.bytes(), w.replay())
						})
					}
				}
			}
		}
	}
}

// When even undoing fails, the instance says so, keeps its claim, and a later delete cleans up.
func TestUndoFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.fail = func(*structs.Operation, structs.StepName) *structs.Outcome {
		return &structs.Outcome{Error: "no way", ErrorKind: structs.KindInternal}
	}
	w.fail = func(op *structs.Operation, s structs.StepName) *structs.Outcome {
		if s == structs.StepImage {
			return nil
		}
		return &structs.Outcome{Error: "no way", ErrorKind: structs.KindInternal}
	}
	id := prepare(w, structs.OpBuild)
	w.settle()
	w.check()
	ins := w.store.Snapshot().Instance(id)
	require.Equal(t, structs.VMError, ins.VM)
	require.Contains(t, ins.Fault.Message, "create failed at step spawn on host ", "not the step that undoes it")
	require.Contains(t, ins.Fault.Message, "undoing it failed")
	require.Equal(t, "create failed at step spawn: the host's hypervisor refused. Delete the instance and create it again; if that fails too, an administrator sees the cause.",
		ins.Fault.Public, "what a driver says may hold its host's paths")
	require.NotEmpty(t, ins.HostID, "the host may still hold something")
	w.fail = nil
	_, err := w.start(id, structs.OpDelete)
	require.NoError(t, err)
	w.settle()
	w.check()
	require.True(t, w.store.Snapshot().Instance(id).Deleted())
}

// What the request itself made impossible is told to its author.
func TestFaultSaysWhatTheRequestMadeImpossible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.fail = func(*structs.Operation, structs.StepName) *structs.Outcome {
		return &structs.Outcome{Error: "there is no disk bus \"floppy\".", ErrorKind: structs.KindNotSupported}
	}
	id := prepare(w, structs.OpBuild)
	w.settle()
	w.check()
	f := w.store.Snapshot().Instance(id).Fault
	require.Contains(t, f.Public, "No valid host was found.")
	require.Contains(t, f.Public, `After the build failed on 1 of them: there is no disk bus "floppy".`)
}

func TestNoValidHostSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	id := prepare(w, structs.OpBuild)
	w.settle()
	w.check()
	require.Contains(t, w.store.Snapshot().Instance(id).Fault.Message, "No valid host was found.")
}

// A build goes to another host when its host is lost, and the old host's guest does not survive its return.
func TestHostLostWhileBuilding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	id := prepare(w, structs.OpBuild)
	w.schedule()
	first := w.store.Snapshot().Instance(id).HostID
	w.hosts[first].guests[id] = 1 // it had made the guest, and died before it said so
	w.lose(first)
	w.settle()
	ins := w.store.Snapshot().Instance(id)
	require.Equal(t, structs.VMActive, ins.VM)
	require.NotEqual(t, first, ins.HostID)
	require.Equal(t, uint64(2), ins.Generation)
	w.back(string(first)[len("id-"):])
	w.settle()
	w.check()
	require.Empty(t, w.hosts[first].guests)
}

// Gossip's word, proposed before a lease ended and applied after, does not bring the host back.
func TestDownStaysDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	set := func(st structs.HostStatus) structs.HostStatus {
		_, err := fsm.HostStatus.Propose(context.Background(), w, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: "id-host-0", Epoch: 1, Status: st}}, Now: w.now})
		require.NoError(t, err)
		return w.store.Snapshot().Host("id-host-0").Status
	}
	require.Equal(t, structs.HostSuspect, set(structs.HostSuspect))
	require.Equal(t, structs.HostUp, set(structs.HostUp))
	require.Equal(t, structs.HostDown, set(structs.HostDown))
	require.Equal(t, structs.HostDown, set(structs.HostSuspect))
	require.Equal(t, structs.HostDown, set(structs.HostUp))
	require.Equal(t, structs.HostUp, w.addHost("host-0").Status, "only a registration does")
}

// Deleting an instance whose host is down is done at once, and its guest goes when the host is back.
func TestDeleteWhileHostDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	id := prepare(w, structs.OpBuild)
	w.settle()
	w.lose("id-host-0")
	_, err := w.start(id, structs.OpStop)
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	_, err = w.start(id, structs.OpDelete)
	require.NoError(t, err)
	ins := w.store.Snapshot().Instance(id)
	require.True(t, ins.Deleted() && ins.Cleanup)
	w.settle()
	w.check()
	w.back("host-0")
	w.check()
	require.False(t, w.store.Snapshot().Instance(id).Cleanup)
}

func TestStateRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	ids, err := w.create(1)
	require.NoError(t, err)
	_, err = w.start(ids[0], structs.OpStop)
	require.EqualError(t, err, "Cannot 'stop' instance instance-0002 while it is in vm_state building")
	w.settle()
	_, err = w.start(ids[0], structs.OpStart)
	require.EqualError(t, err, "Cannot 'start' instance instance-0002 while it is in vm_state active")
	_, err = w.start(ids[0], structs.OpStop)
	require.NoError(t, err)
	_, err = w.start(ids[0], structs.OpStop)
	require.EqualError(t, err, "Cannot 'stop' instance instance-0002 while it is in task_state powering-off")
	_, err = w.start("nobody", structs.OpStop)
	require.True(t, structs.IsKind(err, structs.KindNotFound))
	d1, err := w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	d2, err := w.start(ids[0], structs.OpDelete)
	require.NoError(t, err)
	require.Equal(t, d1, d2, "deleting what is being deleted is that deletion")
	w.settle()
	w.check()
}

func TestQuotaIsTakenWithTheInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	_, err := w.create(11)
	require.EqualError(t, err, "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances")
	before := w.bytes()
	_, err = w.create(12)
	require.True(t, structs.IsKind(err, structs.KindQuota))
	require.Equal(t, before[len(before)-200:len(before)-20], w.bytes()[len(before)-200:len(before)-20], "a refused request changes nothing but the index")
	_, err = w.create(10)
	require.NoError(t, err)
	_, err = w.create(1)
	require.True(t, structs.IsKind(err, structs.KindQuota))
	w.settle()
	w.check()
}

// Anything at all, in any order, with hosts lost and back: it ends, adds up, and the log replays to the same bytes.
func TestAnythingInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 3)
		var all []structs.InstanceID
		w.twice, w.sameHost = rapid.Bool().Draw(t, "twice"), rapid.Bool().Draw(t, "same host")
		flaky := rapid.IntRange(0, 4).Draw(t, "flaky")
		n := 0
		w.fail = func(*structs.Operation, structs.StepName) *structs.Outcome {
			if n++; flaky > 0 && n%(flaky+1) == 0 {
				return &structs.Outcome{Error: "flaky", ErrorKind: structs.KindUnavailable, Retryable: n%2 == 0}
			}
			return nil
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.now += structs.Time(time.Second)
			host := fmt.Sprintf("host-%d", rapid.IntRange(0, 2).Draw(t, "host"))
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1:
				ids, err := w.create(rapid.IntRange(1, 3).Draw(t, "count"))
				if err == nil {
					all = append(all, ids...)
				} else if !structs.IsKind(err, structs.KindQuota) {
					t.Fatal(err)
				}
			case 2, 3:
				if len(all) > 0 {
					_, err := w.start(rapid.SampledFrom(all).Draw(t, "instance"), rapid.SampledFrom(operation.Kinds()[1:]).Draw(t, "kind"))
					if err != nil && !slices.Contains([]structs.Kind{structs.KindConflict, structs.KindNotFound, structs.KindInvalid, structs.KindQuota}, structs.KindOf(err)) {
						t.Fatal(err)
					}
				}
			case 9:
				if len(all) > 0 {
					_ = w.signal(rapid.SampledFrom(all).Draw(t, "instance"), structs.SignalAbort)
				}
			case 4:
				w.schedule()
			case 5:
				w.work()
			case 6:
				if !w.hosts[structs.HostID("id-"+host)].lost {
					w.lose(structs.HostID("id-" + host))
				}
			case 7:
				w.back(host)
			case 8:
				lost := w.hosts[structs.HostID("id-"+host)].lost
				err := w.deleteHost(structs.HostID("id-"+host), rapid.Bool().Draw(t, "force"))
				if err == nil && !lost || err != nil && !structs.IsKind(err, structs.KindConflict) && !structs.IsKind(err, structs.KindNotFound) {
					t.Fatalf("deleted a host that is lost: %v: %v", lost, err)
				}
			}
		}
		for i := range 3 {
			w.back(fmt.Sprintf("host-%d", i))
		}
		w.settle()
		w.check()
		if !bytes.Equal(w.bytes(), w.replay()) {
			t.Fatal("the same log gave other bytes")
		}
	})
}

// A snapshot restores to the same bytes, and a damaged one is refused without harm.
func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	_, err := w.create(5)
	require.NoError(t, err)
	w.settle()
	want := w.bytes()
	st := state.NewStore()
	require.NoError(t, st.Restore(bytes.NewReader(want)))
	var got bytes.Buffer
	require.NoError(t, st.Snapshot().Persist(&got))
	require.Equal(t, want, got.Bytes())
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)/2] },
		func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
		func([]byte) []byte { return []byte("something else") },
	} {
		require.Error(t, st.Restore(bytes.NewReader(damage(bytes.Clone(want)))))
		got.Reset()
		require.NoError(t, st.Snapshot().Persist(&got))
		require.Equal(t, want, got.Bytes(), "a refused snapshot changes nothing")
	}
}

// An unknown command stops the server, unless it is marked as one to ignore.
func TestUnknownCommands(t *testing.T) {
	t.Parallel()
	st := state.NewStore()
	tx := st.Begin(1)
	r := fsm.Apply(tx, 1, fsm.EncodeEntry([]fsm.Item{{Type: fsm.IgnoreUnknown | 999, Body: []byte("x")}}))
	require.True(t, structs.IsKind(r[0].Err, structs.KindNotSupported))
	require.Panics(t, func() { fsm.Apply(tx, 2, fsm.EncodeEntry([]fsm.Item{{Type: 999}})) })
	require.Panics(t, func() { fsm.Apply(tx, 2, []byte{99}) })
	tx.Abort()
}

// A command that is refused in the middle of an entry leaves no trace, and its neighbours stand.
func TestRefusedCommandRollsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	enc := func(v any) []byte { b, err := structs.Encode(v); require.NoError(t, err); return b }
	flavor := func(id, name string) []byte {
		return enc(&structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: structs.FlavorID(id), Name: name}})
	}
	tx := w.store.Begin(100)
	r := fsm.Apply(tx, 100, fsm.EncodeEntry([]fsm.Item{{Type: fsm.FlavorCreate.Type, Body: flavor("1", "a")}, {Type: fsm.FlavorCreate.Type, Body: flavor("2", "a")},
		{Type: fsm.FlavorCreate.Type, Body: flavor("3", "c")}}))
	tx.Commit()
	require.NoError(t, r[0].Err)
	require.True(t, structs.IsKind(r[1].Err, structs.KindConflict))
	require.NoError(t, r[2].Err)
	require.Len(t, collect(w.store.Snapshot().Flavors()), 2)
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(fsm.EncodeEntry([]fsm.Item{{Type: 1, Body: []byte("x")}}))
	f.Add([]byte{1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := fsm.DecodeEntry(data)
		if err == nil && len(items) > len(data) {
			t.Fatal("more items than bytes")
		}
	})
}

func BenchmarkApply(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("create-%d", batch), func(b *testing.B) {
			w := newWorld(b, 4)
			_, err := fsm.QuotaSet.Propose(context.Background(), w, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "p", Limits: structs.UnlimitedQuota()}})
			require.NoError(b, err)
			b.ReportAllocs()
			entries := make([][]byte, b.N)
			for i := range entries {
				var items []fsm.Item
				for range batch {
					id := structs.InstanceID(w.id("instance"))
					body, err := structs.Encode(&structs.InstanceCreateRequest{Now: w.now, Instances: []structs.Instance{{ID: id, ProjectID: "p", Flavor: structs.Flavor{VCPUs: 1, MemoryMiB: 64}}},
						Operations:  []structs.Operation{{ID: structs.OperationID(id), InstanceID: id, Kind: structs.OpBuild}},
						Evaluations: []structs.Evaluation{{ID: structs.EvaluationID(id), InstanceID: id, OperationID: structs.OperationID(id), Status: structs.EvalPending}}})
					require.NoError(b, err)
					items = append(items, fsm.Item{Type: fsm.InstanceCreate.Type, Body: body})
				}
				entries[i] = fsm.EncodeEntry(items)
			}
			b.ResetTimer()
			for i, e := range entries {
				tx := w.store.Begin(uint64(1000 + i))
				fsm.Apply(tx, uint64(1000+i), e)
				tx.Commit()
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}

// What cuts a migration off and then fails itself leaves the instance where it is, with nothing of the migration.
func TestCutOffMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	id := prepare(w, structs.OpLiveMigrate)
	w.schedule()
	require.Len(t, collect(w.store.Snapshot().Claims(id)), 2)
	_, err := w.start(id, structs.OpSoftDelete)
	require.NoError(t, err)
	w.fail = func(*structs.Operation, structs.StepName) *structs.Outcome {
		return &structs.Outcome{Error: "no", ErrorKind: structs.KindInternal}
	}
	w.settle()
	w.check()
	require.Equal(t, structs.VMActive, w.store.Snapshot().Instance(id).VM)
}

// A soft delete ends a resize that waits, as a delete does: what comes back is where it had gone, and nothing is left where it was.
func TestSoftDeleteEndsResize(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		w := newWorld(t, 2)
		id := prepare(w, structs.OpResize)
		w.settle()
		ins := w.store.Snapshot().Instance(id)
		source := w.store.Snapshot().Migration(ins.MigrationID).SourceID
		if lost {
			w.lose(source)
		}
		_, err := w.start(id, structs.OpSoftDelete)
		require.NoError(t, err)
		w.settle()
		w.check()
		require.Equal(t, structs.MigrationConfirmed, w.store.Snapshot().Migration(ins.MigrationID).Status)
		w.backAll()
		require.Empty(t, w.hosts[source].guests)
		_, err = w.start(id, structs.OpRestore)
		require.NoError(t, err)
		w.settle()
		w.check()
		require.Equal(t, ins.HostID, w.store.Snapshot().Instance(id).HostID)
	}
}
