package scheduler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// imageKeys are the image properties that imageNeeds reads, the present name before the old one.
var imageKeys = []string{"hw_architecture", "architecture", "img_hv_type", "hypervisor_type", "hw_vm_mode", "vm_mode",
	"img_hv_requested_version", "hypervisor_version_requires", "hw_maxphysaddr_bits"}

// imageNeeds is what an image asks of a hypervisor; "" asks nothing.
type imageNeeds struct {
	arch, hypervisor, mode string // canonical
	version                string // predicates, see versionSatisfies
	addressBits            string
}

func parseImageNeeds(props map[string]string) imageNeeds {
	get := func(name, old string) string {
		if v := props[name]; v != "" {
			return v
		}
		return props[old]
	}
	return imageNeeds{
		arch:        canonicalArch(get("hw_architecture", "architecture")),
		hypervisor:  canonicalHypervisor(get("img_hv_type", "hypervisor_type")),
		mode:        canonicalMode(get("hw_vm_mode", "vm_mode")),
		version:     get("img_hv_requested_version", "hypervisor_version_requires"),
		addressBits: props["hw_maxphysaddr_bits"],
	}
}

// canonicalArch returns Nova's name of an architecture (objects.fields.Architecture).
func canonicalArch(s string) string {
	switch s = strings.ToLower(s); s {
	case "i386", "i486", "i586", "x86_32", "x86_32p":
		return "i686"
	case "amd64":
		return "x86_64"
	}
	return s
}

// canonicalHypervisor returns Nova's name of a hypervisor type (objects.fields.HVType).
func canonicalHypervisor(s string) string {
	if s = strings.ToLower(s); s == "xapi" {
		return "xen"
	}
	return s
}

// canonicalMode returns Nova's name of a VM mode (objects.fields.VMMode).
func canonicalMode(s string) string {
	switch s = strings.ToLower(s); s {
	case "pv":
		return "xen"
	case "hv", "baremetal":
		return "hvm"
	}
	return s
}

// imagePropertiesFilter is Nova's ImagePropertiesFilter: one of the host's (architecture, hypervisor type, VM mode) has all
// that the image asks for. As in Nova an image that asks for none of the three passes, whatever version it asks for. A host
// of type KVM also counts as qemu, because libvirt advertises both there. Containers run in mode exe, all else in hvm.
type imagePropertiesFilter struct{}

func (imagePropertiesFilter) name() string { return "ImagePropertiesFilter" }

func (imagePropertiesFilter) refuse(p *profile, c *candidate) string {
	h := c.host
	n := &p.image
	if n.addressBits != "" {
		c := capability{key: "hw_maxphysaddr_bits", path: []string{"cpu_info", "maxphysaddr", "bits"}, expr: ">= " + n.addressBits}
		if root, ok := staticAttribute(h, c.path[0]); !c.holds(root, ok) {
			return c.why(root, ok)
		}
	}
	if n.arch == "" && n.hypervisor == "" && n.mode == "" {
		return ""
	}
	if len(h.Architectures) == 0 || h.HypervisorType == "" {
		return "does not say which architectures and hypervisor it has"
	}
	if n.arch != "" && !slices.ContainsFunc(h.Architectures, func(a string) bool { return canonicalArch(a) == n.arch }) {
		return fmt.Sprintf("the image wants architecture %s, it has %s", n.arch, strings.Join(h.Architectures, ", "))
	}
	hv := canonicalHypervisor(h.HypervisorType)
	if n.hypervisor != "" && n.hypervisor != hv && !(hv == "kvm" && n.hypervisor == "qemu") {
		return fmt.Sprintf("the image wants hypervisor %s, it has %s", n.hypervisor, hv)
	}
	mode := "hvm"
	if hv == "lxc" || hv == "lxd" || hv == "openvz" {
		mode = "exe"
	}
	if n.mode != "" && n.mode != mode {
		return fmt.Sprintf("the image wants VM mode %s, it has %s", n.mode, mode)
	}
	if !versionSatisfies(h.HypervisorVersion, n.version) {
		return fmt.Sprintf("the image wants hypervisor version %s, it has %s", n.version, versionText(h.HypervisorVersion))
	}
	return ""
}

// versionText writes a hypervisor version, major*1e6 + minor*1e3 + micro.
func versionText(v int64) string { return fmt.Sprintf("%d.%d.%d", v/1_000_000, v/1000%1000, v%1000) }

// versionSatisfies reports whether the version meets every one of the predicates, such as ">=6.0, <7.0"; a bad predicate
// is met by none. No predicate, or no known version, passes.
func versionSatisfies(version int64, predicates string) bool {
	predicates = strings.Trim(strings.TrimSpace(predicates), "()")
	if predicates == "" || version == 0 {
		return true
	}
	for _, p := range strings.Split(predicates, ",") {
		p = strings.TrimSpace(p)
		i := strings.IndexFunc(p, func(r rune) bool { return !strings.ContainsRune("<>=!", r) })
		if i <= 0 {
			return false
		}
		want, ok := parseVersion(strings.TrimSpace(p[i:]))
		if !ok || !orderIs(slices.Compare([]int64{version / 1_000_000, version / 1000 % 1000, version % 1000}, want), p[:i]) {
			return false
		}
	}
	return true
}

// parseVersion reads up to three numbers with dots between; what is absent is 0.
func parseVersion(s string) ([]int64, bool) {
	out := make([]int64, 3)
	parts := strings.Split(s, ".")
	if len(parts) > len(out) {
		return nil, false
	}
	for i, p := range parts {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

func orderIs(order int, op string) bool {
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case ">=":
		return order >= 0
	case ">":
		return order > 0
	}
	return false
}
