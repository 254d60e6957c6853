// Package runner runs the life of the instances on one host: it does the host's steps of their operations, in order, one operation
// per instance at a time, and tells what the guests do of their own accord.
//
// Nothing here is durable, and need not be: what is to be done is in the cluster's state, what is there is in the hypervisor, and every step
// is idempotent by operation id. After a restart the cluster hands out again what is open.
package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Config is what a runner needs.
type Config struct {
	Driver driver.Driver
	// Images gives a root image's file in a format that the driver named.
	Images ImageSource
	// Upload makes the file the data of an image; Scratch is a folder for such files.
	Upload  func(ctx context.Context, image structs.ImageID, format, path string, virtualSize int64) error
	Scratch string
	// Fetch copies the disks that the host at the RPC address has exported into dir, which it makes.
	Fetch func(ctx context.Context, addr string, req structs.DisksRequest, dir string) error
	// Report takes an outcome; it does not block. Sync takes what a guest did of its own accord; it does not block.
	Report func(structs.Outcome)
	Sync   func(structs.InstanceSync)
	// Missing hears that a guest is gone that nobody here removed; it does not block.
	Missing func()
	// MaxBuilds is how many builds run at once; the others wait their turn. 0 is 10, as Nova's max_concurrent_builds.
	MaxBuilds int
	Logger    hclog.Logger
}

// ImageSource fetches images into the host's cache.
type ImageSource interface {
	// Get returns the image as a file in one of the formats, nil when the driver needs no file. release says that it is no longer being used to build.
	Get(ctx context.Context, img *structs.Image, formats []string) (file *driver.Image, release func(), err error)
}

// Runner runs one host's instances.
type Runner struct {
	cfg    Config
	builds chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	formats   []string
	progress  map[structs.InstanceID]*structs.MigrationProgress // of live migrations
	deleted   []structs.InstanceID                              // whose deletion was done here, the oldest first: only the newest are remembered
	instances map[structs.InstanceID]*instance                  // those with something to do now, or done for an operation that may still be handed out again
}

// instance is one instance's queue. Its fields are guarded by Runner.mu.
type instance struct {
	next    *structs.Work // to do after what runs; a newer one replaces it
	current *task
	last    *task // the newest that ended, to answer its repetition
	nudged  bool  // an event came while a task ran: look again when it is over
}

// task is one run of host steps.
type task struct {
	key      key
	work     structs.Work
	cancel   context.CancelFunc
	done     chan struct{} // closed when it is over
	outcomes []structs.Outcome
	replaced bool // a newer operation cancelled it, or nobody waits for it: it has nothing to say any more
	removes  bool // its end is that the guest is gone

	signals  chan structs.MigrationSignal // asked of the operation while this task runs
	signaled structs.MigrationSignal      // the last one
}

// key tells one attempt at a step from every other.
type key struct {
	op         structs.OperationID
	step       structs.StepName
	attempt    int
	undo       bool
	generation uint64
}

func keyOf(op *structs.Operation) key {
	return key{op.ID, op.Step, op.Attempt, op.Status == structs.OpUndoing, op.Generation}
}

