package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/kilonova-cloud/kilonova/client/runner"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// diskChunk is how much of a disk travels in one message.
const diskChunk = 1 << 20

// serveDisks is Client.Disks: another host's client fetches what was exported here for a migration to it, and says when it no longer needs it.
func (c *Client) serveDisks(ctx context.Context, st rpc.Stream) error {
	var req structs.DisksRequest
	if err := st.Recv(&req); err != nil {
		return err
	}
	if _, err := c.hostOf(req.HostID); err != nil {
		return err
	}
	files, err := runner.Exported(c.cfg.Scratch, req.InstanceID, req.MigrationID)
	if req.Release && (err == nil || structs.IsKind(err, structs.KindNotFound)) {
		return errors.Join(runner.RemoveMoved(runner.ExportDir(c.cfg.Scratch, req.InstanceID, req.MigrationID)), st.Send(&structs.DiskChunk{}))
	}
	if err != nil {
		return err
	}
	for _, path := range files {
		if err := sendDisk(ctx, st, path); err != nil {
			return err
		}
	}
	return st.Send(&structs.DiskChunk{})
}

func sendDisk(ctx context.Context, st rpc.Stream, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return structs.Errorf(structs.KindInternal, "open an exported disk: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return structs.Errorf(structs.KindInternal, "open an exported disk: %w", err)
	}
	if err := st.Send(&structs.DiskChunk{Name: filepath.Base(path), Size: info.Size()}); err != nil {
		return err
	}
	sum := sha256.New()
	for ctx.Err() == nil {
		buf := make([]byte, diskChunk) // sent values are constant, so each chunk has its own
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			sum.Write(buf[:n])
			if err := st.Send(&structs.DiskChunk{Data: buf[:n]}); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return st.Send(&structs.DiskChunk{SHA256: hex.EncodeToString(sum.Sum(nil))})
		}
		if err != nil {
			return structs.Errorf(structs.KindInternal, "read an exported disk: %w", err)
		}
	}
	return ctx.Err()
}

// fetchDisks copies the disks that the host at addr has exported into dir, each verified. What an earlier try left is begun anew. With Release it
// tells the host that they are no longer needed.
func (c *Client) fetchDisks(ctx context.Context, addr string, req structs.DisksRequest, dir string) error {
	if addr == "" {
		return structs.Errorf(structs.KindUnavailable, "the host that has the disks is gone")
	}
	if req.Release {
		return c.withDisks(ctx, addr, req, func(st rpc.Stream) error { return st.Recv(new(structs.DiskChunk)) })
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	return c.withDisks(ctx, addr, req, func(st rpc.Stream) error { return receiveDisks(st, dir) })
}

func (c *Client) withDisks(ctx context.Context, addr string, req structs.DisksRequest, f func(rpc.Stream) error) error {
	st, err := c.cfg.Pool.Clients().OpenStream(ctx, addr, "Client.Disks")
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.Send(&req); err != nil {
		return structs.Errorf(structs.KindUnavailable, "ask %s for disks: %w", addr, err)
	}
	return f(st)
}

// incoming is the disk that is being received.
type incoming struct {
	f    *os.File
	sum  hash.Hash
	left int64
}

func receiveDisks(st rpc.Stream, dir string) (err error) {
	var in incoming
	defer func() {
		if in.f != nil {
			in.f.Close()
		}
	}()
	for {
		var c structs.DiskChunk
		if err := st.Recv(&c); err != nil {
			if err == io.EOF {
				return structs.Errorf(structs.KindUnavailable, "the disks broke off")
			}
			return err
		}
		switch {
		case c.Name != "":
			err = in.begin(dir, &c)
		case c.SHA256 != "":
			err = in.end(c.SHA256)
		case len(c.Data) > 0:
			err = in.write(c.Data)
		case in.f == nil:
			return nil
		default:
			err = structs.Errorf(structs.KindUnavailable, "a disk broke off")
		}
		if err != nil {
			return err
		}
	}
}

func (in *incoming) begin(dir string, c *structs.DiskChunk) (err error) {
	if in.f != nil || c.Name != filepath.Base(c.Name) || c.Name == ".." || c.Name == "." {
		return structs.Errorf(structs.KindInvalid, "%q is no disk's name", c.Name)
	}
	in.f, err = os.OpenFile(filepath.Join(dir, c.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	in.sum, in.left = sha256.New(), c.Size
	return err
}

func (in *incoming) write(b []byte) error {
	if in.f == nil || int64(len(b)) > in.left {
		return structs.Errorf(structs.KindInvalid, "more than the bytes that were announced")
	}
	in.left -= int64(len(b))
	in.sum.Write(b)
	if _, err := in.f.Write(b); err != nil {
		return structs.Errorf(structs.KindUnavailable, "cannot store a disk: %w", err)
	}
	return nil
}

func (in *incoming) end(sum string) error {
	if in.f == nil || in.left != 0 || hex.EncodeToString(in.sum.Sum(nil)) != sum {
		return structs.Errorf(structs.KindUnavailable, "a disk arrived damaged")
	}
	err := errors.Join(in.f.Sync(), in.f.Close())
	in.f = nil
	return err
}

// migrationProgress tells how far a live migration from here is.
func (c *Client) migrationProgress(_ context.Context, req *structs.MigrationProgressRequest) (*structs.MigrationProgress, error) {
	h, err := c.hostOf(req.HostID)
	if err != nil {
		return nil, err
	}
	if p := h.runner.Progress(req.InstanceID); p != nil {
		return p, nil
	}
	return &structs.MigrationProgress{}, nil
}
