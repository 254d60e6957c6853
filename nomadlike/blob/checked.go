package blob

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Checked reads a blob. Who reads it from its first byte to its last gets the last ones only when the whole is what was stored; a blob that the disk has damaged is
// removed then, for the server to copy it from another one. One goroutine uses it at a time.
//
// What disks do to bytes a CRC-32C shows, which costs next to nothing; a SHA-512 is slower than a network is. So the CRC that a blob had when it was stored lies beside
// it, and the SHA-512 is asked where there is none, or where it does not fit.
type Checked struct {
	store *Store
	sha   string
	f     *os.File
	size  int64
	at    int64       // where the next Read is
	have  int64       // how many of the first bytes are in the sums
	crc   hash.Hash32 // of them
	want  uint32      // the blob's, unless
	sum   hash.Hash   // is there, which says what has to be
}

// OpenChecked is Open for bytes that nobody checks later.
func (s *Store) OpenChecked(sha string) (*Checked, int64, error) {
	c, size, err := s.openSure(sha)
	if err != nil {
		return nil, 0, err
	}
	if crc, ok := s.readCRC(sha); ok {
		c.want, c.sum = crc, nil
	}
	return c, size, nil
}

// openSure is OpenChecked that trusts nothing but the blob's name.
func (s *Store) openSure(sha string) (*Checked, int64, error) {
	f, size, err := s.Open(sha)
	if err != nil {
		return nil, 0, err
	}
	return &Checked{store: s, sha: sha, f: f, size: size, crc: crc32.New(castagnoli), sum: sha512.New()}, size, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Read implements io.Reader. KindUnavailable: the bytes are damaged.
func (c *Checked) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	if c.at == c.have {
		_, _ = c.crc.Write(p[:n]) // hashes never fail
		if c.sum != nil {
			_, _ = c.sum.Write(p[:n])
		}
		c.have += int64(n)
	}
	c.at += int64(n)
	whole := c.at == c.have && (c.have == c.size && n > 0 || errors.Is(err, io.EOF))
	if whole {
		if damaged := c.judge(); damaged != nil {
			return 0, damaged
		}
	}
	return n, err
}

// judge says whether all that was read is the blob.
func (c *Checked) judge() error {
	switch {
	case c.sum == nil && c.crc.Sum32() == c.want:
		return nil
	case c.sum == nil: // it is the blob that is damaged, or what lies beside it
		return c.store.Verify(context.Background(), c.sha, 0)
	case hex.EncodeToString(c.sum.Sum(nil)) != c.sha:
		return c.store.damaged(c.sha, c.size)
	}
	c.store.writeCRC(c.sha, c.crc.Sum32())
	return nil
}

// ReadAt implements io.ReaderAt; it checks nothing.
func (c *Checked) ReadAt(p []byte, off int64) (int, error) { return c.f.ReadAt(p, off) }

// Seek implements io.Seeker. Bytes that are left out make the rest unchecked.
func (c *Checked) Seek(offset int64, whence int) (int64, error) {
	at, err := c.f.Seek(offset, whence)
	if err == nil {
		c.at = at
	}
	return at, err
}

// Close implements io.Closer.
func (c *Checked) Close() error { return c.f.Close() }

// damaged removes a blob and returns what its reader is told.
func (s *Store) damaged(sha string, size int64) error {
	s.log.Error("image data is damaged on this server's disk; removed", "sha512", sha, "bytes", size)
	if err := s.Delete(sha); err != nil {
		return err
	}
	return structs.Errorf(structs.KindUnavailable, "image data %s was damaged on this server's disk and is removed", sha)
}

// Verify reads the blob, at no more than rate bytes in a second unless that is 0, and compares it with its name. A blob that the disk has damaged is removed, so that it
// can be fetched again from another server, and reported as KindUnavailable; a missing one is KindNotFound.
func (s *Store) Verify(ctx context.Context, sha string, rate int64) error {
	c, _, err := s.openSure(sha)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, &paced{contextReader{ctx, c}, ctx, rate, time.Now(), 0}, make([]byte, 256<<10))
	if errors.Is(err, ctx.Err()) || structs.IsKind(err, structs.KindUnavailable) || err == nil {
		return err
	}
	return s.damaged(sha, c.size) // the disk does not give it back
}

// paced reads no faster than a rate.
type paced struct {
	r     io.Reader
	ctx   context.Context
	rate  int64
	began time.Time
	n     int64
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.n += int64(n); p.rate <= 0 || err != nil {
		return n, err
	}
	if wait := ahead(p.n, p.rate, time.Since(p.began)); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.ctx.Done():
			return n, p.ctx.Err()
		}
	}
	return n, nil
}

// ahead is how much sooner than at its rate somebody has read so many bytes in that time.
func ahead(n, rate int64, passed time.Duration) time.Duration {
	return time.Duration(float64(n)/float64(rate)*float64(time.Second)) - passed
}

// crcSuffix names the file beside a blob that has its CRC-32C, 8 hexadecimal digits. What was lost or torn with a machine is as if it was never there.
const crcSuffix = ".crc32c"

func (s *Store) readCRC(sha string) (uint32, bool) {
	b, err := os.ReadFile(s.path(sha) + crcSuffix)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 16, 32)
	return uint32(n), err == nil
}

// writeCRC keeps a blob's CRC. Without it the next reader computes the SHA-512, so that a failure is none.
func (s *Store) writeCRC(sha string, crc uint32) {
	if old, ok := s.readCRC(sha); ok && old == crc {
		return
	}
	staged := filepath.Join(s.dir, stagingFolder, nomadlike.NewUUID())
	err := os.WriteFile(staged, fmt.Appendf(nil, "%08x", crc), 0o600)
	if err == nil {
		err = os.Rename(staged, s.path(sha)+crcSuffix)
	}
	if err != nil {
		_ = os.Remove(staged)
		s.log.Warn("cannot keep the checksum of image data", "sha512", sha, "error", err)
	}
}
