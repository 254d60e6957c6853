package notification

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/coretest"
	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// memory is a sink that keeps the display names that updates tell of.
type memory struct {
	name   string
	mu     sync.Mutex
	names  []string
	refuse func(name string) error // nil takes it
}

func (m *memory) Name() string { return "memory." + m.name }
func (m *memory) Close()       {}
func (m *memory) Deliver(ctx context.Context, n *Notification) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := fmt.Sprint(n.Payload[keyData].(map[string]any)["display_name"])
	if m.refuse != nil {
		if err := m.refuse(name); err != nil {
			return err
		}
	}
	m.names = append(m.names, name)
	return nil
}

func (m *memory) got() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.names...)
}

func (m *memory) set(refuse func(string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = refuse
}

// renamed is the names of so many renames.
func renamed(from, to int) (names []string) {
	for i := from; i <= to; i++ {
		names = append(names, fmt.Sprintf("name-%d", i))
	}
	return names
}

func (w *world) renames(from, to int) {
	for i := from; i <= to; i++ {
		w.rename(i)
	}
}

// runner delivers updates to sinks, fast.
func (w *world) runner(log *bytes.Buffer, sinks ...Sink) *Runner {
	cfg := Config{Settings: w.settings, Logger: hclog.NewNullLogger(), CursorEvery: 2 * time.Millisecond, FirstRetry: time.Millisecond, LastRetry: 4 * time.Millisecond}
	if log != nil {
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: log})
	}
	for _, s := range sinks {
		cfg.Routes = append(cfg.Routes, Route{Sink: s, Events: []string{"instance.update"}})
	}
	return NewRunner(cfg)
}

func eventually(t *testing.T, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, time.Millisecond, what)
}

func (w *world) cursor(s Sink) uint64 {
	if c := w.core.Stale().NotificationCursor(s.Name()); c != nil {
		return c.Index
	}
	return 0
}

func runIn(t *testing.T, r *Runner, core Core) (stop func()) {
	end := sync.OnceFunc(r.Start(t.Context(), core))
	t.Cleanup(end)
	return end
}

// Whoever leads next goes on where the last one stopped: nothing is lost, and what was settled is not told again.
func TestGoesOnAtTheCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m"}
	stop := runIn(t, w.runner(nil, sink), w.core)
	w.renames(1, 20)
	eventually(t, func() bool { return len(sink.got()) == 20 }, "not all were delivered")
	stop()
	require.NotZero(t, w.cursor(sink))
	w.renames(21, 40) // while nobody leads
	stop = runIn(t, w.runner(nil, sink), w.core)
	w.renames(41, 60)
	eventually(t, func() bool { return len(sink.got()) >= 60 }, "not all were delivered")
	stop()
	require.Equal(t, renamed(1, 60), sink.got())
}

// A server that dies without writing its cursor makes notifications come twice, and none get lost.
func TestAtLeastOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m"}
	begin := w.core.Stale().Index()
	stop := runIn(t, w.runner(nil, sink), w.core)
	w.renames(1, 5)
	eventually(t, func() bool { return len(sink.got()) == 5 }, "not all were delivered")
	stop()
	w.core.Write(func(tx *state.Txn) {
		tx.PutNotificationCursor(&structs.NotificationCursor{Sink: sink.Name(), Index: begin})
	})
	stop = runIn(t, w.runner(nil, sink), w.core)
	w.renames(6, 7)
	eventually(t, func() bool { return len(sink.got()) == 12 }, "not all were delivered")
	stop()
	require.Equal(t, append(renamed(1, 5), renamed(1, 7)...), sink.got())
}

// replayed is a core whose log was applied anew, in other batches than before.
type replayed struct {
	*coretest.Core
	events *event.Broker
}

func (r replayed) Events() *event.Broker { return r.events }

// A restarted server applies many entries of its log at once, some of them from before the cursor: those are not told again.
func TestReplayBeforeTheCursorIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m"}
	stop := runIn(t, w.runner(nil, sink), w.core)
	w.renames(1, 3)
	eventually(t, func() bool { return len(sink.got()) == 3 }, "not delivered")
	stop()
	w.renames(4, 6)
	w.collect()
	again := replayed{w.core, event.NewBroker(4096)}
	var batch []state.Change
	for _, e := range slices.Concat(w.commits...) {
		batch = append(batch, state.Change{Table: e.Table, Before: e.Before, After: e.Entity})
	}
	again.events.Publish(w.core.Stale().Index(), batch)
	stop = runIn(t, w.runner(nil, sink), again)
	eventually(t, func() bool { l := sink.got(); return l[len(l)-1] == "name-6" }, "not delivered")
	stop()
	require.Equal(t, renamed(1, 6), sink.got())
}

// Writing a cursor is a change, too; it moves no cursor, or an idle cluster would write for ever.
func TestIdleClusterWritesNoCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m"}
	r := w.runner(nil, sink)
	runIn(t, r, w.core)
	w.renames(1, 3)
	last := w.core.Stale().Instance(w.id).ModifyIndex
	eventually(t, func() bool { return w.cursor(sink) == last && r.workers[0].reached.Load() == w.core.Stale().Index() }, "the cursor does not settle")
	require.Equal(t, last, r.workers[0].settled.Load())
}

