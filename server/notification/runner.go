package notification

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Core is what the runner needs of the server that leads.
type Core interface {
	fsm.Proposer
	Stale() state.Reader
	Events() *event.Broker
}

// Config is what a Runner is made of. The durations are for tests; 0 is the default.
type Config struct {
	Routes   []Route
	Settings Settings
	Logger   hclog.Logger

	CursorEvery time.Duration // how often cursors are written while they move; default 1 s
	FirstRetry  time.Duration // default 100 ms, doubled with each failure
	LastRetry   time.Duration // default 30 s
}

// Runner delivers what the leader commits to sinks. Every sink has its own goroutine and its own place in the change stream, so that none waits for another, and
// nobody who commits waits for any.
type Runner struct {
	cfg     Config
	workers []*worker
}

// forgetAfter is how long the cursor of a sink that is not configured is kept: for as long it may be taken out and put in again.
const forgetAfter = 7 * 24 * time.Hour

// NewRunner returns a runner that does nothing before Start.
func NewRunner(cfg Config) *Runner {
	orElse := func(d *time.Duration, fallback time.Duration) {
		if *d == 0 {
			*d = fallback
		}
	}
	orElse(&cfg.CursorEvery, time.Second)
	orElse(&cfg.FirstRetry, 100*time.Millisecond)
	orElse(&cfg.LastRetry, 30*time.Second)
	r := &Runner{cfg: cfg}
	for _, route := range cfg.Routes {
		r.workers = append(r.workers, &worker{route: route, cfg: &r.cfg, logger: cfg.Logger.With("sink", route.Sink.Name())})
	}
	return r
}

// Start begins delivery, when this server begins to lead. It does not block. The function that it returns ends delivery, writes the cursors down once more and waits
// until both are done.
func (r *Runner) Start(ctx context.Context, core Core) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, w := range r.workers {
		w.begin(core)
		wg.Add(1)
		go func() {
			defer wg.Done()
			w.run(ctx, core)
		}()
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		r.forget(ctx, core)
		r.writeCursors(ctx, core)
	}()
	return func() {
		cancel()
		wg.Wait()
		<-written
		// When leadership is gone this is refused at once, and the next leader delivers a second's worth again.
		last, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		_ = r.write(last, core)
	}
}

