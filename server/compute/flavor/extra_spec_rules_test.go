package flavor

import (
	"strings"
	"testing"
)

// TestExtraSpecRules has values that 2.86 takes (good) and refuses (bad) for every kind of rule.
func TestExtraSpecRules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, good, bad string }{
		{"accel:device_profile", "any|", ""},
		{"aggregate_instance_extra_specs:ssd", "true|>= 5", ""},
		{"capabilities:vcpus_used", "<= 5", ""},
		{"capabilities:cpu_info:features:x", "s== y", ""},
		{"capabilities:instances", "1", ""},
		{"hide_hypervisor_id", "true|0|off", "maybe|"},
		{"group_policy", "isolate|none", "all"},
		{"hw:boot_menu", "yes|No|1", "2"},
		{"hw:cpu_sockets", "1|2147483648| 3 ", "0|x|-1|1.5"},
		{"hw:serial_port_count", "0|4", "-1"},
		{"hw:redirected_usb_ports", "0|15", "16|-1"},
		{"hw:cpu_dedicated_mask", "1|^0|0-3,^2", "a|0-|,1"},
		{"hw:numa_cpus.0", "0,1", "x"},
		{"hw:numa_mem.12", "512", "0"},
		{"hw:mem_page_size", "large|small|any|2048|2MB|1GiB|4kB", "huge|2XB"},
		{"hw:pmem", "a,b_2", "a b"},
		{"hw:tpm_version", "1.2|2.0", "2"},
		{"hw:pci_numa_affinity_policy", "socket|legacy", "never"},
		{"hw:ephemeral_encryption_format", "luksv2", "zip"},
		{"hw_rng:allowed", "True", "x"},
		{"hw_rng:rate_bytes", "0", "-1"},
		{"hw_video:ram_max_mb", "16", "x"},
		{"os:secure_boot", "required|disabled", "optional"},
		{"pci_passthrough:alias", "a:1|a:1, b:2", "a|a:x"},
		{"quota:cpu_quota", "-1|20000", "x"},
		{"quota:cpu_shares", "0", "-1"},
		{"quota:vif_reservation", "-5", ""},
		{"quota:disk_io_shares_level", "custom|low", "lowest"},
		{"quota:disk_read_iops_sec", "5", "-5"},
		{"resources:VCPU", "1|0|-1", "x"},
		{"resources_NIC:CUSTOM_THING_1", "1", "many"},
		{"resources1:PGPU", "1", ""},
		{"trait:HW_CPU_X86_AVX2", "required|forbidden", "preferred"},
		{"trait_1:CUSTOM_MINE", "forbidden", ""},
		{"vmware:hw_version", "13", ""},
		{"my:own", "anything|", ""},
		{"plain", "anything", ""},
		{"hwx:anything", "x", ""},
	} {
		for v := range strings.SplitSeq(row.good, "|") {
			if err := checkExtraSpec(row.name, v); err != nil {
				t.Errorf("%s = %q: %v", row.name, v, err)
			}
		}
		if row.bad == "" {
			continue
		}
		for v := range strings.SplitSeq(row.bad, "|") {
			if checkExtraSpec(row.name, v) == nil {
				t.Errorf("%s = %q was taken", row.name, v)
			}
		}
	}
	for _, name := range []string{"hw:nosuch", "hw:maxphysaddr_mode", "hw:maxphysaddr_bits", "hw:numa_cpus.x", "os:", "quota:nosuch", "capabilities:nosuch", "resources:NOSUCH",
		"resources1:custom_x", "trait:NOSUCH", "trait1:HW_CPU", "accel:x", "hw_rng:x", "hw_video:x", "pci_passthrough:x", "vmware:x", "aggregate_instance_extra_specs:"} {
		if err := checkExtraSpec(name, "1"); err == nil || !strings.Contains(err.Error(), "Validation failed; extra spec '"+name+"' does not appear to be a valid extra spec.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTraitsAreAll(t *testing.T) {
	t.Parallel()
	if n := len(traits()); n != 377 {
		t.Errorf("%d traits", n)
	}
	for _, name := range traits() {
		if checkExtraSpec("trait:"+name, "required") != nil || checkExtraSpec("trait9:"+name, "x") == nil {
			t.Error(name)
		}
	}
}
