package blob

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// oldBlobFolder is where programs before named blobs by their SHA-256.
const oldBlobFolder = "sha256"

// adopt brings what such a program left under the names of now. It goes on where a start before was interrupted.
func (s *Store) adopt() error {
	root := filepath.Join(s.dir, oldBlobFolder)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return s.adoptOne(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.RemoveAll(root)
	}
	if err != nil {
		return fmt.Errorf("image store: take over what an earlier program left: %w", err)
	}
	return nil
}

func (s *Store) adoptOne(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha512.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	sha := hexSum(h)
	s.log.Info("image data get the name that they have now", "sha512", sha, "bytes", size)
	return s.publish(path, sha, size)
}
