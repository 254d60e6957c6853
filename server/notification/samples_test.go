package notification

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sampleScripts make what each of Nova's samples shows; the notification is the last one of the sample's event type.
var sampleScripts = map[string]string{
	"aggregate-add_host-start": "host agg agg-add", "aggregate-add_host-end": "host agg agg-add",
	"aggregate-create-start": "agg", "aggregate-create-end": "agg", "aggregate-delete-start": "agg agg-delete", "aggregate-delete-end": "agg agg-delete",
	"aggregate-remove_host-start": "host agg agg-add agg-remove", "aggregate-remove_host-end": "host agg agg-add agg-remove",
	"aggregate-update_metadata-start": "agg agg-meta", "aggregate-update_metadata-end": "agg agg-meta",
	"aggregate-update_prop-start": "agg agg-rename", "aggregate-update_prop-end": "agg agg-rename",
	"aggregate-cache_images-start": "host agg agg-add cache", "aggregate-cache_images-progress": "host agg agg-add cache", "aggregate-cache_images-end": "host agg agg-add cache",
	"compute-exception":                  "host create rebuild!",
	"compute_task-build_instances-error": "image create",
	"flavor-create":                      "flavor", "flavor-update": "flavor flavor-specs", "flavor-delete": "flavor flavor-delete",
	"instance-create-start": "host keypair create", "instance-create-end": "host keypair create", "instance-create-error": "host keypair create!",
	"instance-delete-start": "host create delete", "instance-delete-end": "host create delete",
	"instance-delete-start_compute_down": "host create host-down delete-at-once", "instance-delete-end_compute_down": "host create host-down delete-at-once",
	"instance-delete-start_not_scheduled": "create delete-at-once", "instance-delete-end_not_scheduled": "create delete-at-once",
	"instance-shutdown-start": "host create delete", "instance-shutdown-end": "host create delete",
	"instance-exists": "host create rebuild",
	"instance-lock":   "host create lock", "instance-lock-with-reason": "host create lock-reason", "instance-unlock": "host create lock unlock",
	"instance-pause-start": "host create pause", "instance-pause-end": "host create pause",
	"instance-unpause-start": "host create pause unpause", "instance-unpause-end": "host create pause unpause",
	"instance-power_off-start": "host create stop", "instance-power_off-end": "host create stop",
	"instance-power_on-start": "host create stop start", "instance-power_on-end": "host create stop start",
	"instance-reboot-start": "host create reboot-hard", "instance-reboot-end": "host create reboot-hard", "instance-reboot-error": "host create reboot-hard!",
	"instance-rebuild_scheduled": "host create rebuild", "instance-rebuild-start": "host create rebuild", "instance-rebuild-end": "host create rebuild",
	"instance-rebuild-error": "host create rebuild!",
	"instance-rescue-start":  "host create rescue", "instance-rescue-end": "host create rescue",
	"instance-unrescue-start": "host create rescue unrescue", "instance-unrescue-end": "host create rescue unrescue",
	"instance-restore-start": "host create soft-delete restore", "instance-restore-end": "host create soft-delete restore",
	"instance-soft_delete-start": "host create soft-delete", "instance-soft_delete-end": "host create soft-delete",
	"instance-suspend-start": "host create suspend", "instance-suspend-end": "host create suspend",
	"instance-resume-start": "host create suspend resume", "instance-resume-end": "host create suspend resume",
	"instance-shelve-start": "host create shelve", "instance-shelve-end": "host create shelve",
	"instance-shelve_offload-start": "host create shelve", "instance-shelve_offload-end": "host create shelve",
	"instance-unshelve-start": "host create shelve unshelve", "instance-unshelve-end": "host create shelve unshelve",
	"instance-snapshot-start": "host create createImage", "instance-snapshot-end": "host create createImage",
	"instance-trigger_crash_dump-start": "host create trigger_crash_dump", "instance-trigger_crash_dump-end": "host create trigger_crash_dump",
	"instance-update": "", "instance-update-tags-action": "host create tags",
	"instance-resize_prep-start": "host create host2 resize", "instance-resize_prep-end": "host create host2 resize",
	"instance-resize-start": "host create host2 resize", "instance-resize-end": "host create host2 resize", "instance-resize-error": "host create host2 resize!import",
	"instance-resize_finish-start": "host create host2 resize", "instance-resize_finish-end": "host create host2 migrate",
	"instance-resize_confirm-start": "host create host2 resize confirmResize", "instance-resize_confirm-end": "host create host2 resize confirmResize",
	"instance-resize_revert-start": "host create host2 resize revertResize", "instance-resize_revert-end": "host create host2 resize revertResize",
	"instance-evacuate":                 "host create host-down host2 evacuate",
	"compute_task-migrate_server-error": "image host create migrate", "compute_task-rebuild_server-error": "image host create host-down evacuate",
	"instance-live_migration_pre-start": "host create host2 live-migration", "instance-live_migration_pre-end": "host create host2 live-migration",
	"instance-live_migration_post-start": "host create host2 live-migration", "instance-live_migration_post-end": "host create host2 live-migration",
	"instance-live_migration_post_dest-start": "host create host2 live-migration", "instance-live_migration_post_dest-end": "host create host2 live-migration",
	"instance-live_migration_rollback-start": "host create host2 live-migration!migrate", "instance-live_migration_rollback-end": "host create host2 live-migration!migrate",
	"instance-live_migration_rollback_dest-start": "host create host2 live-migration!migrate", "instance-live_migration_rollback_dest-end": "host create host2 live-migration!migrate",
	"instance-live_migration_abort-start": "host create host2 moving abort", "instance-live_migration_abort-end": "host create host2 moving abort",
	"instance-live_migration_force_complete-start": "host create host2 moving force_complete", "instance-live_migration_force_complete-end": "host create host2 moving force_complete",
	"keypair-create-start": "keypair", "keypair-create-end": "keypair", "keypair-import-start": "import", "keypair-import-end": "import",
	"keypair-delete-start": "keypair keypair-delete", "keypair-delete-end": "keypair keypair-delete",
	"libvirt-connect-error":               "host host-sick",
	"metrics-update":                      "host host-metrics",
	"scheduler-select_destinations-start": "image host create", "scheduler-select_destinations-end": "image host create",
	"server_group-create": "group", "server_group-add_member": "group member", "server_group-delete": "group group-delete",
	"service-create": "host", "service-update": "host host-disable", "service-delete": "host host-down host-delete",
}

