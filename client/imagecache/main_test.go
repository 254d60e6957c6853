package imagecache

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source serves images' bytes and can misbehave.
type source struct {
	mu      sync.Mutex
	blobs   map[string][]byte
	offsets []int64 // that were asked for
	fetches atomic.Int64
	// breakAfter ends each of the first streams after so many bytes.
	breaks     int
	breakAfter int
	// damage flips a byte in each of the first streams.
	damage int
	gate   chan struct{} // when set, a stream waits for it
}

func (s *source) add(data []byte) string {
	h := sha512.Sum512(data)
	sum := hex.EncodeToString(h[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs == nil {
		s.blobs = map[string][]byte{}
	}
	s.blobs[sum] = data
	return sum
}

func (s *source) fetch(_ context.Context, ask Ask) (*Stream, error) {
	sum, offset := ask.SHA512, ask.Offset
	s.fetches.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offsets = append(s.offsets, offset)
	data, ok := s.blobs[sum]
	if !ok {
		return nil, structs.Errorf(structs.KindNotFound, "no such blob")
	}
	size := int64(len(data))
	rest := data[offset:]
	if s.damage > 0 {
		s.damage--
		rest = bytes.Clone(rest)
		rest[len(rest)-1] ^= 1
	}
	var r io.Reader = bytes.NewReader(rest)
	if s.breaks > 0 {
		s.breaks--
		r = io.MultiReader(io.LimitReader(r, int64(s.breakAfter)), broken{})
	}
	return &Stream{ReadCloser: &stream{r, s.gate, make(chan struct{}), sync.Once{}}, Size: size}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

type stream struct {
	io.Reader
	gate   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (s *stream) Read(p []byte) (int, error) {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-s.closed:
			return 0, os.ErrClosed
		}
	}
	return s.Reader.Read(p)
}

func (s *stream) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

func newCache(t *testing.T, s *source, change func(*Config)) *Cache {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Fetch: s.fetch, Backoff: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	require.NoError(t, err)
	return c
}

func image(sum string, size int, format string) Image {
	return Image{ID: "i", SHA512: sum, Size: int64(size), DiskFormat: format}
}

func (c *Cache) names(t *testing.T, folder string) []string {
	t.Helper()
	e, err := os.ReadDir(filepath.Join(c.cfg.Dir, folder))
	require.NoError(t, err)
	var out []string
	for _, f := range e {
		if !f.IsDir() {
			out = append(out, f.Name())
		}
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}
