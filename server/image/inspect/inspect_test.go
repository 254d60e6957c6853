package inspect

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// qcow2 returns a header of that version with the given changes.
func qcow2(version uint32, change func(h []byte)) []byte {
	h := make([]byte, 1024)
	copy(h, "QFI\xfb")
	binary.BigEndian.PutUint32(h[4:], version)
	binary.BigEndian.PutUint32(h[20:], 16)
	binary.BigEndian.PutUint64(h[24:], 5<<30)
	if version == 3 {
		binary.BigEndian.PutUint32(h[100:], 104)
	}
	if change != nil {
		change(h)
	}
	return h
}

func iso() []byte {
	b := make([]byte, 0x9000)
	copy(b[0x8001:], "CD001")
	return b
}

func vhd(kind uint32, fixed bool) []byte {
	f := make([]byte, 512)
	copy(f, "conectix")
	binary.BigEndian.PutUint64(f[48:], 1<<20)
	binary.BigEndian.PutUint32(f[60:], kind)
	if fixed {
		return append(make([]byte, 1<<20), f...)
	}
	return f
}

func vmdk(descriptor string) []byte {
	b := make([]byte, 512, 2048)
	copy(b, "KDMV")
	binary.LittleEndian.PutUint32(b[4:], 1)
	binary.LittleEndian.PutUint64(b[12:], 2048)
	binary.LittleEndian.PutUint64(b[28:], 1)
	binary.LittleEndian.PutUint64(b[36:], 1)
	return append(b, append([]byte(descriptor), make([]byte, 512-len(descriptor))...)...)
}

const sparse = "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"a.vmdk\"\n"

func vdi(kind uint32) []byte {
	b := make([]byte, 512)
	copy(b[0x40:], "\x7f\x10\xda\xbe")
	binary.LittleEndian.PutUint32(b[0x4c:], kind)
	binary.LittleEndian.PutUint64(b[0x170:], 3<<20)
	return b
}

// vhdx returns a VHDX image with the metadata items given.
func vhdx(items map[string][]byte) []byte {
	b := make([]byte, 1<<20)
	copy(b, "vhdxfile")
	t := b[vhdxRegionTable:]
	copy(t, "regi")
	binary.LittleEndian.PutUint32(t[8:], 1)
	copy(t[16:], vhdxMetadataRegion)
	binary.LittleEndian.PutUint64(t[32:], 512<<10)
	m := b[512<<10:]
	copy(m, "metadata")
	binary.LittleEndian.PutUint16(m[10:], uint16(len(items)))
	i := 0
	for id, v := range items {
		e := m[32+32*i:]
		copy(e, id)
		at := 64<<10 + 64*i
		binary.LittleEndian.PutUint32(e[16:], uint32(at))
		copy(m[at:], v)
		i++
	}
	return b
}

