package cluster

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func queuedImage(t *testing.T, m *member, id structs.ImageID) {
	_, err := fsm.ImageUpsert.Propose(context.Background(), m, &structs.ImageUpsertRequest{Create: true, Image: structs.Image{ID: id, Status: structs.ImageQueued}})
	require.NoError(t, err)
}

// A host's snapshot becomes an active image whose bytes most servers have, through any server; what breaks off, or comes from an old session, leaves nothing.
func TestHostUploadsImage(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 3)
	l := c.leader()
	x := (&compute{t: t, c: c, id: "h", session: "a"}).register()
	ctx := context.Background()
	data := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	req := structs.BlobWriteRequest{HostID: x.id, Epoch: x.epoch, ImageID: "img", DiskFormat: "qcow2", Size: int64(len(data)), VirtualSize: 1 << 30}
	f := c.follower()
	require.True(t, structs.IsKind(WriteBlob(ctx, f.pool, f.addr, req, bytes.NewReader(data)), structs.KindNotFound), "there is no such image yet")
	queuedImage(t, l, "img")

	old := req
	old.Epoch = 99
	require.True(t, structs.IsKind(WriteBlob(ctx, f.pool, f.addr, old, bytes.NewReader(data)), structs.KindConflict))
	require.Error(t, WriteBlob(ctx, f.pool, f.addr, req, bytes.NewReader(data[:1000])), "the file is shorter than it was said")
	r, err := f.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, structs.ImageQueued, r.Image("img").Status)

	for range 2 { // the first answer may be lost
		require.NoError(t, WriteBlob(ctx, l.pool, f.addr, req, bytes.NewReader(data)))
	}
	r, err = l.Read(ctx)
	require.NoError(t, err)
	img := r.Image("img")
	sum := sha512.Sum512(data)
	require.Equal(t, structs.ImageActive, img.Status)
	require.Equal(t, hex.EncodeToString(sum[:]), img.SHA512)
	require.EqualValues(t, len(data), img.Size)
	require.EqualValues(t, 1<<30, img.VirtualSize)
	require.GreaterOrEqual(t, len(img.Servers), 2)
	for _, m := range c.members {
		rc, size, err := m.Blobs().Open(ctx, img.SHA512)
		require.NoError(t, err)
		got, err := io.ReadAll(rc)
		require.NoError(t, err)
		require.NoError(t, rc.Close())
		require.EqualValues(t, len(data), size)
		require.Equal(t, data, got)
	}
	_, err = fsm.ImageFinish.Propose(ctx, l, &structs.ImageFinishRequest{ID: "img", SHA512: "other", Now: now()})
	require.True(t, structs.IsKind(err, structs.KindConflict), "an active image's bytes never change")

	// Its host dies in the middle: nothing becomes of it, and the next attempt is as good as the first.
	queuedImage(t, l, "img2")
	req.ImageID = "img2"
	cut, cancel := context.WithCancel(ctx)
	half := io.MultiReader(bytes.NewReader(data[:len(data)/2]), readerFunc(func([]byte) (int, error) { cancel(); <-cut.Done(); return 0, cut.Err() }))
	require.Error(t, WriteBlob(cut, l.pool, f.addr, req, half))
	require.Equal(t, structs.ImageQueued, l.Stale().Image("img2").Status)
	require.Eventually(t, func() bool { return WriteBlob(ctx, l.pool, f.addr, req, bytes.NewReader(data)) == nil }, 10*time.Second, 10*time.Millisecond)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The bytes of an image that another Image service has go there, and are this cluster's no longer than it takes.
func TestHostUploadsExternalImage(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, 1)
	l, ctx := c.leader(), context.Background()
	x := (&compute{t: t, c: c, id: "h", session: "a"}).register()
	data := []byte("0123456789abcdef")
	req := structs.BlobWriteRequest{HostID: x.id, Epoch: x.epoch, ImageID: "img", DiskFormat: "raw", Size: int64(len(data))}
	_, err := fsm.ImageMirror.Propose(ctx, l, &structs.ImageMirrorRequest{Image: structs.Image{ID: "img", Status: structs.ImageQueued, Stores: []string{structs.StoreGlance}}})
	require.NoError(t, err)
	write := func() error { return WriteBlob(ctx, l.pool, l.addr, req, bytes.NewReader(data)) }
	requireKind(t, write(), structs.KindNotSupported, "is not configured for")

	var got []byte
	fails := structs.Errorf(structs.KindUnavailable, "not now")
	l.cfg.ImageSink = func(_ context.Context, i *structs.Image, format string, sums nomadlike.BlobSums, r io.ReadSeeker) error {
		require.Equal(t, []any{structs.ImageID("img"), "raw", int64(len(data))}, []any{i.ID, format, sums.Size})
		if fails != nil {
			return fails
		}
		got, err = io.ReadAll(r)
		return err
	}
	requireKind(t, write(), structs.KindUnavailable, "not now")
	require.Equal(t, structs.ImageQueued, l.Stale().Image("img").Status)
	fails = nil
	require.NoError(t, write())
	require.Equal(t, data, got)
	img := l.Stale().Image("img")
	require.Equal(t, []any{structs.ImageActive, []string{structs.StoreGlance}}, []any{img.Status, img.StoreIDs()})
	require.Nil(t, l.Stale().ImageWithBytes(img.SHA512), "the servers need not have it")
	_, err = fsm.ImageDelete.Propose(ctx, l, &structs.ImageDeleteRequest{ID: "img"})
	require.NoError(t, err)
	requireKind(t, write(), structs.KindNotFound, "deleted meanwhile")
}
