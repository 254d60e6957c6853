package scheduler

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// filterCase asks for one host; refused is the filter that must refuse it, "" that none does.
type filterCase struct {
	name    string
	host    func(h *structs.Host)
	request func(r *Request)
	used    structs.Resources
	filters []string
	refused string
	why     string // with the host's name
}

func specs(kv ...string) func(r *Request) {
	return func(r *Request) { r.ExtraSpecs = pairsOf(kv) }
}

func props(kv ...string) func(r *Request) {
	return func(r *Request) { r.ImageProps = pairsOf(kv) }
}

func hint(json string) func(r *Request) {
	return func(r *Request) { r.Hints = []byte(json) }
}

func pairsOf(kv []string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

func runFilterCases(t *testing.T, cases []filterCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			h := hostNo(1)
			if c.host != nil {
				c.host(h)
			}
			w.put(h)
			w.claim("other", h.ID, c.used)
			w.write(func(tx *state.Txn) {
				tx.PutInstance(&structs.Instance{ID: "other", HostID: h.ID, VM: structs.VMActive})
				tx.PutInstance(&structs.Instance{ID: "gone", HostID: h.ID, VM: structs.VMDeleted})
			})
			w.settle(func(s *structs.ClusterSettings) { s.Filters = c.filters })
			r := small(1)
			if c.request != nil {
				c.request(&r)
			}
			p := w.scheduler(t, nil).Place([]Request{r})[0]
			if c.refused == "" {
				require.Equal(t, h.ID, p.HostID, "%+v", p.Explanation)
				require.Nil(t, p.Explanation)
				return
			}
			require.Empty(t, p.HostID)
			want := &structs.Explanation{Hosts: 1, Refused: []structs.FilterCount{{Filter: c.refused, Count: 1, Example: c.why}}}
			require.Equal(t, want, p.Explanation)
		})
	}
}

func TestPlacementFilters(t *testing.T) {
	t.Parallel()
	runFilterCases(t, []filterCase{
		{name: "fits"},
		{name: "memory", used: structs.Resources{MemoryMiB: 16000}, refused: "PlacementCapacity", why: "host-1: needs 1024 MB, 384 MB free"},
		{name: "memory exactly", used: structs.Resources{MemoryMiB: 15360}},
		{name: "cpu ratio 4", used: structs.Resources{VCPUs: 31}},
		{name: "cpu and disk", used: structs.Resources{VCPUs: 32, DiskGiB: 95}, refused: "PlacementCapacity", why: "host-1: needs 1 VCPU, 0 VCPU free; needs 10 GB of disk, 5 GB of disk free"},
		{name: "reserved", host: func(h *structs.Host) { h.Reserved.MemoryMiB = 16000 }, refused: "PlacementCapacity", why: "host-1: needs 1024 MB, 384 MB free"},
		{name: "over capacity in what is not asked for", used: structs.Resources{DiskGiB: 101}, request: func(r *Request) { r.Resources.DiskGiB = 0 },
			refused: "PlacementCapacity", why: "host-1: needs 0 GB of disk, -1 GB of disk free"},
		{name: "unknown class", request: specs("resources:CUSTOM_FPGA", "1"), refused: "PlacementCapacity", why: "host-1: has none of the resource class CUSTOM_FPGA"},
		{name: "unknown class of 0", request: specs("resources:CUSTOM_FPGA", "0")},
		{name: "zone", request: func(r *Request) { r.Zone = "east" }, refused: "AvailabilityZone", why: `host-1: zone "east" was asked for, it is in "nova"`},
		{name: "own zone", request: func(r *Request) { r.Zone = "nova" }},
		{name: "host", request: func(r *Request) { r.Host = "host-2" }, refused: "RequestedHost", why: `host-1: host "host-2" was asked for`},
		{name: "host in other case", request: func(r *Request) { r.Host = "HOST-1" }},
		{name: "avoided", request: func(r *Request) { r.Avoid = []structs.HostID{"x", hostNo(1).ID} }, refused: "AvoidHosts", why: "host-1: this operation failed there before"},
		{name: "its own host", request: moves(Move{Source: hostNo(1).ID}), refused: "MoveHosts", why: "host-1: the instance is there already"},
		{name: "its own host will do", request: moves(Move{Source: hostNo(1).ID, SameHost: true})},
		{name: "its own host cannot", host: func(h *structs.Host) { h.Methods = []string{"Pause"} }, request: moves(Move{Source: hostNo(1).ID, SameHost: true}),
			refused: "MoveHosts", why: "host-1: its driver fake cannot change an instance's flavor where it is (Resize)"},
		{name: "its own host has its room", used: structs.Resources{MemoryMiB: 16000},
			request: moves(Move{Source: hostNo(1).ID, SameHost: true, Holds: structs.Resources{VCPUs: 1, MemoryMiB: 1000, DiskGiB: 1}})},
		{name: "another driver", request: moves(Move{Source: "x", Carries: true, Driver: "libvirt"}), refused: "MoveHosts",
			why: "host-1: its driver is fake, the instance's host has libvirt"},
		{name: "a driver that cannot take it", host: func(h *structs.Host) { h.Methods = []string{"Pause"} },
			request: moves(Move{Source: "x", Carries: true, Driver: "fake", Needs: "ImportDisks"}), refused: "MoveHosts",
			why: "host-1: its driver fake cannot take an instance from another host (ImportDisks)"},
		{name: "a driver that cannot give it", request: moves(Move{Source: "x", Driver: "fake"}), refused: "MoveHosts",
			why: "host-1: the driver fake of the instance's host cannot give it to another host"},
		{name: "trait", request: specs("trait:COMPUTE_X", "required", "trait:COMPUTE_Y", "forbidden")},
		{name: "trait missing", request: specs("trait:COMPUTE_Y", "required"), refused: "PlacementTraits", why: "host-1: lacks the required trait COMPUTE_Y"},
		{name: "trait of a group", request: specs("trait_disk-1:COMPUTE_Y", "required"), refused: "PlacementTraits", why: "host-1: lacks the required trait COMPUTE_Y"},
		{name: "trait forbidden", request: specs("trait:COMPUTE_X", "forbidden"), refused: "PlacementTraits", why: "host-1: has the forbidden trait COMPUTE_X"},
		{name: "trait of image", request: props("trait:COMPUTE_Y", "required"), refused: "PlacementTraits", why: "host-1: lacks the required trait COMPUTE_Y"},
		{name: "image forbids nothing", request: props("trait:COMPUTE_X", "forbidden")},
		{name: "no trait spec", request: specs("traitor:COMPUTE_Y!", "x", "quota:cpu_shares", "5")},
	})
}

