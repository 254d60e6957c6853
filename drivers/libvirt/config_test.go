package libvirt

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "{}", `{"uri": "", "vnc": ""}`} {
		c, err := ParseConfig([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, "qemu:///system", c.URI)
		require.Equal(t, "/run/libvirt/libvirt-sock", c.Socket)
		require.Equal(t, VirtAuto, c.VirtType)
		require.Equal(t, "pc", c.MachineType)
		require.Equal(t, "/var/lib/kilonova/instances", c.InstancesDir)
		require.Equal(t, "socket", c.VNC)
		require.Equal(t, 64, *c.TBCacheMiB)
		require.Equal(t, 10*time.Second, time.Duration(c.ShutdownRetry))
		require.Equal(t, 60*time.Second, time.Duration(c.SoftRebootTimeout))
	}
}

// Every key is set to something else than its default, so that a forgotten one fails here.
func TestConfigEveryKey(t *testing.T) {
	t.Parallel()
	raw := `{
		"uri": "qemu:///session", "socket": "/s/sock", "virt_type": "qemu", "cpu_mode": "custom", "cpu_model": "EPYC",
		"machine_type": "q35", "emulator": "/usr/bin/qemu", "qemu_img": "/usr/bin/qi", "instances_dir": "/i/", "state_dir": "/d",
		"disk_cache": "writeback", "tb_cache_mib": 0, "vnc": "127.0.0.1", "console_log_kib": 128,
		"soft_reboot_timeout": "5s", "shutdown_retry": "1s", "call_timeout": "2s"
	}`
	for _, key := range configKeys() {
		require.Contains(t, raw, `"`+key+`"`)
	}
	c, err := ParseConfig([]byte(raw))
	require.NoError(t, err)
	zero := 0
	require.Equal(t, &Config{
		URI: "qemu:///session", Socket: "/s/sock", VirtType: VirtQEMU, CPUMode: "custom", CPUModel: "EPYC", MachineType: "q35",
		Emulator: "/usr/bin/qemu", QemuImg: "/usr/bin/qi", InstancesDir: "/i", StateDir: "/d", DiskCache: "writeback",
		TBCacheMiB: &zero, VNC: "127.0.0.1", ConsoleLogKiB: 128, SoftRebootTimeout: Duration(5 * time.Second),
		ShutdownRetry: Duration(time.Second), CallTimeout: Duration(2 * time.Second),
	}, c)
}

func TestConfigErrorsNameTheKey(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		`{"socked": "/x"}`:                          {"socked", "the keys are uri, socket,"},
		`{"uri": 3}`:                                {"uri must be of type string, not number"},
		`{"uri": "xen:///"}`:                        {"uri", "qemu:///system"},
		`{"virt_type": "fast"}`:                     {"virt_type", "auto, kvm, qemu"},
		`{"cpu_mode": "fast"}`:                      {"cpu_mode", "may be custom, host-model"},
		`{"cpu_mode": "maximum", "cpu_model": "x"}`: {"cpu_model", "custom"},
		`{"cpu_mode": "host-passthrough", "virt_type": "qemu"}`: {"cpu_mode", "kvm"},
		`{"machine_type": "virt"}`:                              {"machine_type", "q35"},
		`{"tb_cache_mib": -1}`:                                  {"tb_cache_mib"},
		`{"console_log_kib": 1}`:                                {"console_log_kib"},
		`{"disk_cache": "lots"}`:                                {"disk_cache", "writeback"},
		`{"shutdown_retry": 3}`:                                 {"duration", `"90s"`},
		`{"shutdown_retry": "-3s"}`:                             {"duration", `"90s"`},
		`{"vnc": "somewhere"}`:                                  {"vnc", "IP address"},
		`{"instances_dir": "relative"}`:                         {"instances_dir", "absolute"},
		`{"instances_dir": "/` + strings.Repeat("x", 70) + `"}`: {"instances_dir", "too long", "vnc to 127.0.0.1"},
		`{} {}`: {"more than one"},
		`[]`:    {"driver configuration"},
	} {
		_, err := ParseConfig([]byte(raw))
		require.ErrorIs(t, err, driver.ErrInvalid, raw)
		for _, part := range want {
			require.ErrorContains(t, err, part, raw)
		}
	}
	_, err := ParseConfig([]byte(`{"vnc": "none", "instances_dir": "/` + strings.Repeat("x", 70) + `"}`))
	require.NoError(t, err, "without sockets the length does not matter")
}
