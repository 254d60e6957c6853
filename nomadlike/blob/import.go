package blob

import (
	"context"
	"io"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Import copies a blob from another server: it reads r to its end and makes the bytes visible only when they have that hash
// and, unless size is negative, that size in bytes. A blob that is there is success and r is not read. Bytes that are not
// what was promised are KindUnavailable (ask another server), a full disk is KindNoCapacity; nothing is left then.
func (s *Store) Import(ctx context.Context, sha string, size int64, r io.Reader) error {
	if !valid(sha) {
		return structs.Errorf(structs.KindInvalid, "%q is not a SHA-512 in 128 lower-case hexadecimal digits", sha)
	}
	if s.Keep(sha) {
		return nil
	}
	w, err := s.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	r = contextReader{ctx, r}
	if size >= 0 {
		r = io.LimitReader(r, size+1) // one more byte tells that there are too many, without taking them all
	}
	if _, err := io.Copy(w, r); err != nil {
		if w.err != nil || ctx.Err() != nil {
			return err
		}
		return structs.Errorf(structs.KindUnavailable, "the copy of image data %s broke off after %d bytes: %w", sha, w.size, err)
	}
	if size >= 0 && w.size != size {
		return structs.Errorf(structs.KindUnavailable, "the copy of image data %s has not the %d bytes that were promised", sha, size)
	}
	w.hashes.finish()
	if got := hexSum(w.hashes.sha512); got != sha {
		return structs.Errorf(structs.KindUnavailable, "the copy of image data %s arrived damaged: its SHA-512 is %s", sha, got)
	}
	_, err = w.Commit()
	return err
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
