package libvirt

import (
	"maps"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// hardware is what an image's properties, the flavor's extra specs and the configuration make of a guest's devices.
type hardware struct {
	machine  string // as libvirt names it
	diskBus  string
	cdromBus string
	nicModel string // of interfaces that name none themselves
	video    string // "" for none
	pointer  string // usbtablet or ps2mouse
}

// Nova's values that differ from libvirt's names are keys; the others map to themselves.
var (
	diskBuses = set("virtio", "scsi", "ide", "sata", "usb")
	nicModels = map[string]string{
		"virtio": "virtio", "e1000": "e1000", "e1000e": "e1000e", "rtl8139": "rtl8139", "ne2k_pci": "ne2k_pci",
		"pcnet": "pcnet", "vmxnet3": "vmxnet3", "VirtualVmxnet3": "vmxnet3",
	}
	videoModels = map[string]string{
		"vga": "vga", "virtio": "virtio", "cirrus": "cirrus", "qxl": "qxl", "bochs": "bochs", "vmvga": "vmvga", "none": "",
	}
	pointerModels = set("usbtablet", "ps2mouse")
	firmwareTypes = set("bios")
)

func set(values ...string) map[string]string {
	m := make(map[string]string, len(values))
	for _, v := range values {
		m[v] = v
	}
	return m
}

// hardwareFor resolves the properties of spec's image. Errors are ErrInvalid and name the property and what it may be.
// machines are the names that the hypervisor knows, or nil when that is not known.
func hardwareFor(cfg *Config, spec *driver.InstanceSpec, machines []string) (*hardware, error) {
	properties := spec.Image.Properties
	machine := properties["hw_machine_type"]
	if machine == "" {
		machine = cfg.MachineType
	}
	if !isMachineType(machine) || machines != nil && !slices.Contains(machines, machine) {
		return nil, invalid("image property hw_machine_type %q is not supported on this host; it may be pc, q35, or a versioned "+
			"name of them that this QEMU knows", machine)
	}
	if arch := properties["hw_architecture"]; arch != "" && arch != guestArch {
		return nil, invalid("image property hw_architecture %q is not supported on this host; it may be %s", arch, guestArch)
	}
	h := &hardware{machine: machine}
	cdrom := "ide"
	if isQ35(machine) {
		cdrom = "sata"
	}
	firmware := ""
	for _, p := range []struct {
		property, fallback string
		allowed            map[string]string
		target             *string
	}{
		{"hw_disk_bus", "virtio", diskBuses, &h.diskBus},
		{"hw_cdrom_bus", cdrom, diskBuses, &h.cdromBus},
		{"hw_vif_model", "virtio", nicModels, &h.nicModel},
		{"hw_video_model", "vga", videoModels, &h.video},
		{"hw_pointer_model", "usbtablet", pointerModels, &h.pointer},
		{"hw_firmware_type", "bios", firmwareTypes, &firmware},
	} {
		value := properties[p.property]
		if value == "" {
			value = p.fallback
		}
		model, ok := p.allowed[value]
		if !ok {
			return nil, invalid("image property %s %q is not supported by the libvirt driver; it may be %s",
				p.property, value, alternatives(p.allowed))
		}
		*p.target = model
	}
	for property, bus := range map[string]string{"hw_disk_bus": h.diskBus, "hw_cdrom_bus": h.cdromBus} {
		if bus == "ide" && isQ35(machine) {
			return nil, invalid("image property %s ide does not go with machine type %s, which has no IDE; use sata, or machine type pc",
				property, machine)
		}
	}
	if h.cdromBus == "virtio" {
		return nil, invalid("image property hw_cdrom_bus virtio is not supported: there is no such CD drive; it may be ide, sata, scsi or usb")
	}
	return h, checkExtraSpecs(spec.ExtraSpecs)
}

// extraSpecs are those that change what a guest is promised, with the values that this driver keeps the promise of.
// Extra specs for the scheduler (capabilities:, trait:, resources:, ...) are none of a driver's business.
var extraSpecs = map[string][]string{
	"hw:cpu_policy":       {"shared"},
	"hw:mem_page_size":    {"any", "small"},
	"hw:numa_nodes":       {"1"},
	"hw:cpu_realtime":     {"no", "false"},
	"hw:mem_encryption":   {"no", "false"},
	"hw:locked_memory":    {"no", "false"},
	"hw:emulator_threads": {"share"},
	"hw:pci_numa_affinity_policy": {
		"legacy", "preferred",
	},
	"os:secure_boot":        {"disabled", "optional"},
	"hw:tpm_version":        nil,
	"hw:pmem":               nil,
	"pci_passthrough:alias": nil,
}

// checkExtraSpecs refuses what would be silently left out.
func checkExtraSpecs(specs map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(extraSpecs)) {
		value, given := specs[key]
		if !given || value == "" || slices.Contains(extraSpecs[key], strings.ToLower(value)) {
			continue
		}
		may := "it may only be left out"
		if len(extraSpecs[key]) > 0 {
			may = "it may be " + strings.Join(extraSpecs[key], ", ")
		}
		return invalid("flavor extra spec %s %q is not supported by the libvirt driver; %s", key, value, may)
	}
	return nil
}

func alternatives(m map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
