package operation

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// cold are the steps that take an instance to another host or flavor with its guest switched off. The guest stays behind on the source, off, until the
// migration is confirmed; where source and destination are one host, its flavor is changed there.
func cold(k structs.OperationKind, action, event string, as structs.MigrationType, needsOne ...string) Table {
	return Table{
		NeedsOne: needsOne,
		Kind:     k, Action: action, Event: event, Builds: true, Moves: as, MigrationDone: structs.MigrationFinished, Allow: from(structs.VMActive, structs.VMStopped),
		Steps: []Step{
			{Name: structs.StepPlace, On: OnServer, Deadline: time.Minute, Retries: 1, Task: structs.TaskResizePrep, Migration: structs.MigrationPreMigrating},
			{Name: structs.StepPowerOff, On: OnSource, Undo: structs.StepReturn, Deadline: time.Minute, WaitsForGuest: true, Retries: 1, Backoff: time.Second,
				Task: structs.TaskResizeMigrating, Migration: structs.MigrationMigrating},
			{Name: structs.StepExport, On: OnSource, Deadline: time.Hour, Retries: 1, Backoff: 5 * time.Second, Task: structs.TaskResizeMigrating},
			{Name: structs.StepImport, On: OnDest, Undo: structs.StepDiscard, Deadline: time.Hour, Retries: 2, Backoff: 5 * time.Second,
				Task: structs.TaskResizeMigrated, Migration: structs.MigrationPostMigrating},
			{Name: structs.StepBoot, On: OnDest, Owns: OnDest, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskResizeFinish},
		},
		Done: func(ins *structs.Instance, op *structs.Operation, _ structs.Outcome, now structs.Time) {
			ins.VM, ins.Power, ins.LaunchedAt = structs.VMResized, ranBefore(op.Args.PriorVM), now
		},
		Breaks: notReturned,
		Advice: "Try a hard reboot; if that fails too, an administrator sees the cause.",
	}
}

// ranBefore is the power of a guest that goes on as it was.
func ranBefore(prior structs.VMState) structs.PowerState {
	if prior == structs.VMStopped {
		return structs.PowerShutdown
	}
	return structs.PowerRunning
}

// notReturned reports whether a move that was given up could not switch the guest on again where it was.
func notReturned(op *structs.Operation, o structs.Outcome) bool {
	return op.Status == structs.OpUndoing && op.Step == structs.StepReturn && o.Error != "" && !o.HostLost
}

