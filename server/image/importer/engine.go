// Package importer does the imports of images. An import is a task in the replicated state; a server claims it, does it, and writes how far it has come with the
// image in one command. A claim has a number: what a server writes that was believed dead is refused. Tasks of a server that started anew are done by it again,
// those of one that is down by the leader, so that none waits for ever.
package importer

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// Fetcher reads what a URL names; size is -1 when the other side does not say.
type Fetcher interface {
	Open(ctx context.Context, url string) (r io.ReadCloser, size int64, err error)
}

// Options are an engine's settings. Zero values mean the defaults named.
type Options struct {
	Logger  hclog.Logger // nil: no log
	Stores  *store.Set
	Fetch   Fetcher
	MaxSize int64 // of an image, in bytes
	Limits  func(rd state.Reader, p structs.ProjectID) structs.ImageLimits
	// Period is how often tasks are looked for that nobody does; 0 is 10 s.
	Period time.Duration
	// SweepPeriod is how often the leader removes what no image names any more from the stores that need it; 0 is 10 minutes.
	SweepPeriod time.Duration
	// AtOnce is how many imports this server does at a time; 0 is 4.
	AtOnce int
	// MaxAttempts is how often an import is begun before it is given up; 0 is 5.
	MaxAttempts int
}

// Engine does imports.
type Engine struct {
	opts Options
	log  hclog.Logger
	wake chan struct{}

	mu      sync.Mutex
	running map[structs.ImageTaskID]bool
	wg      sync.WaitGroup
}

// New returns an engine that does nothing until Run.
func New(o Options) *Engine {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Period <= 0 {
		o.Period = 10 * time.Second
	}
	if o.SweepPeriod <= 0 {
		o.SweepPeriod = 10 * time.Minute
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 4
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 5
	}
	return &Engine{opts: o, log: o.Logger, wake: make(chan struct{}, 1), running: map[structs.ImageTaskID]bool{}}
}

// Wake makes Run look for tasks soon.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run does this server's tasks until ctx ends, and returns when none is being done. What is unfinished then is done again by whoever runs next.
func (e *Engine) Run(ctx context.Context, core nomadlike.Core) {
	defer e.wg.Wait()
	e.wg.Go(func() { e.sweep(ctx, core) })
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-e.wake:
		case <-ctx.Done():
			return
		}
		t.Reset(e.opts.Period)
		if err := e.round(ctx, core); err != nil && ctx.Err() == nil {
			e.log.Debug("cannot look for imports; it is tried again", "error", err)
		}
	}
}

// sweep removes, while this server leads, what no image names from the stores.
func (e *Engine) sweep(ctx context.Context, core nomadlike.Core) {
	t := time.NewTicker(e.opts.SweepPeriod)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		for _, st := range e.opts.Stores.All() {
			sw, ok := st.(store.Sweeper)
			if !ok || !core.Cluster().IsLeader {
				continue
			}
			n, err := sw.Sweep(ctx, core, 0)
			if err != nil && ctx.Err() == nil {
				e.log.Warn("cannot remove what no image names from a store; it is tried again", "store", st.Info().ID, "error", err)
			}
			if n > 0 {
				e.log.Info("removed what no image names from a store", "store", st.Info().ID, "objects", n)
			}
		}
	}
}

// round begins what is this server's to do and, on the leader, removes what has expired.
func (e *Engine) round(ctx context.Context, core nomadlike.Core) error {
	rd, err := core.Read(ctx)
	if err != nil {
		return err
	}
	info := core.Cluster()
	for t := range rd.OpenImageTasks() {
		if t.ServerID == info.ServerID || info.IsLeader && lost(&info, t.ServerID) {
			e.begin(ctx, core, t)
		}
	}
	if !info.IsLeader {
		return nil
	}
	var req structs.ImageTaskReap
	at := structs.TimeOf(time.Now())
	for t := range rd.ImageTasks() {
		if t.Status.Ended() && t.ExpiresAt < at && len(req.IDs) < 1000 {
			req.IDs = append(req.IDs, t.ID)
		}
	}
	if len(req.IDs) > 0 {
		_, err = fsm.ImageTaskReap.Propose(ctx, core, &req)
	}
	return err
}

// lost reports whether nobody may hope that a server does its tasks: it is no peer, or gossip has it dead.
func lost(info *nomadlike.ClusterInfo, id structs.ServerID) bool {
	if len(info.Peers) == 0 {
		return false // not known now
	}
	peer := false
	for _, p := range info.Peers {
		peer = peer || p.ID == id
	}
	if !peer {
		return true
	}
	for _, m := range info.Members {
		if m.Tags["id"] == string(id) && m.Status == "alive" {
			return false
		}
	}
	return len(info.Members) > 0
}

// begin does a task unless that is being done, or too much else.
func (e *Engine) begin(ctx context.Context, core nomadlike.Core, t *structs.ImageTask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[t.ID] || len(e.running) >= e.opts.AtOnce {
		return
	}
	e.running[t.ID] = true
	e.wg.Go(func() {
		ended := e.do(ctx, core, t)
		e.mu.Lock()
		delete(e.running, t.ID)
		e.mu.Unlock()
		if ended {
			e.Wake() // another may have waited; what did not end waits for the next look
		}
	})
}