// A sink that takes nothing holds up neither those who commit nor the other sinks; when it takes again, it gets all in order.
func TestSlowSinkHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	dead, live := &memory{name: "dead"}, &memory{name: "live"}
	dead.set(func(string) error { return errors.New("down") })
	r := w.runner(nil, dead, live)
	runIn(t, r, w.core)
	w.renames(1, 50)
	eventually(t, func() bool { return len(live.got()) == 50 }, "the other sink waits")
	require.Empty(t, dead.got())
	eventually(t, func() bool { return r.workers[0].lag() >= 50 && r.workers[1].lag() == 0 }, "the lag is not counted")
	require.Less(t, w.cursor(dead), w.core.Stale().Instance(w.id).ModifyIndex)
	dead.set(nil)
	eventually(t, func() bool { return len(dead.got()) == 50 }, "it does not catch up")
	require.Equal(t, renamed(1, 50), dead.got())
	require.Positive(t, r.workers[0].failed.Load())
	registry := prometheus.NewPedanticRegistry()
	must(t, registry.Register(r.Collector()))
	families, err := registry.Gather()
	must(t, err)
	counted := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counted[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	require.Equal(t, 50.0, counted["kilonova_notifications_delivered_total memory.live"])
	require.Positive(t, counted["kilonova_notifications_failures_total memory.dead"])
	require.Len(t, counted, 10)
}

// What a sink refuses for good is counted and given up: the next one comes.
func TestRefusedIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m", refuse: func(name string) error {
		if name == "name-2" {
			return fmt.Errorf("%w: poison", ErrRefused)
		}
		return nil
	}}
	var log bytes.Buffer
	r := w.runner(&log, sink)
	stop := runIn(t, r, w.core)
	w.renames(1, 3)
	eventually(t, func() bool { return len(sink.got()) == 2 }, "poison blocks")
	stop()
	require.Equal(t, []string{"name-1", "name-3"}, sink.got())
	require.EqualValues(t, 1, r.workers[0].dropped.Load())
	require.Contains(t, log.String(), "poison")
}

// A change that makes the translation fail is given up: it must not end one leader after the other.
func TestFaultsOfOursEndNoServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m"}
	var log bytes.Buffer
	r := w.runner(&log, sink)
	stop := runIn(t, r, w.core)
	w.renames(1, 1)
	w.core.Events().Publish(w.core.Stale().Index()+1, []state.Change{{Table: "instances", After: (*structs.Instance)(nil)}})
	w.core.Write(func(*state.Txn) {}) // takes the index
	w.renames(2, 3)
	eventually(t, func() bool { return len(sink.got()) == 3 }, "it does not go on")
	stop()
	require.EqualValues(t, 1, r.workers[0].dropped.Load())
	require.Contains(t, log.String(), "a fault of ours")
}

// Changes that the stream has dropped before a sink took them are lost to it; that is said, counted, and the sink goes on with the rest.
func TestGapIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host create")
	sink := &memory{name: "m"}
	stop := runIn(t, w.runner(nil, sink), w.core)
	w.renames(1, 1)
	eventually(t, func() bool { return len(sink.got()) == 1 }, "not delivered")
	stop()
	w.renames(2, 4200) // more than coretest's stream keeps
	var log bytes.Buffer
	r := w.runner(&log, sink)
	stop = runIn(t, r, w.core)
	eventually(t, func() bool { l := sink.got(); return l[len(l)-1] == "name-4200" }, "it does not go on")
	stop()
	require.EqualValues(t, 1, r.workers[0].gaps.Load())
	require.Contains(t, log.String(), "notifications were lost")
	require.Less(t, len(sink.got()), 4200)
}

// The cursor of a sink that nobody configures goes after a while.
func TestCursorsOfGoneSinksGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := structs.TimeOf(time.Now().Add(-2 * forgetAfter))
	for sink, at := range map[string]structs.Time{"memory.old": old, "memory.m": old, "memory.young": structs.TimeOf(time.Now())} {
		_, err := fsm.NotificationCursorSet.Propose(t.Context(), w.core, &structs.NotificationCursorSetRequest{Now: at, Cursors: []structs.NotificationCursor{{Sink: sink, Index: 1}}})
		must(t, err)
	}
	runIn(t, w.runner(nil, &memory{name: "m"}), w.core)
	eventually(t, func() bool { return w.core.Stale().NotificationCursor("memory.old") == nil }, "it stays")
	require.NotNil(t, w.core.Stale().NotificationCursor("memory.young"))
	require.NotNil(t, w.core.Stale().NotificationCursor("memory.m"))
}

func TestRoutesChoose(t *testing.T) {
	t.Parallel()
	r := Route{Events: []string{"instance.*", "service.update"}}
	for event, want := range map[string]bool{"instance.create.end": true, "instance.update": true, "service.update": true, "service.create": false, "flavor.update": false} {
		require.Equal(t, want, r.wants(event), event)
	}
	require.True(t, (&Route{}).wants("flavor.update"))
	require.Error(t, CheckPattern("instance.["))
	require.NoError(t, CheckPattern("*.error"))
}
