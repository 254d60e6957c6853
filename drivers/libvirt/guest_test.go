//go:build linux

package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// TestGuest is the life of one guest, from its first boot to its end. Its steps build on each other.
func TestGuest(t *testing.T) {
	b := realBed(t)
	d := b.driver(t)
	events, err := d.Events(t.Context())
	must(t, err)
	spec := b.spec(t, "web-1")
	spec.RootGiB = 1
	id := spec.InstanceID

	t.Cleanup(func() { // when a step fails; the last one does it too
		must(t, d.Destroy(context.Background(), &driver.DestroyRequest{InstanceRef: operation(spec, "end"), DestroyDisks: true}))
	})
	var shell *login
	begun := time.Now()
	status, err := d.Create(t.Context(), spec)
	must(t, err)
	t.Logf("created after %s: %+v", time.Since(begun).Round(time.Millisecond), status)
	waitEvent(t, events, id, driver.EventStarted)
	waitConsole(t, d, id, "KILONOVA-GUEST-READY hostname=web-1 id="+id, 1)

	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"the root disk has the flavor's size", func(t *testing.T) { wantRootSize(t, console(t, d, id), 900) }},
		{"the screen can be seen", func(t *testing.T) { wantVNC(t, d, id) }},
		{"it can be measured", func(t *testing.T) { wantDiagnostics(t, d, &spec.InstanceRef) }},
		{"libvirtd is killed and comes back", func(t *testing.T) { guestOutlivesLibvirtd(t, b, d, id) }},
		{"the driver dies and comes back", func(t *testing.T) { guestOutlivesDriver(t, b, spec) }},
		{"a file is written, and a soft reboot keeps it", func(t *testing.T) {
			first := logIn(t, d, id)
			first.run("echo precious >~/kept; sync")
			first.close()
			begun := time.Now()
			must(t, d.Reboot(t.Context(), &driver.RebootRequest{InstanceRef: operation(spec, "reboot"), Type: driver.RebootSoft}))
			t.Logf("rebooted after %s", time.Since(begun).Round(time.Millisecond))
			waitConsole(t, d, id, "KILONOVA-GUEST-READY", 2)
			if text := console(t, d, id); !strings.Contains(text, "KILONOVA-GUEST: power button") {
				t.Fatal("the guest was not asked to shut down")
			}
			shell = logIn(t, d, id)
			shell.run("grep -q precious ~/kept && echo kept it")
			waitConsole(t, d, id, "\nkept it", 1)
		}},
		{"what it is now becomes an image while it goes on", func(t *testing.T) { bootsFromSnapshot(t, b, d, spec) }},
		{"it powers itself off, which is an event", func(t *testing.T) {
			drainEvents(events)
			shell.t = t
			shell.enter("poweroff")
			event := waitEvent(t, events, id, driver.EventStopped)
			shell.close()
			t.Logf("%+v", event)
			status := inspect(t, d, id)
			if status.Power != driver.PowerShutdown || status.Reason != "the guest shut down" || !status.StartedAt.IsZero() {
				t.Fatalf("%+v", status)
			}
		}},
		{"its definition is lost and made again", func(t *testing.T) { redefineLostGuest(t, d, spec) }},
		{"it is started, and stopped by the power button", func(t *testing.T) {
			must(t, d.Start(t.Context(), new(operation(spec, "start"))))
			waitConsole(t, d, id, "KILONOVA-GUEST-READY", 3)
			begun := time.Now()
			must(t, d.Stop(t.Context(), &driver.StopRequest{InstanceRef: operation(spec, "stop"), Timeout: 60 * time.Second}))
			t.Logf("shut down after %s", time.Since(begun).Round(time.Millisecond))
			if status := inspect(t, d, id); status.Reason != "the guest shut down" {
				t.Fatalf("its power was cut: %+v", status)
			}
			if text := console(t, d, id); !strings.Contains(text, "first_boot=no") {
				t.Fatalf("the guest forgot that it had booted before:\n%s", text)
			}
		}},
		{"it is destroyed without a trace", func(t *testing.T) { destroyWithoutTrace(t, b, d, spec) }},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

