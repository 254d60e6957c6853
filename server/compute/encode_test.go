package compute

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// TestAppendString compares the encoder of strings with encoding/json: what either writes must mean the same.
func TestAppendString(t *testing.T) {
	t.Parallel()
	check := func(s string) string {
		var got string
		text := appendString(nil, s)
		if err := json.Unmarshal(text, &got); err != nil {
			return err.Error() + " in " + string(text)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.ToValidUTF8(got, "\ufffd") != got || len([]rune(got)) != len([]rune(s)) || strings.ToValidUTF8(s,
			"") == s && got != want {
			return "became " + got
		}
		return ""
	}
	for c := range 0x110 {
		if why := check("a" + string(rune(c)) + "b"); why != "" {
			t.Errorf("%#x: %s", c, why)
		}
	}
	for _, s := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\ufffd", "😀\u2028"} {
		if why := check(s); why != "" {
			t.Errorf("%q: %s", s, why)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		if why := check(string(b)); why != "" {
			t.Fatalf("%q: %s", b, why)
		}
	})
}

func TestAppendTime(t *testing.T) {
	t.Parallel()
	at := structs.TimeOf(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600)))
	for layout, want := range map[string]string{secondsLayout: `{"t":"2026-03-01T11:00:00Z"`, microsLayout: `{"t":"2026-03-01T11:00:00.123456"`} {
		if got := string(appendTime([]byte("{"), "t", layout, at)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := string(appendTime([]byte("{"), "t", microsLayout, 0)); got != `{"t":null` {
		t.Error(got)
	}
}

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

func TestParseBool(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][2]bool{"True": {true, true}, " on ": {true, true}, "y": {true, true}, "0": {false, true}, "NO": {false, true}, "": {}, "maybe": {}} {
		if v, ok := parseBool(s); v != want[0] || ok != want[1] {
			t.Errorf("%q: %v, %v", s, v, ok)
		}
	}
}
