package cluster

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/importer"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// gatedFetch is a web server that does not answer while its gate is shut.
type gatedFetch struct {
	begun chan struct{}
	once  sync.Once
	data  []byte // nil: it never answers
}

func (f *gatedFetch) Open(ctx context.Context, _ string) (io.ReadCloser, int64, error) {
	f.once.Do(func() { close(f.begun) })
	if f.data == nil {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	return io.NopCloser(bytes.NewReader(f.data)), int64(len(f.data)), nil
}

// imports does the imports of a member until stop.
func imports(t *testing.T, m *member, data []byte) (f *gatedFetch, stop func()) {
	t.Helper()
	stores, err := store.NewSet("")
	require.NoError(t, err)
	f = &gatedFetch{begun: make(chan struct{}), data: data}
	e := importer.New(importer.Options{Logger: testLogger(t), Stores: stores, Fetch: f, MaxSize: 1 << 30, Period: 50 * time.Millisecond,
		Limits: func(state.Reader, structs.ProjectID) structs.ImageLimits { return nil }})
	ctx, cancel := context.WithCancel(context.Background())
	done, core := make(chan struct{}), m.Server
	go func() { defer close(done); e.Run(ctx, core) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return f, stop
}

// beginImport makes an image and a task of an import that a server is to do. With staged data it is glance-direct.
func beginImport(t *testing.T, m *member, staged []byte) {
	t.Helper()
	ctx := t.Context()
	i := structs.Image{ID: "i", Status: structs.ImageQueued, DiskFormat: "raw", ContainerFormat: "bare"}
	task := structs.ImageTask{ID: "t", ImageID: "i", Status: structs.ImageTaskPending, Method: structs.ImportDownload, URI: "http://x/", Stores: []string{structs.StoreServers}, AllMust: true, ServerID: m.id,
		CreatedAt: now(), ExpireAfter: int64(time.Hour)}
	if staged != nil {
		w, err := m.Blobs().Create(ctx)
		require.NoError(t, err)
		_, err = w.Write(staged)
		require.NoError(t, err)
		sums, err := w.Commit()
		require.NoError(t, err)
		i.Servers, err = m.Blobs().Spread(ctx, sums.SHA512)
		require.NoError(t, err)
		i.Status, i.Size, i.SHA512, i.MD5 = structs.ImageUploading, sums.Size, sums.SHA512, sums.MD5
		task.Method = structs.ImportDirect
	}
	_, err := fsm.ImageCreate.Propose(ctx, m, &structs.ImageCreateRequest{Image: i})
	require.NoError(t, err)
	rd, err := m.Read(ctx)
	require.NoError(t, err)
	index := rd.Image("i").ModifyIndex
	i.Status, i.TaskID = structs.ImageImporting, "t"
	_, err = fsm.ImageImportBegin.Propose(ctx, m, &structs.ImageImportBegin{Task: task, Image: i, IfIndex: index})
	require.NoError(t, err)
}

func readBlob(t *testing.T, m *member, sha string) string {
	t.Helper()
	r, _, err := m.Blobs().Open(t.Context(), sha)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return string(b)
}

// The leader dies in the middle of an import: the next leader does it, and what the old one left is gone.
func TestAnImportSurvivesTheLeader(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{})
	l := c.leader()
	f, stop := imports(t, l, nil)
	beginImport(t, l, nil)
	<-f.begun
	require.Equal(t, structs.ImageTaskProcessing, l.Stale().ImageTask("t").Status)
	rest := c.others(l)
	for _, m := range rest {
		imports(t, m, []byte("downloaded again"))
	}
	stop()
	l.stop()
	next := c.leader()
	require.Eventually(t, func() bool { return next.Stale().ImageTask("t").Status == structs.ImageTaskSuccess }, 60*time.Second, 5*time.Millisecond, "the next leader does it")
	i := next.Stale().Image("i")
	require.Equal(t, []any{structs.ImageActive, structs.ImageTaskID(""), int64(16), 2}, []any{i.Status, i.TaskID, i.Size, len(i.Servers)})
	require.Equal(t, next.id, next.Stale().ImageTask("t").ServerID)
	for _, m := range rest {
		require.Equal(t, "downloaded again", readBlob(t, m, i.SHA512))
	}
	l.startWith(options{}, c.join())
	c.requireEqualStates()
}

// Staged bytes outlive the server that received them.
func TestStagedBytesSurviveTheirServer(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{})
	m := c.follower()
	beginImport(t, m, []byte("staged"))
	m.stop()
	l := c.leader()
	for _, m := range c.others(m) {
		imports(t, m, nil)
	}
	require.Eventually(t, func() bool { return l.Stale().ImageTask("t").Status == structs.ImageTaskSuccess }, 60*time.Second, 5*time.Millisecond)
	require.Equal(t, "staged", readBlob(t, l, l.Stale().Image("i").SHA512))
	m.startWith(options{}, c.join())
	c.requireEqualStates()
}

// Bytes that lie in another store than the servers' are read from there, also for who asks a server for them.
func TestBlobsFromAnotherStore(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	_, err := fsm.ImageCreate.Propose(t.Context(), l, &structs.ImageCreateRequest{Image: structs.Image{ID: "i", Status: structs.ImageActive, SHA512: "sum", Size: 4, Stores: []string{"far"}}})
	require.NoError(t, err)
	_, _, err = l.Blobs().Open(t.Context(), "sum")
	require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	l.Server.cfg.ImageSource = func(_ context.Context, i *structs.Image) (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader([]byte("data"))), i.Size, nil
	}
	r, size, err := OpenBlob(t.Context(), l.pool, l.addr, structs.BlobRequest{SHA512: "sum", Offset: 1})
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, []any{int64(4), "ata"}, []any{size, string(b)})
}
