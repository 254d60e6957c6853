package instance

import (
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// statuses is Nova's table from vm_state and task_state to the API's status (_STATE_MAP in nova/api/openstack/common.py). The empty task state is the row's default.
var statuses = map[structs.VMState]map[structs.TaskState]string{
	structs.VMActive: {"": "ACTIVE",
		"rebooting": "REBOOT", "reboot_pending": "REBOOT", "reboot_started": "REBOOT",
		"rebooting_hard": "HARD_REBOOT", "reboot_pending_hard": "HARD_REBOOT", "reboot_started_hard": "HARD_REBOOT",
		"updating_password": "PASSWORD", "migrating": "MIGRATING",
		"rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD", "rebuild_spawning": "REBUILD",
		"resize_prep": "RESIZE", "resize_migrating": "RESIZE", "resize_migrated": "RESIZE", "resize_finish": "RESIZE"},
	structs.VMBuilding: {"": "BUILD"},
	structs.VMStopped: {"": "SHUTOFF",
		"resize_prep": "RESIZE", "resize_migrating": "RESIZE", "resize_migrated": "RESIZE", "resize_finish": "RESIZE",
		"rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD", "rebuild_spawning": "REBUILD"},
	structs.VMResized:   {"": "VERIFY_RESIZE", "resize_reverting": "REVERT_RESIZE"},
	structs.VMPaused:    {"": "PAUSED", "migrating": "MIGRATING"},
	structs.VMSuspended: {"": "SUSPENDED"},
	structs.VMRescued:   {"": "RESCUE"},
	structs.VMError: {"": "ERROR",
		"rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD", "rebuild_spawning": "REBUILD"},
	structs.VMDeleted:          {"": "DELETED"},
	structs.VMSoftDeleted:      {"": "SOFT_DELETED"},
	structs.VMShelved:          {"": "SHELVED"},
	structs.VMShelvedOffloaded: {"": "SHELVED_OFFLOADED"},
}

// statusOf returns the API's status.
func statusOf(vm structs.VMState, task structs.TaskState) string {
	row, ok := statuses[vm]
	if !ok {
		return "UNKNOWN"
	}
	if s, ok := row[task]; ok {
		return s
	}
	return row[""]
}

// statesOf is the reverse for the status filter, letter case ignored: all matching vm_states and task_states. byDefault says that a vm_state's
// default is among them, so that task_state does not filter.
func statesOf(names []string) (vms []structs.VMState, tasks []structs.TaskState, byDefault bool) {
	for vm, row := range statuses {
		for task, status := range row {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, status) }) {
				continue
			}
			if !slices.Contains(vms, vm) {
				vms = append(vms, vm)
			}
			if task == "" {
				byDefault = true
			} else if !slices.Contains(tasks, task) {
				tasks = append(tasks, task)
			}
		}
	}
	return vms, tasks, byDefault
}

// showsProgress and showsFault say with which status those fields appear, as in Nova's view of a server.
func showsProgress(status string) bool {
	switch status {
	case "ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING":
		return true
	}
	return false
}

func showsFault(status string) bool { return status == "ERROR" || status == "DELETED" }
