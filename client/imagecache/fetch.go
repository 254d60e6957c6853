package imagecache

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// fetch brings an image's bytes under their final name. What an earlier try left is continued; when the whole then has not
// the right hash, it is fetched once more from the start, and only from where the bytes can be relied on.
func (c *Cache) fetch(ctx context.Context, img Image) error {
	part := c.partPath(img.SHA512)
	var err error
	ask := Ask{SHA512: img.SHA512, Size: img.Size}
	for range 2 {
		if c.whole(c.originPath(img.SHA512), img) {
			return nil
		}
		if err = c.fetchOnce(ctx, img, part, &ask); err == nil {
			return c.publish(part, c.originPath(img.SHA512))
		}
		if !errors.Is(err, errDamaged) {
			return err
		}
		c.log.Warn("an image arrived damaged", "image", img.ID, "sha512", img.SHA512, "error", err)
		if err := os.Remove(part); err != nil {
			return fmt.Errorf("image cache: %w", err)
		}
		ask.Sure = true
	}
	return err
}

// errDamaged marks bytes that are not the image's.
var errDamaged = errors.New("")

// download is one partial file on its way to be whole.
type download struct {
	cache *Cache
	img   Image
	file  *os.File
	hash  hash.Hash
	have  int64 // bytes in file and hash
	ask   *Ask  // of the whole fetch, of which this may be the second try
}

func (c *Cache) fetchOnce(ctx context.Context, img Image, part string, ask *Ask) error {
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644) // hypervisors run as other users
	if err != nil {
		return c.diskError(err)
	}
	defer func() { _ = f.Close() }()
	d := &download{cache: c, img: img, file: f, hash: sha512.New(), ask: ask}
	if err := d.resume(ctx); err != nil {
		return err
	}
	promise, err := c.promise(img.Size-d.have, "fetch image "+img.ID)
	if err != nil {
		return err
	}
	defer promise.end()
	if err := d.all(ctx, promise); err != nil {
		return err
	}
	if got := hex.EncodeToString(d.hash.Sum(nil)); got != img.SHA512 {
		return structs.Errorf(structs.KindUnavailable, "Image %s arrived damaged: its SHA-512 is %s and should be %s%w", img.ID, got, img.SHA512, errDamaged)
	}
	return c.diskErrorOrNil(f.Sync())
}

// resume takes up what the file has: it is hashed, and a file that is too long is started anew.
func (d *download) resume(ctx context.Context) error {
	n, err := io.Copy(d.hash, contextReader{ctx, d.file})
	if err != nil {
		return d.cache.diskError(err)
	}
	if n > d.img.Size {
		n = 0
		d.hash.Reset()
		if err := d.file.Truncate(0); err != nil {
			return d.cache.diskError(err)
		}
	}
	if _, err := d.file.Seek(n, io.SeekStart); err != nil {
		return d.cache.diskError(err)
	}
	if d.have = n; n > 0 {
		d.cache.log.Info("continuing to fetch an image", "image", d.img.ID, "from", n, "of", d.img.Size)
	}
	return nil
}

// all asks again for the rest whenever a stream breaks, until the source has brought nothing for too long.
func (d *download) all(ctx context.Context, p *promise) error {
	fruitless, pause := 0, d.cache.cfg.Backoff
	wait := pause // while the source is busy
	for d.have < d.img.Size {
		before := d.have
		err := d.stream(ctx, p)
		if err == nil {
			continue
		}
		if ctx.Err() == nil && errors.Is(err, ErrBusy) {
			if !sleep(ctx, wait/2+rand.N(wait)) { // many may wait for the same
				return ctx.Err()
			}
			wait = min(2*wait, 10*d.cache.cfg.Backoff)
			continue
		}
		var disk *diskFailure
		if ctx.Err() != nil || errors.As(err, &disk) || errors.Is(err, errDamaged) || !retriable(err) {
			return err
		}
		if d.have > before {
			fruitless, pause = 0, d.cache.cfg.Backoff
		}
		if fruitless++; fruitless >= d.cache.cfg.Attempts {
			return structs.Errorf(structs.KindUnavailable, "Image %s cannot be fetched: %d of %d bytes are here, and %d tries brought no more: %w",
				d.img.ID, d.have, d.img.Size, fruitless, err)
		}
		d.cache.log.Warn("fetching an image broke off; going on", "image", d.img.ID, "have", d.have, "of", d.img.Size, "error", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause *= 2
	}
	return nil
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retriable reports whether asking again may help.
func retriable(err error) bool {
	switch structs.KindOf(err) {
	case structs.KindForbidden, structs.KindInvalid, structs.KindUnauthorized, structs.KindNotSupported:
		return false
	}
	return true
}

// stream reads once from where the file ends.
func (d *download) stream(ctx context.Context, p *promise) error {
	d.ask.Offset = d.have
	r, err := d.cache.cfg.Fetch(ctx, *d.ask)
	if err != nil {
		return err
	}
	if r.From != "" {
		d.ask.Avoid = append(d.ask.Avoid, r.From)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.Close() })
	defer func() {
		if stop() {
			_ = r.Close()
		}
	}()
	if r.Size >= 0 && r.Size != d.img.Size {
		return structs.Errorf(structs.KindUnavailable, "Image %s has %d bytes where it comes from and should have %d%w", d.img.ID, r.Size, d.img.Size, errDamaged)
	}
	stalled := time.AfterFunc(d.cache.cfg.Stall, func() { _ = r.Close() })
	defer stalled.Stop()
	buf := make([]byte, 1<<20)
	for d.have < d.img.Size {
		stalled.Reset(d.cache.cfg.Stall)
		n, err := r.Read(buf[:min(int64(len(buf)), d.img.Size-d.have)])
		stalled.Stop()
		if n > 0 {
			if _, err := d.file.Write(buf[:n]); err != nil {
				return d.cache.diskError(err)
			}
			_, _ = d.hash.Write(buf[:n])
			d.have += int64(n)
			p.used(int64(n))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && d.have < d.img.Size {
			return fmt.Errorf("the stream broke off: %w", err)
		}
	}
	return nil
}

// publish gives a whole and synced file its name.
func (c *Cache) publish(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return c.diskError(err)
	}
	return c.diskErrorOrNil(syncFolder(filepath.Dir(to)))
}

// diskFailure is an error of this host's disk: another stream would not help.
type diskFailure struct{ err *structs.Error }

func (e *diskFailure) Error() string { return e.err.Message }
func (e *diskFailure) Unwrap() error { return e.err }

func (c *Cache) diskError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &diskFailure{structs.Errorf(structs.KindNoCapacity, "the disk of the image cache %s is full: %w", c.cfg.Dir, err)}
	}
	return &diskFailure{structs.Errorf(structs.KindInternal, "image cache: %w", err)}
}

func (c *Cache) diskErrorOrNil(err error) error {
	if err == nil {
		return nil
	}
	return c.diskError(err)
}

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