// sampleDiffers are the fields that differ from the sample's for a reason.
var sampleDiffers = map[string]string{
	"compute-exception":                  "publisher",        // what failed on a host; Nova's sample is of the API
	"instance-create-start":              "task_state",       // the step that is to come; Nova's sample is from before it is set
	"instance-create-error":              "task_state state", // told when the operation has ended, as all errors
	"instance-reboot-start":              "task_state",       // rebooting_hard from beginning to end
	"instance-reboot-error":              "task_state state",
	"instance-rebuild-error":             "task_state state",
	"instance-pause-end":                 "power_state", // Nova's fake driver changes no power state
	"instance-unpause-start":             "power_state",
	"instance-suspend-end":               "power_state",
	"instance-resume-start":              "power_state",
	"instance-rescue-end":                "power_state", // the rescue image runs
	"instance-unrescue-start":            "power_state",
	"instance-shelve_offload-end":        "power_state", // there is no guest any more
	"instance-unshelve-start":            "power_state task_state",
	"instance-delete-start_compute_down": "power_state",
	"instance-delete-end_compute_down":   "power_state",
	"instance-soft_delete-end":           "power_state",
	"instance-restore-start":             "power_state",
	"instance-resize-error":              "task_state",                                  // told when the operation has ended
	"instance-snapshot-start":            "task_state",                                  // pending, as it is for its user
	"instance-update":                    "state task_state power_state tags publisher", // the one before Nova's sample: an instance is made
}

// TestSamples compares what is told with Nova's samples (doc/notification_samples): the same objects of the same versions with the same fields of the same types,
// and the same states. testdata/samples-missing.txt names those that are not made yet; the list can only get shorter.
func TestSamples(t *testing.T) {
	t.Parallel()
	missing := missingSamples(t)
	files, err := filepath.Glob("testdata/samples/*.json")
	must(t, err)
	require.Greater(t, len(files), 100)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		script, made := sampleScripts[name]
		if made == (missing[name] != "") {
			t.Errorf("%s must be either made or in samples-missing.txt", name)
		}
		delete(missing, name)
		if !made {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := readSample(t, file)
			w := newWorld(t)
			if name == "instance-update" { // the build's beginning
				w.make("")
			}
			w.script(script)
			n := w.last(want["event_type"].(string))
			require.NotNil(t, n, "told was %v", w.events())
			c := &comparison{differs: strings.Fields(sampleDiffers[name])}
			c.notification(want, asJSON(t, n))
			require.Empty(t, c.wrong)
		})
	}
	require.Empty(t, missing, "samples-missing.txt names what is no sample")
}

