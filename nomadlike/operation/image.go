package operation

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// snapshot are the steps that make an image of the root disk. The upload begins at its beginning again when it broke off: a large disk takes long.
func snapshot(task structs.TaskState) []Step {
	return []Step{
		{Name: structs.StepSnapshot, On: OnHost, Deadline: 20 * time.Minute, Retries: 1, Backoff: time.Second, Task: task, Needs: "Snapshot"},
		{Name: structs.StepUpload, On: OnHost, Deadline: time.Hour, Retries: 3, Backoff: 5 * time.Second, Task: structs.TaskImageUploading},
	}
}

var imageStates = Allow{Launched: true, NoLock: true, VM: []structs.VMState{structs.VMActive, structs.VMStopped, structs.VMPaused, structs.VMSuspended}}

// imageTables make images of instances, which go on as they are whatever happens.
var imageTables = []Table{
	{
		Kind: structs.OpSnapshot, Action: "createImage", Event: "compute_snapshot_instance", Builds: true, Allow: imageStates,
		Steps: snapshot(structs.TaskImageSnapshotPending), Done: unchanged, Breaks: never,
	},
	{
		Kind: structs.OpBackup, Action: "createBackup", Event: "compute_backup_instance", Builds: true, Allow: imageStates,
		Steps: snapshot(structs.TaskImageBackup), Done: unchanged, Breaks: never,
	},
}
