package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/image/inspect"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

// uploads are those that this process receives: of these Recover keeps away.
var uploads sync.Map // uploadKey -> nil

type uploadKey struct {
	core nomadlike.Core
	id   structs.ImageID
}

// arrival is how data come with a request: to be stored, or staged for an import.
type arrival struct {
	to    structs.ImageStatus // saving or uploading
	store store.Store         // nil: staged
}

// upload answers PUT /v2/images/{image_id}/file.
func (s *service) upload(r *httpapi.Request) (any, error) {
	id := cmp.Or(r.Header.Get(storeHeader), s.opts.Stores.Default())
	st := s.opts.Stores.Get(id)
	if st == nil {
		return nil, refuse(r, httpapi.BadRequest("Unknown scheme '%s' found in URI", id))
	}
	return nil, refuse(r, s.take(r, arrival{structs.ImageSaving, st}))
}

// storeHeader names the store that data are for.
const storeHeader = "X-Image-Meta-Store"

// stage answers PUT /v2/images/{image_id}/stage. What is staged lies in the servers' store as data of images do: most servers have it when it is acknowledged.
func (s *service) stage(r *httpapi.Request) (any, error) {
	if !slices.Contains(s.opts.ImportMethods, structs.ImportDirect) {
		return nil, refuse(r, httpapi.NotFound("'glance-direct' method is not available at this site."))
	}
	return nil, refuse(r, s.take(r, arrival{to: structs.ImageUploading}))
}

// refuse takes what is refused to its end, for a while: most clients read an answer only when they have sent everything, and would see of a refusal no more
// than that the connection broke.
func refuse(r *httpapi.Request, err error) error {
	if err != nil && !structs.IsKind(err, structs.KindTimeout) && r.Header.Get("Expect") == "" { // who sends Expect is not sending yet, or reads while it does
		_ = http.NewResponseController(r.Writer).SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.Copy(io.Discard, r.Request.Body)
	}
	return err
}

// drainTime bounds how long the rest of a refused upload is taken.
const drainTime = 30 * time.Second

// take receives an image's data: queued → saving → active or queued → uploading, or back to queued with nothing left.
func (s *service) take(r *httpapi.Request, a arrival) error {
	size, err := s.announced(r)
	if err != nil {
		return err
	}
	i, err := find(r)
	if err != nil {
		return err
	}
	key := uploadKey{r.Core, i.ID}
	if _, busy := uploads.LoadOrStore(key, nil); busy {
		return transition(a.to, a.to)
	}
	defer uploads.Delete(key)
	server := r.Core.Cluster().ServerID
	if i, err = s.begin(r.Context(), r.Core, i.ID, size, server, a.to); err != nil {
		return err
	}
	began := time.Now()
	if err := s.receive(r, i, size, a.store); err != nil {
		s.log.Warn("an upload failed", "image", i.ID, "project", i.ProjectID, "request_id", r.RequestID, "error", err)
		s.takeBack(r, i.ID, server)
		return err
	}
	s.log.Info("an image was uploaded", "image", i.ID, "project", i.ProjectID, "took", time.Since(began), "request_id", r.RequestID)
	return nil
}

// announced checks the request's headers and returns how many bytes will come, -1 when it is not said.
func (s *service) announced(r *httpapi.Request) (int64, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/octet-stream" {
		return 0, httpapi.Statusf(http.StatusUnsupportedMediaType, "Image data is uploaded with the Content-Type application/octet-stream, not %q.", r.Header.Get("Content-Type"))
	}
	size := r.ContentLength
	if text := r.Header.Get("X-Openstack-Image-Size"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return 0, httpapi.BadRequest("Invalid or missing image size in request headers.")
		}
		if size >= 0 && n != size {
			return 0, httpapi.BadRequest("x-openstack-image-size says %d bytes, Content-Length says %d.", n, size)
		}
		size = n
	}
	if size > s.opts.MaxSize {
		return 0, tooLarge(s.opts.MaxSize)
	}
	return size, nil
}

func tooLarge(limit int64) error {
	return structs.Errorf(structs.KindTooLarge, "The incoming image is too large: the most is %d bytes.", limit)
}

