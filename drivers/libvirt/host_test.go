package libvirt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"
)

func TestCountCPUsAndMemory(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]int{"0": 1, "0-1": 2, "0-3,8,10-11": 7} {
		got, err := countCPUs(list)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, wrong := range []string{"", "x", "3-1"} {
		_, err := countCPUs(wrong)
		require.Error(t, err, wrong)
	}
	memory, err := totalMemory("MemFree: 1 kB\nMemTotal:       24684084 kB\n")
	require.NoError(t, err)
	require.EqualValues(t, 24105, memory)
	_, err = totalMemory("")
	require.Error(t, err)
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := hostTraits(&facts{guestFeatures: []string{"svm", "sse2", "unheard-of"}, diskBuses: []string{"virtio", "fdc"}, videoModels: []string{"vga"}})
	require.IsIncreasing(t, traits)
	for _, want := range []string{"HW_CPU_X86_SVM", "HW_CPU_X86_AMD_SVM", "HW_CPU_X86_SSE2", "COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_GRAPHICS_MODEL_VGA"} {
		require.Contains(t, traits, want)
	}
	for _, trait := range traits {
		require.Regexp(t, `^(HW_CPU_X86|HW_ARCH|COMPUTE)_[A-Z0-9_]+$`, trait)
	}
}

func TestParseOwner(t *testing.T) {
	t.Parallel()
	require.Equal(t, fileOwner{known: true, uid: 64055, gid: 108}, parseOwner("+64055:+108"))
	require.False(t, parseOwner("libvirt-qemu").known)
	require.NoError(t, fileOwner{}.take("/nowhere"), "an unknown owner takes nothing")
}

func TestGuestCPU(t *testing.T) {
	t.Parallel()
	cfg, err := ParseConfig([]byte(`{"cpu_model": "EPYC"}`))
	require.NoError(t, err)
	require.Equal(t, "EPYC", guestCPU(cfg, VirtQEMU, &libvirtxml.DomainCaps{}).Model.Value)
	cfg, err = ParseConfig(nil)
	require.NoError(t, err)
	require.Equal(t, "qemu64", guestCPU(cfg, VirtQEMU, &libvirtxml.DomainCaps{}).Model.Value)
	require.Nil(t, guestCPU(cfg, VirtKVM, &libvirtxml.DomainCaps{}))
	caps := &libvirtxml.DomainCaps{CPU: &libvirtxml.DomainCapsCPU{Modes: []libvirtxml.DomainCapsCPUMode{
		{Name: "maximum"},
		{Name: "host-model", Vendor: "AMD", Models: []libvirtxml.DomainCapsCPUModel{{Name: "EPYC-Milan"}},
			Features: []libvirtxml.DomainCapsCPUFeature{{Policy: "disable", Name: "monitor"}}},
	}}}
	cpu := guestCPU(cfg, VirtKVM, caps)
	require.Equal(t, "EPYC-Milan", cpu.Model.Value)
	require.Equal(t, "disable", cpu.Features[0].Policy)
}

// emulator writes a program that stands for QEMU and counts how often it is run.
func emulator(t *testing.T, script string) (path string, runs func() int) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "qemu"), filepath.Join(dir, "log")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho run >>"+log+"\n"+script+"\n"), 0o755))
	return path, func() int {
		raw, err := os.ReadFile(log)
		require.NoError(t, err)
		return strings.Count(string(raw), "run")
	}
}

func TestChooseVirtType(t *testing.T) {
	device := filepath.Join(t.TempDir(), "kvm")
	kvmDevice = device
	t.Cleanup(func() { kvmDevice = "/dev/kvm" })
	choose := func(kind VirtType, emulator, stateDir string) (VirtType, string, error) {
		return chooseVirtType(t.Context(), &Config{VirtType: kind, Emulator: emulator, StateDir: stateDir}, hclog.NewNullLogger())
	}
	works, runs := emulator(t, "exit 83")

	got, note, err := choose(VirtAuto, works, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, VirtQEMU, got)
	require.Contains(t, note, "has no "+device)
	_, _, err = choose(VirtKVM, works, t.TempDir())
	require.ErrorContains(t, err, "no KVM")

	require.NoError(t, os.WriteFile(device, nil, 0o600))
	state := t.TempDir()
	for range 3 {
		got, note, err = choose(VirtAuto, works, state)
		require.NoError(t, err)
		require.Equal(t, VirtKVM, got)
		require.Empty(t, note)
	}
	require.Equal(t, 1, runs(), "one probe for each boot of the machine")
	require.NoError(t, os.Chtimes(works, time.Now(), time.Unix(1, 0)))
	_, _, err = choose(VirtAuto, works, state)
	require.NoError(t, err)
	require.Equal(t, 2, runs(), "another QEMU is another probe")

	for script, want := range map[string]string{
		"echo 'warning: x' >&2; echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60": "KVM internal error",
		"exit 0": "ended wrongly",
	} {
		broken, _ := emulator(t, script)
		begun := time.Now()
		got, note, err = choose(VirtAuto, broken, t.TempDir())
		require.NoError(t, err)
		require.Equal(t, VirtQEMU, got)
		require.Contains(t, note, want)
		require.Less(t, time.Since(begun), kvmProbeTimeout)
	}
	got, _, err = choose(VirtKVM, works, t.TempDir())
	require.NoError(t, err)
	require.Equal(t, VirtKVM, got, "taken at its word")
}

func TestProbeTimesOut(t *testing.T) {
	t.Parallel()
	mute, _ := emulator(t, "exec sleep 60")
	require.Contains(t, probe(t.Context(), mute, "kvm", 200*time.Millisecond), "no sign of life within 200ms")
}

// The probe guest itself is sound: under emulation, which always works, it comes to its end.
func TestProbeGuest(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip(err)
	}
	require.Empty(t, probe(t.Context(), path, "tcg", time.Minute))
}

// probe.bin is what probe.S says.
func TestProbeBinary(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"as", "ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	object, binary := filepath.Join(dir, "probe.o"), filepath.Join(dir, "probe.bin")
	output, err := exec.Command("as", "--32", "-o", object, "kvmprobe/probe.S").CombinedOutput()
	require.NoError(t, err, string(output))
	output, err = exec.Command("ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", binary, object).CombinedOutput()
	require.NoError(t, err, string(output))
	built, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.Equal(t, probeGuest, built)
}
