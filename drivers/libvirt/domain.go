package libvirt

import (
	"fmt"
	"net"

	"libvirt.org/go/libvirtxml"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// agentChannel is the name that the QEMU guest agent looks for.
const agentChannel = "org.qemu.guest_agent.0"

// platform is what the configuration and the hypervisor decide for every guest of the host.
type platform struct {
	virtType  VirtType // VirtKVM or VirtQEMU
	emulator  string
	cacheMode string
	machines  []string // nil when not known
}

// blueprint is all that a domain is made of; domainXML is a function of it and nothing else.
type blueprint struct {
	cfg      *Config
	platform platform
	spec     *driver.InstanceSpec
	folder   folder
	hardware *hardware
	// configDrive is "cdrom", "disk", or "" when there is none.
	configDrive string
}

// domainXML lays out the guest. The same blueprint gives the same bytes.
func (b *blueprint) domainXML() (string, error) {
	meta := metadata{
		Name:       b.spec.Name,
		Hostname:   b.spec.Hostname,
		Project:    b.spec.ProjectID,
		User:       b.spec.UserID,
		Image:      b.spec.Image.ID,
		Generation: b.spec.Generation,
		Operation:  b.spec.OperationID,
		Folder:     b.folder.path(),
	}
	inner, err := meta.marshal()
	if err != nil {
		return "", driver.Errorf(driver.KindInternal, "write the domain's metadata: %v", err)
	}
	domain := &libvirtxml.Domain{
		Type:       string(b.platform.virtType),
		Name:       domainName(b.spec.InstanceID),
		UUID:       b.spec.InstanceID,
		Metadata:   &libvirtxml.DomainMetadata{XML: inner},
		Memory:     &libvirtxml.DomainMemory{Value: uint(b.spec.MemoryMiB), Unit: "MiB"},
		VCPU:       &libvirtxml.DomainVCPU{Placement: "static", Value: uint(b.spec.VCPUs)},
		SysInfo:    []libvirtxml.DomainSysInfo{{SMBIOS: b.smbios()}},
		OS:         b.firmware(),
		Features:   b.features(),
		CPU:        b.cpu(),
		Clock:      b.clock(),
		OnPoweroff: "destroy",
		OnReboot:   "restart",
		OnCrash:    "destroy",
		Devices:    b.devices(),
	}
	text, err := domain.Marshal()
	if err != nil {
		return "", driver.Errorf(driver.KindInternal, "write the domain's XML: %v", err)
	}
	return text, nil
}

// smbios is how the guest learns who it is without network or config drive. The product name is OpenStack's: cloud-init
// looks for the metadata service only on machines whose DMI says so.
func (b *blueprint) smbios() *libvirtxml.DomainSysInfoSMBIOS {
	return &libvirtxml.DomainSysInfoSMBIOS{
		System: &libvirtxml.DomainSysInfoSystem{Entry: []libvirtxml.DomainSysInfoEntry{
			{Name: "manufacturer", Value: "Kilonova"},
			{Name: "product", Value: "OpenStack Nova"},
			{Name: "serial", Value: b.spec.InstanceID},
			{Name: "uuid", Value: b.spec.InstanceID},
			{Name: "family", Value: "Virtual Machine"},
		}},
		OEMStrings: &libvirtxml.DomainSysInfoOEMStrings{Entry: []string{"kilonova.hostname=" + b.spec.Hostname}},
	}
}

func (b *blueprint) firmware() *libvirtxml.DomainOS {
	return &libvirtxml.DomainOS{
		Type:        &libvirtxml.DomainOSType{Arch: guestArch, Machine: b.hardware.machine, Type: "hvm"},
		BootDevices: []libvirtxml.DomainBootDevice{{Dev: "hd"}},
		SMBios:      &libvirtxml.DomainSMBios{Mode: "sysinfo"},
	}
}

func (b *blueprint) features() *libvirtxml.DomainFeatureList {
	features := &libvirtxml.DomainFeatureList{
		ACPI: &libvirtxml.DomainFeature{},
		APIC: &libvirtxml.DomainFeatureAPIC{},
	}
	if size := *b.cfg.TBCacheMiB; b.platform.virtType == VirtQEMU && size > 0 {
		features.TCG = &libvirtxml.DomainFeatureTCG{
			TBCache: &libvirtxml.DomainFeatureTCGTBCache{Unit: "MiB", Size: uint(size)},
		}
	}
	return features
}

// cpu gives each virtual processor a socket of its own, as Nova does when nothing else is asked for.
func (b *blueprint) cpu() *libvirtxml.DomainCPU {
	cpu := &libvirtxml.DomainCPU{
		Mode:     cpuMode(b.cfg, b.platform.virtType),
		Topology: &libvirtxml.DomainCPUTopology{Sockets: b.spec.VCPUs, Cores: 1, Threads: 1},
	}
	if cpu.Mode == "custom" {
		cpu.Match = "exact"
		cpu.Model = &libvirtxml.DomainCPUModel{Fallback: "forbid", Value: cpuModel(b.cfg)}
	}
	return cpu
}

func cpuMode(cfg *Config, virtType VirtType) string {
	switch {
	case cfg.CPUMode != "":
		return cfg.CPUMode
	case virtType == VirtKVM:
		return "host-model"
	default:
		return "custom"
	}
}

func cpuModel(cfg *Config) string {
	if cfg.CPUModel != "" {
		return cfg.CPUModel
	}
	return "qemu64"
}

// clock keeps time right in guests that count ticks, on KVM, where ticks can be lost.
func (b *blueprint) clock() *libvirtxml.DomainClock {
	clock := &libvirtxml.DomainClock{Offset: "utc"}
	if b.platform.virtType == VirtKVM {
		clock.Timer = []libvirtxml.DomainTimer{
			{Name: "pit", TickPolicy: "delay"},
			{Name: "rtc", TickPolicy: "catchup"},
			{Name: "hpet", Present: "no"},
		}
	}
	return clock
}

func (b *blueprint) devices() *libvirtxml.DomainDeviceList {
	disks, controllers := b.disks()
	devices := &libvirtxml.DomainDeviceList{
		Emulator:    b.platform.emulator,
		Disks:       disks,
		Controllers: controllers,
		Interfaces:  b.interfaces(),
		Serials:     []libvirtxml.DomainSerial{b.serial()},
		Consoles: []libvirtxml.DomainConsole{{
			Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
			Target: &libvirtxml.DomainConsoleTarget{Type: "serial", Port: new(uint(0))},
		}},
		Channels: []libvirtxml.DomainChannel{{
			Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{}},
			Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: agentChannel}},
		}},
		RNGs: []libvirtxml.DomainRNG{{
			Model:   "virtio",
			Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}},
		}},
		MemBalloon: &libvirtxml.DomainMemBalloon{Model: "virtio", Stats: &libvirtxml.DomainMemBalloonStats{Period: 10}},
	}
	b.addScreen(devices)
	return devices
}