// migrateTables take instances from host to host.
var migrateTables = []Table{
	cold(structs.OpResize, "resize", "compute_resize_instance", structs.MigrationResize, "ExportDisks", "Resize"),
	cold(structs.OpMigrate, "migrate", "compute_resize_instance", structs.MigrationCold, "ExportDisks"),
	{
		Kind: structs.OpConfirmResize, Action: "confirmResize", Event: "compute_confirm_resize", Ends: true, MigrationDone: structs.MigrationConfirmed,
		Allow: from(structs.VMResized),
		Steps: []Step{{Name: structs.StepForget, On: OnSource, LostOK: true, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second, Migration: structs.MigrationConfirming}},
		Done: func(ins *structs.Instance, _ *structs.Operation, _ structs.Outcome, _ structs.Time) {
			ins.VM = structs.VMActive
			if ins.Power == structs.PowerShutdown {
				ins.VM = structs.VMStopped
			}
		},
		Breaks: never,
	},
	{
		Kind: structs.OpRevertResize, Action: "revertResize", Event: "compute_revert_resize", Ends: true, MigrationDone: structs.MigrationReverted,
		Allow: from(structs.VMResized),
		Steps: []Step{
			{Name: structs.StepDiscard, On: OnDest, Owns: OnSource, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second,
				Task: structs.TaskResizeReverting, Migration: structs.MigrationReverting},
			{Name: structs.StepReturn, On: OnSource, Deadline: 5 * time.Minute, Retries: 2, Backoff: time.Second, Task: structs.TaskResizeReverting},
		},
		Done: func(ins *structs.Instance, op *structs.Operation, o structs.Outcome, now structs.Time) {
			ins.VM, ins.Power, ins.LaunchedAt = structs.VMActive, o.Power, now
			if o.Power == structs.PowerShutdown {
				ins.VM = structs.VMStopped
			}
		},
		Breaks: func(op *structs.Operation, _ structs.Outcome) bool { return op.OwnerID != "" },
		Advice: "Try a hard reboot; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpLiveMigrate, Action: "os-migrateLive", Event: "compute_live_migration", Moves: structs.MigrationLive, MigrationDone: structs.MigrationCompleted,
		Allow: from(structs.VMActive, structs.VMPaused),
		Steps: []Step{
			{Name: structs.StepPlace, On: OnServer, Deadline: time.Minute, Retries: 1, Task: structs.TaskMigrating, Migration: structs.MigrationQueued},
			{Name: structs.StepCheckDestination, On: OnDest, Deadline: time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true, Task: structs.TaskMigrating,
				Migration: structs.MigrationPreparing},
			{Name: structs.StepCheckSource, On: OnSource, Deadline: time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true, Task: structs.TaskMigrating,
				Needs: "LiveMigrate"},
			{Name: structs.StepPrepare, On: OnDest, Undo: structs.StepRollback, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true,
				Task: structs.TaskMigrating},
			{Name: structs.StepMigrate, On: OnSource, Undo: structs.StepHalt, Owns: OnDest, Deadline: time.Hour, Task: structs.TaskMigrating,
				Migration: structs.MigrationRunning},
			{Name: structs.StepArrive, On: OnDest, Deadline: 2 * time.Minute, Retries: 5, Backoff: time.Second, Task: structs.TaskMigrating,
				Migration: structs.MigrationPostMigrating},
		},
		Done: func(ins *structs.Instance, _ *structs.Operation, o structs.Outcome, _ structs.Time) {
			if o.Power != structs.PowerNoState {
				ins.Power = o.Power
			}
		},
		// The guest has gone to a host that could not take it for its own.
		Breaks: func(op *structs.Operation, o structs.Outcome) bool { return op.OwnerID != "" && !o.HostLost },
		Advice: "Try a hard reboot; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpEvacuate, Action: "evacuate", Event: "compute_rebuild_instance", Builds: true, Moves: structs.MigrationEvacuation,
		MigrationDone: structs.MigrationDone, FromDown: true,
		Allow: Allow{VM: []structs.VMState{structs.VMActive, structs.VMStopped, structs.VMError}, AnyTask: true, Launched: true, NoLock: true},
		Steps: []Step{
			{Name: structs.StepPlace, On: OnServer, Deadline: time.Minute, Retries: 1, Task: structs.TaskRebuilding, Migration: structs.MigrationAccepted},
			{Name: structs.StepImage, On: OnDest, Deadline: 15 * time.Minute, Retries: 2, Backoff: 2 * time.Second, Elsewhere: true, Task: structs.TaskRebuilding,
				Migration: structs.MigrationPreMigrating},
			{Name: structs.StepSpawn, On: OnDest, Undo: structs.StepDiscard, Owns: OnDest, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true,
				Task: structs.TaskRebuildSpawning},
			{Name: structs.StepForget, On: OnSource, LostOK: true, Spare: true, Deadline: 2 * time.Minute, Retries: 2, Backoff: time.Second,
				Task: structs.TaskRebuildSpawning},
		},
		Done: func(ins *structs.Instance, op *structs.Operation, _ structs.Outcome, now structs.Time) {
			ins.VM, ins.Power, ins.LaunchedAt = structs.VMActive, structs.PowerRunning, now
			if op.Args.StayOff || op.Args.PriorVM == structs.VMStopped {
				ins.VM, ins.Power = structs.VMStopped, structs.PowerShutdown
			}
		},
		// As in Nova: its host is down, and it has found no other.
		Breaks: always,
		Advice: "Evacuate it again once there is a host for it, or start its own host again; an administrator sees the cause.",
	},
}