// New returns a runner that does nothing yet.
func New(cfg Config) *Runner {
	if cfg.MaxBuilds <= 0 {
		cfg.MaxBuilds = 10
	}
	r := &Runner{cfg: cfg, builds: make(chan struct{}, cfg.MaxBuilds), instances: map[structs.InstanceID]*instance{},
		progress: map[structs.InstanceID]*structs.MigrationProgress{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// SetImageFormats says which formats the driver takes, once its capabilities are known.
func (r *Runner) SetImageFormats(formats []string) {
	r.mu.Lock()
	r.formats = formats
	r.mu.Unlock()
}

// Close cancels what runs and waits for it. Guests are not touched; what was open is handed out again by the cluster.
func (r *Runner) Close() {
	r.mu.Lock() // nothing begins from now on
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
}

// Do takes an operation whose present step is this host's. The same work given again is done once; a newer operation on the instance cancels the older.
func (r *Runner) Do(w structs.Work) {
	k := keyOf(w.Operation)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	in := r.instances[w.Instance.ID]
	if in == nil {
		in = &instance{}
		r.instances[w.Instance.ID] = in
	}
	if in.current != nil && in.current.covers(k) {
		in.current.signal(w.Operation.Signal)
		return
	}
	if in.last != nil && in.last.answers(k, r.cfg.Report) {
		return
	}
	in.next = &w
	if in.current != nil {
		in.current.replaced = true
		in.current.cancel()
		return
	}
	r.startNext(w.Instance.ID, in)
}

// signal passes on what is asked of the operation, once. Runner.mu is held.
func (t *task) signal(s structs.MigrationSignal) {
	if s == t.signaled {
		return
	}
	t.signaled = s
	select {
	case t.signals <- s:
	default: // nothing here takes so many
	}
}

// covers reports whether the running task is, or will come to, the attempt k.
func (t *task) covers(k key) bool {
	if t.replaced || t.key.op != k.op || t.key.undo != k.undo || t.key.generation != k.generation {
		return false
	}
	if t.key == k {
		return true
	}
	if k.attempt != 1 {
		return false
	}
	for _, s := range operation.Run(t.work.Operation)[1:] {
		if s.Name == k.step {
			return true
		}
	}
	return false
}

// answers reports again how the attempt k ended, when this task did it.
func (t *task) answers(k key, report func(structs.Outcome)) bool {
	for i, o := range t.outcomes {
		if o.OperationID == k.op && o.Step == k.step && o.Attempt == k.attempt && o.Undo == k.undo && o.Generation == k.generation {
			for _, o := range t.outcomes[i:] {
				report(o)
			}
			return true
		}
	}
	return false
}

// startNext begins in.next. Runner.mu is held.
func (r *Runner) startNext(id structs.InstanceID, in *instance) {
	w := *in.next
	in.next = nil
	ctx, cancel := context.WithCancel(r.ctx)
	t := &task{key: keyOf(w.Operation), work: w, cancel: cancel, done: make(chan struct{}), signals: make(chan structs.MigrationSignal, 4),
		signaled: w.Operation.Signal}
	t.removes = removes(w.Operation)
	in.current = t
	r.wg.Go(func() {
		defer cancel()
		defer close(t.done)
		r.run(ctx, t)
		r.ended(id, in, t)
	})
}

// removes reports whether the guest is gone from this host when the operation's steps here are done.
func removes(op *structs.Operation) bool {
	for _, s := range operation.Run(op) {
		switch s.Name {
		case structs.StepDestroy, structs.StepMigrate, structs.StepRollback:
			return true
		case structs.StepDiscard, structs.StepForget:
			return op.SourceID != op.DestID
		}
	}
	return false
}

// rememberDeleted is for how many deleted instances the answer is kept, should the cluster ask again.
const rememberDeleted = 1024

func (r *Runner) ended(id structs.InstanceID, in *instance, t *task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.removes {
		r.deleted = append(r.deleted, id)
		if len(r.deleted) > rememberDeleted {
			r.forget(r.deleted[0])
			r.deleted = r.deleted[1:]
		}
	}
	in.current, in.last = nil, t
	if t.uncertain() {
		in.nudged = true
	}
	t.work = structs.Work{} // only the outcomes are needed from now on
	if r.ctx.Err() != nil {
		return
	}
	if in.next != nil {
		r.startNext(id, in)
		return
	}
	if in.nudged {
		in.nudged = false
		r.lookSoon(id)
	}
}

// uncertain reports whether the task may have left the guest in another state than its outcome tells: a power change that failed or was broken off.
func (t *task) uncertain() bool {
	if t.work.Operation.Kind == structs.OpBuild || t.removes {
		return false
	}
	return t.replaced || len(t.outcomes) == 0 || t.outcomes[len(t.outcomes)-1].Error != ""
}

// Forget drops what is remembered of an instance that is no longer on this host and has nothing running.
func (r *Runner) Forget(id structs.InstanceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(id)
}

// forget is Forget with Runner.mu held.
func (r *Runner) forget(id structs.InstanceID) {
	if in := r.instances[id]; in != nil && in.current == nil && in.next == nil {
		delete(r.instances, id)
	}
}

// Busy reports whether something is being done to the instance.
func (r *Runner) Busy(id structs.InstanceID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.instances[id]
	return in != nil && in.current != nil
}

// Task is something that is being done to an instance.
type Task struct {
	id structs.InstanceID
	t  *task
}

// Generation is that of the instance that it is done to; 0 of no task.
func (t *Task) Generation() uint64 {
	if t == nil {
		return 0
	}
	return t.t.key.generation
}

// Tasks returns what is being done now.
func (r *Runner) Tasks() map[structs.InstanceID]*Task {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[structs.InstanceID]*Task{}
	for id, in := range r.instances {
		if in.current != nil {
			all[id] = &Task{id, in.current}
		}
	}
	return all
}

// Abandon ends a task that nobody waits for any more, unless it is over, and returns when it is. It reports nothing.
func (r *Runner) Abandon(ctx context.Context, t *Task) error {
	if t == nil {
		return nil
	}
	r.mu.Lock()
	if in := r.instances[t.id]; in != nil && in.current == t.t {
		t.t.replaced = true
		t.t.cancel()
	}
	r.mu.Unlock()
	select {
	case <-t.t.done:
		return nil
	case <-ctx.Done():
		return structs.Errorf(structs.KindTimeout, "the driver does not end what it does to instance %s", t.id)
	}
}

// Event takes a guest's event. While an operation runs on the instance the event is most likely its doing: the guest is looked at when it is over.
func (r *Runner) Event(e *driver.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookSoon(structs.InstanceID(e.InstanceID))
}

// lookSoon looks in a goroutine of its own. Runner.mu is held.
func (r *Runner) lookSoon(id structs.InstanceID) {
	if in := r.instances[id]; in != nil && in.current != nil {
		in.nudged = true
		return
	}
	if r.ctx.Err() != nil {
		return
	}
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, 30*time.Second)
		defer cancel()
		if err := r.Look(ctx, id); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("cannot look at a guest that did something; reconciliation will", "instance_id", id, "error", err)
		}
	})
}