func transition(from, to structs.ImageStatus) error {
	return httpapi.Conflict("Image status transition from %s to %s is not allowed", from, to)
}

// begin marks a queued image as being received by the server.
func (s *service) begin(ctx context.Context, core nomadlike.Core, id structs.ImageID, size int64, server structs.ServerID, to structs.ImageStatus) (*structs.Image, error) {
	return s.changeStored(ctx, core, id, size, func(i *structs.Image) error {
		if i.Status != structs.ImageQueued {
			return transition(i.Status, to)
		}
		switch {
		case to == structs.ImageUploading: // an import asks for the formats
		case i.DiskFormat == "" && i.ContainerFormat == "":
			return httpapi.BadRequest("Properties disk_format, container_format must be set prior to saving data.")
		case i.DiskFormat == "":
			return httpapi.BadRequest("Property disk_format must be set prior to saving data.")
		case i.ContainerFormat == "":
			return httpapi.BadRequest("Property container_format must be set prior to saving data.")
		}
		i.Status, i.Servers = to, []structs.ServerID{server}
		return nil
	})
}

// receiver is the server that receives an image's data, "" when the record does not say.
func receiver(i *structs.Image) structs.ServerID {
	if len(i.Servers) == 0 {
		return ""
	}
	return i.Servers[0]
}

// arriving reports whether data come to the image with a request.
func arriving(i *structs.Image) bool {
	return i.Status == structs.ImageSaving || i.Status == structs.ImageUploading && !i.Staged()
}

// mine reports whether an image is still being received by the server.
func mine(i *structs.Image, server structs.ServerID) bool {
	return arriving(i) && receiver(i) == server
}

// receive streams the body into a blob, looks at what it is, brings it to its store, and makes the image active. With no store it is staged for an import, which
// will look at it.
func (s *service) receive(r *httpapi.Request, i *structs.Image, size int64, st store.Store) error {
	ctx := r.Context()
	w, err := r.Core.Blobs().Create(ctx)
	if err != nil {
		return storeError(err)
	}
	defer w.Abort()
	got, err := s.copyBody(r, w, size)
	if err != nil {
		return err
	}
	if st == nil {
		return s.keepStaged(ctx, r.Core, i, w)
	}
	virtual, err := look(w.Path(), got, i)
	if err != nil {
		return err
	}
	sums, err := w.Commit()
	if err != nil {
		return storeError(err)
	}
	servers, err := st.Put(ctx, r.Core, sums)
	if err != nil {
		return storeError(err)
	}
	return s.activate(ctx, r.Core, i, sums, virtual, servers, st.Info().ID)
}

// keepStaged brings what was staged to most servers and writes what it is. That it stands already is success.
func (s *service) keepStaged(ctx context.Context, core nomadlike.Core, was *structs.Image, w nomadlike.BlobWriter) error {
	sums, err := w.Commit()
	if err != nil {
		return storeError(err)
	}
	servers, err := core.Blobs().Spread(ctx, sums.SHA512)
	if err != nil {
		return err
	}
	server := receiver(was)
	_, err = s.changeStored(ctx, core, was.ID, 0, func(i *structs.Image) error {
		switch {
		case i.Staged() && i.SHA512 == sums.SHA512:
			return errStands
		case !mine(i, server):
			return httpapi.Conflict("Image %s was taken from this upload: it is %s now.", i.ID, i.Status)
		}
		i.Servers = servers
		i.Size, i.SHA512, i.MD5 = sums.Size, sums.SHA512, sums.MD5
		return nil
	})
	return arrived(was.ID, err)
}

// arrived words what came of the last write of an upload.
func arrived(id structs.ImageID, err error) error {
	switch {
	case errors.Is(err, errStands):
		return nil
	case structs.IsKind(err, structs.KindNotFound):
		return httpapi.Statusf(http.StatusGone, "Image %s could not be found after upload. The image may have been deleted during the upload.", id)
	}
	return err
}

// copyBuffer is how much is read at once: each read moves the deadline, each write is hashed.
const copyBuffer = 256 << 10

