package libvirt

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"libvirt.org/go/libvirtxml"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

var update = flag.Bool("update", false, "write the golden files anew")

const testID = "11111111-2222-4333-8444-555555555555"

// testBlueprint is a guest with nothing special; change makes it special.
func testBlueprint(t *testing.T, config string, change func(*driver.InstanceSpec)) *blueprint {
	t.Helper()
	cfg, err := ParseConfig([]byte(config))
	require.NoError(t, err)
	spec := &driver.InstanceSpec{
		InstanceRef: driver.InstanceRef{InstanceID: testID, OperationID: "op-1", Generation: 7},
		Name:        `a <b> & "c"`, Hostname: "web-1", ProjectID: "project", UserID: "user",
		VCPUs: 2, MemoryMiB: 96, RootGiB: 1,
		Image: &driver.Image{ID: "image", Path: "/images/image", Format: "qcow2", Properties: map[string]string{}},
	}
	change(spec)
	hardware, err := hardwareFor(cfg, spec, nil)
	require.NoError(t, err)
	virtType := cfg.VirtType
	if virtType == VirtAuto {
		virtType = VirtQEMU
	}
	return &blueprint{
		cfg: cfg, spec: spec, hardware: hardware, folder: newFolder(cfg.InstancesDir, testID),
		platform: platform{virtType: virtType, emulator: "/usr/bin/qemu-system-x86_64", cacheMode: "none"},
	}
}

func TestDomainXML(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*blueprint{
		"plain": testBlueprint(t, `{}`, func(*driver.InstanceSpec) {}),
		"kvm-q35-everything": func() *blueprint {
			b := testBlueprint(t, `{"virt_type": "kvm", "vnc": "127.0.0.1"}`, func(s *driver.InstanceSpec) {
				s.Image.Properties = map[string]string{
					"hw_machine_type": "q35", "hw_disk_bus": "scsi", "hw_video_model": "virtio", "hw_vif_model": "e1000e",
				}
				s.EphemeralGiB, s.SwapMiB, s.ConfigDrivePath = 2, 64, "/drives/config.iso"
				s.Interfaces = []driver.Interface{
					{ID: "p1", MAC: "fa:16:3e:00:00:01", Tap: "tap1", MTU: 1450},
					{ID: "p2", MAC: "fa:16:3e:00:00:02", Tap: "tap2", MTU: 1450, Model: "virtio"},
				}
			})
			b.configDrive = "cdrom"
			return b
		}(),
		"ide-no-screen-vfat-drive": func() *blueprint {
			b := testBlueprint(t, `{"tb_cache_mib": 0, "cpu_mode": "maximum"}`, func(s *driver.InstanceSpec) {
				s.Image.Properties = map[string]string{"hw_disk_bus": "ide", "hw_video_model": "none"}
				s.ConfigDrivePath = "/drives/config.img"
			})
			b.configDrive = "disk"
			return b
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := b.domainXML()
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".xml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got+"\n"), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got+"\n", "run with -update when the change is meant")
			again, err := b.domainXML()
			require.NoError(t, err)
			require.Equal(t, got, again)
		})
	}
}

func TestDomainXMLCarriesTheMetadata(t *testing.T) {
	t.Parallel()
	b := testBlueprint(t, `{"instances_dir": "/i"}`, func(*driver.InstanceSpec) {})
	text, err := b.domainXML()
	require.NoError(t, err)
	domain := &libvirtxml.Domain{}
	require.NoError(t, domain.Unmarshal(text))
	meta, err := parseMetadata(domain.Metadata.XML)
	require.NoError(t, err)
	meta.XMLName.Local, meta.XMLName.Space = "", ""
	require.Equal(t, &metadata{
		Name: `a <b> & "c"`, Hostname: "web-1", Project: "project", User: "user", Image: "image",
		Generation: 7, Operation: "op-1", Folder: "/i/" + testID,
	}, meta)
}

// libvirt writes our element back with a prefix, and other tools put theirs beside it.
func TestMetadataAsLibvirtWritesIt(t *testing.T) {
	t.Parallel()
	meta, err := parseMetadata(`
		<x:other xmlns:x="https://example.org/x"><x:instance><generation>1</generation></x:instance></x:other>
		<k:instance xmlns:k="https://kilonova.cloud/xmlns/libvirt/instance/1">
			<k:generation>9</k:generation><k:folder>/i/x</k:folder><k:future/>
		</k:instance>`)
	require.NoError(t, err)
	require.EqualValues(t, 9, meta.Generation)
	require.Equal(t, "/i/x", meta.Folder)
	for _, none := range []string{"", "<x:other xmlns:x='https://example.org/x'/>"} {
		meta, err = parseMetadata(none)
		require.NoError(t, err)
		require.Nil(t, meta)
	}
	_, err = parseMetadata("<k:instance")
	require.Error(t, err)
}