func missingSamples(t *testing.T) map[string]string {
	text, err := os.ReadFile("testdata/samples-missing.txt")
	must(t, err)
	missing := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, why, ok := strings.Cut(strings.TrimSpace(line), "\t")
		require.True(t, ok && why != "", "%q is not a sample, a tab and a reason", line)
		missing[name] = why
	}
	return missing
}

func asJSON(t *testing.T, n *Notification) map[string]any {
	b, err := n.Bytes()
	must(t, err)
	var out map[string]any
	must(t, json.Unmarshal(b, &out))
	return out
}

// readSample reads a sample, with what it refers to beneath what it says itself.
func readSample(t *testing.T, file string) map[string]any {
	b, err := os.ReadFile(file)
	must(t, err)
	var out map[string]any
	must(t, json.Unmarshal(b, &out))
	return resolve(t, filepath.Dir(file), out).(map[string]any)
}

func resolve(t *testing.T, dir string, v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = resolve(t, dir, v[i])
		}
	case map[string]any:
		ref, _ := v["$ref"].(string)
		delete(v, "$ref")
		for k := range v {
			v[k] = resolve(t, dir, v[k])
		}
		if ref != "" {
			path := filepath.Join(dir, strings.TrimSuffix(ref, "#"))
			if _, err := os.Stat(path); err != nil {
				path = filepath.Join(dir, "common_payloads", filepath.Base(path))
			}
			return overlay(readSample(t, path), v)
		}
	}
	return v
}

func overlay(below, above map[string]any) map[string]any {
	out := maps.Clone(below)
	for k, v := range above {
		a, isMap := v.(map[string]any)
		if b, ok := out[k].(map[string]any); ok && isMap {
			out[k] = overlay(b, a)
			continue
		}
		out[k] = v
	}
	return out
}

// comparison collects what is not as in a sample.
type comparison struct {
	differs []string
	wrong   []string
}

func (c *comparison) say(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// sameValues are fields whose values are compared wherever both have one.
var sameValues = []string{"event_type", "priority", keyName, keyNamespace, keyVersion, "state", "task_state", "power_state", "locked", "locked_reason",
	"binary", "topic", "type", "policy", "name", "tags", "old_display_name"}

func (c *comparison) notification(want, got map[string]any) {
	for _, k := range []string{"message_id", "timestamp"} {
		if text, ok := got[k].(string); !ok || text == "" {
			c.say("there is no %s", k)
		}
		delete(got, k)
	}
	a, b := binaryOf(want["publisher_id"].(string)), binaryOf(got["publisher_id"].(string))
	if a != b && !slices.Contains(c.differs, "publisher") {
		c.say("publisher is %s, not %s", b, a)
	}
	c.object("", want, got)
}

func (c *comparison) object(path string, want, got map[string]any) {
	free := want[keyName] == nil && path != "" && !strings.HasSuffix(path, keyData) || want[keyName] == nil && strings.HasSuffix(path, ".properties."+keyData)
	if free {
		return // a map of the user's
	}
	a, b := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))
	if !slices.Equal(a, b) && !strings.Contains(path, ".properties") {
		c.say("%s has %v, not %v", path, without(b, a), without(a, b))
	}
	for _, k := range a {
		if _, there := got[k]; there {
			c.value(path+"."+k, k, want[k], got[k])
		}
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func (c *comparison) value(path, key string, want, got any) {
	inFlavor := strings.Contains(path, "flavor") || strings.Contains(path, ".image.") || strings.Contains(path, "keypairs")
	if slices.Contains(sameValues, key) && !inFlavor && !slices.Contains(c.differs, key) && !strings.Contains(path, "properties") {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			c.say("%s is %v, not %v", path, got, want)
		}
	}
	if want == nil || got == nil {
		return
	}
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			c.object(path, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			if len(w) > 0 && len(g) > 0 {
				c.value(path+"[0]", "", w[0], g[0])
			}
			return
		}
	}
	if a, b := fmt.Sprintf("%T", want), fmt.Sprintf("%T", got); a != b {
		c.say("%s is a %s, not a %s", path, b, a)
	}
}
