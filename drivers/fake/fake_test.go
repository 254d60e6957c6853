package fake

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes a configured driver. Its death is a panic that the test can catch.
func open(t testing.TB, config map[string]any) *Driver {
	t.Helper()
	d := New(nil)
	d.die = func() { panic("died") }
	require.NoError(t, d.Configure(context.Background(), marshal(t, config)))
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

func create(t testing.TB, d *Driver, id string) *driver.InstanceSpec {
	t.Helper()
	spec := testSpec()
	spec.InstanceID, spec.OperationID = id, "make-"+id
	_, err := d.Create(context.Background(), spec)
	require.NoError(t, err)
	return spec
}

func power(t testing.TB, d *Driver, id string) driver.PowerState {
	t.Helper()
	st, err := d.Inspect(context.Background(), id)
	require.NoError(t, err)
	return st.Power
}

func op(id, operation string) *driver.InstanceRef {
	return &driver.InstanceRef{InstanceID: id, OperationID: operation, Generation: 1}
}

func TestConfigErrorsNameTheKey(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"vcpu": 1}`:                    `unknown key "vcpu"; the keys are architectures,`,
		`{"vcpus": "many"}`:              "vcpus is a string: a int is right",
		`{"vcpus": 0}`:                   "vcpus is 0",
		`{"memory_mib": -1}`:             "memory_mib is -1",
		`{"disk_gib": -1}`:               "disk_gib is -1",
		`{"architectures":[]}`:           "architectures is empty",
		`{} {}`:                          "more than one",
		`{"latency":{"creat":"1s"}}`:     `no method "creat"`,
		`{"latency":{"create":"quick"}}`: `latency of create is "quick"`,
		`{"failures":[{"method":"x"}]}`:  `failures[0].method is "x"`,
		`{"failures":[{"method":"create","kind":"bad"}]}`:  `failures[0].kind is "bad"`,
		`{"crashes":[{"method":"*","nth":1,"every":2}]}`:   "crashes[0]: nth 1 and every 2",
		`{"crashes":[{"method":"*","point":"meanwhile"}]}`: `crashes[0].point is "meanwhile"`,
		`{"hypervisor_version": -1}`:                       "hypervisor_version is -1",
	} {
		err := New(nil).Configure(t.Context(), []byte(raw))
		require.ErrorIs(t, err, driver.ErrInvalid, raw)
		require.ErrorContains(t, err, want, raw)
	}
	d := open(t, map[string]any{"state_dir": t.TempDir()})
	require.ErrorIs(t, d.Configure(t.Context(), []byte(`{"host":"other"}`)), driver.ErrInvalid)
}

func TestConsole(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	create(t, d, "g")
	for lines, want := range map[int]string{
		0: "one.example\nFAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE", 9: "one.example\nFAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE",
		1: "LAST LINE", 2: "ANOTHER\nLAST LINE",
	} {
		out, err := d.ConsoleOutput(t.Context(), &driver.ConsoleOutputRequest{InstanceID: "g", Lines: lines})
		require.NoError(t, err)
		require.Equal(t, want, string(out))
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	yes := true
	d := open(t, map[string]any{"failures": []Failure{
		{When: When{Method: "start", Nth: 2}, Kind: driver.KindTimeout, Message: "slow", Retryable: &yes},
		{When: When{Method: "stop", Every: 2}},
		{When: When{Method: "*", Instance: "bad"}, Kind: driver.KindExhausted},
		{When: When{Method: "reboot", Nth: 1, Point: "after"}, Kind: driver.KindUnavailable},
	}})
	create(t, d, "g")
	stop := func(op_ string) error { return d.Stop(t.Context(), &driver.StopRequest{InstanceRef: *op("g", op_)}) }
	require.NoError(t, d.Start(t.Context(), op("g", "1")))
	err := d.Start(t.Context(), op("g", "2"))
	require.ErrorIs(t, err, driver.ErrTimeout)
	require.EqualError(t, err, "slow")
	require.True(t, driver.Retryable(err))
	require.NoError(t, d.Start(t.Context(), op("g", "2")))
	for n := 1; n <= 4; n++ {
		require.Equal(t, n%2 == 0, stop(fmt.Sprint(n)) != nil, n)
	}
	spec := testSpec()
	spec.InstanceID = "bad"
	_, err = d.Create(t.Context(), spec)
	require.ErrorIs(t, err, driver.ErrExhausted)

	reboot := &driver.RebootRequest{InstanceRef: *op("g", "r"), Type: driver.RebootHard}
	require.ErrorIs(t, d.Reboot(t.Context(), reboot), driver.ErrUnavailable)
	require.Equal(t, driver.PowerRunning, power(t, d, "g"), "the answer was lost, not the effect")
	require.NoError(t, d.Control(Control{Action: SetScript}))
	require.NoError(t, stop("5"))
}

func TestCrashOnce(t *testing.T) {
	t.Parallel()
	for point, there := range map[string]bool{"before": false, "after": true} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			config := map[string]any{
				"state_dir": t.TempDir(),
				"crashes":   []Crash{{When{Method: "create", Nth: 2, Point: point}}},
			}
			d := open(t, config)
			create(t, d, "a")
			require.PanicsWithValue(t, "died", func() { create(t, d, "b") })
			require.NoError(t, d.Close())

			d = open(t, config)
			_, err := d.Inspect(t.Context(), "b")
			require.Equal(t, there, err == nil)
			for _, id := range []string{"b", "c", "d"} {
				create(t, d, id) // the rule has fired
			}
			require.Equal(t, driver.PowerRunning, power(t, d, "a"))
		})
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	d := open(t, map[string]any{"latency": map[string]string{"create": "30ms", "start": "1h"}})
	begin := time.Now()
	create(t, d, "g")
	require.GreaterOrEqual(t, time.Since(begin), 30*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, d.Start(ctx, op("g", "1")), context.DeadlineExceeded)
}

func TestHostPowerLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, map[string]any{"state_dir": dir})
	create(t, d, "g")
	prints, err := d.Fingerprint(t.Context())
	require.NoError(t, err)
	require.True(t, (<-prints).Healthy)
	events, err := d.Events(t.Context())
	require.NoError(t, err)

	require.NoError(t, d.Control(Control{Action: HostPowerLoss}))
	require.False(t, (<-prints).Healthy)
	_, err = d.Inspect(t.Context(), "g")
	require.ErrorIs(t, err, driver.ErrUnavailable)
	require.NoError(t, d.Close())

	d = open(t, map[string]any{"state_dir": dir})
	_, err = d.List(t.Context())
	require.ErrorIs(t, err, driver.ErrUnavailable, "the power is still off after a restart of the driver")
	require.NoError(t, d.HostPower(t.Context(), driver.HostPowerStartup))
	require.Equal(t, driver.PowerShutdown, power(t, d, "g"))
	require.NoError(t, d.Start(t.Context(), op("g", "s")))
	_, more := <-events
	require.False(t, more, "the end of a host's power is no event")
}

func TestControlActions(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	create(t, d, "g")
	events, err := d.Events(t.Context())
	require.NoError(t, err)
	for _, c := range []struct {
		action Action
		event  driver.EventType
		power  driver.PowerState
	}{
		{GuestPowerOff, driver.EventStopped, driver.PowerShutdown},
		{GuestPowerOn, driver.EventStarted, driver.PowerRunning},
		{GuestCrash, driver.EventCrashed, driver.PowerCrashed},
	} {
		require.NoError(t, d.Control(Control{Action: c.action, Instance: "g", Description: "because"}))
		e := <-events
		require.Equal(t, c.event, e.Type)
		require.Equal(t, "because", e.Detail)
		st, err := d.Inspect(t.Context(), "g")
		require.NoError(t, err)
		require.Equal(t, c.power, st.Power)
		require.Equal(t, "because", st.Reason)
	}
	require.NoError(t, d.Control(Control{Action: GuestRemove, Instance: "g"}))
	require.Equal(t, driver.EventRemoved, (<-events).Type)
	require.ErrorIs(t, d.Control(Control{Action: GuestPowerOff, Instance: "g"}), driver.ErrNotFound)
	require.ErrorIs(t, d.Control(Control{Action: "explode"}), driver.ErrInvalid)

	require.NoError(t, d.Control(Control{Action: HostHealth, Description: "fan"}))
	prints, err := d.Fingerprint(t.Context())
	require.NoError(t, err)
	f := <-prints
	require.False(t, f.Healthy)
	require.Equal(t, "fan", f.HealthDescription)
	require.PanicsWithValue(t, "died", func() { _ = d.Control(Control{Action: Die}) })
}

func TestControlFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "control")
	config := map[string]any{"state_dir": filepath.Join(dir, "state"), "control_file": path}
	say := func(lines string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(lines)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	say(`{"action":"guest_power_off","instance":"nobody"}` + "\n\nnonsense\n")
	d := open(t, config)
	create(t, d, "g")
	events, err := d.Events(t.Context())
	require.NoError(t, err)
	say(`{"action":"guest_power_off",`)
	say(`"instance":"g"}` + "\n" + `{"action":"guest_power_on","instance":"g"}` + "\n")
	require.Equal(t, driver.EventStopped, (<-events).Type)
	require.Equal(t, driver.EventStarted, (<-events).Type)
	require.NoError(t, d.Close())

	say(`{"action":"guest_crash","instance":"g"}` + "\n")
	d = open(t, config)
	require.Eventually(t, func() bool { return power(t, d, "g") == driver.PowerCrashed }, 10*time.Second, time.Millisecond,
		"it goes on after the last line that it obeyed")
	require.NoError(t, d.Start(t.Context(), op("g", "s")))
	require.Equal(t, driver.PowerRunning, power(t, d, "g"))
}

func TestMemoryOnlyControlFileBeginsAtItsEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control")
	require.NoError(t, os.WriteFile(path, []byte(`{"action":"die"}`+"\n"), 0o600))
	d := open(t, map[string]any{"control_file": path})
	d.mu.Lock()
	offset := d.host.Control
	d.mu.Unlock()
	require.Positive(t, offset)
}

func TestTornAndDamagedJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := map[string]any{"state_dir": dir, "host": "a/b"}
	d := open(t, config)
	create(t, d, "g")
	require.ErrorIs(t, New(nil).Configure(t.Context(), marshal(t, config)), driver.ErrUnavailable, "one driver at a time")
	require.NoError(t, d.Close())

	path := journalPath(dir, "a/b")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"g":{"id":"torn","ge`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	d = open(t, config)
	list, err := d.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1, "half a line is a call that was never answered")
	require.NoError(t, d.Close())

	require.NoError(t, os.WriteFile(path, []byte("{\n{}\n"), 0o600))
	err = New(nil).Configure(t.Context(), marshal(t, config))
	require.ErrorIs(t, err, driver.ErrInternal)
	require.ErrorContains(t, err, "line 1 is damaged")
	require.NoError(t, os.Remove(path))
	open(t, config)
}

func TestJournalIsCompacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, map[string]any{"state_dir": dir})
	create(t, d, "g")
	d.journal.base = -compactAfter / 4 // as if it were due now
	require.NoError(t, d.Start(t.Context(), op("g", "1")))
	require.Positive(t, d.journal.base)
	for n := range 100 {
		require.NoError(t, d.Start(t.Context(), op("g", fmt.Sprint(n))))
	}
	grown := d.journal.size
	require.NoError(t, d.Close())
	d = open(t, map[string]any{"state_dir": dir})
	require.Less(t, d.journal.size, grown/10)
	require.Equal(t, driver.PowerRunning, power(t, d, "g"))
}

func TestStaleCreateAfterDestroy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, map[string]any{"state_dir": dir})
	spec := create(t, d, "g")
	ref := op("g", "destroy")
	ref.Generation = 3
	require.NoError(t, d.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: *ref, DestroyDisks: true}))
	for range 2 {
		_, err := d.Create(t.Context(), spec)
		require.ErrorIs(t, err, driver.ErrConflict, "a late call of before does not bring it back")
		require.NoError(t, d.Close())
		d = open(t, map[string]any{"state_dir": dir})
	}
	var g graves
	for n := range 3 * maxGraves {
		g.put(fmt.Sprint(n), 1)
	}
	require.LessOrEqual(t, len(g.gens), 2*maxGraves)
	require.Len(t, g.order, len(g.gens))
}

