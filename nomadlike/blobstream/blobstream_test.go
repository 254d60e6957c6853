package blobstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers "Read" with answer, on a port and, for local, within the process.
func serve(t *testing.T, local bool, answer func(ctx context.Context, st rpc.Stream, req *structs.BlobRequest) error) (*rpc.Pool, string) {
	t.Helper()
	s, err := rpc.NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
	require.NoError(t, err)
	rpc.HandleStream(s, "Read", rpc.AnyAgent, func(ctx context.Context, st rpc.Stream) error {
		var req structs.BlobRequest
		if err := st.Recv(&req); err != nil {
			return err
		}
		return answer(ctx, st, &req)
	})
	go s.Serve()
	pool, addr := rpc.NewPool(nil), s.Addr().String()
	if local {
		pool.SetLocal(addr, s)
	}
	t.Cleanup(func() { s.Close(); pool.Close() })
	return pool, addr
}

// both runs a test over the network and within the process.
func both(t *testing.T, f func(t *testing.T, local bool)) {
	t.Parallel()
	for name, local := range map[string]bool{"network": false, "local": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t, local) })
	}
}

func TestSend(t *testing.T) {
	both(t, func(t *testing.T, local bool) {
		data := bytes.Repeat([]byte("0123456789"), Chunk/4)
		pool, addr := serve(t, local, func(ctx context.Context, st rpc.Stream, req *structs.BlobRequest) error {
			var r io.Reader = bytes.NewReader(data)
			if req.Local {
				r = io.MultiReader(r) // cannot seek
			}
			sent := 0
			err := Send(st, r, int64(len(data)), req.Offset, func(n int) { sent += n })
			if err == nil && sent != len(data)-int(req.Offset) {
				t.Errorf("%d bytes are said to be sent", sent)
			}
			return err
		})
		for _, offset := range []int{0, 7, Chunk + 1, len(data)} {
			for _, seeks := range []bool{true, false} {
				r, err := Open(t.Context(), pool, addr, "Read", &structs.BlobRequest{Offset: int64(offset), Local: !seeks})
				require.NoError(t, err)
				got, err := io.ReadAll(r)
				require.NoError(t, err)
				require.NoError(t, r.Close())
				require.EqualValues(t, len(data), r.Size)
				require.True(t, bytes.Equal(data[offset:], got), "from %d", offset)
			}
		}
		_, err := Open(t.Context(), pool, addr, "Read", &structs.BlobRequest{Offset: int64(len(data)) + 1, Local: true})
		require.True(t, structs.IsKind(err, structs.KindInvalid), "%v", err)
	})
}

func TestBusy(t *testing.T) {
	both(t, func(t *testing.T, local bool) {
		pool, addr := serve(t, local, func(_ context.Context, st rpc.Stream, _ *structs.BlobRequest) error {
			return st.Send(&structs.BlobChunk{Busy: true, Hosts: []string{"a", "b"}})
		})
		_, err := Open(t.Context(), pool, addr, "Read", &structs.BlobRequest{})
		var b *Busy
		require.ErrorAs(t, err, &b)
		require.Equal(t, []string{"a", "b"}, b.Hosts)
		require.True(t, structs.IsKind(err, structs.KindUnavailable))
	})
}

func TestAnErrorInTheMiddle(t *testing.T) {
	both(t, func(t *testing.T, local bool) {
		pool, addr := serve(t, local, func(ctx context.Context, st rpc.Stream, _ *structs.BlobRequest) error {
			return Send(st, io.MultiReader(bytes.NewReader(make([]byte, Chunk)), failing{}), 10*Chunk, 0, nil)
		})
		r, err := Open(t.Context(), pool, addr, "Read", &structs.BlobRequest{})
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.ErrorContains(t, err, "bad disk")
		require.Len(t, got, Chunk)
		require.NoError(t, r.Close())
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("bad disk") }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A caller that reads no more and goes away keeps nobody.
func TestACallerGoesAway(t *testing.T) {
	both(t, func(t *testing.T, local bool) {
		over := make(chan error, 1)
		pool, addr := serve(t, local, func(ctx context.Context, st rpc.Stream, _ *structs.BlobRequest) error {
			err := Send(st, zeros{}, 1<<40, 0, nil)
			over <- err
			return err
		})
		r, err := Open(t.Context(), pool, addr, "Read", &structs.BlobRequest{})
		require.NoError(t, err)
		require.NoError(t, r.Close())
		select {
		case err := <-over:
			require.NoError(t, err)
		case <-time.After(20 * time.Second):
			t.Fatal("it still sends")
		}
	})
}
