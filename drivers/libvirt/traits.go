package libvirt

import (
	"maps"
	"slices"
)

// cpuTraits maps the names of processor features, libvirt's, to standard traits.
var cpuTraits = map[string]string{
	"3dnow": "HW_CPU_X86_3DNOW", "abm": "HW_CPU_X86_ABM", "aes": "HW_CPU_X86_AESNI", "avx": "HW_CPU_X86_AVX",
	"avx2": "HW_CPU_X86_AVX2", "avx512-vpopcntdq": "HW_CPU_X86_AVX512VPOPCNTDQ", "avx512bitalg": "HW_CPU_X86_AVX512BITALG",
	"avx512bw": "HW_CPU_X86_AVX512BW", "avx512cd": "HW_CPU_X86_AVX512CD", "avx512dq": "HW_CPU_X86_AVX512DQ",
	"avx512er": "HW_CPU_X86_AVX512ER", "avx512f": "HW_CPU_X86_AVX512F", "avx512ifma": "HW_CPU_X86_AVX512IFMA",
	"avx512pf": "HW_CPU_X86_AVX512PF", "avx512vbmi": "HW_CPU_X86_AVX512VBMI", "avx512vl": "HW_CPU_X86_AVX512VL",
	"avx512vnni": "HW_CPU_X86_AVX512VNNI", "amx-bf16": "HW_CPU_X86_AMXBF16", "amx-int8": "HW_CPU_X86_AMXINT8",
	"amx-tile": "HW_CPU_X86_AMXTILE", "bmi1": "HW_CPU_X86_BMI", "bmi2": "HW_CPU_X86_BMI2", "f16c": "HW_CPU_X86_F16C",
	"fma": "HW_CPU_X86_FMA3", "fma4": "HW_CPU_X86_FMA4", "gfni": "HW_CPU_X86_AVX512GFNI", "ibpb": "HW_CPU_X86_AMD_IBPB",
	"md-clear": "HW_CPU_X86_INTEL_MD_CLEAR", "mmx": "HW_CPU_X86_MMX", "mpx": "HW_CPU_X86_MPX",
	"amd-no-ssb": "HW_CPU_X86_AMD_NO_SSB", "amd-ssbd": "HW_CPU_X86_AMD_SSBD", "virt-ssbd": "HW_CPU_X86_AMD_VIRT_SSBD",
	"pcid": "HW_CPU_X86_INTEL_PCID", "pclmuldq": "HW_CPU_X86_CLMUL", "pdpe1gb": "HW_CPU_X86_PDPE1GB",
	"pni": "HW_CPU_X86_SSE3", "rtm": "HW_CPU_X86_TSX", "sgx": "HW_CPU_X86_SGX", "sha-ni": "HW_CPU_X86_SHA",
	"spec-ctrl": "HW_CPU_X86_INTEL_SPEC_CTRL", "ssbd": "HW_CPU_X86_INTEL_SSBD", "sse": "HW_CPU_X86_SSE",
	"sse2": "HW_CPU_X86_SSE2", "sse4.1": "HW_CPU_X86_SSE41", "sse4.2": "HW_CPU_X86_SSE42", "sse4a": "HW_CPU_X86_SSE4A",
	"ssse3": "HW_CPU_X86_SSSE3", "stibp": "HW_CPU_X86_STIBP", "svm": "HW_CPU_X86_AMD_SVM", "tbm": "HW_CPU_X86_TBM",
	"vaes": "HW_CPU_X86_AVX512VAES", "vmx": "HW_CPU_X86_INTEL_VMX", "vpclmulqdq": "HW_CPU_X86_AVX512VPCLMULQDQ",
	"xop": "HW_CPU_X86_XOP",
}

// oldCPUTraits are the vendorless names that some traits had before; images may still ask for them.
var oldCPUTraits = map[string]string{
	"HW_CPU_X86_AMD_SVM":   "HW_CPU_X86_SVM",
	"HW_CPU_X86_INTEL_VMX": "HW_CPU_X86_VMX",
}

var busTraits = map[string]string{
	"ide": "COMPUTE_STORAGE_BUS_IDE", "sata": "COMPUTE_STORAGE_BUS_SATA", "scsi": "COMPUTE_STORAGE_BUS_SCSI",
	"usb": "COMPUTE_STORAGE_BUS_USB", "virtio": "COMPUTE_STORAGE_BUS_VIRTIO",
}

var videoTraits = map[string]string{
	"bochs": "COMPUTE_GRAPHICS_MODEL_BOCHS", "cirrus": "COMPUTE_GRAPHICS_MODEL_CIRRUS", "none": "COMPUTE_GRAPHICS_MODEL_NONE",
	"qxl": "COMPUTE_GRAPHICS_MODEL_QXL", "vga": "COMPUTE_GRAPHICS_MODEL_VGA", "virtio": "COMPUTE_GRAPHICS_MODEL_VIRTIO",
	"vmvga": "COMPUTE_GRAPHICS_MODEL_VMVGA",
}

// fixedTraits hold on every host: what the driver itself offers with any QEMU for x86_64.
var fixedTraits = []string{
	"COMPUTE_ARCH_X86_64", "COMPUTE_FIRMWARE_BIOS", "COMPUTE_NET_VIF_MODEL_E1000", "COMPUTE_NET_VIF_MODEL_E1000E",
	"COMPUTE_NET_VIF_MODEL_NE2K_PCI", "COMPUTE_NET_VIF_MODEL_PCNET", "COMPUTE_NET_VIF_MODEL_RTL8139",
	"COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_NET_VIF_MODEL_VMXNET3", "COMPUTE_NODE", "HW_ARCH_X86_64",
}

// hostTraits returns the traits of a host, sorted and each once.
func hostTraits(f *facts) []string {
	traits := map[string]bool{}
	for _, trait := range fixedTraits {
		traits[trait] = true
	}
	for _, group := range []struct {
		table map[string]string
		names []string
	}{
		{cpuTraits, f.guestFeatures},
		{busTraits, f.diskBuses},
		{videoTraits, f.videoModels},
	} {
		for _, name := range group.names {
			if trait, ok := group.table[name]; ok {
				traits[trait] = true
			}
		}
	}
	for trait, old := range oldCPUTraits {
		if traits[trait] {
			traits[old] = true
		}
	}
	if f.cpu.Threads > 1 {
		traits["HW_CPU_HYPERTHREADING"] = true
	}
	return slices.Sorted(maps.Keys(traits))
}
