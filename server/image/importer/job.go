package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/inspect"
)

// job is one attempt at a task.
type job struct {
	*Engine
	core   nomadlike.Core
	task   *structs.ImageTask
	log    hclog.Logger
	failed []string // stores that did not take the bytes
}

// errGone ends an import whose image was deleted.
var errGone = structs.Errorf(structs.KindNotFound, "Image has been deleted, aborting import.")

// do makes one attempt and reports whether the task has ended, or is another server's.
func (e *Engine) do(ctx context.Context, core nomadlike.Core, t *structs.ImageTask) bool {
	t, err := fsm.ImageTaskClaim.Propose(ctx, core, &structs.ImageTaskClaim{ID: t.ID, Attempt: t.Attempt, ServerID: core.Cluster().ServerID, Now: now()})
	if err != nil {
		return structs.IsKind(err, structs.KindForbidden)
	}
	j := &job{Engine: e, core: core, task: t, log: e.log.With("task", t.ID, "image", t.ImageID, "method", t.Method)}
	if t.Attempt > e.opts.MaxAttempts {
		err = fmt.Errorf("the import was begun %d times and never came to its end", e.opts.MaxAttempts)
	} else {
		err = j.run(ctx)
	}
	if err == nil {
		j.log.Info("an image was imported", "stores", t.Stores, "request_id", t.RequestID)
		return true
	}
	if ctx.Err() != nil { // this server stops: the task stays for whoever does it next
		return false
	}
	if lost := new(unknown); errors.As(err, &lost) {
		j.log.Warn("an import was interrupted; it is done again", "error", err)
		return false
	}
	if structs.IsKind(err, structs.KindForbidden) && !j.mine(ctx) {
		j.log.Warn("an import is done by another server now")
		return true
	}
	j.log.Warn("an import failed", "error", err, "request_id", t.RequestID)
	if err := j.fail(ctx, err); err != nil {
		j.log.Warn("cannot write that an import failed; it is tried again", "error", err)
		return false
	}
	return true
}

func (j *job) mine(ctx context.Context) bool {
	rd, err := j.core.Read(ctx)
	if err != nil {
		return false
	}
	t := rd.ImageTask(j.task.ID)
	return t != nil && !t.Status.Ended() && t.Attempt == j.task.Attempt
}

// unknown is an error of the cluster, not of the import: whether a write took place is not known, and the next attempt finds out.
type unknown struct{ error }

func (u unknown) Unwrap() error { return u.error }

func ofCluster(err error) error {
	if structs.IsKind(err, structs.KindUnavailable) || structs.IsKind(err, structs.KindTimeout) || structs.IsKind(err, structs.KindNotLeader) {
		return unknown{err}
	}
	return err
}

func now() structs.Time { return structs.TimeOf(time.Now()) }

// image reads the image, which must still be this task's.
func (j *job) image(ctx context.Context) (*structs.Image, error) {
	rd, err := j.core.Read(ctx)
	if err != nil {
		return nil, unknown{err}
	}
	i := rd.Image(j.task.ImageID)
	switch {
	case i == nil:
		return nil, errGone
	case i.TaskID != j.task.ID:
		return nil, structs.Errorf(structs.KindConflict, "The image was taken from this import: it is %s now.", i.Status)
	}
	return i, nil
}

func (j *job) run(ctx context.Context) error {
	i, err := j.image(ctx)
	if err != nil {
		return err
	}
	if j.task.Method == structs.ImportCopy {
		return j.copy(ctx, i)
	}
	if !i.Staged() {
		if j.task.Method != structs.ImportDownload {
			return structs.Errorf(structs.KindConflict, "nothing is staged")
		}
		if i, err = j.download(ctx, i); err != nil {
			return err
		}
	}
	virtual, err := j.inspect(ctx, i)
	if err != nil {
		return err
	}
	return j.distribute(ctx, i, virtual)
}

