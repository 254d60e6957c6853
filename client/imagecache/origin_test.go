package imagecache

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// scripted is a source of which each stream is made by the next step; asks are what was asked, complete.
type scripted struct {
	asks  []Ask
	steps []func(ask Ask) (*Stream, error)
}

func (s *scripted) fetch(_ context.Context, ask Ask) (*Stream, error) {
	step := s.steps[min(len(s.asks), len(s.steps)-1)]
	s.asks = append(s.asks, ask)
	return step(ask)
}

// gives sends data in the name of from.
func gives(from string, data []byte) func(Ask) (*Stream, error) {
	return func(a Ask) (*Stream, error) {
		return &Stream{ReadCloser: io.NopCloser(bytes.NewReader(data[a.Offset:])), Size: int64(len(data)), From: from}, nil
	}
}

// breaksAfter sends the first n bytes of data and then fails.
func breaksAfter(from string, data []byte, n int64) func(Ask) (*Stream, error) {
	return func(a Ask) (*Stream, error) {
		r := io.MultiReader(bytes.NewReader(data[a.Offset:n]), broken{})
		return &Stream{ReadCloser: io.NopCloser(r), Size: int64(len(data)), From: from}, nil
	}
}

func TestAnOriginalThatIsReadIsNotPruned(t *testing.T) {
	t.Parallel()
	s, data := &source{}, bytes.Repeat([]byte("0123456789"), 1000)
	var told []string
	c := newCache(t, s, func(cfg *Config) { cfg.Fetched = func(sha string) { told = append(told, sha) } })
	img := image(s.add(data), len(data), "raw")
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	e.Release()
	require.Equal(t, []string{img.SHA512}, told)
	old := func() {
		at := time.Now().Add(-time.Hour)
		require.NoError(t, os.Chtimes(e.Path, at, at))
	}
	old()
	r, size, err := c.OpenOrigin(img.SHA512)
	require.NoError(t, err)
	require.EqualValues(t, len(data), size)
	st, err := os.Stat(e.Path)
	require.NoError(t, err)
	require.Less(t, time.Since(st.ModTime()), 30*time.Minute, "reading is use")
	old()
	removed, err := c.Prune(nil, 0, time.Minute)
	require.NoError(t, err)
	require.Empty(t, removed)
	require.FileExists(t, e.Path)
	_, err = r.Seek(5000, io.SeekStart)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, data[5000:], got)
	require.NoError(t, r.Close())
	require.Error(t, r.Close(), "once more changes nothing")
	require.Empty(t, c.refs)
	old()
	removed, err = c.Prune(nil, 0, time.Minute)
	require.NoError(t, err)
	require.Len(t, removed, 1)
	_, _, err = c.OpenOrigin(img.SHA512)
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

func TestWhatIsNoOriginalIsNotOffered(t *testing.T) {
	t.Parallel()
	c := newCache(t, &source{}, nil)
	part := strings.Repeat("a", 128)
	require.NoError(t, os.WriteFile(c.partPath(part), []byte("part"), 0o600))
	for _, sha := range []string{part, strings.Repeat("b", 128), "", "../" + strings.Repeat("a", 125)} {
		_, _, err := c.OpenOrigin(sha)
		require.True(t, structs.IsKind(err, structs.KindNotFound), "%q %v", sha, err)
	}
}

