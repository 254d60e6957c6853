package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	crashDirEnv = "KILONOVA_BLOB_TEST_CRASH_DIR"
	crashAtEnv  = "KILONOVA_BLOB_TEST_CRASH_AT"
)

// crash is the other process of TestKilledInTheMiddle: it uploads and dies without a word.
func crash(dir, at string) {
	s, err := Open(dir, nil)
	if err != nil {
		os.Exit(3)
	}
	w, err := s.Create()
	if err != nil {
		os.Exit(3)
	}
	if at == "sync" {
		w.f = dyingFile{w.f}
	}
	_, _ = w.Write([]byte("half of an image"))
	if at == "write" {
		die()
	}
	_, _ = w.Commit()
	die()
}

// dyingFile kills the process between the last write and the rename.
type dyingFile struct{ file }

func (dyingFile) Sync() error { die(); return nil }

func die() {
	p, _ := os.FindProcess(os.Getpid())
	_ = p.Kill()
	select {}
}

func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	for at, survives := range map[string]bool{"write": false, "sync": false, "after": true} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashAtEnv+"="+at)
			err := cmd.Run()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.NotEqual(t, 3, exit.ExitCode())
			s, err := Open(dir, nil)
			require.NoError(t, err)
			require.Zero(t, staged(t, s), "what the dead process staged is gone")
			require.Equal(t, survives, s.Has(sha([]byte("half of an image"))))
		})
	}
}

// fullFile is a file on a disk with room for only so many bytes.
type fullFile struct {
	file
	room     int
	syncFull bool
}

func (f *fullFile) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.file.Write(p[:f.room])
		f.room = 0
		return n, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	}
	f.room -= len(p)
	return f.file.Write(p)
}

func (f *fullFile) Sync() error {
	if f.syncFull {
		return syscall.ENOSPC
	}
	return f.file.Sync()
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	for name, full := range map[string]fullFile{"write": {room: 100}, "sync": {room: 1 << 20, syncFull: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.create = func(path string) (file, error) {
				f, err := createFile(path)
				return &fullFile{f, full.room, full.syncFull}, err
			}
			w, err := s.Create()
			require.NoError(t, err)
			_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 1000)))
			_, err = w.Commit()
			require.True(t, structs.IsKind(err, structs.KindNoCapacity), "%v", err)
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.Contains(t, err.Error(), "Image storage media is full")
			require.Zero(t, staged(t, s))
			all, err := s.List()
			require.NoError(t, err)
			require.Empty(t, all)

			data := bytes.Repeat([]byte("y"), 1000)
			err = s.Import(t.Context(), sha(data), 1000, bytes.NewReader(data))
			require.True(t, structs.IsKind(err, structs.KindNoCapacity), "%v", err)
			require.Zero(t, staged(t, s))
		})
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	data := []byte("from another server")
	broken := errors.New("connection reset")
	for _, c := range []struct {
		name string
		sha  string
		size int64
		r    io.Reader
		kind structs.Kind
		ok   bool
	}{
		{name: "whole", sha: sha(data), size: int64(len(data)), r: bytes.NewReader(data), ok: true},
		{name: "size not known", sha: sha(data), size: -1, r: iotest.OneByteReader(bytes.NewReader(data)), ok: true},
		{name: "wrong hash", sha: sha([]byte("other")), size: int64(len(data)), r: bytes.NewReader(data), kind: structs.KindUnavailable},
		{name: "too short", sha: sha(data), size: int64(len(data)) + 1, r: bytes.NewReader(data), kind: structs.KindUnavailable},
		{name: "too long", sha: sha(data), size: int64(len(data)) - 1, r: bytes.NewReader(data), kind: structs.KindUnavailable},
		{name: "broken", sha: sha(data), size: int64(len(data)), r: io.MultiReader(bytes.NewReader(data[:5]), iotest.ErrReader(broken)), kind: structs.KindUnavailable},
		{name: "not a hash", sha: "../x", size: 1, r: bytes.NewReader(data), kind: structs.KindInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			err := s.Import(t.Context(), c.sha, c.size, c.r)
			require.Zero(t, staged(t, s))
			if c.ok {
				require.NoError(t, err)
				require.NoError(t, s.Verify(t.Context(), c.sha, 0))
				require.NoError(t, s.Import(t.Context(), c.sha, c.size, iotest.ErrReader(broken)), "is there: not read")
				return
			}
			require.Equal(t, c.kind, structs.KindOf(err), "%v", err)
			require.False(t, s.Has(c.sha))
		})
	}
}

func TestImportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Import(ctx, sha(nil), 0, bytes.NewReader(nil))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, staged(t, s))
}

func TestVerifyRemovesWhatTheDiskDamaged(t *testing.T) {
	t.Parallel()
	s := open(t)
	name := put(t, s, []byte("good bytes"))
	require.NoError(t, s.Verify(t.Context(), name, 0))
	require.NoError(t, os.WriteFile(s.path(name), []byte("g00d bytes"), 0o600))
	require.True(t, structs.IsKind(s.Verify(t.Context(), name, 0), structs.KindUnavailable))
	require.False(t, s.Has(name))
	require.True(t, structs.IsKind(s.Verify(t.Context(), name, 0), structs.KindNotFound))
}

func TestSingle(t *testing.T) {
	t.Parallel()
	b := Single{Store: open(t), ServerID: "s1"}
	w, err := b.Create(t.Context())
	require.NoError(t, err)
	_, err = w.Write([]byte("data"))
	require.NoError(t, err)
	sums, err := w.Commit()
	require.NoError(t, err)
	who, err := b.Spread(t.Context(), sums.SHA512)
	require.NoError(t, err)
	require.Equal(t, []structs.ServerID{"s1"}, who)
	r, size, err := b.Open(t.Context(), sums.SHA512)
	require.NoError(t, err)
	require.EqualValues(t, 4, size)
	require.NoError(t, r.Close())
	_, err = b.Spread(t.Context(), sha([]byte("none")))
	require.True(t, structs.IsKind(err, structs.KindNotFound))
	_, _, err = b.Open(t.Context(), sha([]byte("none")))
	require.True(t, structs.IsKind(err, structs.KindNotFound))
}