// serial is the guest's first serial port: a pseudo terminal for people, and a log that is appended to, so that what the
// guest said before it was stopped stays readable.
func (b *blueprint) serial() libvirtxml.DomainSerial {
	return libvirtxml.DomainSerial{
		Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
		Target: &libvirtxml.DomainSerialTarget{Port: new(uint(0))},
		Log:    &libvirtxml.DomainChardevLog{File: b.folder.consoleLog(), Append: "on"},
	}
}

// addScreen gives the guest a display, a way to see it, and a pointer that follows the viewer's.
func (b *blueprint) addScreen(devices *libvirtxml.DomainDeviceList) {
	model := libvirtxml.DomainVideoModel{Type: "none"}
	if b.hardware.video != "" {
		model = libvirtxml.DomainVideoModel{Type: b.hardware.video, Heads: 1}
	}
	devices.Videos = []libvirtxml.DomainVideo{{Model: model}}
	if b.cfg.VNC == "none" || b.hardware.video == "" {
		return
	}
	vnc := &libvirtxml.DomainGraphicVNC{}
	if net.ParseIP(b.cfg.VNC) != nil {
		vnc.Port, vnc.AutoPort = -1, "yes"
		vnc.Listeners = []libvirtxml.DomainGraphicListener{{
			Address: &libvirtxml.DomainGraphicListenerAddress{Address: b.cfg.VNC},
		}}
	} else {
		vnc.Listeners = []libvirtxml.DomainGraphicListener{{
			Socket: &libvirtxml.DomainGraphicListenerSocket{Socket: b.folder.vncSocket()},
		}}
	}
	devices.Graphics = []libvirtxml.DomainGraphic{{VNC: vnc}}
	if b.hardware.pointer == "usbtablet" {
		devices.Inputs = []libvirtxml.DomainInput{{Type: "tablet", Bus: "usb"}}
	}
}

