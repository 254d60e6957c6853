package operation

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// guestTables are what is done inside a guest, or to get back into it.
var guestTables = []Table{
	{
		Kind: structs.OpRescue, Action: "rescue", Event: "compute_rescue_instance", Builds: true, Allow: from(structs.VMActive, structs.VMStopped, structs.VMError),
		Steps: []Step{
			{Name: structs.StepImage, On: OnHost, Deadline: 15 * time.Minute, Retries: 2, Backoff: 2 * time.Second, Task: structs.TaskRescuing},
			{Name: structs.StepRescue, On: OnHost, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskRescuing, Needs: "Rescue"},
		},
		Done: becomes(structs.VMRescued, structs.PowerRunning),
		// Without its rescue image nothing was done to it.
		Breaks: func(op *structs.Operation, _ structs.Outcome) bool { return op.Step == structs.StepRescue },
		Advice: "Try a hard reboot; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpUnrescue, Action: "unrescue", Event: "compute_unrescue_instance", Allow: from(structs.VMRescued),
		Steps: power(structs.StepUnrescue, structs.TaskUnrescuing, "Unrescue"),
		Done:  becomes(structs.VMActive, structs.PowerRunning), Breaks: always,
		Advice: "Try a hard reboot; if that fails too, an administrator sees the cause.",
	},
	{
		Kind: structs.OpSetPassword, Action: "changePassword", Event: "compute_set_admin_password", Allow: from(structs.VMActive),
		Steps: []Step{{Name: structs.StepSetPassword, On: OnHost, Deadline: time.Minute, Task: structs.TaskUpdatingPassword, Needs: "SetAdminPassword"}},
		Done:  unchanged, Breaks: never,
	},
	{
		Kind: structs.OpCrashDump, Action: "trigger_crash_dump", Event: "compute_trigger_crash_dump",
		Allow: from(structs.VMActive, structs.VMPaused, structs.VMRescued, structs.VMResized, structs.VMError),
		Steps: []Step{{Name: structs.StepCrashDump, On: OnHost, Deadline: time.Minute, Needs: "TriggerCrashDump"}},
		Done:  unchanged, Breaks: never,
	},
}

func unchanged(*structs.Instance, *structs.Operation, structs.Outcome, structs.Time) {}