func TestImageProperties(t *testing.T) {
	t.Parallel()
	cfg, err := ParseConfig(nil)
	require.NoError(t, err)
	for _, test := range []struct {
		property, value string
		wrong           string // part of the error; "" when it is fine
	}{
		{"hw_disk_bus", "sata", ""},
		{"hw_disk_bus", "xen", "it may be ide, sata, scsi, usb, virtio"},
		{"hw_vif_model", "VirtualVmxnet3", ""},
		{"hw_vif_model", "netfront", "hw_vif_model"},
		{"hw_video_model", "none", ""},
		{"hw_video_model", "xen", "hw_video_model"},
		{"hw_machine_type", "q35", ""},
		{"hw_machine_type", "pc-i440fx-7.2", ""},
		{"hw_machine_type", "pc-i440fx-1.0", "hw_machine_type"},
		{"hw_machine_type", "virt", "hw_machine_type"},
		{"hw_firmware_type", "bios", ""},
		{"hw_firmware_type", "uefi", "it may be bios"},
		{"hw_architecture", "aarch64", "it may be x86_64"},
		{"hw_cdrom_bus", "virtio", "no such CD drive"},
		{"os_distro", "debian", ""},
	} {
		spec := &driver.InstanceSpec{Image: &driver.Image{Properties: map[string]string{test.property: test.value}}}
		_, err := hardwareFor(cfg, spec, []string{"pc", "q35", "pc-i440fx-7.2"})
		if test.wrong == "" {
			require.NoError(t, err, test)
			continue
		}
		require.ErrorIs(t, err, driver.ErrInvalid, test)
		require.ErrorContains(t, err, test.property, test)
		require.ErrorContains(t, err, test.wrong, test)
	}
	spec := &driver.InstanceSpec{Image: &driver.Image{Properties: map[string]string{"hw_machine_type": "q35", "hw_disk_bus": "ide"}}}
	_, err = hardwareFor(cfg, spec, nil)
	require.ErrorContains(t, err, "no IDE")
}

func TestExtraSpecsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkExtraSpecs(map[string]string{
		"hw:cpu_policy": "shared", "trait:HW_CPU_X86_AVX": "required", "hw:mem_page_size": "Small",
	}))
	err := checkExtraSpecs(map[string]string{"hw:cpu_policy": "dedicated"})
	require.ErrorIs(t, err, driver.ErrInvalid)
	require.ErrorContains(t, err, "hw:cpu_policy")
	require.ErrorContains(t, err, "it may be shared")
	require.ErrorContains(t, checkExtraSpecs(map[string]string{"hw:pmem": "1"}), "left out")
}

func TestSpecsThatNoHostCanMake(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*driver.InstanceSpec){
		"uuid":               func(s *driver.InstanceSpec) { s.InstanceID = "../../etc" },
		"lower case":         func(s *driver.InstanceSpec) { s.InstanceID = "AAAAAAAA-2222-4333-8444-555555555555" },
		"vCPUs":              func(s *driver.InstanceSpec) { s.VCPUs = 0 },
		"MiB of memory":      func(s *driver.InstanceSpec) { s.MemoryMiB = 0 },
		"negative":           func(s *driver.InstanceSpec) { s.SwapMiB = -1 },
		"no image":           func(s *driver.InstanceSpec) { s.Image = nil },
		"qcow2 or raw":       func(s *driver.InstanceSpec) { s.Image.Format = "vmdk" },
		"no volumes":         func(s *driver.InstanceSpec) { s.Volumes = []driver.Volume{{ID: "v"}} },
		"control characters": func(s *driver.InstanceSpec) { s.Hostname = "a\nb" },
		"MAC address":        func(s *driver.InstanceSpec) { s.Interfaces = []driver.Interface{{MAC: "x", Tap: "t"}} },
		"no tap":             func(s *driver.InstanceSpec) { s.Interfaces = []driver.Interface{{MAC: "fa:16:3e:00:00:01"}} },
		"model \"x\"": func(s *driver.InstanceSpec) {
			s.Interfaces = []driver.Interface{{MAC: "fa:16:3e:00:00:01", Tap: "t", Model: "x"}}
		},
	} {
		spec := testBlueprint(t, `{}`, func(*driver.InstanceSpec) {}).spec
		require.NoError(t, checkSpec(spec))
		change(spec)
		err := checkSpec(spec)
		require.ErrorIs(t, err, driver.ErrInvalid, want)
		require.ErrorContains(t, err, want)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	names := targets{}
	for _, step := range [][2]string{
		{"virtio", "vda"}, {"virtio", "vdb"}, {"ide", "hda"}, {"scsi", "sda"}, {"sata", "sdb"}, {"usb", "sdc"},
	} {
		require.Equal(t, step[1], names.next(step[0]))
	}
}