// copyBody streams the body to w and returns its size. A body that is shorter or longer than announced is 400.
func (s *service) copyBody(r *httpapi.Request, w io.Writer, size int64) (int64, error) {
	body := &idleReader{r: r.Request.Body, control: http.NewResponseController(r.Writer), idle: s.opts.UploadIdle}
	n, err := io.CopyBuffer(onlyWriter{w}, io.LimitReader(body, s.opts.MaxSize+1), make([]byte, copyBuffer))
	switch {
	case err != nil && body.err != nil:
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return n, structs.Errorf(structs.KindTimeout, "The upload brought no data for %s after %d bytes.", s.opts.UploadIdle, n)
		}
		return n, httpapi.BadRequest("The upload broke off after %d bytes.", n)
	case err != nil:
		return n, storeError(err)
	case n > s.opts.MaxSize:
		return n, tooLarge(s.opts.MaxSize)
	case size >= 0 && n != size:
		return n, httpapi.BadRequest("The upload has %d bytes, but %d were announced.", n, size)
	}
	return n, nil
}

// onlyWriter hides other methods, so that the copy goes through our buffer.
type onlyWriter struct{ io.Writer }

// idleReader gives up when no byte comes for a while.
type idleReader struct {
	r       io.Reader
	control *http.ResponseController
	idle    time.Duration
	err     error // of the client's side
}

func (b *idleReader) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.idle)) // not every server has deadlines
	n, err := b.r.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{}) // from here on the server only waits for the client to go away
	case err != nil:
		b.err = err // the deadline stays: the server would else wait for the rest of the body before it answers
	}
	return n, err
}

// storeError words a failure of the store: a full disk is Glance's 413.
func storeError(err error) error {
	if structs.IsKind(err, structs.KindNoCapacity) {
		return structs.Errorf(structs.KindTooLarge, "%w", err)
	}
	return err
}

// look inspects the staged file.
func look(path string, size int64, i *structs.Image) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("inspect the upload: %w", err)
	}
	defer func() { _ = f.Close() }()
	return inspect.Check(f, size, i.DiskFormat, i.ContainerFormat)
}

// activate writes what the upload brought. That it stands already is success: an answer may have been lost.
func (s *service) activate(ctx context.Context, core nomadlike.Core, was *structs.Image, sums nomadlike.BlobSums, virtual int64, servers []structs.ServerID, store string) error {
	server := receiver(was)
	_, err := s.changeStored(ctx, core, was.ID, 0, func(i *structs.Image) error {
		switch {
		case i.HasData() && i.SHA512 == sums.SHA512:
			return errStands
		case !mine(i, server):
			return httpapi.Conflict("Image %s was taken from this upload: it is %s now.", i.ID, i.Status)
		case i.DiskFormat != was.DiskFormat || i.ContainerFormat != was.ContainerFormat:
			return httpapi.Conflict("The format of image %s was changed during the upload.", i.ID)
		}
		i.Status, i.Servers, i.Stores, i.VirtualSize = structs.ImageActive, servers, []string{store}, virtual
		i.Size, i.SHA512, i.MD5 = sums.Size, sums.SHA512, sums.MD5
		return nil
	})
	return arrived(was.ID, err)
}

var errStands = errors.New("the image is active already")

// takeBackTime bounds how long a failed upload tries to put its image back; after that Recover will.
const takeBackTime = 30 * time.Second

// takeBack puts the image of a failed upload back to queued. The client may be gone: its context does not count.
func (s *service) takeBack(r *httpapi.Request, id structs.ImageID, server structs.ServerID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), takeBackTime)
	defer cancel()
	if err := requeue(ctx, r.Core, id, server); err != nil {
		s.log.Warn("cannot put an image back to queued after its upload failed; it is tried again later", "image", id, "error", err)
	}
}

// requeue puts an image that the server was receiving back to queued; one that it is not receiving is left as it is.
func requeue(ctx context.Context, core nomadlike.Core, id structs.ImageID, server structs.ServerID) error {
	_, err := change(ctx, core, id, func(i *structs.Image) error {
		if !mine(i, server) {
			return errStands
		}
		i.Requeue()
		return nil
	})
	if errors.Is(err, errStands) || structs.IsKind(err, structs.KindNotFound) {
		return nil
	}
	return err
}
