package cluster

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/blobstream"
	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// blobs is the image store of the whole cluster as this server gives access to it: its own store, and through RPC the others'.
type blobs struct {
	s     *Server
	store *blob.Store
	tmp   string // the store's folder when the server has no data directory
	pulls sync.Map
	lost  chan struct{} // wakes repairLoop

	sure    singleflight.Group // by SHA-512
	checked sync.Map           // SHA-512 -> when it was last found whole, of those that a host asked to be sure of

	handout handout
}

func newBlobs(s *Server) (*blobs, error) {
	b := &blobs{s: s, lost: make(chan struct{}, 1)}
	dir := filepath.Join(s.cfg.DataDir, "images")
	if s.cfg.DataDir == "" {
		tmp, err := os.MkdirTemp("", "kilonova-images-")
		if err != nil {
			return nil, err
		}
		b.tmp, dir = tmp, tmp
	}
	var err error
	b.store, err = blob.Open(dir, s.cfg.Logger)
	return b, err
}

func (b *blobs) close() {
	if b.tmp != "" {
		_ = os.RemoveAll(b.tmp)
	}
}

// Create stages a blob here.
func (b *blobs) Create(ctx context.Context) (nomadlike.BlobWriter, error) {
	return blob.Single{Store: b.store}.Create(ctx)
}

// Open reads a blob from here, from another server that has it, or from a store of images that has it.
func (b *blobs) Open(ctx context.Context, sha512 string) (io.ReadCloser, int64, error) {
	return b.open(ctx, &structs.BlobRequest{SHA512: sha512})
}

// open is Open for who asks so. A host checks what it gets; for others, and for a host that got what was damaged, this server does.
func (b *blobs) open(ctx context.Context, req *structs.BlobRequest) (io.ReadCloser, int64, error) {
	r, size, err := b.openHere(ctx, req)
	if err == nil || req.Local || !structs.IsKind(err, structs.KindNotFound) {
		return r, size, err
	}
	for _, m := range b.others() {
		r, size, rerr := OpenBlob(ctx, b.s.pool, m, structs.BlobRequest{SHA512: req.SHA512, Local: true, Sure: req.Sure})
		if rerr == nil {
			return r, size, nil
		}
	}
	return b.openElsewhere(ctx, req.SHA512, err)
}

func (b *blobs) openHere(ctx context.Context, req *structs.BlobRequest) (io.ReadCloser, int64, error) {
	if req.Sure {
		if err := b.makeSure(ctx, req.SHA512); err != nil {
			return nil, 0, err
		}
	}
	if req.Host || req.Sure {
		f, size, err := b.store.Open(req.SHA512)
		if err != nil {
			return nil, 0, err
		}
		return f, size, nil
	}
	f, size, err := b.store.OpenChecked(req.SHA512)
	if err != nil {
		return nil, 0, err
	}
	return f, size, nil
}

// openElsewhere reads the bytes from a store that is not the servers'. Without one that should have them the error is otherwise.
func (b *blobs) openElsewhere(ctx context.Context, sha512 string, otherwise error) (io.ReadCloser, int64, error) {
	if b.s.cfg.ImageSource == nil {
		return nil, 0, otherwise
	}
	for i := range b.s.store.Snapshot().ImagesByBytes(sha512) {
		if slices.ContainsFunc(i.StoreIDs(), func(id string) bool { return id != structs.StoreServers }) {
			return b.s.cfg.ImageSource(ctx, i)
		}
	}
	return nil, 0, otherwise
}

// others are the RPC addresses of the other living servers.
func (b *blobs) others() []string {
	var out []string
	for _, m := range b.s.gossip.Servers() {
		if m.Tags.ID != string(b.s.cfg.ID) && m.Tags.Region == b.s.cfg.Region {
			out = append(out, m.Tags.RPCAddr)
		}
	}
	return out
}