// TestJournalHoldsEverything: after any calls, a driver that is opened on the same state_dir has the same guests.
func TestJournalHoldsEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "knf")
		require.NoError(r, err)
		defer os.RemoveAll(dir)
		d := New(nil)
		config := marshal(t, map[string]any{"state_dir": dir})
		require.NoError(r, d.Configure(t.Context(), config))
		ctx := t.Context()
		for n := range rapid.IntRange(1, 30).Draw(r, "calls") {
			ref := driver.InstanceRef{
				InstanceID:  rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "id"),
				OperationID: fmt.Sprint(n), Generation: rapid.Uint64Range(1, 3).Draw(r, "generation"),
			}
			spec := testSpec()
			spec.InstanceRef, spec.PowerOn = ref, rapid.Bool().Draw(r, "on")
			switch rapid.IntRange(0, 9).Draw(r, "call") {
			case 0, 1:
				_, _ = d.Create(ctx, spec)
			case 2:
				_ = d.Destroy(ctx, &driver.DestroyRequest{InstanceRef: ref, DestroyDisks: spec.PowerOn})
			case 3:
				_ = d.Start(ctx, &ref)
			case 4:
				_ = d.Stop(ctx, &driver.StopRequest{InstanceRef: ref})
			case 5:
				_ = d.Suspend(ctx, &ref)
			case 6:
				_ = d.AttachVolume(ctx, &driver.VolumeRequest{InstanceRef: ref, Volume: driver.Volume{ID: fmt.Sprint(n)}})
			case 7:
				_, _ = d.Recover(ctx, spec)
			case 8:
				_ = d.Control(Control{Action: GuestCrash, Instance: ref.InstanceID})
			case 9:
				_, _ = d.Rebuild(ctx, spec)
			}
		}
		before := marshal(t, []any{d.guests, d.graves.gens, d.host})
		require.NoError(r, d.Close())
		d = New(nil)
		require.NoError(r, d.Configure(t.Context(), config))
		require.JSONEq(r, string(before), string(marshal(t, []any{d.guests, d.graves.gens, d.host})))
		require.NoError(r, d.Close())
	})
}

