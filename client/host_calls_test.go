package client

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/client/imagecache"
	"github.com/kilonova-cloud/kilonova/drivers/fake"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// realImages is a cache on disk, filled from the server, as an agent has it.
type realImages struct{ cache *imagecache.Cache }

func (i realImages) Get(ctx context.Context, img *structs.Image, formats []string) (*driver.Image, func(), error) {
	e, err := i.cache.Get(ctx, imagecache.ImageOf(img), formats)
	if err != nil {
		return nil, nil, err
	}
	if e.Format == imagecache.FormatNone {
		return nil, e.Release, nil
	}
	return &driver.Image{Path: e.Path, Format: e.Format}, e.Release, nil
}

// image uploads a raw image to the server.
func (w *world) image(bytes []byte) *structs.Image {
	w.t.Helper()
	b, err := w.srv.Blobs().Create(w.t.Context())
	require.NoError(w.t, err)
	_, err = b.Write(bytes)
	require.NoError(w.t, err)
	sums, err := b.Commit()
	require.NoError(w.t, err)
	img := structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Name: "disk", Status: structs.ImageActive, Visibility: "public", DiskFormat: "raw", ContainerFormat: "bare",
		Size: sums.Size, SHA512: sums.SHA512, CreatedAt: structs.TimeOf(time.Now())}
	_, err = fsm.ImageUpsert.Propose(w.t.Context(), w.srv, &structs.ImageUpsertRequest{Image: img, Create: true})
	require.NoError(w.t, err)
	return &img
}

// A host that is told to cache an image has it on its disk, whole, before anybody builds from it; what one image lacks does not keep the next one away.
func TestCacheImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	n := &node{id: structs.HostID(nomadlike.NewUUID()), name: "host-raw", drv: &gated{Driver: fake.New(nil), gates: map[string]*gate{}}}
	require.NoError(t, n.drv.Configure(t.Context(), []byte(`{"hypervisor_hostname": "host-raw", "image_formats": ["raw"]}`)))
	t.Cleanup(func() { require.NoError(t, n.drv.Close()) })
	lazy := newNode(t, "host-lazy") // its driver needs no image files
	a := w.newAgent(w.wire, n, lazy)
	dir := t.TempDir()
	from := &ImageFetcher{Pool: a.pool, Servers: func() []string { return []string{w.addr} }, Self: a.rpc.Addr().String()}
	cache, err := imagecache.New(imagecache.Config{Dir: dir, Fetch: from.Fetch})
	require.NoError(t, err)
	a.c.cfg.Images = realImages{cache}
	a.c.Start()
	for _, h := range a.hosts {
		eventually(t, "registration", func() bool { return h.currentEpoch() != 0 })
	}
	disk := make([]byte, 3<<20)
	_, _ = rand.Read(disk)
	img := w.image(disk)
	file := filepath.Join(dir, img.SHA512+".img")

	resp, err := a.c.cacheImage(t.Context(), &structs.CacheImageRequest{HostID: lazy.id, Image: img})
	require.NoError(t, err)
	require.True(t, resp.Unneeded)
	require.NoFileExists(t, file)
	_, err = a.c.cacheImage(t.Context(), &structs.CacheImageRequest{HostID: "nobody", Image: img})
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	_, err = a.c.cacheImage(t.Context(), &structs.CacheImageRequest{HostID: n.id, Image: &structs.Image{ID: "queued"}})
	require.True(t, structs.IsKind(err, structs.KindInvalid), "%v", err)

	agg, err := fsm.AggregateCreate.Propose(t.Context(), w.srv, &structs.AggregateCreateRequest{UUID: "u", Name: "a", Now: 1})
	require.NoError(t, err)
	for _, h := range []structs.HostID{lazy.id, n.id} {
		_, err = fsm.AggregateAddHost.Propose(t.Context(), w.srv, &structs.AggregateHostRequest{ID: agg.ID, HostID: h})
		require.NoError(t, err)
	}
	sub, _ := w.srv.Events().Subscribe(w.srv.Stale().Index())
	_, err = fsm.ImageCachingBegin.Propose(t.Context(), w.srv, &structs.ImageCachingBeginRequest{ID: "c", AggregateID: agg.ID, Images: []structs.ImageID{"gone", img.ID}, Now: 2})
	require.NoError(t, err)
	eventually(t, "its end", func() bool { return w.srv.Stale().ImageCaching("c") == nil })
	require.FileExists(t, file)
	events, whole, err := sub.Next(t.Context())
	require.NoError(t, err)
	require.True(t, whole)
	did := map[structs.HostID]structs.ImageCachingHost{}
	for _, e := range events {
		if c, ok := e.Entity.(*structs.ImageCaching); ok {
			for _, h := range c.Done {
				did[h.HostID] = h
			}
		}
	}
	require.Equal(t, structs.ImageCachingHost{HostID: n.id, Cached: []structs.ImageID{img.ID}, Failed: []structs.ImageID{"gone"}}, did[n.id])
	require.Equal(t, []structs.ImageID{"gone", img.ID}, did[lazy.id].Failed, "a driver without image files")
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, disk, got)
}

// A host's power and maintenance go through to its driver; what a driver cannot is said.
func TestHostPower(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Minute)
	n := newNode(t, "host-000")
	w.agent(n)
	ctx := t.Context()
	healthy := func(want bool) func(r state.Reader) bool {
		return func(r state.Reader) bool { return r.Host(n.id).DriverHealthy == want }
	}
	require.NoError(t, w.srv.HostMaintenance(ctx, n.id, true))
	require.NoError(t, w.srv.HostPower(ctx, n.id, "shutdown"))
	w.until("the host without power", healthy(false))
	require.NoError(t, w.srv.HostPower(ctx, n.id, "startup"))
	w.until("the host with power", healthy(true))
	require.Error(t, w.srv.HostPower(ctx, n.id, "dance"))
	err := w.srv.HostPower(ctx, "nobody", "reboot")
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
}

// What the driver cannot do is KindNotSupported to whoever asks.
func TestHostPowerUnsupported(t *testing.T) {
	t.Parallel()
	n := newNode(t, "host-000")
	c := &Client{hosts: map[structs.HostID]*Host{n.id: {driver: unable{n.drv}}}}
	_, err := c.hostPower(t.Context(), &structs.HostPowerRequest{HostID: n.id, Action: "reboot"})
	require.True(t, structs.IsKind(err, structs.KindNotSupported), "%v", err)
	_, err = c.hostMaintenance(t.Context(), &structs.HostMaintenanceRequest{HostID: n.id})
	require.True(t, structs.IsKind(err, structs.KindNotSupported), "%v", err)
}

// unable is a driver that cannot act on its host.
type unable struct{ *gated }

func (unable) HostPower(ctx context.Context, a driver.HostPowerAction) error {
	return driver.Unsupported{}.HostPower(ctx, a)
}

func (unable) HostMaintenance(ctx context.Context, on bool) error {
	return driver.Unsupported{}.HostMaintenance(ctx, on)
}