func TestAConvertedImageIsNotOffered(t *testing.T) {
	t.Parallel()
	_, other := made(t, "qcow2")
	s := &source{}
	c := newCache(t, s, func(cfg *Config) { cfg.Fetched = func(string) { t.Error("told of an original that does not stay") } })
	img := image(s.add(other), len(other), "qcow2")
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	e.Release()
	_, _, err = c.OpenOrigin(img.SHA512)
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

func TestABusySourceIsAskedUntilItHasTime(t *testing.T) {
	t.Parallel()
	data := []byte("data")
	s := &scripted{}
	for range 20 {
		s.steps = append(s.steps, func(Ask) (*Stream, error) { return nil, ErrBusy })
	}
	s.steps = append(s.steps, gives("", data))
	c := newCache(t, &source{}, func(cfg *Config) { cfg.Fetch, cfg.Attempts, cfg.Backoff = s.fetch, 2, 10*time.Microsecond })
	e, err := c.Get(t.Context(), image((&source{}).add(data), len(data), "raw"), []string{"raw"})
	require.NoError(t, err)
	e.Release()
	require.Len(t, s.asks, 21)
}

func TestWaitingForABusySourceEndsWithTheGet(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := newCache(t, &source{}, func(cfg *Config) {
		cfg.Backoff = time.Hour
		cfg.Fetch = func(context.Context, Ask) (*Stream, error) { cancel(); return nil, ErrBusy }
	})
	img := image((&source{}).add([]byte("x")), 1, "raw")
	_, err := c.Get(ctx, img, []string{"raw"})
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return !c.flights.active(c.originPath(img.SHA512)) }, 5*time.Second, time.Millisecond)
	require.Zero(t, c.pending)
}

// What another host began is gone on with from elsewhere, and that host is not asked again.
func TestASourceThatBrokeOffIsAvoided(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 100)
	s := &scripted{steps: []func(Ask) (*Stream, error){breaksAfter("a", data, 300), breaksAfter("", data, 500), breaksAfter("b", data, 700), gives("", data)}}
	c := newCache(t, &source{}, func(cfg *Config) { cfg.Fetch = s.fetch })
	img := image((&source{}).add(data), len(data), "raw")
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	require.Equal(t, data, read(t, e.Path))
	e.Release()
	ask := func(offset int64, avoid ...string) Ask {
		return Ask{SHA512: img.SHA512, Size: img.Size, Offset: offset, Avoid: avoid}
	}
	require.Equal(t, []Ask{ask(0), ask(300, "a"), ask(500, "a"), ask(700, "a", "b")}, s.asks)
}

// Bytes that are not the image's never get its name; the second time they come from where they can be relied on.
func TestWrongBytesFromAHost(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 100)
	wrong := bytes.Clone(data)
	wrong[400] ^= 1
	var c *Cache
	s := &scripted{}
	s.steps = []func(Ask) (*Stream, error){breaksAfter("", data, 300), gives("bad", wrong), func(a Ask) (*Stream, error) {
		if names := c.names(t, ""); len(names) > 0 {
			t.Errorf("there is %v", names)
		}
		return gives("", data)(a)
	}}
	told := 0
	c = newCache(t, &source{}, func(cfg *Config) { cfg.Fetch, cfg.Fetched = s.fetch, func(string) { told++ } })
	img := image((&source{}).add(data), len(data), "raw")
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	require.Equal(t, data, read(t, e.Path))
	e.Release()
	require.Equal(t, Ask{SHA512: img.SHA512, Size: img.Size, Avoid: []string{"bad"}, Sure: true}, s.asks[2])
	require.Len(t, s.asks, 3)
	require.Equal(t, 1, told)
}

// A stream that is open and brings nothing is given up.
func TestAStreamThatStandsStill(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("0123456789"), 100)
	still := func(a Ask) (*Stream, error) {
		stands := &stream{bytes.NewReader(nil), make(chan struct{}), make(chan struct{}), sync.Once{}}
		return &Stream{ReadCloser: struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(data[:300]), stands), stands}, Size: a.Size, From: "a"}, nil
	}
	s := &scripted{steps: []func(Ask) (*Stream, error){still, gives("", data)}}
	c := newCache(t, &source{}, func(cfg *Config) { cfg.Fetch, cfg.Stall = s.fetch, 10*time.Millisecond })
	e, err := c.Get(t.Context(), image((&source{}).add(data), len(data), "raw"), []string{"raw"})
	require.NoError(t, err)
	require.Equal(t, data, read(t, e.Path))
	e.Release()
	require.Equal(t, []string{"a"}, s.asks[1].Avoid)
	require.EqualValues(t, 300, s.asks[1].Offset)
}
