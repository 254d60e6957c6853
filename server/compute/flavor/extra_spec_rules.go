package flavor

import (
	_ "embed"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// valueRule judges the value of an extra spec. Its error is Nova's 400.
type valueRule func(value string) error

func wrong(format string, args ...any) error {
	return httpapi.BadRequest("Validation failed; "+format, args...)
}

func anyText(string) error { return nil }

func boolean(v string) error {
	if _, ok := base.ParseBool(v); !ok {
		return wrong("'%s' is not a valid boolean-like value.", v)
	}
	return nil
}

func integer(v string) error { return between(math.MinInt64, math.MaxInt64)(v) }

// between is an integer in a range; a bound of int64 is none.
func between(low, high int64) valueRule {
	return func(v string) error {
		n, ok := new(big.Int).SetString(strings.TrimSpace(v), 10)
		switch {
		case !ok:
			return wrong("'%s' is not a valid integer value.", v)
		case high != math.MaxInt64 && n.Cmp(big.NewInt(high)) > 0:
			return wrong("'%s' is greater than the max value of '%d'.", n, high)
		case low != math.MinInt64 && n.Cmp(big.NewInt(low)) < 0:
			return wrong("'%s' is less than the min value of '%d'.", n, low)
		}
		return nil
	}
}

func atLeast(low int64) valueRule { return between(low, math.MaxInt64) }

func oneOf(words ...string) valueRule {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return wrong("'%s' is not one of: %s.", v, strings.Join(words, ", "))
		}
		return nil
	}
}

func like(pattern string) valueRule {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") })
	return func(v string) error {
		if !re().MatchString(v) {
			return wrong("'%s' is not of the format '%s'.", v, pattern)
		}
		return nil
	}
}

// A list of CPU numbers, ranges and exceptions: 0-3,^2.
const cpuList = `\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*`

const capabilities = `aggregates cell_uuid cpu_allocation_ratio current_workload disk_allocation_ratio disk_available_least disk_mb_used failed_builds
	free_disk_gb free_disk_mb free_ram_mb host host_ip hypervisor_hostname hypervisor_type hypervisor_version id local_gb local_gb_used mapped memory_mb
	memory_mb_used num_instances num_io_ops ram_allocation_ratio running_vms service_id total_usable_disk_gb total_usable_ram_mb updated uuid vcpus
	vcpus_total vcpus_used`

// namedRules are the extra specs of the namespaces that Nova knows, by their whole names behind the namespace (nova/api/validation/extra_specs).
var namedRules = []struct {
	namespace, names string
	value            valueRule
}{
	{"accel", "device_profile", anyText},
	{"capabilities", capabilities, anyText},
	{"hw", `boot_menu cpu_realtime ephemeral_encryption hide_hypervisor_id locked_memory mem_encryption pmu vif_multiqueue_enabled virtio_packed_ring`, boolean},
	{"hw", "cpu_sockets cpu_cores cpu_threads cpu_max_sockets cpu_max_cores cpu_max_threads numa_nodes", atLeast(1)},
	{"hw", "serial_port_count", atLeast(0)},
	{"hw", "redirected_usb_ports", between(0, 15)},
	{"hw", "cpu_policy", oneOf("dedicated", "shared", "mixed")},
	{"hw", "cpu_thread_policy", oneOf("prefer", "isolate", "require")},
	{"hw", "emulator_threads_policy", oneOf("isolate", "share")},
	{"hw", "cpu_dedicated_mask cpu_realtime_mask", like(cpuList)},
	{"hw", "ephemeral_encryption_format", oneOf("plain", "luks", "luksv2")},
	{"hw", "mem_encryption_model", oneOf("amd-sev", "amd-sev-es", "amd-sev-snp")},
	{"hw", "mem_page_size", like(`(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)`)},
	{"hw", "pci_numa_affinity_policy", oneOf("required", "preferred", "legacy", "socket")},
	{"hw", "pmem", like(`([a-zA-Z0-9_]+(,)?)+`)},
	{"hw", "sound_model", oneOf("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio")},
	{"hw", "tpm_model", oneOf("tpm-tis", "tpm-crb")},
	{"hw", "tpm_secret_security", oneOf("user", "host", "deployment")},
	{"hw", "tpm_version", oneOf("1.2", "2.0")},
	{"hw", "usb_model", oneOf("none", "nec-xhci", "qemu-xhci")},
	{"hw", "viommu_model", oneOf("intel", "smmuv3", "virtio", "auto")},
	{"hw", "watchdog_action", oneOf("none", "pause", "poweroff", "reset", "disabled")},
	{"hw_rng", "allowed", boolean},
	{"hw_rng", "rate_bytes rate_period", atLeast(0)},
	{"hw_video", "ram_max_mb", atLeast(0)},
	{"os", "secure_boot", oneOf("disabled", "required")},
	{"pci_passthrough", "alias", like(`[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*`)},
	{"quota", "cpu_quota cpu_reservation memory_reservation disk_io_reservation vif_reservation", integer},
	{"quota", `cpu_limit cpu_shares_share memory_limit memory_shares_share disk_io_limit disk_io_shares_share vif_limit vif_shares_share
		cpu_shares cpu_period disk_read_bytes_sec disk_read_iops_sec disk_write_bytes_sec disk_write_iops_sec disk_total_bytes_sec disk_total_iops_sec
		vif_inbound_average vif_inbound_peak vif_inbound_burst vif_outbound_average vif_outbound_peak vif_outbound_burst`, atLeast(0)},
	{"quota", "cpu_shares_level memory_shares_level disk_io_shares_level vif_shares_level", oneOf("custom", "high", "normal", "low")},
	{"vmware", "hw_version storage_policy", anyText},
}