// interfaces attach to taps that the agent made; libvirt neither creates nor removes them.
func (b *blueprint) interfaces() []libvirtxml.DomainInterface {
	var interfaces []libvirtxml.DomainInterface
	for _, nic := range b.spec.Interfaces {
		model := b.hardware.nicModel
		if nic.Model != "" {
			model = nicModels[nic.Model]
		}
		device := libvirtxml.DomainInterface{
			MAC:    &libvirtxml.DomainInterfaceMAC{Address: nic.MAC},
			Source: &libvirtxml.DomainInterfaceSource{Ethernet: &libvirtxml.DomainInterfaceSourceEthernet{}},
			Target: &libvirtxml.DomainInterfaceTarget{Dev: nic.Tap, Managed: "no"},
			Model:  &libvirtxml.DomainInterfaceModel{Type: model},
		}
		// Only virtio can tell the guest.
		if nic.MTU > 0 && model == "virtio" {
			device.MTU = &libvirtxml.DomainInterfaceMTU{Size: uint(nic.MTU)}
		}
		interfaces = append(interfaces, device)
	}
	return interfaces
}

// disks lists the guest's disks in the order in which it is to see them, and the controllers that they need beyond those
// that libvirt adds by itself.
func (b *blueprint) disks() ([]libvirtxml.DomainDisk, []libvirtxml.DomainController) {
	targets := targets{}
	file := func(path, format, device, bus string) libvirtxml.DomainDisk {
		disk := libvirtxml.DomainDisk{
			Device: device,
			Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: format, Cache: b.platform.cacheMode},
			Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: path}},
			Target: &libvirtxml.DomainDiskTarget{Dev: targets.next(bus), Bus: bus},
		}
		if device == "disk" {
			disk.Driver.Discard = "unmap"
		}
		return disk
	}
	disks := []libvirtxml.DomainDisk{file(b.folder.rootDisk(), "qcow2", "disk", b.hardware.diskBus)}
	if b.spec.EphemeralGiB > 0 {
		disks = append(disks, file(b.folder.ephemeral(), "raw", "disk", b.hardware.diskBus))
	}
	if b.spec.SwapMiB > 0 {
		disks = append(disks, file(b.folder.swap(), "raw", "disk", b.hardware.diskBus))
	}
	switch b.configDrive {
	case "cdrom":
		drive := file(b.spec.ConfigDrivePath, "raw", "cdrom", b.hardware.cdromBus)
		drive.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
		disks = append(disks, drive)
	case "disk":
		drive := file(b.spec.ConfigDrivePath, "raw", "disk", b.hardware.diskBus)
		// IDE and SATA disks cannot be read-only.
		if b.hardware.diskBus != "ide" && b.hardware.diskBus != "sata" {
			drive.ReadOnly = &libvirtxml.DomainDiskReadOnly{}
		}
		disks = append(disks, drive)
	}
	var controllers []libvirtxml.DomainController
	for _, disk := range disks {
		if disk.Target.Bus == "scsi" {
			controllers = []libvirtxml.DomainController{{Type: "scsi", Index: new(uint(0)), Model: "virtio-scsi"}}
		}
	}
	return disks, controllers
}

// targets hands out device names, counting for each prefix on its own.
type targets map[string]int

// next returns vda, vdb, ... for virtio, hda, ... for IDE, sda, ... for the rest. A guest has five disks of the driver's
// own at most, so the letters do not run out.
func (t targets) next(bus string) string {
	prefix := "sd"
	switch bus {
	case "virtio":
		prefix = "vd"
	case "ide":
		prefix = "hd"
	}
	letter := 'a' + rune(t[prefix])
	t[prefix]++
	return fmt.Sprintf("%s%c", prefix, letter)
}