// writeCursors writes those that have moved, all in one command.
func (r *Runner) writeCursors(ctx context.Context, core Core) {
	tick := time.NewTicker(r.cfg.CursorEvery)
	defer tick.Stop()
	for {
		if err := r.write(ctx, core); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Debug("cannot write the cursors of notifications; tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Runner) write(ctx context.Context, core Core) error {
	req := structs.NotificationCursorSetRequest{Now: structs.TimeOf(time.Now())}
	var moved []*worker
	for _, w := range r.workers {
		if at := w.settled.Load(); at > w.written {
			req.Cursors = append(req.Cursors, structs.NotificationCursor{Sink: w.route.Sink.Name(), Index: at})
			moved = append(moved, w)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	if _, err := fsm.NotificationCursorSet.Propose(ctx, core, &req); err != nil {
		return err
	}
	for i, w := range moved {
		w.written = req.Cursors[i].Index
	}
	return nil
}

// forget removes the cursors of sinks that are gone for long.
func (r *Runner) forget(ctx context.Context, core Core) {
	before := structs.TimeOf(time.Now()).Add(-forgetAfter)
	req := structs.NotificationCursorDeleteRequest{Before: before}
	for c := range core.Stale().NotificationCursors() {
		ours := slices.ContainsFunc(r.workers, func(w *worker) bool { return w.route.Sink.Name() == c.Sink })
		if !ours && c.UpdatedAt < before {
			req.Sinks = append(req.Sinks, c.Sink)
		}
	}
	if len(req.Sinks) > 0 {
		_, _ = fsm.NotificationCursorDelete.Propose(ctx, core, &req) // else the next leader does
	}
}

// worker serves one sink.
type worker struct {
	route  Route
	cfg    *Config
	logger hclog.Logger

	settled atomic.Uint64 // the cursor: everything up to this index is delivered or given up
	written uint64        // what of it is in the state; the cursors' writer alone uses it

	stream  atomic.Pointer[event.Broker] // while this server leads
	reached atomic.Uint64                // as settled, but moved by our own writes of cursors, too

	delivered, failed, dropped, gaps atomic.Uint64
}

// begin takes the cursor up. A sink that has none begins with what is committed from now on.
func (w *worker) begin(core Core) {
	r := core.Stale()
	at := r.Index()
	w.written = 0
	if c := r.NotificationCursor(w.route.Sink.Name()); c != nil {
		at, w.written = c.Index, c.Index
	}
	w.settled.Store(at)
	w.reached.Store(at)
	w.stream.Store(core.Events())
}

func (w *worker) run(ctx context.Context, core Core) {
	defer w.stream.Store(nil)
	defer w.route.Sink.Close()
	for ctx.Err() == nil {
		at := w.reached.Load()
		sub, whole := core.Events().Subscribe(at)
		if !whole {
			w.gap(at, core.Events().Lost())
		}
		w.follow(ctx, core, sub)
	}
}

// gap is said and counted: what was dropped from the stream before the sink took it is lost to the sink.
func (w *worker) gap(from, to uint64) {
	w.gaps.Add(1)
	w.logger.Error("notifications were lost: the stream of changes no longer has what the sink has not taken", "after_index", from, "up_to_index", to)
	if to > from {
		w.reached.Store(to)
		w.settled.Store(to)
	}
}

// follow delivers until ctx ends or the sink was too slow for the stream.
func (w *worker) follow(ctx context.Context, core Core, sub *event.Subscription) {
	for {
		events, whole, err := sub.Next(ctx)
		if err != nil || !whole {
			return
		}
		for _, commit := range Commits(events) {
			if !w.deliver(ctx, w.translate(core, commit)) {
				return
			}
			index := commit[0].Index
			w.reached.Store(index)
			if !onlyCursors(commit) { // else writing the cursor would move the cursor
				w.settled.Store(index)
			}
		}
	}
}

// translate gives a commit up that it cannot translate: were it to end the server, the next leader would end at it, too.
func (w *worker) translate(core Core, commit []event.Event) (list []Notification) {
	defer func() {
		if cause := recover(); cause != nil {
			list = nil
			w.dropped.Add(1)
			w.logger.Error("a change cannot be told as notifications; this is a fault of ours", "index", commit[0].Index, "cause", cause, "stack", string(debug.Stack()))
		}
	}()
	return Translate(w.cfg.Settings, core.Stale(), commit)
}

func onlyCursors(commit []event.Event) bool {
	return !slices.ContainsFunc(commit, func(e event.Event) bool { return e.Table != state.NotificationCursorTable })
}

// deliver returns false when ctx ended before all were taken.
func (w *worker) deliver(ctx context.Context, list []Notification) bool {
	for i := range list {
		n := &list[i]
		// After a restart a commit can hold entries from before the cursor, because the log is applied in other batches.
		if n.Entry > w.reached.Load() && w.route.wants(n.EventType) && !w.insist(ctx, n) {
			return false
		}
	}
	return true
}

// insist delivers one notification, however long it takes.
func (w *worker) insist(ctx context.Context, n *Notification) bool {
	for attempt := 0; ; attempt++ {
		err := w.route.Sink.Deliver(ctx, n)
		switch {
		case err == nil:
			if attempt > 0 {
				w.logger.Info("the sink takes notifications again", "failures", attempt)
			}
			w.delivered.Add(1)
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, ErrRefused):
			w.dropped.Add(1)
			w.logger.Error("the sink refused a notification, which is given up", "event_type", n.EventType, "message_id", n.MessageID, "error", err)
			return true
		}
		w.failed.Add(1)
		if attempt%remind == 0 {
			w.logger.Warn("the sink does not take a notification; tried again until it does", "attempts", attempt+1, "event_type", n.EventType, "message_id", n.MessageID, "error", err)
		}
		if !w.pause(ctx, attempt) {
			return false
		}
	}
}

// remind is after how many attempts it is said again that a sink does not take a notification.
const remind = 100

// pause doubles with each failure; jitter keeps sinks that failed together apart.
func (w *worker) pause(ctx context.Context, attempt int) bool {
	d := min(w.cfg.FirstRetry<<min(attempt, 20), w.cfg.LastRetry)
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