const group = `([a-zA-Z0-9_-]{1,64})?`

const resourceClasses = `VCPU|MEMORY_MB|DISK_GB|PCI_DEVICE|SRIOV_NET_VF|NUMA_SOCKET|NUMA_CORE|NUMA_THREAD|NUMA_MEMORY_MB|IPV4_ADDRESS|VGPU|VGPU_DISPLAY_HEAD|` +
	`NET_BW_EGR_KILOBIT_PER_SEC|NET_BW_IGR_KILOBIT_PER_SEC|PCPU|MEM_ENCRYPTION_CONTEXT|FPGA|PGPU|NET_PACKET_RATE_KILOPACKET_PER_SEC|` +
	`NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC|NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC|CUSTOM_[A-Z0-9_]+`

type patternRule struct {
	name  *regexp.Regexp
	value valueRule
}

// patternRules are those whose names have a part that anybody chooses. They are made when first asked: every command of the program has this package,
// and few need them.
var patternRules = sync.OnceValue(func() []patternRule {
	rule := func(name string, value valueRule) patternRule {
		return patternRule{regexp.MustCompile("^" + name + "$"), value}
	}
	return []patternRule{
		rule(`aggregate_instance_extra_specs:.+`, anyText),
		rule(`capabilities:(cpu_info|instances|limits|metrics|nodename|numa_topology|pci_device_pools|pci_stats|stats|supported_hv_specs|supported_instances)(:\w+)*`, anyText),
		rule(`hw:numa_cpus\.\d+`, like(cpuList)),
		rule(`hw:numa_mem\.\d+`, atLeast(1)),
		rule(`resources`+group+`:(`+resourceClasses+`)`, integer),
		rule(`trait`+group+`:(CUSTOM_[A-Z0-9_]+|`+strings.Join(traits(), "|")+`)`, oneOf("required", "forbidden")),
	}
})

// namespaces are what stands before the colon of a name that must be one of the known ones.
var namespaces = like(`accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware|resources` + group + `|trait` + group)

//go:embed traits.txt
var traitsText string

func traits() []string {
	return slices.DeleteFunc(strings.Split(traitsText, "\n"), func(s string) bool { return s == "" || s[0] == '#' })
}

var exactRules = func() map[string]valueRule {
	m := map[string]valueRule{"hide_hypervisor_id": boolean, "group_policy": oneOf("isolate", "none")}
	for _, r := range namedRules {
		for _, name := range strings.Fields(r.names) {
			m[r.namespace+":"+name] = r.value
		}
	}
	return m
}()

// checkExtraSpec judges an extra spec as 2.86 does: values of known names, and names in known namespaces. Other names are anybody's.
func checkExtraSpec(name, value string) error {
	if rule := exactRules[name]; rule != nil {
		return rule(value)
	}
	for _, r := range patternRules() {
		if r.name.MatchString(name) {
			return r.value(value)
		}
	}
	if space, _, ok := strings.Cut(name, ":"); ok && namespaces(space) == nil {
		return wrong("extra spec '%s' does not appear to be a valid extra spec.", name)
	}
	return nil
}

// maxSpecBytes bounds what came as a number; the schema bounds strings.
const maxSpecBytes = 255

func checkSpecLength(value string) error {
	if n := len([]rune(value)); n > maxSpecBytes {
		return httpapi.BadRequest("Invalid input received: extra_specs value has %s characters, more than 255.", strconv.Itoa(n))
	}
	return nil
}