// bootsFromSnapshot takes a snapshot of the running guest and one of it paused, and boots another guest of the first: it has the file that was written.
func bootsFromSnapshot(t *testing.T, b *testBed, d *Driver, spec *driver.InstanceSpec) {
	dir := t.TempDir()
	path := filepath.Join(dir, "running")
	begun := time.Now()
	must(t, d.Snapshot(t.Context(), &driver.SnapshotRequest{InstanceRef: operation(spec, "snapshot"), Path: path, Format: "qcow2"}))
	t.Logf("copied after %s", time.Since(begun).Round(time.Millisecond))
	if status := inspect(t, d, spec.InstanceID); status.Power != driver.PowerRunning {
		t.Fatalf("the guest does not go on: %+v", status)
	}
	out, err := exec.Command("qemu-img", "info", "--output=json", path).Output()
	must(t, err)
	if strings.Contains(string(out), "backing") || !strings.Contains(string(out), `"virtual-size": 1073741824`) {
		t.Fatalf("no disk of its own: %s", out)
	}
	must(t, d.Pause(t.Context(), new(operation(spec, "pause-for-snapshot"))))
	must(t, d.Snapshot(t.Context(), &driver.SnapshotRequest{InstanceRef: operation(spec, "snapshot-paused"), Path: filepath.Join(dir, "paused"), Format: "raw"}))
	must(t, d.Unpause(t.Context(), new(operation(spec, "unpause-after-snapshot"))))
	if info, err := os.Stat(filepath.Join(dir, "paused")); err != nil || info.Size() != 1<<30 {
		t.Fatalf("%v %v", info, err)
	}

	other := b.spec(t, "copy-1")
	other.RootGiB = 1
	other.Image = &driver.Image{ID: "snapshot", Path: path, Format: "qcow2"}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(path, 0o644))
	t.Cleanup(func() {
		must(t, d.Destroy(context.Background(), &driver.DestroyRequest{InstanceRef: operation(other, "end"), DestroyDisks: true}))
	})
	_, err = d.Create(t.Context(), other)
	must(t, err)
	waitConsole(t, d, other.InstanceID, "KILONOVA-GUEST-READY", 1)
	shell := logIn(t, d, other.InstanceID)
	defer shell.close()
	shell.run("grep -q precious ~/kept && echo has it")
	waitConsole(t, d, other.InstanceID, "\nhas it", 1)
	must(t, d.Stop(t.Context(), &driver.StopRequest{InstanceRef: operation(other, "off")}))
	off := filepath.Join(dir, "off")
	must(t, d.Snapshot(t.Context(), &driver.SnapshotRequest{InstanceRef: operation(other, "snapshot-off"), Path: off, Format: "qcow2"}))
	if out, err := exec.Command("qemu-img", "check", off).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
}

// operation is a ref of a new operation on the guest of spec.
func operation(spec *driver.InstanceSpec, name string) driver.InstanceRef {
	ref := spec.InstanceRef
	ref.OperationID = name + "-" + ref.InstanceID
	return ref
}

func drainEvents(events <-chan *driver.Event) {
	for {
		select {
		case <-events:
		default:
			return
		}
	}
}

