package cluster

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/blobstream"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// at is the address of a host of a test that is up.
func at(id structs.HostID) string {
	if strings.HasPrefix(string(id), "down") {
		return ""
	}
	return "addr-" + string(id)
}

func want(sha string) *structs.BlobRequest { return &structs.BlobRequest{SHA512: sha, Host: true} }

// While nobody else has an image a server sends it to some hosts and lets the others wait; each image is counted for itself.
func TestHandoutIsBounded(t *testing.T) {
	t.Parallel()
	h := &handout{}
	var sends []*send
	for range handoutMany {
		s, hosts := h.admit(want("a"), at)
		require.NotNil(t, s)
		require.Empty(t, hosts)
		sends = append(sends, s)
	}
	s, hosts := h.admit(want("a"), at)
	require.Nil(t, s)
	require.Empty(t, hosts)
	other, _ := h.admit(want("b"), at)
	require.NotNil(t, other)
	h.end(sends[3])
	s, _ = h.admit(want("a"), at)
	require.NotNil(t, s)
	for _, x := range append(sends, s, other) {
		h.end(x)
	}
	require.Empty(t, h.sends)
}

// A stream that brings nothing for long keeps nobody else out.
func TestHandoutDoesNotCountStuckStreams(t *testing.T) {
	t.Parallel()
	h := &handout{}
	var sends []*send
	for range handoutMany {
		s, _ := h.admit(want("a"), at)
		sends = append(sends, s)
	}
	s, _ := h.admit(want("a"), at)
	require.Nil(t, s)
	sends[0].at.Add(-int64(handoutStuck))
	s, _ = h.admit(want("a"), at)
	require.NotNil(t, s)
	sends[0].sent(7)
	require.EqualValues(t, 7, h.bytes.Load())
	h.end(s)
	s, _ = h.admit(want("a"), at)
	require.Nil(t, s, "it goes on, and counts")
}

// A host is sent to others only when this server sends the image to some already, and comes back when it was sent in vain.
func TestHandoutNamesHosts(t *testing.T) {
	t.Parallel()
	h := &handout{}
	for i := range 5 {
		h.has("a", structs.HostID(fmt.Sprint(i)))
	}
	h.has("a", "down")
	for range handoutFew {
		s, _ := h.admit(want("a"), at)
		require.NotNil(t, s, "a single build goes straight to the server")
	}
	named := map[string]bool{}
	for range 200 {
		s, hosts := h.admit(want("a"), at)
		require.Nil(t, s)
		require.Len(t, hosts, handoutNames)
		for _, a := range hosts {
			named[a] = true
		}
	}
	require.Len(t, named, 5, "by chance, all in turn, and none that is down")
	require.Len(t, h.hosts["a"], 5)

	req := want("a")
	req.NoHosts, req.Without = true, []string{"addr-0", "addr-1", "addr-nobody"}
	s, _ := h.admit(req, at)
	require.NotNil(t, s)
	require.Len(t, h.hosts["a"], 3, "what has it not is forgotten")
	for range handoutMany - handoutFew - 1 {
		s, _ := h.admit(req, at)
		require.NotNil(t, s)
	}
	s, hosts := h.admit(req, at)
	require.Nil(t, s)
	require.Empty(t, hosts)
}

func TestHandoutForgets(t *testing.T) {
	t.Parallel()
	h := &handout{}
	for i := range handoutHosts + 10 {
		h.has("a", structs.HostID(fmt.Sprintf("%03d", i)))
	}
	require.Len(t, h.hosts["a"], handoutHosts)
	require.NotContains(t, h.hosts["a"], structs.HostID("000"))
	h.has("b", "x")
	h.late = handoutAge + time.Second
	require.Empty(t, h.some(want("b"), at))
	h.has("c", "x")
	require.Equal(t, []any{1, 1}, []any{len(h.hosts), len(h.hosts["c"])})
}

func TestOneClientOfManyHostsIsNamedOnce(t *testing.T) {
	t.Parallel()
	h := &handout{}
	h.has("a", "1")
	h.has("a", "2")
	require.Equal(t, []string{"here"}, h.some(want("a"), func(structs.HostID) string { return "here" }))
}

// The server believes of a host only what its registration says: its address, its session, and images that there are.
func TestBlobFetched(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	ctx := t.Context()
	beginImport(t, l, []byte("some bytes"))
	sha := l.Stale().Image("i").SHA512
	r, err := rpc.Call[structs.HostRegisterResponse](ctx, l.pool, l.addr, "Host.Register", &structs.HostRegisterRequest{Host: structs.Host{ID: "h", Name: "h", Zone: "nova", Session: "s", DriverHealthy: true, RPCAddr: "127.0.0.1:1"}})
	require.NoError(t, err)
	tell := func(req structs.BlobFetchedRequest) error {
		_, err := rpc.Call[structs.Ack](ctx, l.pool, l.addr, "Blob.Fetched", &req)
		return err
	}
	err = tell(structs.BlobFetchedRequest{HostID: "h", Epoch: r.Host.Epoch + 1, SHA512: sha})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	err = tell(structs.BlobFetchedRequest{HostID: "nobody", Epoch: 1, SHA512: sha})
	require.True(t, structs.IsKind(err, structs.KindConflict), "%v", err)
	for _, none := range []string{"", sha[:10], "none"} {
		err = tell(structs.BlobFetchedRequest{HostID: "h", Epoch: r.Host.Epoch, SHA512: none})
		require.True(t, structs.IsKind(err, structs.KindNotFound), "%v", err)
	}
	require.Empty(t, l.blobs.handout.hosts)
	require.NoError(t, tell(structs.BlobFetchedRequest{HostID: "h", Epoch: r.Host.Epoch, SHA512: sha}))

	got, err := blobstream.Open(ctx, l.pool, l.addr, "Blob.Read", &structs.BlobRequest{SHA512: sha, Offset: 5, Host: true})
	require.NoError(t, err)
	b, err := io.ReadAll(got)
	require.NoError(t, err)
	require.NoError(t, got.Close())
	require.Equal(t, []any{int64(10), "bytes"}, []any{got.Size, string(b)})
	require.EqualValues(t, 5, l.blobs.handout.bytes.Load())

	for range handoutFew {
		l.blobs.handout.admit(want(sha), l.blobs.hostAddr)
	}
	busy := func() *blobstream.Busy {
		var b *blobstream.Busy
		r, err := blobstream.Open(ctx, l.pool, l.addr, "Blob.Read", want(sha))
		if err == nil {
			require.NoError(t, r.Close())
			return nil
		}
		require.ErrorAs(t, err, &b)
		require.True(t, structs.IsKind(err, structs.KindUnavailable))
		return b
	}
	require.Equal(t, []string{"127.0.0.1:1"}, busy().Hosts)
	_, err = fsm.HostStatus.Propose(ctx, l, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: "h", Epoch: r.Host.Epoch, Status: structs.HostDown}}, Now: now()})
	require.NoError(t, err)
	require.Nil(t, busy(), "the only host that has it is down")
}
