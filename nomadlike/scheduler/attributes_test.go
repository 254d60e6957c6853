package scheduler

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Every name in liveAttributes has a value, and the values are Nova's: amounts without ratios, counts with what is planned.
func TestLiveAttributes(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := hostNo(1)
	h.Reserved = structs.Resources{MemoryMiB: 384}
	w.put(h)
	w.claim("x", h.ID, structs.Resources{VCPUs: 3, MemoryMiB: 6000, DiskGiB: 40})
	c := w.scheduler(t, nil).cache
	want := map[string]any{"host": "host-1", "nodename": "hv-1", "hypervisor_hostname": "hv-1", "uuid": string(h.ID), "host_ip": "10.0.0.2",
		"vcpus_total": int64(8), "vcpus_used": int64(3), "total_usable_ram_mb": int64(16000), "free_ram_mb": int64(10000),
		"total_usable_disk_gb": int64(100), "free_disk_mb": int64(61440), "disk_mb_used": int64(40960), "num_instances": int64(1), "num_io_ops": int64(0),
		"cpu_allocation_ratio": 4.0, "ram_allocation_ratio": 1.0, "disk_allocation_ratio": 1.0}
	got := map[string]any{}
	for _, name := range liveAttributes {
		v, ok := c.liveAttribute(&c.hosts[0], name)
		require.True(t, ok, name)
		got[name] = v
	}
	require.Equal(t, want, got)
	_, ok := c.liveAttribute(&c.hosts[0], "else")
	require.False(t, ok)
}

func TestPythonText(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		"plain": "plain", "None": nil, "True": true, "False": false, "-3": int64(-3), "4.0": 4.0, "1.5": 1.5, "7": json.Number("7"),
		"['a', 1.0, [True]]": []any{"a", 1.0, []any{true}}, "{'a': 'b', 'c': None}": map[string]any{"c": nil, "a": "b"},
	} {
		require.Equal(t, want, textOf(v))
	}
}

func TestTruth(t *testing.T) {
	t.Parallel()
	for _, v := range []any{true, "x", 1.5, int64(2), json.Number("3"), []any{nil}, map[string]any{"a": nil}} {
		require.True(t, truthy(v), "%v", v)
	}
	for _, v := range []any{nil, false, "", 0.0, int64(0), json.Number("0"), []any{}, map[string]any{}} {
		require.False(t, truthy(v), "%v", v)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for predicates, want := range map[string]bool{"": true, ">=8": true, ">=8.2.1,<9": true, "(>8.2)": true, "==8.2.1": true, "!=8.2.1": false,
		"<=8.2": false, "<8.2.1": false, "8.2.1": false, "~8": false, "=>8": false, ">=1.2.3.4": false, ">=": false, ">=8,": false} {
		require.Equal(t, want, versionSatisfies(8_002_001, predicates), predicates)
	}
	require.True(t, versionSatisfies(0, ">5"), "an unknown version refuses nothing")
}

func TestCanonicalNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, imageNeeds{arch: "i686", hypervisor: "xen", mode: "xen"},
		parseImageNeeds(map[string]string{"hw_architecture": "I586", "img_hv_type": "XAPI", "hw_vm_mode": "pv"}))
}
