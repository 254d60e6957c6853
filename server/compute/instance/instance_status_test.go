package instance

import (
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestStatusTable has the rows of Nova's table (_STATE_MAP in nova/api/openstack/common.py) that are not a vm_state's default.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	for want, pairs := range map[string][][2]string{
		"REBOOT": {{"active", "rebooting"}, {"active", "reboot_started"}}, "HARD_REBOOT": {{"active", "rebooting_hard"}, {"active", "reboot_pending_hard"}},
		"PASSWORD": {{"active", "updating_password"}}, "MIGRATING": {{"active", "migrating"}, {"paused", "migrating"}}, "RESIZE": {{"active", "resize_prep"}, {"stopped",
			"resize_finish"}},
		"REBUILD": {{"active", "rebuilding"}, {"stopped", "rebuild_spawning"}, {"error", "rebuilding"}}, "REVERT_RESIZE": {{"resized", "resize_reverting"}},
		"ACTIVE": {{"active", ""}, {"active", "powering-off"}}, "BUILD": {{"building", "spawning"}}, "SHUTOFF": {{"stopped", "powering-on"}}, "ERROR": {{"error", "deleting"}},
		"RESCUE": {{"rescued", ""}}, "SHELVED_OFFLOADED": {{"shelved_offloaded", ""}}, "SOFT_DELETED": {{"soft-delete", ""}}, "UNKNOWN": {{"dreaming", ""}},
		"VERIFY_RESIZE": {{"resized", ""}}} {
		for _, p := range pairs {
			if got := statusOf(structs.VMState(p[0]), structs.TaskState(p[1])); got != want {
				t.Errorf("%s/%s is %s, want %s", p[0], p[1], got, want)
			}
		}
	}
	for vm, row := range statuses {
		for task, status := range row {
			vms, tasks, byDefault := statesOf([]string{strings.ToLower(status)})
			found := false
			for _, v := range vms {
				found = found || v == vm
			}
			if !found || task != "" && !byDefault && len(tasks) == 0 {
				t.Errorf("%s does not lead back to %s/%s", status, vm, task)
			}
		}
	}
}
