// Package blobstream carries a blob's bytes over an RPC stream, from servers to servers and hosts and from host to host.
//
// The caller sends a structs.BlobRequest, the other side answers with structs.BlobChunks, of which the first says how large the whole is, or that the bytes
// are to be had elsewhere.
package blobstream

import (
	"context"
	"errors"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Chunk is how many bytes travel in one message.
const Chunk = 256 << 10

// Busy is Open's error when the other side has no time for the caller now. It is KindUnavailable.
type Busy struct {
	// Hosts are RPC addresses of hosts that may have the bytes.
	Hosts []string
}

var errBusy = structs.Errorf(structs.KindUnavailable, "it sends these bytes to as many as it can already")

// Error implements error.
func (b *Busy) Error() string { return errBusy.Error() }

// Unwrap gives the error its kind.
func (b *Busy) Unwrap() error { return errBusy }

// Send answers a request that was received: it sends r, the bytes of a blob of that size, from offset on. sent hears of each piece; nil is nobody. A caller that goes away is no
// error, and ends it.
func Send(st rpc.Stream, r io.Reader, size, offset int64, sent func(n int)) error {
	if offset > 0 {
		if err := skip(r, offset); err != nil {
			return structs.Errorf(structs.KindInvalid, "cannot read from offset %d: %w", offset, err)
		}
	}
	for first := true; ; first = false {
		buf := make([]byte, Chunk) // sent values are constant, so each chunk has its own
		n, rerr := io.ReadFull(r, buf)
		if n > 0 || first {
			if err := st.Send(&structs.BlobChunk{Size: size, Data: buf[:n]}); err != nil {
				return nil
			}
			if sent != nil {
				sent(n)
			}
		}
		if errors.Is(rerr, io.EOF) || errors.Is(rerr, io.ErrUnexpectedEOF) {
			return nil
		}
		if rerr != nil {
			return rerr
		}
	}
}

func skip(r io.Reader, n int64) error {
	if s, ok := r.(io.Seeker); ok {
		_, err := s.Seek(n, io.SeekStart)
		return err
	}
	_, err := io.CopyN(io.Discard, r, n)
	return err
}

// Reader is a blob's bytes from the offset on that was asked for.
type Reader struct {
	Size int64 // of the whole blob
	st   rpc.Stream
	buf  []byte
}

// Open asks the agent at addr by a method that answers with Send. The stream ends with ctx at the latest.
func Open(ctx context.Context, pool *rpc.Pool, addr, method string, req *structs.BlobRequest) (*Reader, error) {
	st, err := pool.OpenStream(ctx, addr, method)
	if err != nil {
		return nil, err
	}
	var first structs.BlobChunk
	if err = st.Send(req); err == nil {
		err = st.Recv(&first)
	}
	if err == nil && first.Busy {
		err = &Busy{Hosts: first.Hosts}
	}
	if err != nil {
		st.Close()
		return nil, err
	}
	return &Reader{Size: first.Size, st: st, buf: first.Data}, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		var c structs.BlobChunk
		if err := r.st.Recv(&c); err != nil {
			return 0, err
		}
		r.buf = c.Data
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}

// Close ends the stream; a Read that waits returns.
func (r *Reader) Close() error { r.st.Close(); return nil }