// Spread makes other servers pull the blob until most servers of the cluster have it, or as many as are to keep it. Its keepers come first; where they cannot be reached
// others take it, until repair has brought it to its keepers.
func (b *blobs) Spread(ctx context.Context, sha512 string) ([]structs.ServerID, error) {
	peers, err := b.s.node.Peers()
	if err != nil {
		return nil, err
	}
	keepers := b.keepers(sha512, peers)
	slices.SortStableFunc(peers, func(x, y consensus.Peer) int {
		return cmp.Compare(rank(slices.Contains(keepers, x.ID)), rank(slices.Contains(keepers, y.ID)))
	})
	have := []structs.ServerID{b.s.cfg.ID}
	need := min(len(peers)/2+1, len(keepers))
	var lastErr error
	for _, p := range peers {
		if len(have) >= need {
			break
		}
		if p.ID == b.s.cfg.ID {
			continue
		}
		_, err := rpc.Call[structs.Ack](ctx, b.s.pool, p.Addr, "Blob.Pull", &structs.BlobPullRequest{SHA512: sha512, From: b.s.cfg.Advertise})
		if err != nil {
			lastErr = err
			continue
		}
		have = append(have, p.ID)
	}
	if len(have) < need {
		return have, structs.Errorf(structs.KindUnavailable, "only %d of the %d servers that must hold an image's bytes have them: %w", len(have), need, lastErr)
	}
	return have, nil
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

// keepers are the peers that keep a blob.
func (b *blobs) keepers(sha512 string, peers []consensus.Peer) []structs.ServerID {
	ids := make([]structs.ServerID, len(peers))
	for i, p := range peers {
		ids[i] = p.ID
	}
	return blob.Keepers(sha512, ids, b.s.cfg.ImageCopies)
}

// pull fetches a blob from another server into this one's store; concurrent pulls of one blob are one.
func (b *blobs) pull(ctx context.Context, sha512, from string) error {
	if b.store.Keep(sha512) {
		return nil
	}
	mu, _ := b.pulls.LoadOrStore(sha512, &sync.Mutex{})
	mu.(*sync.Mutex).Lock()
	defer mu.(*sync.Mutex).Unlock()
	defer b.pulls.Delete(sha512)
	if b.store.Keep(sha512) {
		return nil
	}
	r, size, err := OpenBlob(ctx, b.s.pool, from, structs.BlobRequest{SHA512: sha512, Local: true})
	if err != nil {
		return err
	}
	defer r.Close()
	return b.store.Import(ctx, sha512, size, r)
}

func (b *blobs) rpcPull(ctx context.Context, req *structs.BlobPullRequest) (*structs.Ack, error) {
	return &structs.Ack{}, b.pull(ctx, req.SHA512, req.From)
}

// blobChunk is how much of an upload travels in one message.
const blobChunk = blobstream.Chunk

// rpcRead is Blob.Read. A host that asks may be sent to other hosts, or be asked to come again.
func (b *blobs) rpcRead(ctx context.Context, stream rpc.Stream) error {
	var req structs.BlobRequest
	if err := stream.Recv(&req); err != nil {
		return err
	}
	var sent func(n int)
	if req.Host {
		s, hosts := b.handout.admit(&req, b.hostAddr)
		if s == nil {
			return stream.Send(&structs.BlobChunk{Busy: true, Hosts: hosts})
		}
		defer b.handout.end(s)
		sent = s.sent
	}
	r, size, err := b.open(ctx, &req)
	if err != nil {
		return err
	}
	defer r.Close()
	return blobstream.Send(stream, r, size, req.Offset, sent)
}

// OpenBlob reads a blob from the server at addr, from req.Offset on. size is the whole blob's.
func OpenBlob(ctx context.Context, pool *rpc.Pool, addr string, req structs.BlobRequest) (r io.ReadCloser, size int64, err error) {
	br, err := blobstream.Open(ctx, pool, addr, "Blob.Read", &req)
	if err != nil {
		return nil, 0, err
	}
	return br, br.Size, nil
}
