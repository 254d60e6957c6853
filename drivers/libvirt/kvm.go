package libvirt

import (
	"context"
	_ "embed" // the probe guest
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// kvmProbeTimeout is how long the probe guest may take. It takes half a second even under emulation; the rest is for a
// machine that is busy booting.
const kvmProbeTimeout = 10 * time.Second

// kvmDevice is a variable for tests.
var kvmDevice = "/dev/kvm"

// probeGuest is a boot sector, the whole of a guest; kvmprobe/probe.S says what it goes through. It runs on top of the
// BIOS, which has to work before it.
//
//go:embed kvmprobe/probe.bin
var probeGuest []byte

// probeExit is what QEMU returns when the probe guest came to its end and wrote 0x29 to QEMU's exit device.
const probeExit = 2*0x29 + 1

// kvmVerdict is the result of a probe, kept until the machine boots again or gets another QEMU.
type kvmVerdict struct {
	BootID   string `json:"boot_id"`
	Emulator string `json:"emulator"` // path and time of change
	Works    bool   `json:"works"`
	Reason   string `json:"reason"` // why not; for people
}

// chooseVirtType decides between KVM and emulation, and says why. That /dev/kvm is there, and that libvirt offers KVM,
// proves nothing: there are machines on which a guest then hangs at its first instruction. So a guest is tried.
func chooseVirtType(ctx context.Context, cfg *Config, log hclog.Logger) (VirtType, string, error) {
	switch cfg.VirtType {
	case VirtQEMU:
		return VirtQEMU, "", nil
	case VirtKVM:
		if _, err := os.Stat(kvmDevice); err != nil {
			return "", "", invalid("virt_type kvm: this machine has no KVM (%v); set virt_type to qemu, or to auto", err)
		}
		return VirtKVM, "", nil
	}
	if _, err := os.Stat(kvmDevice); err != nil {
		return VirtQEMU, "guests are emulated: this machine has no " + kvmDevice, nil
	}
	emulator := cfg.Emulator
	if emulator == "" {
		emulator = "qemu-system-x86_64"
	}
	path, err := exec.LookPath(emulator)
	if err != nil {
		return VirtQEMU, fmt.Sprintf("guests are emulated: KVM could not be tried, %v", err), nil
	}
	verdict, err := promptVerdict(ctx, filepath.Join(cfg.StateDir, "kvm-probe.json"), path, log)
	if err != nil {
		return "", "", err
	}
	if verdict == nil {
		return VirtQEMU, fmt.Sprintf("guests are emulated for now: KVM is being tried and gave no answer within %s; "+
			"if it works after all, it is used from the driver's next start on", kvmPatience), nil
	}
	if verdict.Works {
		return VirtKVM, "", nil
	}
	return VirtQEMU, "guests are emulated: KVM does not work here, " + verdict.Reason, nil
}

// kvmPatience is how long the host waits for the probe guest before it begins with emulation. Where KVM works the guest is done in half a second; where it
// hangs, or takes seconds to fail, nobody should have to wait to be told so.
const kvmPatience = 1500 * time.Millisecond

// promptVerdict is cachedVerdict that does not wait longer than kvmPatience: then it returns nil, and the probe goes on for the next start.
func promptVerdict(ctx context.Context, file, emulator string, log hclog.Logger) (*kvmVerdict, error) {
	type result struct {
		verdict *kvmVerdict
		err     error
	}
	done := make(chan result, 1)
	go func() {
		pctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*kvmProbeTimeout)
		defer cancel()
		v, err := cachedVerdict(pctx, file, emulator, log)
		done <- result{v, err}
	}()
	timer := time.NewTimer(kvmPatience)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.verdict, r.err
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cachedVerdict returns what an earlier probe of this boot and this QEMU found, or probes.
func cachedVerdict(ctx context.Context, file, emulator string, log hclog.Logger) (*kvmVerdict, error) {
	want := kvmVerdict{BootID: bootID()}
	info, err := os.Stat(emulator)
	if err != nil {
		return nil, fileError("look at the emulator", err)
	}
	want.Emulator = fmt.Sprintf("%s %d", emulator, info.ModTime().Unix())

	verdict := &kvmVerdict{}
	if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, verdict) == nil &&
		verdict.BootID == want.BootID && verdict.BootID != "" && verdict.Emulator == want.Emulator {
		return verdict, nil
	}
	begun := time.Now()
	reason := probe(ctx, emulator, "kvm", kvmProbeTimeout)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	want.Works, want.Reason = reason == "", reason
	log.Info("tried a guest on KVM", "works", want.Works, "reason", reason, "took", time.Since(begun).Round(time.Millisecond))
	raw, err := json.Marshal(&want)
	if err == nil {
		err = writeFileAtomic(file, raw, 0o600)
	}
	return &want, fileError("keep the result of the KVM probe", err)
}

// bootID names this boot of the machine; "" when the kernel does not say.
func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// probe runs the probe guest on an accelerator and returns why it did not work, or "". It does not wait for a QEMU that
// cannot be killed because it hangs in the kernel.
func probe(ctx context.Context, emulator, accelerator string, timeout time.Duration) string {
	dir, err := os.MkdirTemp("", "kilonova-kvm-")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk := filepath.Join(dir, "probe.img")
	if err := os.WriteFile(disk, probeGuest, 0o600); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	complaints := newComplaints(cancel)
	command := exec.CommandContext(ctx, emulator, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "pc,accel="+accelerator, "-m", "16", "-drive", "file="+disk+",format=raw,if=floppy", "-boot", "a",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=1")
	command.Stderr = complaints
	command.WaitDelay = time.Second
	if err := command.Start(); err != nil {
		return err.Error()
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		select {
		case err = <-ended:
		case <-time.After(2 * time.Second):
			err = context.DeadlineExceeded
		}
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == probeExit:
		return ""
	case complaints.text() != "":
		return "the probe guest failed: " + complaints.text()
	case ctx.Err() != nil:
		return fmt.Sprintf("the probe guest gave no sign of life within %s", timeout)
	default:
		return fmt.Sprintf("the probe guest ended wrongly: %v", err)
	}
}