// download stages what the URL names.
func (j *job) download(ctx context.Context, i *structs.Image) (*structs.Image, error) {
	r, size, err := j.opts.Fetch.Open(ctx, j.task.URI)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if size > j.opts.MaxSize {
		return nil, structs.Errorf(structs.KindTooLarge, "The image is too large: the most is %d bytes.", j.opts.MaxSize)
	}
	sums, err := j.receive(ctx, io.LimitReader(r, j.opts.MaxSize+1))
	if err != nil {
		return nil, err
	}
	if _, err := j.core.Blobs().Spread(ctx, sums.SHA512); err != nil {
		return nil, err
	}
	return j.write(ctx, structs.ImageTaskProcessing, "", func(i *structs.Image) error {
		i.Size, i.SHA512, i.MD5 = sums.Size, sums.SHA512, sums.MD5
		return nil
	})
}

// receive takes bytes into this server's own store.
func (j *job) receive(ctx context.Context, r io.Reader) (nomadlike.BlobSums, error) {
	w, err := j.core.Blobs().Create(ctx)
	if err != nil {
		return nomadlike.BlobSums{}, err
	}
	defer w.Abort()
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, &watched{r: r, j: j, ctx: ctx}, make([]byte, copyBuffer))
	switch {
	case err != nil:
		return nomadlike.BlobSums{}, err
	case n > j.opts.MaxSize:
		return nomadlike.BlobSums{}, structs.Errorf(structs.KindTooLarge, "The image is too large: the most is %d bytes.", j.opts.MaxSize)
	case n == 0:
		return nomadlike.BlobSums{}, structs.Errorf(structs.KindInvalid, "There was no data to import.")
	}
	return w.Commit()
}

const (
	copyBuffer = 256 << 10
	lookEvery  = 64 << 20 // bytes between two looks whether the work is still wanted
)

// watched ends a copy that nobody wants any more.
type watched struct {
	ctx  context.Context
	r    io.Reader
	j    *job
	left int64
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if w.left -= int64(len(p)); w.left < 0 {
		w.left = lookEvery
		if w.j.core.Stale().Image(w.j.task.ImageID) == nil {
			return 0, errGone
		}
	}
	return w.r.Read(p)
}

// inspect looks at the staged bytes, as an upload's are looked at.
func (j *job) inspect(ctx context.Context, i *structs.Image) (int64, error) {
	r, size, err := j.core.Blobs().Open(ctx, i.SHA512)
	if err != nil {
		return 0, structs.Errorf(structs.KindUnavailable, "The staged data cannot be read: %w", err)
	}
	defer func() { _ = r.Close() }()
	if at, ok := r.(io.ReaderAt); ok {
		return inspect.Check(at, size, i.DiskFormat, i.ContainerFormat)
	}
	w, err := j.core.Blobs().Create(ctx) // it comes from another server as a stream: here it can be read anywhere
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, &watched{r: r, j: j, ctx: ctx}, make([]byte, copyBuffer)); err != nil {
		return 0, err
	}
	f, err := os.Open(w.Path())
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	virtual, err := inspect.Check(f, size, i.DiskFormat, i.ContainerFormat)
	if err != nil {
		return 0, err
	}
	sums, err := w.Commit()
	if err == nil && sums.SHA512 != i.SHA512 {
		err = structs.Errorf(structs.KindUnavailable, "The staged data arrived damaged from another server.")
	}
	return virtual, err
}

// copy brings an image's bytes from a store that has them to others.
func (j *job) copy(ctx context.Context, i *structs.Image) error {
	sums := nomadlike.BlobSums{Size: i.Size, SHA512: i.SHA512, MD5: i.MD5}
	if !i.InStore(structs.StoreServers) {
		r, _, err := j.opts.Stores.Open(ctx, j.core, i)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		got, err := j.receive(ctx, r)
		if err != nil {
			return err
		}
		if got != sums {
			return structs.Errorf(structs.KindUnavailable, "the data that the store gave are not those of the image")
		}
	}
	return j.distribute(ctx, i, 0)
}