func wantRootSize(t *testing.T, text string, atLeast int) {
	found := regexp.MustCompile(`root_mib=(\d+)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the guest did not say how large its root is:\n%s", text)
	}
	if size, err := strconv.Atoi(found[1]); err != nil || size < atLeast {
		t.Fatalf("the guest's root has %s MiB, want %d or more", found[1], atLeast)
	}
}

func wantVNC(t *testing.T, d *Driver, id string) {
	endpoint, err := d.ConsoleEndpoint(t.Context(), &driver.ConsoleEndpointRequest{InstanceID: id, Kind: driver.ConsoleVNC})
	must(t, err)
	conn, err := net.Dial("unix", endpoint.Socket)
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	greeting := make([]byte, 4)
	if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != "RFB " {
		t.Fatalf("the VNC server said %q: %v", greeting, err)
	}
	_, err = d.ConsoleEndpoint(t.Context(), &driver.ConsoleEndpointRequest{InstanceID: id, Kind: driver.ConsoleSPICE})
	wantKind(t, err, driver.KindNotSupported)
}

func wantDiagnostics(t *testing.T, d *Driver, ref *driver.InstanceRef) {
	measured, err := d.Diagnostics(t.Context(), ref)
	must(t, err)
	if measured.State != "running" || measured.MemoryMaxMiB != 96 || measured.MemoryUsedMiB == 0 ||
		len(measured.CPUs) != 1 || measured.CPUs[0].Nanoseconds == 0 ||
		len(measured.Disks) != 1 || measured.Disks[0].Device != "vda" || measured.Disks[0].ReadBytes == 0 {
		t.Fatalf("%+v", measured)
	}
}

// guestOutlivesLibvirtd kills libvirtd under the driver: the host says so, the guest ticks on, and when libvirtd is back
// the driver finds everything without being told.
func guestOutlivesLibvirtd(t *testing.T, b *testBed, d *Driver, id string) {
	before := inspect(t, d, id)
	health, err := d.Fingerprint(t.Context())
	must(t, err)
	must(t, b.libvirtd(t).Kill())
	t.Cleanup(func() { // whatever fails here, the other tests want a libvirtd
		_, err := b.startLibvirtd()
		must(t, err)
	})
	down := waitHealth(t, health, false)
	if !strings.Contains(down.HealthDescription, "not reachable") || !strings.Contains(down.HealthDescription, "start it with") ||
		len(down.Traits) == 0 || down.Inventory.VCPUs == 0 {
		t.Fatalf("%+v", down)
	}
	_, err = d.Inspect(t.Context(), id)
	wantKind(t, err, driver.KindUnavailable)
	if !driver.Retryable(err) {
		t.Fatal("not retryable:", err)
	}
	err = d.Destroy(t.Context(), &driver.DestroyRequest{
		InstanceRef: driver.InstanceRef{InstanceID: id, OperationID: "too early", Generation: 1}, DestroyDisks: true,
	})
	wantKind(t, err, driver.KindUnavailable)
	// The console needs no libvirtd, and the guest goes on talking.
	ticks := strings.Count(console(t, d, id), "tick uptime=")
	waitConsole(t, d, id, "tick uptime=", ticks+1)

	begun := time.Now()
	_, err = b.startLibvirtd()
	must(t, err)
	waitHealth(t, health, true)
	t.Logf("healthy again %s after libvirtd's start", time.Since(begun).Round(time.Millisecond))
	if after := inspect(t, d, id); *after != *before {
		t.Fatalf("the guest changed from %+v to %+v", before, after)
	}
	if strings.Count(console(t, d, id), "KILONOVA-GUEST-READY") != 1 {
		t.Fatal("the guest booted again")
	}
}

func waitHealth(t *testing.T, health <-chan *driver.Fingerprint, healthy bool) *driver.Fingerprint {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case fingerprint := <-health:
			if fingerprint.Healthy == healthy {
				return fingerprint
			}
		case <-deadline:
			t.Fatalf("the host did not become healthy=%v", healthy)
		}
	}
}

// guestOutlivesDriver has a second driver, as after a crash of the first, find the guest as it is.
func guestOutlivesDriver(t *testing.T, b *testBed, spec *driver.InstanceSpec) {
	first := b.driver(t)
	before := inspect(t, first, spec.InstanceID)
	must(t, first.Close())
	second := b.driver(t)
	status, err := second.Recover(t.Context(), spec)
	must(t, err)
	if *status != *before || status.Power != driver.PowerRunning {
		t.Fatalf("recovered %+v, want %+v", status, before)
	}
	ticks := strings.Count(console(t, second, spec.InstanceID), "tick uptime=")
	waitConsole(t, second, spec.InstanceID, "tick uptime=", ticks+1)
}

// redefineLostGuest takes the definition away behind the driver's back.
func redefineLostGuest(t *testing.T, d *Driver, spec *driver.InstanceSpec) {
	h, err := d.configured()
	must(t, err)
	g, err := h.mustFind(t.Context(), spec.InstanceID)
	must(t, err)
	must(t, do(t.Context(), h.link, "undefine", func(s *session) error {
		return s.DomainUndefineFlags(g.domain, golibvirt.DomainUndefineFlagsValues(0))
	}))
	_, err = d.Inspect(t.Context(), spec.InstanceID)
	wantKind(t, err, driver.KindNotFound)
	late := *spec
	late.InstanceRef = operation(spec, "recover")
	status, err := d.Recover(t.Context(), &late)
	must(t, err)
	if status.Power != driver.PowerShutdown || status.OperationID != spec.OperationID {
		t.Fatalf("%+v", status)
	}
}

func destroyWithoutTrace(t *testing.T, b *testBed, d *Driver, spec *driver.InstanceSpec) {
	events, err := d.Events(t.Context())
	must(t, err)
	must(t, d.Start(t.Context(), new(operation(spec, "last start"))))
	if len(processes(t, "guest="+domainName(spec.InstanceID))) == 0 {
		t.Fatal("there is no process of the guest's; does its command line look otherwise now?")
	}
	begun := time.Now()
	must(t, d.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: operation(spec, "destroy"), DestroyDisks: true}))
	t.Logf("destroyed after %s", time.Since(begun).Round(time.Millisecond))
	waitEvent(t, events, spec.InstanceID, driver.EventRemoved)
	if left := processes(t, spec.InstanceID); len(left) > 0 {
		t.Fatal("processes are left:", left)
	}
	var files []string
	must(t, filepath.WalkDir(b.dir, func(path string, _ os.DirEntry, err error) error {
		// The fencing record stays on purpose, and QEMU's log belongs to libvirt.
		if strings.Contains(path, spec.InstanceID) && !strings.Contains(path, "/fence/") && !strings.Contains(path, "/v/log/") {
			files = append(files, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}))
	if len(files) > 0 {
		t.Fatal("files are left:", files)
	}
	_, err = d.Inspect(t.Context(), spec.InstanceID)
	wantKind(t, err, driver.KindNotFound)
}

// TestConfigDriveNetworkAndExtraDisks boots one guest with everything that a spec can carry.
func TestConfigDriveNetworkAndExtraDisks(t *testing.T) {
	b := realBed(t)
	d := b.driver(t)
	spec := b.spec(t, "from-smbios")
	spec.EphemeralGiB, spec.SwapMiB, spec.VCPUs = 1, 16, 2
	spec.ConfigDrivePath = configDrive(t, b, spec.InstanceID)
	spec.Interfaces = []driver.Interface{{ID: "port", MAC: "fa:16:3e:00:00:01", Tap: makeTap(t), MTU: 1400}}
	t.Cleanup(func() {
		must(t, d.Destroy(context.Background(), &driver.DestroyRequest{InstanceRef: operation(spec, "end"), DestroyDisks: true}))
	})
	_, err := d.Create(t.Context(), spec)
	must(t, err)
	id := spec.InstanceID
	waitConsole(t, d, id, "KILONOVA-GUEST: hostname=from-smbios", 1)
	waitConsole(t, d, id, "KILONOVA-USERDATA: user data ran", 1)
	waitConsole(t, d, id, "KILONOVA-GUEST-READY hostname=from-drive id="+id, 1)
	text := console(t, d, id)
	for _, want := range []string{"cpus=2", "dhcp eth0 no lease", "keys 1", "source=config-drive first_boot=yes"} {
		if !strings.Contains(text, want) {
			t.Errorf("the console lacks %q:\n%s", want, text)
		}
	}
	l := logIn(t, d, id)
	defer l.close()
	l.run("echo mtu=$(cat /sys/class/net/eth0/mtu) mac=$(cat /sys/class/net/eth0/address)")
	l.run("echo swap=$(swapon /dev/vdc && awk 'NR == 2 { print $1 }' /proc/swaps) eph=$(findfs LABEL=ephemeral0)")
	text = console(t, d, id)
	for _, want := range []string{"mtu=1400 mac=fa:16:3e:00:00:01", "swap=/dev/vdc eph=/dev/vdb"} {
		if !strings.Contains(text, want) {
			t.Errorf("the console lacks %q:\n%s", want, text)
		}
	}
	measured, err := d.Diagnostics(t.Context(), &spec.InstanceRef)
	must(t, err)
	if len(measured.NICs) != 1 || measured.NICs[0].MAC != "fa:16:3e:00:00:01" || len(measured.CPUs) != 2 {
		t.Errorf("%+v", measured)
	}
}

// configDrive makes a vfat config drive, as the agent would.
func configDrive(t *testing.T, b *testBed, id string) string {
	t.Helper()
	tree := t.TempDir()
	latest := filepath.Join(tree, "openstack", "latest")
	must(t, os.MkdirAll(latest, 0o755))
	meta := fmt.Sprintf(`{"uuid": %q, "hostname": "from-drive", "public_keys": {"k": "ssh-ed25519 AAAA me@here\n"}}`, id)
	must(t, os.WriteFile(filepath.Join(latest, "meta_data.json"), []byte(meta), 0o644))
	must(t, os.WriteFile(filepath.Join(latest, "user_data"), []byte("#!/bin/sh\necho user data ran\n"), 0o644))
	image := filepath.Join(b.dir, "drive-"+id)
	for _, command := range [][]string{
		{"mkfs.vfat", "-n", "config-2", "-C", image, "4096"},
		{"mcopy", "-s", "-i", image, filepath.Join(tree, "openstack"), "::"},
	} {
		run := exec.Command(command[0], command[1:]...)
		run.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if run.Err != nil {
			run = exec.Command("/usr/sbin/"+command[0], command[1:]...)
		}
		if output, err := run.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, output)
		}
	}
	return image
}

// makeTap makes a tap device, as the agent would.
func makeTap(t *testing.T) string {
	t.Helper()
	name := "klvtap" + strconv.Itoa(os.Getpid()%10000)
	for _, command := range [][]string{{"tuntap", "add", name, "mode", "tap"}, {"link", "set", name, "mtu", "1400", "up"}} {
		if output, err := exec.Command("ip", command...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v\n%s", command, err, output)
		}
	}
	t.Cleanup(func() {
		if output, err := exec.Command("ip", "link", "delete", name).CombinedOutput(); err != nil {
			t.Errorf("ip link delete: %v\n%s", err, output)
		}
	})
	return name
}

// TestWhoseGuest: two drivers on one libvirtd leave each other's guests alone.
func TestWhoseGuest(t *testing.T) {
	b := realBed(t)
	mine := b.driver(t)
	other := New(testLogger(t))
	t.Cleanup(func() { must(t, other.Close()) })
	must(t, other.Configure(t.Context(), b.config(t, map[string]any{
		"instances_dir": filepath.Join(b.dir, "other"), "state_dir": filepath.Join(b.dir, "other-state"),
	})))
	spec := b.blankSpec(t)
	spec.PowerOn = false
	_, err := mine.Create(t.Context(), spec)
	must(t, err)

	list, err := other.List(t.Context())
	must(t, err)
	if len(list) != 0 {
		t.Fatalf("the other driver lists %+v", list[0])
	}
	_, err = other.Inspect(t.Context(), spec.InstanceID)
	wantKind(t, err, driver.KindNotFound)
	_, err = other.Create(t.Context(), spec)
	wantKind(t, err, driver.KindConflict)
	must(t, other.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: operation(spec, "destroy"), DestroyDisks: true}))
	inspect(t, mine, spec.InstanceID)
	must(t, mine.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: operation(spec, "destroy"), DestroyDisks: true}))
}

// TestRefusals: what Create does not do, and that it leaves nothing behind.
func TestRefusals(t *testing.T) {
	b := realBed(t)
	d := b.driver(t)
	backed := filepath.Join(b.dir, "backed")
	if output, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", b.image, backed).CombinedOutput(); err != nil {
		t.Fatal(string(output))
	}
	large := filepath.Join(b.dir, "large")
	if output, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", large, "3G").CombinedOutput(); err != nil {
		t.Fatal(string(output))
	}
	for name, test := range map[string]struct {
		change func(*driver.InstanceSpec)
		want   string
	}{
		"too small":     {func(s *driver.InstanceSpec) { s.Image.Path, s.Image.Format, s.RootGiB = large, "qcow2", 2 }, "needs 3 GiB"},
		"backing file":  {func(s *driver.InstanceSpec) { s.Image.Path, s.Image.Format = backed, "qcow2" }, "another file"},
		"wrong format":  {func(s *driver.InstanceSpec) { s.Image.Format = "qcow2" }, "is no qcow2 image"},
		"missing image": {func(s *driver.InstanceSpec) { s.Image.Path = "/nowhere" }, "cannot be read"},
		"bus":           {func(s *driver.InstanceSpec) { s.Image.Properties = map[string]string{"hw_disk_bus": "xen"} }, "hw_disk_bus"},
		"firmware":      {func(s *driver.InstanceSpec) { s.Image.Properties = map[string]string{"hw_firmware_type": "uefi"} }, "bios"},
		"drive":         {func(s *driver.InstanceSpec) { s.ConfigDrivePath = "/nowhere" }, "config drive"},
	} {
		spec := b.blankSpec(t)
		test.change(spec)
		_, err := d.Create(t.Context(), spec)
		wantKind(t, err, driver.KindInvalid)
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want something about %q", name, err, test.want)
		}
		must(t, d.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: spec.InstanceRef, DestroyDisks: true}))
	}
	entries, err := os.ReadDir(filepath.Join(b.dir, "i"))
	must(t, err)
	if len(entries) > 0 {
		t.Fatal("left behind:", entries)
	}
}

// TestStartFailureSaysWhy: a tap that is not there is QEMU's complaint, and must reach the reader.
func TestStartFailureSaysWhy(t *testing.T) {
	b := realBed(t)
	d := b.driver(t)
	spec := b.blankSpec(t)
	spec.Interfaces = []driver.Interface{{ID: "port", MAC: "fa:16:3e:00:00:02", Tap: "klvnotap"}}
	_, err := d.Create(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "tap device") || !strings.Contains(err.Error(), "start instance") {
		t.Fatal(err)
	}
	t.Log(err)
	must(t, d.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: operation(spec, "destroy"), DestroyDisks: true}))
}

// TestHungLibvirtd stops the daemon's process: calls end by their deadline, the host says so, and all is well again when
// it goes on.
func TestHungLibvirtd(t *testing.T) {
	b := realBed(t)
	d := New(testLogger(t))
	t.Cleanup(func() { must(t, d.Close()) })
	must(t, d.Configure(t.Context(), b.config(t, map[string]any{"call_timeout": "1s"})))
	health, err := d.Fingerprint(t.Context())
	must(t, err)
	waitHealth(t, health, true)

	process := b.libvirtd(t)
	must(t, process.Signal(syscall.SIGSTOP))
	goOn := func() {
		if err := process.Signal(syscall.SIGCONT); !errors.Is(err, os.ErrProcessDone) {
			must(t, err)
		}
	}
	t.Cleanup(goOn)
	begun := time.Now()
	_, err = d.List(t.Context())
	if !errors.Is(err, driver.ErrUnavailable) { // the look at the host's health began first, and dropped the connection under this call
		wantKind(t, err, driver.KindTimeout)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the call took %s", took)
	}
	t.Log(err)
	// Which call notices first decides the words: that it did not answer, or that the connection was dropped for it.
	if down := waitHealth(t, health, false); !strings.Contains(down.HealthDescription, "answer") && !strings.Contains(down.HealthDescription, "connection") {
		t.Error(down.HealthDescription)
	}
	_, err = d.List(t.Context())
	wantKind(t, err, driver.KindUnavailable)
	t.Log(err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err = d.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("the caller's own deadline:", err)
	}
	goOn()
	b.supervise(t)
	waitHealth(t, health, true)
	_, err = d.List(t.Context())
	must(t, err)
}

// TestEventsAfterAGap: what happened while libvirtd was away is told when it is back.
func TestEventsAfterAGap(t *testing.T) {
	b := realBed(t)
	d := b.driver(t)
	health, err := d.Fingerprint(t.Context())
	must(t, err)
	waitHealth(t, health, true)
	events, err := d.Events(t.Context())
	must(t, err)
	spec := b.blankSpec(t)
	_, err = d.Create(t.Context(), spec)
	must(t, err)
	waitEvent(t, events, spec.InstanceID, driver.EventStarted)

	must(t, b.libvirtd(t).Kill())
	t.Cleanup(func() {
		_, err := b.startLibvirtd()
		must(t, err)
	})
	waitHealth(t, health, false)
	raw, err := os.ReadFile(filepath.Join(b.dir, "v", "run", "qemu", domainName(spec.InstanceID)+".pid"))
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	_, err = b.startLibvirtd()
	must(t, err)
	t.Logf("%+v", waitEvent(t, events, spec.InstanceID, driver.EventCrashed))
	if status := inspect(t, d, spec.InstanceID); status.Power != driver.PowerCrashed {
		t.Errorf("%+v", status)
	}
	must(t, d.Start(t.Context(), new(operation(spec, "start"))))
	waitEvent(t, events, spec.InstanceID, driver.EventStarted)
	must(t, d.Destroy(t.Context(), &driver.DestroyRequest{InstanceRef: operation(spec, "destroy"), DestroyDisks: true}))
}