func TestComputeFilters(t *testing.T) {
	t.Parallel()
	few := []string{"IoOpsFilter", "NumInstancesFilter"}
	runFilterCases(t, []filterCase{
		{name: "disabled", host: func(h *structs.Host) { h.Disabled = true }, refused: "ComputeFilter", why: "host-1: host is disabled"},
		{name: "forced down", host: func(h *structs.Host) { h.ForcedDown = true }, refused: "ComputeFilter", why: "host-1: host is forced down"},
		{name: "suspect", host: func(h *structs.Host) { h.Status = structs.HostSuspect }, refused: "ComputeFilter", why: "host-1: host is suspect"},
		{name: "driver", host: func(h *structs.Host) { h.DriverHealthy = false }, refused: "ComputeFilter", why: "host-1: driver is unhealthy"},
		{name: "down though no filter asks", host: func(h *structs.Host) { h.Status = structs.HostDown }, filters: []string{"AllHostsFilter"},
			refused: "ComputeFilter", why: "host-1: host is down"},
		{name: "idle", filters: few},
	})
	loaded := func(change func(u *structs.HostUsage)) *candidate {
		u := &structs.HostUsage{}
		change(u)
		c := NewCache()
		s := structs.DefaultClusterSettings()
		c.settings = &s
		h := &candidate{host: hostNo(1)}
		c.use(h, u)
		return h
	}
	require.True(t, ioOpsFilter{}.pass(nil, loaded(func(u *structs.HostUsage) { u.Building = 7 })))
	busy := loaded(func(u *structs.HostUsage) { u.Building = 8 })
	require.False(t, ioOpsFilter{}.pass(nil, busy))
	require.Equal(t, "8 disk-heavy operations run there, 8 are allowed", ioOpsFilter{}.why(nil, busy))
	require.True(t, numInstancesFilter{}.pass(nil, loaded(func(u *structs.HostUsage) { u.Instances = 49 })))
	full := loaded(func(u *structs.HostUsage) { u.Instances = 50 })
	require.False(t, numInstancesFilter{}.pass(nil, full))
	require.Equal(t, "50 instances are there, 50 are allowed", numInstancesFilter{}.why(nil, full))
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	const f = "ComputeCapabilitiesFilter"
	runFilterCases(t, []filterCase{
		{name: "type", request: specs("capabilities:hypervisor_type", "QEMU")},
		{name: "type not", request: specs("capabilities:hypervisor_type", "s!= QEMU"), refused: f, why: `host-1: capabilities:hypervisor_type wants "s!= QEMU", it has "QEMU"`},
		{name: "version", request: specs("capabilities:hypervisor_version", ">= 8000000")},
		{name: "version too low", request: specs("capabilities:hypervisor_version", ">= 9000000"), refused: f, why: `host-1: capabilities:hypervisor_version wants ">= 9000000", it has "8002001"`},
		{name: "nested", request: specs("capabilities:cpu_info:topology:cores", "= 4")},
		{name: "list", request: specs("capabilities:cpu_info:features", "<all-in> avx sse4.2")},
		{name: "list lacks", request: specs("capabilities:cpu_info:features", "<in> amx"), refused: f, why: `host-1: capabilities:cpu_info:features wants "<in> amx", it has "['avx', 'sse4.2']"`},
		{name: "JSON in an attribute", request: specs("capabilities:nested:a:b", "== 4")},
		{name: "attribute", request: specs("capabilities:rack", "<or> r0 <or> r1")},
		{name: "stats", request: specs("capabilities:stats:rack", "r1")},
		{name: "missing", request: specs("capabilities:gpu", "<in> x"), refused: f, why: `host-1: capabilities:gpu wants "<in> x", it has no such capability`},
		{name: "missing below", request: specs("capabilities:nested:a:c", "1"), refused: f, why: `host-1: capabilities:nested:a:c wants "1", it has no such capability`},
		{name: "unscoped and unknown", request: specs("gpu", "1")},
		{name: "unscoped", request: specs("rack", "r2"), refused: f, why: `host-1: rack wants "r2", it has "r1"`},
		{name: "other scope", request: specs("quota:rack", "r2")},
		{name: "address bits", request: specs("hw:maxphysaddr_bits", "40"), refused: f, why: `host-1: hw:maxphysaddr_bits wants ">= 40", it has no such capability`},
		{name: "free memory", request: specs("capabilities:free_ram_mb", ">= 10000"), used: structs.Resources{MemoryMiB: 6000}},
		{name: "free memory too little", request: specs("capabilities:free_ram_mb", ">= 10000"), used: structs.Resources{MemoryMiB: 7000},
			refused: f, why: `host-1: capabilities:free_ram_mb wants ">= 10000", it has "9384"`},
		{name: "ratio", request: specs("capabilities:cpu_allocation_ratio", "4.0")},
		{name: "name", request: specs("host", "host-2"), refused: f, why: `host-1: host wants "host-2", it has "host-1"`},
		{name: "not enabled", request: specs("rack", "r2"), filters: []string{"ComputeFilter"}},
	})
}

