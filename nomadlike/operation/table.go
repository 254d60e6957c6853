// Package operation knows what every instance operation consists of: its steps in their order, and for each step where
// it runs, what undoes it, how long it may take and when it is tried again. Next moves an operation on; it is a pure
// function that the state machine applies to every reported outcome, so that every server takes the same decision.
//
// A step is recorded before it is done: it is in the operation's record, committed, before any host or scheduler is
// handed it. Consecutive host steps are handed to the host as one run, recorded at the run's beginning; every host step
// is idempotent by operation id, so that a run begins again at its recorded step whenever the host's client, its driver
// or the leader was lost in the middle.
package operation

import (
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Place says who does a step.
type Place uint8

// Places.
const (
	OnServer Place = iota // the scheduler or the state machine itself
	OnHost                // the client of the host that the instance is on
	OnSource              // the client of the host that it leaves, or that it also is on; skipped where there is none
	OnDest                // the client of the host that it goes to
)

// Step is one line of an operation's table.
type Step struct {
	Name structs.StepName
	On   Place
	// Undo is the host step that takes back what this one did or may have half done; "" when nothing is left by it.
	Undo structs.StepName
	// Owns says that the instance is on that host once the step is done. What fails afterwards does not bring it back.
	Owns Place
	// LostOK says that the step counts as done when its host is lost: what was to be removed there is removed when the host is back.
	LostOK bool
	// Spare says that the operation goes on when the step has failed: what is left is cleaned up by the host's next reconciliation.
	Spare bool
	// Deadline bounds one attempt.
	Deadline time.Duration
	// WaitsForGuest adds the time that the operation gives the guest to shut down by itself.
	WaitsForGuest bool
	// Retries is how often the step is tried again on the same host when it failed retryably, Backoff apart.
	Retries int
	Backoff time.Duration
	// Elsewhere lets the operation go on with another host when this one failed: undo, then place again.
	Elsewhere bool
	// Task is what the API shows as task_state meanwhile, and Migration the status of the operation's migration; "" leaves it.
	Task      structs.TaskState
	Migration structs.MigrationStatus
	// Needs is the optional method of the driver contract that the step calls; a host whose driver lacks it is refused the operation before it begins.
	Needs string
}

// Table is all that the cluster knows of a kind of operation. There is one for each kind, in the file of its family; a new kind is a new table, its steps in
// client/runner, and a row of the API.
type Table struct {
	Kind structs.OperationKind
	// Action is Nova's word for it, in refusals and in the list of an instance's actions; Event is what Nova's compute service calls its part.
	Action, Event string
	Allow         Allow
	Steps         []Step
	// Done is what success makes of the instance, a copy that it may change. The operation's end itself (no task, no fault) is done already.
	Done func(ins *structs.Instance, op *structs.Operation, o structs.Outcome, now structs.Time)
	// Breaks reports whether an instance whose operation was given up is in error; else it keeps the state that it had.
	Breaks func(op *structs.Operation, o structs.Outcome) bool
	// Builds says that it costs a host as much as a build: only so many go on at once.
	Builds bool
	// Releases says that success takes the instance off its host: the claim is given back.
	Releases bool
	// Moves makes a record of the type for an instance that goes to another host or flavor; "" makes none. MigrationDone is what success makes of the
	// open migration, be it the operation's own or an earlier one's.
	Moves         structs.MigrationType
	MigrationDone structs.MigrationStatus
	// Ends says that the operation is about an earlier migration, which is finished and waits to be confirmed or reverted.
	Ends bool
	// NeedsOne are methods of the driver contract of which the instance's host must have one; see Step.Needs.
	NeedsOne []string
	// FromDown says that the instance's host must be down, where others need it up.
	FromDown bool
	// Advice is what a user can do when it failed; "" where Breaks never holds.
	Advice string
}

// Allow is a row of Nova's table of the states in which an operation may begin (nova/compute/api.py, check_instance_state).
type Allow struct {
	VM       []structs.VMState   // empty: any
	Tasks    []structs.TaskState // besides none
	AnyTask  bool
	Launched bool // the instance must have run once
	NoLock   bool // a lock does not matter
}

// Check says why the operation may not begin on the instance, in Nova's words; nil when it may.
func (t *Table) Check(ins *structs.Instance) error {
	refuse := func(what string, value any) error {
		return structs.Errorf(structs.KindConflict, "Cannot '%s' instance %s while it is in %s %v", t.Action, ins.ID, what, value)
	}
	if len(t.Allow.VM) > 0 && !slices.Contains(t.Allow.VM, ins.VM) {
		return refuse("vm_state", ins.VM)
	}
	if ins.Task != structs.TaskNone && !t.Allow.AnyTask && !slices.Contains(t.Allow.Tasks, ins.Task) {
		return refuse("task_state", ins.Task)
	}
	if t.Allow.Launched && ins.LaunchedAt.IsZero() {
		return refuse("launched_at", "None")
	}
	return nil
}

// Lacks names what a host's driver would need for the operation and does not have; "" is nothing. A driver that did not say what it has is believed.
func (t *Table) Lacks(methods []string) string {
	if methods == nil {
		return ""
	}
	for _, s := range t.Steps {
		if s.Needs != "" && s.On != OnDest && !slices.Contains(methods, s.Needs) {
			return s.Needs
		}
	}
	if len(t.NeedsOne) > 0 && !slices.ContainsFunc(t.NeedsOne, func(m string) bool { return slices.Contains(methods, m) }) {
		return strings.Join(t.NeedsOne, " or ")
	}
	return ""
}

func never(*structs.Operation, structs.Outcome) bool  { return false }
func always(*structs.Operation, structs.Outcome) bool { return true }

// MaxPlacements is on how many hosts a build is tried, as Nova's [scheduler]max_attempts.
const MaxPlacements = 3

// DefaultStopTimeout is how long a guest may take to shut down by itself before its power is cut, when the request does not say.
// Nova's default is 60 s with a question every 10 s.
const DefaultStopTimeout = 60 * time.Second

// undoSteps are how undoing steps run: they must not give up easily, or something is left behind.
var undoSteps = map[structs.StepName]Step{
	structs.StepDestroy:  {Name: structs.StepDestroy, On: OnHost, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second},
	structs.StepReturn:   {Name: structs.StepReturn, On: OnSource, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second},
	structs.StepDiscard:  {Name: structs.StepDiscard, On: OnDest, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second},
	structs.StepRollback: {Name: structs.StepRollback, On: OnDest, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second},
	structs.StepHalt:     {Name: structs.StepHalt, On: OnSource, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second},
}

// all is every table, in the order in which Kinds lists them.
var all = slices.Concat(buildTables, powerTables, guestTables, imageTables, shelveTables, migrateTables)

var tables = func() map[structs.OperationKind]*Table {
	m := map[structs.OperationKind]*Table{}
	for i := range all {
		m[all[i].Kind] = &all[i]
	}
	return m
}()

// Places reports whether an operation of the kind begins with finding a host.
func Places(k structs.OperationKind) bool {
	steps := Steps(k)
	return len(steps) > 0 && steps[0].Name == structs.StepPlace
}

// Of returns the table of a kind; nil for one that does not exist. It is not to be changed.
func Of(k structs.OperationKind) *Table { return tables[k] }

// Steps returns the steps of a kind; nil for one that does not exist. The slice is not to be changed.
func Steps(k structs.OperationKind) []Step {
	if t := tables[k]; t != nil {
		return t.Steps
	}
	return nil
}

// Kinds returns every kind that has a table; the first is the build.
func Kinds() []structs.OperationKind {
	kinds := make([]structs.OperationKind, len(all))
	for i := range all {
		kinds[i] = all[i].Kind
	}
	return kinds
}

// Lookup returns the step that the operation is at. While it undoes, that is the undoing step.
func Lookup(op *structs.Operation) (Step, bool) {
	if op.Status == structs.OpUndoing {
		s, ok := undoSteps[op.Step]
		return s, ok
	}
	i := position(op)
	if i < 0 {
		return Step{}, false
	}
	return Steps(op.Kind)[i], true
}

func position(op *structs.Operation) int {
	return slices.IndexFunc(Steps(op.Kind), func(s Step) bool { return s.Name == op.Step })
}

// Run returns the steps that a host does for the operation from its present step on: the longest stretch of host steps.
func Run(op *structs.Operation) []Step {
	if op.Status == structs.OpUndoing {
		if s, ok := undoSteps[op.Step]; ok {
			return []Step{s}
		}
		return nil
	}
	i := position(op)
	if i < 0 || op.Status != structs.OpRunning {
		return nil
	}
	steps := Steps(op.Kind)[i:]
	n := 0
	for n < len(steps) && steps[n].On != OnServer && steps[n].On == steps[0].On {
		n++
	}
	return steps[:n]
}

// Moves reports whether operations of the kind take an instance that has a host to another one.
func Moves(k structs.OperationKind) bool {
	t := tables[k]
	return t != nil && t.Moves != ""
}

// HostOf is the host where the step is done; "" is none.
func HostOf(op *structs.Operation, s Step) structs.HostID {
	switch s.On {
	case OnSource:
		return op.SourceID
	case OnDest:
		return op.DestID
	case OnHost:
		return op.HostID
	}
	return ""
}

// MigrationFailed is what becomes of the migration of an operation that was given up.
func MigrationFailed(op *structs.Operation) structs.MigrationStatus {
	t := tables[op.Kind]
	switch {
	case op.Signal == structs.SignalAbort:
		return structs.MigrationCancelled
	case t.Ends && op.OwnerID == "": // it can be tried again
		return structs.MigrationFinished
	case t.Moves == structs.MigrationLive && slices.ContainsFunc(op.History, func(r structs.StepRecord) bool { return r.Step == structs.StepPrepare }):
		return structs.MigrationFailed
	}
	return structs.MigrationError
}

// StopTimeout is how long the guest may take to shut down by itself in this operation.
func StopTimeout(op *structs.Operation) time.Duration {
	if op.Args.StopTimeout > 0 {
		return time.Duration(op.Args.StopTimeout) * time.Second
	}
	return DefaultStopTimeout
}

// Limit is how long one attempt at the step may take.
func Limit(op *structs.Operation, s Step) time.Duration {
	if s.WaitsForGuest {
		return s.Deadline + StopTimeout(op)
	}
	return s.Deadline
}

// ImageOf is the image that the operation needs on its host; "" is none.
func ImageOf(op *structs.Operation, ins *structs.Instance) structs.ImageID {
	if op.Args.ImageID != "" {
		return op.Args.ImageID
	}
	if slices.ContainsFunc(Steps(op.Kind), func(s Step) bool { return s.Name == structs.StepImage }) {
		return ins.ImageID
	}
	return ""
}
