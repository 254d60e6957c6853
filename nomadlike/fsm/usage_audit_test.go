package fsm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// write changes the state beside the log.
func (w *world) write(f func(tx *state.Txn)) {
	w.index++
	tx := w.store.Begin(w.index)
	f(tx)
	tx.Commit()
}

// lived writes an instance that was launched and terminated at moments; 0 is never.
func (w *world) lived(id structs.InstanceID, host structs.HostID, from, to structs.Time) {
	ins := &structs.Instance{ID: id, ProjectID: "p", HostID: host, VM: structs.VMActive, LaunchedAt: from, TerminatedAt: to, DeletedAt: to}
	if to != 0 {
		ins.VM = structs.VMDeleted
	}
	w.write(func(tx *state.Txn) { tx.PutInstance(ins) })
}

// A period's audit has each instance that was alive in it, once, with the host that it is on; a host that has run does not run again, nor does anything after the end.
func TestUsageAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	a, b, c := structs.HostID("id-host-0"), structs.HostID("id-host-1"), structs.HostID("id-host-2")
	w.lived("before", a, 5, 10)
	w.lived("until", a, 5, 11)
	w.lived("through", a, 5, 0)
	w.lived("within", b, 12, 15)
	w.lived("at-its-end", b, 20, 0)
	w.lived("after", b, 25, 0)
	w.lived("never", b, 0, 0)
	w.lived("offloaded", "", 7, 0)
	w.lived("host-gone", "id-gone", 7, 12)
	run := func(last bool, hosts ...structs.HostID) {
		_, err := fsm.UsageAudit.Propose(t.Context(), w, &structs.UsageAuditRequest{Begin: 10, End: 20, Hosts: hosts, Last: last, Now: 21})
		require.NoError(t, err)
	}
	told := func() string {
		s := ""
		for x := range w.store.Snapshot().UsageAuditsOf(10, 20) {
			require.Len(t, x.Instances, int(x.Count))
			s += fmt.Sprintf("%s%v ", x.Host, x.Instances)
		}
		return s
	}
	run(false, a, "nobody", a)
	require.Equal(t, "host-0[through until] ", told())
	first := w.store.Snapshot().UsageAudit(10, 20, a).ModifyIndex
	w.lived("late", a, 5, 0)
	run(false, a, b)
	require.Equal(t, "host-0[through until] host-1[within] ", told())
	run(true)
	const all = "[offloaded host-gone] host-0[through until] host-1[within] "
	require.Equal(t, all, told())
	run(true, a, b, c)
	require.Equal(t, all+"host-2[] ", told(), "the run was over: a host that comes later has nothing to tell")
	require.Equal(t, first, w.store.Snapshot().UsageAudit(10, 20, a).ModifyIndex)
	require.True(t, fsm.Repeatable(fsm.UsageAudit.Type))
	_, err := fsm.UsageAudit.Propose(t.Context(), w, &structs.UsageAuditRequest{Begin: 20, End: 20})
	require.Error(t, err)
}

// Of earlier runs only the counts stay, and of the oldest nothing.
func TestUsageAuditsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.lived("a", "id-host-0", 1, 0)
	for i := range structs.Time(structs.UsageAuditPeriods + 5) {
		_, err := fsm.UsageAudit.Propose(t.Context(), w, &structs.UsageAuditRequest{Begin: 10 + i, End: 11 + i, Hosts: []structs.HostID{"id-host-0", "id-host-1"}, Last: true, Now: 12 + i})
		require.NoError(t, err)
		lists, all := 0, 0
		for x := range w.store.Snapshot().UsageAudits() {
			all++
			lists += len(x.Instances)
			if x.HostID == "id-host-0" {
				require.EqualValues(t, 1, x.Count)
			}
		}
		require.Equal(t, 1, lists)
		require.Equal(t, 3*min(int(i)+1, structs.UsageAuditPeriods), all)
	}
}

// A caching is over when each of the aggregate's hosts has told what it did, once; it leaves nothing.
func TestImageCaching(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	agg, err := fsm.AggregateCreate.Propose(t.Context(), w, &structs.AggregateCreateRequest{UUID: "u", Name: "a", Now: 1})
	require.NoError(t, err)
	begin := func(id string) error {
		_, err := fsm.ImageCachingBegin.Propose(t.Context(), w, &structs.ImageCachingBeginRequest{ID: id, AggregateID: agg.ID, Images: []structs.ImageID{"i"}, Now: 2})
		return err
	}
	report := func(id string, hosts ...structs.HostID) {
		req := &structs.ImageCachingReportRequest{ID: id, Now: 3}
		for _, h := range hosts {
			req.Done = append(req.Done, structs.ImageCachingHost{HostID: h, Cached: []structs.ImageID{"i"}})
		}
		_, err := fsm.ImageCachingReport.Propose(t.Context(), w, req)
		require.NoError(t, err)
	}
	get := func(id string) *structs.ImageCaching { return w.store.Snapshot().ImageCaching(id) }
	require.NoError(t, begin("empty"))
	report("empty")
	require.Nil(t, get("empty"), "no host, nothing to do")
	for _, h := range []structs.HostID{"id-host-0", "id-host-1"} {
		_, err = fsm.AggregateAddHost.Propose(t.Context(), w, &structs.AggregateHostRequest{ID: agg.ID, HostID: h})
		require.NoError(t, err)
	}
	require.NoError(t, begin("c"))
	report("c", "id-host-1", "stranger")
	require.NoError(t, begin("c"), "proposed again")
	report("c", "id-host-1")
	require.Len(t, get("c").Done, 1)
	require.True(t, get("c").IsDone("id-host-1"))
	_, err = fsm.AggregateRemoveHost.Propose(t.Context(), w, &structs.AggregateHostRequest{ID: agg.ID, HostID: "id-host-0"})
	require.NoError(t, err)
	require.Len(t, get("c").Aggregate.Hosts, 2, "as it was when it was asked for")
	report("c", "id-host-0")
	require.Nil(t, get("c"))
	report("c", "id-host-0")
	require.Nil(t, get("c"))
	_, err = fsm.ImageCachingBegin.Propose(t.Context(), w, &structs.ImageCachingBeginRequest{ID: "x", AggregateID: 99})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

// What a session measured stays on the host's record, over its registrations too; an older session's word is nothing.
func TestHostMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	h := w.store.Snapshot().Host("id-host-0")
	put := func(epoch uint64, m *structs.HostMetrics) *structs.Host {
		_, err := fsm.HostMetrics.Propose(t.Context(), w, &structs.HostMetricsRequest{Hosts: []structs.HostMeasured{{HostID: "nobody", Metrics: m}, {HostID: h.ID, Epoch: epoch, Metrics: m}}})
		require.NoError(t, err)
		return w.store.Snapshot().Host(h.ID)
	}
	require.Nil(t, put(h.Epoch+1, &structs.HostMetrics{At: 4}).Metrics)
	require.Nil(t, put(h.Epoch, nil).Metrics)
	got := put(h.Epoch, &structs.HostMetrics{At: 5, UserTime: 7})
	require.EqualValues(t, 7, got.Metrics.UserTime)
	require.Equal(t, h.UpdatedAt, got.UpdatedAt)
	require.Equal(t, got.ModifyIndex, put(h.Epoch, &structs.HostMetrics{At: 5}).ModifyIndex, "told twice")
	w.addHost("host-0")
	require.EqualValues(t, 7, w.store.Snapshot().Host(h.ID).Metrics.UserTime)
}
