package notification

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// failing is a core that loses leadership after so many commands.
type failing struct {
	*coretest.Core
	mu   sync.Mutex
	left int
}

func (f *failing) Propose(ctx context.Context, typ fsm.Type, body []byte) (uint64, any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return 0, nil, errors.New("this server does not lead")
	}
	f.left--
	return f.Core.Propose(ctx, typ, body)
}

// clock is a clock that stands until it is set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time   { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) set(to time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.at = to }
func (w *world) existing() (list []string) {
	w.collect()
	for _, n := range w.told {
		if n.EventType == "instance.exists" {
			list = append(list, n.Payload[keyData].(map[string]any)["uuid"].(string))
		}
	}
	return list
}

// Each period is told once, host by host; a leader that dies within a run leaves the rest of it to the next one.
func TestAuditGoesOnWithTheNextLeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.NotifyOnStateChange = NoUpdates
	for _, name := range []string{"compute", "h-1", "h-2", "h-3"} {
		w.core.AddHost(name)
	}
	for i := range 40 {
		w.core.AddHost("more-" + string(rune('A'+i)))
	}
	w.core.Clock = func() time.Time { return time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC) }
	w.script("create create create delete")
	w.told = nil
	at := &clock{at: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	auditor := func() *Auditor {
		return NewAuditor(AuditConfig{Period: structs.UsagePeriod{Unit: structs.UsageHour}, Logger: hclog.NewNullLogger(), Every: time.Millisecond, Now: at.now})
	}
	done := func() bool {
		begin, end := auditor().last()
		return w.core.Stale().UsageAudit(begin, end, "") != nil
	}
	lead := func(core AuditCore) func() {
		stop := sync.OnceFunc(auditor().Start(t.Context(), core))
		t.Cleanup(stop)
		return stop
	}
	stop := lead(w.core)
	eventually(t, done, "the last period before the first start")
	require.Empty(t, w.existing(), "nothing was alive then")
	stop()
	at.set(at.now().Add(time.Nanosecond)) // the period with the instances is over
	require.False(t, done())
	begin, end := auditor().last()
	require.Equal(t, begin, auditor().Untold(w.core.Stale(), 0))
	stop = lead(&failing{Core: w.core, left: 1}) // one batch
	part := func() (n int) {
		for range w.core.Stale().UsageAuditsOf(begin, end) {
			n++
		}
		return n
	}
	eventually(t, func() bool { return part() == auditBatch }, "the first batch")
	stop()
	stop = lead(w.core)
	eventually(t, done, "the rest")
	require.Equal(t, end, auditor().Untold(w.core.Stale(), 0))
	require.Equal(t, 45, part())
	stop()
	stop = lead(w.core)
	index := w.core.Stale().Index()
	stop()
	require.Equal(t, index, w.core.Stale().Index(), "a run that is over is not made again")
	w.core.AddHost("late")
	stop = lead(w.core)
	eventually(t, func() bool { return part() == 46 }, "a host that came later")
	stop()
	list := w.existing()
	require.Len(t, list, 3, "the one that was deleted among them")
	require.NotEqual(t, list[0], list[1])
	ids := map[string]bool{}
	for _, n := range w.told {
		require.False(t, ids[n.MessageID])
		ids[n.MessageID] = true
		if n.EventType != "instance.exists" { // the host that came later
			continue
		}
		require.Equal(t, map[string]any{"audit_period_beginning": "2026-03-01T09:00:00Z", "audit_period_ending": "2026-03-01T10:00:00Z"},
			n.Payload[keyData].(map[string]any)["audit_period"].(map[string]any)[keyData])
		require.Contains(t, n.PublisherID, "nova-compute:")
		require.True(t, n.BelongsTo("p", "u"))
	}
}

// What changes an instance's use is told before, of the period that is not over.
func TestExistsBeforeChanges(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{"rebuild": "instance.rebuild.start", "resize": "instance.resize_prep.start", "migrate": "instance.resize_prep.start"} {
		w := newWorld(t)
		w.settings = Settings{UsagePeriod: structs.UsagePeriod{Unit: structs.UsageDay, Offset: 6}}
		w.script("host create host2")
		w.told = nil
		w.script(script)
		var next string
		for i, n := range w.told {
			if n.EventType == "instance.exists" {
				require.Empty(t, next, "told twice")
				next = w.told[i+1].EventType
				period := n.Payload[keyData].(map[string]any)["audit_period"].(map[string]any)[keyData].(map[string]any)
				require.Equal(t, "2012-10-29T06:00:00Z", period["audit_period_beginning"])
				require.Equal(t, instant(w.now), period["audit_period_ending"])
			}
		}
		require.Equal(t, want, next, script)
	}
}

// An attempt that fails on a host is told with those before it.
func TestFailedCallsAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settings.NotifyOnStateChange = NoUpdates
	w.script("host create")
	w.told = nil
	w.script("stop!")
	require.Equal(t, []string{"instance.power_off.start", "compute.exception"}, w.events())
	n := w.last("compute.exception")
	data := n.Payload[keyData].(map[string]any)
	require.Equal(t, []any{"the driver refused", "stop", "kilonova.operation", "step stop, attempt 1: the driver refused\n"},
		[]any{data["exception_message"], data["function_name"], data["module_name"], data["traceback"]})
	require.Equal(t, Error, n.Priority)
	require.Equal(t, "nova-compute:compute", n.PublisherID)
	require.False(t, n.BelongsTo("p", "u"), "it is for administrators")
}

// A caching is told from its beginning to its end, host by host.
func TestImageCachingIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host agg agg-add host2")
	_, err := fsm.AggregateAddHost.Propose(t.Context(), w.core, &structs.AggregateHostRequest{ID: 1, HostID: w.core.Stale().HostByName("host2").ID})
	must(t, err)
	w.collect()
	w.told = nil
	_, err = fsm.ImageCachingBegin.Propose(t.Context(), w.core, &structs.ImageCachingBeginRequest{ID: "c", AggregateID: 1, Images: []structs.ImageID{"a", "b"}, Now: w.tick()})
	must(t, err)
	for _, host := range []string{"host2", "compute"} {
		_, err = fsm.ImageCachingReport.Propose(t.Context(), w.core, &structs.ImageCachingReportRequest{ID: "c", Now: w.tick(), Done: []structs.ImageCachingHost{
			{HostID: w.core.Stale().HostByName(host).ID, Cached: []structs.ImageID{"a"}, Failed: []structs.ImageID{"b"}}}})
		must(t, err)
	}
	w.collect()
	require.Equal(t, []string{"aggregate.cache_images.start", "aggregate.cache_images.progress", "aggregate.cache_images.progress", "aggregate.cache_images.end"}, w.events())
	for i, host := range []string{"host2", "compute"} {
		data := w.told[i+1].Payload[keyData].(map[string]any)
		require.Equal(t, []any{host, i + 1, 2, []any{"a"}, []any{"b"}}, []any{data["host"], data["index"], data["total"], data["images_cached"], data["images_failed"]})
	}
}
