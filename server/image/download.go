package image

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// download answers GET /v2/images/{image_id}/file, whole or a range of it; 204 when there is no data yet.
func (s *service) download(r *httpapi.Request) (any, error) {
	missing := noImage(imageID(r))
	i, err := seek(r, missing)
	if err != nil {
		return nil, err
	}
	if i.Status == structs.ImageDeactivated && !r.Token.IsAdmin() {
		if !mayShow(r, i) {
			return nil, missing
		}
		return nil, httpapi.Forbidden("The requested image has been deactivated. Image data download is forbidden.")
	}
	if err := judge(r, i, missing); err != nil {
		return nil, err
	}
	preferred, err := s.preferred(r, i)
	if err != nil {
		return nil, err
	}
	if !i.HasData() {
		return nil, nil
	}
	b := &blobReader{size: i.Size, open: func() (io.ReadCloser, int64, error) { return s.opts.Stores.Open(r.Context(), r.Core, i, preferred...) }}
	defer b.close()
	if err := b.reopen(); err != nil {
		if structs.IsKind(err, structs.KindNotFound) {
			return nil, structs.Errorf(structs.KindUnavailable, "No server that can be reached has the data of image %s now.", i.ID)
		}
		return nil, err
	}
	h := r.Writer.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-MD5", i.MD5)
	h.Set("Etag", `"`+i.SHA512+`"`)
	w := &rangeWriter{ResponseWriter: r.Writer}
	http.ServeContent(w, withoutEmptySuffixes(r.Request, i.Size), "", time.Time{}, b)
	if w.refused {
		return nil, w.notSatisfiable(i.Size)
	}
	return httpapi.Written, nil
}

// preferred are the stores that the caller would rather have the data from, which it has to be allowed to choose.
func (s *service) preferred(r *httpapi.Request, i *structs.Image) ([]string, error) {
	var ids []string
	for id := range strings.SplitSeq(r.Query().Get("prefer"), ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	if err := r.AllowTarget(ruleFromStore, target(r.Token, i)); err != nil {
		return nil, err
	}
	for _, id := range ids {
		if s.opts.Stores.Get(id) == nil {
			return nil, httpapi.BadRequest("Store '%s' is not configured.", id)
		}
	}
	return ids, nil
}

// blobReader is a blob that can be read from anywhere, also when it comes from another server as a stream: what lies before
// the place asked for is skipped, and to go back the stream is opened anew.
type blobReader struct {
	open func() (r io.ReadCloser, size int64, err error)
	size int64
	r    io.ReadCloser
	at   int64 // where r is
	want int64 // where the next Read is to begin
}

func (b *blobReader) close() {
	if b.r != nil {
		_ = b.r.Close()
		b.r = nil
	}
}

func (b *blobReader) reopen() error {
	b.close()
	r, size, err := b.open()
	if err != nil {
		return err
	}
	b.r, b.at = r, 0
	if size >= 0 && size != b.size {
		return structs.Errorf(structs.KindUnavailable, "the stored data has %d bytes and should have %d", size, b.size)
	}
	return nil
}

// Seek only notes the place.
func (b *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.want
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 {
		return 0, errors.New("image data: seek before the start")
	}
	b.want = offset
	return offset, nil
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.want >= b.size {
		return 0, io.EOF
	}
	if err := b.move(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	b.at += int64(n)
	b.want = b.at
	return n, err
}

// move brings r to where the next Read is to begin.
func (b *blobReader) move() error {
	if b.at == b.want {
		return nil
	}
	if s, ok := b.r.(io.Seeker); ok {
		at, err := s.Seek(b.want, io.SeekStart)
		b.at = at
		return err
	}
	if b.want < b.at {
		if err := b.reopen(); err != nil {
			return err
		}
	}
	n, err := io.CopyN(io.Discard, b.r, b.want-b.at)
	b.at += n
	return err
}
