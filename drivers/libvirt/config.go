package libvirt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// VirtType says what executes the guests' instructions.
type VirtType string

const (
	// VirtAuto takes KVM when a probe guest ran on it, QEMU otherwise.
	VirtAuto VirtType = "auto"
	// VirtKVM is the processor's own virtualisation. It is taken at its word: nothing is probed.
	VirtKVM VirtType = "kvm"
	// VirtQEMU is emulation (TCG): it works everywhere and is many times slower.
	VirtQEMU VirtType = "qemu"
)

// Config is the driver's block of the agent's configuration. Its JSON names are the keys that operators write; an unknown
// key or a wrong value is ErrInvalid. A missing key, and an empty string, mean the default.
type Config struct {
	// URI is the libvirt driver to open on the socket: qemu:///system (default) or qemu:///session.
	URI string `json:"uri"`
	// Socket is libvirtd's unix socket. Default: /run/libvirt/libvirt-sock.
	Socket string `json:"socket"`
	// VirtType is auto (default), kvm or qemu.
	VirtType VirtType `json:"virt_type"`
	// CPUMode is custom, host-model, host-passthrough or maximum. Default: host-model on KVM, custom on QEMU.
	// host-passthrough needs KVM.
	CPUMode string `json:"cpu_mode"`
	// CPUModel is the model of cpu_mode custom. Default: qemu64, which every host has and so migrates everywhere.
	CPUModel string `json:"cpu_model"`
	// MachineType is what a guest gets whose image has no hw_machine_type: pc (default), q35 or a versioned name of them.
	MachineType string `json:"machine_type"`
	// Emulator is QEMU's path. Default: the one that libvirt names.
	Emulator string `json:"emulator"`
	// QemuImg is the program that makes overlays. Default: qemu-img, found in PATH.
	QemuImg string `json:"qemu_img"`
	// InstancesDir holds a folder for each instance. Default: /var/lib/kilonova/instances.
	InstancesDir string `json:"instances_dir"`
	// StateDir holds the fencing records and the result of the KVM probe. Default: /var/lib/kilonova/libvirt.
	StateDir string `json:"state_dir"`
	// DiskCache is QEMU's cache mode of disks: none, writeback, writethrough, directsync, unsafe, or auto (default), which
	// is none where instances_dir's file system can do direct I/O and writeback elsewhere.
	DiskCache string `json:"disk_cache"`
	// TBCacheMiB bounds QEMU's cache of translated code per guest, in MiB, under emulation. Default: 64. 0 leaves the
	// size to QEMU, which takes a good part of the guest's own memory's size on top.
	TBCacheMiB *int `json:"tb_cache_mib"`
	// VNC is socket (default: a unix socket in the instance's folder), an IP address to listen on, or none.
	VNC string `json:"vnc"`
	// ConsoleLogKiB bounds each guest's console log on disk, in KiB. Default: 4096.
	ConsoleLogKiB int `json:"console_log_kib"`
	// SoftRebootTimeout is how long a soft reboot waits, when the call does not say, until it turns hard. Default: 60s.
	SoftRebootTimeout Duration `json:"soft_reboot_timeout"`
	// ShutdownRetry is how often the power button is pressed again while a guest is asked to shut down: a guest that is
	// still booting does not notice the first time. Default: 10s.
	ShutdownRetry Duration `json:"shutdown_retry"`
	// CallTimeout is how long libvirtd may take to accept a connection, and to answer an ordinary call on it; then the
	// connection is dropped. Default: 30s.
	CallTimeout Duration `json:"call_timeout"`
}

// Duration is a time.Duration, in JSON a string such as "90s".
type Duration time.Duration

// UnmarshalJSON reads "90s" and the like.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("%s is no duration; write a string such as \"90s\"", raw)
	}
	if text == "" {
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed <= 0 {
		return fmt.Errorf("%q is no positive duration; write a string such as \"90s\"", text)
	}
	*d = Duration(parsed)
	return nil
}

// sunPathMax is the longest path of a unix socket on Linux, without the closing zero.
const sunPathMax = 107

// ParseConfig reads the JSON block, fills in the defaults and checks every value. Errors are ErrInvalid and name the key.
func ParseConfig(raw []byte) (*Config, error) {
	c := &Config{}
	if len(bytes.TrimSpace(raw)) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(c); err != nil {
			return nil, explainJSON(err)
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, invalid("driver configuration: more than one JSON object")
		}
	}
	c.setDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