func TestImageProperties(t *testing.T) {
	t.Parallel()
	const f = "ImagePropertiesFilter"
	kvm := func(h *structs.Host) { h.HypervisorType = "KVM" }
	runFilterCases(t, []filterCase{
		{name: "all", request: props("hw_architecture", "x86_64", "img_hv_type", "qemu", "hw_vm_mode", "hvm", "img_hv_requested_version", ">=8.0,<9.0")},
		{name: "old names", request: props("architecture", "amd64", "hypervisor_type", "QEMU", "vm_mode", "hv")},
		{name: "architecture", request: props("hw_architecture", "aarch64"), refused: f, why: "host-1: the image wants architecture aarch64, it has x86_64"},
		{name: "type", request: props("img_hv_type", "kvm"), refused: f, why: "host-1: the image wants hypervisor kvm, it has qemu"},
		{name: "qemu on KVM", host: kvm, request: props("img_hv_type", "qemu")},
		{name: "kvm on KVM", host: kvm, request: props("img_hv_type", "kvm")},
		{name: "mode", request: props("hw_vm_mode", "exe"), refused: f, why: "host-1: the image wants VM mode exe, it has hvm"},
		{name: "container", host: func(h *structs.Host) { h.HypervisorType = "lxc" }, request: props("hw_vm_mode", "exe")},
		{name: "version", request: props("hw_vm_mode", "hvm", "img_hv_requested_version", ">8.2.1"), refused: f, why: "host-1: the image wants hypervisor version >8.2.1, it has 8.2.1"},
		{name: "version alone", request: props("img_hv_requested_version", ">9")},
		{name: "bad version", request: props("hw_vm_mode", "hvm", "img_hv_requested_version", "new"), refused: f, why: "host-1: the image wants hypervisor version new, it has 8.2.1"},
		{name: "nothing advertised", host: func(h *structs.Host) { h.Architectures = nil }, request: props("hw_vm_mode", "hvm"),
			refused: f, why: "host-1: does not say which architectures and hypervisor it has"},
		{name: "nothing asked", host: func(h *structs.Host) { h.Architectures = nil }},
		{name: "address bits", request: props("hw_maxphysaddr_bits", "42"), refused: f, why: `host-1: hw_maxphysaddr_bits wants ">= 42", it has no such capability`},
	})
}

