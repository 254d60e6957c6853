//go:build linux

package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// The real tests run guests on a libvirtd of their own, which scripts/libvirtd starts in a folder that is removed again.
// They need root and the packages below, and are skipped elsewhere, and with -short; KILONOVA_TEST_LIBVIRT=1 makes a
// missing tool a failure. A boot costs 6 to 9 seconds of processor time, so the tests share booted guests.

// testBed is the libvirtd, the guest image and the folders that all real tests share.
type testBed struct {
	dir, socket, image string
}

var (
	bedOnce sync.Once
	bed     *testBed
	bedErr  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if bed != nil {
		if err := bed.end(); err != nil {
			fmt.Fprintln(os.Stderr, "the test bed could not be removed:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// realBed returns the test bed, or skips or fails the test where there cannot be one.
func realBed(t testing.TB) *testBed {
	t.Helper()
	required := os.Getenv("KILONOVA_TEST_LIBVIRT") == "1"
	if testing.Short() && !required {
		t.Skip("-short: no real guests")
	}
	if missing := missingTools(); missing != "" {
		if required {
			t.Fatalf("KILONOVA_TEST_LIBVIRT=1, and %s", missing)
		}
		t.Skipf("no real guests: %s", missing)
	}
	bedOnce.Do(func() { bed, bedErr = newTestBed() })
	if bedErr != nil {
		t.Fatal(bedErr)
	}
	return bed
}

func missingTools() string {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return "the tests need root on Linux"
	}
	for _, tool := range []string{"libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "mke2fs", "syslinux", "mcopy", "mkfs.vfat"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if _, err := os.Stat("/usr/sbin/" + tool); err != nil {
			return tool + " is missing; install the packages in scripts/guest-image/packages and scripts/libvirtd/start"
		}
	}
	return ""
}

func newTestBed() (*testBed, error) {
	// Short, for the paths of unix sockets.
	dir, err := os.MkdirTemp("/tmp", "klv")
	if err != nil {
		return nil, err
	}
	b := &testBed{dir: dir}
	root := filepath.Join("..", "..")
	if b.image, err = script(filepath.Join(root, "scripts", "guest-image", "build"), filepath.Join(root, "build", "guest-image")); err != nil {
		return b, err
	}
	b.socket, err = b.startLibvirtd()
	return b, err
}

func (b *testBed) startLibvirtd() (string, error) {
	return script(filepath.Join("..", "..", "scripts", "libvirtd", "start"), filepath.Join(b.dir, "v"))
}

// script runs one of the repository's scripts and returns the last line that it printed.
func script(path string, args ...string) (string, error) {
	output, err := exec.Command(path, args...).CombinedOutput()
	text := strings.TrimSpace(string(output))
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", path, err, text)
	}
	return text[strings.LastIndexByte(text, '\n')+1:], nil
}

func (b *testBed) end() error {
	_, err := script(filepath.Join("..", "..", "scripts", "libvirtd", "stop"), "--guests", filepath.Join(b.dir, "v"))
	return errors.Join(err, os.RemoveAll(b.dir))
}

// supervise starts libvirtd again when it has ended, until the test ends, as systemd does: libvirt 9.0 has been seen to crash (a segmentation fault in its event loop)
// when it wakes up to connections that were closed while it was stopped.
func (b *testBed) supervise(t testing.TB) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-stop:
				return
			}
			if b.running() {
				continue
			}
			t.Log("libvirtd has ended; it is started again")
			if _, err := b.startLibvirtd(); err != nil {
				t.Error(err)
			}
		}
	}()
}

func (b *testBed) running() bool {
	process, err := b.process()
	return err == nil && process.Signal(syscall.Signal(0)) == nil
}

// libvirtd returns the daemon's process.
func (b *testBed) libvirtd(t testing.TB) *os.Process {
	t.Helper()
	process, err := b.process()
	must(t, err)
	return process
}

func (b *testBed) process() (*os.Process, error) {
	raw, err := os.ReadFile(filepath.Join(b.dir, "v", "libvirtd.pid"))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, err
	}
	return os.FindProcess(pid)
}

