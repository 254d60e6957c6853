package cluster

import (
	"context"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// rpcWrite takes the bytes of an image that a host made, spreads them and makes the image active. What breaks off before that leaves nothing; the host
// begins again.
func (b *blobs) rpcWrite(ctx context.Context, stream rpc.Stream) error {
	var req structs.BlobWriteRequest
	if err := stream.Recv(&req); err != nil {
		return err
	}
	r, err := b.s.Read(ctx)
	if err != nil {
		return err
	}
	if h := r.Host(req.HostID); h == nil || h.Epoch != req.Epoch {
		return structs.Errorf(structs.KindConflict, "host %s has a newer session", req.HostID)
	}
	img := r.Image(req.ImageID)
	switch {
	case img == nil || img.Status == structs.ImageDeleted:
		return structs.Errorf(structs.KindNotFound, "image %s was deleted meanwhile", req.ImageID)
	case img.Status == structs.ImageActive: // the answer to an earlier upload was lost
		return stream.Send(&structs.Ack{})
	}
	w, err := b.Create(ctx)
	if err != nil {
		return err
	}
	defer w.Abort()
	for left := req.Size; left > 0; {
		var c structs.BlobChunk
		if err := stream.Recv(&c); err != nil {
			return err
		}
		if left -= int64(len(c.Data)); left < 0 {
			return structs.Errorf(structs.KindInvalid, "more than the %d bytes that were announced", req.Size)
		}
		if _, err := w.Write(c.Data); err != nil {
			return structs.Errorf(structs.KindUnavailable, "cannot store the image: %w", err)
		}
	}
	sums, err := w.Commit()
	if err != nil {
		return err
	}
	servers, err := b.keep(ctx, img, req.DiskFormat, sums)
	if err != nil {
		return err
	}
	if _, err := fsm.ImageFinish.Propose(ctx, b.s, &structs.ImageFinishRequest{ID: req.ImageID, DiskFormat: req.DiskFormat, Size: sums.Size, VirtualSize: req.VirtualSize,
		SHA512: sums.SHA512, MD5: sums.MD5, Servers: servers, Now: now()}); err != nil {
		return err
	}
	return stream.Send(&structs.Ack{})
}

// keep brings an image's bytes to where they are to stay, and returns the servers that have them. Of an external image this server's copy goes by and by.
func (b *blobs) keep(ctx context.Context, img *structs.Image, format string, sums nomadlike.BlobSums) ([]structs.ServerID, error) {
	if !img.External {
		return b.Spread(ctx, sums.SHA512)
	}
	if b.s.cfg.ImageSink == nil {
		return nil, structs.Errorf(structs.KindNotSupported, "image %s belongs to an external Image service, which this server is not configured for", img.ID)
	}
	f, _, err := b.store.Open(sums.SHA512)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return nil, b.s.cfg.ImageSink(ctx, img, format, sums, f)
}

// WriteBlob uploads the bytes of an image to the server at addr. When it returns nil the image is active. r is not read any more when it returns.
func WriteBlob(ctx context.Context, pool *rpc.Pool, addr string, req structs.BlobWriteRequest, r io.Reader) error {
	st, err := pool.OpenStream(ctx, addr, "Blob.Write")
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		err := sendBlob(st, &req, r)
		if err != nil {
			st.Close() // or nobody would answer
		}
		sent <- err
	}()
	var ack structs.Ack
	answer := st.Recv(&ack) // perhaps before all is sent: it was refused, or is there already
	st.Close()
	if err := <-sent; err != nil && answer != nil && structs.IsKind(answer, structs.KindUnavailable) {
		return err
	}
	return answer
}

func sendBlob(st rpc.Stream, req *structs.BlobWriteRequest, r io.Reader) error {
	if err := st.Send(req); err != nil {
		return structs.Errorf(structs.KindUnavailable, "the upload broke off: %w", err)
	}
	for left := req.Size; left > 0; {
		buf := make([]byte, min(left, blobChunk)) // sent values are constant, so each chunk has its own
		if _, err := io.ReadFull(r, buf); err != nil {
			return structs.Errorf(structs.KindInternal, "cannot read the image's file: %w", err)
		}
		left -= int64(len(buf))
		if err := st.Send(&structs.BlobChunk{Data: buf}); err != nil {
			return structs.Errorf(structs.KindUnavailable, "the upload broke off: %w", err)
		}
	}
	return nil
}
