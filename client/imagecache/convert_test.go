package imagecache

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// qemuImg is where the tool is. A machine that is to run real guests has it.
func qemuImg(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("qemu-img")
	switch {
	case err == nil:
	case os.Getenv("KILONOVA_TEST_LIBVIRT") == "1":
		t.Fatal("KILONOVA_TEST_LIBVIRT=1, and qemu-img is missing: install Debian's qemu-utils")
	default:
		t.Skip("qemu-img is not installed")
	}
	return tool
}

// made returns a raw disk and the same disk in another format, made by the real qemu-img.
func made(t *testing.T, format string) (raw, other []byte) {
	t.Helper()
	tool := qemuImg(t)
	raw = make([]byte, 4<<20)
	copy(raw[1<<20:], bytes.Repeat([]byte("kilonova"), 10_000))
	dir := t.TempDir()
	from, to := filepath.Join(dir, "raw"), filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(from, raw, 0o600))
	out, err := exec.Command(tool, "convert", "-f", "raw", "-O", qemuNames[format], from, to).CombinedOutput()
	require.NoError(t, err, string(out))
	return raw, read(t, to)
}

func TestConvert(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"qcow2", "vmdk", "vdi", "vhdx"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			raw, other := made(t, format)
			s := &source{}
			c := newCache(t, s, nil)
			img := image(s.add(other), len(other), format)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					e, err := c.Get(t.Context(), img, []string{"raw"})
					if err != nil {
						t.Error(err)
						return
					}
					defer e.Release()
					if got, err := os.ReadFile(e.Path); err != nil || !bytes.Equal(got, raw) || e.VirtualSize != int64(len(raw)) || e.Format != "raw" {
						t.Errorf("%+v %v", e, err)
					}
				})
			}
			wg.Wait()
			require.Equal(t, []string{img.SHA512 + ".raw"}, c.names(t, ""), "the original is not kept beside it")
			require.Empty(t, c.names(t, partialFolder))
			require.EqualValues(t, 1, s.fetches.Load())
		})
	}
}

func TestConvertToTheDriversFormat(t *testing.T) {
	t.Parallel()
	raw, vdi := made(t, "vdi")
	s := &source{}
	c := newCache(t, s, nil)
	e, err := c.Get(t.Context(), image(s.add(vdi), len(vdi), "vdi"), []string{"qcow2", "raw"})
	require.NoError(t, err)
	defer e.Release()
	require.Equal(t, "qcow2", e.Format)
	require.EqualValues(t, len(raw), e.VirtualSize)
	back := filepath.Join(t.TempDir(), "back")
	require.NoError(t, exec.Command("qemu-img", "convert", "-f", "qcow2", "-O", "raw", e.Path, back).Run())
	require.Equal(t, raw, read(t, back))
}

func TestAnImageThatIsNotWhatItSays(t *testing.T) {
	t.Parallel()
	made(t, "qcow2") // for the skip
	s, data := &source{}, bytes.Repeat([]byte("no qcow2"), 1000)
	c := newCache(t, s, nil)
	_, err := c.Get(t.Context(), image(s.add(data), len(data), "qcow2"), []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindInvalid), "%v", err)
	require.Contains(t, err.Error(), "not in qcow2 format")
	require.Empty(t, c.names(t, partialFolder))
}

// script makes a program that stands in for qemu-img. Another process writes it: while ours holds a file open for writing, a
// fork of a test beside this one may inherit that, and the program cannot be started ("text file busy").
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu-img")
	cmd := exec.Command("sh", "-c", `cat > "$1" && chmod 700 "$1"`, "sh", path)
	cmd.Stdin = strings.NewReader("#!/bin/sh\n" + body)
	require.NoError(t, cmd.Run())
	return path
}

const answers = `case $1 in info) echo '{"virtual-size": 4096}'; exit 0;; measure) echo '{"required": 4096}'; exit 0;; esac
for last; do :; done
`

func TestConversionFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		kind structs.Kind
		text string
	}{
		"too slow":     {answers + "echo half > $last; exec sleep 60", structs.KindTimeout, "took longer than 1s"},
		"full disk":    {answers + "echo half > $last; echo 'error while writing: No space left on device' >&2; exit 1", structs.KindNoCapacity, "is full"},
		"refused":      {answers + "echo 'first' >&2; echo 'qemu-img: cannot' >&2; exit 1", structs.KindInvalid, "qemu-img: cannot"},
		"names others": {`echo '{"virtual-size": 1, "backing-filename": "/etc/shadow"}'`, structs.KindInvalid, "another file"},
		"flat extent":  {`echo '{"virtual-size": 1, "format-specific": {"data": {"extents": [{"filename": "/etc/shadow"}]}}}'`, structs.KindInvalid, "another file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, data := &source{}, []byte("vmdk bytes")
			cache := newCache(t, s, func(cfg *Config) { cfg.QemuImg, cfg.ConvertTimeout = script(t, c.body), time.Minute })
			if c.kind == structs.KindTimeout {
				cache.cfg.ConvertTimeout = time.Second
			}
			img := image(s.add(data), len(data), "vmdk")
			_, err := cache.Get(t.Context(), img, []string{"raw"})
			require.Equal(t, c.kind, structs.KindOf(err), "%v", err)
			require.Contains(t, err.Error(), c.text)
			require.Empty(t, cache.names(t, partialFolder))
			require.Equal(t, []string{img.SHA512 + ".img"}, cache.names(t, ""), "the bytes stay for the next try")
			require.Zero(t, cache.pending)
		})
	}
}

func TestNoRoomToConvert(t *testing.T) {
	t.Parallel()
	s, data := &source{}, []byte("vmdk bytes")
	c := newCache(t, s, func(cfg *Config) {
		cfg.QemuImg = script(t, `case $1 in info) echo '{"virtual-size": 999999999999}';; *) exit 1;; esac`)
	})
	c.room = func(string) (int64, error) { return 1 << 30, nil }
	_, err := c.Get(t.Context(), image(s.add(data), len(data), "vmdk"), []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindNoCapacity), "%v", err)
	require.Contains(t, err.Error(), "convert image i to raw")
}

// TestDecompressionBomb has an image that is fifty times larger unpacked and more: its room is counted before anything is unpacked.
func TestDecompressionBomb(t *testing.T) {
	t.Parallel()
	tool := qemuImg(t)
	const inside = 32 << 20
	dir := t.TempDir()
	raw, packed := filepath.Join(dir, "raw"), filepath.Join(dir, "packed")
	require.NoError(t, os.WriteFile(raw, bytes.Repeat([]byte("boom"), inside/4), 0o600))
	out, err := exec.Command(tool, "convert", "-c", "-f", "raw", "-O", "qcow2", raw, packed).CombinedOutput()
	require.NoError(t, err, string(out))
	data := read(t, packed)
	require.Less(t, len(data), inside/50)
	s := &source{}
	c := newCache(t, s, func(cfg *Config) { cfg.ReserveBytes = -1 })
	free := int64(inside / 2)
	c.room = func(string) (int64, error) { return free, nil }
	img := image(s.add(data), len(data), "qcow2")
	_, err = c.Get(t.Context(), img, []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindNoCapacity), "%v", err)
	require.Contains(t, err.Error(), "it needs 33 MiB", "of the disk inside and its tables")
	require.Equal(t, []string{img.SHA512 + ".img"}, c.names(t, ""))
	require.Empty(t, c.names(t, partialFolder))
	free = 2 * inside
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	e.Release()
	require.EqualValues(t, inside, e.VirtualSize)
}

func TestNoQemuImg(t *testing.T) {
	t.Parallel()
	s, data := &source{}, []byte("vmdk bytes")
	c := newCache(t, s, func(cfg *Config) { cfg.QemuImg = filepath.Join(t.TempDir(), "none") })
	_, err := c.Get(t.Context(), image(s.add(data), len(data), "vmdk"), []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindNotSupported), "%v", err)
	require.Contains(t, err.Error(), "install it")
}
