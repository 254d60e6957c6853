package blob

import (
	"bytes"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), hclog.NewNullLogger())
	require.NoError(t, err)
	return s
}

func put(t *testing.T, s *Store, data []byte) string {
	t.Helper()
	w, err := s.Create()
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	sums, err := w.Commit()
	require.NoError(t, err)
	return sums.SHA512
}

func sha(data []byte) string {
	h := sha512.Sum512(data)
	return hex.EncodeToString(h[:])
}

// staged returns how many files lie in staging.
func staged(t *testing.T, s *Store) int {
	t.Helper()
	e, err := os.ReadDir(filepath.Join(s.dir, stagingFolder))
	require.NoError(t, err)
	return len(e)
}

func age(t *testing.T, s *Store, sha string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	require.NoError(t, os.Chtimes(s.path(sha), at, at))
}

func TestCommitMakesTheBlobReadable(t *testing.T) {
	t.Parallel()
	s, data := open(t), []byte("the bytes of an image")
	w, err := s.Create()
	require.NoError(t, err)
	for _, part := range [][]byte{data[:4], data[4:]} {
		_, err = w.Write(part)
		require.NoError(t, err)
	}
	seen, err := os.ReadFile(w.Path())
	require.NoError(t, err)
	require.Equal(t, data, seen, "everything written is in the staging file")
	sums, err := w.Commit()
	require.NoError(t, err)
	h5, h512 := md5.Sum(data), sha512.Sum512(data)
	require.EqualValues(t, len(data), sums.Size)
	require.Equal(t, sha(data), sums.SHA512)
	require.Equal(t, hex.EncodeToString(h512[:]), sums.SHA512)
	require.Equal(t, hex.EncodeToString(h5[:]), sums.MD5)
	again, err := w.Commit()
	require.NoError(t, err)
	require.Equal(t, sums, again)
	w.Abort()
	require.True(t, s.Has(sums.SHA512))
	require.FileExists(t, filepath.Join(s.dir, "sha512", sums.SHA512[:2], sums.SHA512[2:]))
	require.Zero(t, staged(t, s))

	f, size, err := s.Open(sums.SHA512)
	require.NoError(t, err)
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.EqualValues(t, len(data), size)
	require.Equal(t, data, got)
}

func TestUnknownAndMalformedNames(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, name := range []string{sha(nil), "", "../../etc/passwd", "ABCDEF", sha(nil)[:63] + "/", sha(nil) + "0"} {
		_, _, err := s.Open(name)
		require.True(t, structs.IsKind(err, structs.KindNotFound), name)
		require.False(t, s.Has(name))
		require.NoError(t, s.Delete(name))
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	w, err := s.Create()
	require.NoError(t, err)
	_, err = w.Write([]byte("x"))
	require.NoError(t, err)
	w.Abort()
	w.Abort()
	require.Zero(t, staged(t, s))
	_, err = w.Write([]byte("x"))
	require.Error(t, err)
	_, err = w.Commit()
	require.Error(t, err)
	require.False(t, s.Has(sha([]byte("x"))))
}

func TestListAndDelete(t *testing.T) {
	t.Parallel()
	s := open(t)
	want := map[string]int64{}
	for _, d := range []string{"", "one", "two and more"} {
		want[put(t, s, []byte(d))] = int64(len(d))
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, blobFolder, "stray"), nil, 0o600))
	all, err := s.List()
	require.NoError(t, err)
	got := map[string]int64{}
	for i, b := range all {
		got[b.SHA512] = b.Size
		require.WithinDuration(t, time.Now(), b.UsedAt, time.Minute)
		require.True(t, i == 0 || all[i-1].SHA512 < b.SHA512, "sorted")
	}
	require.Equal(t, want, got)
	for name := range want {
		require.NoError(t, s.Delete(name))
		require.False(t, s.Has(name))
	}
}

func TestConcurrentIdenticalUploads(t *testing.T) {
	t.Parallel()
	s, data := open(t), bytes.Repeat([]byte("same "), 100_000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			w, err := s.Create()
			if err == nil {
				_, err = io.Copy(w, bytes.NewReader(data))
			}
			if err == nil {
				_, err = w.Commit()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := s.List()
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Zero(t, staged(t, s))
	require.NoError(t, s.Verify(t.Context(), sha(data), 0))
}

func TestGarbageCollect(t *testing.T) {
	t.Parallel()
	s := open(t)
	kept, young, old := put(t, s, []byte("kept")), put(t, s, []byte("young")), put(t, s, []byte("old"))
	age(t, s, kept, time.Hour)
	age(t, s, old, time.Hour)
	removed, err := s.GarbageCollect(func(sha string) bool { return sha == kept }, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{old}, removed)
	require.True(t, s.Has(kept))
	require.True(t, s.Has(young))
}

func TestUploadAgainProtectsFromCollection(t *testing.T) {
	t.Parallel()
	s, data := open(t), []byte("again")
	name := put(t, s, data)
	age(t, s, name, time.Hour)
	removed, err := s.GarbageCollect(func(string) bool {
		put(t, s, data) // between the judgement and the removal
		return false
	}, time.Minute)
	require.NoError(t, err)
	require.Empty(t, removed)
	require.True(t, s.Has(name))
}

func TestCommitReplacesATruncatedBlob(t *testing.T) {
	t.Parallel()
	s, data := open(t), []byte("whole")
	name := put(t, s, data)
	require.NoError(t, os.Truncate(s.path(name), 2))
	put(t, s, data)
	require.NoError(t, s.Verify(t.Context(), name, 0))
}

func TestOpenFailsWhereNoFolderCanBe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(path, nil)
	require.Error(t, err)
}
