package client

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/client/imagecache"
	"github.com/kilonova-cloud/kilonova/command/ca"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// strictTLS makes certificates of one authority for agents that check the name of each server that they call.
type strictTLS struct {
	authority *ca.Authority
	dir       string
}

func newStrictTLS(t *testing.T) *strictTLS {
	authority, pair, err := ca.New("test", time.Hour)
	require.NoError(t, err)
	s := &strictTLS{authority, t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "ca.pem"), pair.Certificate, 0o600))
	return s
}

// agent returns the RPC server and the pool of an agent with that role.
func (s *strictTLS) agent(t *testing.T, role ca.Role) (*rpc.Server, *rpc.Pool) {
	pair, err := s.authority.Issue(ca.Request{Roles: []ca.Role{role}, Region: "r", Lifetime: time.Minute})
	require.NoError(t, err)
	f := rpc.TLSFiles{CA: filepath.Join(s.dir, "ca.pem"), Cert: filepath.Join(s.dir, string(role)+".pem"), Key: filepath.Join(s.dir, string(role)+".key"), ServerName: ca.Server.Name("r")}
	require.NoError(t, os.WriteFile(f.Cert, pair.Certificate, 0o600))
	require.NoError(t, os.WriteFile(f.Key, pair.Key, 0o600))
	c, err := rpc.NewTLS(f)
	require.NoError(t, err)
	r, err := rpc.NewServer("127.0.0.1:0", c, hclog.NewNullLogger())
	require.NoError(t, err)
	pool := rpc.NewPool(c)
	t.Cleanup(func() { r.Close(); pool.Close() })
	return r, pool
}

type bytesFile struct{ *bytes.Reader }

func (bytesFile) Close() error { return nil }

// Hosts call each other also where each agent checks that the servers it calls have a server's certificate: images and disks come from clients.
func TestHostsCallEachOtherUnderTLS(t *testing.T) {
	t.Parallel()
	certs := newStrictTLS(t)
	server, _ := certs.agent(t, ca.Server)
	has, hasPool := certs.agent(t, ca.Client)
	_, pool := certs.agent(t, ca.Client)
	data := []byte("an image")
	a := New(Config{RPC: has, Pool: hasPool, Logger: hclog.NewNullLogger(), OpenImage: func(string) (io.ReadSeekCloser, int64, error) {
		return bytesFile{bytes.NewReader(data)}, int64(len(data)), nil
	}}, "session")
	t.Cleanup(func() { a.Close(false) })
	addr := has.Addr().String()
	rpc.HandleStream(server, "Blob.Read", rpc.AnyAgent, func(_ context.Context, st rpc.Stream) error {
		return st.Send(&structs.BlobChunk{Busy: true, Hosts: []string{addr}})
	})
	go server.Serve()
	go has.Serve()

	f := &ImageFetcher{Pool: pool, Servers: func() []string { return []string{server.Addr().String()} }}
	s, err := f.Fetch(t.Context(), imagecache.Ask{Size: int64(len(data)), Offset: 3})
	require.NoError(t, err)
	require.Equal(t, addr, s.From)
	got, err := io.ReadAll(s)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, "image", string(got))

	b := &Client{cfg: Config{Pool: pool}}
	err = b.fetchDisks(t.Context(), addr, structs.DisksRequest{HostID: "nobody"}, t.TempDir())
	require.True(t, structs.IsKind(err, structs.KindNotFound), "it is asked: %v", err)
}