func TestDevices(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	create(t, d, "g")
	ctx, n := t.Context(), 0
	next := func() driver.InstanceRef { n++; return *op("g", fmt.Sprint(n)) }
	volume, other := driver.Volume{ID: "v1", Device: "vdb"}, driver.Volume{ID: "v2", Device: "vdb"}
	for range 2 {
		require.NoError(t, d.AttachVolume(ctx, &driver.VolumeRequest{InstanceRef: next(), Volume: volume}))
		require.NoError(t, d.AttachInterface(ctx, &driver.InterfaceRequest{InstanceRef: next(), Interface: driver.Interface{ID: "n", MAC: "m"}}))
		require.NoError(t, d.MountShare(ctx, &driver.ShareRequest{InstanceRef: next(), ShareID: "s"}))
	}
	require.NoError(t, d.ExtendVolume(ctx, &driver.ExtendVolumeRequest{InstanceRef: next(), VolumeID: "v1"}))
	require.ErrorIs(t, d.ExtendVolume(ctx, &driver.ExtendVolumeRequest{InstanceRef: next(), VolumeID: "v9"}), driver.ErrNotFound)
	require.ErrorIs(t, d.SwapVolume(ctx, &driver.SwapVolumeRequest{InstanceRef: next(), Old: other, New: driver.Volume{ID: "v3"}}), driver.ErrNotFound)
	for range 2 {
		require.NoError(t, d.SwapVolume(ctx, &driver.SwapVolumeRequest{InstanceRef: next(), Old: volume, New: other}))
		require.NoError(t, d.VolumeSnapshotCreate(ctx, &driver.VolumeSnapshotRequest{InstanceRef: next(), VolumeID: "v2", SnapshotID: "x"}))
	}
	usage, err := d.VolumeUsage(ctx)
	require.NoError(t, err)
	require.Equal(t, []*driver.VolumeUsage{{InstanceID: "g", VolumeID: "v2"}}, usage)
	diag, err := d.Diagnostics(ctx, op("g", ""))
	require.NoError(t, err)
	require.Len(t, diag.Disks, 2)
	require.Equal(t, "m", diag.NICs[0].MAC)
	require.Len(t, diag.CPUs, 1)
	for range 2 {
		require.NoError(t, d.VolumeSnapshotDelete(ctx, &driver.VolumeSnapshotRequest{InstanceRef: next(), VolumeID: "v2", SnapshotID: "x"}))
		require.NoError(t, d.DetachVolume(ctx, &driver.VolumeRequest{InstanceRef: next(), Volume: other}))
		require.NoError(t, d.DetachInterface(ctx, &driver.InterfaceRequest{InstanceRef: next(), Interface: driver.Interface{ID: "n"}}))
		require.NoError(t, d.UnmountShare(ctx, &driver.ShareRequest{InstanceRef: next(), ShareID: "s"}))
	}
	g := d.guests["g"]
	require.Empty(t, g.Volumes)
	require.Empty(t, g.Interfaces)
	require.Empty(t, g.Shares)
	require.Empty(t, g.Snapshots)
}

// checkQcow2 asks qemu-img, where it is installed, whether the file is sound.
func checkQcow2(t *testing.T, path string) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		return
	}
	out, err := exec.Command("qemu-img", "check", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.Command("qemu-img", "info", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "virtual size: 1 GiB")
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	d := open(t, nil)
	create(t, d, "g")
	dir := t.TempDir()
	for _, format := range []string{"raw", "qcow2"} {
		path := filepath.Join(dir, format)
		req := &driver.SnapshotRequest{InstanceRef: *op("g", format), Path: path, Format: format}
		for range 2 {
			require.NoError(t, d.Snapshot(t.Context(), req))
			info, err := os.Stat(path)
			require.NoError(t, err)
			if format == "raw" {
				require.Equal(t, int64(1<<30), info.Size())
			} else {
				raw, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, strings.HasPrefix(string(raw), "QFI\xfb"))
				checkQcow2(t, path)
			}
			require.NoError(t, os.Remove(path))
		}
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.ErrorIs(t, d.Snapshot(t.Context(), &driver.SnapshotRequest{InstanceRef: *op("g", "x"), Format: "vmdk"}), driver.ErrInvalid)
	require.Error(t, d.Snapshot(t.Context(), &driver.SnapshotRequest{InstanceRef: *op("g", "y"), Path: "/no/such/x", Format: "raw"}))
}
