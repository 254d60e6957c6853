package blob

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// damage changes one byte of a blob on the disk.
func damage(t *testing.T, s *Store, sha string, at int64) {
	t.Helper()
	f, err := os.OpenFile(s.path(sha), os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

// Whole bytes are read in every way that there is; of damaged ones the last are never given, and the blob goes.
func TestChecked(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	for name, read := range map[string]func(io.Reader) ([]byte, error){
		"all":   io.ReadAll,
		"bytes": func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) },
		"exactly": func(r io.Reader) ([]byte, error) {
			b := make([]byte, len(data))
			n, err := io.ReadFull(r, b)
			return b[:n], err
		},
		"and beyond": func(r io.Reader) ([]byte, error) {
			b := make([]byte, len(data)+1)
			n, err := r.Read(b)
			return b[:n], err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			sha := put(t, s, data)
			c, size, err := s.OpenChecked(sha)
			require.NoError(t, err)
			require.EqualValues(t, len(data), size)
			got, err := read(c)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			require.NoError(t, c.Close())

			damage(t, s, sha, 5)
			c, _, err = s.OpenChecked(sha)
			require.NoError(t, err)
			got, err = read(c)
			require.ErrorContains(t, err, "damaged")
			require.Equal(t, structs.KindUnavailable, structs.KindOf(err))
			require.Less(t, len(got), len(data))
			require.NoError(t, c.Close())
			require.False(t, s.Has(sha))
		})
	}
}

// A part that is read for itself is not checked; what is read again from the start is.
func TestCheckedParts(t *testing.T) {
	t.Parallel()
	s, data := open(t), []byte("0123456789")
	sha := put(t, s, data)
	damage(t, s, sha, 0)
	c, _, err := s.OpenChecked(sha)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	_, err = c.Seek(5, io.SeekStart)
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "56789", string(got))
	part := make([]byte, 3)
	_, err = c.ReadAt(part, 2)
	require.NoError(t, err)
	require.Equal(t, "234", string(part))
	require.True(t, s.Has(sha))
	_, err = c.Seek(0, io.SeekStart)
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.ErrorContains(t, err, "damaged")
	require.False(t, s.Has(sha))
}

func TestEmptyChecked(t *testing.T) {
	t.Parallel()
	s := open(t)
	c, _, err := s.OpenChecked(put(t, s, nil))
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Empty(t, got)
	require.NoError(t, c.Close())
	sha := put(t, s, []byte("x"))
	require.NoError(t, os.Truncate(s.path(sha), 0))
	c, _, err = s.OpenChecked(sha)
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.ErrorContains(t, err, "damaged")
	require.NoError(t, c.Close())
}

// Looking through the store takes no more of the disk than it is told to.
func TestPace(t *testing.T) {
	t.Parallel()
	require.Equal(t, 250*time.Millisecond, ahead(1<<20, 4<<20, 0))
	require.Equal(t, 150*time.Millisecond, ahead(1<<20, 4<<20, 100*time.Millisecond))
	require.Negative(t, ahead(1<<20, 4<<20, time.Second))
	s := open(t)
	sha := put(t, s, make([]byte, 1<<20))
	require.NoError(t, s.Verify(t.Context(), sha, 1<<30))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	require.ErrorIs(t, s.Verify(ctx, sha, 1), context.Canceled, "it would take days")
	require.True(t, s.Has(sha))
}

// What lies beside a blob only saves work: when it is wrong, torn or not there the blob itself says what is right, and it is put right.
func TestCRC(t *testing.T) {
	t.Parallel()
	s, data := open(t), []byte("0123456789")
	sha := put(t, s, data)
	beside := s.path(sha) + crcSuffix
	right, err := os.ReadFile(beside)
	require.NoError(t, err)
	require.Equal(t, "280c069e", string(right), "CRC-32C of 0123456789")
	for name, wrong := range map[string]string{"wrong": "00000000", "torn": "280c", "no number": "xxxxxxxx", "none": ""} {
		require.NoError(t, os.Remove(beside))
		if wrong != "" {
			require.NoError(t, os.WriteFile(beside, []byte(wrong), 0o600))
		}
		c, _, err := s.OpenChecked(sha)
		require.NoError(t, err)
		got, err := io.ReadAll(c)
		require.NoError(t, err, name)
		require.Equal(t, data, got)
		require.NoError(t, c.Close())
		now, err := os.ReadFile(beside)
		require.NoError(t, err, name)
		require.Equal(t, right, now, name)
	}
	all, err := s.List()
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Zero(t, staged(t, s))
	require.NoError(t, s.Delete(sha))
	require.NoFileExists(t, beside)
}
