package operation

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// becomes is the end of an operation that brings the guest to a state.
func becomes(vm structs.VMState, power structs.PowerState) func(*structs.Instance, *structs.Operation, structs.Outcome, structs.Time) {
	return func(ins *structs.Instance, _ *structs.Operation, _ structs.Outcome, _ structs.Time) {
		ins.VM, ins.Power = vm, power
	}
}

// from allows the states for an instance that has run.
func from(vm ...structs.VMState) Allow { return Allow{VM: vm, Launched: true} }

// power is the one step of an operation that changes whether the guest runs.
func power(name structs.StepName, task structs.TaskState, needs string) []Step {
	return []Step{{Name: name, On: OnHost, Deadline: 2 * time.Minute, Retries: 1, Backoff: time.Second, Task: task, Needs: needs}}
}

var powerTables = []Table{
	{
		Kind: structs.OpStart, Action: "start", Event: "compute_start_instance", Allow: from(structs.VMStopped),
		Steps: power(structs.StepStart, structs.TaskPoweringOn, ""),
		Done:  becomes(structs.VMActive, structs.PowerRunning), Breaks: never,
	},
	{
		Kind: structs.OpStop, Action: "stop", Event: "compute_stop_instance", Allow: from(structs.VMActive, structs.VMError),
		Steps: []Step{{Name: structs.StepStop, On: OnHost, Deadline: time.Minute, WaitsForGuest: true, Retries: 1, Backoff: time.Second, Task: structs.TaskPoweringOff}},
		Done:  becomes(structs.VMStopped, structs.PowerShutdown), Breaks: never,
	},
	{
		Kind: structs.OpSoftReboot, Action: "reboot", Event: "compute_reboot_instance", Allow: from(structs.VMActive),
		Steps: []Step{{Name: structs.StepReboot, On: OnHost, Deadline: 2 * time.Minute, WaitsForGuest: true, Retries: 1, Backoff: time.Second, Task: structs.TaskRebooting}},
		Done:  becomes(structs.VMActive, structs.PowerRunning),
		// While the guest still runs nothing has happened to it.
		Breaks: func(_ *structs.Operation, o structs.Outcome) bool {
			return o.Power != structs.PowerRunning && !o.HostLost
		},
		Advice: "Try a hard reboot; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpHardReboot, Action: "reboot", Event: "compute_reboot_instance",
		Allow: Allow{Launched: true,
			VM: []structs.VMState{structs.VMActive, structs.VMStopped, structs.VMPaused, structs.VMSuspended, structs.VMError},
			Tasks: []structs.TaskState{structs.TaskRebooting, structs.TaskRebootPending, structs.TaskRebootStarted, structs.TaskRebootingHard, structs.TaskResuming,
				structs.TaskUnpausing, structs.TaskPausing, structs.TaskSuspending}},
		Steps: power(structs.StepReboot, structs.TaskRebootingHard, ""),
		Done:  becomes(structs.VMActive, structs.PowerRunning), Breaks: always,
		Advice: "Try again; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpPause, Action: "pause", Event: "compute_pause_instance", Allow: from(structs.VMActive),
		Steps: power(structs.StepPause, structs.TaskPausing, "Pause"),
		Done:  becomes(structs.VMPaused, structs.PowerPaused), Breaks: never,
	},
	{
		Kind: structs.OpUnpause, Action: "unpause", Event: "compute_unpause_instance", Allow: from(structs.VMPaused),
		Steps: power(structs.StepUnpause, structs.TaskUnpausing, "Unpause"),
		Done:  becomes(structs.VMActive, structs.PowerRunning), Breaks: never,
	},
	{
		Kind: structs.OpSuspend, Action: "suspend", Event: "compute_suspend_instance", Allow: from(structs.VMActive),
		Steps: power(structs.StepSuspend, structs.TaskSuspending, "Suspend"),
		Done:  becomes(structs.VMSuspended, structs.PowerSuspended), Breaks: never,
	},
	{
		Kind: structs.OpResume, Action: "resume", Event: "compute_resume_instance", Allow: from(structs.VMSuspended),
		Steps: power(structs.StepResume, structs.TaskResuming, "Resume"),
		Done:  becomes(structs.VMActive, structs.PowerRunning), Breaks: always,
		Advice: "Try a hard reboot; what was in the guest's memory is lost then.",
	},
}
