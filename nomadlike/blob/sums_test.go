package blob

import (
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// However the bytes come, their sums are theirs, and who brought them may use their memory for others at once.
func TestSums(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var all []byte
		s, buf := newSums(), make([]byte, 3*pieceSize)
		for range rnd.IntN(20) {
			p := buf[:rnd.IntN(len(buf))]
			if rnd.IntN(2) == 0 {
				p = buf[:rnd.IntN(100)]
			}
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
			all = append(all, p...)
			s.write(p)
			clear(p)
		}
		s.finish()
		s.finish()
		want512, want5 := sha512.Sum512(all), md5.Sum(all)
		require.Equal(t, hex.EncodeToString(want512[:]), hexSum(s.sha512), "%d bytes", len(all))
		require.Equal(t, hex.EncodeToString(want5[:]), hexSum(s.md5))
		require.LessOrEqual(t, s.made, inFlight)
	}
}

// failsOnce is a file whose n-th Sync fails, as the system tells of a disk's error: once.
type failsOnce struct {
	file
	left atomic.Int32
}

func (f *failsOnce) Sync() error {
	if f.left.Add(-1) == 0 {
		return errors.New("input/output error")
	}
	return f.file.Sync()
}

// An error that a Sync in the middle was told of is not forgotten because the last one went well.
func TestSyncBehind(t *testing.T) {
	t.Parallel()
	for n := range int32(6) {
		s := open(t)
		s.syncEvery = 10
		s.create = func(path string) (file, error) {
			f, err := createFile(path)
			fails := &failsOnce{file: f}
			fails.left.Store(n)
			return fails, err
		}
		w, err := s.Create()
		require.NoError(t, err)
		for range 4 {
			if _, err = w.Write([]byte("0123456789")); err != nil {
				break
			}
		}
		sums, cerr := w.Commit()
		w.Abort()
		if n == 0 { // none fails
			require.NoError(t, errors.Join(err, cerr))
			require.True(t, s.Has(sums.SHA512))
			continue
		}
		require.Error(t, cerr, "Sync number %d failed", n)
		all, err := s.List()
		require.NoError(t, err)
		require.Empty(t, all)
		require.Zero(t, staged(t, s))
	}
}

// Who gives up in the middle leaves neither a file nor anybody who works.
func TestAbortWhileSyncing(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.syncEvery = 1
	w, err := s.Create()
	require.NoError(t, err)
	for range 100 {
		_, err := w.Write(make([]byte, pieceSize+1))
		require.NoError(t, err)
	}
	w.Abort()
	require.Zero(t, staged(t, s))
	require.NoFileExists(t, w.Path())
	_, err = w.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrClosed)
}
