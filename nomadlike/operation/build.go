package operation

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// buildTables are how instances come and go.
var buildTables = []Table{
	{
		Kind: structs.OpBuild, Action: "create", Event: "compute__do_build_and_run_instance", Builds: true,
		Steps: []Step{
			{Name: structs.StepPlace, On: OnServer, Deadline: time.Minute, Retries: 1, Task: structs.TaskScheduling},
			{Name: structs.StepImage, On: OnHost, Deadline: 15 * time.Minute, Retries: 2, Backoff: 2 * time.Second, Elsewhere: true, Task: structs.TaskBlockDevices},
			{Name: structs.StepSpawn, On: OnHost, Undo: structs.StepDestroy, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true, Task: structs.TaskSpawning},
		},
		Done: func(ins *structs.Instance, _ *structs.Operation, _ structs.Outcome, now structs.Time) {
			ins.VM, ins.Power, ins.LaunchedAt = structs.VMActive, structs.PowerRunning, now
		},
		Breaks: always,
		Advice: "Delete the instance and create it again; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpDelete, Action: "delete", Event: "compute_terminate_instance", Allow: Allow{AnyTask: true},
		Steps: []Step{
			{Name: structs.StepDestroy, On: OnHost, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second, Task: structs.TaskDeleting, LostOK: true},
			{Name: structs.StepForget, On: OnSource, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second, Task: structs.TaskDeleting, LostOK: true},
		},
		Breaks: always,
		Advice: "Delete it again; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpSoftDelete, Action: "delete", Event: "compute_soft_delete_instance", Allow: Allow{AnyTask: true, Launched: true},
		Steps: []Step{
			{Name: structs.StepPowerOff, On: OnHost, Deadline: time.Minute, WaitsForGuest: true, Retries: 1, Backoff: time.Second, Task: structs.TaskSoftDeleting},
			{Name: structs.StepForget, On: OnSource, LostOK: true, Spare: true, Deadline: 2 * time.Minute, Retries: 2, Backoff: time.Second, Task: structs.TaskSoftDeleting},
		},
		Done: func(ins *structs.Instance, _ *structs.Operation, _ structs.Outcome, now structs.Time) {
			ins.VM, ins.Power, ins.DeletedAt = structs.VMSoftDeleted, structs.PowerShutdown, now
		},
		Breaks: never,
	},
	{
		Kind: structs.OpRestore, Action: "restore", Event: "compute_restore_instance", Allow: from(structs.VMSoftDeleted),
		Steps: power(structs.StepStart, structs.TaskRestoring, ""),
		Done: func(ins *structs.Instance, _ *structs.Operation, _ structs.Outcome, _ structs.Time) {
			ins.VM, ins.Power, ins.DeletedAt = structs.VMActive, structs.PowerRunning, 0
		},
		Breaks: never,
	},
	{
		Kind: structs.OpRebuild, Action: "rebuild", Event: "compute_rebuild_instance", Builds: true,
		Allow: Allow{VM: []structs.VMState{structs.VMActive, structs.VMStopped, structs.VMError}, Launched: true},
		Steps: []Step{
			{Name: structs.StepImage, On: OnHost, Deadline: 15 * time.Minute, Retries: 2, Backoff: 2 * time.Second, Task: structs.TaskRebuilding},
			{Name: structs.StepRebuild, On: OnHost, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskRebuildSpawning, Needs: "Rebuild"},
		},
		Done: func(ins *structs.Instance, op *structs.Operation, _ structs.Outcome, now structs.Time) {
			ins.VM, ins.Power, ins.LaunchedAt = structs.VMActive, structs.PowerRunning, now
			if op.Args.PriorVM == structs.VMStopped {
				ins.VM, ins.Power = structs.VMStopped, structs.PowerShutdown
			}
		},
		Breaks: always,
		Advice: "Rebuild it again; if that fails too, an administrator sees the cause.",
	},
}
