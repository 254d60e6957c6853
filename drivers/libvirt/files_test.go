package libvirt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestLastLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text  string
		lines int
		want  string
	}{
		{"a\nb\nc\n", 0, "a\nb\nc\n"},
		{"a\nb\nc\n", -1, "a\nb\nc\n"},
		{"a\nb\nc\n", 1, "c\n"},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc\n", 3, "a\nb\nc\n"},
		{"a\nb\nc\n", 9, "a\nb\nc\n"},
		{"a\nlogin: ", 1, "login: "},
		{"", 5, ""},
		{"\n", 1, "\n"},
		{"a\n\n", 1, "\n"},
	} {
		require.Equal(t, test.want, string(lastLines([]byte(test.text), test.lines)), "%q %d", test.text, test.lines)
	}
}

func TestConsoleTailAcrossRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "console.log")
	text, err := consoleTail(path, 0)
	require.NoError(t, err)
	require.Empty(t, text)
	require.NoError(t, os.WriteFile(path, []byte("new\n"), 0o600))
	require.NoError(t, os.WriteFile(path+".0", []byte("old 1\nold 2\n"), 0o600))
	text, err = consoleTail(path, 2)
	require.NoError(t, err)
	require.Equal(t, "old 2\nnew\n", string(text))
}

// The writer keeps the file open and appends; what it writes later follows what was kept.
func TestBoundLog(t *testing.T) {
	t.Parallel()
	const limit = 512 << 10
	for name, dir := range map[string]string{"disk": t.TempDir(), "tmpfs": "/dev/shm"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("kilonova-log-%d-%s", os.Getpid(), name))
		writer, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, errors.Join(writer.Close(), os.Remove(path))) })
		line := func(i int) string { return fmt.Sprintf("line %058d\n", i) }
		for i := range 6000 { // 384 KiB: within the bound
			_, err := writer.WriteString(line(i))
			require.NoError(t, err)
		}
		require.NoError(t, boundLog(path, limit))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.EqualValues(t, 6000*64, info.Size(), name)

		for i := 6000; i < 20000; i++ {
			_, err := writer.WriteString(line(i))
			require.NoError(t, err)
		}
		require.NoError(t, boundLog(path, limit))
		_, err = writer.WriteString(line(20000))
		require.NoError(t, err)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.LessOrEqual(t, len(text), limit, name)
		require.GreaterOrEqual(t, len(text), limit/2, name)
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		for i, got := range lines {
			require.Equal(t, strings.TrimSpace(line(20001-len(lines)+i)), string(got), name)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "instances")
	f := newFolder(dir, testID)
	made, err := f.madeBy()
	require.NoError(t, err)
	require.Empty(t, made)
	for range 2 {
		require.NoError(t, f.prepare(fileOwner{}))
	}
	require.NoError(t, writeFileAtomic(f.operation(), []byte("op"), 0o600))
	made, err = f.madeBy()
	require.NoError(t, err)
	require.Equal(t, "op", made)

	require.True(t, f.startedAt().IsZero())
	require.NoError(t, f.noteStart())
	started := f.startedAt()
	require.WithinDuration(t, time.Now(), started, time.Minute)
	require.NoError(t, f.noteStart())
	require.Equal(t, started, f.startedAt())

	// A removal that a crash cut short is finished by the next process.
	require.NoError(t, os.Rename(f.path(), filepath.Join(dir, trashPrefix+testID)))
	require.NoError(t, f.prepare(fileOwner{}))
	require.NoError(t, emptyTrash(dir))
	require.NoDirExists(t, filepath.Join(dir, trashPrefix+testID))
	for range 2 {
		require.NoError(t, f.remove())
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.NoError(t, emptyTrash(filepath.Join(dir, "nowhere")))
}

// A file that a crash left half made is made anew, one that is there is left alone.
func TestMakeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "disk")
	fails := errors.New("fails")
	require.ErrorIs(t, makeFile(path, fileOwner{}, func(p string) error {
		require.NoError(t, os.WriteFile(p, []byte("half"), 0o600))
		return fails
	}), fails)
	require.NoFileExists(t, path)
	require.NoError(t, makeFile(path, fileOwner{}, func(p string) error {
		require.NoFileExists(t, p)
		return os.WriteFile(p, []byte("whole"), 0o600)
	}))
	require.NoError(t, makeFile(path, fileOwner{}, func(string) error { return fails }))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "whole", string(content))
}

func TestRootBytes(t *testing.T) {
	t.Parallel()
	spec := &driver.InstanceSpec{Image: &driver.Image{ID: "i"}}
	size, err := rootBytes(spec, &imageInfo{VirtualSize: 33 * mib})
	require.NoError(t, err)
	require.Equal(t, 33*mib, size)
	spec.RootGiB = 1
	size, err = rootBytes(spec, &imageInfo{VirtualSize: gib})
	require.NoError(t, err)
	require.Equal(t, gib, size)
	_, err = rootBytes(spec, &imageInfo{VirtualSize: gib + 1})
	require.ErrorIs(t, err, driver.ErrInvalid)
	require.ErrorContains(t, err, "needs 2 GiB")
}

func TestConfigDriveDevice(t *testing.T) {
	t.Parallel()
	iso := make([]byte, 40<<10)
	copy(iso[16*2048:], "\x01CD001")
	for want, content := range map[string][]byte{"cdrom": iso, "disk": make([]byte, 512)} {
		path := filepath.Join(t.TempDir(), "drive")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		got, err := configDriveDevice(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := configDriveDevice("")
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = configDriveDevice("/nowhere")
	require.ErrorIs(t, err, driver.ErrInvalid)
}
