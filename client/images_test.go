package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/client/imagecache"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blobstream"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// farStore is a store of images that is not the servers'.
type farStore struct {
	mu      sync.Mutex
	blobs   map[string][]byte
	endless bool // what is opened from now on gives bytes for ever
	breaks  int  // so many of the streams that are opened from now on break off in the middle
}

func (s *farStore) open(_ context.Context, i *structs.Image) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := s.blobs[i.SHA512]
	switch {
	case s.endless:
		return io.NopCloser(zeros{}), i.Size, nil
	case s.breaks > 0:
		s.breaks--
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:len(data)/2]), failing{})), i.Size, nil
	}
	return io.NopCloser(bytes.NewReader(data)), i.Size, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failing struct{}

func (failing) Read([]byte) (int, error) {
	return 0, structs.Errorf(structs.KindUnavailable, "the store broke off")
}

// farImage makes an image of n random bytes that lies in another store than the server's.
func (w *world) farImage(n int) (*structs.Image, []byte) {
	data := make([]byte, n)
	_, _ = rand.Read(data)
	h := sha512.Sum512(data)
	img := structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Status: structs.ImageActive, DiskFormat: "raw", ContainerFormat: "bare", Size: int64(n), SHA512: hex.EncodeToString(h[:]), Stores: []string{"far"}}
	_, err := fsm.ImageCreate.Propose(w.t.Context(), w.srv, &structs.ImageCreateRequest{Image: img})
	require.NoError(w.t, err)
	w.far.mu.Lock()
	defer w.far.mu.Unlock()
	if w.far.blobs == nil {
		w.far.blobs = map[string][]byte{}
	}
	w.far.blobs[img.SHA512] = data
	return &img, data
}

// sent is how many bytes of images the server has sent to hosts.
func (w *world) sent() int64 {
	r := prometheus.NewPedanticRegistry()
	require.NoError(w.t, r.Register(w.srv.Collector()))
	all, err := r.Gather()
	require.NoError(w.t, err)
	for _, f := range all {
		if f.GetName() == "kilonova_image_sent_bytes_total" {
			return int64(f.Metric[0].Counter.GetValue())
		}
	}
	w.t.Fatal("no metric")
	return 0
}

// sendsToOthers has the server send the image to two hosts until the test ends, slowly and without end.
func (w *world) sendsToOthers(img *structs.Image) {
	w.far.mu.Lock()
	w.far.endless = true
	w.far.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	pool := rpc.NewPool(nil)
	for range 2 {
		r, err := blobstream.Open(ctx, pool, w.addr, "Blob.Read", &structs.BlobRequest{SHA512: img.SHA512, Host: true})
		require.NoError(w.t, err)
		wg.Go(func() {
			defer r.Close()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for buf := make([]byte, 64<<10); ctx.Err() == nil; <-tick.C {
				_, _ = io.ReadFull(r, buf)
			}
		})
	}
	w.t.Cleanup(func() { cancel(); wg.Wait(); pool.Close() })
	w.far.mu.Lock()
	w.far.endless = false
	w.far.mu.Unlock()
}

// imageHost is a host with an image cache, as an agent has it.
type imageHost struct {
	*agent
	cache *imagecache.Cache

	mu   sync.Mutex
	asks []imagecache.Ask
	from []string // of each stream that was opened
}

// imageHost starts a host. over is where others reach it; nil is its own port. open, when not nil, stands in for the cache when others read.
func (w *world) imageHost(name string, over func(addr string) string, open func(c *imagecache.Cache, sha string) (io.ReadSeekCloser, int64, error)) *imageHost {
	t := w.t
	a := w.newAgent(w.wire, newNode(t, name))
	if over != nil {
		a.c.cfg.Advertise = over(a.c.cfg.Advertise)
	}
	h := &imageHost{agent: a}
	fetcher := &ImageFetcher{Pool: a.pool, Servers: func() []string { return []string{w.addr} }, Self: a.c.cfg.Advertise}
	var err error
	h.cache, err = imagecache.New(imagecache.Config{Dir: t.TempDir(), Fetched: a.c.ImageFetched, Backoff: time.Millisecond, Fetch: func(ctx context.Context, ask imagecache.Ask) (*imagecache.Stream, error) {
		s, err := fetcher.Fetch(ctx, ask)
		if err == nil {
			h.mu.Lock()
			h.asks, h.from = append(h.asks, ask), append(h.from, s.From)
			h.mu.Unlock()
		}
		return s, err
	}})
	require.NoError(t, err)
	a.c.cfg.OpenImage = h.cache.OpenOrigin
	if open != nil {
		a.c.cfg.OpenImage = func(sha string) (io.ReadSeekCloser, int64, error) { return open(h.cache, sha) }
	}
	a.c.Start()
	for _, x := range a.hosts {
		eventually(t, "registration", func() bool { return x.currentEpoch() != 0 })
	}
	return h
}

