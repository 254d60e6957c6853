package notification

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// everything is a script that tells most of what can be told.
const everything = "host image keypair flavor flavor-specs group agg agg-add create pause unpause suspend resume stop start reboot-hard reboot-soft rescue unrescue lock-reason unlock " +
	"createImage createBackup changePassword rename tags soft-delete restore shelve unshelve rebuild trigger_crash_dump reboot-hard! delete agg-meta agg-rename cache agg-remove agg-delete " +
	"create! delete member group-delete flavor-delete keypair-delete host-disable host-sick host-metrics audit host-down"

func all(t *testing.T, list []Notification) []byte {
	var b bytes.Buffer
	for i := range list {
		text, err := list[i].Bytes()
		must(t, err)
		b.Write(append(text, '\n'))
	}
	return b.Bytes()
}

// The same changes give the same bytes, however often they are translated and however the log's entries were put together when they were applied: a server
// that replays its log after a restart applies other batches than it did before.
func TestReplayGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(everything)
	require.Greater(t, len(w.told), 80)
	r := w.core.Stale()
	replay := func(commits [][]event.Event) (list []Notification) {
		for _, c := range commits {
			list = append(list, Translate(w.settings, r, c)...)
		}
		return list
	}
	once := all(t, replay(w.commits))
	require.Equal(t, string(once), string(all(t, replay(w.commits))))
	apart := replay(w.commits)
	for _, n := range apart {
		require.Equal(t, n.Index, n.Entry, n.EventType)
	}
	for _, size := range []int{2, 3, len(w.commits)} {
		together := replay(merged(w.commits, size))
		require.Equal(t, string(once), string(all(t, together)), "%d entries at once", size)
		for i, n := range together { // what is skipped as from before a cursor must be from before it
			require.GreaterOrEqual(t, n.Entry, apart[i].Entry, n.EventType)
			require.LessOrEqual(t, n.Entry, n.Index, n.EventType)
			if !strings.Contains(n.EventType, ".delete") {
				require.Equal(t, apart[i].Entry, n.Entry, n.EventType)
			}
		}
	}
	ids := map[string]string{}
	for _, n := range replay(w.commits) {
		require.Empty(t, ids[n.MessageID], "%s has the id of another", n.EventType)
		ids[n.MessageID] = n.EventType
	}
}

// merged puts so many commits together as one.
func merged(commits [][]event.Event, size int) (out [][]event.Event) {
	for begin := 0; begin < len(commits); begin += size {
		var one []event.Event
		for _, c := range commits[begin:min(begin+size, len(commits))] {
			one = append(one, c...)
		}
		for i := range one {
			one[i].Index = one[len(one)-1].Index
		}
		out = append(out, one)
	}
	return out
}

// No password, no user data, no secret of an operation is told.
func TestNothingSecretIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script(everything)
	text := string(all(t, w.told))
	for _, secret := range []string{userData, "hunter2", "user_data", "password\":", "admin_pass"} {
		require.NotContains(t, text, secret)
	}
}

// Nova's notify_on_state_change: nothing, changes of the vm_state with both states, or those of the task as well.
func TestUpdatesAsAskedFor(t *testing.T) {
	t.Parallel()
	updates := func(mode StateChange) (list []map[string]any) {
		w := newWorld(t)
		w.settings.NotifyOnStateChange = mode
		w.script("host create")
		w.told = nil
		w.script("pause rename")
		for _, n := range w.told {
			if n.EventType == "instance.update" {
				data := n.Payload[keyData].(map[string]any)
				change := data["state_update"].(map[string]any)[keyData].(map[string]any)
				change["old_display_name"] = data["old_display_name"]
				list = append(list, change)
			}
		}
		return list
	}
	state := func(oldVM, vm string, oldTask, task, name any) map[string]any {
		return map[string]any{"old_state": oldVM, "state": vm, "old_task_state": oldTask, "new_task_state": task, "old_display_name": name}
	}
	require.Empty(t, updates(NoUpdates))
	require.Equal(t, []map[string]any{state("active", "active", "pausing", "pausing", nil), state("active", "paused", "pausing", nil, nil),
		state("paused", "paused", nil, nil, "some-server")}, updates(OnVMState))
	require.Equal(t, []map[string]any{state("active", "active", nil, "pausing", nil), state("active", "paused", "pausing", nil, nil),
		state("paused", "paused", nil, nil, "some-server")}, updates(OnVMAndTaskStates))
}

// What is told of operations, in its order.
func TestOrderOfEvents(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"create":         "scheduler.select_destinations.start scheduler.select_destinations.end instance.create.start instance.create.end",
		"delete":         "instance.delete.start instance.shutdown.start instance.shutdown.end instance.delete.end",
		"pause":          "instance.pause.start instance.pause.end",
		"reboot-soft!":   "instance.reboot.start instance.reboot.error compute.exception",
		"pause!":         "instance.pause.start compute.exception",
		"rebuild":        "instance.rebuild_scheduled instance.exists instance.rebuild.start instance.rebuild.end",
		"shelve":         "instance.shelve.start instance.shelve.end instance.shelve_offload.start instance.shelve_offload.end",
		"changePassword": "", "changePassword!": "compute.exception",
		"lock unlock": "instance.lock instance.unlock",
	} {
		w := newWorld(t)
		w.settings.NotifyOnStateChange = NoUpdates
		w.script("host create")
		w.told = nil
		w.script(script)
		require.Equal(t, want, strings.Join(w.events(), " "), script)
	}
	w := newWorld(t)
	w.settings.NotifyOnStateChange = NoUpdates
	w.script("create")
	require.Equal(t, "scheduler.select_destinations.start compute_task.build_instances.error", strings.Join(w.events(), " "), "there is no host")
	require.Equal(t, Error, w.last("compute_task.build_instances.error").Priority)
}

// Every kind of operation has a row, or is known to tell nothing.
func TestEveryOperationHasARow(t *testing.T) {
	t.Parallel()
	silent := map[structs.OperationKind]bool{structs.OpSetPassword: true}
	for _, kind := range operation.Kinds() {
		require.True(t, operationTable[kind] != nil != silent[kind], "%s: write down what it tells in operationRows", kind)
	}
}

// Instances of one project, keypairs of one user; what is about hosts is for administrators.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.script("host keypair create rebuild! agg agg-add")
	seen := map[string]bool{}
	for _, n := range w.told {
		require.False(t, n.BelongsTo("other", "somebody"), n.EventType)
		if !n.BelongsTo("p", "u") {
			continue
		}
		seen[n.EventType] = true
		text, err := n.ForUser().bytes()
		must(t, err)
		require.NotContains(t, string(text), `"compute"`)
		require.NotContains(t, string(text), "nova-compute:compute")
		require.NotContains(t, string(text), "the driver refused")
	}
	require.True(t, seen["instance.create.end"] && seen["keypair.create.end"] && seen["instance.rebuild.error"])
	require.False(t, seen["service.create"] || seen["aggregate.create.end"] || seen["scheduler.select_destinations.end"])
}

func (n Notification) bytes() ([]byte, error) { return n.Bytes() }
