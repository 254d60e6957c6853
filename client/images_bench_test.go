package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/client/imagecache"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	benchImage  = 8 << 20
	benchUplink = 16 << 20 // bytes in a second that each agent can send
)

// uplink is an agent's line to its network: all that it sends shares the rate.
type uplink struct {
	mu   sync.Mutex
	next time.Time
}

func (u *uplink) sent(n int) {
	u.mu.Lock()
	if now := time.Now(); u.next.Before(now) {
		u.next = now
	}
	u.next = u.next.Add(time.Duration(n) * time.Second / benchUplink)
	wait := time.Until(u.next)
	u.mu.Unlock()
	if wait > 5*time.Millisecond {
		<-time.After(wait)
	}
}

// uplinks are those of all agents, by address.
type uplinks struct{ of sync.Map }

// dial connects to an agent and reads no faster than that sends.
func (l *uplinks) dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	u, _ := l.of.LoadOrStore(addr, &uplink{})
	return &slowConn{c, u.(*uplink)}, nil
}

type slowConn struct {
	net.Conn
	from *uplink
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.from.sent(n)
	return n, err
}

// benchServers starts a cluster of n servers and returns their addresses and one of them.
func benchServers(b *testing.B, n int) (addrs []string, srv *cluster.Server) {
	var join []string
	for i := range n {
		id := fmt.Sprint("server-", i)
		r, err := rpc.NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
		require.NoError(b, err)
		addr, pool := r.Addr().String(), rpc.NewPool(nil)
		pool.SetLocal(addr, r)
		s, err := cluster.NewServer(cluster.Config{ID: structs.ServerID(id), Name: id, Region: "RegionOne", DataDir: b.TempDir(), BootstrapExpect: n, Advertise: addr,
			LeaseTTL: time.Hour, TokenTTL: time.Hour, KeepFinished: time.Hour, Logger: hclog.NewNullLogger()}, r, pool)
		require.NoError(b, err)
		go r.Serve()
		serf := "127.0.0.1:" + freePort(b)
		g, err := gossip.New(gossip.Config{NodeName: id, BindAddr: serf, Local: true, Logger: hclog.NewNullLogger(),
			Tags: gossip.Tags{Role: "server", ID: id, Region: "RegionOne", RPCAddr: addr, Expect: n}})
		require.NoError(b, err)
		s.Start(g)
		if join != nil {
			_, err = g.Join(join)
			require.NoError(b, err)
		}
		join, addrs, srv = []string{serf}, append(addrs, addr), s
		b.Cleanup(func() {
			_ = g.Close()
			r.Close()
			_ = s.Close(false)
			pool.Close()
		})
	}
	eventually(b, "a leader", func() bool { _, err := srv.Read(b.Context()); return err == nil })
	return addrs, srv
}

// benchHost is a registered host that does nothing but fetch images.
type benchHost struct {
	cache *imagecache.Cache
	pool  *rpc.Pool
}