// get has the host fetch the image and compares it.
func (h *imageHost) get(img *structs.Image, data []byte) {
	t := h.w.t
	t.Helper()
	e, err := h.cache.Get(t.Context(), imagecache.ImageOf(img), []string{"raw"})
	require.NoError(t, err)
	defer e.Release()
	got, err := os.ReadFile(e.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

// first fetches the image on a host of which the server then knows, while it sends the image to two others.
func (w *world) first(h *imageHost, img *structs.Image, data []byte) {
	h.get(img, data)
	eventually(w.t, "the server hears of it", func() bool { return w.front.count("Blob.Fetched") > 0 && len(w.names(img)) == 0 })
	w.sendsToOthers(img)
	eventually(w.t, "the server names the host", func() bool { return len(w.names(img)) == 1 })
}

// names are the hosts that the server would send a host to; none when it would send the image itself.
func (w *world) names(img *structs.Image) []string {
	r, err := blobstream.Open(w.t.Context(), w.pool, w.addr, "Blob.Read", &structs.BlobRequest{SHA512: img.SHA512, Host: true})
	if err == nil {
		require.NoError(w.t, r.Close())
		return nil
	}
	var b *blobstream.Busy
	require.ErrorAs(w.t, err, &b)
	return b.Hosts
}

// The second host gets an image from the first one while the server sends it to others.
func TestAHostGetsAnImageFromAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(8 << 20)
	a, b := w.imageHost("a", nil, nil), w.imageHost("b", nil, nil)
	before := w.sent()
	a.get(img, data)
	require.EqualValues(t, img.Size, w.sent()-before, "a single build goes to the server")
	require.Equal(t, []string{""}, a.from)
	eventually(t, "the server hears of it", func() bool { return w.front.count("Blob.Fetched") == 1 })
	w.sendsToOthers(img)
	eventually(t, "the server names the host", func() bool { return len(w.names(img)) == 1 })
	b.get(img, data)
	require.Equal(t, []string{a.c.cfg.Advertise}, b.from, "all of it came from the first host")
	eventually(t, "the server names both", func() bool { return len(w.names(img)) == 2 })
}

// A host that was named and has the image no longer is passed over, and named no more.
func TestAHostThatHasTheImageNoLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(1 << 20)
	a, b := w.imageHost("a", nil, nil), w.imageHost("b", nil, nil)
	w.first(a, img, data)
	removed, err := a.cache.Prune(nil, 0, 0)
	require.NoError(t, err)
	require.Len(t, removed, 1)
	b.get(img, data)
	require.Equal(t, []string{""}, b.from)
	eventually(t, "only the second is named", func() bool { n := w.names(img); return len(n) == 1 && n[0] == b.c.cfg.Advertise })
}

// gatedReader stops after some bytes until it is opened.
type gatedReader struct {
	io.ReadSeekCloser
	left    int
	reached chan struct{}
	gate    chan struct{}
}

func (r *gatedReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		close(r.reached)
		<-r.gate
		r.left = 1 << 40
	}
	n, err := r.ReadSeekCloser.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

// A host that dies in the middle costs nothing of what it sent: the rest comes from the server.
func TestAHostDiesWhileItSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(4 << 20)
	var x *wire
	reached, gate := make(chan struct{}), make(chan struct{})
	a := w.imageHost("a", func(addr string) string { x = newWire(t, addr); return x.addr }, func(c *imagecache.Cache, sha string) (io.ReadSeekCloser, int64, error) {
		r, size, err := c.OpenOrigin(sha)
		return &gatedReader{ReadSeekCloser: r, left: 1 << 20, reached: reached, gate: gate}, size, err
	})
	b := w.imageHost("b", nil, nil)
	w.first(a, img, data)
	done := make(chan struct{})
	go func() { defer close(done); b.get(img, data) }()
	<-reached
	x.cut()
	close(gate)
	<-done
	require.Equal(t, []string{x.addr, ""}, b.from)
	require.Greater(t, b.asks[1].Offset, int64(0), "it goes on where the host ended")
	require.LessOrEqual(t, b.asks[1].Offset, int64(1<<20))
	require.Equal(t, []string{x.addr}, b.asks[1].Avoid)
	require.False(t, b.asks[1].Sure)
}

// damaged changes a byte in the middle.
type damaged struct {
	io.ReadSeekCloser
	at int64
}