func TestHints(t *testing.T) {
	t.Parallel()
	with := func(f string, cases ...filterCase) []filterCase {
		for i := range cases {
			cases[i].filters = []string{f}
			if cases[i].why != "" {
				cases[i].refused = f
			}
		}
		return cases
	}
	runFilterCases(t, with("SameHostFilter",
		filterCase{name: "same", request: hint(`{"same_host": "other"}`)},
		filterCase{name: "same list", request: hint(`{"same_host": ["x", "other"]}`)},
		filterCase{name: "same elsewhere", request: hint(`{"same_host": "x"}`), why: "host-1: has none of the instances x"},
		filterCase{name: "same as deleted", request: hint(`{"same_host": "gone"}`), why: "host-1: has none of the instances gone"},
		filterCase{name: "no hint", request: hint(`{"group": 5}`)},
		filterCase{name: "hints that are none", request: hint(`[1, 2]`)}))
	runFilterCases(t, with("DifferentHostFilter",
		filterCase{name: "different", request: hint(`{"different_host": ["x", "gone"]}`)},
		filterCase{name: "different but there", request: hint(`{"different_host": ["x", "other"]}`), why: "host-1: has one of the instances x, other"},
		filterCase{name: "wrong form", request: hint(`{"different_host": 5}`)}))
	runFilterCases(t, with("SimpleCIDRAffinityFilter",
		filterCase{name: "near", request: hint(`{"build_near_host_ip": "10.0.0.99"}`)},
		filterCase{name: "not near", request: hint(`{"build_near_host_ip": "10.0.0.99", "cidr": "/28"}`), why: "host-1: 10.0.0.2 is not in 10.0.0.96/28"},
		filterCase{name: "near nothing", request: hint(`{"build_near_host_ip": "x"}`), why: `host-1: hints build_near_host_ip "x" and cidr make no network`}))
	const no = "host-1: hint query is false for it"
	runFilterCases(t, with("JsonFilter",
		filterCase{name: "text", request: hint(`{"query": "[\">=\", \"$free_ram_mb\", 1024]"}`)},
		filterCase{name: "list", request: hint(`{"query": [">=", "$free_ram_mb", 1024]}`)},
		filterCase{name: "false", request: hint(`{"query": [">", "$free_ram_mb", 99999]}`), why: no},
		filterCase{name: "and or", request: hint(`{"query": ["and", ["or", ["=", "$rack", "r9"], ["in", "$rack", "r0", "r1"]], ["<", "$num_instances", 9]]}`)},
		filterCase{name: "not is a list", request: hint(`{"query": ["not", ["=", "$rack", "r1"], ["=", "$rack", "r2"]]}`)},
		filterCase{name: "not", request: hint(`{"query": ["not", ["=", "$rack", "r1"]]}`), why: no},
		filterCase{name: "deep", request: hint(`{"query": ["=", "$cpu_info.topology.cores", 4]}`)},
		filterCase{name: "null leaves one argument", request: hint(`{"query": ["=", "$nothing", 4]}`), why: no},
		filterCase{name: "kinds differ", request: hint(`{"query": ["<", "$rack", 4]}`), why: no},
		filterCase{name: "empty", request: hint(`{"query": "[]"}`)},
		filterCase{name: "none", request: hint(`{"query": ""}`)},
		filterCase{name: "unknown operator", request: hint(`{"query": ["~", 1, 2]}`), why: "host-1: hint query is not a list of a known operator and its arguments"},
		filterCase{name: "not JSON", request: hint(`{"query": "free"}`), why: "host-1: hint query is not a list of a known operator and its arguments"}))
}