func explainJSON(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return invalid("driver configuration: %s must be of type %s, not %s", wrongType.Field, wrongType.Type, wrongType.Value)
	}
	if key, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return invalid("driver configuration: unknown key %s; the keys are %s", key, strings.Join(configKeys(), ", "))
	}
	return invalid("driver configuration: %v", err)
}

// configKeys returns every key, in the order of the struct.
func configKeys() []string {
	var keys []string
	for field := range reflect.TypeFor[Config]().Fields() {
		keys = append(keys, field.Tag.Get("json"))
	}
	return keys
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		value    *string
		fallback string
	}{
		{&c.URI, "qemu:///system"},
		{&c.Socket, "/run/libvirt/libvirt-sock"},
		{(*string)(&c.VirtType), string(VirtAuto)},
		{&c.MachineType, "pc"},
		{&c.QemuImg, "qemu-img"},
		{&c.InstancesDir, "/var/lib/kilonova/instances"},
		{&c.StateDir, "/var/lib/kilonova/libvirt"},
		{&c.DiskCache, "auto"},
		{&c.VNC, "socket"},
	} {
		if *d.value == "" {
			*d.value = d.fallback
		}
	}
	for _, d := range []struct {
		value    *Duration
		fallback time.Duration
	}{
		{&c.SoftRebootTimeout, 60 * time.Second},
		{&c.ShutdownRetry, 10 * time.Second},
		{&c.CallTimeout, 30 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = Duration(d.fallback)
		}
	}
	if c.TBCacheMiB == nil {
		c.TBCacheMiB = new(64)
	}
	if c.ConsoleLogKiB == 0 {
		c.ConsoleLogKiB = 4096
	}
	if c.CPUModel != "" && c.CPUMode == "" {
		c.CPUMode = "custom"
	}
}

func (c *Config) check() error {
	for _, choice := range []struct {
		key, value string
		allowed    []string
	}{
		{"uri", c.URI, []string{"qemu:///system", "qemu:///session"}},
		{"virt_type", string(c.VirtType), []string{"auto", "kvm", "qemu"}},
		{"cpu_mode", c.CPUMode, []string{"", "custom", "host-model", "host-passthrough", "maximum"}},
		{"disk_cache", c.DiskCache, []string{"auto", "none", "writeback", "writethrough", "directsync", "unsafe"}},
	} {
		if !slices.Contains(choice.allowed, choice.value) {
			return invalid("%s %q is not known; it may be %s", choice.key, choice.value,
				strings.TrimPrefix(strings.Join(choice.allowed, ", "), ", "))
		}
	}
	if c.CPUMode == "host-passthrough" && c.VirtType == VirtQEMU {
		return invalid("cpu_mode host-passthrough needs virt_type kvm: emulation has no host processor to pass through")
	}
	if c.CPUModel != "" && c.CPUMode != "custom" {
		return invalid("cpu_model %q needs cpu_mode custom, not %s", c.CPUModel, c.CPUMode)
	}
	if !isMachineType(c.MachineType) {
		return invalid("machine_type %q is not supported; it may be pc, q35, or a versioned name of them such as pc-i440fx-7.2", c.MachineType)
	}
	if *c.TBCacheMiB < 0 {
		return invalid("tb_cache_mib %d is negative; 0 leaves the size to QEMU", *c.TBCacheMiB)
	}
	if c.ConsoleLogKiB < 64 {
		return invalid("console_log_kib %d is too small; 64 or more", c.ConsoleLogKiB)
	}
	return c.checkPaths()
}

func (c *Config) checkPaths() error {
	for key, path := range map[string]string{
		"socket": c.Socket, "instances_dir": c.InstancesDir, "state_dir": c.StateDir, "emulator": c.Emulator,
	} {
		if path != "" && !filepath.IsAbs(path) {
			return invalid("%s %q must be an absolute path", key, path)
		}
	}
	c.InstancesDir = filepath.Clean(c.InstancesDir)
	switch {
	case c.VNC == "none" || net.ParseIP(c.VNC) != nil:
	case c.VNC != "socket":
		return invalid("vnc %q is not known; it may be socket, none, or an IP address to listen on", c.VNC)
	default:
		const anyID = "00000000-0000-4000-8000-000000000000"
		if path := newFolder(c.InstancesDir, anyID).vncSocket(); len(path) > sunPathMax {
			return invalid("instances_dir %s is too long: VNC sockets in it would have paths of %d bytes, and %d is the most; "+
				"choose a shorter one, or set vnc to 127.0.0.1", c.InstancesDir, len(path), sunPathMax)
		}
	}
	return nil
}

func invalid(format string, args ...any) *driver.Error {
	return driver.Errorf(driver.KindInvalid, format, args...)
}