func (r *damaged) Read(p []byte) (int, error) {
	n, err := r.ReadSeekCloser.Read(p)
	if r.at >= 0 && r.at < int64(n) {
		p[r.at] ^= 1
	}
	r.at -= int64(n)
	return n, err
}

// What a host with a bad disk sends is found out, fetched anew from the server, and that host is named no more.
func TestAHostSendsWrongBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(4 << 20)
	a := w.imageHost("a", nil, func(c *imagecache.Cache, sha string) (io.ReadSeekCloser, int64, error) {
		r, size, err := c.OpenOrigin(sha)
		return &damaged{r, 3 << 20}, size, err
	})
	b := w.imageHost("b", nil, nil)
	w.first(a, img, data)
	b.get(img, data)
	require.Equal(t, []string{a.c.cfg.Advertise, ""}, b.from)
	require.True(t, b.asks[1].Sure)
	require.Zero(t, b.asks[1].Offset)
	eventually(t, "only the second is named", func() bool { n := w.names(img); return len(n) == 1 && n[0] == b.c.cfg.Advertise })
}

// A host whose image has another size is not even begun with.
func TestAHostHasAnotherSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(1 << 20)
	a := w.imageHost("a", nil, func(c *imagecache.Cache, sha string) (io.ReadSeekCloser, int64, error) {
		r, size, err := c.OpenOrigin(sha)
		return r, size - 1, err
	})
	b := w.imageHost("b", nil, nil)
	w.first(a, img, data)
	b.get(img, data)
	require.Equal(t, []string{""}, b.from)
}

// A host sends to a few at a time and says so to the others, which come again.
func TestAHostSendsToAFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(1 << 20)
	a := w.imageHost("a", nil, func(c *imagecache.Cache, sha string) (io.ReadSeekCloser, int64, error) {
		if sha == "endless" {
			return endless{}, 1 << 40, nil
		}
		return c.OpenOrigin(sha)
	})
	b := w.imageHost("b", nil, nil)
	w.first(a, img, data)
	addr := a.c.cfg.Advertise
	var held []*blobstream.Reader
	for range imageReaders {
		r, err := blobstream.Open(t.Context(), b.pool, addr, "Client.ReadImage", &structs.BlobRequest{SHA512: "endless"})
		require.NoError(t, err)
		held = append(held, r)
	}
	f := &ImageFetcher{Pool: b.pool, Servers: func() []string { return []string{w.addr} }, Self: b.c.cfg.Advertise}
	ask := imagecache.Ask{SHA512: img.SHA512, Size: img.Size}
	_, err := f.Fetch(t.Context(), ask)
	require.ErrorIs(t, err, imagecache.ErrBusy)
	s, err := f.Fetch(t.Context(), imagecache.Ask{SHA512: img.SHA512, Size: img.Size, Sure: true})
	require.NoError(t, err, "the server sends when it must")
	require.NoError(t, s.Close())
	for _, r := range held {
		require.NoError(t, r.Close())
	}
	b.get(img, data)
	require.Equal(t, []string{addr}, b.from)

	_, err = blobstream.Open(t.Context(), b.pool, addr, "Client.ReadImage", &structs.BlobRequest{SHA512: "none"})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

type endless struct{ zeros }

func (endless) Seek(int64, int) (int64, error) { return 0, nil }
func (endless) Close() error                   { return nil }

// A client without an image cache offers nothing and tells nobody.
func TestAClientWithoutImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	a := w.agent(newNode(t, "a"))
	a.c.ImageFetched("x")
	require.Empty(t, a.c.fetched)
	_, err := blobstream.Open(t.Context(), w.pool, a.c.cfg.Advertise, "Client.ReadImage", &structs.BlobRequest{SHA512: "x"})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

// A host that no other can reach gets the image from the server when the hosts that it was sent to do not answer.
func TestHostsThatCannotReachEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(1 << 20)
	var x *wire
	a := w.imageHost("a", func(addr string) string { x = newWire(t, addr); return x.addr }, nil)
	b := w.imageHost("b", nil, nil)
	w.first(a, img, data)
	x.cut()
	b.get(img, data)
	require.Equal(t, []string{""}, b.from)
}

// An image that lies in another store than the servers' comes through them, also when the store breaks off in the middle.
func TestAHostFetchesFromAnotherStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	img, data := w.farImage(3 << 20)
	w.far.breaks = 1
	a := w.imageHost("a", nil, nil)
	a.get(img, data)
	require.Equal(t, []string{"", ""}, a.from)
	require.EqualValues(t, img.Size/2, a.asks[1].Offset)
}