func TestOperators(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, expr string
		want        bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a b", "a b", true}, {"", "", true}, {"a", "", false},
		{"5", "= 4", true}, {"3", "= 4", false}, {"4.0", "== 4", true}, {"4", "!= 4", false}, {"4", ">= 4", true}, {"5", "<= 4", false},
		{"x", "== x", false}, {"4", "== x", false}, {"4", "==", false}, {"x", "!= 4", false},
		{"abc", "s== abc", true}, {"abc", "s!= abc", false}, {"abc", "s< abd", true}, {"abc", "s<= abc", true}, {"abc", "s> abb", true}, {"abc", "s>= abd", false},
		{"abc", "<in> bc", true}, {"abc", "<in> x", false}, {"abc", "<in>", false},
		{"['a', 'b']", "<all-in> a b", true}, {"['a']", "<all-in> a b", false}, {"['a']", "<all-in>", false},
		{"b", "<or> a <or> b", true}, {"c", "<or> a <or> b", false}, {"a", "<or>", false},
	} {
		require.Equal(t, c.want, match(c.value, c.expr), "%q %q", c.value, c.expr)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	refuse := func(words string, f func(s *structs.ClusterSettings)) {
		s := structs.DefaultClusterSettings()
		f(&s)
		err := Validate(&s)
		require.ErrorContains(t, err, words)
		require.True(t, structs.IsKind(err, structs.KindInvalid))
	}
	filters := func(names ...string) func(s *structs.ClusterSettings) {
		return func(s *structs.ClusterSettings) { s.Filters = names }
	}
	refuse(`there is no host filter "NoFilter"; the filters are AllHostsFilter, ComputeFilter`, filters("ComputeFilter", "NoFilter"))
	refuse(`"RamFilter" was removed from Nova in 22.0.0 (Victoria); capacity is always respected: take it out of the list`, filters("RamFilter"))
	refuse(`"NUMATopologyFilter" is one of Nova's, but`, filters("NUMATopologyFilter"))
	refuse(`"PlacementCapacity" always runs`, filters("PlacementCapacity"))
	refuse(`"JsonFilter" is listed twice`, filters("JsonFilter", "JsonFilter"))
	refuse(`there is no weigher "RamWeigher"; the weighers are RAMWeigher`, func(s *structs.ClusterSettings) { s.Weights = map[string]float64{"RamWeigher": 1} })
	refuse("the allocation ratio of VCPU is -1", func(s *structs.ClusterSettings) { s.CPURatio = -1 })
	s := structs.DefaultClusterSettings()
	require.NoError(t, Validate(&s))
	s.Filters = FilterNames()
	s.Weights = map[string]float64{"NumInstancesWeigher": -1}
	require.NoError(t, Validate(&s))
	require.Equal(t, []string{"ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter"},
		DefaultFilters())

	w := newWorld()
	w.settle(filters("NoFilter"))
	_, err := New(w.Snapshot(), nil, nil)
	require.ErrorContains(t, err, "NoFilter")
}

func TestResourcesOf(t *testing.T) {
	t.Parallel()
	f := structs.Flavor{VCPUs: 2, MemoryMiB: 512, RootGiB: 10, EphemeralGiB: 2, SwapMiB: 100}
	require.Equal(t, structs.Resources{VCPUs: 2, MemoryMiB: 512, DiskGiB: 13}, ResourcesOf(&f))
	f.ExtraSpecs = map[string]string{"resources:VCPU": "0", "resources1:MEMORY_MB": "100", "resources_a-b:MEMORY_MB": "28", "resources:DISK_GB": "-1",
		"resources:PCPU": "2", "resources!:VCPU": "7", "resources": "7"}
	require.Equal(t, structs.Resources{VCPUs: 0, MemoryMiB: 128, DiskGiB: 13}, ResourcesOf(&f))
}

func moves(m Move) func(*Request) { return func(r *Request) { r.Move = &m } }