func newBenchHost(b *testing.B, i int, servers []string, lines *uplinks, peers bool, fromServers *atomic.Int64) *benchHost {
	r, err := rpc.NewServer("127.0.0.1:0", nil, hclog.NewNullLogger())
	require.NoError(b, err)
	h := &benchHost{pool: rpc.NewPool(nil)}
	h.pool.SetDialer(lines.dial)
	c := New(Config{RPC: r, Pool: h.pool, Servers: func() []string { return servers }, Advertise: r.Addr().String(), Logger: hclog.NewNullLogger()}, nomadlike.NewUUID())
	f := &ImageFetcher{Pool: h.pool, Servers: c.cfg.Servers, Self: c.cfg.Advertise}
	fetch := f.Fetch
	if !peers {
		fetch = func(ctx context.Context, ask imagecache.Ask) (*imagecache.Stream, error) {
			r, size, err := cluster.OpenBlob(ctx, h.pool, f.servers()[0], structs.BlobRequest{SHA512: ask.SHA512, Offset: ask.Offset})
			return &imagecache.Stream{ReadCloser: r, Size: size}, err
		}
	}
	h.cache, err = imagecache.New(imagecache.Config{Dir: b.TempDir(), Fetched: c.ImageFetched, Fetch: func(ctx context.Context, ask imagecache.Ask) (*imagecache.Stream, error) {
		s, err := fetch(ctx, ask)
		if err == nil && s.From == "" {
			s.ReadCloser = counted{s.ReadCloser, fromServers}
		}
		return s, err
	}})
	require.NoError(b, err)
	c.cfg.OpenImage = h.cache.OpenOrigin
	go r.Serve()
	id := structs.HostID(nomadlike.NewUUID())
	reg, err := rpc.Call[structs.HostRegisterResponse](b.Context(), h.pool, servers[0], "Host.Register", &structs.HostRegisterRequest{Host: structs.Host{ID: id, Name: fmt.Sprint("host-", i),
		Zone: "nova", Session: c.session, DriverHealthy: true, RPCAddr: c.cfg.Advertise}})
	require.NoError(b, err)
	c.hosts[id] = &Host{c: c, epoch: reg.Host.Epoch}
	c.goRun(c.ctx, c.tellFetched)
	b.Cleanup(func() { c.cancel(); c.wg.Wait(); r.Close(); h.pool.Close() })
	return h
}

// counted counts what is read.
type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// BenchmarkHundredHosts has hosts fetch one image at the same moment from three servers, and from each other. Every agent's line carries 16 MiB in a second.
func BenchmarkHundredHosts(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		for _, peers := range []bool{false, true} {
			name := fmt.Sprintf("%d/servers", n)
			if peers {
				name = fmt.Sprintf("%d/hosts", n)
			}
			b.Run(name, func(b *testing.B) { benchHosts(b, n, peers) })
		}
	}
}

func benchHosts(b *testing.B, n int, peers bool) {
	servers, srv := benchServers(b, 3)
	var fromServers atomic.Int64
	lines := &uplinks{}
	var hosts []*benchHost
	for i := range n {
		hosts = append(hosts, newBenchHost(b, i, servers, lines, peers, &fromServers))
	}
	b.SetBytes(int64(n) * benchImage)
	for b.Loop() {
		b.StopTimer()
		img := benchImageOn(b, srv, servers, hosts[0].pool)
		b.StartTimer()
		var wg sync.WaitGroup
		for _, h := range hosts {
			wg.Go(func() {
				e, err := h.cache.Get(b.Context(), img, []string{"raw"})
				if err != nil {
					b.Error(err)
					return
				}
				defer e.Release()
			})
		}
		wg.Wait()
		b.StopTimer()
		for _, h := range hosts {
			if _, err := h.cache.Prune(nil, 0, 0); err != nil {
				b.Error(err)
			}
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(fromServers.Load())/float64(b.N)/float64(n)/(1<<20), "serverMiB/host")
}

// benchImageOn makes an image that all servers have.
func benchImageOn(b *testing.B, srv *cluster.Server, servers []string, pool *rpc.Pool) imagecache.Image {
	ctx := b.Context()
	w, err := srv.Blobs().Create(ctx)
	require.NoError(b, err)
	_, err = io.CopyN(w, rand.Reader, benchImage)
	require.NoError(b, err)
	sums, err := w.Commit()
	require.NoError(b, err)
	img := structs.Image{ID: structs.ImageID(nomadlike.NewUUID()), Status: structs.ImageActive, DiskFormat: "raw", ContainerFormat: "bare", Size: sums.Size, SHA512: sums.SHA512}
	_, err = fsm.ImageCreate.Propose(ctx, srv, &structs.ImageCreateRequest{Image: img})
	require.NoError(b, err)
	for _, addr := range servers {
		_, err := rpc.Call[structs.Ack](ctx, pool, addr, "Blob.Pull", &structs.BlobPullRequest{SHA512: sums.SHA512, From: servers[len(servers)-1]})
		require.NoError(b, err)
	}
	return imagecache.ImageOf(&img)
}