// Look asks the driver what state a guest is in and passes it on, unless something is being done to it: then it is looked at afterwards.
func (r *Runner) Look(ctx context.Context, id structs.InstanceID) error {
	r.mu.Lock()
	last, busy := r.newest(id)
	r.mu.Unlock()
	if busy {
		return nil
	}
	st, err := r.cfg.Driver.Inspect(ctx, string(id))
	r.mu.Lock()
	defer r.mu.Unlock()
	if now, busy := r.newest(id); busy || now != last {
		return nil // what was seen is of before that
	}
	if errors.Is(err, driver.ErrNotFound) {
		if last == nil || !last.removes {
			r.cfg.Missing()
		}
		return nil
	}
	if err != nil {
		return err
	}
	// With the lock held, so that what an operation that begins now reports comes after it.
	r.cfg.Sync(structs.InstanceSync{InstanceID: id, Generation: st.Generation, Power: structs.PowerState(st.Power), Reason: st.Reason})
	return nil
}

// newest returns the task that ended last, and whether one is running; it is then nudged to look when it is over. Runner.mu is held.
func (r *Runner) newest(id structs.InstanceID) (last *task, busy bool) {
	in := r.instances[id]
	if in == nil {
		return nil, false
	}
	if in.current != nil {
		in.nudged = true
	}
	return in.last, in.current != nil
}

// run does the task's steps until one fails.
func (r *Runner) run(ctx context.Context, t *task) {
	op := t.work.Operation
	if wait := time.Until(op.NotBefore.Time()); op.NotBefore != 0 && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
	if t := operation.Of(op.Kind); t != nil && t.Builds && op.Status == structs.OpRunning {
		select {
		case r.builds <- struct{}{}:
			defer func() { <-r.builds }()
		case <-ctx.Done():
			return
		}
	}
	job := &job{r: r, work: t.work, signals: t.signals}
	defer job.done()
	for i, s := range operation.Run(op) {
		attempt := 1
		if i == 0 {
			attempt = op.Attempt
		}
		o := r.attempt(ctx, job, s, attempt)
		r.mu.Lock()
		silent := t.replaced || ctx.Err() != nil
		if !silent {
			t.outcomes = append(t.outcomes, o)
		}
		r.mu.Unlock()
		if silent {
			return
		}
		r.cfg.Report(o)
		if o.Error != "" {
			return
		}
	}
}

// attempt does one step within its time. The time a build waited for its turn does not count.
func (r *Runner) attempt(ctx context.Context, j *job, s operation.Step, attempt int) structs.Outcome {
	op := j.work.Operation
	o := structs.Outcome{OperationID: op.ID, Step: s.Name, Attempt: attempt, Undo: op.Status == structs.OpUndoing, Generation: op.Generation,
		StartedAt: structs.TimeOf(time.Now())}
	sctx, cancel := context.WithTimeout(ctx, operation.Limit(op, s))
	defer cancel()
	j.data, j.found = nil, false
	power, err := steps[s.Name](sctx, j)
	o.FinishedAt, o.Power, o.Data, o.Done = structs.TimeOf(time.Now()), power, j.data, j.found
	if err != nil {
		o.Error, o.ErrorKind, o.Retryable = classify(err)
		if ctx.Err() != nil { // this process ends, or something newer came: nobody is told
			return o
		}
		r.cfg.Logger.Warn("a step failed", "operation_id", op.ID, "instance_id", op.InstanceID, "step", s.Name, "attempt", attempt, "error", err)
	}
	return o
}
