package operation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// allowed is Nova's table of the states in which an operation may begin (the decorators of nova/compute/api.py), written down a second time.
var allowed = map[structs.OperationKind]struct{ vm, tasks string }{
	structs.OpDelete:      {"any", "any"},
	structs.OpSoftDelete:  {"any", "any"},
	structs.OpRestore:     {"soft-delete", ""},
	structs.OpStart:       {"stopped", ""},
	structs.OpStop:        {"active error", ""},
	structs.OpSoftReboot:  {"active", ""},
	structs.OpHardReboot:  {"active stopped paused suspended error", "rebooting reboot_pending reboot_started rebooting_hard resuming unpausing pausing suspending"},
	structs.OpPause:       {"active", ""},
	structs.OpUnpause:     {"paused", ""},
	structs.OpSuspend:     {"active", ""},
	structs.OpResume:      {"suspended", ""},
	structs.OpRescue:      {"active stopped error", ""},
	structs.OpUnrescue:    {"rescued", ""},
	structs.OpSetPassword: {"active", ""},
	structs.OpCrashDump:   {"active paused rescued resized error", ""},
	structs.OpRebuild:     {"active stopped error", ""},
	structs.OpSnapshot:    {"active stopped paused suspended", ""},
	structs.OpBackup:      {"active stopped paused suspended", ""},

	structs.OpShelve:        {"active stopped paused suspended", ""},
	structs.OpShelveOffload: {"shelved", ""},
	structs.OpUnshelve:      {"shelved_offloaded", ""},
	structs.OpUnshelveHere:  {"shelved", ""},

	structs.OpResize:        {"active stopped", ""},
	structs.OpMigrate:       {"active stopped", ""},
	structs.OpConfirmResize: {"resized", ""},
	structs.OpRevertResize:  {"resized", ""},
	structs.OpLiveMigrate:   {"active paused", ""},
	structs.OpEvacuate:      {"active stopped error", "any"},
}

var vmStates = strings.Fields("building active paused suspended stopped rescued resized soft-delete error shelved shelved_offloaded")

var taskStates = strings.Fields("scheduling networking block_device_mapping spawning image_snapshot updating_password resize_prep rebooting reboot_pending " +
	"reboot_started rebooting_hard reboot_pending_hard reboot_started_hard pausing unpausing suspending resuming powering-off powering-on rescuing unrescuing " +
	"rebuilding rebuild_block_device_mapping rebuild_spawning migrating deleting soft-deleting restoring shelving unshelving")

// Every operation in every state: allowed, or refused in Nova's words.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		if k == structs.OpBuild {
			continue
		}
		want, ok := allowed[k]
		require.True(t, ok, "the table of %s has no second writing here", k)
		for _, vm := range vmStates {
			for _, task := range append([]string{""}, taskStates...) {
				ins := &structs.Instance{ID: "i", VM: structs.VMState(vm), Task: structs.TaskState(task), LaunchedAt: 1}
				err := Of(k).Check(ins)
				vmOK := want.vm == "any" || slices.Contains(strings.Fields(want.vm), vm)
				taskOK := task == "" || want.tasks == "any" || slices.Contains(strings.Fields(want.tasks), task)
				if vmOK && taskOK {
					require.NoError(t, err, "%s in %s/%s", k, vm, task)
					continue
				}
				require.True(t, structs.IsKind(err, structs.KindConflict), "%s in %s/%s", k, vm, task)
				what := "vm_state " + vm
				if vmOK {
					what = "task_state " + task
				}
				require.EqualError(t, err, "Cannot '"+Of(k).Action+"' instance i while it is in "+what)
			}
		}
	}
}

// What a table must have for the engine, the client and the API to work with it.
func TestTables(t *testing.T) {
	t.Parallel()
	seen := map[structs.OperationKind]bool{}
	for _, k := range Kinds() {
		require.False(t, seen[k], "%s has two tables", k)
		seen[k] = true
		table := Of(k)
		require.NotEmpty(t, table.Action, k)
		require.NotEmpty(t, table.Event, k)
		require.NotEmpty(t, table.Steps, k)
		require.NotNil(t, table.Breaks, k)
		require.True(t, table.Done != nil || k == structs.OpDelete, k)
		if table.Breaks(&structs.Operation{Kind: k, Step: table.Steps[len(table.Steps)-1].Name}, structs.Outcome{}) {
			require.NotEmpty(t, table.Advice, "%s can leave an instance in error and does not say what to do then", k)
		}
		names := map[structs.StepName]bool{}
		for _, s := range table.Steps {
			require.False(t, names[s.Name], "%s has step %s twice: outcomes could not be told apart", k, s.Name)
			names[s.Name] = true
			require.Positive(t, s.Deadline, "%s/%s has no end", k, s.Name)
			require.LessOrEqual(t, s.Deadline, time.Hour)
			if s.Undo != "" {
				require.Contains(t, undoSteps, s.Undo)
			}
		}
	}
	require.Nil(t, Of("nonsense"))
	require.Nil(t, Steps("nonsense"))
	require.Equal(t, structs.OpBuild, Kinds()[0])
}

// An operation's secret ends with it, however it ends.
func TestSecretsEnd(t *testing.T) {
	t.Parallel()
	begin := func() *structs.Operation {
		op, err := Begin(structs.Operation{Kind: structs.OpSetPassword, Args: structs.OperationArgs{Secret: "s3cret"}}, "h", 1, 1)
		require.NoError(t, err)
		return &op
	}
	end := func(o structs.Outcome) *structs.Operation {
		op := begin()
		o.Step, o.Attempt, o.Generation = op.Step, op.Attempt, op.Generation
		op, _ = Next(op, o, 2)
		return op
	}
	for _, op := range []*structs.Operation{end(structs.Outcome{}), end(structs.Outcome{Error: "no"}), end(structs.Outcome{HostLost: true, Error: "lost"}), Cancel(begin(), "why", 2)} {
		require.True(t, op.Status.Final())
		require.Empty(t, op.Args.Secret)
	}
	require.NotEmpty(t, begin().Args.Secret)
}
