package blob

import (
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// file is what a Writer needs of its staging file.
type file interface {
	io.Writer
	Sync() error
	Close() error
}

func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// Writer stages one blob; it implements nomadlike.BlobWriter. One goroutine uses it at a time.
type Writer struct {
	store  *Store
	f      file
	path   string
	crc    hash.Hash32
	hashes *sums
	size   int64
	err    error // of the first write that failed
	done   bool
	sums   nomadlike.BlobSums

	unsynced int64      // bytes that the disk was not yet told to take
	syncing  chan error // of a Sync that runs behind the writes; nil when none does
}

// Create stages a new blob. The caller ends it with Commit or Abort.
func (s *Store) Create() (*Writer, error) {
	path := filepath.Join(s.dir, stagingFolder, nomadlike.NewUUID())
	f, err := s.create(path)
	if err != nil {
		return nil, diskError(err)
	}
	return &Writer{store: s, f: f, path: path, crc: crc32.New(castagnoli), hashes: newSums()}, nil
}

// diskError says what failed in words for who uploads; a full disk is KindNoCapacity.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return structs.Errorf(structs.KindNoCapacity, "Image storage media is full: %w", err)
	}
	return fmt.Errorf("image store: %w", err)
}

// Write appends p to the staging file. After an error nothing more is accepted and Commit fails; a full disk is
// KindNoCapacity.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, os.ErrClosed
	}
	if w.err != nil {
		return 0, w.err
	}
	w.hashes.write(p) // also when the disk takes less: nothing is accepted after that
	n, err := w.f.Write(p)
	_, _ = w.crc.Write(p[:n])
	w.size += int64(n)
	if err == nil {
		err = w.syncBehind(int64(n))
	}
	if err != nil {
		w.err = diskError(err)
	}
	return n, w.err
}

// syncEvery is after how many bytes the disk begins to take them for good, so that Commit need not wait for all.
const syncEvery = 64 << 20

// syncBehind has the disk take what was written, while more is. The error is an earlier Sync's: of two that fail the system tells one alone, so none may be passed over.
func (w *Writer) syncBehind(n int64) error {
	if w.unsynced += n; w.unsynced < w.store.syncEvery {
		return nil
	}
	if err := w.synced(); err != nil {
		return err
	}
	w.unsynced, w.syncing = 0, make(chan error, 1)
	go func(c chan<- error) { c <- w.f.Sync() }(w.syncing)
	return nil
}

// synced waits for a Sync that runs.
func (w *Writer) synced() error {
	if w.syncing == nil {
		return nil
	}
	err := <-w.syncing
	w.syncing = nil
	return err
}

// Path is the staging file; everything written so far is in it. After Commit or Abort it is gone.
func (w *Writer) Path() string { return w.path }

// Commit makes the blob durable under its hash; when the store has it already, that one stays. On an error nothing of the
// blob is left. A second Commit answers as the first did.
func (w *Writer) Commit() (nomadlike.BlobSums, error) {
	if w.done {
		if w.sums.SHA512 == "" {
			return w.sums, os.ErrClosed
		}
		return w.sums, nil
	}
	if err := w.synced(); w.err == nil {
		w.err = diskErrorOrNil(err)
	}
	if w.err == nil {
		w.err = diskErrorOrNil(w.f.Sync())
	}
	w.hashes.finish()
	if err := w.f.Close(); w.err == nil {
		w.err = diskErrorOrNil(err)
	}
	w.done = true
	sums := nomadlike.BlobSums{Size: w.size, SHA512: hexSum(w.hashes.sha512), MD5: hexSum(w.hashes.md5)}
	if w.err == nil {
		w.err = w.store.publish(w.path, sums.SHA512, sums.Size)
	}
	if w.err == nil {
		w.store.writeCRC(sums.SHA512, w.crc.Sum32())
	}
	if w.err != nil {
		_ = os.Remove(w.path)
		return nomadlike.BlobSums{}, w.err
	}
	w.sums = sums
	return sums, nil
}

// Abort removes what was staged; after Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.hashes.finish()
	_ = w.synced()
	_ = w.f.Close()
	if err := os.Remove(w.path); err != nil {
		w.store.log.Warn("cannot remove an abandoned upload; the next start will", "file", w.path, "error", err)
	}
}

func diskErrorOrNil(err error) error {
	if err == nil {
		return nil
	}
	return diskError(err)
}

// publish moves a whole and synced staging file to the blob's name, or drops it when the blob is there, and makes the blob
// young for GarbageCollect in either case. A blob of another size is what a damaged disk left: it is replaced.
func (s *Store) publish(staged, sha string, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	final, now := s.path(sha), time.Now()
	if st, err := os.Stat(final); err == nil && st.Size() == size {
		if err := os.Chtimes(final, now, now); err != nil {
			return diskError(err)
		}
		return diskErrorOrNil(os.Remove(staged))
	}
	folder := filepath.Dir(final)
	if err := os.Mkdir(folder, 0o700); err == nil {
		if err := syncFolder(filepath.Dir(folder)); err != nil {
			return diskError(err)
		}
	} else if !errors.Is(err, os.ErrExist) {
		return diskError(err)
	}
	if err := os.Chtimes(staged, now, now); err != nil {
		return diskError(err)
	}
	if err := os.Rename(staged, final); err != nil {
		return diskError(err)
	}
	if err := syncFolder(folder); err != nil {
		_ = os.Remove(final)
		return diskError(err)
	}
	return nil
}