func vhdxItems(flags uint32) map[string][]byte {
	return map[string][]byte{
		string(vhdxFileParameters): binary.LittleEndian.AppendUint32(make([]byte, 4), flags),
		string(vhdxDiskSize):       binary.LittleEndian.AppendUint64(nil, 7<<20),
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	parent := vhdxItems(0)
	parent[string(vhdxParentLocator)] = nil
	for name, c := range map[string]struct {
		data    []byte
		formats string
		virtual int64
		unsafe  string
	}{
		"empty":              {nil, "raw", 0, ""},
		"one byte":           {[]byte{1}, "raw", 1, ""},
		"zeros":              {make([]byte, 4096), "raw", 4096, ""},
		"qcow2 v2":           {qcow2(2, nil), "qcow2", 5 << 30, ""},
		"qcow2 v3":           {qcow2(3, nil), "qcow2", 5 << 30, ""},
		"qcow2 torn":         {[]byte("QFI\xfb\x00\x00"), "qcow2", 0, "shorter"},
		"qcow2 v9":           {qcow2(9, nil), "qcow2", 0, "unknown version"},
		"qcow2 backing":      {qcow2(2, func(h []byte) { h[15] = 80 }), "qcow2", 0, "backing file"},
		"qcow2 data file":    {qcow2(3, func(h []byte) { h[79] = 4 }), "qcow2", 0, "external file"},
		"qcow2 future":       {qcow2(3, func(h []byte) { h[78] = 1 }), "qcow2", 0, "not known"},
		"qcow2 data name":    {qcow2(3, func(h []byte) { copy(h[104:], "DATA\x00\x00\x00\x01x") }), "qcow2", 0, "external data file"},
		"qcow2 ext, backing": {qcow2(3, func(h []byte) { copy(h[104:], "abcd\x00\x00\x00\x03xyz"); copy(h[120:], "\xe2\x79\x2a\xca") }), "qcow2", 0, "backing"},
		"qcow2 cluster":      {qcow2(2, func(h []byte) { h[23] = 40 }), "qcow2", 0, "cluster"},
		"qcow2 huge":         {qcow2(2, func(h []byte) { h[24] = 0xff }), "qcow2", 0, "impossible"},
		"qcow1":              {qcow2(1, nil), "qcow", 0, "not accepted"},
		"qed":                {[]byte("QED\x00abc"), "qed", 0, "not accepted"},
		"iso":                {iso(), "iso", 0x9000, ""},
		"iso and qcow2":      {append(qcow2(2, nil), iso()[1024:]...), "qcow2,iso", 5 << 30, ""},
		"vhd dynamic":        {vhd(3, false), "vhd", 1 << 20, ""},
		"vhd fixed":          {vhd(2, true), "vhd", 1 << 20, ""},
		"vhd differencing":   {vhd(4, false), "vhd", 0, "parent"},
		"vmdk":               {vmdk(sparse), "vmdk", 1 << 20, ""},
		"vmdk flat":          {vmdk(strings.Replace(sparse, "SPARSE", "FLAT", 1)), "vmdk", 0, "another file"},
		"vmdk flat kind":     {vmdk(strings.Replace(sparse, "monolithicSparse", "monolithicFlat", 1)), "vmdk", 0, "not accepted"},
		"vmdk two extents":   {vmdk(sparse + "RW 1 SPARSE \"b\"\n"), "vmdk", 0, "extent"},
		"vmdk parent":        {vmdk(sparse + "parentFileNameHint=\"/etc/shadow\"\n"), "vmdk", 0, "parent"},
		"vmdk descriptor":    {[]byte(sparse), "vmdk", 0, "other files"},
		"vdi":                {vdi(1), "vdi", 3 << 20, ""},
		"vdi differencing":   {vdi(4), "vdi", 0, "parent"},
		"vhdx":               {vhdx(vhdxItems(0)), "vhdx", 7 << 20, ""},
		"vhdx has parent":    {vhdx(vhdxItems(2)), "vhdx", 0, "parent"},
		"vhdx names parent":  {vhdx(parent), "vhdx", 0, "parent"},
		"vhdx torn":          {[]byte("vhdxfile"), "vhdx", 0, "shorter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := Inspect(bytes.NewReader(c.data), int64(len(c.data)))
			require.NoError(t, err)
			require.Equal(t, c.formats, strings.Join(info.Formats, ","))
			require.Equal(t, c.virtual, info.VirtualSize)
			if c.unsafe == "" {
				require.Empty(t, info.Unsafe)
			} else {
				require.Contains(t, info.Unsafe, c.unsafe)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	backed := qcow2(2, func(h []byte) { h[15] = 80 })
	for name, c := range map[string]struct {
		data              []byte
		format, container string
		wrong             string
	}{
		"qcow2":              {qcow2(3, nil), "qcow2", "bare", ""},
		"qcow2 called raw":   {qcow2(3, nil), "raw", "bare", "is qcow2, but the image's disk_format is raw. Set disk_format to qcow2"},
		"raw called qcow2":   {make([]byte, 512), "qcow2", "bare", "is raw, but the image's disk_format is qcow2"},
		"iso called raw":     {iso(), "raw", "bare", ""},
		"iso":                {iso(), "iso", "bare", ""},
		"raw called iso":     {make([]byte, 512), "iso", "bare", "is raw"},
		"kernel":             {[]byte("kernel"), "aki", "aki", ""},
		"backed in ova":      {backed, "vmdk", "ova", "backing file"},
		"two at once":        {append(qcow2(2, nil), iso()[1024:]...), "iso", "bare", "qcow2 and iso at once"},
		"packed":             {[]byte("\x1f\x8b gzip"), "qcow2", "compressed", ""},
		"vhd called raw":     {vhd(2, true), "raw", "bare", "is vhd"},
		"empty called raw":   {nil, "raw", "bare", ""},
		"empty called qcow2": {nil, "qcow2", "bare", "is raw"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Check(bytes.NewReader(c.data), int64(len(c.data)), c.format, c.container)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, structs.IsKind(err, structs.KindInvalid), "%v", err)
			require.Contains(t, err.Error(), c.wrong)
		})
	}
}

// TestRealImages compares with what qemu-img makes.
func TestRealImages(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("qemu-img")
	if err != nil {
		t.Skip("qemu-img is not installed")
	}
	dir := t.TempDir()
	const size = 3 << 20
	for _, c := range []struct{ ours, theirs, options string }{
		{"raw", "raw", ""}, {"qcow2", "qcow2", ""}, {"qcow2", "qcow2", "compat=0.10"}, {"qcow2", "qcow2", "extended_l2=on"},
		{"vdi", "vdi", ""}, {"vhdx", "vhdx", ""}, {"vhd", "vpc", "subformat=dynamic,force_size=on"}, {"vhd", "vpc", "subformat=fixed,force_size=on"},
		{"vmdk", "vmdk", ""}, {"vmdk", "vmdk", "subformat=streamOptimized"}, {"ploop", "parallels", ""},
	} {
		path := filepath.Join(dir, c.theirs+c.options)
		args := []string{"create", "-q", "-f", c.theirs}
		if c.options != "" {
			args = append(args, "-o", c.options)
		}
		out, err := exec.Command(tool, append(args, path, "3M")...).CombinedOutput()
		require.NoError(t, err, string(out))
		require.EqualValues(t, size, checkFile(t, path, c.ours), path)
	}
	overlay := filepath.Join(dir, "overlay")
	out, err := exec.Command(tool, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", filepath.Join(dir, "raw"), overlay).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, inspectFile(t, overlay).Unsafe, "backing file")
	outside := filepath.Join(dir, "outside")
	out, err = exec.Command(tool, "create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "data"), outside, "1M").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, inspectFile(t, outside).Unsafe, "external file")
}

func openFile(t *testing.T, path string) (*os.File, int64) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	require.NoError(t, err)
	return f, st.Size()
}

func checkFile(t *testing.T, path, format string) int64 {
	t.Helper()
	f, size := openFile(t, path)
	virtual, err := Check(f, size, format, "bare")
	require.NoError(t, err)
	return virtual
}

func inspectFile(t *testing.T, path string) Info {
	t.Helper()
	f, size := openFile(t, path)
	info, err := Inspect(f, size)
	require.NoError(t, err)
	return info
}

func FuzzInspect(f *testing.F) {
	for _, seed := range [][]byte{nil, qcow2(2, nil), qcow2(3, nil), iso(), vhd(3, false), vmdk(sparse), []byte(sparse), vdi(1), []byte("WithoutFreeSpace"), []byte("QED\x00")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := Inspect(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err) // memory does not fail to read
		}
		if len(info.Formats) == 0 || info.VirtualSize < 0 {
			t.Fatalf("%+v", info)
		}
		_, _ = Check(bytes.NewReader(data), int64(len(data)), "qcow2", "bare")
	})
}

// FuzzVHDX puts fuzzed bytes where the tables of a VHDX image lie.
func FuzzVHDX(f *testing.F) {
	good := vhdx(vhdxItems(0))
	f.Add(good[vhdxRegionTable:vhdxRegionTable+64], good[512<<10:512<<10+256])
	f.Fuzz(func(t *testing.T, regions, metadata []byte) {
		b := make([]byte, 600<<10)
		copy(b, "vhdxfile")
		copy(b[vhdxRegionTable:512<<10], regions)
		copy(b[512<<10:], metadata)
		if info, err := Inspect(bytes.NewReader(b), int64(len(b))); err != nil || info.VirtualSize < 0 {
			t.Fatalf("%+v %v", info, err)
		}
	})
}
