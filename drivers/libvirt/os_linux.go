package libvirt

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// checkSystem says whether the driver can run here at all.
func checkSystem() error { return nil }

// fileSystemBytes returns the size of the file system that holds dir.
func fileSystemBytes(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Blocks) * int64(fs.Bsize), nil
}

// directIO says whether files in dir can be opened past the page cache, which cache mode none needs.
func directIO(dir string) bool {
	file, err := os.CreateTemp(dir, ".direct-io-*")
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if err := file.Close(); err != nil {
		return false
	}
	direct, err := os.OpenFile(file.Name(), os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return false
	}
	return direct.Close() == nil
}

// collapseHead takes length bytes, a multiple of collapseUnit, out of the front of a file, atomically: not a byte that
// is appended meanwhile is lost. The error is errors.ErrUnsupported where the file system cannot.
func collapseHead(file *os.File, length int64) error {
	err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, length)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}
