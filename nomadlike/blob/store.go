package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	blobFolder    = "sha512"
	stagingFolder = "staging"
	hashDigits    = 128
)

// Store keeps blobs below one directory.
type Store struct {
	dir string
	log hclog.Logger
	// mu orders publishing a blob and collecting it: a collector that has judged a blob unneeded removes it before an
	// upload of the same bytes can find it there, or sees that the upload has made it young again.
	mu     sync.Mutex
	create func(path string) (file, error) // os.Create, but for tests of a full disk

	syncEvery int64 // the constant, but for tests
}

// Info describes a stored blob.
type Info struct {
	SHA512 string
	Size   int64
	// UsedAt is when these bytes were last put into the store, also when they were there already.
	UsedAt time.Time
}

// Open returns the store in dir, which it makes when missing. Whatever earlier processes left in staging is removed. A nil
// logger is silent.
func Open(dir string, logger hclog.Logger) (*Store, error) {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	s := &Store{dir: dir, log: logger, create: createFile, syncEvery: syncEvery}
	for _, d := range []string{blobFolder, stagingFolder} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("image store: %w", err)
		}
	}
	if err := s.clearStaging(); err != nil {
		return nil, err
	}
	return s, s.adopt()
}

func (s *Store) clearStaging() error {
	left, err := os.ReadDir(filepath.Join(s.dir, stagingFolder))
	if err != nil {
		return fmt.Errorf("image store: %w", err)
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(s.dir, stagingFolder, e.Name())); err != nil {
			return fmt.Errorf("image store: remove what an unfinished upload left: %w", err)
		}
		s.log.Info("removed what an unfinished upload left", "file", e.Name())
	}
	return nil
}

// valid reports whether sha is a blob's name; anything else never becomes part of a path.
func valid(sha string) bool {
	if len(sha) != hashDigits {
		return false
	}
	for _, c := range []byte(sha) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (s *Store) path(sha string) string {
	return filepath.Join(s.dir, blobFolder, sha[:2], sha[2:])
}

func notFound(sha string) error {
	return structs.Errorf(structs.KindNotFound, "this server has no image data with SHA-512 %s", sha)
}

// Open returns the blob and its size in bytes. The file is for reading only, can seek, and stays readable when the blob is
// deleted meanwhile; the caller closes it. KindNotFound when this server has no such blob.
func (s *Store) Open(sha string) (*os.File, int64, error) {
	if !valid(sha) {
		return nil, 0, notFound(sha)
	}
	f, err := os.Open(s.path(sha))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, notFound(sha)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("image store: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, fmt.Errorf("image store: %w", err)
	}
	return f, st.Size(), nil
}

// Has reports whether this server has the blob.
func (s *Store) Has(sha string) bool {
	if !valid(sha) {
		return false
	}
	st, err := os.Stat(s.path(sha))
	return err == nil && st.Mode().IsRegular()
}

// List returns every blob, in the order of their names.
func (s *Store) List() ([]Info, error) {
	var out []Info
	root := filepath.Join(s.dir, blobFolder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted while we walk
		}
		if err != nil || d.IsDir() {
			return err
		}
		sha := filepath.Base(filepath.Dir(path)) + d.Name()
		st, err := d.Info()
		if !valid(sha) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		out = append(out, Info{SHA512: sha, Size: st.Size(), UsedAt: st.ModTime()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	return out, nil
}

// Delete removes the blob; a missing one is no error.
func (s *Store) Delete(sha string) error {
	if !valid(sha) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(sha)
}

func (s *Store) remove(sha string) error {
	if err := os.Remove(s.path(sha)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("image store: %w", err)
	}
	_ = os.Remove(s.path(sha) + crcSuffix) // of no use, and no harm, without the blob
	return nil
}

// GarbageCollect removes the blobs that keep does not want and that were not put into the store within the last minAge: an
// upload commits its bytes before the state names them, so minAge must be longer than an upload takes to become active. It
// returns the names of what it removed; on an error those removed before it.
func (s *Store) GarbageCollect(keep func(sha string) bool, minAge time.Duration) ([]string, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	cutoff := time.Now().Add(-minAge)
	var removed []string
	for _, b := range all {
		if b.UsedAt.After(cutoff) || keep(b.SHA512) {
			continue
		}
		gone, err := s.collect(b.SHA512, cutoff)
		if err != nil {
			return removed, err
		}
		if gone {
			removed = append(removed, b.SHA512)
			s.log.Info("removed image data that this server need not have", "sha512", b.SHA512, "bytes", b.Size)
		}
	}
	return removed, nil
}

// collect removes a blob unless it was put again since it was listed.
func (s *Store) collect(sha string, cutoff time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := os.Stat(s.path(sha))
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.ModTime().After(cutoff) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("image store: %w", err)
	}
	return true, s.remove(sha)
}