// config returns a driver's configuration for the test bed.
func (b *testBed) config(t testing.TB, extra map[string]any) []byte {
	t.Helper()
	values := map[string]any{
		"socket": b.socket, "virt_type": "qemu", "instances_dir": filepath.Join(b.dir, "i"), "state_dir": filepath.Join(b.dir, "s"),
		"tb_cache_mib": 32, "shutdown_retry": "2s",
	}
	for key, value := range extra {
		values[key] = value
	}
	raw, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// driver returns a configured driver, closed when the test ends.
func (b *testBed) driver(t testing.TB) *Driver {
	t.Helper()
	d := New(testLogger(t))
	if err := d.Configure(t.Context(), b.config(t, nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func testLogger(t testing.TB) hclog.Logger {
	t.Helper()
	level := hclog.Warn
	if testing.Verbose() {
		level = hclog.Debug
	}
	return hclog.New(&hclog.LoggerOptions{Level: level, Output: os.Stderr})
}

// spec returns a small guest that has not been made yet.
func (b *testBed) spec(t testing.TB, hostname string) *driver.InstanceSpec {
	t.Helper()
	id := uuid.NewString()
	return &driver.InstanceSpec{
		InstanceRef: driver.InstanceRef{InstanceID: id, OperationID: "create-" + id, Generation: 1},
		Name:        "the " + hostname, Hostname: hostname, ProjectID: "p", UserID: "u",
		VCPUs: 1, MemoryMiB: 96, PowerOn: true,
		Image: &driver.Image{ID: "guest-image", Path: b.image, Format: "qcow2"},
	}
}

// eventually polls a condition until it holds. The condition returns what is wrong still, or "".
func eventually(t testing.TB, within time.Duration, wrong func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		text := wrong()
		if text == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still after %s: %s", within, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// bootTime is generous: other tests may keep both processors busy.
const bootTime = 120 * time.Second

// waitConsole waits until the guest's console has the text at least count times.
func waitConsole(t testing.TB, d *Driver, id, text string, count int) {
	t.Helper()
	begun := time.Now()
	eventually(t, bootTime, func() string {
		output := console(t, d, id)
		if strings.Count(output, text) >= count {
			return ""
		}
		return fmt.Sprintf("the console has not %d times %q; its end:\n%s", count, text, lastLines([]byte(output), 15))
	})
	t.Logf("console: %q after %s", text, time.Since(begun).Round(10*time.Millisecond))
}

func console(t testing.TB, d *Driver, id string) string {
	t.Helper()
	raw, err := d.ConsoleOutput(t.Context(), &driver.ConsoleOutputRequest{InstanceID: id})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// waitEvent waits for an event of the instance's; others before it are let pass.
func waitEvent(t testing.TB, events <-chan *driver.Event, id string, kind driver.EventType) *driver.Event {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case event, open := <-events:
			if !open {
				t.Fatalf("the event stream ended before %s", kind)
			}
			if event.InstanceID == id && event.Type == kind {
				return event
			}
		case <-deadline:
			t.Fatalf("no event %s of instance %s", kind, id)
		}
	}
}

// login is a person at the guest's serial console.
type login struct {
	t   testing.TB
	d   *Driver
	id  string
	pty *os.File
}

// logIn opens the serial console and logs in as root. The caller closes it.
func logIn(t testing.TB, d *Driver, id string) *login {
	t.Helper()
	h, err := d.configured()
	if err != nil {
		t.Fatal(err)
	}
	g, err := h.mustFind(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	domain, err := h.liveXML(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	pty, err := os.OpenFile(domain.Devices.Serials[0].Source.Pty.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := &login{t: t, d: d, id: id, pty: pty}
	prompts := strings.Count(console(t, d, id), "Password: ")
	shells := strings.Count(console(t, d, id), "built-in shell")
	l.enter("root")
	waitConsole(t, d, id, "Password: ", prompts+1)
	l.enter("kilonova")
	waitConsole(t, d, id, "built-in shell", shells+1)
	return l
}

// close hangs up. The shell in the guest stays.
func (l *login) close() {
	l.t.Helper()
	must(l.t, l.pty.Close())
}

func (l *login) enter(line string) {
	l.t.Helper()
	if _, err := l.pty.WriteString(line + "\r"); err != nil {
		l.t.Fatal(err)
	}
}

// run executes a command in the guest and waits until it is done.
func (l *login) run(command string) {
	l.t.Helper()
	// What the shell echoes of the command does not have the mark in one piece.
	mark := "done-" + uuid.NewString()[:8]
	l.enter(command + "; echo " + mark[:4] + `""` + mark[4:])
	waitConsole(l.t, l.d, l.id, mark, 1)
}

// processes returns the command lines of running processes that mention the text.
func processes(t testing.TB, text string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), text) {
			found = append(found, strings.ReplaceAll(string(raw), "\x00", " "))
		}
	}
	return found
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind driver.Kind) {
	t.Helper()
	if driver.KindOf(err) != kind {
		t.Fatalf("error %v is of kind %q, want %q", err, driver.KindOf(err), kind)
	}
}

func inspect(t testing.TB, d *Driver, id string) *driver.InstanceStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, err := d.Inspect(ctx, id)
	must(t, err)
	return status
}
