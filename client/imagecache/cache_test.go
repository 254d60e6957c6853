package imagecache

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestGetFetchesOnceForAll(t *testing.T) {
	t.Parallel()
	s, data := &source{gate: make(chan struct{})}, bytes.Repeat([]byte("abc"), 1_000_000)
	c := newCache(t, s, nil)
	img := image(s.add(data), len(data), "raw")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			e, err := c.Get(t.Context(), img, []string{"qcow2", "raw"})
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Release()
			if got, err := os.ReadFile(e.Path); err != nil || !bytes.Equal(got, data) || e.Format != "raw" || e.VirtualSize != int64(len(data)) {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
	close(s.gate)
	wg.Wait()
	require.EqualValues(t, 1, s.fetches.Load())
	require.Empty(t, c.names(t, partialFolder))
	require.Empty(t, c.refs)
	require.Zero(t, c.pending)
}

func TestFakeDriverNeedsNoBytes(t *testing.T) {
	t.Parallel()
	s := &source{}
	c := newCache(t, s, nil)
	e, err := c.Get(t.Context(), Image{ID: "i", VirtualSize: 5}, []string{"none", "raw"})
	require.NoError(t, err)
	require.Equal(t, FormatNone, e.Format)
	require.Empty(t, e.Path)
	require.EqualValues(t, 5, e.VirtualSize)
	e.Release()
	require.Zero(t, s.fetches.Load())
}

func TestBrokenStreamsAreResumed(t *testing.T) {
	t.Parallel()
	s, data := &source{breaks: 3, breakAfter: 1000}, bytes.Repeat([]byte("0123456789"), 1000)
	c := newCache(t, s, nil)
	e, err := c.Get(t.Context(), image(s.add(data), len(data), "raw"), []string{"raw"})
	require.NoError(t, err)
	defer e.Release()
	require.Equal(t, data, read(t, e.Path))
	require.Equal(t, []int64{0, 1000, 2000, 3000}, s.offsets)
}

func TestFruitlessTriesComeToAnEnd(t *testing.T) {
	t.Parallel()
	s, data := &source{breaks: 1000, breakAfter: 0}, []byte("data")
	c := newCache(t, s, func(cfg *Config) { cfg.Attempts = 3 })
	_, err := c.Get(t.Context(), image(s.add(data), len(data), "raw"), []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
	require.Contains(t, err.Error(), "0 of 4 bytes are here, and 3 tries")
	require.EqualValues(t, 3, s.fetches.Load())
}

func TestDamagedOnTheWay(t *testing.T) {
	t.Parallel()
	s, data := &source{damage: 1}, []byte("good data")
	c := newCache(t, s, nil)
	img := image(s.add(data), len(data), "raw")
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err, "a second fetch from the start makes it good")
	require.Equal(t, data, read(t, e.Path))
	e.Release()

	s = &source{damage: 5}
	c = newCache(t, s, nil)
	img.SHA512 = s.add(data)
	_, err = c.Get(t.Context(), img, []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
	require.Contains(t, err.Error(), "arrived damaged")
	require.Empty(t, c.names(t, ""), "nothing damaged is ever visible")
	require.Empty(t, c.names(t, partialFolder))
}

func TestWrongSizeAtTheSource(t *testing.T) {
	t.Parallel()
	s := &source{}
	c := newCache(t, s, nil)
	_, err := c.Get(t.Context(), image(s.add([]byte("four")), 5, "raw"), []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
	require.Contains(t, err.Error(), "4 bytes where it comes from and should have 5")
}

func TestCrashLeftovers(t *testing.T) {
	t.Parallel()
	s, data := &source{}, bytes.Repeat([]byte("xyz"), 10_000)
	sum, other := s.add(data), s.add([]byte("other data"))
	dir := t.TempDir()
	partial := filepath.Join(dir, partialFolder)
	require.NoError(t, os.MkdirAll(partial, 0o700))
	for name, content := range map[string][]byte{sum + ".part": data[:12_000], other + ".part": []byte("OTHER da"), sum + ".qcow2.tmp": []byte("half"), "junk": nil} {
		require.NoError(t, os.WriteFile(filepath.Join(partial, name), content, 0o600))
	}
	c := newCache(t, s, func(cfg *Config) { cfg.Dir = dir })
	require.ElementsMatch(t, []string{sum + ".part", other + ".part"}, c.names(t, partialFolder))
	e, err := c.Get(t.Context(), image(sum, len(data), "raw"), []string{"raw"})
	require.NoError(t, err)
	require.Equal(t, data, read(t, e.Path))
	e.Release()
	require.Equal(t, []int64{12_000}, s.offsets, "the part was continued")

	e, err = c.Get(t.Context(), image(other, 10, "raw"), []string{"raw"})
	require.NoError(t, err)
	require.Equal(t, "other data", string(read(t, e.Path)))
	e.Release()
	require.Equal(t, []int64{12_000, 8, 0}, s.offsets, "a part that the crash damaged is fetched anew")

	again := newCache(t, &source{}, func(cfg *Config) { cfg.Dir = dir })
	e, err = again.Get(t.Context(), image(sum, len(data), "raw"), []string{"raw"})
	require.NoError(t, err, "what is cached needs no source after a restart")
	e.Release()
}

func TestATruncatedFileIsFetchedAgain(t *testing.T) {
	t.Parallel()
	s, data := &source{}, []byte("whole image")
	c := newCache(t, s, nil)
	img := image(s.add(data), len(data), "raw")
	require.NoError(t, os.WriteFile(c.originPath(img.SHA512), data[:3], 0o600))
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	defer e.Release()
	require.Equal(t, data, read(t, e.Path))
}

func TestOneWaiterLeavesAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	s, data := &source{gate: make(chan struct{})}, []byte("data")
	c := newCache(t, s, nil)
	img := image(s.add(data), len(data), "raw")
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	get := func(ctx context.Context, done chan error) {
		e, err := c.Get(ctx, img, []string{"raw"})
		if err == nil {
			e.Release()
		}
		done <- err
	}
	go get(ctx, first)
	require.Eventually(t, func() bool { return s.fetches.Load() == 1 }, 5*time.Second, time.Millisecond)
	go get(t.Context(), second)
	require.Eventually(t, func() bool {
		c.flights.mu.Lock()
		defer c.flights.mu.Unlock()
		f := c.flights.flights[c.originPath(img.SHA512)]
		return f != nil && f.waiters == 2
	}, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	close(s.gate)
	require.NoError(t, <-second)
	require.EqualValues(t, 1, s.fetches.Load())
}

func TestAGetAfterAllHaveLeft(t *testing.T) {
	t.Parallel()
	s, data := &source{gate: make(chan struct{})}, []byte("data")
	c := newCache(t, s, nil)
	img := image(s.add(data), len(data), "raw")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := c.Get(ctx, img, []string{"raw"}); done <- err }()
	require.Eventually(t, func() bool { return s.fetches.Load() == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	close(s.gate)
	e, err := c.Get(t.Context(), img, []string{"raw"})
	require.NoError(t, err)
	e.Release()
}

func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := &source{}
	c := newCache(t, s, func(cfg *Config) { cfg.ReserveBytes = 10 << 20 })
	c.room = func(string) (int64, error) { return 15 << 20, nil }
	img := image(s.add([]byte("x")), 6<<20, "raw")
	_, err := c.Get(t.Context(), img, []string{"raw"})
	require.True(t, structs.IsKind(err, structs.KindNoCapacity), "%v", err)
	require.Contains(t, err.Error(), "it needs 6 MiB")
	require.Contains(t, err.Error(), "has 15 MiB free")
	require.Zero(t, s.fetches.Load())
	require.Zero(t, c.pending)
}

func TestUnusedImagesMakeRoom(t *testing.T) {
	t.Parallel()
	s := &source{}
	c := newCache(t, s, func(cfg *Config) { cfg.ReserveBytes = -1 })
	const size = 1 << 20
	c.room = func(string) (int64, error) {
		_, total, err := c.files()
		return 5*size - total, err
	}
	sums, paths := map[string]string{}, map[string]string{}
	get := func(name string) error {
		data := bytes.Repeat([]byte(name[:1]), size)
		sums[name] = s.add(data)
		e, err := c.Get(t.Context(), image(sums[name], size, "raw"), []string{"raw"})
		if err == nil {
			paths[name] = e.Path
			e.Release()
		}
		return err
	}
	for i, name := range []string{"oldest", "inuse", "middle", "later", "young"} {
		require.NoError(t, get(name))
		if name != "young" {
			at := time.Now().Add(-time.Hour + time.Duration(i)*time.Minute)
			require.NoError(t, os.Chtimes(paths[name], at, at))
		}
	}
	require.True(t, structs.IsKind(get("another"), structs.KindNoCapacity), "nobody has said what is in use")
	_, err := c.Prune(map[string]bool{sums["inuse"]: true}, 1<<40, 24*time.Hour)
	require.NoError(t, err)
	require.NoError(t, get("another"))
	require.NoFileExists(t, paths["oldest"])
	for _, name := range []string{"inuse", "middle", "later", "young"} {
		require.FileExists(t, paths[name], "no more goes than has to")
	}
	held, err := c.Get(t.Context(), image(sums["middle"], size, "raw"), []string{"raw"})
	require.NoError(t, err)
	t.Cleanup(held.Release)
	require.NoError(t, get("further"))
	require.NoFileExists(t, paths["later"])
	require.True(t, structs.IsKind(get("surplus"), structs.KindNoCapacity))
	for _, name := range []string{"inuse", "middle", "young", "another", "further"} {
		require.FileExists(t, paths[name], "used, held, or used since Prune was told what is in use")
	}
	require.Zero(t, c.pending)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := &source{}
	backed := append([]byte("QFI\xfb\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x50\x00\x00\x00\x04"), make([]byte, 100)...)
	outside := append([]byte("QFI\xfb\x00\x00\x00\x03"), make([]byte, 100)...)
	outside[79] = 4
	c := newCache(t, s, nil)
	for name, r := range map[string]struct {
		img  Image
		want []string
		kind structs.Kind
		text string
	}{
		"not active":  {Image{ID: "i", DiskFormat: "raw"}, []string{"raw"}, structs.KindInvalid, "Wait until it is active"},
		"path":        {image("../"+strings.Repeat("a", 125), 1, "raw"), []string{"raw"}, structs.KindInvalid, "no data"},
		"no format":   {image(s.add(nil), 0, "qcow2"), []string{"rbd"}, structs.KindNotSupported, "(rbd)"},
		"unknown":     {image(s.add(nil), 0, "exotic"), []string{"raw"}, structs.KindNotSupported, `"exotic"`},
		"backed":      {image(s.add(backed), len(backed), "qcow2"), []string{"qcow2"}, structs.KindInvalid, "backing file"},
		"outside":     {image(s.add(outside), len(outside), "qcow2"), []string{"raw"}, structs.KindInvalid, "external file"},
		"not fetched": {image(strings.Repeat("0", 128), 1, "raw"), []string{"raw"}, structs.KindUnavailable, "no such blob"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Get(t.Context(), r.img, r.want)
			require.Equal(t, r.kind, structs.KindOf(err), "%v", err)
			require.Contains(t, err.Error(), r.text)
		})
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have    string
		want    []string
		format  string
		convert bool
	}{
		{"qcow2", []string{"qcow2", "raw"}, "qcow2", false},
		{"raw", []string{"qcow2", "raw"}, "raw", false},
		{"iso", []string{"qcow2", "raw"}, "raw", false},
		{"iso", []string{"raw", "iso"}, "iso", false},
		{"ami", []string{"raw"}, "raw", false},
		{"vmdk", []string{"qcow2", "raw"}, "qcow2", true},
		{"qcow2", []string{"rbd", "raw"}, "raw", true},
		{"qcow2", []string{"vhdx"}, "vhdx", true},
	} {
		format, convert, err := choose(c.have, c.want)
		require.NoError(t, err)
		require.Equal(t, c.format, format, "%+v", c)
		require.Equal(t, c.convert, convert, "%+v", c)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	s := &source{}
	c := newCache(t, s, nil)
	sums := map[string]string{}
	for i, name := range []string{"oldest", "inuse", "old", "young", "held"} {
		data := bytes.Repeat([]byte(name), 10_000)
		sums[name] = s.add(data)
		e, err := c.Get(t.Context(), image(sums[name], len(data), "raw"), []string{"raw"})
		require.NoError(t, err)
		e.Release()
		if name == "held" {
			held, err := c.Get(t.Context(), image(sums[name], len(data), "raw"), []string{"raw"})
			require.NoError(t, err)
			t.Cleanup(held.Release)
		}
		if name != "young" {
			at := time.Now().Add(-time.Hour - time.Duration(10-i)*time.Minute)
			require.NoError(t, os.Chtimes(e.Path, at, at))
		}
	}
	stale := filepath.Join(c.cfg.Dir, partialFolder, strings.Repeat("a", 128)+".part")
	require.NoError(t, os.WriteFile(stale, []byte("part"), 0o600))
	at := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(stale, at, at))

	inUse := map[string]bool{sums["inuse"]: true}
	removed, err := c.Prune(inUse, 1<<40, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Base(stale)}, removed, "there is room: only the stale part goes")
	_, total, err := c.files()
	require.NoError(t, err)
	removed, err = c.Prune(inUse, total-1, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{sums["oldest"] + ".img"}, removed, "the longest unused first, and no more than needed")
	removed, err = c.Prune(inUse, 0, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{sums["old"] + ".img"}, removed)
	require.ElementsMatch(t, []string{sums["inuse"] + ".img", sums["young"] + ".img", sums["held"] + ".img"}, c.names(t, ""))
}

func TestNewNeedsAFetch(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Dir: t.TempDir()})
	require.ErrorContains(t, err, "Config.Fetch")
}