// distribute brings the bytes to the stores. Unless all have to take them, the image has its data with the first that did.
func (j *job) distribute(ctx context.Context, i *structs.Image, virtual int64) error {
	sums := nomadlike.BlobSums{Size: i.Size, SHA512: i.SHA512, MD5: i.MD5}
	var done []string
	var servers []structs.ServerID // that have the bytes, once the servers' own store took them
	for n, id := range j.task.Stores {
		on, err := j.put(ctx, id, sums)
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			j.failed = append(j.failed, id)
			if j.task.AllMust {
				return err
			}
			j.log.Warn("a store did not take an image; it is left out", "store", id, "error", err)
		default:
			done = append(done, id)
			if len(on) > 0 {
				servers = on
			}
		}
		last := n == len(j.task.Stores)-1
		has := len(done) > 0 && (last || !j.task.AllMust)
		if last && len(done) == 0 {
			return structs.Errorf(structs.KindUnavailable, "None of the uploads finished!")
		}
		status := structs.ImageTaskProcessing
		if last {
			status = structs.ImageTaskSuccess
		}
		_, err = j.write(ctx, status, "", func(i *structs.Image) error {
			j.progress(i, j.task.Stores[n+1:])
			if has {
				arrive(i, done, servers, virtual)
			}
			if last {
				i.TaskID = ""
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *job) put(ctx context.Context, id string, sums nomadlike.BlobSums) ([]structs.ServerID, error) {
	st := j.opts.Stores.Get(id)
	if st == nil {
		return nil, structs.Errorf(structs.KindUnavailable, "there is no store %q on this server", id)
	}
	return st.Put(ctx, j.core, sums)
}

// progress writes what users see of an import: the stores that are still to come, and those that failed.
func (j *job) progress(i *structs.Image, rest []string) {
	i.SetProperty(structs.PropertyImporting, strings.Join(rest, ","))
	failed := strings.FieldsFunc(i.Properties[structs.PropertyFailedImport], func(c rune) bool { return c == ',' })
	for _, id := range j.failed {
		if !slices.Contains(failed, id) {
			failed = append(failed, id)
		}
	}
	i.SetProperty(structs.PropertyFailedImport, strings.Join(failed, ","))
}

// arrive makes an image one whose bytes the stores have.
func arrive(i *structs.Image, stores []string, servers []structs.ServerID, virtual int64) {
	all := slices.Clone(i.StoreIDs())
	for _, id := range stores {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	if !i.HasData() {
		i.Status, i.VirtualSize, i.Servers = structs.ImageActive, virtual, nil
	}
	i.Stores = all
	if len(servers) > 0 {
		i.Servers = servers
	}
}

// fail ends the task and gives the image back: one that had no data waits for some.
func (j *job) fail(ctx context.Context, why error) error {
	edit := func(i *structs.Image) error {
		if i.TaskID != j.task.ID {
			return errGone
		}
		if !i.HasData() {
			i.Requeue()
		}
		i.TaskID = ""
		j.progress(i, nil)
		return nil
	}
	_, err := j.write(ctx, structs.ImageTaskFailure, why.Error(), edit)
	if errors.Is(err, errGone) {
		_, err = fsm.ImageTaskWrite.Propose(ctx, j.core, &structs.ImageTaskWrite{ID: j.task.ID, Attempt: j.task.Attempt, Status: structs.ImageTaskFailure, Message: why.Error(), Now: now()})
	}
	return err
}

// maxTries bounds how often a change is tried again because another came between.
const maxTries = 20

// write changes the task and its image together. An image that is gone is errGone.
func (j *job) write(ctx context.Context, status structs.ImageTaskStatus, message string, edit func(*structs.Image) error) (*structs.Image, error) {
	for try := 0; ; try++ {
		rd, err := j.core.Read(ctx)
		if err != nil {
			return nil, unknown{err}
		}
		old := rd.Image(j.task.ImageID)
		if old == nil {
			return nil, errGone
		}
		i := old.Copy()
		if err := edit(i); err != nil {
			return nil, err
		}
		i.UpdatedAt = now()
		_, err = fsm.ImageTaskWrite.Propose(ctx, j.core, &structs.ImageTaskWrite{ID: j.task.ID, Attempt: j.task.Attempt, Status: status, Message: message, Image: i, IfIndex: old.ModifyIndex,
			Limits: j.opts.Limits(rd, i.ProjectID), Now: now()})
		if err == nil {
			return i, nil
		}
		if structs.IsKind(err, structs.KindNotFound) {
			return nil, errGone
		}
		if !structs.IsKind(err, structs.KindConflict) || try >= maxTries {
			return nil, ofCluster(err)
		}
	}
}
