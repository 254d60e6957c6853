package operation

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// shelveTables put an instance's disk into an image, take it off its host and bring it back, perhaps elsewhere.
var shelveTables = []Table{
	{
		Kind: structs.OpShelve, Action: "shelve", Event: "compute_shelve_instance", Builds: true,
		Allow: from(structs.VMActive, structs.VMStopped, structs.VMPaused, structs.VMSuspended),
		Steps: []Step{
			{Name: structs.StepPowerOff, On: OnHost, Deadline: time.Minute, WaitsForGuest: true, Retries: 1, Backoff: time.Second, Task: structs.TaskShelving},
			{Name: structs.StepSnapshot, On: OnHost, Deadline: 20 * time.Minute, Retries: 1, Backoff: time.Second, Task: structs.TaskShelving, Needs: "Snapshot"},
			{Name: structs.StepUpload, On: OnHost, Deadline: time.Hour, Retries: 3, Backoff: 5 * time.Second, Task: structs.TaskShelvingUploading},
		},
		Done: func(ins *structs.Instance, op *structs.Operation, _ structs.Outcome, _ structs.Time) {
			ins.VM, ins.Power, ins.ShelvedImageID = structs.VMShelved, structs.PowerShutdown, op.Args.NewImageID
		},
		Breaks: never,
	},
	{
		Kind: structs.OpShelveOffload, Action: "shelveOffload", Event: "compute_shelve_offload_instance", Releases: true, Allow: from(structs.VMShelved),
		Steps: []Step{{Name: structs.StepDestroy, On: OnHost, Deadline: 2 * time.Minute, Retries: 5, Backoff: 5 * time.Second, Task: structs.TaskShelvingOffload}},
		Done:  becomes(structs.VMShelvedOffloaded, structs.PowerNoState), Breaks: never,
	},
	{
		Kind: structs.OpUnshelveHere, Action: "unshelve", Event: "compute_unshelve_instance", Allow: from(structs.VMShelved),
		Steps: power(structs.StepStart, structs.TaskUnshelving, ""),
		Done:  becomes(structs.VMActive, structs.PowerRunning), Breaks: never,
	},
	{
		Kind: structs.OpUnshelve, Action: "unshelve", Event: "compute_unshelve_instance", Builds: true, Allow: from(structs.VMShelvedOffloaded),
		Steps: []Step{
			{Name: structs.StepPlace, On: OnServer, Deadline: time.Minute, Retries: 1, Task: structs.TaskUnshelving},
			{Name: structs.StepImage, On: OnHost, Deadline: 15 * time.Minute, Retries: 2, Backoff: 2 * time.Second, Elsewhere: true, Task: structs.TaskUnshelving},
			{Name: structs.StepSpawn, On: OnHost, Undo: structs.StepDestroy, Deadline: 5 * time.Minute, Retries: 1, Backoff: time.Second, Elsewhere: true, Task: structs.TaskSpawning},
		},
		Done: becomes(structs.VMActive, structs.PowerRunning),
		// Something of it may be left on a host that is lost, or whose driver could not take it back.
		Breaks: func(op *structs.Operation, o structs.Outcome) bool {
			return o.HostLost || op.Status == structs.OpUndoing && o.Error != ""
		},
		Advice: "Delete the instance; its disk is kept as an image until then.",
	},
}
