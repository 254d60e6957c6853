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
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Place says who does a step.
type Place uint8

// Places.
const (
	OnServer Place = iota // the scheduler or the state machine itself
	OnHost                // the client of the operation's host
)

// Step is one line of an operation's table.
type Step struct {
	Name structs.StepName
	On   Place
	// Undo is the host step that takes back what this one did or may have half done; "" when nothing is left by it.
	Undo structs.StepName
	// Deadline bounds one attempt. For a step that waits for the guest, the operation's own timeout is added.
	Deadline time.Duration
	// Retries is how often the step is tried again on the same host when it failed retryably, Backoff apart.
	Retries int
	Backoff time.Duration
	// Elsewhere lets the operation go on with another host when this one failed: undo, then place again.
	Elsewhere bool
	// Task is what the API shows as task_state meanwhile.
	Task structs.TaskState
}

// MaxPlacements is on how many hosts a build is tried, as Nova's [scheduler]max_attempts.
const MaxPlacements = 3

// DefaultStopTimeout is how long a guest may take to shut down by itself before its power is cut, when the request does not say.
// Nova's default is 60 s with a question every 10 s.
const DefaultStopTimeout = 60 * time.Second

// undoStep is how undoing steps run: they must not give up easily, or something is left behind.
var undoStep = Step{Name: structs.StepDestroy, On: OnHost, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second}

var tables = map[structs.OperationKind][]Step{
	structs.OpBuild: {
		{Name: structs.StepPlace, On: OnServer, Deadline: time.Minute, Retries: 1, Task: structs.TaskScheduling},
		{Name: structs.StepImage, On: OnHost, Deadline: 15 * time.Minute, Retries: 2, Backoff: 2 * time.Second, Elsewhere: true, Task: structs.TaskBlockDevices},
		{Name: structs.StepSpawn, On: OnHost, Undo: structs.StepDestroy, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true, Task: structs.TaskSpawning},
	},
	structs.OpDelete: {
		{Name: structs.StepDestroy, On: OnHost, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second, Task: structs.TaskDeleting},
	},
	structs.OpStart: {
		{Name: structs.StepStart, On: OnHost, Deadline: 2 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskPoweringOn},
	},
	structs.OpStop: {
		{Name: structs.StepStop, On: OnHost, Deadline: time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskPoweringOff},
	},
	structs.OpSoftReboot: {
		{Name: structs.StepReboot, On: OnHost, Deadline: 2 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskRebooting},
	},
	structs.OpHardReboot: {
		{Name: structs.StepReboot, On: OnHost, Deadline: 2 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskRebootingHard},
	},
}

// Steps returns the table of a kind; nil for one that does not exist. The slice is not to be changed.
func Steps(k structs.OperationKind) []Step { return tables[k] }

// Kinds returns every kind that has a table.
func Kinds() []structs.OperationKind {
	return []structs.OperationKind{structs.OpBuild, structs.OpDelete, structs.OpStart, structs.OpStop, structs.OpSoftReboot, structs.OpHardReboot}
}

// Lookup returns the step that the operation is at. While it undoes, that is the undoing step.
func Lookup(op *structs.Operation) (Step, bool) {
	if op.Status == structs.OpUndoing {
		return undoStep, op.Step == undoStep.Name
	}
	i := position(op)
	if i < 0 {
		return Step{}, false
	}
	return tables[op.Kind][i], true
}

func position(op *structs.Operation) int {
	for i, s := range tables[op.Kind] {
		if s.Name == op.Step {
			return i
		}
	}
	return -1
}

// Run returns the steps that a host does for the operation from its present step on: the longest stretch of host steps.
func Run(op *structs.Operation) []Step {
	if op.Status == structs.OpUndoing {
		return []Step{undoStep}
	}
	i := position(op)
	if i < 0 || op.Status != structs.OpRunning {
		return nil
	}
	steps := tables[op.Kind][i:]
	n := 0
	for n < len(steps) && steps[n].On == OnHost {
		n++
	}
	return steps[:n]
}

// StopTimeout is how long the guest may take to shut down by itself in this operation.
func StopTimeout(op *structs.Operation) time.Duration {
	if op.Args.StopTimeout > 0 {
		return time.Duration(op.Args.StopTimeout) * time.Second
	}
	return DefaultStopTimeout
}

func deadline(op *structs.Operation, s Step, from structs.Time) structs.Time {
	d := s.Deadline
	if s.Name == structs.StepStop || op.Kind == structs.OpSoftReboot {
		d += StopTimeout(op)
	}
	return from.Add(d)
}
