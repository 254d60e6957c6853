package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/client/imagecache"
	"github.com/kilonova-cloud/kilonova/nomadlike/blobstream"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	// imageReaders is how many hosts at once get images from this one.
	imageReaders = 4
	// serverPatience bounds how long a server may take until its first bytes come; hostsPatience bounds the same of all the hosts together that a server named.
	serverPatience, hostsPatience = 30 * time.Second, 5 * time.Second
	// tellPatience bounds how long a server may take to hear of an image that was fetched.
	tellPatience = 5 * time.Second
)

// readImage is Client.ReadImage: another host reads an image's bytes that this machine has.
func (c *Client) readImage(_ context.Context, st rpc.Stream) error {
	var req structs.BlobRequest
	if err := st.Recv(&req); err != nil {
		return err
	}
	if c.cfg.OpenImage == nil {
		return structs.Errorf(structs.KindNotFound, "this client keeps no images")
	}
	select {
	case c.imageReads <- struct{}{}:
		defer func() { <-c.imageReads }()
	default:
		return st.Send(&structs.BlobChunk{Busy: true})
	}
	r, size, err := c.cfg.OpenImage(req.SHA512)
	if err != nil {
		return err
	}
	defer r.Close()
	return blobstream.Send(st, r, size, req.Offset, nil)
}

// ImageFetched has the servers told that other hosts can read an image here. It does not wait; when too many are on their way it is left out.
func (c *Client) ImageFetched(sha512 string) {
	if c.cfg.OpenImage == nil {
		return
	}
	select {
	case c.fetched <- sha512:
	default:
	}
}

// tellFetched tells every server, for each sends hosts to others from its own memory. What does not arrive is not repeated: hosts go to the servers then.
func (c *Client) tellFetched(ctx context.Context) {
	for {
		var req structs.BlobFetchedRequest
		select {
		case req.SHA512 = <-c.fetched:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		for id, h := range c.hosts { // all of them answer at one address
			if e := h.currentEpoch(); e != 0 {
				req.HostID, req.Epoch = id, e
				break
			}
		}
		c.mu.Unlock()
		if req.Epoch == 0 {
			continue
		}
		tctx, cancel := context.WithTimeout(ctx, tellPatience)
		var wg sync.WaitGroup
		for _, addr := range c.cfg.Servers() {
			wg.Go(func() {
				if _, err := rpc.Call[structs.Ack](tctx, c.cfg.Pool, addr, "Blob.Fetched", &req); err != nil {
					c.logger.Debug("a server did not hear of an image that is here", "server", addr, "sha512", req.SHA512, "error", err)
				}
			})
		}
		wg.Wait()
		cancel()
	}
}

// ImageFetcher reads images' bytes for a host's cache: from servers, and from the hosts that servers name when they send an image to several hosts already.
type ImageFetcher struct {
	Pool    *rpc.Pool
	Servers func() []string // RPC addresses of living servers
	Self    string          // this agent's RPC address, of which the server, if it is one, is asked first
}

// Fetch is imagecache.Config.Fetch. A host is asked only when a server named its address, and no more in a fetch when its stream broke off; what fails there is had from a server. Whether the bytes are
// right is for the cache to say: the second time that it asks it gets them from servers alone.
func (f *ImageFetcher) Fetch(ctx context.Context, ask imagecache.Ask) (*imagecache.Stream, error) {
	r := &round{f: f, ask: ask, tried: append([]string{f.Self}, ask.Avoid...), without: slices.Clone(ask.Avoid)}
	err := error(structs.Errorf(structs.KindUnavailable, "no server is known to fetch images from"))
	busy := false
	for _, addr := range f.servers() {
		s, serr := r.from(ctx, addr)
		if serr == nil {
			return s, nil
		}
		busy, err = busy || errors.Is(serr, imagecache.ErrBusy), serr
	}
	if busy {
		return nil, imagecache.ErrBusy
	}
	return nil, err
}

// servers are the living servers in an order of chance, so that hosts that begin together do not all ask the same one; this agent's own comes first.
func (f *ImageFetcher) servers() []string {
	out := slices.Clone(f.Servers())
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	if i := slices.Index(out, f.Self); i > 0 {
		out[0], out[i] = out[i], out[0]
	}
	return out
}

// round is one search for somebody who sends.
type round struct {
	f        *ImageFetcher
	ask      imagecache.Ask
	tried    []string // hosts that are not asked (again)
	without  []string // hosts that have turned out not to have the bytes
	hostBusy bool     // some host may have time a little later
}

// from asks one server, and the hosts that it names. ErrBusy when there is somebody who may have time later.
func (r *round) from(ctx context.Context, server string) (*imagecache.Stream, error) {
	for noHosts := r.ask.Sure; ; noHosts = true {
		req := &structs.BlobRequest{SHA512: r.ask.SHA512, Offset: r.ask.Offset, Host: true, NoHosts: noHosts, Sure: r.ask.Sure, Without: r.without}
		pctx, opened, cancel := patient(ctx, serverPatience)
		s, err := blobstream.Open(pctx, r.f.Pool, server, "Blob.Read", req)
		if err == nil {
			opened()
			return &imagecache.Stream{ReadCloser: closer{s, cancel}, Size: s.Size}, nil
		}
		cancel()
		var b *blobstream.Busy
		if !errors.As(err, &b) {
			return nil, err
		}
		if noHosts || len(b.Hosts) == 0 {
			return nil, imagecache.ErrBusy
		}
		if s := r.fromHosts(ctx, b.Hosts); s != nil {
			return s, nil
		}
		if r.hostBusy || ctx.Err() != nil {
			return nil, imagecache.ErrBusy
		}
	}
}

// fromHosts asks hosts in turn; nil when none sends.
func (r *round) fromHosts(ctx context.Context, addrs []string) *imagecache.Stream {
	pctx, opened, cancel := patient(ctx, hostsPatience)
	for _, addr := range addrs {
		if slices.Contains(r.tried, addr) {
			continue
		}
		r.tried = append(r.tried, addr)
		s, err := blobstream.Open(pctx, r.f.Pool.Clients(), addr, "Client.ReadImage", &structs.BlobRequest{SHA512: r.ask.SHA512, Offset: r.ask.Offset})
		var b *blobstream.Busy
		switch {
		case err == nil && s.Size == r.ask.Size:
			opened()
			return &imagecache.Stream{ReadCloser: closer{s, cancel}, Size: s.Size, From: addr}
		case err == nil:
			_ = s.Close()
			r.without = append(r.without, addr)
		case errors.As(err, &b):
			r.hostBusy = true
		case structs.IsKind(err, structs.KindNotFound):
			r.without = append(r.without, addr)
		}
	}
	cancel()
	return nil
}

// patient returns a context that ends with cancel, and after d unless opened is called before.
func patient(ctx context.Context, d time.Duration) (_ context.Context, opened func(), cancel context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	t := time.AfterFunc(d, end)
	return ctx, func() { t.Stop() }, func() { t.Stop(); end() }
}

// closer ends a stream and its context.
type closer struct {
	*blobstream.Reader
	cancel context.CancelFunc
}

func (c closer) Close() error {
	defer c.cancel()
	return c.Reader.Close()
}
