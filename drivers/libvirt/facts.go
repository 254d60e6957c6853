package libvirt

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// guestArch is the architecture of every guest.
const guestArch = "x86_64"

// facts are what libvirtd knows of its host and of QEMU. They do not change while it runs.
type facts struct {
	libvirtVersion, qemuVersion uint64 // major*1e6 + minor*1e3 + micro
	emulator                    string
	machines                    []string
	owner                       fileOwner
	cpu                         driver.CPUInfo // of the host
	guestFeatures               []string       // that a guest's processor has, by libvirt's names
	diskBuses, videoModels      []string       // that this QEMU has
}

// readFacts asks libvirtd. It runs as one call, under its deadline.
func readFacts(s *session, cfg *Config, virtType VirtType) (*facts, error) {
	f := &facts{}
	var err error
	if f.libvirtVersion, err = s.ConnectGetLibVersion(); err != nil {
		return nil, err
	}
	if f.qemuVersion, err = s.ConnectGetVersion(); err != nil {
		return nil, err
	}
	text, err := s.ConnectGetCapabilities()
	if err != nil {
		return nil, err
	}
	if err := f.readHost(text); err != nil {
		return nil, err
	}
	text, err = s.ConnectGetDomainCapabilities(given(cfg.Emulator), given(guestArch), given(cfg.MachineType),
		given(string(virtType)), 0)
	if err != nil {
		return nil, err
	}
	caps := &libvirtxml.DomainCaps{}
	if err := caps.Unmarshal(text); err != nil {
		return nil, driver.Errorf(driver.KindInternal, "libvirt's domain capabilities are not understood: %v", err)
	}
	f.readDomain(caps)
	f.guestFeatures, err = guestFeatures(s, cfg, virtType, caps)
	return f, err
}

// given is libvirt's way to say "whatever you take by default" by an absent string.
func given(value string) golibvirt.OptString {
	if value == "" {
		return nil
	}
	return golibvirt.OptString{value}
}

// readHost reads the host's part of libvirt's capabilities.
func (f *facts) readHost(text string) error {
	caps := &libvirtxml.Caps{}
	if err := caps.Unmarshal(text); err != nil {
		return driver.Errorf(driver.KindInternal, "libvirt's capabilities are not understood: %v", err)
	}
	if cpu := caps.Host.CPU; cpu != nil {
		f.cpu = driver.CPUInfo{Arch: cpu.Arch, Model: cpu.Model, Vendor: cpu.Vendor}
		if t := cpu.Topology; t != nil {
			f.cpu.Sockets, f.cpu.Cores, f.cpu.Threads = t.Sockets, t.Cores, t.Threads
		}
		for _, feature := range cpu.FeatureFlags {
			f.cpu.Features = append(f.cpu.Features, feature.Name)
		}
		slices.Sort(f.cpu.Features)
	}
	for _, model := range caps.Host.SecModel {
		for _, label := range model.Labels {
			if model.Name == "dac" && label.Type == "qemu" {
				f.owner = parseOwner(label.Value)
			}
		}
	}
	for _, guest := range caps.Guests {
		if guest.Arch.Name != guestArch {
			continue
		}
		for _, machine := range guest.Arch.Machines {
			f.machines = append(f.machines, machine.Name)
		}
	}
	return nil
}

// parseOwner reads libvirt's "+64055:+64055".
func parseOwner(label string) fileOwner {
	user, group, found := strings.Cut(label, ":")
	uid, err1 := strconv.Atoi(strings.TrimPrefix(user, "+"))
	gid, err2 := strconv.Atoi(strings.TrimPrefix(group, "+"))
	return fileOwner{known: found && err1 == nil && err2 == nil, uid: uid, gid: gid}
}

// readDomain reads what this QEMU can give to a guest.
func (f *facts) readDomain(caps *libvirtxml.DomainCaps) {
	f.emulator = caps.Path
	if caps.Devices == nil {
		return
	}
	enum := func(device *libvirtxml.DomainCapsDevice, name string) []string {
		if device == nil {
			return nil
		}
		for _, e := range device.Enums {
			if e.Name == name {
				return e.Values
			}
		}
		return nil
	}
	f.diskBuses = enum(caps.Devices.Disk, "bus")
	f.videoModels = enum(caps.Devices.Video, "modelType")
}

// guestFeatures returns what a guest's processor can do, with every feature that a model implies spelled out. A libvirt
// that cannot answer costs the host its HW_CPU traits, not its health.
func guestFeatures(s *session, cfg *Config, virtType VirtType, caps *libvirtxml.DomainCaps) ([]string, error) {
	cpu := guestCPU(cfg, virtType, caps)
	if cpu == nil {
		return nil, nil
	}
	text, err := cpu.Marshal()
	if err != nil {
		return nil, err
	}
	text, err = s.ConnectBaselineHypervisorCPU(given(caps.Path), given(guestArch), given(cfg.MachineType),
		given(string(virtType)), []string{text}, uint32(golibvirt.ConnectBaselineCPUExpandFeatures))
	if err != nil {
		var answered golibvirt.Error
		if errors.As(err, &answered) {
			return nil, nil
		}
		return nil, err
	}
	expanded := &libvirtxml.DomainCPU{}
	if err := expanded.Unmarshal(text); err != nil {
		return nil, driver.Errorf(driver.KindInternal, "libvirt's baseline processor is not understood: %v", err)
	}
	var features []string
	for _, feature := range expanded.Features {
		if feature.Policy == "require" {
			features = append(features, feature.Name)
		}
	}
	slices.Sort(features)
	return features, nil
}

// guestCPU returns the processor that a guest gets as a model and features; nil when libvirt does not say. The modes
// that follow the host are all taken for host-model, which is the one that libvirt spells out.
func guestCPU(cfg *Config, virtType VirtType, caps *libvirtxml.DomainCaps) *libvirtxml.DomainCPU {
	cpu := &libvirtxml.DomainCPU{Mode: "custom", Match: "exact"}
	if cpuMode(cfg, virtType) == "custom" {
		cpu.Model = &libvirtxml.DomainCPUModel{Fallback: "forbid", Value: cpuModel(cfg)}
		return cpu
	}
	if caps.CPU == nil {
		return nil
	}
	for _, mode := range caps.CPU.Modes {
		if mode.Name != "host-model" || len(mode.Models) == 0 {
			continue
		}
		cpu.Model = &libvirtxml.DomainCPUModel{Fallback: "forbid", Value: mode.Models[0].Name}
		cpu.Vendor = mode.Vendor
		for _, feature := range mode.Features {
			cpu.Features = append(cpu.Features, libvirtxml.DomainCPUFeature(feature))
		}
		return cpu
	}
	return nil
}
